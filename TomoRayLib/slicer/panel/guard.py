"""A guard around every function that Qt or MRML calls, so that nothing raises into Slicer's console."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.slicer.worker.controls import with_control
from TomoRayLib.slicer.worker.failures import internal_error_sentence


class Guard:
    """Wraps functions so that an expected error becomes a sentence, and an unexpected one a sentence with a log.

    ``show(sentence, details)`` shows both to the user; ``details`` is empty for expected errors.
    """

    def __init__(self, show: Callable[[str, str], None]) -> None:
        self._show = show

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def guarded(*arguments):
            try:
                return function(*arguments)
            except (InputError, OutputError) as error:
                self._show(with_control(str(error), getattr(error, "field", None)), "")
            except Exception as error:  # an error of ours: shown, logged, and survived
                details = traceback.format_exc()
                logging.error("TomoRay: %s", details)
                remedy = _("Please report it with the log under Advanced.")
                self._show(f"{internal_error_sentence(error)} {remedy}", details)

        return guarded
