"""Checks of vertebra masks: what a mask holds, and whether it lies in its CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.numbering_choice import check_labels, choose_reading, shown
from TomoRayLib.anatomy.numberings import AUTO, WHOLE_SPINE, Reading
from TomoRayLib.anatomy.vertebrae import COCCYX_LABEL, SACRUM_LABEL, WHOLE_SPINE_LABEL, vertebra_labels_in
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.masks.label_maps import check_label_values, renumbered
from TomoRayLib.images.masks.parts import parts_of
from TomoRayLib.images.resampling import labels_on_grid
from TomoRayLib.images.types import Volume

LEAST_OVERLAP = 0.1  # of the mask's vertebra voxels
WHOLE_SPINE_MM = 60.0  # taller than any one vertebra with its processes


class MaskContent(str, Enum):
    """The structures that a mask tells apart."""

    VERTEBRAE = "vertebrae"
    WHOLE_SPINE = "whole spine"


@dataclass(frozen=True)
class MaskDescription:
    """The content of a mask; ``labels`` are its vertebrae from cranial to caudal, empty for a whole-spine mask.

    ``meaning`` gives the VerSe label of each of its numbers that is a vertebra or the sacrum.
    """

    content: MaskContent
    labels: tuple[int, ...]
    note: str | None = None
    warning: str | None = None
    meaning: Mapping[int, int] = field(default_factory=dict)


def describe_mask(mask: Volume, name: str = "The mask", labels: str = AUTO) -> MaskDescription:
    """Tell which vertebrae a mask holds, or whether it has one label for the whole spine.

    A mask whose only label is 1 or 255 and that is taller than 60 mm is a binary spine mask: accepted with a note, as
    label 1 alone would be C1.

    Args:
        mask: Labels ``(z, y, x)``.
        name: The name of the mask at the beginning of messages.
        labels: Its numbering, one of ``LABEL_CHOICES``; ``"auto"`` is VerSe's, or another that the mask itself shows.

    Returns:
        The vertebrae, in VerSe numbering.

    Raises:
        InputError: For fractional values, an empty mask, labels without any vertebra, and numbers that contradict the
            numbering or can be read in several.
    """
    check_labels(labels)
    check_label_values(mask.voxels, name)
    parts = parts_of(mask)
    if not parts:
        raise InputError(f"{name}: expected vertebra labels, got an empty mask; choose another or leave it out.")
    found = tuple(parts)
    if labels == WHOLE_SPINE or found == (WHOLE_SPINE_LABEL,) or (labels == AUTO and found == (1,)):
        stated = labels == WHOLE_SPINE
        if stated or labelled_height_mm(mask) > WHOLE_SPINE_MM:
            return MaskDescription(MaskContent.WHOLE_SPINE, (), None if stated else _spine_note(found[0], name))
    vertebrae = {number: part for number, part in parts.items() if number != WHOLE_SPINE_LABEL}
    chosen = choose_reading(vertebrae or parts, labels, name)
    numbering = chosen.reading.numbering
    meaning = {number: label for number, label in numbering.vertebrae.items() if number in parts}
    if numbering.sacrum in parts:
        meaning[numbering.sacrum] = SACRUM_LABEL
    note = _note_on_others(tuple(number for number in found if number not in meaning), name)
    warning = chosen.warning
    if labels != AUTO and (foreign := note_on_unknown(chosen.reading, name)):
        note, warning = None, foreign
    return MaskDescription(MaskContent.VERTEBRAE, vertebra_labels_in(meaning.values()), note, warning, meaning)


def in_verse_numbers(mask: Volume, name: str = "The mask", labels: str = AUTO) -> Volume:
    """Give a mask the program's own labels: VerSe's numbers, or ``WHOLE_SPINE_LABEL``.

    Args:
        mask: Labels ``(z, y, x)``.
        name: The name of the mask at the beginning of messages.
        labels: Its numbering, as for ``describe_mask``.

    Returns:
        The mask on its own grid, what is no vertebra or sacrum left out, with notes and warnings.

    Raises:
        InputError: As ``describe_mask`` does.
    """
    description = describe_mask(mask, name, labels)
    voxels = mask.voxels
    if description.content is MaskContent.WHOLE_SPINE:
        voxels = np.where(voxels != 0, WHOLE_SPINE_LABEL, 0).astype(np.uint8)
    elif description.note or any(number != label for number, label in description.meaning.items()):
        voxels = renumbered(voxels, description.meaning)
    notes = (*mask.notes, *((description.note,) if description.note else ()))
    warnings = (*mask.warnings, *((description.warning,) if description.warning else ()))
    return replace(mask, voxels=voxels, notes=notes, warnings=warnings)


def labelled_height_mm(mask: Volume) -> float:
    """Extent of the labelled voxels along the patient's long axis, outer face to outer face."""
    axes = [np.flatnonzero(np.any(mask.voxels, axis=other)) for other in ((0, 1), (0, 2), (1, 2))]
    if not all(len(indices) for indices in axes):
        return 0.0
    spans_mm = [(indices[-1] - indices[0] + 1) * mm for indices, mm in zip(axes, mask.grid.spacing_mm, strict=True)]
    long_axis = int(np.argmax(np.abs(mask.grid.direction_matrix[2])))
    return float(spans_mm[long_axis])


