"""The panel without a run: what it asks for, what it reads from images, what it says of bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.panel_driver import shown_column
from support.slicer_data import a_lateral, a_picture, add_radiograph, add_segmentation, add_volume, oblique_case

NOTHING_CHOSEN = (
    "Before you can synthesize:\n\N{BULLET} Choose the AP radiograph.\n\N{BULLET} Choose the lateral radiograph.\n"
    "Load images into Slicer first (Add Data, or Add DICOM Data), or press Load sample to try it out."
)
ROOMS_HEARD = ("geometry", "images", "synthesis", "jobs")  # whose messages reach the panel


def test_the_empty_panel_says_what_to_choose_and_why_the_button_is_grey(panel) -> None:
    ui = panel.ui
    assert drive.status(panel) == NOTHING_CHOSEN
    assert not ui.synthesizeButton.enabled
    assert ui.synthesizeButton.toolTip == NOTHING_CHOSEN
    assert not ui.compareSection.enabled
    assert ui.radiographsPage.visible is False or not ui.ctPage.visible
    assert "SYNTHETIC" in ui.noticeLabel.text


def test_every_control_explains_itself(panel) -> None:
    """Each has a tooltip; the lines inside of spin boxes and sliders are none of ours."""
    import ctk
    import qt
    import slicer

    kinds = (
        qt.QPushButton,
        qt.QComboBox,
        qt.QCheckBox,
        qt.QDoubleSpinBox,
        slicer.qMRMLNodeComboBox,
        ctk.ctkPathLineEdit,
    )
    named = {name: widget for name, widget in vars(panel.ui).items() if isinstance(widget, kinds)}
    own = {name: widget for name, widget in named.items() if not name.startswith("qt_")}
    assert [name for name, widget in own.items() if not widget.toolTip] == []
    assert len(own) > 25


def test_geometry_comes_from_the_image_and_the_preset_with_its_origin(panel) -> None:
    ap, lateral = add_radiograph(a_picture(), "AP", (0.8, 0.9)), add_radiograph(a_lateral(), "lateral", (0.7, 0.7))
    drive.choose_radiographs(panel, ap, lateral)
    ui = panel.ui
    assert ui.apSpacingSpinBox.value == pytest.approx(0.8)
    assert ui.lateralSpacingSpinBox.value == pytest.approx(0.7)
    assert (ui.apSidSpinBox.value, ui.apSadSpinBox.value) == (1536.0, 1000.0)
    assert (ui.apAngleSpinBox.value, ui.lateralAngleSpinBox.value) == (0.0, 90.0)
    assert "preset" in ui.apSidSpinBox.suffix
    assert ui.apSpacingSpinBox.suffix == " mm (file)"
    assert drive.status(panel) == "Ready."
    assert ui.synthesizeButton.enabled
    ui.apSidSpinBox.value = 1800.0
    drive.settle()
    assert "(you)" in ui.apSidSpinBox.suffix
    assert "preset" in ui.lateralSidSpinBox.suffix
    geometry = panel.panel.request().inputs.ap_geometry
    assert (geometry.sid_mm, geometry.sad_mm) == (1800.0, 1000.0)
    assert geometry.pixel_spacing_mm == pytest.approx((0.8, 0.9))
    drive.click(ui.rereadGeometryButton)
    assert ui.apSidSpinBox.value == 1536.0


def test_a_preset_changes_what_no_file_states(panel) -> None:
    from TomoRayLib.slicer.panel.parameters import DefaultGeometry

    drive.choose_radiographs(panel, add_radiograph(a_picture(), "AP"), add_radiograph(a_lateral(), "lateral"))
    panel.ui.presetComboBox.currentIndex = list(DefaultGeometry).index(DefaultGeometry.UPRIGHT)
    drive.settle()
    assert (panel.ui.apSidSpinBox.value, panel.ui.apSadSpinBox.value) == (1800.0, 1500.0)
    panel.ui.presetComboBox.currentIndex = list(DefaultGeometry).index(DefaultGeometry.PARALLEL)
    drive.settle()
    assert not panel.ui.apSidSpinBox.enabled
    assert panel.panel.request().inputs.ap_geometry.sid_mm is None
    assert panel.ui.synthesizeButton.enabled


def test_a_missing_pixel_spacing_is_asked_for(panel) -> None:
    pictures = [add_radiograph(a_picture(), "AP", (1.0, 1.0)), add_radiograph(a_lateral(), "lateral", (1.0, 1.0))]
    drive.choose_radiographs(panel, *pictures)
    assert "pixel spacing of the AP radiograph is not in its file" in drive.status(panel)
    assert not panel.ui.synthesizeButton.enabled
    panel.ui.apSpacingSpinBox.value = 0.25
    panel.ui.lateralSpacingSpinBox.value = 0.26
    drive.settle()
    assert drive.status(panel) == "Ready."
    assert panel.panel.request().inputs.lateral_geometry.pixel_spacing_mm == pytest.approx((0.26, 0.26))


def test_an_impossible_geometry_is_said_before_the_run(panel) -> None:
    drive.choose_radiographs(panel, add_radiograph(a_picture(), "AP"), add_radiograph(a_lateral(), "lateral"))
    panel.ui.apSidSpinBox.value = 900.0
    drive.settle()
    assert "the SID cannot be smaller than the SAD" in drive.status(panel)
    assert not panel.ui.synthesizeButton.enabled


def test_previews_show_what_the_network_will_see(panel) -> None:
    """The bright column lies left of the middle, right of it once mirrored, and is dark once inverted."""
    from TomoRayLib.slicer.scene import radiographs
    from TomoRayLib.slicer.scene.nodes import Role

    ap = add_radiograph(a_picture(), "AP")
    drive.choose_radiographs(panel, ap, add_radiograph(a_lateral(), "lateral"))
    assert shown_column(panel.ui.apPreview) < 0.5
    panel.ui.flipApCheckBox.checked = True
    drive.settle()
    assert shown_column(panel.ui.apPreview) > 0.5
    read = radiographs.radiograph_of(ap, Role.AP)
    straight, inverted = (radiographs.preview(read, False, inverted).astype(int) for inverted in (False, True))
    np.testing.assert_array_equal(straight + inverted, 255)
    assert straight[-1].max() > straight[0].max()  # row 0 stays at the top


def test_radiograph_and_ct_exchanged(panel) -> None:
    ct, _labels = oblique_case()
    volume, picture = add_volume(ct, "CT"), add_radiograph(a_picture(), "AP")
    drive.choose_radiographs(panel, volume, picture)
    assert "choose CT above" in drive.status(panel)
    drive.choose_ct(panel, picture)
    assert "choose Two radiographs above" in drive.status(panel)
    drive.choose_radiographs(panel, picture, picture)
    panel.ui.apSpacingSpinBox.value = 1.0
    assert "twice" in drive.status(panel) or "spacing" in drive.status(panel)


def test_a_deleted_input_is_noticed(panel) -> None:
    import slicer

    ct, labels = oblique_case()
    volume = add_volume(ct, "CT")
    drive.choose_ct(panel, volume, add_segmentation(labels, volume))
    assert drive.status(panel) == "Ready."
    slicer.mrmlScene.RemoveNode(volume)
    drive.settle()
    assert drive.status(panel).startswith("Choose the CT.")
    assert not panel.ui.synthesizeButton.enabled


def test_closing_the_scene_empties_the_panel(panel, slicer_host) -> None:
    ct, _labels = oblique_case()
    drive.choose_ct(panel, add_volume(ct, "CT"))
    slicer_host.clear_scene()
    drive.settle()
    assert drive.status(panel) == NOTHING_CHOSEN


def test_reload_keeps_the_choices(panel, slicer_host) -> None:
    ct, labels = oblique_case()
    volume = add_volume(ct, "CT")
    drive.choose_ct(panel, volume, add_segmentation(labels, volume))
    again = slicer_host.reload_module("TomoRay")
    drive.settle()
    assert again is not panel
    assert again.ui.ctSelector.currentNode() is volume
    assert drive.status(again) == "Ready."


def test_the_point_of_a_list_is_the_centre_in_lps(panel) -> None:
    import slicer

    ct, _labels = oblique_case()
    drive.choose_ct(panel, add_volume(ct, "CT"))
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "middle")
    points.AddControlPoint(12.0, -30.0, 45.0)
    panel.ui.centerSelector.setCurrentNode(points)
    drive.settle()
    assert panel.panel.request().inputs.isocenter_mm == pytest.approx((-12.0, 30.0, 45.0))


def test_devices_and_models_are_listed_when_advanced_opens(panel) -> None:
    import qt

    from TomoRayLib.slicer.panel.advanced import MEASURED_KEY

    qt.QSettings().remove(MEASURED_KEY)  # an earlier test of this process may have run on the CPU
    ui = panel.ui
    assert ui.deviceComboBox.count == 0  # nothing is asked before
    ui.advancedSection.collapsed = False
    drive.settle()
    names = [ui.deviceComboBox.itemData(n) for n in range(ui.deviceComboBox.count)]
    assert names[0] == "auto"
    assert names[-1] == "cpu"
    assert "cores" in ui.deviceComboBox.itemText(ui.deviceComboBox.count - 1)
    assert ui.modelComboBox.itemData(0) == "geolift-s"
    assert ui.modelComboBox.itemText(0) == "geolift-s (default; closer on average)"
    assert "CC-BY-NC-SA" in ui.modelLabel.text
    ui.deviceComboBox.currentIndex = ui.deviceComboBox.count - 1
    drive.settle()
    assert panel.panel.request().settings.device == "cpu"


def test_the_choices_of_the_panel_are_those_of_the_library(panel) -> None:
    """Each value travels to the worker as text: one that the library does not know would fail only there."""
    from TomoRayLib.anatomy.grey_levels import FIELDS_OF_VIEW_MM, Quantisation
    from TomoRayLib.anatomy.numberings import LABEL_CHOICES
    from TomoRayLib.geometry.presets import PRESETS
    from TomoRayLib.slicer.panel.parameters import FieldOfView, GreyLevels, Layout, Numbering, Preset, WindowPreset
    from TomoRayLib.slicer.views import display, layouts

    assert {choice.value for choice in Preset} == set(PRESETS)
    assert [choice.value for choice in Numbering] == list(LABEL_CHOICES)
    assert {choice.value for choice in FieldOfView} == set(FIELDS_OF_VIEW_MM)
    assert {choice.value for choice in GreyLevels} == {choice.value for choice in Quantisation}
    assert {choice.value for choice in WindowPreset} == set(display.WINDOW_HU)
    assert {*layouts.ID_OF_NAME.values(), layouts.PLACING_ID} == set(layouts.descriptions()) == layouts.OWN_IDS
    assert {choice.value for choice in Layout} == {*layouts.ID_OF_NAME, layouts.UNCHANGED}


def test_a_suggestion_exchanges_the_images_with_the_numbers_that_were_entered(panel) -> None:
    ap, lateral = add_radiograph(a_picture(), "AP", (0.8, 0.9)), add_radiograph(a_lateral(), "lateral", (0.7, 0.7))
    drive.choose_radiographs(panel, ap, lateral)
    ui = panel.ui
    assert not ui.suggestionButton.visible
    ui.apSidSpinBox.value = 1800.0
    ui.flipLateralCheckBox.checked = True
    drive.settle()
    settings = {"flip_lateral": False, "invert_ap": True, "turn_lateral": 270}
    panel.panel.inputs.apply({"swap": True, "settings": settings})
    drive.settle()
    assert (ui.apSelector.currentNode(), ui.lateralSelector.currentNode()) == (lateral, ap)
    assert (ui.apSidSpinBox.value, ui.lateralSidSpinBox.value) == (1536.0, 1800.0)
    assert (ui.apSpacingSpinBox.value, ui.lateralSpacingSpinBox.value) == pytest.approx((0.7, 0.8))
    assert (ui.apAngleSpinBox.value, ui.lateralAngleSpinBox.value) == (0.0, 90.0)
    inputs = panel.panel.request().inputs
    done = {"flip_ap": False, "flip_lateral": False, "invert": False, "invert_lateral": False, "turn_ap": 0}
    assert inputs.arrangement() == {**done, "invert_ap": True, "turn_lateral": 270}
    assert inputs.lateral_geometry.pixel_spacing_mm == pytest.approx((0.8, 0.9))


def test_the_button_of_a_suggestion_arranges_the_images_and_runs_again(panel) -> None:
    ap, lateral = add_radiograph(a_picture(), "AP", (0.8, 0.8)), add_radiograph(a_lateral(), "lateral", (0.8, 0.8))
    drive.choose_radiographs(panel, ap, lateral)
    panel.panel._suggestion = {"question": "Did you mean that?", "swap": False, "settings": {"flip_lateral": True}}
    panel.panel.update()
    assert panel.ui.suggestionButton.visible
    drive.click(panel.ui.suggestionButton)
    assert panel.ui.flipLateralCheckBox.checked
    assert panel.panel.run_box.busy
    assert not panel.ui.suggestionButton.visible
    panel.panel.run_box.cancel()
    drive.settle()
    assert not panel.ui.suggestionButton.visible


def test_a_scene_saved_by_an_older_version_keeps_its_choices() -> None:
    """Slicer saves an enum by its member's name: these are the names in the scenes that users have."""
    from TomoRayLib.slicer.panel import parameters

    names = {
        kind.__name__: list(kind.__members__)
        for kind in vars(parameters).values()
        if isinstance(kind, type) and issubclass(kind, parameters.Enum) and kind is not parameters.Enum
    }
    assert names == {
        "InputKind": ["RADIOGRAPHS", "CT", "STUDY"],
        "Preset": ["C_ARM", "UPRIGHT", "PARALLEL", "EOS", "CT_SCOUT"],
        "DefaultGeometry": ["AUTOMATIC", "C_ARM", "UPRIGHT", "PARALLEL", "EOS", "CT_SCOUT"],
        "Numbering": [
            *("AUTO", "VERSE", "TPTBOX", "TOTALSEGMENTATOR", "TOTALSEGMENTATOR_V1", "VERTEBRAE_MR"),
            *("TOTALSPINESEG", "SPIDER", "WHOLE_SPINE"),
        ],
        "Turn": ["NONE", "RIGHT", "UPSIDE_DOWN", "LEFT"],
        "VertebraTask": ["WHOLE", "BODIES"],
        "FieldOfView": ["WIDE", "NARROW"],
        "GreyLevels": ["LINEAR", "EQUAL_FREQUENCY"],
        "Layout": ["COMPARE", "SYNTHETIC", "UNCHANGED"],
        "TrueBackground": ["VERTEBRAE", "WHOLE_CT"],
        "WindowPreset": ["MODEL", "BONE", "SOFT_TISSUE"],
    }


