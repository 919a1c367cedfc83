"""The vertebrae of a CT, labelled by a network: what was found, and its label map on the CT's own grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebra_decoding import DecodedVertebra, decode_vertebrae
from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.masks import bounding_box
from TomoRayLib.images.resampling import Interpolation, cropped, labels_on_grid, resample, resample_averaged
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.ct_segmenter import SPACING_MM
from TomoRayLib.segmentation.agreement import labels_at_ends
from TomoRayLib.segmentation.network_run import BONE_HU, predict

LABELS_BY_TOMORAY = "labels by TomoRay"  # the mark of everything that rests on them
BONE_MARGIN_MM = 10.0  # around the bone of the CT; the network looks no further
MASK_THRESHOLD = 0.5
REACH_MM = 3.0  # a voxel of the CT takes the label of a network's voxel no further away
SLAB_VOXELS = 4_000_000  # of the CT that get their labels at one time


@dataclass(frozen=True, eq=False)
class SegmentedCT:
    """Labels on the CT's grid (uint8, VerSe numbers), and the vertebrae from cranial to caudal.

    ``certainty`` is that of the numbering, as in ``DecodedSpine``; 0 without a vertebra.
    """

    labels: Volume
    vertebrae: tuple[DecodedVertebra, ...]
    certainty: float
    numbering: str

    @property
    def is_empty(self) -> bool:
        """True if no vertebra was found."""
        return not self.vertebrae


def segment_ct(ct: Volume, network: torch.nn.Module, precision: torch.dtype = torch.float32) -> SegmentedCT:
    """Find and name the vertebrae of a CT.

    Args:
        ct: CT in HU on any grid, as ``images.checks.check_ct`` lets pass.
        network: A ``networks.ct_segmenter.CTSegmenter`` with its weights.
        precision: Number type of the network's run.

    Returns:
        The vertebrae, in VerSe numbering; empty if there is none.
    """
    coarse = bone_part(ct)
    if coarse is None:
        return SegmentedCT(Volume(np.zeros(ct.grid.shape, np.uint8), ct.grid), (), 0.0, UNSURE)
    found = predict(coarse.voxels, network, precision)
    decoded = decode_vertebrae(found.probability > MASK_THRESHOLD, found.field, coarse.grid)
    labels = on_grid_of_ct(found.probability, decoded.labels, coarse.grid, ct.grid)
    cut = labels_at_ends(labels)
    vertebrae = tuple(
        replace(vertebra, whole=vertebra.whole and vertebra.number not in cut) for vertebra in decoded.vertebrae
    )
    return SegmentedCT(labels, vertebrae, decoded.certainty, decoded.numbering)


def bone_part(ct: Volume) -> Volume | None:
    """Return the part of a CT (HU) that holds its bone, at 2 mm along the axes of LPS; None without any bone."""
    coarse = resample_averaged(ct, ct.grid.upright(SPACING_MM))
    box = bounding_box(coarse.voxels > BONE_HU, round(BONE_MARGIN_MM / SPACING_MM))
    return None if box is None else cropped(coarse, box)


def on_grid_of_ct(
    probability: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], grid: Grid, ct_grid: Grid
) -> Volume:
    """Bring labels from the network's grid to that of the CT, with the smooth surface of the probability.

    Args:
        probability: Probability of vertebra (z, y, x) on ``grid``.
        labels: VerSe numbers (z, y, x) on ``grid``; bone without a number stays without.
        grid: The network's grid.
        ct_grid: The grid of the result.

    Returns:
        VerSe numbers (uint8) on ``ct_grid``.
    """
    result = np.zeros(ct_grid.shape, np.uint8)
    box = bounding_box(labels > 0, math.ceil(REACH_MM / SPACING_MM) + 1)
    if box is None:
        return Volume(result, ct_grid)
    near = cropped(Volume(labels, grid), box)
    share = cropped(Volume(probability, grid), box)
    share = Volume(share.voxels.astype(np.float32), share.grid)
    distance, nearest = ndimage.distance_transform_edt(near.voxels == 0, sampling=SPACING_MM, return_indices=True)
    is_taken = (near.voxels > 0) | ((share.voxels <= MASK_THRESHOLD) & (distance <= REACH_MM))
    widened = Volume(np.where(is_taken, near.voxels[tuple(nearest)], 0).astype(np.uint8), near.grid)
    for low, high in _slabs(widened.grid, ct_grid):
        part = ct_grid.part(low, high)
        inside = resample(share, part, Interpolation.LINEAR, fill=0.0).voxels > MASK_THRESHOLD
        i, j, k = (slice(first, end) for first, end in zip(low, high, strict=True))
        result[k, j, i] = labels_on_grid(widened, part).voxels * inside
    return Volume(result, ct_grid)


def _slabs(grid: Grid, ct_grid: Grid) -> Iterator[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    """First and end voxel (i, j, k) of the parts of ``ct_grid`` that together hold what lies in ``grid``."""
    corners = np.c_[grid.corners_mm(), np.ones(8)] @ ct_grid.world_to_index.T
    low = np.clip(np.floor(corners[:, :3].min(axis=0)).astype(int), 0, ct_grid.size)
    high = np.clip(np.ceil(corners[:, :3].max(axis=0)).astype(int) + 1, 0, ct_grid.size)
    if not (low < high).all():
        return
    thick = max(1, SLAB_VOXELS // int((high - low)[0] * (high - low)[1]))
    for first in range(int(low[2]), int(high[2]), thick):
        end = min(first + thick, int(high[2]))
        yield (int(low[0]), int(low[1]), first), (int(high[0]), int(high[1]), end)
