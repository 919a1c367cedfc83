"""Metrics of each vertebra: Dice, HD95, ASSD, NSD at 1 and 2 mm, error of the centroid, its shift.

The truth has labels (VerSe numbers, see ``vertebrae.py``), the prediction is one binary bone mask. Each predicted
voxel is given to the nearest truth vertebra within ``ASSIGNMENT_LIMIT_MM``; what lies farther away belongs to none
(it still counts in the whole-spine scores). So the scores say how well the bone *near* a vertebra matches it; they do
not penalise a mask that runs from one vertebra into the next except through its shape. Bone of the truth that is not
told apart (``vertebrae.WHOLE_SPINE_LABEL``) has no row, and takes the predicted voxels nearest to it.

Arrays are ``(z, y, x)``, ``spacing_mm`` is ``(x, y, z)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, vertebra_labels_in
from TomoRayLib.geometry.masks import Box, Mask, bounding_box, support_of
from TomoRayLib.metrics.shift import Shift, ShiftTarget, shift_onto
from TomoRayLib.metrics.surface import (
    Surface,
    Vector3,
    average_symmetric_distance_mm,
    hausdorff_mm,
    normalized_surface_dice,
    surface_distances,
    surface_of,
)

Labels = NDArray[Any]
ASSIGNMENT_LIMIT_MM = 10.0  # our choice: wider than half a disc space, narrower than half a vertebra


@dataclass(frozen=True)
class VertebraRow:
    """Scores of one vertebra.

    A vertebra without any predicted voxel has Dice and NSD 0, infinite HD95 and ASSD, and NaN errors.
    ``touches_edge``: the truth reaches the edge of the field of view, so it is probably cut and its
    centroid means little. ``shift_left_mm``, ``shift_posterior_mm`` and ``shift_superior_mm`` say where the predicted
    bone near the vertebra lies, seen from it, and ``dice_moved`` is the Dice after moving it back (``metrics.shift``);
    voxels are given to vertebrae anew after the move. NaN of cut ones, and in results of earlier versions.
    """

    label: int
    name: str
    dice: float
    hd95_mm: float
    assd_mm: float
    nsd_1mm: float
    nsd_2mm: float
    centroid_error_mm: float
    touches_edge: bool
    shift_left_mm: float = math.nan
    shift_posterior_mm: float = math.nan
    shift_superior_mm: float = math.nan
    dice_moved: float = math.nan

    @property
    def shift(self) -> Shift:
        """The shift with the Dice before and after."""
        return Shift(self.shift_left_mm, self.shift_posterior_mm, self.shift_superior_mm, self.dice, self.dice_moved)


@dataclass(frozen=True, eq=False)
class TruthVertebra:
    """One vertebra of the truth before any prediction: box, mask in that box, surface, extent."""

    label: int
    box: Box
    mask: Mask
    voxels: int
    surface: Surface
    centroid_mm: NDArray[np.float64]
    touches_edge: bool


@dataclass(frozen=True, eq=False)
class NearestVertebra:
    """Label of the nearest truth vertebra, 0 beyond the limit, for the voxels of ``box``; 0 outside the box."""

    box: Box | None
    labels: Labels

    @cached_property
    def boxes(self) -> dict[int, Box]:
        """Slices of ``labels`` around the voxels of each vertebra."""
        found = enumerate(ndimage.find_objects(self.labels), start=1)
        return {label: box for label, box in found if box is not None}


def dice(prediction: Mask, truth: Mask) -> float:
    """Dice coefficient of two masks: ``2 |P and T| / (|P| + |T|)``.

    Args:
        prediction: Boolean ``(z, y, x)``.
        truth: Boolean ``(z, y, x)`` on the same grid.

    Returns:
        0 (no overlap) to 1 (identical); NaN if both masks are empty.
    """
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(truth))
    return 2 * int(np.count_nonzero(prediction & truth)) / total if total else math.nan


def truth_vertebrae(labels: Labels, spacing_mm: Vector3) -> tuple[TruthVertebra, ...]:
    """List the vertebrae of a label volume from cranial to caudal; none if the mask does not tell them apart."""
    return tuple(_truth_vertebra(labels, label, box, spacing_mm) for label, box in vertebra_boxes(labels).items())


def vertebra_boxes(labels: Labels) -> dict[int, Box]:
    """Slices ``(z, y, x)`` around each vertebra of a label volume, by VerSe number from cranial to caudal."""
    around = support_of(labels).box
    if around is None:
        return {}
    found = dict(enumerate(ndimage.find_objects(labels[around].astype(np.int32)), start=1))
    present = vertebra_labels_in(label for label, box in found.items() if box is not None)
    return {label: _moved(found[label], around) for label in present}


def nearest_vertebra(labels: Labels, spacing_mm: Vector3, limit_mm: float = ASSIGNMENT_LIMIT_MM) -> NearestVertebra:
    """Find for each voxel the vertebra whose voxel centre is nearest, if it is at most ``limit_mm`` away."""
    if not limit_mm >= 0:
        raise ValueError(f"limit_mm must not be negative; got {limit_mm}. Use {ASSIGNMENT_LIMIT_MM} mm.")
    mask = vertebra_mask(labels)
    found = bounding_box(mask)
    if found is None or not vertebra_labels_in(np.unique(labels[found])):  # nothing, or nothing told apart
        return NearestVertebra(None, np.zeros((0, 0, 0), dtype=np.uint8))
    sampling = tuple(spacing_mm[::-1])
    z, y, x = (
        slice(max(s.start - math.ceil(limit_mm / step), 0), s.stop + math.ceil(limit_mm / step))
        for s, step in zip(found, sampling, strict=True)
    )
    indices = ndimage.distance_transform_edt(
        ~mask[z, y, x], sampling=sampling, return_distances=False, return_indices=True
    )
    nearest = _labels_within(labels[z, y, x], indices, sampling, limit_mm)
    box = tuple(slice(s.start, s.start + n) for s, n in zip((z, y, x), nearest.shape, strict=True))
    return NearestVertebra((box[0], box[1], box[2]), nearest)


def _labels_within(
    labels: Labels, indices: NDArray[np.int32], steps_mm: tuple[float, ...], limit_mm: float
) -> NDArray[np.uint8]:
    """Labels at ``indices`` (3, z, y, x), 0 if that voxel is beyond ``limit_mm``; ``steps_mm`` is (z, y, x)."""
    nearest = np.zeros(labels.shape, dtype=np.uint8)
    for z, part in enumerate(nearest):  # slice by slice: distances in float64 would be eight times the labels
        places = np.ogrid[z : z + 1, : part.shape[0], : part.shape[1]]
        apart = [(found[z] - own[0]) * step for found, own, step in zip(indices, places, steps_mm, strict=True)]
        distances_mm = np.sqrt(apart[0] ** 2 + apart[1] ** 2 + apart[2] ** 2)
        part[:] = labels[indices[0, z], indices[1, z], indices[2, z]]
        part[distances_mm > limit_mm] = 0
    return nearest


def vertebra_rows(
    prediction: Mask, vertebrae: Iterable[TruthVertebra], nearest: NearestVertebra, spacing_mm: Vector3
) -> tuple[VertebraRow, ...]:
    """One row for each truth vertebra, in the given order, for a binary prediction of the whole volume's shape."""
    if nearest.box is None:
        return ()
    assigned = np.where(prediction[nearest.box], nearest.labels, 0)
    boxes = dict(enumerate(ndimage.find_objects(assigned), start=1))
    rows = []
    for vertebra in vertebrae:
        row, centroid_mm = _row(vertebra, assigned, boxes.get(vertebra.label), nearest.box, spacing_mm)
        if centroid_mm is not None and not vertebra.touches_edge:
            away_mm = centroid_mm - vertebra.centroid_mm
            target = _shift_target(vertebra, nearest)
            row = _with_shift(row, shift_onto(prediction, target, spacing_mm, _xyz(away_mm)))
        rows.append(row)
    return tuple(rows)


