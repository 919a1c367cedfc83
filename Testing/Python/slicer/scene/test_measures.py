"""Measures of a case in the scene: markups where the files say, angles that follow, table, renaming, .mrb and back."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from support.results_folders import write_counted_results, write_measured_results, write_results
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.base.notices import NOTICE

pytestmark = pytest.mark.usefixtures("scene")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write_results(tmp_path_factory.mktemp("case") / "results")
    return write_measured_results(write_counted_results(results, results.with_name("counted")), results.with_name("m"))


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    """Without a truth: the rows have the synthetic CT's own names."""
    return write_measured_results(folder.with_name("counted"), folder.with_name("alone"), compared=False)


def add(folder: Path, title: str = "case"):
    from TomoRayLib.slicer.scene.case_nodes import add_case

    return add_case(folder, title)


def content(folder: Path) -> dict:
    return json.loads((folder / "measures.json").read_text(encoding="utf-8"))


def markups(case, key: str, subject: str, kind: str = "synthetic") -> list:
    from TomoRayLib.slicer.scene.measure_markups import markups_of_measure

    found = markups_of_measure(case.measures, key, subject)
    return [node for node in found if node.GetAttribute("TomoRay.MeasureOf") == kind]


def points(node) -> np.ndarray:
    return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())])


def test_every_line_lies_where_the_file_says_and_reads_what_it_says(folder: Path) -> None:
    from TomoRayLib.slicer.scene.measure_markups import value_shown

    case, read = add(folder), 0
    for row in content(folder)["rows"]:
        for kind in ("synthetic", "truth"):
            nodes = markups(case, row["key"], row["subject"], kind)
            lines = np.array(row[f"{kind}_lines_mm"])
            assert bool(nodes) == bool(len(lines))
            if not nodes:
                continue
            read += 1
            places = np.array([place for node in nodes for place in points(node)])
            ends = np.array(lines).reshape(-1, 3) * (-1, -1, 1)
            if len(nodes) == 1:
                assert {tuple(np.round(place, 3)) for place in places} == {tuple(np.round(end, 3)) for end in ends}
            else:
                np.testing.assert_allclose(places, _in_one_plane(ends), atol=1e-2)
            shown = value_shown(nodes)
            if row["key"] == "rotation_deg" or row["unit"] == "mm":  # Slicer's own measurements have no sign
                assert shown == pytest.approx(abs(row[kind]), abs=2e-2)
            else:
                assert shown == pytest.approx(row[kind], abs=1e-2)
    assert read > 70


def _in_one_plane(ends: np.ndarray) -> np.ndarray:
    """Two lines in parallel planes (4 ends), each moved half-way to the plane of the other."""
    across = np.cross(ends[1] - ends[0], ends[3] - ends[2])
    across /= np.linalg.norm(across)
    gap = (ends[2] - ends[0]) @ across * across
    return ends + np.array([gap, gap, -gap, -gap]) / 2


def test_left_stays_left(folder: Path) -> None:
    """The synthetic spine lies 2 mm to the patient's left of the true one: RAS x falls to the left."""
    case = add(folder)
    for name in ("L1", "L3", "L5"):
        synthetic, truth = (
            points(markups(case, "height_middle_mm", name, kind)[0]).mean(axis=0) for kind in ("synthetic", "truth")
        )
        assert truth[0] - synthetic[0] == pytest.approx(2.0, abs=0.4)
        assert synthetic[0] < -25.0


def test_markups_are_named_marked_sorted_and_not_drawn(folder: Path) -> None:
    import slicer

    case = add(folder)
    (line,) = markups(case, "height_anterior_mm", "L1")
    (true,) = markups(case, "height_anterior_mm", "L1", "truth")
    assert line.GetName() == "SYNTHETIC T12? anterior height"  # the synthetic CT counts one too high
    assert true.GetName() == "True L1 anterior height"
    assert line.GetAttribute("TomoRay.Notice") == NOTICE
    assert true.GetAttribute("TomoRay.Notice") is None
    assert line.GetNodeReference("TomoRay.case") is case.synthetic
    assert "endplate at the front" in line.GetDescription()
    assert {node.GetClassName() for node in markups(case, "rotation_deg", "L2")} == {"vtkMRMLMarkupsAngleNode"}
    assert {node.GetClassName() for node in markups(case, "spine_length_mm", "L1-L5")} == {"vtkMRMLMarkupsCurveNode"}
    cobb = markups(case, "cobb_deg", "L1-L5")
    assert [node.GetName() for node in cobb] == [
        "SYNTHETIC T12?-L4? Cobb angle",
        "SYNTHETIC T12?-L4? Cobb angle, lower line",
    ]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)

    def folder_of(node) -> str:
        return hierarchy.GetItemName(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)))

    assert (folder_of(line), folder_of(true)) == ("Measures, SYNTHETIC", "Measures, true")
    parent = hierarchy.GetItemParent(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(line)))
    assert hierarchy.GetItemName(parent) == "TomoRay: case"
    assert not any(node.GetNumberOfDisplayNodes() for node in (line, true, *cobb))


