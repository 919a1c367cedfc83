"""Line integrals along any rays, ray by ray: Siddon's exact trace or Joseph's interpolation, differentiable in both
the volume and the rays.

Each ray is cut by the slices across its own main axis, the axis along which it crosses the most voxels. Within a slice
it moves at most one voxel along each other axis, so it meets at most three voxels: the one where it enters, the one
between its two crossings, the one where it leaves. Their shares of the segment depend on where the ray crosses, and
carry the gradient with respect to the ray. 20 to 80 times slower than slabs, but it serves every geometry.

Siddon, Med Phys 12:252 (1985), doi:10.1118/1.595715. Joseph, IEEE TMI 1:192 (1982), doi:10.1109/TMI.1982.4307572.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.projector.checks import check_volume
from TomoRayLib.projector.tables import MIN_FOOTPRINT

RayInterpolation = Literal["box", "linear"]
CHUNK_SAMPLES = 2**19  # slices times rays at a time: some 100 MB of work space in float64
CHUNK_VOLUMES = 16  # of a batch; from twice as many on their values take more than the rays, so fewer rays at a time

Taps = list[tuple[Tensor, Tensor, Tensor]]  # (voxel along a, voxel along b, weight), each (slices, rays)


def trace_rays(
    attenuation_per_mm: Tensor,
    grid: Grid,
    sources_mm: Tensor,
    pixels_mm: Tensor,
    interpolation: RayInterpolation = "box",
) -> Tensor:
    """Line integrals along any rays, differentiable with respect to volume, sources and pixels.

    Args:
        attenuation_per_mm: Volume (z, y, x) or batch (n, z, y, x) in 1/mm, float32 or float64.
        grid: The volume's grid in LPS mm.
        sources_mm: LPS points at which rays start, (*rays, 3) after broadcasting, on any device.
        pixels_mm: LPS points through which they run and beyond, (*rays, 3) after broadcasting.
        interpolation: "box" takes voxels as boxes (Siddon, exact); "linear" interpolates between voxel centres in the
            middle of each slice (Joseph), a smoother function of the pose.

    Returns:
        (*rays), or (n, *rays) for a batch: dimensionless.

    Raises:
        InputError: If a source coincides with its pixel.
        ValueError: If the volume is no float tensor with the grid's shape, or the interpolation is unknown.
    """
    volume = attenuation_per_mm
    check_volume(volume, grid)
    if interpolation not in ("box", "linear"):
        raise ValueError(f"interpolation must be 'box' (Siddon) or 'linear' (Joseph); got {interpolation!r}.")
    points = (points_mm.to(volume.device, torch.float64) for points_mm in (sources_mm, pixels_mm))
    sources, pixels = torch.broadcast_tensors(*points)
    shape = sources.shape[:-1]
    starts, directions, length_mm = _in_voxels(grid, sources.reshape(-1, 3), pixels.reshape(-1, 3))
    flat = volume.reshape(-1, volume.shape[-3:].numel())
    mains = directions.detach().abs().argmax(dim=1)
    samples = CHUNK_SAMPLES // max(1, len(flat) // CHUNK_VOLUMES)
    parts, places = [], []
    for main in range(3):
        chosen = torch.nonzero(mains == main).flatten()
        if not len(chosen):
            continue
        slices = grid.size[main]
        for some in chosen.split(max(1, samples // slices)):
            bundle = _Bundle(grid.size, main, interpolation)
            arguments = (bundle, flat, starts[some], directions[some], length_mm[some])
            parts.append(
                checkpoint(_integrate, *arguments, use_reentrant=False)
                if torch.is_grad_enabled() and any(a.requires_grad for a in arguments[1:])
                else _integrate(*arguments)
            )
            places.append(some)
    order = torch.argsort(torch.cat(places))
    integrals = torch.cat(parts, dim=1)[:, order].reshape(len(flat), *shape)
    return integrals if volume.ndim == 4 else integrals[0]


def _in_voxels(grid: Grid, sources_mm: Tensor, pixels_mm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Starts and directions (rays, 3) in voxels, voxel j spanning j..j + 1, and each direction's length in mm."""
    to_index = torch.from_numpy(grid.world_to_index).to(sources_mm)
    starts = sources_mm @ to_index[:3, :3].T + to_index[:3, 3] + 0.5
    directions = (pixels_mm - sources_mm) @ to_index[:3, :3].T
    length_mm = torch.linalg.vector_norm(pixels_mm - sources_mm, dim=1)
    if not bool((length_mm > 0).all()):
        raise InputError(
            "Every ray needs a source and a pixel in different places; got rays of length 0 or NaN. Check that the "
            "detector does not touch the source."
        )
    return starts, directions, length_mm


