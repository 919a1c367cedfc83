"""What tells the vertebrae of a training sample apart: the vertebra field on its cube, and where two are close."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.anatomy.vertebra_field import centroids_of_labels, level_of_label, vertebra_field
from TomoRayLib.geometry.grid import Grid

GAP_REACH_MM = 8.0  # from the middle of a disc to both endplates
CUT_SHARE = 0.5  # of its neighbour's size, below which the last vertebra of a stretch must have been cut
HIGHEST_LABEL = 255


def field_on_cube(labels: NDArray[np.integer], grid: Grid, cube: Grid) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The vertebra field of a scene on a cube, and where it holds.

    Centroids are those of the whole scene, so that a vertebra cut by the cube keeps its own. A vertebra cut by the
    scene, or by the scan that it was made of, has no field.

    Args:
        labels: VerSe numbers (z, y, x).
        grid: Their grid, along the axes.
        cube: The grid of the result, along the axes.

    Returns:
        The field (4, z, y, x), see ``anatomy.vertebra_field``, and where it holds (z, y, x).
    """
    centroids_mm = centroids_of_labels(labels, grid)
    for label in cut_vertebrae(labels):
        centroids_mm.pop(label, None)
    on_cube = nearest_on_cube(torch.from_numpy(np.ascontiguousarray(labels)), grid, cube)
    return vertebra_field(on_cube.numpy(), cube, centroids_mm)


def cut_vertebrae(labels: NDArray[np.integer]) -> set[int]:
    """The numbers of vertebrae (z, y, x) that touch a face of the volume, or that are the last of the stretch and less
    than half as large as their neighbour."""
    sizes = np.bincount(labels.ravel())
    present = sorted((np.flatnonzero(sizes[1:]) + 1).tolist(), key=level_of_label)  # T13 (28) lies above L1
    cut = {int(label) for axis in range(3) for face in (0, -1) for label in np.unique(np.take(labels, face, axis))}
    for last, neighbour in (present[:2], present[:-3:-1]) if len(present) > 1 else ():
        if sizes[last] < CUT_SHARE * sizes[neighbour]:
            cut.add(int(last))
    return cut - {0}


def nearest_on_cube(labels: Tensor, grid: Grid, cube: Grid) -> Tensor:
    """Labels (z, y, x) on a grid along the axes, nearest to each voxel of a cube along the axes; 0 outside."""
    chosen, inside = [], []
    for axis in range(3):
        places = cube.origin_mm[axis] + np.arange(cube.size[axis]) * cube.spacing_mm[axis]
        index = np.rint((places - grid.origin_mm[axis]) / grid.spacing_mm[axis]).astype(np.int64)
        inside.append(torch.from_numpy((index >= 0) & (index < grid.size[axis])).to(labels.device))
        chosen.append(torch.from_numpy(index.clip(0, grid.size[axis] - 1)).to(labels.device))
    x, y, z = chosen
    within_x, within_y, within_z = inside
    sampled = labels[z][:, y][:, :, x]
    return sampled * (within_z[:, None, None] & within_y[:, None] & within_x)


def between_vertebrae(labels: Tensor, spacing_mm: float, reach_mm: float = GAP_REACH_MM) -> Tensor:
    """Where two vertebrae lie within reach: discs, the endplates beside them, and the joints of the arches.

    Args:
        labels: VerSe numbers (z, y, x), below 255.
        spacing_mm: The edge of a voxel.
        reach_mm: How far to look along each axis.

    Returns:
        1 there and 0 elsewhere, uint8 (z, y, x).
    """
    radius = max(1, round(reach_mm / spacing_mm))
    high = labels[None, None].float()
    low = torch.where(high > 0, HIGHEST_LABEL - high, 0.0)  # the lowest number within reach, upside down
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = 2 * radius + 1, radius
        high, low = (F.max_pool3d(one, kernel, stride=1, padding=padding) for one in (high, low))
    return ((high > 0) & (high != HIGHEST_LABEL - low)).byte()[0, 0]
