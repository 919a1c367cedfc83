"""The run box: one line of plain text, a progress bar, and the Synthesize button that becomes Cancel."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from TomoRayLib.slicer.panel.texts import show_message
from TomoRayLib.slicer.worker.check_run import CheckRun
from TomoRayLib.slicer.worker.worker_run import WorkerRun

AnyRun = WorkerRun | CheckRun
Show = Callable[[Any], Any]  # takes the run that is done

POLL_MS = 100
DOUBLE_CLICK_S = 0.5  # the second click of a double click must not cancel what the first one started
BAR_STEPS = 1000
SECONDS_WORTH_SHOWING = 2.0


class RunBox:
    """Runs one ``WorkerRun`` or ``CheckRun`` at a time; ``finished(run, show)`` is called once for each, whatever its
    end."""

    def __init__(self, ui: Any, guard: Any, finished: Callable[[AnyRun, Show], Any]) -> None:
        self._ui = ui
        self._finished = finished
        self._run: AnyRun | None = None
        self._show: Show = lambda _run: None
        self._cancelling = False
        self._began = 0.0
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", guard(self._tick))
        self._ui.progressBar.visible = False

    @property
    def busy(self) -> bool:
        return self._run is not None

    def start(self, run: AnyRun, show: Show) -> None:
        """Start a run, whose nodes ``show(run)`` will show; while another one is under way, nothing happens."""
        if self.busy:
            return
        self._run, self._show = run, show
        self._cancelling = False
        self._began = time.monotonic()
        self._show_running(_("Starting"), 0.0, None)
        try:
            run.start()
        except Exception:
            self._end()
            run.cancel()
            raise
        self._began = time.monotonic()  # writing the inputs took time: the second click arrives only now
        self._timer.start()

    @property
    def just_begun(self) -> bool:
        """True for as long as a click may still be the second half of a double click."""
        return self.busy and time.monotonic() - self._began < DOUBLE_CLICK_S

    def cancel(self) -> None:
        """Ask the running activity to stop; its end is reported like any other."""
        if self._run is None or self._cancelling:
            return
        self._cancelling = True
        self._ui.synthesizeButton.enabled = False
        self._say(_("Cancelling ..."))
        self._run.cancel()
        self._tick()

    def stop(self) -> None:
        """Cancel silently: the scene or the module is being closed."""
        run = self._end()
        if run is not None:
            run.cancel()

    def show_idle(self, can_start: bool, sentence: str, tooltip: str) -> None:
        """Show the box while nothing runs: whether Synthesize may be pressed, and why not."""
        button = self._ui.synthesizeButton
        button.text = _("Synthesize")
        button.enabled = can_start
        button.toolTip = tooltip
        self._say(sentence)

    def _tick(self) -> None:
        if self._run is None:
            return
        try:
            status = self._run.poll()
        except Exception:  # the guard shows it, once: the run is over
            self.stop()
            raise
        if status.state.is_over:
            run = self._run
            self._end()
            self._finished(run, self._show)
        elif not self._cancelling:
            self._show_running(status.stage, status.fraction, status.seconds_left)

    def _end(self) -> AnyRun | None:
        """Back to idle; returns the run that was under way."""
        run, self._run = self._run, None
        self._timer.stop()
        self._ui.progressBar.visible = False
        return run

    def _show_running(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        button, bar = self._ui.synthesizeButton, self._ui.progressBar
        button.text = _("Cancel")
        button.enabled = True
        button.toolTip = _("Stop now. Nothing is kept.")
        bar.visible = True
        bar.maximum = BAR_STEPS
        bar.value = round(fraction * BAR_STEPS)
        sentence = _("{stage} ...").format(stage=stage)
        if seconds_left is not None and seconds_left >= SECONDS_WORTH_SHOWING:
            sentence = _("{stage}: about {seconds:.0f} s left").format(stage=stage, seconds=seconds_left)
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        show_message(self._ui.statusArea, self._ui.statusLabel, sentence)
