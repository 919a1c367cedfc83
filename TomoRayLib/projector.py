"""Digitally reconstructed radiographs: the line integral of attenuation along every ray, and its exact adjoint.

The slab algorithm. The volume is cut into slices perpendicular to its *main axis*, the axis nearest to the central
ray. Within slice k the ray of detector point (u, v) has coordinates that depend on u alone and on v alone, so

    image = L * sum_k  B_k  S_k  A_k^T

with S_k the slice, A_k and B_k sparse matrices that hold the fraction of the ray's segment inside each voxel along
one axis ("box" weights), and L the path length per slice. This equals Siddon's exact ray trace except where a ray
crosses two voxel faces within one slice. Each sparse product is one ``embedding_bag`` of stock PyTorch: a vectorised,
threaded gather and weighted sum of contiguous rows. The adjoint uses the same tables, transposed.

Volumes are projected where they lie: any spacing, any direction cosines, any main axis. A view whose detector is not
parallel to the slices is rendered on a virtual detector that is, and resampled once (bicubic, a homography).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from TomoRayLib.geometry import ConeBeam, Grid, View

SLICES_PER_BLOCK = 8
VIRTUAL_OVERSAMPLING = 2.0
VIRTUAL_MARGIN_PX = 3
# A ray on a voxel face belongs half to each side: every footprint is at least this wide (voxels).
MIN_FOOTPRINT = 1e-5

Array = NDArray[np.float64]


def project(attenuation_per_mm: Tensor, grid: Grid, view: View) -> Tensor:
    """Line integrals (rows, columns), dimensionless, of ``attenuation_per_mm`` (z, y, x) on ``grid`` seen by ``view``.

    Row 0 is the top of the radiograph. Differentiable with respect to the volume; linear in it. A leading batch
    axis (n, z, y, x) gives (n, rows, columns). Volumes and results are float32 or float64; on the volume's device.
    Raises ValueError where the shape is not the grid's, or the source lies inside the volume.
    """
    volume = attenuation_per_mm
    if tuple(volume.shape[-3:]) != grid.shape or volume.ndim not in (3, 4):
        raise ValueError(
            f"The volume must have the shape of its grid, (z, y, x) = {grid.shape}, with at most one batch axis "
            f"before; got {tuple(volume.shape)}. Check the axis order."
        )
    plan = _plan_on(grid, view, str(volume.device), volume.dtype)
    batch = volume if volume.ndim == 4 else volume[None]
    images = torch.stack([plan.image(_SlabSum.apply(one, plan)) for one in batch])
    return images if volume.ndim == 4 else images[0]


def hu_to_attenuation(hu: Tensor, water_per_mm: float = 0.022, air_below_hu: float = -800.0) -> Tensor:
    """Linear attenuation in 1/mm: ``water_per_mm * (1 + HU / 1000)``, and 0 at or below ``air_below_hu``.

    The defaults are those of plastimatch: water at 50 keV, 0.22 / cm (its ``-P preprocess``).
    """
    attenuation = (hu.float() * (water_per_mm / 1000.0)).add_(water_per_mm).clamp_min_(0.0)
    return attenuation.masked_fill_(hu <= air_below_hu, 0.0)


# Mass attenuation of liquid water, cm2/g at 1 g/cm3: Hubbell and Seltzer, NISTIR 5632, table 4.
WATER_CM2_PER_G = {30: 0.3756, 40: 0.2683, 50: 0.2269, 60: 0.2059, 80: 0.1837, 100: 0.1707, 150: 0.1505}


def water_attenuation_per_mm(energy_kev: float) -> float:
    """Attenuation of water at one photon energy, log-log interpolated between 30 and 150 keV (NISTIR 5632)."""
    energies = np.array(sorted(WATER_CM2_PER_G), dtype=float)
    if not energies[0] <= energy_kev <= energies[-1]:
        raise ValueError(f"energy_kev must lie between {energies[0]:.0f} and {energies[-1]:.0f}; got {energy_kev}.")
    values = np.array([WATER_CM2_PER_G[int(energy)] for energy in energies])
    return float(np.exp(np.interp(np.log(energy_kev), np.log(energies), np.log(values)))) / 10.0


@dataclass(frozen=True)
class _Bags:
    """A sparse matrix as ``embedding_bag`` wants it: bag r sums rows ``index`` with ``weight``."""

    index: Tensor
    offset: Tensor
    weight: Tensor

    def sum_rows(self, table: Tensor) -> Tensor:
        """(rows of the matrix, table columns): the sparse matrix times ``table``."""
        return F.embedding_bag(
            self.index, table, self.offset, mode="sum", per_sample_weights=self.weight, include_last_offset=True
        )


@dataclass(frozen=True)
class _Block:
    """The matrices of a few neighbouring slices: forward along b, then a; and their transposes."""

    first: int
    slices: int
    along_b: _Bags
    along_a: _Bags
    along_b_adjoint: _Bags
    along_a_adjoint: _Bags


@dataclass(frozen=True)
class _Plan:
    """All that one grid and one view share: axis order, sparse tables, path lengths, and the final resampling."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    samples_a: int
    samples_b: int
    blocks: tuple[_Block, ...]
    path_mm: Tensor  # (rows, columns)
    transposed: bool  # the radiograph's rows run along a
    resampling: Tensor | None  # (1, rows, columns, 2) for grid_sample on the (b, a) virtual detector

    def image(self, sums_ab: Tensor) -> Tensor:
        """(rows, columns) from the slab sums (a, b)."""
        if self.resampling is None:
            return (sums_ab if self.transposed else sums_ab.T) * self.path_mm
        virtual = sums_ab.T[None, None]
        sampled = F.grid_sample(virtual, self.resampling, mode="bicubic", padding_mode="zeros", align_corners=True)
        return sampled[0, 0] * self.path_mm