@dataclass(frozen=True)
class _Bundle:
    """The common properties of rays with one main axis. Axes count x, y, z = 0, 1, 2."""

    size: tuple[int, int, int]
    main: int
    interpolation: RayInterpolation

    @property
    def others(self) -> tuple[int, int]:
        first, second = (axis for axis in range(3) if axis != self.main)
        return first, second

    def stride(self, axis: int) -> int:
        return (1, self.size[0], self.size[0] * self.size[1])[axis]


def _integrate(bundle: _Bundle, flat: Tensor, starts: Tensor, directions: Tensor, length_mm: Tensor) -> Tensor:
    """(n, rays) line integrals of ``flat`` (n, voxels) along rays that share their main axis."""
    m, (a, b) = bundle.main, bundle.others
    faces = torch.arange(bundle.size[m], dtype=starts.dtype, device=starts.device)[:, None]
    along = directions[:, m]
    # where a ray crosses the lower face of each slice, and how far it moves until the next
    slope_a, slope_b = directions[:, a] / along, directions[:, b] / along
    place_a = starts[:, a] + (faces - starts[:, m]) * slope_a
    place_b = starts[:, b] + (faces - starts[:, m]) * slope_b
    made = _box_taps if bundle.interpolation == "box" else _linear_taps
    # The volume may reach behind the source, which lies outside: count only what lies ahead.
    ahead = (faces + 0.5 - starts[:, m]) / along > 0
    total = flat.new_zeros(len(flat), len(starts))
    for voxel_a, voxel_b, weight in made(place_a, slope_a, place_b, slope_b):
        inside = ahead & (voxel_a >= 0) & (voxel_a < bundle.size[a]) & (voxel_b >= 0) & (voxel_b < bundle.size[b])
        index = (
            faces.long() * bundle.stride(m)
            + voxel_a.clamp(0, bundle.size[a] - 1) * bundle.stride(a)
            + voxel_b.clamp(0, bundle.size[b] - 1) * bundle.stride(b)
        )
        values = flat.index_select(1, index.flatten()).view(len(flat), *index.shape)
        total = total + (values * torch.where(inside, weight, 0.0).to(flat.dtype)).sum(dim=1)
    return total * (length_mm / along.abs()).to(flat.dtype)


def _box_taps(place_a: Tensor, slope_a: Tensor, place_b: Tensor, slope_b: Tensor) -> Taps:
    """The three voxels that a ray meets in each slice, and their shares of its segment there: exact."""
    enter_a, leave_a, crossing_a = _crossing(place_a, slope_a)
    enter_b, leave_b, crossing_b = _crossing(place_b, slope_b)
    first, second = torch.minimum(crossing_a, crossing_b), torch.maximum(crossing_a, crossing_b)
    a_is_first = crossing_a < crossing_b
    between_a, between_b = torch.where(a_is_first, leave_a, enter_a), torch.where(a_is_first, enter_b, leave_b)
    return [(enter_a, enter_b, first), (between_a, between_b, second - first), (leave_a, leave_b, 1.0 - second)]


def _crossing(place: Tensor, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Voxels where each segment enters and leaves along one axis, and the share of the segment before the crossing."""
    thin = slope.abs() < MIN_FOOTPRINT  # on a face: half to each side, as the slabs have it
    place = torch.where(thin, place + (slope - MIN_FOOTPRINT) / 2, place)
    slope = torch.where(thin, MIN_FOOTPRINT, slope)
    enter = torch.floor(place.detach())
    leave = torch.floor((place + slope).detach())
    leave = enter + (leave - enter).clamp(-1, 1)  # rounding on a slope of 1
    share = (torch.maximum(enter, leave) - place) / slope
    share = torch.where(enter == leave, 1.0, share.clamp(0, 1))
    return enter.long(), leave.long(), share


def _linear_taps(place_a: Tensor, slope_a: Tensor, place_b: Tensor, slope_b: Tensor) -> Taps:
    """The four voxel centres about each ray in the middle of each slice, with bilinear weights."""
    middle_a, middle_b = place_a + slope_a / 2 - 0.5, place_b + slope_b / 2 - 0.5
    low_a, low_b = torch.floor(middle_a.detach()), torch.floor(middle_b.detach())
    share_a, share_b = middle_a - low_a, middle_b - low_b
    return [
        (
            (low_a + step_a).long(),
            (low_b + step_b).long(),
            (share_a if step_a else 1 - share_a) * (share_b if step_b else 1 - share_b),
        )
        for step_a in (0, 1)
        for step_b in (0, 1)
    ]