def _moved(box: Box, around: Box) -> Box:
    """A box inside another one, as slices of the volume that holds both."""
    z, y, x = (slice(a.start + b.start, a.start + b.stop) for a, b in zip(around, box, strict=True))
    return (z, y, x)


def _truth_vertebra(labels: Labels, label: int, box: Box, spacing_mm: Vector3) -> TruthVertebra:
    mask = labels[box] == label
    start = np.array([s.start for s in box])
    touches = any(s.start == 0 or s.stop == n for s, n in zip(box, labels.shape, strict=True))
    return TruthVertebra(
        label=label,
        box=box,
        mask=mask,
        voxels=int(np.count_nonzero(mask)),
        surface=surface_of(mask, spacing_mm, _ijk(start)),
        centroid_mm=_centroid_mm(mask, start, spacing_mm),
        touches_edge=touches,
    )


def _row(
    truth: TruthVertebra, assigned: Labels, box: Box | None, around: Box, spacing_mm: Vector3
) -> tuple[VertebraRow, NDArray[np.float64] | None]:
    """Scores of one vertebra without its shift, and the (z, y, x) mm of the predicted centroid.

    ``box`` is relative to ``assigned``, which lies in the box ``around`` of the volume.
    """
    name, start = NAME_OF_LABEL[truth.label], np.array([s.start for s in around])
    if box is None:
        missing = (0.0, math.inf, math.inf, 0.0, 0.0, math.nan)
        return VertebraRow(truth.label, name, *missing, truth.touches_edge), None
    mask = assigned[box] == truth.label
    first = start + [s.start for s in box]
    distances = surface_distances(truth.surface, surface_of(mask, spacing_mm, _ijk(first)), threads=1)
    truth_box = tuple(slice(s.start - offset, s.stop - offset) for s, offset in zip(truth.box, start, strict=True))
    overlap = int(np.count_nonzero((assigned[truth_box] == truth.label) & truth.mask))
    centroid_mm = _centroid_mm(mask, first, spacing_mm)
    row = VertebraRow(
        label=truth.label,
        name=name,
        dice=2 * overlap / (truth.voxels + int(np.count_nonzero(mask))),
        hd95_mm=hausdorff_mm(distances),
        assd_mm=average_symmetric_distance_mm(distances),
        nsd_1mm=normalized_surface_dice(distances, 1.0),
        nsd_2mm=normalized_surface_dice(distances, 2.0),
        centroid_error_mm=float(np.linalg.norm(centroid_mm - truth.centroid_mm)),
        touches_edge=truth.touches_edge,
    )
    return row, centroid_mm


