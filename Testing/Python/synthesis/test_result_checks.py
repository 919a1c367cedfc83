"""The judgement of a synthetic spine: measures of made-up columns with known volumes, heights and steps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from TomoRayLib.synthesis.result_checks import doubtful, doubts, measured

FOV_MM = 256.0


def a_column(size: int = 48, probability: float = 0.95) -> NDArray[np.float32]:
    """A column of 4 x 5 voxels of 48^3 over 36 of 48 slices, off the middle, in a cube of any size."""
    step = size // 48
    volume = np.zeros((size,) * 3, np.float32)
    volume[6 * step : 42 * step, 28 * step : 33 * step, 20 * step : 24 * step] = probability
    return volume


def test_a_whole_column_is_measured_in_millimetres_and_not_doubted() -> None:
    measures = measured(a_column(), FOV_MM)
    voxel_ml = (256 / 48) ** 3 / 1000
    assert measures.volume_ml == pytest.approx(36 * 20 * voxel_ml)
    assert measures.height_mm == pytest.approx(36 * 256 / 48)
    assert (measures.parts, measures.jump_mm) == (1, 0.0)
    assert measures.certainty == pytest.approx(0.95**7, rel=0.04)
    assert doubts(measures) == ()


def test_a_finer_volume_gives_the_same_measures() -> None:
    coarse, fine = vars(measured(a_column(48), FOV_MM)), vars(measured(a_column(192), FOV_MM))
    assert fine == pytest.approx(coarse, rel=1e-5)


def test_an_uncertain_column_is_doubted() -> None:
    measures = measured(a_column(probability=0.6), FOV_MM)
    assert measures.certainty < 0.6**7
    (said,) = doubts(measures)
    assert said.startswith("a certainty of 0.0")


def test_pieces_and_steps_are_counted() -> None:
    volume = a_column()
    for first in (14, 22, 30):
        volume[first : first + 2] = 0.0
    measures = measured(volume, FOV_MM)
    assert (measures.parts, measures.height_mm) == (4, pytest.approx(30 * 256 / 48))
    assert "bone in 4 separate parts" in doubts(measures)
    broken = a_column()
    broken[24:] = np.roll(broken[24:], 7, axis=2)
    measures = measured(broken, FOV_MM)
    assert measures.jump_mm == pytest.approx(7 * 256 / 48)
    assert doubts(measures) == ("a spine that jumps sideways by 37 mm",)


def test_a_gap_is_no_step() -> None:
    """Only neighbouring slices are compared: what lies apart is another part."""
    volume = a_column()
    volume[20:24] = 0.0
    volume[24:] = np.roll(volume[24:], 7, axis=2)
    assert measured(volume, FOV_MM).jump_mm == 0.0


def test_nothing_and_next_to_nothing_have_no_certainty() -> None:
    nothing = np.zeros((48, 48, 48), np.float32)
    measures = measured(nothing, FOV_MM)
    assert (measures.certainty, measures.volume_ml, measures.parts, measures.jump_mm) == (0.0, 0.0, 0, 0.0)
    speck = nothing.copy()
    speck[20, 20, 20] = 1.0
    assert measured(speck, FOV_MM).certainty < 0.06
    assert {"0 ml of bone", "bone over 0 mm of height only"} <= set(doubts(measured(speck, FOV_MM)))


def test_the_warning_says_what_the_result_has_and_which_radiographs_are_unlike_the_training() -> None:
    found, unlike = ("12 ml of bone", "bone in 4 separate parts"), ("the AP radiograph is unlike others",)
    advice = "Check views and geometry, and look at the result."
    has = "The result is doubtful: it has 12 ml of bone, bone in 4 separate parts"
    assert doubtful(found) == f"{has}. {advice}"
    assert doubtful((), unlike) == f"The result is doubtful: the AP radiograph is unlike others. {advice}"
    assert doubtful(found, unlike) == f"{has}; the AP radiograph is unlike others. {advice}"
