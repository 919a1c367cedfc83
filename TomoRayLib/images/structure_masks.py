"""Vertebra labels from a folder of binary masks, one per structure, as TotalSegmentator's data set has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from TomoRayLib.anatomy.vertebrae import label_of_structure
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort import stem_of
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.types import Volume


def read_structures(folder: Path) -> Volume:
    """One label map in VerSe numbering from ``vertebrae_L3.nii.gz`` and its like; other structures are not read.

    Where two masks overlap, the one further down the numbering wins. Raises InputError for a folder without any
    vertebra, and for masks on different grids.
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