def test_no_text_of_the_panel_names_an_option_of_the_command_line(panel) -> None:
    """Labels and tooltips on the screen, and every text in the sources of the module and of the rooms it hears from."""
    import ast

    root = Path(__file__).resolve().parents[4]
    shown = [
        str(getattr(widget, name))
        for widget in vars(panel.ui).values()
        for name in ("text", "toolTip", "noneDisplay")
        if isinstance(getattr(widget, name, None), str)
    ]
    shown += (root / "Resources" / "UI" / "TomoRay.ui").read_text(encoding="utf-8").splitlines()
    for path in (root / "TomoRay", root / "TomoRayLib" / "slicer"):
        for file in path.rglob("*.py"):
            tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            shown += [node.value for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    shown += [text for room in ROOMS_HEARD for text in messages_of(root / "TomoRayLib" / room)]
    of_others = ("--query-gpu", "--format", "--force-reinstall", "--no-deps")  # options of nvidia-smi and pip
    assert [text for text in shown if "--" in text and not text.startswith(of_others)] == []
    assert len(shown) > 500


def messages_of(room: Path) -> list[str]:
    """Every text in a room that is passed to an error or an event, or appended to notes or warnings."""
    import ast

    tellers = {"InputError", "OutputError", "Note", "Warned", "Failed", "append", "_noted"}
    texts = []
    for file in room.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in tellers:
                found = (part for argument in node.args for part in ast.walk(argument))
                texts += [str(part.value) for part in found if isinstance(part, ast.Constant)]
    return texts


def test_the_panel_names_its_control_for_every_setting_that_it_has(panel) -> None:
    """The control's words are those of its label on the screen, and each field is one of a job."""
    from dataclasses import fields

    import qt

    from TomoRayLib.jobs.job import SynthesisJob
    from TomoRayLib.slicer.request import CTInputs, RadiographInputs, Settings, StudyInputs
    from TomoRayLib.slicer.scene.view_geometry import ViewGeometry
    from TomoRayLib.slicer.worker.controls import control_of, with_control

    names = {
        item.name for kind in (CTInputs, StudyInputs, RadiographInputs, Settings, ViewGeometry) for item in fields(kind)
    }
    names -= {"ap_geometry", "lateral_geometry", "preset", "comparison", "segment", "angle_deg", "tilt_deg", "roll_deg"}
    names -= {"ap_origins", "lateral_origins"}
    names -= {
        "align",
        "clean",
        "offset_mm",
        "is_slot",
        "spacing_is_at_isocenter",
        "center_mm",
        "aspect",
    }  # of the file alone
    assert [name for name in names if control_of(name) is None] == []
    widgets = panel.parent.findChildren(qt.QWidget)  # those of the form and those that are built by code
    labels = {str(widget.text) for widget in widgets if isinstance(getattr(widget, "text", None), str)}
    labels = {label.rstrip(":").removeprefix("<b>").removesuffix("</b>") for label in labels}
    for name in names:
        first = str(control_of(name)).split(",")[0]
        assert first in labels or any(label.startswith(f"{first} (") for label in labels), name
    assert {item.name for item in fields(Settings)} <= {item.name for item in fields(SynthesisJob)}
    assert with_control("The isocentre lies outside the CT.", "isocenter_mm").endswith("(Centre)")
    assert with_control("The file is damaged.", None) == "The file is damaged."
