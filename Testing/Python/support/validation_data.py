"""Labelled CTs to validate on, one of them with the mask of somebody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.labelled_cts import a_labelled_ct
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume


def moved_away(labels: Volume) -> Volume:
    """The mask as if it were of a CT nearly a metre away."""
    return Volume(labels.voxels, replace(labels.grid, origin_mm=(900.0, 900.0, 900.0)))


def a_case(folder: Path, ct: Volume, mask: Volume) -> CohortCase:
    files = CohortCase("x", "x", folder / "x_ct.nii.gz", folder / "x_mask.nii.gz")
    write_volume(files.ct, ct)
    write_volume(files.segmentation, mask)
    return files


def a_case_with_another_mask(folder: Path) -> CohortCase:
    ct, mask = a_labelled_ct()
    return a_case(folder, ct, moved_away(mask))
