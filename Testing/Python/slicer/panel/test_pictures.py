"""The look of panel and views: drawn to ``output/panel`` to be looked at, and checked for what can go wrong.

Nothing may be cut off, at any width, text length or style; what is synthetic must say so in the picture itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.slicer_data import add_radiograph, add_segmentation, add_volume, oblique_case

ROOT = Path(__file__).resolve().parents[4]
PICTURES = ROOT / "output" / "panel"
SCREENSHOTS = os.environ.get(
    "TOMORAY_SCREENSHOTS"
)  # set by `make screenshots`: the folder of the documentation's pictures
CAPTION = (
    "Drawn by TomoRay's tests: Slicer's MRML views, with a stand-in for Slicer's window. SYNTHETIC, research use only."
)
LONG_NAME = (
    "Thoracolumbar spine, upright biplanar acquisition 2026-03-14, second attempt after repositioning (anonymised)"
)
PANEL_AT_1366_PX = 520  # what a module panel may take of such a screen
GERMAN = 1.35  # German texts are about so much longer


def pixels(path: Path) -> np.ndarray:
    """A picture as (rows, columns, 3) integers."""
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def share_of_color(picture: np.ndarray, color: tuple[int, int, int], tolerance: int = 40) -> float:
    return float((np.abs(picture - color).max(axis=2) < tolerance).mean())


def cut_off(panel) -> list[str]:
    """Names of visible widgets that have less room than their text needs."""
    import qt

    root = panel.parent
    found = []
    for widget in root.findChildren(qt.QWidget):
        if not widget.isVisibleTo(root):
            continue
        if isinstance(widget, (qt.QPushButton, qt.QCheckBox)):
            too_narrow = widget.width < widget.minimumSizeHint.width()
        elif isinstance(widget, qt.QLabel) and widget.text and not widget.wordWrap:
            too_narrow = widget.width < widget.sizeHint.width()
        elif isinstance(widget, qt.QLabel) and widget.text:
            too_narrow = widget.height < widget.heightForWidth(widget.width) - 1
        else:
            continue
        if too_narrow:
            found.append(widget.objectName or widget.text)
    return found


def lengthen(panel, factor: float) -> None:
    """Every text of the panel's form, so much longer: as a translation would be. Those that wrap would, too."""
    import qt

    for widget in panel.parent.findChildren(qt.QWidget):
        wraps = isinstance(widget, qt.QLabel) and widget.wordWrap
        if isinstance(widget, (qt.QPushButton, qt.QCheckBox, qt.QLabel)) and widget.text and not wraps:
            widget.setText(longer(widget.text, factor))


def longer(text: str, factor: float = GERMAN) -> str:
    return text + "n" * round(len(text) * (factor - 1))


class LongerTexts(dict):
    """Translations in a language of long words: whatever is asked, the answer is longer."""

    def get(self, text, default=None):
        return longer(text)


@pytest.fixture
def filled(panel):
    """Two radiographs chosen, with names as long as they come."""
    picture = np.hypot(*np.indices((200, 160)))
    drive.choose_radiographs(
        panel, add_radiograph(picture, f"AP {LONG_NAME}"), add_radiograph(picture.T[:150], f"Lateral {LONG_NAME}")
    )
    return panel


@pytest.fixture
def with_case(panel, tmp_path: Path):
    """A small case on the screen, next to its CT."""
    from support.results_folders import write_results
    from TomoRayLib.slicer.scene.case_nodes import add_case

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node, add_segmentation(labels, node))
    case = add_case(write_results(tmp_path / "results"), "CT", node)
    panel.panel.parameters.currentCase = case.synthetic
    drive.settle()
    return panel


@pytest.mark.parametrize("style", ["light", "dark"])
def test_the_empty_panel(panel, slicer_host, style: str) -> None:
    path = slicer_host.grab(panel.parent, PICTURES / f"empty_{style}.png", 460, 900, style=style)
    picture = pixels(path)
    assert picture.shape == (900, 460, 3)
    assert (np.median(picture) < 90) == (style == "dark")
    assert picture.std() > 10


