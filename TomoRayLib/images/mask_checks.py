"""Checks of vertebra masks: what a mask holds, and whether it lies in its CT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.vertebrae import (
    COCCYX_LABEL,
    NAME_OF_LABEL,
    SACRUM_LABEL,
    WHOLE_SPINE_LABEL,
    vertebra_labels_in,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import labels_on_grid
from TomoRayLib.images.types import Volume

LEAST_OVERLAP = 0.1  # of the mask's vertebra voxels
TOTALSEGMENTATOR_VERTEBRAE = frozenset(range(29, 51))  # L3 to C1 there; no number of VerSe
MANY_OTHER_LABELS = 5  # that VerSe does not have; a mask of the whole body has up to 117
WHOLE_SPINE_MM = 60.0  # taller than any one vertebra with its processes


class MaskContent(str, Enum):
    """The structures that a mask tells apart."""

    VERTEBRAE = "vertebrae"
    WHOLE_SPINE = "whole spine"


@dataclass(frozen=True)
class MaskDescription:
    """The content of a mask; ``labels`` are its vertebrae from cranial to caudal, empty for a whole-spine mask."""

    content: MaskContent
    labels: tuple[int, ...]
    note: str | None = None


def describe_mask(mask: Volume, name: str = "The mask") -> MaskDescription:
    """Tell whether a mask holds vertebrae in VerSe numbering or one label for the whole spine.

    A mask whose only label is 1 or 255 and that is taller than 60 mm is a binary spine mask: accepted with a note, as
    label 1 alone would be C1. Raises InputError for fractional values, an empty mask, labels without any vertebra, and
    five or more labels above 28 (not 255): then 1-25 are organs.
    """
    voxels = mask.voxels
    if not np.issubdtype(voxels.dtype, np.integer) and voxels.dtype != np.bool_:
        raise InputError(
            f"{name}: expected a label map of whole numbers, got {voxels.dtype} values; choose the mask instead of "
            "the CT, or read it with read_labels."
        )
    found = tuple(int(label) for label in np.unique(voxels) if label != 0)
    if not found:
        raise InputError(f"{name}: expected vertebra labels, got an empty mask; choose another or leave it out.")
    if found in ((1,), (255,)) and labelled_height_mm(mask) > WHOLE_SPINE_MM:
        note = (
            f"{name} has the one label {found[0]}: taken as the whole spine. Numbers per vertebra need labels 1-25 "
            "(C1-L6) and 28 (T13)."
        )
        return MaskDescription(MaskContent.WHOLE_SPINE, (), note)
    others = tuple(label for label in found if label > max(NAME_OF_LABEL) and label != WHOLE_SPINE_LABEL)
    if len(others) >= MANY_OTHER_LABELS or set(others) & TOTALSEGMENTATOR_VERTEBRAE:
        raise InputError(
            f"{name}: expected vertebra labels in VerSe numbering, got labels like {_some(others)}, which "
            "looks like TotalSegmentator's numbering of the whole body (vertebrae 27-50 there): renumber L5..C1 = "
            "27..50 to 24..1, or export the vertebrae alone, as one label."
        )
    labels = vertebra_labels_in(found)
    if not labels:
        raise InputError(
            f"{name}: expected vertebra labels 1-25 (C1-L6) or 28 (T13) in VerSe numbering, got {_some(found)}; "
            "renumber the mask or choose another."
        )
    return MaskDescription(MaskContent.VERTEBRAE, labels, _note_on_others(found, name))


def labelled_height_mm(mask: Volume) -> float:
    """Extent of the labelled voxels along the patient's long axis, outer face to outer face."""
    axes = [np.flatnonzero(np.any(mask.voxels, axis=other)) for other in ((0, 1), (0, 2), (1, 2))]
    if not all(len(indices) for indices in axes):
        return 0.0
    spans_mm = [(indices[-1] - indices[0] + 1) * mm for indices, mm in zip(axes, mask.grid.spacing_mm, strict=True)]
    long_axis = int(np.argmax(np.abs(mask.grid.direction_matrix[2])))
    return float(spans_mm[long_axis])


