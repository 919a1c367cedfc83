"""Whether all that DICOM output needs is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from TomoRayLib.base.errors import InputError

FIELD = "dicom"


def check_can_write_segmentations() -> None:
    """Raise InputError if highdicom, which writes Segmentation objects, is not installed."""
    if find_spec("highdicom") is None:
        raise InputError(
            f"Expected the package highdicom for DICOM output, found none; install it ({sys.executable} -m pip install "
            "highdicom), or leave DICOM output out.",
            FIELD,
        )