@pytest.mark.parametrize("width", [PANEL_AT_1366_PX, 460])
def test_long_names_do_not_widen_the_panel_or_cut_anything_off(filled, slicer_host, width: int) -> None:
    path = slicer_host.grab(filled.parent, PICTURES / f"long_names_{width}.png", width, 1250)
    assert pixels(path).shape[1] == width
    assert filled.parent.minimumSizeHint.width() <= width
    filled.parent.resize(width, 1250)
    drive.settle()
    assert cut_off(filled) == []


def test_german_length_fits_on_a_small_screen(filled, slicer_host) -> None:
    slicer_host.app._translations = LongerTexts()
    try:
        filled.panel.update()
        drive.settle()
        assert drive.status(filled) == longer("Ready.")
        lengthen(filled, GERMAN)
        filled.parent.resize(PANEL_AT_1366_PX, 1400)
        drive.settle()
        slicer_host.grab(filled.parent, PICTURES / "german_length.png", PANEL_AT_1366_PX, 1400)
        assert filled.parent.minimumSizeHint.width() <= PANEL_AT_1366_PX
        assert cut_off(filled) == []
    finally:
        slicer_host.set_translations(None)


def test_every_section_of_a_case_has_room(with_case, slicer_host) -> None:
    """The table, its buttons and the log, one below the other: none over the other."""
    ui = with_case.ui
    ui.advancedSection.collapsed = False
    drive.settle()
    needed = with_case.parent.minimumSizeHint.height()
    slicer_host.window.resize(520, 700)  # in its scroll area the form is as low as it allows
    drive.settle()
    assert ui.compareButtons.geometry.top() > ui.metricsTable.geometry.bottom()
    slicer_host.grab(with_case.parent, PICTURES / "case.png", 460, needed)
    with_case.parent.resize(460, needed)
    drive.settle()
    table_end = ui.metricsTable.geometry.bottom()
    assert ui.compareButtons.geometry.top() > table_end
    assert cut_off(with_case) == []


@pytest.mark.parametrize(
    ("name", "width", "height", "scale"), [("small_screen", 1366, 768, 1.0), ("four_k", 1920, 1080, 2.0)]
)
def test_the_window_on_small_and_large_screens(
    with_case, slicer_host, name: str, width: int, height: int, scale
) -> None:
    path = slicer_host.grab_window(PICTURES / f"{name}.png", width, height, scale=scale, caption=CAPTION)
    picture = pixels(path)
    assert picture.shape == (round(height * scale), round(width * scale), 3)
    assert share_of_color(picture, (230, 158, 0)) > 1e-4  # the synthetic outline
    assert share_of_color(picture, (255, 217, 51)) > 1e-4  # the line that says synthetic


def test_difference_distance_and_opacity_are_seen(with_case, slicer_host) -> None:
    """Blue and red in the slices with the overlay, no magma in 3D without distances, nothing of a hidden surface."""
    red, blue = (103, 0, 31), (5, 48, 97)
    ui = with_case.ui
    before = pixels(slicer_host.grab_window(PICTURES / "plain.png", 1366, 768))
    ui.differenceCheckBox.checked = True
    drive.settle()
    over = pixels(slicer_host.grab_window(PICTURES / "difference.png", 1366, 768, style="dark"))
    for color in (red, blue):
        assert share_of_color(over, color, 60) > share_of_color(before, color, 60)
    ui.differenceCheckBox.checked = False
    ui.distanceCheckBox.checked = False
    drive.settle()
    plain = pixels(slicer_host.grab_window(PICTURES / "no_distance.png", 1366, 768))
    assert share_of_color(plain, (230, 158, 0), 60) > share_of_color(before, (230, 158, 0), 60)
    ui.syntheticSlider.value = 0.0
    ui.truthSlider.value = 0.0
    drive.settle()
    hidden = pixels(slicer_host.grab_window(PICTURES / "hidden_surfaces.png", 1366, 768))
    three_d = (slice(30, 380), slice(1150, 1340))
    assert hidden[three_d].std(axis=(0, 1)).sum() < plain[three_d].std(axis=(0, 1)).sum()


