"""The shift's part of an error: known moves of lopsided bodies on lopsided grids."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from TomoRayLib.metrics.shift import LARGEST_SHIFT_MM, Shift, ShiftTarget, shift_between, shift_onto
from TomoRayLib.metrics.vertebra import VertebraRow, dice, nearest_vertebra, truth_vertebrae, vertebra_rows

SPACING_MM = (0.7, 1.3, 2.0)  # (x, y, z)
SHAPE = (40, 60, 80)


def a_body(middle: tuple[float, float, float] = (40.0, 39.0, 28.0)) -> NDArray[np.bool_]:
    """An ellipsoid of half axes 11, 15 and 9 mm with a box behind it at its right; ``middle`` is (z, y, x) mm."""
    z, y, x = (
        (np.arange(count) * step - centre).reshape([-1 if axis == own else 1 for own in range(3)])
        for axis, (count, step, centre) in enumerate(zip(SHAPE, SPACING_MM[::-1], middle, strict=True))
    )
    body = (z / 9) ** 2 + (y / 15) ** 2 + (x / 11) ** 2 <= 1
    return body | ((np.abs(z) <= 4) & (np.abs(y - 18) <= 9) & (np.abs(x + 4) <= 3))


def moved(mask: NDArray[np.bool_], offset: tuple[int, int, int]) -> NDArray[np.bool_]:
    """The mask moved by (z, y, x) voxels."""
    return np.roll(mask, offset, axis=(0, 1, 2))


@pytest.mark.parametrize("offset", [(0, 0, 0), (3, 0, 0), (0, -8, 0), (0, 0, 14), (-2, 5, -9), (1, -7, 12)])
def test_a_moved_body_is_found_where_it_was_put(offset: tuple[int, int, int]) -> None:
    truth = a_body()
    found = shift_between(moved(truth, offset), truth, SPACING_MM)
    assert (found.superior_mm, found.posterior_mm, found.left_mm) == pytest.approx(
        [by * step for by, step in zip(offset, SPACING_MM[::-1], strict=True)]
    )
    assert found.dice == dice(moved(truth, offset), truth)
    assert found.dice_moved == 1.0
    assert found.share == (1.0 if any(offset) else 0.0)
    assert found.distance_mm == pytest.approx(np.linalg.norm(np.array(offset) * SPACING_MM[::-1]))


def test_no_neighbouring_move_overlaps_better() -> None:
    truth, noise = a_body(), np.random.default_rng(3)
    worn = moved(truth, (2, -6, 5)) & (noise.random(SHAPE) > 0.3)
    worn[18:26, 20:30, 30:44] = True
    found = shift_between(worn, truth, SPACING_MM)
    offset = [
        round(mm / step)
        for mm, step in zip((found.superior_mm, found.posterior_mm, found.left_mm), SPACING_MM[::-1], strict=True)
    ]
    assert found.dice_moved == pytest.approx(dice(moved(worn, (-offset[0], -offset[1], -offset[2])), truth))
    for axis, by in itertools.product(range(3), (-1, 1)):
        other = list(offset)
        other[axis] += by
        back = moved(worn, (-other[0], -other[1], -other[2]))
        assert dice(back, truth) <= found.dice_moved
    assert 0.0 < found.share < 1.0


def test_a_wrong_shape_in_the_right_place_has_no_shift() -> None:
    truth = a_body()
    shell = truth & ~(moved(truth, (0, 3, 0)) & moved(truth, (0, -3, 0)) & moved(truth, (2, 0, 0)))
    found = shift_between(shell, truth, SPACING_MM)
    assert found.distance_mm == 0.0
    assert found.dice_moved == found.dice < 1.0
    assert found.share == 0.0


def test_a_move_ends_at_the_limit() -> None:
    truth = a_body((40.0, 39.0, 17.0))
    far = moved(truth, (0, 0, 30))  # 21 mm
    found = shift_between(far, truth, SPACING_MM)
    assert LARGEST_SHIFT_MM - SPACING_MM[0] < found.distance_mm <= LARGEST_SHIFT_MM
    assert found.dice < found.dice_moved < 1.0
    assert shift_between(far, truth, SPACING_MM, limit_mm=0.0).dice_moved == found.dice
    assert shift_between(far, truth, SPACING_MM, limit_mm=22.0).dice_moved == 1.0


def test_bone_moved_out_of_the_volume_is_not_found_again() -> None:
    truth = a_body((40.0, 39.0, 45.0))
    prediction = np.zeros(SHAPE, dtype=bool)
    prediction[..., 10:] = truth[..., :-10]  # 7 mm to the left, its left end out of the volume
    lost = int(truth.sum()) - int(prediction.sum())
    assert lost > 0
    found = shift_between(prediction, truth, SPACING_MM)
    assert (found.left_mm, found.posterior_mm, found.superior_mm) == pytest.approx((7.0, 0.0, 0.0))
    assert found.dice_moved == pytest.approx(2 * prediction.sum() / (truth.sum() + prediction.sum()))


def test_without_a_prediction_or_a_truth_there_is_no_shift() -> None:
    nothing = np.zeros(SHAPE, dtype=bool)
    for found in (shift_between(nothing, a_body(), SPACING_MM), shift_between(a_body(), nothing, SPACING_MM)):
        assert found.dice == 0.0
        assert math.isnan(found.left_mm)
        assert math.isnan(found.dice_moved)
        values = json.loads(json.dumps(found.to_json_dict(), allow_nan=False))
        assert values["posterior_mm"] is None
        assert math.isnan(Shift.from_json_dict(values).superior_mm)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the truth's shape \(z, y, x\) = \(40, 60, 80\); got \(39, 60, 80\)"):
        shift_between(a_body()[1:], a_body(), SPACING_MM)
    with pytest.raises(ValueError, match="three numbers above 0"):
        shift_between(a_body(), a_body(), (1.0, 0.0, 1.0))
    target = ShiftTarget((slice(0, 40), slice(0, 60), slice(0, 80)), a_body())
    with pytest.raises(ValueError, match="limit_mm must not be negative; got -1"):
        shift_onto(a_body(), target, SPACING_MM, limit_mm=-1.0)


def a_column() -> NDArray[np.uint8]:
    """T12, L1 and L2 (19 to 21) from above, each 18 mm high, 8 mm apart, on the lopsided grid; L2 is cut below."""
    labels = np.zeros((40, 60, 80), dtype=np.uint8)
    for label, low in ((21, 0), (20, 12), (19, 25)):
        labels[low : low + 9, 18:38, 20:60] = label
        labels[low + 2 : low + 5, 38:46, 34:46] = label  # its spinous process
    return labels


def rows_of(prediction: NDArray[np.bool_], labels: NDArray[np.uint8]) -> tuple[VertebraRow, ...]:
    nearest = nearest_vertebra(labels, SPACING_MM)
    return vertebra_rows(prediction, truth_vertebrae(labels, SPACING_MM), nearest, SPACING_MM)


def test_each_vertebra_of_a_column_has_its_own_shift() -> None:
    labels = a_column()
    prediction = np.zeros(labels.shape, dtype=bool)
    prediction |= moved(labels == 19, (0, -6, 0))  # 7.8 mm too far forward
    prediction |= moved(labels == 20, (1, 0, 7))  # 2 mm too high, 4.9 mm too far left
    prediction |= labels == 21
    upper, middle, cut = rows_of(prediction, labels)
    assert (upper.shift_left_mm, upper.shift_posterior_mm, upper.shift_superior_mm) == pytest.approx((0.0, -7.8, 0.0))
    assert (middle.shift_left_mm, middle.shift_posterior_mm, middle.shift_superior_mm) == pytest.approx((4.9, 0.0, 2.0))
    for row in (upper, middle):
        assert row.dice < row.dice_moved
        assert row.dice_moved > 0.97  # a neighbour's bone may come as near
        assert row.shift.dice == row.dice
    assert cut.touches_edge
    assert cut.dice == 1.0
    assert math.isnan(cut.shift_left_mm)
    assert math.isnan(cut.dice_moved)


def test_a_vertebra_without_bone_near_it_has_no_shift() -> None:
    labels = a_column()
    upper, middle, _ = rows_of(labels == 20, labels)
    assert (upper.dice, middle.dice, middle.shift.distance_mm) == (0.0, 1.0, 0.0)
    assert math.isnan(upper.shift_left_mm)
