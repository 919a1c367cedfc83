"""The linked cursor: a point in the volume and its images in both radiographs, through the views of the case."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.results_folders import write_results
from support.slicer_data import add_radiograph, add_volume, oblique_case
from TomoRayLib.geometry.beams import ConeBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.view_json import view_to_dict
from TomoRayLib.geometry.views import Biplanar, View

PICTURES = Path(__file__).resolve().parents[4] / "output" / "panel"
CENTER_MM = (31.0, -47.0, 260.0)
POINT_MM = np.array((48.0, -71.0, 283.0))  # LPS
RAS_OF_LPS = np.array((-1.0, -1.0, 1.0))


def the_views(shape: tuple[int, int], lateral_shape: tuple[int, int]) -> Biplanar:
    """A cone from in front and a slot scan from the left, both off centre and with uneven pixels."""
    ap = View(ConeBeam(900.0, 1300.0), Detector(*shape, (4.0, 4.7), (11.0, -17.0)), 3.0, isocenter_mm=CENTER_MM)
    lateral = Detector(*lateral_shape, (3.0, 3.6), (-9.0, 14.0))
    return Biplanar(ap, View(SlotScan(918.0, 1300.0), lateral, 91.0, isocenter_mm=CENTER_MM))


def results(folder: Path, pair: Biplanar, **changes) -> Path:
    """A results folder of these views."""
    write_results(folder)
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    provenance["views"] = {"ap": view_to_dict(pair.ap), "lateral": view_to_dict(pair.lateral)}
    (folder / "provenance.json").write_text(json.dumps(provenance | changes), encoding="utf-8")
    return folder


def move(panel, mark: str, ras) -> None:
    panel.panel.cursor.views._marks[mark].SetNthControlPointPositionWorld(0, [float(value) for value in ras])
    drive.settle()


def frame_of(panel, view: str):
    return panel.panel.cursor.views._radiographs.frames[view]


def helpers() -> int:
    import slicer

    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    return sum(node.GetAttribute("TomoRay.Helper") is not None for node in nodes)


def show_case(panel, folder: Path, main_input, inputs):
    from TomoRayLib.slicer.scene.case_nodes import add_case

    case = add_case(folder, "case", main_input, inputs=inputs)
    panel.panel.parameters.currentCase = case.synthetic
    drive.settle()
    return case


@pytest.fixture
def linked(panel, tmp_path: Path):
    """The cursor of a CT's case."""
    ct, _labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node)
    show_case(panel, results(tmp_path / "results", the_views((66, 70), (66, 70))), node, [node])
    panel.ui.cursorCheckBox.checked = True
    drive.settle()
    return panel


def test_a_point_in_the_volume_marks_both_radiographs(linked, slicer_host) -> None:
    from TomoRayLib.slicer.views import layouts

    assert layouts.layout_node().GetViewArrangement() == layouts.SYNTHETIC_ID
    pair, views = the_views((66, 70), (66, 70)), linked.panel.cursor.views
    move(linked, "volume", POINT_MM * RAS_OF_LPS)
    for view in ("ap", "lateral"):
        expected = getattr(pair, view).project_points(POINT_MM[None])[0, ::-1]
        np.testing.assert_allclose(views.pixel(view), expected, atol=1e-6)
    assert "pass each other" not in linked.ui.cursorLabel.text
    slicer_host.grab_window(PICTURES / "cursor.png", 1366, 768)


def test_a_pair_of_image_points_marks_the_volume(linked) -> None:
    """The second of two marks brings the point to where both show it, and the slices to the point."""
    from TomoRayLib.slicer.views import layouts
    from TomoRayLib.slicer.views.display import slice_logic

    pair = the_views((66, 70), (66, 70))
    for view in ("ap", "lateral"):
        column, row = getattr(pair, view).project_points(POINT_MM[None])[0]
        move(linked, view, frame_of(linked, view).ras((float(row), float(column))))
    np.testing.assert_allclose(np.array(linked.panel.cursor.views.place("volume")) * RAS_OF_LPS, POINT_MM, atol=1e-4)
    assert "pass each other at 0.0 mm" in linked.ui.cursorLabel.text
    offset = slice_logic(layouts.SYNTHETIC_VIEWS[0]).GetSliceNode().GetSliceOffset()  # axial
    assert offset == pytest.approx(POINT_MM[2], abs=0.01)
    row, column = linked.panel.cursor.views.pixel("lateral")
    move(linked, "lateral", frame_of(linked, "lateral").ras((row + 2.0, column)))  # rows of a slot scan: 3 mm
    assert "pass each other at 6.0 mm" in linked.ui.cursorLabel.text


def test_radiographs_are_shown_as_the_network_got_them(panel, tmp_path: Path) -> None:
    """A lateral that was turned, mirrored and inverted: its mark lies on the one dark pixel of its file."""
    pair = the_views((66, 70), (80, 64))
    column, row = (round(float(value)) for value in pair.lateral.project_points(POINT_MM[None])[0])
    upright = np.ones((80, 64))
    upright[row, column] = 0.0
    stored = np.rot90(upright[:, ::-1], 1)  # to be turned clockwise, then mirrored
    ap, lateral = add_radiograph(np.hypot(*np.indices((66, 70))), "AP"), add_radiograph(stored, "lateral")
    drive.choose_radiographs(panel, ap, lateral)
    how = {"flip_lateral": True, "turn_lateral": 90, "invert_lateral": True}
    inputs = {"ap": {"name": "ap"}, "lateral": {"name": "lateral"}}
    folder = results(tmp_path / "results", pair, arrangement=how, inputs=inputs)
    show_case(panel, folder, ap, [ap, lateral])
    panel.ui.cursorCheckBox.checked = True
    drive.settle()
    move(panel, "volume", POINT_MM * RAS_OF_LPS)
    shown = panel.panel.cursor.views._radiographs.pixels["lateral"]
    assert np.unravel_index(int(shown.argmax()), shown.shape) == (row, column)
    np.testing.assert_allclose(panel.panel.cursor.views.pixel("lateral"), (row, column), atol=0.51)
    import slicer

    slicer.mrmlScene.RemoveNode(lateral)
    panel.ui.cursorCheckBox.checked = False
    panel.ui.cursorCheckBox.checked = True
    drive.settle()
    assert "lateral radiograph of this case is not in the scene" in panel.ui.cursorLabel.text
    assert helpers() == 0