def test_slicer_says_the_value_of_each_as_its_own_measurement(folder: Path) -> None:
    case = add(folder)
    rows = {(row["key"], row["subject"]): row for row in content(folder)["rows"]}
    (line,) = markups(case, "height_posterior_mm", "L2")
    assert line.GetPropertiesLabelText().strip() == f"{rows['height_posterior_mm', 'L2']['synthetic']:.2f}mm"
    for node in markups(case, "segmental_angle_deg", "L1/L2"):
        assert node.GetPropertiesLabelText().strip() == f"{rows['segmental_angle_deg', 'L1/L2']['synthetic']:.1f}°"


def test_a_line_that_is_dragged_changes_the_angle_of_both(folder: Path) -> None:
    from TomoRayLib.slicer.scene.measure_markups import show_angle, value_shown

    case = add(folder)
    pair = markups(case, "cobb_deg", "L1-L5")
    before = value_shown(pair)
    lower = points(pair[1])
    way = lower[1] - lower[0]
    turn = np.radians(5.0)
    turned = np.cos(turn) * way + np.sin(turn) * np.cross(way, (0.0, 1.0, 0.0))
    pair[1].SetNthControlPointPositionWorld(1, (lower[0] + turned).tolist())
    show_angle(pair)
    after = value_shown(pair)
    assert abs(after - before) == pytest.approx(5.0, abs=1e-3)
    assert [node.GetPropertiesLabelText().strip() for node in pair] == [f"{after:.1f}°"] * 2


def test_the_table_has_units_errors_in_words_and_reasons(folder: Path) -> None:
    case = add(folder)
    table = case.measures
    headings = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    assert headings == [
        "Measure", "Of", "Unit", "Synthetic", "True", "Difference", "Usual", "Known error: mean (95 % of it)",
        "Not measurable",
    ]  # fmt: skip
    lines = [
        dict(zip(headings, [table.GetCellText(row, n) for n in range(len(headings))], strict=True))
        for row in range(table.GetNumberOfRows())
    ]
    stored = content(folder)["rows"]
    assert len(lines) == len(stored)
    height = next(line for line in lines if (line["Measure"], line["Of"]) == ("Anterior height", "L2"))
    row = next(row for row in stored if (row["key"], row["subject"]) == ("height_anterior_mm", "L2"))
    assert (height["Unit"], height["Synthetic"]) == ("mm", f"{row['synthetic']:.1f}")
    assert height["Difference"] == f"{row['difference']:+.1f}".replace("-", "−")
    assert height["Usual"] == "28.1 ± 2.2"
    assert height["Known error: mean (95 % of it)"].startswith("not of use: +1.0 (−5.7 to +7.8), n")
    length = next(line for line in lines if line["Measure"] == "Spine length")
    assert length["Known error: mean (95 % of it)"].startswith("+0.2 (−3.5 to +3.9)")
    kyphosis = next(line for line in lines if line["Measure"] == "Thoracic kyphosis")
    assert kyphosis["Known error: mean (95 % of it)"] == "not known"
    assert kyphosis["Not measurable"] == "T4 is not in view; truth: T4 is not in view"
    assert table.GetLocked()
    assert table.GetAttribute("TomoRay.Notice") == NOTICE
    assert table.GetName() == "Measures - case"


def test_the_csv_file_has_full_precision(folder: Path, tmp_path: Path) -> None:
    from TomoRayLib.slicer.scene.measure_table import export_measures

    case = add(folder)
    export_measures(case.measures, tmp_path / "measures.csv")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "measures.csv").read_text(encoding="utf-8"))))
    rows = content(folder)["rows"]
    assert [(line["key"], line["subject"]) for line in lines] == [(row["key"], row["subject"]) for row in rows]
    assert [line["synthetic"] for line in lines] == [
        "" if row["synthetic"] is None else repr(row["synthetic"]) for row in rows
    ]


