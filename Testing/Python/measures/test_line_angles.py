"""The lines of an angle show the angle: as it was measured, and after one of them was turned by hand."""

from __future__ import annotations

import numpy as np
import pytest

from support.stacked_boxes import BoxVertebra, grid_around, label_volume
from TomoRayLib.measures.line_angles import NORMAL, angle_of_lines
from TomoRayLib.measures.spine import MeasuredSpine, measure_spine

FIRST = 8 + 3  # T4: kyphosis and lordosis are both in view
LOPSIDED = [
    BoxVertebra(
        FIRST + number,
        (9.0 * np.sin(number / 3), 4.0 * np.cos(number / 4), -34.0 * number),
        anterior_mm=20.0 + number % 3,
        pitch_deg=22.0 - 4.0 * number,
        roll_deg=12.0 * np.cos(number / 2),
        yaw_deg=5.0 + 9.0 * np.sin(number),
        depth_mm=28.0,
        width_mm=36.0,
    )
    for number in range(14)
]


@pytest.fixture(scope="module")
def spine() -> MeasuredSpine:
    grid = grid_around(LOPSIDED, (1.6, 1.8, 1.7))
    return measure_spine(label_volume(LOPSIDED, grid), grid)


def normal_of(spine: MeasuredSpine, subject: str) -> np.ndarray:
    upper, lower = (next(body for body in spine.bodies.values() if body.name == name) for name in subject.split("/"))
    return upper.frame.left + lower.frame.left


def test_the_lines_of_every_angle_show_its_value(spine: MeasuredSpine) -> None:
    angles = [one for one in spine.measures if one.definition.unit == "°" and one.value is not None]
    assert {one.key for one in angles} == {*NORMAL, "segmental_angle_deg"}
    for one in angles:
        normal = None if one.key in NORMAL else normal_of(spine, one.subject)
        assert angle_of_lines(one.key, one.lines_mm, normal) == pytest.approx(one.value, abs=1e-6), one.key
        upper, lower = (end - start for start, end in one.lines_mm)
        cosine = upper @ lower / np.linalg.norm(upper) / np.linalg.norm(lower)
        in_space_deg = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        assert in_space_deg == pytest.approx(abs(one.value), abs=1e-3), "the lines lie in the plane of the angle"


def test_the_lines_of_every_length_are_as_long_as_it(spine: MeasuredSpine) -> None:
    lengths = [one for one in spine.measures if one.definition.unit == "mm" and one.value is not None]
    assert len(lengths) > 14 * 3
    for one in lengths:
        total_mm = sum(np.linalg.norm(end - start) for start, end in one.lines_mm)
        assert total_mm == pytest.approx(abs(one.value), abs=1e-6), (one.key, one.subject)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("cobb_deg", 10.0), ("thoracic_kyphosis_deg", -10.0), ("lumbar_lordosis_deg", 10.0), ("rotation_deg", 10.0)],
)
def test_a_line_that_is_turned_turns_the_angle(key: str, expected: float) -> None:
    turn = np.radians(10.0)
    first = {"cobb_deg": [-30.0, 0, 0], "rotation_deg": [0, -30.0, 0]}.get(key, [0, 30.0, 0])
    about = NORMAL[key]
    second = np.cos(turn) * np.array(first) + np.sin(turn) * np.cross(about, first)
    out_of_plane = second + 7.0 * about
    for moved in (second, out_of_plane):
        lines = [
            ([5.0, 6.0, 7.0], np.add([5.0, 6.0, 7.0], first)),
            ([1.0, -2.0, -90.0], np.add([1.0, -2.0, -90.0], moved)),
        ]
        assert angle_of_lines(key, lines) == pytest.approx(expected)


def test_lines_without_plane_or_length_are_refused() -> None:
    lines = [([0, 0, 0], [0, 30, 0]), ([0, 0, 0], [0, 30, 0])]
    with pytest.raises(ValueError, match="plane of segmental_angle_deg"):
        angle_of_lines("segmental_angle_deg", lines)
    with pytest.raises(ValueError, match="a length in the plane"):
        angle_of_lines("cobb_deg", [([0, 0, 0], [0, 30, 0]), ([0, 0, 0], [9, 0, 0])])
