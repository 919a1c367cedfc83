"""A prepared case from the lopsided CT of ``labelled_cts``, without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.labelled_cts import written
from TomoRayLib.evaluation.prepared import CaseFiles, CaseSettings, PreparedCase, prepare, prepared_key
from TomoRayLib.evaluation.stage_store import StageStore

SIZE = 96  # voxels of 2 mm over 192 mm
FOV_MM = 192.0


def case_files(folder: Path, labels: tuple[int, ...] = (20, 21, 22, 23)) -> CaseFiles:
    """The CT and its labels as files."""
    written(folder / "a_ct.nii.gz", folder / "a_seg.nii.gz", labels)
    return CaseFiles(str(folder / "a_ct.nii.gz"), str(folder / "a_seg.nii.gz"))


def case_settings(size: int = SIZE) -> CaseSettings:
    return CaseSettings(fov_mm=FOV_MM, size=size, precision="float32", device="cpu")


def a_prepared_case(folder: Path) -> PreparedCase:
    """The case, its truth on a cube of 2 mm."""
    files, settings = case_files(folder), case_settings()
    case, _ = prepare(files, settings, StageStore(None), prepared_key(files, settings))
    assert np.isclose(case.grid.spacing_mm[0], 2.0)
    return case