def prepared_mask(
    mask: Volume, ct: Volume, name: str = "The mask", labels: str = AUTO
) -> tuple[Volume, tuple[str, ...]]:
    """Bring a mask of vertebrae or of the whole spine onto the CT's grid, in the program's own labels.

    A whole-spine mask becomes uint8 with ``WHOLE_SPINE_LABEL``; in a mask of vertebrae that label has no meaning and is
    removed.

    Args:
        mask: Labels ``(z, y, x)`` in a numbering of vertebrae, or one label for the whole spine.
        ct: The CT that the mask belongs to.
        name: The name of the mask at the beginning of messages.
        labels: Its numbering, as for ``describe_mask``.

    Returns:
        The mask on the CT's grid with its warnings, and notes on what was done.

    Raises:
        InputError: If the mask is empty or fractional, holds no vertebra, has a numbering that cannot be told, or less
            than 10 % of its vertebra voxels lie inside the CT.
    """
    placed = placed_mask(in_verse_numbers(mask, name, labels), ct)
    return placed, placed.notes[len(mask.notes) :]


def placed_mask(mask: Volume, ct: Volume) -> Volume:
    """Bring a mask in the program's own labels onto the CT's grid.

    Args:
        mask: Labels ``(z, y, x)`` as ``in_verse_numbers`` gives them.
        ct: The CT that the mask belongs to.

    Returns:
        The mask on the CT's grid with its notes and warnings, a note if it was resampled, and a warning if it has the
        size of the CT but another place.

    Raises:
        InputError: As ``match_mask`` does.
    """
    matched, resampled = match_mask(mask, ct)
    warnings = mask.warnings
    away_mm = float(np.linalg.norm(np.subtract(mask.grid.center_mm, ct.grid.center_mm)))
    elsewhere = away_mm > min(ct.grid.spacing_mm) and not _lies_by_the_other_grid(mask, ct)
    if mask.grid.size == ct.grid.size and elsewhere:
        warnings += (f"it has as many voxels as the CT but lies {away_mm:.0f} mm from it. Has one lost its header?",)
    return replace(matched, notes=(*mask.notes, *((resampled,) if resampled else ())), warnings=warnings)


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


def _spine_note(label: int, name: str) -> str:
    return (
        f"{name} has the one label {label}: taken as the whole spine. Numbers per vertebra need labels 1-25 (C1-L6) "
        "and 28 (T13)."
    )


def _note_on_others(numbers: tuple[int, ...], name: str) -> str | None:
    others = tuple(number for number in numbers if number != COCCYX_LABEL)
    return f"{name} also has the labels {shown(others)}, which are not vertebrae: left out." if others else None


def note_on_unknown(reading: Reading, name: str) -> str | None:
    """Return a sentence on labels that a stated numbering does not have; None without any."""
    known = reading.numbering.spine | reading.numbering.organs | {WHOLE_SPINE_LABEL}
    unknown = tuple(number for number in reading.others if number not in known)
    if not unknown:
        return None
    return (
        f"{name} also has the labels {shown(unknown)}, which the numbering of {reading.numbering.title} does not have: "
        "left out. Is it another numbering?"
    )


def _place(grid: Grid) -> str:
    x_mm, y_mm, z_mm = grid.center_mm
    return f"{grid.size} voxels around ({x_mm:.0f}, {y_mm:.0f}, {z_mm:.0f}) mm"