def prepared_mask(mask: Volume, ct: Volume, name: str = "The mask") -> tuple[Volume, tuple[str, ...]]:
    """Bring a mask of vertebrae or of the whole spine onto the CT's grid, in the program's own labels.

    A whole-spine mask becomes uint8 with ``WHOLE_SPINE_LABEL``; in a mask of vertebrae that label has no meaning and is
    removed.

    Args:
        mask: Labels ``(z, y, x)``: VerSe numbers, or one label for the whole spine.
        ct: The CT that the mask belongs to.
        name: The name of the mask at the beginning of messages.

    Returns:
        The mask on the CT's grid, and notes on what was done.

    Raises:
        InputError: If the mask is empty or fractional, holds no vertebra, uses another numbering, or less than 10 % of
            its vertebra voxels lie inside the CT.
    """
    description = describe_mask(mask, name)
    if description.content is MaskContent.WHOLE_SPINE:
        mask = replace(mask, voxels=np.where(mask.voxels != 0, WHOLE_SPINE_LABEL, 0).astype(np.uint8))
    elif bool(np.any(mask.voxels == WHOLE_SPINE_LABEL)):
        mask = replace(
            mask, voxels=np.where(mask.voxels == WHOLE_SPINE_LABEL, 0, mask.voxels).astype(mask.voxels.dtype)
        )
    matched, resampled = match_mask(mask, ct)
    return matched, tuple(note for note in (description.note, resampled) if note)


def match_mask(mask: Volume, ct: Volume) -> tuple[Volume, str | None]:
    """Bring the mask onto the CT's grid by nearest neighbour, with a note if it had to be resampled.

    A mask that lies on the other grid of a CT whose header states two was made by a program that read the other one.
    Raises InputError if less than 10 % of the mask's vertebra voxels lie inside the CT, or none is left after
    resampling.
    """
    if mask.grid.same_as(ct.grid):
        return mask, None
    if _lies_by_the_other_grid(mask, ct):
        note = (
            "One of the headers of mask and CT states two places (sform and qform), and the other file lies at the "
            "second one: the mask was put onto the CT voxel by voxel."
        )
        return replace(mask, grid=ct.grid, other_grid=None), note
    inside = share_inside(mask, ct.grid)
    if inside < LEAST_OVERLAP:
        same_size = mask.grid.size == ct.grid.size
        hint = " Both have the same size: has one of them lost its header?" if same_size else ""
        raise InputError(
            f"Mask and CT: expected a mask that lies in the CT, got {inside:.0%} of its vertebra voxels inside "
            f"(mask {_place(mask.grid)}; CT {_place(ct.grid)}); choose the mask made from this CT.{hint}"
        )
    note = (
        f"The mask's grid differs from the CT's and was resampled by nearest neighbour; {inside:.0%} of its vertebra "
        "voxels lie inside the CT."
    )
    matched = labels_on_grid(mask, ct.grid)
    if not vertebra_mask(matched.voxels).any():
        raise InputError(
            f"Mask and CT: expected vertebrae in the CT, got no voxel of any after resampling (mask "
            f"{_place(mask.grid)}; CT {_place(ct.grid)}); choose the mask made from this CT, and check both spacings."
        )
    return matched, note


def _lies_by_the_other_grid(mask: Volume, ct: Volume) -> bool:
    by_the_other_of_the_ct = ct.other_grid is not None and mask.grid.same_as(ct.other_grid)
    return by_the_other_of_the_ct or (mask.other_grid is not None and mask.other_grid.same_as(ct.grid))


def share_inside(mask: Volume, grid: Grid) -> float:
    """Share (0..1) of the mask's vertebra voxels whose centres lie inside ``grid``; 0 for a mask without any."""
    positions = np.argwhere(vertebra_mask(mask.voxels))
    if len(positions) == 0:
        return 0.0
    positions = positions[:: max(1, len(positions) // 200_000), ::-1]  # (n, 3) as (i, j, k); 200 000 tell enough
    mask_to_grid = grid.world_to_index @ mask.grid.index_to_world
    indices = positions @ mask_to_grid[:3, :3].T + mask_to_grid[:3, 3]
    return float(np.mean(np.all((indices >= -0.5) & (indices <= np.asarray(grid.size) - 0.5), axis=1)))


def _note_on_others(found: tuple[int, ...], name: str) -> str | None:
    known = {*NAME_OF_LABEL, SACRUM_LABEL, COCCYX_LABEL}
    others = tuple(label for label in found if label not in known)
    return f"{name} also has the labels {_some(others)}, which are not vertebrae: left out." if others else None


def _some(labels: tuple[int, ...]) -> str:
    text = ", ".join(str(label) for label in labels[:20])
    return f"{text}, ... ({len(labels)} labels)" if len(labels) > 20 else text


def _place(grid: Grid) -> str:
    x_mm, y_mm, z_mm = grid.center_mm
    return f"{grid.size} voxels around ({x_mm:.0f}, {y_mm:.0f}, {z_mm:.0f}) mm"