class _SlabSum(torch.autograd.Function):
    """sum_k B_k S_k A_k^T, (a, b), without path lengths."""

    @staticmethod
    def forward(ctx: Any, volume: Tensor, plan: _Plan) -> Tensor:
        ctx.plan = plan
        slabs = volume.permute(plan.order).contiguous()
        count_b, count_main, count_a = slabs.shape
        table = slabs.view(count_b * count_main, count_a)
        total = table.new_zeros(plan.samples_a, plan.samples_b)
        buffer = table.new_empty(0)
        for block in plan.blocks:
            rows = block.along_b.sum_rows(table).view(block.slices, plan.samples_b, count_a)
            if buffer.shape[0] != block.slices:  # kept: fresh pages cost more than the copy
                buffer = table.new_empty(block.slices, count_a, plan.samples_b)
            buffer.copy_(rows.transpose(1, 2))
            total += block.along_a.sum_rows(buffer.view(block.slices * count_a, plan.samples_b))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        plan: _Plan = ctx.plan
        gradient_ab = gradients[0].contiguous()
        parts = []
        for block in plan.blocks:
            columns = block.along_a_adjoint.sum_rows(gradient_ab).view(block.slices, -1, plan.samples_b)
            rows = columns.transpose(1, 2).reshape(block.slices * plan.samples_b, -1)
            parts.append(block.along_b_adjoint.sum_rows(rows).view(-1, block.slices, rows.shape[1]))
        slabs = torch.cat(parts, dim=1)
        back = [plan.order.index(axis) for axis in range(3)]
        return slabs.permute(back), None


@lru_cache(maxsize=32)
def _plan_on(grid: Grid, view: View, device: str, dtype: torch.dtype) -> _Plan:
    """The plan for one grid and view; building it takes tens of milliseconds, so it is kept."""
    rays = _Rays(grid, view)
    main = rays.main
    axis_a, axis_b = rays.in_plane
    spacing = np.asarray(grid.spacing_mm)
    coordinates_a, coordinates_b = rays.virtual_axes()
    faces_mm = (np.arange(grid.size[main] + 1) - 0.5) * spacing[main]
    crossing_a = rays.crossings(axis_a, coordinates_a, faces_mm) / spacing[axis_a] + 0.5
    crossing_b = rays.crossings(axis_b, coordinates_b, faces_mm) / spacing[axis_b] + 0.5

    def bags(matrix: sparse.csr_matrix) -> _Bags:
        return _Bags(
            torch.from_numpy(matrix.indices.astype(np.int32)).to(device),
            torch.from_numpy(matrix.indptr.astype(np.int32)).to(device),
            torch.from_numpy(matrix.data).to(device=device, dtype=dtype),
        )

    blocks = []
    for first in range(0, grid.size[main], SLICES_PER_BLOCK):
        slices = min(SLICES_PER_BLOCK, grid.size[main] - first)
        here = slice(first, first + slices + 1)
        along_b = _block_matrix_b(crossing_b[here], grid.size[axis_b], grid.size[main], first)
        along_a = _block_matrix_a(crossing_a[here], grid.size[axis_a])
        local_b = _block_matrix_b(crossing_b[here], grid.size[axis_b], slices, 0)
        blocks.append(
            _Block(first, slices, bags(along_b), bags(along_a), bags(local_b.T.tocsr()), bags(along_a.T.tocsr()))
        )
    array_axis = {0: 2, 1: 1, 2: 0}  # index axis i, j, k -> axis of the (z, y, x) array
    resampling = rays.resampling(coordinates_a, coordinates_b)
    return _Plan(
        order=(array_axis[axis_b], array_axis[main], array_axis[axis_a]),
        samples_a=len(coordinates_a),
        samples_b=len(coordinates_b),
        blocks=tuple(blocks),
        path_mm=torch.from_numpy(rays.path_mm()).to(device=device, dtype=dtype),
        transposed=rays.parallel_to_slices and rays.row_axis == axis_b,
        resampling=None if resampling is None else torch.from_numpy(resampling).to(device=device, dtype=dtype),
    )