def _with_shift(row: VertebraRow, shift: Shift) -> VertebraRow:
    return replace(
        row,
        shift_left_mm=shift.left_mm,
        shift_posterior_mm=shift.posterior_mm,
        shift_superior_mm=shift.superior_mm,
        dice_moved=shift.dice_moved,
    )


def _shift_target(truth: TruthVertebra, nearest: NearestVertebra) -> ShiftTarget:
    """The vertebra with the voxels that are nearest to it, in the box of these."""
    assert nearest.box is not None
    inside = nearest.boxes[truth.label]
    box = _moved(inside, nearest.box)
    counted = nearest.labels[inside] == truth.label
    mask = np.zeros(counted.shape, dtype=bool)
    mask[tuple(slice(t.start - s.start, t.stop - s.start) for t, s in zip(truth.box, box, strict=True))] = truth.mask
    return ShiftTarget(box, mask, counted)


def _centroid_mm(mask: Mask, start: NDArray[np.int_], spacing_mm: Vector3) -> NDArray[np.float64]:
    """(3,) mean voxel centre in (z, y, x) mm from the centre of the volume's first voxel."""
    return (np.argwhere(mask).mean(axis=0) + start) * np.asarray(spacing_mm[::-1])


def _ijk(start: NDArray[np.int_]) -> tuple[int, int, int]:
    z, y, x = (int(value) for value in start)
    return (z, y, x)


def _xyz(zyx: NDArray[np.float64]) -> Vector3:
    z, y, x = zyx.tolist()
    return (x, y, z)
