"""A CT read for a synthesis: what its reader and its checks say reaches the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from support.dicom_stacks import slices_of, write_folder
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.inputs import read_ct


def a_noisy_ct(fill: int) -> Volume:
    """A body of noise around 40 HU with bone, in air; the first ten rows hold ``fill``."""
    voxels = np.random.default_rng(5).normal(40, 15, (12, 40, 44)).round().astype(np.int16)
    voxels[:, :, :12], voxels[:, 18:24, 20:26] = -1000, voxels[:, 18:24, 20:26] + 560
    voxels[:, :10] = fill
    return Volume(voxels, Grid((44, 40, 12), (4.0, 4.0, 6.0), (-80.0, -70.0, 100.0)))


def test_unlikely_values_and_a_header_in_doubt_are_warnings_of_the_run(tmp_path: Path) -> None:
    plain = read_ct(str(write_folder(tmp_path / "plain", slices_of(a_noisy_ct(-1000)))), None)
    assert plain.warnings == ()
    doubtful = read_ct(str(write_folder(tmp_path / "zero", slices_of(a_noisy_ct(0)), RescaleType="US")), None)
    header, values = doubtful.warnings
    assert header.startswith("CT: Rescale Type (0028,1054) is US")
    assert values.startswith("zero: a region of exactly 0 HU at its border fills 25%")
