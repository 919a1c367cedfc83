"""The message and the button: in view on a small screen, whatever the message and wherever the form is scrolled to."""

from __future__ import annotations

from support import panel_driver as drive
from support.slicer_data import a_lateral, a_picture, add_radiograph

# What Slicer leaves for a module's panel on a screen of 1366 x 768: below menu and tool bars and the help, above the
# data probe and the status bar.
PANEL_PX = (500, 430)
LONG = "The AP radiograph says one thing and its header another, so that the SAD is to be given. " * 30


def place_in_window(panel, widget):
    """The rectangle of a widget in the scroll area that Slicer puts a panel into: (top, bottom, height of it)."""
    import qt

    viewport = panel.parent.parentWidget()
    top = widget.mapTo(viewport, qt.QPoint(0, 0)).y()
    return top, top + widget.height, viewport.height


def is_in_view(panel, widget) -> bool:
    top, bottom, height = place_in_window(panel, widget)
    return widget.isVisible() and 0 <= top < bottom <= height


def on_a_small_screen(panel, slicer_host) -> None:
    slicer_host.window.resize(*PANEL_PX)
    slicer_host.process_events(0.2)


def test_the_button_stays_in_view_whatever_the_message(panel, slicer_host) -> None:
    on_a_small_screen(panel, slicer_host)
    assert is_in_view(panel, panel.ui.synthesizeButton)
    panel.panel.say(LONG)
    slicer_host.process_events(0.2)
    ui = panel.ui
    assert is_in_view(panel, ui.synthesizeButton)
    assert is_in_view(panel, ui.statusArea)
    assert ui.statusLabel.height > ui.statusArea.height  # the rest is scrolled to
    assert ui.statusArea.verticalScrollBar().maximum > 0
    panel.panel.say("Ready.")
    slicer_host.process_events(0.2)
    assert ui.statusArea.height < 2.5 * ui.statusLabel.fontMetrics().lineSpacing()


def test_the_button_stays_in_view_if_the_form_is_long_and_scrolled(panel, slicer_host) -> None:
    on_a_small_screen(panel, slicer_host)
    drive.choose_radiographs(panel, add_radiograph(a_picture(), "AP"), add_radiograph(a_lateral(), "lateral"))
    ui = panel.ui
    drive.click(ui.acquisitionButton)
    for section in (ui.outputsSection, ui.advancedSection):
        section.collapsed = False
    slicer_host.process_events(0.2)
    bar = ui.scrollArea.verticalScrollBar()
    assert bar.maximum > 300
    for value in (0, bar.maximum // 2, bar.maximum):
        bar.value = value
        slicer_host.process_events(0.05)
        assert is_in_view(panel, ui.synthesizeButton)
    assert ui.scrollArea.height > 150  # room is left for the form


def test_the_form_is_never_cut_at_its_side(panel, slicer_host) -> None:
    on_a_small_screen(panel, slicer_host)
    ui = panel.ui
    assert ui.scrollArea.minimumWidth >= ui.sections.minimumSizeHint.width()
    assert ui.sections.width >= ui.sections.minimumSizeHint.width()
