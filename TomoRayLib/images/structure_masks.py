"""Vertebra labels from a folder of binary masks, one per structure, as in TotalSegmentator's data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from TomoRayLib.anatomy.vertebrae import label_of_structure
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort_finder import stem_of
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.types import Volume


def read_segmentation(path: Path) -> Volume:
    """The label map of a case: a file, or a folder of binary masks. Raises InputError as reading either does."""
    return read_structures(path) if path.is_dir() else read_labels(path)


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
    paths = {label: path for path in sorted(folder.iterdir()) if (label := label_of_structure(stem_of(path) or ""))}
    if not paths:
        raise InputError(
            f"{folder}: expected masks named after vertebrae (vertebrae_L3.nii.gz), got none; choose another folder."
        )
    labels: Volume | None = None
    for label, path in sorted(paths.items()):
        mask = read_labels(path)
        if labels is None:
            labels = Volume(np.zeros(mask.voxels.shape, dtype=np.uint8), mask.grid)
        elif not mask.grid.same_as(labels.grid):
            raise InputError(
                f"{path}: expected the grid of the other masks in its folder, got {mask.grid.size} voxels of "
                f"{mask.grid.spacing_mm} mm; export them again from one CT."
            )
        labels.voxels[mask.voxels != 0] = label
    assert labels is not None
    return labels
