"""The placing step: marks on two radiographs become their offsets and pixel spacings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.slicer_data import a_lateral, a_picture, add_radiograph

AP_MM, LATERAL_MM = (0.8, 0.9), (0.6, 0.5)


@pytest.fixture
def placing(panel):
    """The placing step of an AP of 120 x 100 and a lateral of 150 x 90 uneven pixels, of different beams."""
    ap = add_radiograph(a_picture(), "AP", AP_MM)
    drive.choose_radiographs(panel, ap, add_radiograph(1.5 * a_picture(150, 90), "lateral", LATERAL_MM))
    panel.ui.lateralSidSpinBox.value = 1800.0
    panel.ui.lateralSadSpinBox.value = 1200.0
    drive.settle()
    drive.click(panel.ui.placeButton)
    return panel


def mark(panel, view: str, kind: str):
    return panel.panel.placing.views._marks[view, kind]


def drag(panel, view: str, kind: str, end: int, pixel: tuple[float, float]) -> None:
    """Move a mark to a pixel (row, column) of the upright image, as a person does, and wait until it has settled."""
    frame = panel.panel.placing.views._images[view].frame
    mark(panel, view, kind).SetNthControlPointPositionWorld(end, frame.ras(pixel))
    drive.host().process_events(0.3)


def helpers() -> list[str]:
    import slicer

    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    return [node.GetName() for node in nodes if node.GetAttribute("TomoRay.Helper") is not None]


def isocenter_pixel(panel, view: str) -> np.ndarray:
    """(row, column) at which the view of the request sees the isocentre."""
    inputs = panel.panel.request().inputs
    geometry, shape = (inputs.ap_geometry, (120, 100)) if view == "ap" else (inputs.lateral_geometry, (150, 90))
    return geometry.view(*shape).project_points(np.zeros((1, 3)))[0, ::-1]


def test_a_centre_that_is_dragged_is_where_the_isocentre_falls(placing) -> None:
    drag(placing, "ap", "center", 0, (31.0, 70.0))
    drag(placing, "lateral", "center", 0, (101.0, 22.0))
    np.testing.assert_allclose(isocenter_pixel(placing, "ap"), (31.0, 70.0), atol=0.02)
    np.testing.assert_allclose(isocenter_pixel(placing, "lateral"), (101.0, 22.0), atol=0.02)
    # AP: (59.5 - 31) * .8 mm at the detector, magnified 1.536 times
    assert placing.ui.apDownSpinBox.value == pytest.approx(28.5 * 0.8 / 1.536, abs=0.006)
    assert placing.ui.lateralRightSpinBox.value == pytest.approx((44.5 - 22) * 0.5 / 1.5, abs=0.006)
    assert "(you)" in placing.ui.apDownSpinBox.suffix
    drive.click(placing.ui.placeButton)
    assert helpers() == []
    assert drive.status(placing) == "Ready."
    np.testing.assert_allclose(isocenter_pixel(placing, "ap"), (31.0, 70.0), atol=0.02)
    drive.click(placing.ui.rereadGeometryButton)
    np.testing.assert_allclose(isocenter_pixel(placing, "ap"), (59.5, 49.5), atol=1e-9)


def test_the_level_line_is_at_one_height_in_both(placing) -> None:
    """Whichever end is dragged; and the line goes with the centre of its image."""
    views = placing.panel.placing.views
    drag(placing, "ap", "line", 1, (20.0, 90.0))
    height_mm = (59.5 - 20.0) * 0.8 / 1.536
    for end in (0, 1):
        assert views._pixel("ap", "line", end)[0] == pytest.approx(20.0, abs=0.02)
        assert views._pixel("lateral", "line", end)[0] == pytest.approx(74.5 - height_mm * 1.5 / 0.6, abs=0.02)
    drag(placing, "lateral", "line", 0, (90.0, 1.0))
    height_mm = (74.5 - 90.0) * 0.6 / 1.5
    assert views._pixel("ap", "line", 0)[0] == pytest.approx(59.5 - height_mm * 1.536 / 0.8, abs=0.02)
    drag(placing, "lateral", "center", 0, (84.5, 44.5))
    assert views._pixel("lateral", "line", 0)[0] == pytest.approx(100.0, abs=0.02)
    assert views._pixel("ap", "line", 0)[0] == pytest.approx(59.5 - height_mm * 1.536 / 0.8, abs=0.02)


def test_a_ruler_sets_the_pixel_spacing_and_the_centre_stays(placing) -> None:
    drag(placing, "ap", "center", 0, (31.0, 70.0))
    drag(placing, "ap", "ruler", 0, (100.0, 10.0))
    drag(placing, "ap", "ruler", 1, (40.0, 50.0))
    assert placing.ui.apSpacingSpinBox.value == pytest.approx(0.8)
    placing.ui.apRulerSpinBox.value = 80.0
    drive.host().process_events(0.4)
    row_mm = 80.0 * 1.536 / np.hypot(60.0, 40.0 * 0.9 / 0.8)
    assert placing.ui.apSpacingSpinBox.value == pytest.approx(row_mm, abs=6e-5)
    geometry = placing.panel.request().inputs.ap_geometry
    np.testing.assert_allclose(geometry.pixel_spacing_mm, (row_mm, row_mm * 0.9 / 0.8), rtol=1e-3)
    np.testing.assert_allclose(isocenter_pixel(placing, "ap"), (31.0, 70.0), atol=0.05)
    assert placing.ui.lateralSpacingSpinBox.value == pytest.approx(0.6)


def test_the_run_gets_the_offsets_that_the_command_line_would_give(placing, tmp_path: Path) -> None:
    """The boxes mean what ``ap_offset_mm`` and ``lateral_offset_mm`` of a job mean, also of a slot scan."""
    from TomoRayLib.images.types import Radiograph
    from TomoRayLib.slicer.panel.parameters import DefaultGeometry
    from TomoRayLib.slicer.prepared_job import synthesis_job
    from TomoRayLib.synthesis.acquisition import pair_geometry
    from TomoRayLib.synthesis.geometry_files import read_views
    from TomoRayLib.synthesis.settings import GeometryOptions

    numbers = placing.panel.parameters
    placing.ui.presetComboBox.currentIndex = list(DefaultGeometry).index(DefaultGeometry.EOS)
    drive.settle()
    drag(placing, "ap", "center", 0, (31.0, 70.0))
    drag(placing, "lateral", "center", 0, (101.0, 22.0))
    synthesis_job(placing.panel.request(), tmp_path)
    written = read_views(str(tmp_path / "geometry.json"))
    images = [Radiograph(a_picture(), AP_MM), Radiograph(a_picture(150, 90), LATERAL_MM)]
    options = GeometryOptions(
        preset="eos",
        ap_offset_mm=(numbers.apDownMm, numbers.apRightMm),
        lateral_offset_mm=(numbers.lateralDownMm, numbers.lateralRightMm),
    )
    expected = pair_geometry(*images, options).views
    for view in ("ap", "lateral"):
        detectors = [getattr(pair, view).detector for pair in (written, expected)]
        np.testing.assert_allclose(detectors[0].offset_mm, detectors[1].offset_mm, atol=1e-9)
        assert getattr(written, view).beam == getattr(expected, view).beam


def test_numbers_that_are_typed_move_the_marks(placing) -> None:
    placing.ui.apDownSpinBox.value = 10.0
    drive.settle()
    row = placing.panel.placing.views.center("ap")[0]
    assert row == pytest.approx(59.5 - 10.0 * 1.536 / 0.8, abs=0.02)


def test_a_scene_of_an_older_version_takes_the_place_of_its_files(panel) -> None:
    """It has none of its own: its edited numbers stay, but an image off the isocentre does not move to the middle."""
    import json

    from TomoRayLib.geometry.beams import ParallelBeam
    from TomoRayLib.geometry.detector import Detector
    from TomoRayLib.geometry.view_json import VIEW_KEY, view_to_dict
    from TomoRayLib.geometry.views import View

    nodes = [add_radiograph(a_picture(), "AP", AP_MM), add_radiograph(a_lateral(), "lateral", AP_MM)]
    for node, angle_deg in zip(nodes, (0.0, 90.0), strict=True):
        view = View(ParallelBeam(), Detector(120, 100, AP_MM, (12.5, -4.0)), angle_deg)
        node.SetAttribute(VIEW_KEY, json.dumps(view_to_dict(view)))
    drive.choose_radiographs(panel, *nodes)
    parameters = panel.panel.parameters
    assert (parameters.apDownMm, parameters.apRightMm) == (12.5, -4.0)
    panel.ui.apAngleSpinBox.value = 5.0
    panel.ui.lateralDownSpinBox.value = 3.0
    parameters.apDownMm = parameters.apRightMm = 0.0
    parameters.geometrySource = parameters.geometrySource.replace(
        f"ap={nodes[0].GetID()},,placed", f"ap={nodes[0].GetID()},"
    )
    drive.settle()
    assert (parameters.apDownMm, parameters.apRightMm, parameters.apAngleDeg) == (12.5, -4.0, 5.0)
    assert parameters.lateralDownMm == 3.0


def test_marks_go_with_an_image_that_is_turned_and_mirrored(placing) -> None:
    """The centre stays on the same spot of the picture: its numbers are those of the image in its file."""
    from TomoRayLib.slicer.panel.parameters import Turn

    drag(placing, "lateral", "center", 0, (101.0, 22.0))
    before = placing.ui.lateralDownSpinBox.value
    placing.ui.flipLateralCheckBox.checked = True
    drive.settle()
    np.testing.assert_allclose(placing.panel.placing.views.center("lateral"), (101.0, 89 - 22.0), atol=0.02)
    placing.ui.turnLateralComboBox.currentIndex = list(Turn).index(Turn.RIGHT)
    placing.ui.flipLateralCheckBox.checked = False
    drive.settle()
    np.testing.assert_allclose(placing.panel.placing.views.center("lateral"), (22.0, 149 - 101.0), atol=0.02)
    assert placing.ui.lateralDownSpinBox.value == before
    drag(placing, "lateral", "center", 0, (40.0, 60.0))
    np.testing.assert_allclose(isocenter_pixel(placing, "lateral"), (149 - 60.0, 40.0), atol=0.02)


def test_a_picture_without_a_spacing_gets_one_from_the_ruler(panel) -> None:
    pictures = [add_radiograph(a_picture(), "AP", (1.0, 1.0)), add_radiograph(a_lateral(), "lateral", (0.7, 0.7))]
    drive.choose_radiographs(panel, *pictures)
    assert "pixel spacing of the AP" in drive.status(panel)
    drive.click(panel.ui.placeButton)
    drag(panel, "ap", "center", 0, (20.0, 30.0))
    assert panel.ui.apDownSpinBox.value == 0.0  # no millimetres yet
    drag(panel, "ap", "ruler", 0, (10.0, 10.0))
    panel.ui.apRulerSpinBox.value = 100.0
    drive.host().process_events(0.4)
    assert panel.ui.apSpacingSpinBox.value > 0
    np.testing.assert_allclose(isocenter_pixel(panel, "ap"), (20.0, 30.0), atol=0.05)
    drive.click(panel.ui.placeButton)
    assert drive.status(panel).startswith("Ready.")


def test_letters_say_where_the_patient_is(placing) -> None:
    from TomoRayLib.slicer.views.annotation import views_of_application

    found = {}
    for window, node in views_of_application():
        props = window.GetRenderers().GetFirstRenderer().GetViewProps()
        texts = [props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())]
        found[node.GetLayoutName()] = [prop.GetInput() for prop in texts if prop.IsA("vtkTextActor")]
    assert found == {"TomoRayAP": ["L", "R", "S", "I"], "TomoRayLateral": ["P", "A", "S", "I"]}


def test_the_step_ends_with_what_it_was_made_for(placing, slicer_host, tmp_path: Path) -> None:
    """Another layout, another image, another kind of input, another module, a closed scene: no mark is left behind."""
    import slicer

    from TomoRayLib.slicer.views import layouts

    four_up = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    ui, manager = placing.ui, slicer.app.layoutManager()
    assert manager.layout == layouts.PLACING_ID
    manager.setLayout(four_up)
    drive.settle()
    assert not ui.placeButton.checked
    assert helpers() == []
    drive.click(ui.placeButton)
    drag(placing, "ap", "center", 0, (31.0, 70.0))
    other = add_radiograph(a_picture(140, 110), "another", (0.5, 0.5))
    ui.apSelector.setCurrentNode(other)
    drive.settle()
    assert ui.apDownSpinBox.value == 0.0
    np.testing.assert_allclose(placing.panel.placing.views.center("ap"), (69.5, 54.5), atol=0.02)
    slicer.mrmlScene.RemoveNode(mark(placing, "ap", "center"))
    ui.apDownSpinBox.value = 5.0
    drive.settle()
    assert placing.panel.placing.views.complete
    drag(placing, "ap", "center", 0, (30.0, 60.0))
    saved = ui.apDownSpinBox.value
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    ui.apSelector.setCurrentNode(None)
    drive.settle()
    assert not ui.placeButton.checked
    assert not ui.placeButton.enabled
    assert manager.layout == four_up
    ui.apSelector.setCurrentNode(other)
    drive.settle()
    drive.click(ui.placeButton)
    slicer_host.leave_module()
    assert helpers() == []
    assert manager.layout == four_up
    slicer.mrmlScene.Clear(False)
    placing = slicer_host.open_module("TomoRay")
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    drive.settle()
    assert helpers() == []
    assert placing.ui.apDownSpinBox.value == saved
    assert manager.layout != layouts.PLACING_ID
    assert not placing.ui.placeButton.checked
    drive.click(placing.ui.placeButton)
    np.testing.assert_allclose(placing.panel.placing.views.center("ap"), (30.0, 60.0), atol=0.02)
    slicer.mrmlScene.Clear(False)
    drive.settle()
    assert helpers() == []
    assert not placing.ui.placeButton.checked
