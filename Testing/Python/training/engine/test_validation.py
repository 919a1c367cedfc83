"""Cases that are scored: checked as those that are trained on, and never the one of the published figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.anatomies import a_coarse_anatomy
from support.labelled_cts import a_labelled_ct
from support.validation_data import a_case, a_case_with_another_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.types import Volume
from TomoRayLib.training.engine.validation import describe_held_out, scored_case

SIZE = 16


def test_a_labelled_ct_becomes_a_case_with_its_vertebrae_as_target(tmp_path: Path) -> None:
    """Four vertebrae of 36 x 30 x 26 mm and a knob of about 8 cm^3, in voxels of 16 mm."""
    case = scored_case(a_case(tmp_path, *a_labelled_ct()), SIZE)
    assert (case.name, case.real) == ("x", True)
    bone_mm3 = float(case.sample["occupancy"].sum()) * (256.0 / SIZE) ** 3
    assert bone_mm3 == pytest.approx(4 * 36 * 30 * 26 + 8000, rel=0.15)
    assert float(case.sample["target"].sum()) > 0


def test_a_case_with_the_mask_of_another_ct_is_not_scored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^x, a case to be scored: .*a mask that lies in the CT, got 0%"):
        scored_case(a_case_with_another_mask(tmp_path), SIZE)


@pytest.mark.parametrize("shift_mm", [(45.0, 0.0, 0.0), (0.0, -45.0, 0.0)])
def test_a_mask_beside_the_bone_is_not_scored(tmp_path: Path, shift_mm: tuple[float, float, float]) -> None:
    ct, mask = a_labelled_ct()
    beside = tuple(a + b for a, b in zip(mask.grid.origin_mm, shift_mm, strict=True))
    mask = Volume(mask.voxels, replace(mask.grid, origin_mm=beside))
    with pytest.raises(
        InputError, match=r"at least 40 HU denser than their surroundings, got .*the mask of another CT"
    ):
        scored_case(a_case(tmp_path, ct, mask), SIZE)


def test_what_is_no_ct_is_not_scored(tmp_path: Path) -> None:
    _, mask = a_labelled_ct()
    with pytest.raises(InputError, match=r"^x, a case to be scored: x_ct\.nii\.gz: .*looks like a label map"):
        scored_case(a_case(tmp_path, mask, mask), SIZE)


@pytest.mark.parametrize("name", ["LIDC-IDRI-0001", "lidc-idri-0001_b"])
def test_the_case_of_the_published_figures_is_not_scored(name: str) -> None:
    with pytest.raises(InputError, match=f"got {name} .*held out for ever"):
        scored_case(CohortCase(name, name, Path("ct.nii.gz"), Path("mask.nii.gz")), SIZE)


def test_a_report_tells_whether_the_spines_that_are_scored_were_trained_on() -> None:
    anatomy = a_coarse_anatomy()
    assert "spines trained on" in describe_held_out(anatomy.split()[1])
    assert describe_held_out(anatomy.split(("column",))[1]).startswith("1 spines held out")
