"""The panel's list of measures: what it says, what a line shows in the views, dragging, table, file and renaming."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.results_folders import write_counted_results, write_measured_results, write_results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write_results(tmp_path_factory.mktemp("case") / "results")
    return write_measured_results(write_counted_results(results, results.with_name("counted")), results.with_name("m"))


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    return write_measured_results(folder.with_name("counted"), folder.with_name("alone"), compared=False)


@pytest.fixture
def shown(panel, folder: Path):
    """The panel with a measured case beside its truth."""
    drive.show_case(panel, folder)
    return panel


def section(panel):
    return panel.panel.measures


def lines(panel) -> dict[str, tuple[str, ...]]:
    """The texts of all lines, also of those inside others, by their first text."""
    found = {}
    for place in range(section(panel).list.topLevelItemCount):
        item = section(panel).list.topLevelItem(place)
        inner = [item.child(n) for n in range(item.childCount())]
        for one, before in ((item, ""), *((child, f"{item.text(0)} > ") for child in inner)):
            found[before + one.text(0)] = tuple(one.text(column) for column in (1, 2, 3))
    return found


def choose(panel, title: str, inner: str | None = None) -> None:
    tree = section(panel).list
    items = [tree.topLevelItem(n) for n in range(tree.topLevelItemCount)]
    (item,) = [one for one in items if one.text(0) == title]
    children = [item.child(n) for n in range(item.childCount())]
    tree.setCurrentItem(item if inner is None else next(child for child in children if child.text(0) == inner))
    drive.settle()


def drawn(panel) -> dict[str, set[str]]:
    """Names of the views in which each visible markup of a measure is drawn, by the markup's name."""
    import slicer

    from TomoRayLib.slicer.scene.measure_markups import markups_of

    found = {}
    for node in markups_of(panel.panel.compare.case.measures):
        look = node.GetDisplayNode()
        if look is not None and look.GetVisibility():
            views = [
                slicer.mrmlScene.GetNodeByID(look.GetNthViewNodeID(n)) for n in range(look.GetNumberOfViewNodeIDs())
            ]
            found[node.GetName()] = {view.GetLayoutName() for view in views}
    return found


def row_of(folder: Path, key: str, subject: str) -> dict:
    rows = json.loads((folder / "measures.json").read_text(encoding="utf-8"))["rows"]
    return next(row for row in rows if (row["key"], row["subject"]) == (key, subject))


def test_a_glance_tells_values_and_that_most_are_not_of_use(shown, folder: Path) -> None:
    assert not section(shown).box.collapsed
    assert "SYNTHETIC" in section(shown).headline.text
    assert "Precise enough to be of use: spine length. The others are not" in section(shown).headline.text
    found = lines(shown)
    cobb = row_of(folder, "cobb_deg", "L1-L5")
    assert found["Cobb angle, L1-L5"] == (f"{cobb['synthetic']:.1f}°", f"{cobb['truth']:.1f}°", "not known")
    height = row_of(folder, "height_anterior_mm", "L1")
    expected = (f"{height['synthetic']:.1f} mm", f"{height['truth']:.1f} mm", "not of use")
    assert found["L1, heights (mm) > Anterior height"] == expected
    assert found["Thoracic kyphosis, T4-T12"] == ("–", "–", "–")
    assert found["Spine length, L1-L5"][2] == "−3.5 to +3.9"
    assert next(iter(found)) == "Cobb angle, L1-L5"
    assert nothing_cut(shown)


def nothing_cut(panel) -> bool:
    tree = section(panel).list
    return not tree.horizontalScrollBar().visible


def test_nothing_is_drawn_until_a_line_is_chosen_and_then_only_that(shown) -> None:
    assert drawn(shown) == {}
    choose(shown, "Cobb angle, L1-L5")
    synthetic = {"TomoRaySyntheticCoronal", "TomoRay3D"}
    true = {"TomoRayTrueCoronal", "TomoRayTrue3D"}
    assert drawn(shown) == {
        "SYNTHETIC T12?-L4? Cobb angle": synthetic,
        "SYNTHETIC T12?-L4? Cobb angle, lower line": synthetic,
        "True L1-L5 Cobb angle": true,
        "True L1-L5 Cobb angle, lower line": true,
    }
    choose(shown, "L3, heights (mm)", "Posterior height")
    assert set(drawn(shown)) == {"SYNTHETIC L2? posterior height", "True L3 posterior height"}
    choose(shown, "L3, heights (mm)", "Wedge ratio")
    assert {name for name in drawn(shown) if "SYNTHETIC" in name} == {
        "SYNTHETIC L2? anterior height",
        "SYNTHETIC L2? posterior height",
    }
    choose(shown, "L3, heights (mm)", "Axial rotation")
    assert drawn(shown)["True L3 axial rotation"] == {"TomoRayTrueAxial", "TomoRayTrue3D"}


def test_the_views_go_to_the_measure_each_to_that_of_its_kind(shown) -> None:
    import slicer

    from TomoRayLib.slicer.scene.measure_markups import markups_of_measure, middle_ras
    from TomoRayLib.slicer.views import annotation

    choose(shown, "L4, heights (mm)", "Anterior height")
    nodes = markups_of_measure(shown.panel.compare.case.measures, "height_anterior_mm", "L4")
    for node, kind, solid in zip(nodes, ("Synthetic", "True"), ("TomoRay3D", "TomoRayTrue3D"), strict=True):
        place = middle_ras([node])
        for way in ("Axial", "Coronal", "Sagittal"):
            view = slicer.app.applicationLogic().GetSliceLogicByLayoutName(f"TomoRay{kind}{way}").GetSliceNode()
            at = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
            np.testing.assert_allclose(at, place, atol=1e-3)
        windows = {view.GetLayoutName(): window for window, view in annotation.views_of_application()}
        camera = windows[solid].GetRenderers().GetFirstRenderer().GetActiveCamera()
        np.testing.assert_allclose(camera.GetFocalPoint(), place, atol=1e-3)


