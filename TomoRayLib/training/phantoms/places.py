"""Where each voxel of a scene looks in a volume: smooth, so known at nodes some millimetres apart and interpolated.

What a scene is bent, scaled and turned by is worked out at the nodes alone; voxels are interpolated between them while
they are sampled, without a volume of positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.kernels import has_kernels
from TomoRayLib.training.phantoms.sampling import labels_at, sample_at

NODE_MM = 4.0
Box = tuple[slice, slice, slice]


def node_shape(grid: Grid) -> tuple[int, int, int]:
    """(z, y, x) nodes of a scene: at most 4 mm apart, and never more than its voxels."""
    counts = [
        min(n, math.ceil((n - 1) * step / NODE_MM) + 1) for n, step in zip(grid.size, grid.spacing_mm, strict=True)
    ]
    return counts[2], counts[1], counts[0]


def interpolated(nodes: Tensor, shape: tuple[int, int, int], box: Box | None = None) -> Tensor:
    """(..., z, y, x) values at the voxels of a scene of ``shape``, or of a ``box`` of it, from those at its nodes.

    The first and the last node lie at the first and the last voxel of the scene along each axis.
    """
    result = nodes
    for axis in (2, 1, 0):  # along z last: it copies whole slices
        low, share = _between_nodes(nodes.shape[axis - 3], shape[axis], None if box is None else box[axis])
        at, dim = torch.from_numpy(low).to(nodes.device), axis - 3
        weight = torch.from_numpy(share).to(nodes.device).view(-1, *(1,) * (2 - axis))
        result = torch.lerp(result.index_select(dim, at), result.index_select(dim, at + 1), weight)
    return result


def _between_nodes(count: int, voxels: int, part: slice | None) -> tuple[np.ndarray, np.ndarray]:
    """For each voxel along an axis, or each of a ``part``: the node before it, and its share of the way to the next."""
    every = np.arange(voxels) if part is None else np.arange(part.start, part.stop)
    place = every * ((count - 1) / max(voxels - 1, 1))
    low = np.minimum(place.astype(np.int64), max(count - 2, 0))
    return low, (place - low).astype(np.float32)


@dataclass(frozen=True)
class Places:
    """Places in a volume, LPS mm: ``nodes`` (3, z, y, x) are x, y and z at the nodes of a scene of ``shape`` voxels."""

    nodes: Tensor
    shape: tuple[int, int, int]

    @staticmethod
    def of(x: Tensor, y: Tensor, z: Tensor, shape: tuple[int, int, int]) -> Places:
        """From the places' coordinates at the nodes, each (z, y, x)."""
        return Places(torch.stack([x, y, z]), shape)

    def within(self, box: Box) -> tuple[Tensor, Tensor, Tensor]:
        """x, y and z of the voxels in a box of the scene."""
        x, y, z = interpolated(self.nodes, self.shape, box)
        return x, y, z

    def sampled(self, volume: Tensor, grid: Grid, outside: float, box: Box | None = None) -> Tensor:
        """Trilinear samples as of ``sample_at``, float32: of all the scene, or of a box of it."""
        box = box or _whole(self.shape)
        if self._is_compiled(volume):
            from TomoRayLib.training.phantoms.sampling_kernel import sampled

            return sampled(volume, self._in_voxels(grid), self._along(box), outside)
        return sample_at(volume, grid, *self.within(box), outside=outside)

    def labels(self, volume: Tensor, grid: Grid, box: Box | None = None) -> Tensor:
        """Nearest samples of a label volume (z, y, x), 0 beyond it: of all the scene, or of a box of it."""
        box = box or _whole(self.shape)
        if self._is_compiled(volume):
            from TomoRayLib.training.phantoms.sampling_kernel import nearest

            return nearest(volume, self._in_voxels(grid), self._along(box))
        return labels_at(volume, grid, *self.within(box))

    def box_inside(self, grid: Grid) -> Box:
        """A box of the scene that holds every voxel which looks into ``grid``, some more, and at least two an axis."""
        inside = torch.ones(self.nodes.shape[1:], dtype=torch.bool, device=self.nodes.device)
        for value, start, step, n in zip(self.nodes, grid.origin_mm, grid.spacing_mm, grid.size, strict=True):
            reach_mm = step + NODE_MM
            inside &= (value > start - reach_mm) & (value < start + (n - 1) * step + reach_mm)
        slices = []
        for part, count, voxels in zip(box_of(inside), inside.shape, self.shape, strict=True):
            per_node = (voxels - 1) / max(count - 1, 1)
            first, last = math.floor((part.start - 1) * per_node), math.ceil(part.stop * per_node)
            slices.append(_at_least_two(max(first, 0), min(last + 1, voxels), voxels))
        return slices[0], slices[1], slices[2]

    def _is_compiled(self, volume: Tensor) -> bool:
        return volume.device.type == "cpu" and has_kernels(self.nodes.device)

    def _in_voxels(self, grid: Grid) -> np.ndarray:
        """The nodes in voxels of an axis-aligned grid, (3, z, y, x)."""
        start, step = (np.array(one, np.float32)[:, None, None, None] for one in (grid.origin_mm, grid.spacing_mm))
        return np.ascontiguousarray((self.nodes.numpy() - start) / step, dtype=np.float32)

    def _along(self, box: Box) -> list[tuple[np.ndarray, np.ndarray]]:
        """For z, y, x: the node before each voxel of a box, and its share of the way to the next."""
        counts = self.nodes.shape[1:]
        return [_between_nodes(n, size, part) for n, size, part in zip(counts, self.shape, box, strict=True)]


def box_of(inside: Tensor, margin: int = 0) -> Box:
    """The slices (z, y, x) that hold all that is true and ``margin`` voxels more; at least two along each axis."""
    slices = []
    for axis, length in enumerate(inside.shape):
        along = torch.nonzero(inside.amax(dim=tuple(other for other in range(3) if other != axis)))
        first, last = (int(along[0]) - margin, int(along[-1]) + 1 + margin) if len(along) else (0, 0)
        slices.append(_at_least_two(first, last, length))
    return slices[0], slices[1], slices[2]


def box_within(outer: Box, inner: Box) -> Box:
    """The place in the scene of a box that is told within another box."""
    z, y, x = (slice(a.start + b.start, a.start + b.stop) for a, b in zip(outer, inner, strict=True))
    return z, y, x


def _at_least_two(first: int, last: int, length: int) -> slice:
    first = max(min(first, length - 2), 0)
    return slice(first, min(max(last, first + 2), length))


def _whole(shape: tuple[int, int, int]) -> Box:
    z, y, x = (slice(0, n) for n in shape)
    return z, y, x