def test_the_synthetic_layout_shows_the_radiographs(with_case, slicer_host) -> None:
    from TomoRayLib.slicer.panel.parameters import Layout

    with_case.ui.layoutComboBox.currentIndex = list(Layout).index(Layout.SYNTHETIC)
    drive.settle()
    picture = pixels(slicer_host.grab_window(PICTURES / "synthetic_layout.png", 1366, 768))
    assert share_of_color(picture, (230, 158, 0)) > 1e-4


def phantom_radiographs():
    """The built-in phantom's AP and lateral, as volume nodes: the lateral taken 30 mm higher."""
    from dataclasses import replace

    from TomoRayLib.geometry.presets import c_arm
    from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
    from TomoRayLib.synthesis.acquisition import default_isocenter_mm
    from TomoRayLib.synthesis.rendering import render

    ct, labels = phantom_volumes()
    pair = c_arm(default_isocenter_mm(ct, labels)[0])
    detector = replace(pair.lateral.detector, offset_mm=(-30.0 * pair.lateral.beam.magnification, 0.0))
    views = {"AP": pair.ap, "lateral": replace(pair.lateral, detector=detector)}
    return [add_radiograph(image, name) for name, image in render(ct, views).items()]


def test_the_placing_step_at_1366_x_768(panel, slicer_host) -> None:
    """Both images large, letters at their edges, a centre, a level line and a ruler in each."""
    drive.choose_radiographs(panel, *phantom_radiographs())
    drive.click(panel.ui.placeButton)
    views = panel.panel.placing.views
    frame = views._images["lateral"].frame
    views._marks["lateral", "center"].SetNthControlPointPositionWorld(0, frame.ras((189.5, 137.0)))
    frame = views._images["ap"].frame
    views._marks["ap", "line"].SetNthControlPointPositionWorld(0, frame.ras((110.0, 20.0)))
    slicer_host.process_events(0.4)
    slicer_host.grab_window(PICTURES / "placing.png", 1366, 768)
    views.fit()  # the stand-in's views have their size only now
    folder = Path(SCREENSHOTS) if SCREENSHOTS else PICTURES
    path = slicer_host.grab_window(folder / "placing.png", 1366, 768, caption=CAPTION)
    picture = pixels(path)
    left, right = picture[:, 460:913], picture[:, 913:]
    for half in (left, right):
        for color in ((255, 217, 51), (87, 181, 232), (214, 94, 0)):  # centre, level line, ruler
            assert share_of_color(half, color) > 1e-4, color


@pytest.mark.slow
def test_screenshots_of_the_documentation(panel, slicer_host, request: pytest.FixtureRequest) -> None:
    """The sample from button to result, as the README and the tutorial show it (`make screenshots` keeps them, of the
    real network)."""
    if not SCREENSHOTS:
        request.getfixturevalue("tiny_worker")
    drive.click(panel.ui.sampleButton)
    if "not a patient" in drive.wait_for_end(panel, 600):
        pytest.skip("the package index cannot be reached: the real CT was not downloaded")
    drive.click(panel.ui.synthesizeButton)
    assert drive.wait_for_end(panel, 600).startswith("Done")
    folder = Path(SCREENSHOTS) if SCREENSHOTS else PICTURES
    window = pixels(slicer_host.grab_window(folder / "panel.png", 1600, 900, caption=CAPTION))
    assert share_of_color(window, (230, 158, 0)) > 1e-4
    panel.ui.differenceCheckBox.checked = True
    drive.settle()
    slicer_host.grab_window(folder / "compare.png", 1600, 900, style="dark", caption=CAPTION)
    panel.ui.differenceCheckBox.checked = False
    ap, lateral = panel.panel.compare.case.ap, panel.panel.compare.case.lateral
    drive.choose_radiographs(panel, ap, lateral)
    slicer_host.grab(panel.parent, folder / "inputs.png", 460, 700)
