"""Beams: distances that no machine can have are refused, with the setting that holds them."""

from __future__ import annotations

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan


@pytest.mark.parametrize("beam", [ConeBeam, SlotScan])
@pytest.mark.parametrize(
    ("distances_mm", "field", "message"),
    [
        ((0.0, 1000.0), "sad_mm", r"source to isocentre \(SAD\) in mm must be a number above 0; got 0.0"),
        ((900.0, -1.0), "sid_mm", r"source to detector \(SID\) in mm must be a number above 0; got -1.0"),
        ((float("inf"), 1000.0), "sad_mm", "must be a finite number; got inf"),
        ((1536.0, 1000.0), "sid_mm", "must lie behind the isocentre.*swapped"),
    ],
)
def test_impossible_distances_are_refused(
    beam: type[ConeBeam | SlotScan], distances_mm: tuple[float, float], field: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        beam(*distances_mm)
    assert raised.value.field == field


def test_magnification_is_sid_over_sad_and_1_for_parallel_rays() -> None:
    assert ConeBeam(1000.0, 1536.0).magnification == pytest.approx(1.536)
    assert SlotScan(900.0, 1200.0).magnification == pytest.approx(4 / 3)
    assert ParallelBeam().magnification == 1.0
