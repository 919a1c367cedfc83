"""Decimal points while ITK reads and writes, in programs that speak another language.

ITK's NRRD reader (teem) takes "1.5" for 1 if the process writes decimals with a comma, as every Qt program does on a
German or French desktop, and says nothing; ITK's VTK reader leaves the process with a point. ITK 6 ends that.
Source: ITK issues 3375 and 5683, pull request 6695; ``findings/nrrd-decimal-comma.sh``.
"""

from __future__ import annotations

import locale
from collections.abc import Callable

from TomoRayLib.images.quiet import WhileAnyIsInside


def _use_points() -> Callable[[], object]:
    before = locale.setlocale(locale.LC_NUMERIC)
    if before in ("C", "POSIX"):
        return lambda: None
    locale.setlocale(locale.LC_NUMERIC, "C")
    return lambda: locale.setlocale(locale.LC_NUMERIC, before)


decimal_points = WhileAnyIsInside(_use_points)
