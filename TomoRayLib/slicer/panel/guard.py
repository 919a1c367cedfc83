"""Nothing raises into Slicer's console: every function that Qt or MRML calls goes through a guard."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable

from TomoRayLib.base.errors import InputError, OutputError


class Guard:
    """Wraps functions so that an expected error becomes a sentence and an unexpected one a sentence with a log.

    ``show(sentence, details)`` puts both in front of the user; ``details`` is empty for expected errors.
    """

    def __init__(self, show: Callable[[str, str], None]) -> None:
        self._show = show

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def guarded(*arguments):
            try:
                return function(*arguments)
            except (InputError, OutputError) as error:
                self._show(str(error), "")
            except Exception as error:  # a fault of ours: said, logged, and survived
                details = traceback.format_exc()
                logging.error("TomoRay: %s", details)
                self._show(
                    f"A fault in TomoRay ({type(error).__name__}: {error}). Please report it with the log.", details
                )

        return guarded
