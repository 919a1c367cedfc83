"""How radiographs were taken: folded to what is missing, each number with where it comes from."""

from __future__ import annotations

import pytest

from support import panel_driver as drive
from support.slicer_data import a_lateral, a_picture, add_radiograph

NUMBERS = ("Sid", "Sad", "Spacing", "Angle", "Down", "Right")
UNKNOWN = (1.0, 1.0)  # what Slicer gives a picture without a pixel spacing
PANEL_AT_1366_PX = 460


def chosen(panel, ap_mm=(0.8, 0.9), lateral_mm=(0.7, 0.7)):
    drive.choose_radiographs(
        panel, add_radiograph(a_picture(), "AP", ap_mm), add_radiograph(a_lateral(), "lateral", lateral_mm)
    )
    return panel.ui


def shown_rows(panel) -> list[str]:
    """The numbers whose row is on the screen."""
    root = panel.parent
    return [name for name in NUMBERS if getattr(panel.ui, f"ap{name}SpinBox").isVisibleTo(root)]


def test_the_numbers_are_folded_and_a_line_tells_each_with_its_origin(panel) -> None:
    ui = chosen(panel)
    assert shown_rows(panel) == []
    assert not ui.presetRow.isVisibleTo(panel.parent)
    assert ui.acquisitionLabel.text == (
        "AP: SID 1536 mm, SAD 1000 mm (preset), pixels 0.8 mm (from the file), angle 0° (usual)\n"
        "Lateral: SID 1536 mm, SAD 1000 mm (preset), pixels 0.7 mm (from the file), angle 90° (usual)"
    )
    ui.lateralSadSpinBox.value = 1100.0
    drive.settle()
    assert "SAD 1100 mm (by you)" in ui.acquisitionLabel.text
    drive.click(ui.acquisitionButton)
    assert shown_rows(panel) == list(NUMBERS)
    assert ui.presetRow.isVisibleTo(panel.parent)
    assert not ui.acquisitionLabel.isVisibleTo(panel.parent)
    drive.click(ui.acquisitionButton)
    assert shown_rows(panel) == []


def test_what_is_missing_or_wrong_is_shown_though_folded(panel) -> None:
    ui = chosen(panel, UNKNOWN, UNKNOWN)
    assert shown_rows(panel) == ["Spacing"]
    assert ui.lateralSpacingSpinBox.isVisibleTo(panel.parent)
    assert "pixels" not in ui.acquisitionLabel.text
    ui.apSpacingSpinBox.value = 0.25
    ui.lateralSpacingSpinBox.value = 0.26
    drive.settle()
    assert shown_rows(panel) == []
    assert "pixels 0.25 mm (by you)" in ui.acquisitionLabel.text
    ui.apSidSpinBox.value = 900.0  # below the SAD
    drive.settle()
    assert shown_rows(panel) == ["Sid", "Sad"]
    assert ui.presetRow.isVisibleTo(panel.parent)


def test_all_that_is_missing_is_told_at_once(panel) -> None:
    ui = chosen(panel, UNKNOWN, UNKNOWN)
    said = drive.status(panel)
    assert "pixel spacing of the AP radiograph" in said
    assert "pixel spacing of the lateral radiograph" in said
    ui.apSpacingSpinBox.value = 0.25
    ui.lateralSadSpinBox.value = 2000.0
    drive.settle()
    said = drive.status(panel)
    assert "pixel spacing of the AP radiograph" not in said
    assert "pixel spacing of the lateral radiograph" in said
    ui.syntheticSelector.setCurrentNode(ui.apSelector.currentNode())
    drive.settle()
    assert len(drive.status(panel).splitlines()) == 3  # heading, spacing, output
    assert ui.synthesizeButton.toolTip == drive.status(panel)


def test_a_script_is_told_all_at_once_too(panel) -> None:
    from TomoRayLib.base.errors import InputError
    from TomoRayLib.slicer.request_checks import check_request

    chosen(panel, UNKNOWN, UNKNOWN)
    with pytest.raises(InputError, match=r"AP radiograph is not.* lateral radiograph is not"):
        check_request(panel.panel.request())


def test_no_number_or_origin_is_cut_off_in_its_box(panel, slicer_host) -> None:
    """At the width that a small screen leaves, also for the longest words."""
    ui = chosen(panel)
    ui.apSidSpinBox.value = 1234.5
    ui.apDownSpinBox.value = -1234.56
    drive.click(ui.acquisitionButton)
    slicer_host.window.resize(PANEL_AT_1366_PX, 700)
    slicer_host.process_events(0.1)
    for view in ("ap", "lateral"):
        for name in NUMBERS:
            box = getattr(ui, f"{view}{name}SpinBox")
            needed = box.fontMetrics().horizontalAdvance(box.text) + 12  # frame and margins
            assert box.width >= needed, (view, name, box.text)
