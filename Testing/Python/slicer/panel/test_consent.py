"""Weights for non-commercial use alone are agreed to once; others are offered, and run without a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import panel_driver as drive

PICTURES = Path(__file__).resolve().parents[4] / "output" / "panel"
FREE = "geolift-s-permissive"


@pytest.fixture
def nothing_agreed(ready):
    import qt

    from TomoRayLib.slicer.panel.consent import AGREED, KEY

    qt.QSettings().setValue(KEY, "")
    yield ready.panel
    qt.QSettings().setValue(KEY, AGREED)


def given(panel) -> bool:
    return panel.consent.given(panel.parameters)


def questions(slicer_host) -> list[str]:
    return [dialog.text for dialog in slicer_host.dialogs if "licence" in dialog.title]


def test_the_default_weights_are_asked_about_once(nothing_agreed, slicer_host) -> None:
    import qt

    slicer_host.dialogs.answer(qt.QMessageBox.Yes)
    assert given(nothing_agreed)
    assert given(nothing_agreed)
    (asked,) = questions(slicer_host)
    assert "geolift-s are under CC-BY-NC-SA-4.0: for non-commercial research only" in asked
    assert nothing_agreed.parameters.model == ""


def test_cancel_starts_nothing_and_the_next_press_asks_again(nothing_agreed, slicer_host, ready) -> None:
    import qt

    slicer_host.dialogs.answer(qt.QMessageBox.Cancel, qt.QMessageBox.Cancel)
    for _press in range(2):
        drive.click(ready.ui.synthesizeButton)
        assert drive.status(ready) == "Nothing was started."
        assert not ready.panel.run_box.busy
    assert len(questions(slicer_host)) == 2


def test_the_free_weights_are_taken_and_stay_the_choice(nothing_agreed, slicer_host, ready) -> None:
    import qt

    slicer_host.dialogs.answer(qt.QMessageBox.No)
    assert given(nothing_agreed)
    assert nothing_agreed.parameters.model == FREE
    assert given(nothing_agreed)
    assert len(questions(slicer_host)) == 1
    nothing_agreed.parameters.model = ""  # a new scene
    nothing_agreed.consent.prefer(nothing_agreed.parameters)
    assert nothing_agreed.parameters.model == FREE
    assert ready.panel.request().settings.model == FREE


def test_free_weights_and_slicers_testing_mode_ask_nothing(nothing_agreed, slicer_host) -> None:
    nothing_agreed.parameters.model = FREE
    assert given(nothing_agreed)
    nothing_agreed.parameters.model = ""
    slicer_host.set_testing(True)
    try:
        assert given(nothing_agreed)
    finally:
        slicer_host.set_testing(False)
    assert questions(slicer_host) == []


def test_the_question_names_both_models_on_its_buttons(slicer_host) -> None:
    import qt

    from TomoRayLib.slicer.panel.consent import question
    from TomoRayLib.weights import find_model

    box = question(find_model("geolift-s"), find_model(FREE))
    assert "CC-BY-SA-4.0, which allows commercial use" in box.informativeText
    box.show()
    slicer_host.process_events(0.05)
    PICTURES.mkdir(parents=True, exist_ok=True)
    box.grab().save(str(PICTURES / "consent.png"))
    assert box.button(qt.QMessageBox.Yes).text == "Use geolift-s (non-commercial research)"
    assert box.button(qt.QMessageBox.No).text == f"Use {FREE} (commercial use allowed)"
    assert box.button(qt.QMessageBox.Cancel) is not None
    box.close()