def test_names_follow_the_vertebrae_and_lordosis_appears(alone: Path) -> None:
    import slicer

    from TomoRayLib.slicer.scene.measure_markups import value_shown
    from TomoRayLib.slicer.scene.measure_table import measures_of
    from TomoRayLib.slicer.scene.renaming import rename_vertebrae

    case = add(alone)
    (dragged,) = markups(case, "height_anterior_mm", "T12")
    place = points(dragged)[0] + (1.0, 2.0, 3.0)
    dragged.SetNthControlPointPositionWorld(0, place.tolist())
    assert not markups(case, "lumbar_lordosis_deg", "L1-L5")
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    rename_vertebrae(case, LABEL_OF_NAME["T12"], LABEL_OF_NAME["L1"])
    assert markups(case, "height_anterior_mm", "L1") == [dragged]
    assert dragged.GetName() == "SYNTHETIC L1 anterior height"
    np.testing.assert_allclose(points(dragged)[0], place)
    assert {row["subject"] for row in measures_of(case.measures)["rows"] if "/" in row["subject"]} == {
        "L1/L2", "L2/L3", "L3/L4", "L4/L5",
    }  # fmt: skip
    lordosis = markups(case, "lumbar_lordosis_deg", "L1-L5")
    assert value_shown(lordosis) == pytest.approx(32.0, abs=4.0)  # of wedged bodies that turn by 8 degrees each
    column = [case.measures.GetCellText(row, 1) for row in range(case.measures.GetNumberOfRows())]
    assert "T12?" not in column
    assert column.count("L5") == 5
    rename_vertebrae(case, LABEL_OF_NAME["L1"], LABEL_OF_NAME["T12"])
    assert not markups(case, "lumbar_lordosis_deg", "L1-L5")
    assert dragged.GetName() == "SYNTHETIC T12 anterior height"
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_beside_a_truth_only_the_names_of_synthetic_markups_change(folder: Path) -> None:
    from TomoRayLib.slicer.scene.renaming import rename_vertebrae

    case = add(folder)
    rename_vertebrae(case, LABEL_OF_NAME["T12"], LABEL_OF_NAME["L1"])
    (line,) = markups(case, "height_anterior_mm", "L1")
    assert line.GetName() == "SYNTHETIC L1 anterior height"
    assert markups(case, "cobb_deg", "L1-L5")[0].GetName() == "SYNTHETIC L1-L5 Cobb angle"
    assert markups(case, "height_anterior_mm", "L1", "truth")[0].GetName() == "True L1 anterior height"


def test_measures_come_and_go_with_their_case(folder: Path, tmp_path: Path) -> None:
    import slicer

    from TomoRayLib.slicer.scene.case_nodes import add_case
    from TomoRayLib.slicer.scene.hierarchy import remove_nodes
    from TomoRayLib.slicer.scene.measure_markups import markups_of

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    before = slicer.mrmlScene.GetNumberOfNodes()
    case = add(folder)
    nodes, items = slicer.mrmlScene.GetNumberOfNodes(), hierarchy.GetNumberOfItems()
    count = len(markups_of(case.measures))
    again = add_case(folder, "case", None, case.synthetic, case.vertebrae)
    assert (slicer.mrmlScene.GetNumberOfNodes(), hierarchy.GetNumberOfItems()) == (nodes, items)
    assert len(markups_of(again.measures)) == count > 80
    remove_nodes(again.all())
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    measures = content(folder)
    measures["rows"][-1]["synthetic_lines_mm"] = [[["nowhere"]]]
    (broken / "measures.json").write_text(json.dumps(measures), encoding="utf-8")
    with pytest.raises(ValueError, match="nowhere"):
        add(broken)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_a_saved_scene_has_its_measures_again(folder: Path, tmp_path: Path, slicer_host) -> None:
    import slicer
    import slicer.util

    from TomoRayLib.slicer.scene.case_nodes import cases_in_scene
    from TomoRayLib.slicer.scene.measure_markups import markups_of, value_shown
    from TomoRayLib.slicer.scene.measure_table import measures_csv

    add(folder, "another")  # with markups of the same names
    case = add(folder)
    table = measures_csv(case.measures)
    names = [node.GetName() for node in markups_of(case.measures)]
    places = [points(node) for node in markups_of(case.measures)]
    labels = [node.GetPropertiesLabelText() for node in markups_of(case.measures)]
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer_host.clear_scene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    _another, again = cases_in_scene()
    found = markups_of(again.measures)
    assert [node.GetName() for node in found] == names
    for node, expected in zip(found, places, strict=True):
        np.testing.assert_allclose(points(node), expected, atol=1e-3)
    assert [node.GetPropertiesLabelText() for node in found] == labels
    assert measures_csv(again.measures) == table
    rows = {(row["key"], row["subject"]): row for row in content(folder)["rows"]}
    expected = rows["cobb_deg", "L1-L5"]["synthetic"]
    assert value_shown(markups(again, "cobb_deg", "L1-L5")) == pytest.approx(expected, abs=1e-2)
