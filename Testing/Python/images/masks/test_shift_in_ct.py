"""Where a mask that lies aside of the bone would fit better: known shifts of a block on turned and mirrored grids."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.masks.shift_in_ct import better_place

SHAPE = (30, 32, 34)  # z, y, x
TURNED = (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)  # i to the right, j to the head, k to the back


def a_block(first: tuple[int, int, int]) -> NDArray[np.bool_]:
    inside = np.zeros(SHAPE, bool)
    inside[tuple(slice(start, start + 8) for start in first)] = True
    return inside


@pytest.mark.parametrize(
    ("direction", "where"),
    [((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), ("head", "back", "left")), (TURNED, ("back", "head", "right"))],
)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_shift_is_named_in_the_patients_directions(
    direction: tuple[float, ...], where: tuple[str, ...], axis: int
) -> None:
    grid = Grid(SHAPE[::-1], (2.0, 3.0, 4.0), (-40.0, 7.0, 300.0), direction)
    bone = np.where(a_block((11, 12, 13)), 300, 20)
    steps = (2, 4, 4)[axis]  # 8 mm, 12 mm, 8 mm
    first = [11, 12, 13]
    first[axis] -= steps
    better = better_place(bone, a_block((first[0], first[1], first[2])), grid, 20.0)
    assert better is not None
    assert better.text() == f"{(8, 12, 8)[axis]} mm towards the patient's {where[axis]}"
    assert better.ratio == pytest.approx(8 / (8 - steps))


def test_a_mask_in_its_place_has_no_better_one_faint_as_its_bone_may_be() -> None:
    grid = Grid(SHAPE[::-1], (2.0, 3.0, 4.0))
    for bone_hu in (60, 300, 3000):
        ct = np.where(a_block((11, 12, 13)), bone_hu, 20)
        ct[:, 22:] = 400 if bone_hu == 300 else -1000
        assert better_place(ct, a_block((11, 12, 13)), grid, 20.0) is None


def test_a_mask_that_would_leave_the_ct_is_not_moved_there() -> None:
    grid = Grid(SHAPE[::-1], (2.0, 3.0, 4.0))
    assert better_place(np.full(SHAPE, 200), a_block((0, 0, 0)), grid, 20.0) is None