def test_a_film_of_more_pixels_than_a_run_carries_is_averaged_as_in_the_run(panel, tmp_path: Path) -> None:
    """A turned AP of 5900 x 5500, whose views are those of fewer pixels: its mark lies on the square of its file."""
    from TomoRayLib.images.reduction import reduced_shape

    shape = reduced_shape((5500, 5900))
    assert shape != (5500, 5900)
    pair = the_views(shape, (66, 70))
    pair = Biplanar(replace(pair.ap, detector=replace(pair.ap.detector, pixel_spacing_mm=(0.05, 0.06))), pair.lateral)
    column, row = (float(value) for value in pair.ap.project_points(POINT_MM[None])[0])
    at = [
        round((place + 0.5) * full / few - 0.5)
        for place, full, few in zip((row, column), (5500, 5900), shape, strict=True)
    ]
    upright = np.zeros((5500, 5900), np.float32)
    upright[at[0] - 4 : at[0] + 5, at[1] - 4 : at[1] + 5] = 1.0
    ap = add_radiograph(np.rot90(upright, 1), "AP")  # to be turned clockwise
    lateral = add_radiograph(np.hypot(*np.indices((66, 70))), "lateral")
    inputs = {"ap": {"name": "ap"}, "lateral": {"name": "lateral"}}
    folder = results(tmp_path / "results", pair, arrangement={"turn_ap": 90}, inputs=inputs)
    drive.choose_radiographs(panel, ap, lateral)
    show_case(panel, folder, ap, [ap, lateral])
    panel.ui.cursorCheckBox.checked = True
    drive.settle()
    assert "another size" not in panel.ui.cursorLabel.text
    shown = panel.panel.cursor.views._radiographs.pixels["ap"]
    assert shown.shape == shape
    middle = np.argwhere(shown > 0.5).mean(axis=0)
    np.testing.assert_allclose(middle, (row, column), atol=0.8)


def test_the_cursor_ends_with_its_case_and_layout(linked, slicer_host, tmp_path: Path) -> None:
    import slicer

    from TomoRayLib.slicer.panel.parameters import Layout

    ui = linked.ui
    ui.layoutComboBox.currentIndex = list(Layout).index(Layout.COMPARE)
    drive.settle()
    assert not ui.cursorCheckBox.checked
    assert helpers() == 0
    ui.cursorCheckBox.checked = True
    drive.settle()
    assert linked.panel.cursor.views.complete
    slicer.mrmlScene.RemoveNode(linked.panel.cursor.views._marks["ap"])
    linked.panel.update()
    assert linked.panel.cursor.views.complete
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    drive.settle()
    assert not ui.cursorCheckBox.checked
    assert helpers() == 0
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    drive.settle()
    assert helpers() == 0
    ui.cursorCheckBox.checked = True
    drive.settle()
    move(linked, "volume", POINT_MM * RAS_OF_LPS)
    expected = the_views((66, 70), (66, 70)).ap.project_points(POINT_MM[None])[0, ::-1]
    np.testing.assert_allclose(linked.panel.cursor.views.pixel("ap"), expected, atol=1e-6)
    slicer_host.leave_module()
    assert helpers() == 0


@pytest.mark.slow
def test_the_cursor_of_a_run_from_two_placed_radiographs(panel, tiny_worker) -> None:
    """The views of the run, with the offsets of the placing step, and the radiographs of its input nodes."""
    shape = (120, 100)
    v, u = np.indices(shape)
    ap, lateral = (
        add_radiograph(np.exp(-(((u - middle) / 9.0) ** 2)) * (1 + v / 120) + 0.2, name, (1.5, 1.7))
        for name, middle in (("AP", 40), ("lateral", 62))
    )
    drive.choose_radiographs(panel, ap, lateral)
    panel.ui.lateralDownSpinBox.value = -12.0
    panel.ui.flipLateralCheckBox.checked = True
    drive.settle()
    drive.click(panel.ui.synthesizeButton)
    assert drive.wait_for_end(panel).startswith(("Done", "Empty"))
    panel.ui.cursorCheckBox.checked = True
    drive.settle()
    move(panel, "volume", (0.0, 0.0, 0.0))  # the isocentre
    np.testing.assert_allclose(panel.panel.cursor.views.pixel("ap"), (59.5, 49.5), atol=1e-6)
    row = 59.5 + 12.0 * 1.536 / 1.5
    np.testing.assert_allclose(panel.panel.cursor.views.pixel("lateral"), (row, 49.5), atol=1e-6)
    shown = panel.panel.cursor.views._radiographs.pixels["lateral"]
    assert int(shown[60].argmax()) == 99 - 62
