"""Facts of a case: the plane of thick slices, metal near the vertebrae, what the CT covers."""

from __future__ import annotations

import numpy as np
import pytest

from support.labelled_cts import a_labelled_ct
from TomoRayLib.evaluation.case_facts import (
    FIELD,
    IMPLANT,
    ISOTROPIC,
    PLANE,
    SHORTER,
    acquisition_plane,
    case_facts,
    covered_height,
    metal_cm3,
)
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume

SAGITTAL_STACK = (0, 0, 1, 1, 0, 0, 0, 1, 0)  # columns: i along y, j along z, k along x


@pytest.mark.parametrize(
    ("grid", "plane"),
    [
        (Grid((4, 4, 4), (1.0, 1.0, 1.4)), ISOTROPIC),
        (Grid((4, 4, 4), (1.0, 1.0, 3.0)), "axial"),
        (Grid((4, 4, 4), (3.0, 1.0, 1.0)), "sagittal"),
        (Grid((4, 4, 4), (1.0, 1.0, 3.0), direction=SAGITTAL_STACK), "sagittal"),
        (Grid((4, 4, 4), (1.0, 3.0, 1.0), direction=SAGITTAL_STACK), "axial"),
        (Grid((4, 4, 4), (3.0, 1.0, 1.0), direction=SAGITTAL_STACK), "coronal"),
    ],
)
def test_the_plane_is_that_of_the_thick_slices_in_the_patient(grid: Grid, plane: str) -> None:
    assert acquisition_plane(grid) == plane


def test_a_ct_covers_a_cube_as_far_as_its_outer_faces_reach() -> None:
    cube = Grid.cube((0.0, 0.0, 100.0), 256.0, 48)  # -28 to 228 mm
    ct = Grid((10, 10, 64), (2.0, 2.0, 2.0), (0.0, 0.0, 1.0))  # 0 to 128 mm
    assert covered_height(ct, cube) == pytest.approx(0.5)
    on_its_side = Grid((64, 10, 10), (2.0, 2.0, 2.0), (0.0, 0.0, 1.0), (0, 1, 0, 0, 0, 1, 1, 0, 0))
    assert covered_height(on_its_side, cube) == pytest.approx(0.5)
    assert covered_height(Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 900.0)), cube) == 0


def test_metal_counts_near_the_vertebrae_alone() -> None:
    ct, labels = a_labelled_ct()
    bone = labels.voxels > 0
    assert metal_cm3(ct, bone) == 0
    k, j, i = (int(values.mean()) for values in np.nonzero(labels.voxels == 21))
    hu = ct.voxels.copy()
    hu[k - 3 : k + 3, j - 3 : j + 3, i - 3 : i + 3] = 3000
    expected_cm3 = 6**3 * np.prod(ct.grid.spacing_mm) / 1000
    assert metal_cm3(Volume(hu, ct.grid), bone) == pytest.approx(expected_cm3, rel=0.35)
    far = ct.voxels.copy()
    far[:6, :6, :6] = 3000
    assert metal_cm3(Volume(far, ct.grid), bone) == 0
    assert metal_cm3(ct, np.zeros_like(bone)) == 0


def test_the_facts_of_a_case() -> None:
    ct, labels = a_labelled_ct()
    facts = case_facts(ct, labels, Grid.cube((0.0, 0.0, 165.0), 256.0, 48), "rendered")
    assert facts == {PLANE: "coronal", IMPLANT: "no", FIELD: SHORTER, "radiographs": "rendered"}
