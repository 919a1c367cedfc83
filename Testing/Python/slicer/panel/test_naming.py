"""Naming a vertebra in the panel: how sure the count is, what can be chosen, and what follows in scene and views."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import panel_driver as drive
from support.results_folders import write_counted_results, write_results


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write_results(tmp_path_factory.mktemp("case") / "results")
    return write_counted_results(results, results.with_name("counted"))


@pytest.fixture
def shown(panel, folder: Path):
    """The panel with a case of which three vertebrae are told apart, T11 to L1, the count unsure."""
    drive.show_case(panel, folder)
    return panel


def naming(panel):
    return panel.panel.naming


def items(box) -> list[str]:
    return [box.itemText(place) for place in range(box.count)]


def names_in(panel) -> list[str]:
    node = panel.panel.compare.case.vertebra_names
    return [node.GetNthControlPointLabel(n) for n in range(node.GetNumberOfControlPoints())]


def choose(box, text: str) -> None:
    box.currentIndex = items(box).index(text)
    drive.settle()


def test_the_row_says_how_sure_the_count_is_and_offers_its_vertebrae(shown) -> None:
    section = naming(shown)
    assert section.count.text.startswith("Count unsure (41 %)")
    assert items(section.vertebra) == ["T11?", "T12?", "L1?"]
    assert items(section.name)[0] == "C2"
    assert items(section.name)[-1] == "L5"
    assert section.name.currentText == section.vertebra.currentText.removesuffix("?")


def test_names_that_would_leave_the_spine_are_not_offered(shown) -> None:
    section = naming(shown)
    choose(section.vertebra, "T11?")
    assert (items(section.name)[0], items(section.name)[-1]) == ("C1", "L4")
    choose(section.vertebra, "L1?")
    assert (items(section.name)[0], items(section.name)[-1]) == ("C3", "L6")
    assert "T13" in items(section.name)


def test_one_click_renames_all_and_says_so(shown) -> None:
    section = naming(shown)
    choose(section.vertebra, "T12?")
    choose(section.name, "L1")
    drive.click(section.rename)
    assert names_in(shown) == ["T12", "L1", "L2"]
    assert items(section.vertebra) == ["T12", "L1", "L2"]
    assert section.vertebra.currentText == "L1"
    assert section.count.text.startswith("Count: named by you (L1).")
    assert "Synthesize again" in section.count.text
    choose(section.name, "T12")
    drive.click(section.rename)
    assert names_in(shown) == ["T11", "T12", "L1"]


def test_the_crosshair_chooses_the_nearest_vertebra(panel, folder: Path) -> None:
    import slicer

    crosshair = slicer.mrmlScene.GetSingletonNode("default", "vtkMRMLCrosshairNode")
    if crosshair is None:  # Slicer's scene always has one
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetSingletonTag("default")
        crosshair = slicer.mrmlScene.AddNode(crosshair)
    drive.show_case(panel, folder)
    shown, section = panel, naming(panel)
    node = shown.panel.compare.case.vertebra_names
    for place, name in enumerate(("T11?", "T12?", "L1?")):
        x, y, z = node.GetNthControlPointPositionWorld(place)
        crosshair.SetCrosshairRAS(x + 9.0, y - 6.0, z + 3.0)
        drive.settle()
        assert section.vertebra.currentText == name
        assert section.name.currentText == name.removesuffix("?")


def test_a_case_that_does_not_count_has_no_row(panel, folder: Path) -> None:
    drive.show_case(panel, folder.with_name("results"))
    section = naming(panel)
    assert not section.row.isVisibleTo(panel.parent)
    assert section.count.text == ""
    assert section.show_names.enabled  # of the true ones


def test_names_are_drawn_in_the_views_of_their_kind_alone(shown) -> None:
    import slicer

    case = shown.panel.compare.case
    for node, kind in ((case.vertebra_names, "Synthetic"), (case.truth_names, "True")):
        look = node.GetDisplayNode()
        assert look.GetVisibility()
        views = {
            slicer.mrmlScene.GetNodeByID(look.GetNthViewNodeID(n)).GetLayoutName()
            for n in range(look.GetNumberOfViewNodeIDs())
        }
        assert {view for view in views if "3D" not in view} == {f"TomoRay{kind}Coronal", f"TomoRay{kind}Sagittal"}
        assert any("3D" in view for view in views) or kind == "True"
    naming(shown).show_names.checked = False
    drive.settle()
    assert not case.vertebra_names.GetDisplayNode().GetVisibility()
    assert not case.truth_names.GetDisplayNode().GetVisibility()


def test_names_of_another_case_are_hidden(shown, folder: Path) -> None:
    first = shown.panel.compare.case
    drive.show_case(shown, folder)
    assert not first.vertebra_names.GetDisplayNode().GetVisibility()
    assert shown.panel.compare.case.vertebra_names.GetDisplayNode().GetVisibility()


def test_only_another_run_of_the_same_request_keeps_the_name(shown) -> None:
    from TomoRayLib.slicer.fingerprint import fingerprint

    section, panel = naming(shown), shown.panel
    choose(section.vertebra, "T12?")
    choose(section.name, "L1")
    request = panel.request()
    made = (panel.compare.case.synthetic.GetID(), fingerprint(request))
    assert section.asked_again(request, made).settings.anchor is None
    drive.click(section.rename)
    again = section.asked_again(request, made)
    assert again.settings.anchor.startswith("L1=")
    assert fingerprint(again) == fingerprint(request)
    assert section.asked_again(request, None).settings.anchor is None
    assert section.asked_again(request, (made[0], ("other",))).settings.anchor is None


def test_the_row_is_gone_with_the_case_and_comes_back_with_a_scene(shown, tmp_path: Path, slicer_host) -> None:
    import slicer
    import slicer.util

    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer_host.clear_scene()
    drive.settle()
    assert not naming(shown).row.isVisibleTo(shown.parent)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    drive.settle()
    assert items(naming(shown).vertebra) == ["T11?", "T12?", "L1?"]


def test_another_run_of_the_panel_keeps_the_name(ready, a_python_slicer, tmp_path: Path) -> None:
    import json

    from support.tiny_model import worker_code, write_tiny_model

    write_tiny_model(tmp_path / "models", counts=True)
    a_python_slicer(worker_code(tmp_path / "models"))
    section = naming(ready)
    drive.click(ready.ui.synthesizeButton)
    assert "Count unsure" in drive.wait_for_end(ready)
    before = [name.removesuffix("?") for name in names_in(ready)]
    assert len(before) > 2
    section.name.currentIndex = section.name.currentIndex + 1
    drive.click(section.rename)
    after = names_in(ready)
    assert after[0] != before[0]
    assert "renamed in 3D Slicer" in ready.panel.compare.case.report.GetText()
    drive.click(ready.ui.synthesizeButton)
    assert "Count unsure" not in drive.wait_for_end(ready)
    assert names_in(ready) == after
    assert section.count.text.startswith("Count: named by you")
    assert "Synthesize again" not in section.count.text
    report = ready.panel.compare.case.report.GetText()
    assert "renamed in 3D Slicer" not in report
    assert "Count named by you" in report
    provenance = json.loads(ready.panel.compare.case.synthetic.GetAttribute("TomoRay.Provenance"))
    assert [one["name"] for one in provenance["vertebrae"]] == after


def test_show_3d_draws_each_synthetic_vertebra_in_its_colour(shown, tmp_path: Path) -> None:
    import numpy as np
    import slicer
    from PIL import Image

    from host.views import views_of_layout
    from TomoRayLib.anatomy.vertebra_colors import color_of_label

    parameters, case = shown.panel.parameters, shown.panel.compare.case
    parameters.truthOpacity = parameters.syntheticOpacity = 0.0
    naming(shown).show_names.checked = False
    drive.settle()
    (view,) = [one for name, one in views_of_layout().items() if name == "TomoRay3D"]

    def hues() -> set[int]:
        """Which of the vertebrae's colours the view shows, by the nearest direction of colour."""
        pixels = np.asarray(Image.open(view.render_png(tmp_path / "view.png", 400, 400)).convert("RGB"), float)
        colors = np.array([color_of_label(number) for number in (18, 19, 20)])
        colors /= np.linalg.norm(colors, axis=1, keepdims=True)
        directions = pixels.reshape(-1, 3) / np.maximum(np.linalg.norm(pixels.reshape(-1, 3), axis=1), 1.0)[:, None]
        alike = directions @ colors.T
        return {int(place) for place in range(3) if (alike[:, place] > 0.995).sum() > 200}

    assert not hues()
    node = case.vertebrae  # what Slicer's button Show 3D does follows
    assert node.GetSegmentation().CreateRepresentation("Closed surface")
    node.GetDisplayNode().SetPreferredDisplayRepresentationName3D("Closed surface")
    drive.settle()
    assert hues() == {0, 1, 2}
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLModelNode") >= 2  # the surfaces with distances stay
