"""Vertebrae of a case renamed in the scene: segments, points, provenance, counts and report, also of a saved scene."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from support.results_folders import write_counted_results, write_results
from TomoRayLib.anatomy.vertebra_naming import parsed_anchor
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_volume

pytestmark = pytest.mark.usefixtures("scene")
BEFORE, AFTER = ["T11", "T12", "L1"], ["L1", "L2", "L3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write_results(tmp_path_factory.mktemp("case") / "results")
    return write_counted_results(results, results.with_name("counted"))


@pytest.fixture
def case(folder: Path):
    from TomoRayLib.slicer.scene.case_nodes import add_case

    return add_case(folder, "case")


def rename(case, was: str, becomes: str) -> None:
    from TomoRayLib.slicer.scene.renaming import rename_vertebrae

    rename_vertebrae(case, LABEL_OF_NAME[was], LABEL_OF_NAME[becomes])


def segment_names(case) -> list[str]:
    segmentation = case.vertebrae.GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]


def point_names(case) -> list[str]:
    node = case.vertebra_names
    return [node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())]


def provenance_of(case) -> dict:
    return json.loads(case.synthetic.GetAttribute("TomoRay.Provenance"))


def test_all_follow_the_one_that_is_named(case) -> None:
    rename(case, "T12", "L2")
    assert segment_names(case) == [f"vertebrae_{name}" for name in AFTER]
    assert point_names(case) == AFTER
    provenance = provenance_of(case)
    assert [one["name"] for one in provenance["vertebrae"]] == AFTER
    assert provenance["numbering"] == "sure"
    assert provenance["named_by_you"] == {"name": "L2", "instead_of": "T12", "certainty_before": 0.41}
    segment = case.vertebrae.GetSegmentation().GetNthSegment(0)
    true = case.truth_vertebrae.GetSegmentation().GetNthSegment(0)
    assert segment.GetColor() == true.GetColor()


def test_the_voxels_of_each_stay(case, folder: Path) -> None:
    import slicer.util

    rename(case, "T12", "L2")
    labels = read_volume(folder / "synthetic_vertebrae.nrrd").voxels
    segmentation = case.vertebrae.GetSegmentation()
    for name, before in zip(AFTER, BEFORE, strict=True):
        found = segmentation.GetSegmentIdBySegmentName(f"vertebrae_{name}")
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(case.vertebrae, found, case.synthetic)
        np.testing.assert_array_equal(mask, labels == LABEL_OF_NAME[before])


def test_choosing_again_undoes_it(case) -> None:
    report = case.report.GetText()
    rename(case, "T12", "L2")
    assert "T12 is L2 now" in case.report.GetText()
    rename(case, "L3", "L1")
    assert segment_names(case) == [f"vertebrae_{name}" for name in BEFORE]
    assert point_names(case) == BEFORE
    assert case.report.GetText() == report
    assert provenance_of(case)["named_by_you"]["certainty_before"] == 0.41


def test_the_report_says_once_that_its_names_are_old(case) -> None:
    rename(case, "T12", "L2")
    rename(case, "L2", "L1")
    text = case.report.GetText()
    assert text.count('class="renamed"') == 1
    assert "T12 is L1 now" in text
    assert text.index("<body") < text.index('class="renamed"') < text.index("Bericht")


def test_counts_of_named_vertebrae_are_taken_again(case) -> None:
    before = json.loads(case.metrics.GetAttribute("TomoRay.Metrics"))["counting"]
    assert before["counts"]["named"] == 0
    rename(case, "T12", "L1")
    after = json.loads(case.metrics.GetAttribute("TomoRay.Metrics"))["counting"]
    assert after["counts"]["found"] == before["counts"]["found"] > 0
    found = {row["label"]: row["found_as"] for row in after["per_vertebra"] if row["found_as"] is not None}
    assert found == {row["label"]: row["found_as"] + 1 for row in before["per_vertebra"] if row["found_as"] is not None}
    assert after["counts"]["named"] == sum(
        label == number and row["whole"]
        for row in after["per_vertebra"]
        for label, number in [(row["label"], row["found_as"])]
    )
    assert after["counts"]["shift"] == before["counts"]["shift"] + 1
    assert [one["name"] for one in after["vertebrae"]] == ["T12", "L1", "L2"]


def test_a_name_beyond_the_spine_changes_nothing(case) -> None:
    before = case.synthetic.GetAttribute("TomoRay.Provenance")
    with pytest.raises(InputError, match="would go 1 below L6"):
        rename(case, "T12", "L6")
    assert case.synthetic.GetAttribute("TomoRay.Provenance") == before
    assert segment_names(case) == [f"vertebrae_{name}" for name in BEFORE]


def test_a_saved_scene_is_renamed_and_keeps_its_names(case, tmp_path: Path, slicer_host) -> None:
    import slicer
    import slicer.util

    from TomoRayLib.slicer.scene.case_nodes import cases_in_scene

    rename(case, "T12", "L2")
    for name in ("first", "second"):
        assert slicer.mrmlScene.WriteToMRB(str(tmp_path / f"{name}.mrb"))
        slicer_host.clear_scene()
        slicer.util.loadScene(str(tmp_path / f"{name}.mrb"))
        (again,) = cases_in_scene()
        assert segment_names(again) == [f"vertebrae_{one}" for one in AFTER]
        assert point_names(again) == AFTER
        rename(again, "L2", "T12")
        assert segment_names(again) == [f"vertebrae_{one}" for one in BEFORE]
        rename(again, "T12", "L2")


def test_another_run_is_told_a_place_inside_the_vertebra(case, folder: Path, tmp_path: Path, slicer_host) -> None:
    import slicer
    import slicer.util

    from TomoRayLib.slicer.scene.case_nodes import cases_in_scene
    from TomoRayLib.slicer.scene.renaming import anchor_of

    assert anchor_of(case) is None
    rename(case, "T12", "L2")
    labels = read_volume(folder / "synthetic_vertebrae.nrrd")

    def named(text: str | None) -> tuple[str, int]:
        anchor = parsed_anchor(str(text))
        i, j, k = np.rint((labels.grid.world_to_index @ [*anchor.place_mm, 1.0])[:3]).astype(int)
        return anchor.name, int(labels.voxels[k, j, i])

    assert named(anchor_of(case)) == ("L2", LABEL_OF_NAME["T12"])
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))  # segments share one image in a file
    slicer_host.clear_scene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert named(anchor_of(cases_in_scene()[0])) == ("L2", LABEL_OF_NAME["T12"])


def test_a_case_that_does_not_count_has_no_names_to_change(tmp_path: Path, folder: Path) -> None:
    from TomoRayLib.slicer.scene.case_nodes import add_case
    from TomoRayLib.slicer.scene.renaming import named_vertebrae

    plain = tmp_path / "plain"
    shutil.copytree(folder.with_name("results"), plain)
    assert named_vertebrae(add_case(plain, "case")) is None