def test_a_chosen_line_says_value_error_and_what_it_cannot_tell(shown, folder: Path) -> None:
    choose(shown, "L2, heights (mm)", "Anterior height")
    said = section(shown).said.text
    row = row_of(folder, "height_anterior_mm", "L2")
    assert said.startswith(
        f"Anterior height, L2: SYNTHETIC {row['synthetic']:.1f} mm; true {row['truth']:.1f} mm; diff"
    )
    assert "usual in other people 28.1 ± 2.2" in said
    assert "The synthetic CT counts it as L1?." in said
    assert "between −5.7 and +7.8 mm in 95 % (n = 21, 6 people" in said
    assert "to tell a loss of a sixth of the usual height, 4 mm: do not use the value for that." in said
    choose(shown, "Cobb angle, L1-L5")
    assert "error is not known" in section(shown).said.text
    choose(shown, "Thoracic kyphosis, T4-T12")
    assert "Not measurable: T4 is not in view" in section(shown).said.text
    choose(shown, "L2, heights (mm)")
    assert "None of these is precise enough" in section(shown).said.text


def test_a_dragged_line_is_told_and_the_table_keeps_its_value(shown, folder: Path) -> None:
    from TomoRayLib.slicer.scene.measure_markups import markups_of_measure
    from TomoRayLib.slicer.scene.measure_table import measures_csv

    table = shown.panel.compare.case.measures
    before = measures_csv(table)
    choose(shown, "L1, heights (mm)", "Middle height")
    assert "As you moved it" not in section(shown).said.text
    node = markups_of_measure(table, "height_middle_mm", "L1")[0]
    upper, lower = (np.array(node.GetNthControlPointPositionWorld(n)) for n in (0, 1))
    node.SetNthControlPointPositionWorld(0, (lower + 1.25 * (upper - lower)).tolist())
    drive.settle()
    expected = 1.25 * row_of(folder, "height_middle_mm", "L1")["synthetic"]
    assert f"As you moved it: the synthetic one {expected:.1f} mm." in section(shown).said.text
    choose(shown, "Lumbar lordosis, L1-L5")
    pair = markups_of_measure(table, "lumbar_lordosis_deg", "L1-L5")[2:]
    ends = [np.array(pair[1].GetNthControlPointPositionWorld(n)) for n in (0, 1)]
    pair[1].SetNthControlPointPositionWorld(1, (ends[1] + (0.0, 0.0, 4.0)).tolist())
    drive.settle()
    labels = {node.GetPropertiesLabelText().strip() for node in pair}
    assert len(labels) == 1
    assert f"the true one {labels.pop()}." in section(shown).said.text
    assert measures_csv(table) == before


def test_only_the_current_case_draws_its_measures(shown, folder: Path) -> None:
    choose(shown, "Cobb angle, L1-L5")
    first = shown.panel.compare.case
    drive.show_case(shown, folder)
    from TomoRayLib.slicer.scene.measure_markups import markups_of

    looks = [node.GetDisplayNode() for node in markups_of(first.measures) if node.GetDisplayNode() is not None]
    assert looks
    assert not any(look.GetVisibility() for look in looks)
    assert section(shown).list.selectedItems() != []  # the same line, of the new case
    assert len(drawn(shown)) == 4


def test_another_layout_draws_the_measure_in_all_its_views(shown) -> None:
    import slicer

    choose(shown, "L2, heights (mm)", "Anterior height")
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    drive.settle()
    assert drawn(shown) == {"SYNTHETIC L1? anterior height": set(), "True L2 anterior height": set()}


def test_names_follow_at_once(panel, alone: Path) -> None:
    drive.show_case(panel, alone)
    assert "T12?, heights (mm)" in lines(panel)
    assert lines(panel)["Lumbar lordosis, L1?-L5?"][0] == "–"
    assert section(panel).list.isColumnHidden(2)
    choose(panel, "T12?, heights (mm)")
    naming = panel.panel.naming
    for box, text in ((naming.vertebra, "T12?"), (naming.name, "L1")):
        box.currentIndex = [box.itemText(n) for n in range(box.count)].index(text)
        drive.settle()
    drive.click(naming.rename)
    found = lines(panel)
    assert "L1, heights (mm)" in found
    assert found["Lumbar lordosis, L1-L5"][0] != "–"
    assert set(drawn(panel)) == {f"SYNTHETIC L1 {place} height" for place in ("anterior", "middle", "posterior")}


def test_the_file_gets_its_ending_and_the_table_a_window(shown, slicer_host, tmp_path: Path) -> None:
    slicer_host.dialogs.answer_file(tmp_path / "mine")
    drive.click(section(shown).save)
    assert drive.status(shown).startswith("The measures were written to")
    with (tmp_path / "mine.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == shown.panel.compare.case.measures.GetNumberOfRows()
    drive.click(section(shown).table)
    window = section(shown)._window
    assert window.visible
    assert window.windowTitle == "Measures - case"
    assert section(shown)._view.mrmlTableNode() is shown.panel.compare.case.measures


def test_a_case_without_measures_has_an_empty_section(panel, folder: Path) -> None:
    drive.show_case(panel, folder.with_name("results"))
    assert not section(panel).box.enabled
    assert lines(panel) == {}


def test_a_scene_that_was_closed_leaves_nothing_behind(shown, slicer_host) -> None:
    choose(shown, "Cobb angle, L1-L5")
    drive.click(section(shown).table)
    slicer_host.clear_scene()
    drive.settle()
    assert lines(shown) == {}
    assert section(shown).said.text == ""