def _overlaps(crossings: Array, count: int) -> tuple[Array, Array, Array]:
    """Where each ray segment lies: (slice-and-sample row, voxel, fraction of the segment inside the voxel).

    ``crossings`` (slices + 1, samples) are positions in voxels, voxel j spanning j..j + 1, at each slice's two faces.
    """
    low = np.minimum(crossings[:-1], crossings[1:])
    high = np.maximum(crossings[:-1], crossings[1:])
    middle, half = (low + high) / 2, np.maximum(high - low, MIN_FOOTPRINT) / 2
    low, high = (middle - half).ravel(), (middle + half).ravel()
    first = np.floor(low)
    taps = int((np.floor(high) - first).max()) + 1
    rows, voxels, fractions = [], [], []
    for tap in range(taps):
        voxel = first + tap
        fraction = (np.minimum(high, voxel + 1) - np.maximum(low, voxel)) / (high - low)
        keep = (fraction > 0) & (voxel >= 0) & (voxel < count)
        rows.append(np.flatnonzero(keep))
        voxels.append(voxel[keep].astype(np.int64))
        fractions.append(fraction[keep])
    return np.concatenate(rows), np.concatenate(voxels), np.concatenate(fractions)


def _block_matrix_b(crossings: Array, count_b: int, count_main: int, first: int) -> sparse.csr_matrix:
    """(slices * samples, count_b * count_main): row (k, v) gathers table rows (b, first + k)."""
    slices, samples = crossings.shape[0] - 1, crossings.shape[1]
    rows, voxels, fractions = _overlaps(crossings, count_b)
    columns = voxels * count_main + first + rows // samples
    return sparse.csr_matrix((fractions, (rows, columns)), shape=(slices * samples, count_b * count_main))


