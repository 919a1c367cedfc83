"""The vertebrae of a segmentation in VerSe's numbers: of a label map, or of a folder of binary masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from TomoRayLib.anatomy.numbering_choice import FIELD, check_labels
from TomoRayLib.anatomy.numberings import AUTO, WHOLE_SPINE
from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL, label_of_structure
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort_finder import stem_of
from TomoRayLib.images.files import read_label_map
from TomoRayLib.images.masks.checks import in_verse_numbers
from TomoRayLib.images.masks.label_maps import LabelMap
from TomoRayLib.images.types import Volume


def read_segmentation(path: Path, labels: str = AUTO) -> Volume:
    """Read the vertebrae of a segmentation.

    Args:
        path: A label map, or a folder of binary masks named after vertebrae.
        labels: The numbering of a label map, one of ``LABEL_CHOICES``. With ``"auto"``, names in its header or in a
            table beside it count, else its numbers as ``in_verse_numbers`` reads them.

    Returns:
        Labels ``(z, y, x)``: VerSe's numbers, or ``WHOLE_SPINE_LABEL`` alone, with notes and warnings.

    Raises:
        InputError: As ``read_structures``, ``read_labels`` and ``in_verse_numbers`` do, and for a label map whose names
            mean no vertebra.
    """
    check_labels(labels)
    if path.is_dir() and any(stem_of(file) for file in path.iterdir()):
        return read_structures(path)
    found = read_label_map(path, by_name=labels == AUTO)
    if found.is_named:
        return _checked(found, path.name)
    if found.other_names or found.only_order:
        raise _names_no_vertebra(found, path.name)
    return in_verse_numbers(found.volume, path.name, labels)


def read_structures(folder: Path) -> Volume:
    """Combine a folder of binary masks into one label map.

    Args:
        folder: Folder of masks named as TotalSegmentator names them, ``vertebrae_L3.nii.gz``; other structures are not
            read.

    Returns:
        Labels ``(z, y, x)`` as uint8 in VerSe numbering (C1 is 1, L5 is 24) on the masks' grid. If two masks overlap,
        the higher number wins.

    Raises:
        InputError: The folder has no mask of a vertebra, or the masks lie on different grids.
    """
    paths = structures_in(folder)
    if not paths:
        raise InputError(
            f"{folder}: expected masks named after vertebrae (vertebrae_L3.nii.gz), got none; choose another folder."
        )
    labels: Volume | None = None
    for label, path in sorted(paths.items()):
        mask = read_label_map(path, by_name=False).volume
        if labels is None:
            labels = replace(mask, voxels=np.zeros(mask.voxels.shape, dtype=np.uint8))
        elif not mask.grid.same_as(labels.grid):
            raise InputError(
                f"{path}: expected the grid of the other masks in its folder, got {mask.grid.size} voxels of "
                f"{mask.grid.spacing_mm} mm; export them again from one CT."
            )
        labels.voxels[mask.voxels != 0] = label
    assert labels is not None
    return labels


def structures_in(folder: Path) -> dict[int, Path]:
    """Find the binary masks of vertebrae in a folder by their names.

    Args:
        folder: The folder; those in it are not looked at.

    Returns:
        The files by VerSe label. Of several with one vertebra's name, the last in the order of names.
    """
    named = ((label_of_structure(stem_of(path) or ""), path) for path in sorted(folder.iterdir()))
    return {label: path for label, path in named if label is not None}


def _checked(found: LabelMap, name: str) -> Volume:
    """The vertebrae by name, if they lie in their order along the body."""
    if bool(np.any(found.volume.voxels == WHOLE_SPINE_LABEL)) or not found.volume.voxels.any():
        return in_verse_numbers(found.volume, name, WHOLE_SPINE)
    try:
        return in_verse_numbers(found.volume, name, "verse")
    except InputError as error:
        raise InputError(f"{name}: by {found.source}: {str(error).removeprefix(f'{name}: ')}", error.field) from None


def _names_no_vertebra(found: LabelMap, name: str) -> InputError:
    if found.only_order:
        return InputError(
            f"{name}: expected segments named after vertebrae (L1, vertebrae_L1), got segments without names of their "
            "own, whose numbers only tell in which order they were made; name them in 3D Slicer, or state the "
            "numbering if the numbers have one.",
            FIELD,
        )
    shown = ", ".join(found.other_names[:6]) + (", ..." if len(found.other_names) > 6 else "")
    return InputError(
        f"{name}: expected names of vertebrae (L1, vertebrae_L1), got {shown} by {found.source}; choose another mask, "
        "correct the names, or state the numbering.",
        FIELD,
    )
