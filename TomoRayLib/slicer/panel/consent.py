"""The licence of a model's weights: who wants to use non-commercial ones agrees once, or takes others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

KEY = "TomoRay/WeightsAgreedTo"  # in Slicer's settings: AGREED, PERMISSIVE, or nothing
AGREED, PERMISSIVE = "non-commercial", "permissive"


class Consent:
    """Asks before the first run with weights whose licence forbids commercial use. The answer is kept in Slicer's
    settings. Nothing asks in Slicer's testing mode."""

    def given(self, parameters: Any) -> bool:
        """Return whether the chosen model may run; the user may choose another one here, which is then chosen in
        ``parameters``."""
        default, entries = _registry()
        entry = entries.get(parameters.model or default)
        if entry is None or not _is_non_commercial(entry) or slicer.app.testingEnabled() or _answer() == AGREED:
            return True
        free = _free(entries)
        buttons = qt.QMessageBox
        pressed = int(question(entry, free).exec_())
        if pressed == int(buttons.Yes):
            qt.QSettings().setValue(KEY, AGREED)
            return True
        if free is not None and pressed == int(buttons.No):
            qt.QSettings().setValue(KEY, PERMISSIVE)
            parameters.model = free.id
            return True
        return False

    def prefer(self, parameters: Any) -> None:
        """Choose the weights that the user has preferred, if none were chosen."""
        if parameters.model or _answer() != PERMISSIVE:
            return
        free = _free(_registry()[1])
        if free is not None:
            parameters.model = free.id


def question(entry: Any, free: Any) -> Any:
    """Return the dialog: Yes takes the model, No the ``free`` one (None if there is none), Cancel neither."""
    buttons = qt.QMessageBox
    box = qt.QMessageBox()
    box.setIcon(buttons.Question)
    box.setWindowTitle(_("TomoRay: licence of the weights"))
    box.setText(
        _(
            "The weights of {model} are under {licence}: for non-commercial research only, with attribution, and what "
            "is made from them under the same licence. TomoRay itself is under Apache 2.0."
        ).format(model=entry.id, licence=entry.licence)
    )
    about_free = (
        _(
            "{free} was trained without non-commercial data and is under {licence}, which allows commercial use; its "
            "synthetic CTs are clearly worse. "
        ).format(free=free.id, licence=free.licence)
        if free is not None
        else ""
    )
    box.setInformativeText(
        about_free + _("Your choice is remembered; change it at any time under Advanced, Model. Research use only.")
    )
    shown = buttons.Yes | buttons.Cancel
    box.setStandardButtons(shown | buttons.No if free is not None else shown)
    box.button(buttons.Yes).text = _("Use {model} (non-commercial research)").format(model=entry.id)
    if free is not None:
        box.button(buttons.No).text = _("Use {free} (commercial use allowed)").format(free=free.id)
    box.setDefaultButton(buttons.Cancel)
    return box


def _registry() -> tuple[str, Mapping[str, Any]]:
    from TomoRayLib.weights import read_registry

    return read_registry()


def _is_non_commercial(entry: Any) -> bool:
    return "NC" in entry.licence.upper().replace("_", "-").split("-")


def _free(entries: Mapping[str, Any]) -> Any:
    """The first model whose weights may be used commercially, None if there is none."""
    return next((entry for entry in entries.values() if not _is_non_commercial(entry)), None)


def _answer() -> str:
    return str(qt.QSettings().value(KEY) or "")