def _block_matrix_a(crossings: Array, count_a: int) -> sparse.csr_matrix:
    """(samples, slices * count_a): row u gathers rows (k, a) of every slice of the block."""
    slices, samples = crossings.shape[0] - 1, crossings.shape[1]
    rows, voxels, fractions = _overlaps(crossings, count_a)
    columns = (rows // samples) * count_a + voxels
    return sparse.csr_matrix((fractions, (rows % samples, columns)), shape=(samples, slices * count_a))


class _Rays:
    """One view's rays in the frame of the volume: axes i, j, k in mm, origin at the centre of voxel 0."""

    def __init__(self, grid: Grid, view: View) -> None:
        to_volume = grid.direction_matrix.T
        self.view, self.grid = view, grid
        self.is_cone = isinstance(view.beam, ConeBeam)
        self.direction = -_snap(to_volume @ view.to_source)  # along the central ray, away from the source
        self.right, self.down = _snap(to_volume @ view.right), _snap(to_volume @ view.down)
        self.pixels = (view.pixel_positions_mm() - np.asarray(grid.origin_mm)) @ to_volume.T
        self.main = int(np.argmax(np.abs(self.direction)))
        self.source = np.zeros(3)
        if self.is_cone:
            self.source = to_volume @ (view.source_mm - np.asarray(grid.origin_mm))
            self._check_source()
        others = [axis for axis in range(3) if axis != self.main]
        self.row_axis = int(np.argmax(np.abs(self.right)))  # the axis along which a detector row runs
        self.parallel_to_slices = abs(self.direction[self.main]) == 1.0 and np.count_nonzero(
            self.right
        ) == 1 == np.count_nonzero(self.down)
        # a is the axis with contiguous voxels in the table: x where it can be, else y
        self.in_plane = (others[0], others[1])
        self.plane_mm = (grid.size[self.main] - 1) / 2 * grid.spacing_mm[self.main]

    def _check_source(self) -> None:
        low = -0.5 * np.asarray(self.grid.spacing_mm)
        high = (np.asarray(self.grid.size) - 0.5) * self.grid.spacing_mm
        along = (np.stack([low, high])[:, self.main] - self.source[self.main]) * np.sign(self.direction[self.main])
        if along.min() <= 0:
            raise ValueError(
                f"The X-ray source must lie outside the volume, in front of all of it; got sad_mm="
                f"{getattr(self.view.beam, 'sad_mm', None)} with a volume of {self.grid.extent_mm} mm. "
                f"Use a larger SAD or move the isocentre."
            )

    def _at_plane(self, points: Array, plane_mm: float) -> Array:
        """Points (..., 3) carried along their rays to the plane ``main = plane_mm``."""
        m = self.main
        if self.is_cone:
            scale = (plane_mm - self.source[m]) / (points[..., m] - self.source[m])
            return self.source + (points - self.source) * scale[..., None]
        steps = (plane_mm - points[..., m]) / self.direction[m]
        return points + self.direction * steps[..., None]

    def virtual_axes(self) -> tuple[Array, Array]:
        """Sample positions (mm, at the volume's middle plane) along axes a and b."""
        points = self._at_plane(self.pixels, self.plane_mm)
        a, b = self.in_plane
        if self.parallel_to_slices:
            if self.row_axis == a:
                return points[0, :, a], points[:, 0, b]
            return points[:, 0, a], points[0, :, b]
        axes = []
        for axis in (a, b):
            steps = [np.abs(np.diff(points[..., axis], axis=k)) for k in (0, 1) if points.shape[k] > 1]
            pitch = max((float(step.max()) for step in steps if step.size), default=1.0)
            pitch = max(pitch, 1e-3) / VIRTUAL_OVERSAMPLING
            low, high = points[..., axis].min(), points[..., axis].max()
            count = int(np.ceil((high - low) / pitch)) + 1 + 2 * VIRTUAL_MARGIN_PX
            axes.append(low + (np.arange(count) - VIRTUAL_MARGIN_PX) * pitch)
        return axes[0], axes[1]

    def crossings(self, axis: int, samples_mm: Array, planes_mm: Array) -> Array:
        """(planes, samples): position along ``axis`` of each sample's ray at each plane of the main axis."""
        m = self.main
        if self.is_cone:
            scale = (planes_mm - self.source[m]) / (self.plane_mm - self.source[m])
            return self.source[axis] + (samples_mm[None, :] - self.source[axis]) * scale[:, None]
        slope = self.direction[axis] / self.direction[m]
        return samples_mm[None, :] + ((planes_mm - self.plane_mm) * slope)[:, None]

    def path_mm(self) -> Array:
        """(rows, columns): path length through one slice along each pixel's ray."""
        if self.is_cone:
            rays = self.pixels - self.source
            steepness = np.linalg.norm(rays, axis=-1) / np.abs(rays[..., self.main])
        else:
            steepness = np.full(self.pixels.shape[:2], 1.0 / abs(self.direction[self.main]))
        return steepness * self.grid.spacing_mm[self.main]

    def resampling(self, samples_a: Array, samples_b: Array) -> Array | None:
        """(1, rows, columns, 2) positions of the true pixels on the virtual detector, in grid_sample's [-1, 1]."""
        if self.parallel_to_slices:
            return None
        points = self._at_plane(self.pixels, self.plane_mm)
        places = []
        for axis, samples in zip(self.in_plane, (samples_a, samples_b), strict=True):
            places.append(2 * (points[..., axis] - samples[0]) / (samples[-1] - samples[0]) - 1)
        return np.stack(places, axis=-1)[None]


def _snap(vector: Array) -> Array:
    """Axis-aligned unit vectors become exact, so that rounding in a header does not leave the exact path."""
    rounded = np.round(vector)
    return rounded if np.abs(vector - rounded).max() < 1e-7 else vector
