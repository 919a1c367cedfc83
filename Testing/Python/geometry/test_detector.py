"""Detectors: places of rows and columns, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.detector import Detector


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"rows": 0}, "size"),
        ({"pixel_spacing_mm": (0.0, 0.14)}, "pixel_spacing_mm"),
        ({"pixel_spacing_mm": (0.14,)}, "pixel_spacing_mm"),
        ({"offset_mm": (float("nan"), 0.0)}, "offset_mm"),
    ],
)
def test_an_impossible_detector_is_refused(bad: dict, field: str) -> None:
    with pytest.raises(InputError, match="Detector") as raised:
        Detector(**{"rows": 4, "columns": 4, "pixel_spacing_mm": (1.0, 1.0), **bad})
    assert raised.value.field == field


def test_rows_and_columns_lie_about_the_offset() -> None:
    detector = Detector(3, 2, (2.0, 0.5), (10.0, -1.0))
    np.testing.assert_allclose(detector.down_mm(), (8.0, 10.0, 12.0))
    np.testing.assert_allclose(detector.right_mm(), (-1.25, -0.75))
