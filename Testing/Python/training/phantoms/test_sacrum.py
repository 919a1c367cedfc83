"""The lumbosacral junction: L5 comes to stand on the body's sacrum, which keeps its endplate and its form."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import torch

from support.anatomies import a_body
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.bodies import Body
from TomoRayLib.training.phantoms.body_levels import DISC_BEHIND_COURSE_MM, HALF_DISC_MM
from TomoRayLib.training.phantoms.sacrum import REACH_MM, Seat, junction_of, random_seat
from TomoRayLib.training.phantoms.spine_removal import sacrum_zone
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.training.phantoms.vertebral_bodies import VertebralBody

NAME = "tcga_de_a4ma_torso"
DISC_MM = -1233.0
AXIS = (0.0, -0.28, 0.96)


class Made(NamedTuple):
    spine: Spine
    body: Body


def made() -> Made:
    """A spine of L4 and L5 that leans, and a body of known levels whose bottom of L5 is at ``DISC_MM``."""
    bodies = tuple(
        VertebralBody(level, (3.0, y, z), AXIS, 22.0, 16.0, 12.5)
        for level, y, z in ((23.5, 40.0, 95.0), (24.5, 48.0, 62.0))
    )
    grid = Grid((50, 60, 140), (1.0, 1.0, 1.0), (-20.0, 20.0, 10.0))
    curve = np.stack([np.full(140, 3.0), np.linspace(80.0, 60.0, 140)], axis=1)
    levels = np.array([[body.level, body.center_mm[2]] for body in bodies])
    empty = torch.zeros(grid.shape, dtype=torch.uint8)
    body = dataclasses.replace(a_body(), name=NAME, levels=((20.0, DISC_MM + 170.0), (25.0, DISC_MM)))
    return Made(Spine("L4-L5", empty, grid, curve, levels, bodies), body)


SPINE, BODY = made()


def test_the_junction_is_half_a_disc_below_the_lower_endplate_of_the_lowest_lumbar_vertebra() -> None:
    junction = junction_of(SPINE)
    assert junction is not None
    below = 12.5 + HALF_DISC_MM
    assert junction.z_mm == pytest.approx(62.0 - below * 0.96)
    course_y = 80.0 - (junction.z_mm - 10.0) * 20.0 / 139
    assert junction.behind_mm == pytest.approx(48.0 + below * 0.28 - course_y, abs=0.1)
    assert junction_of(dataclasses.replace(SPINE, bodies=SPINE.bodies[:1])) is None
    sixth = dataclasses.replace(SPINE.bodies[1], level=25.5, center_mm=(3.0, 50.0, 30.0))
    lower = junction_of(dataclasses.replace(SPINE, bodies=(*SPINE.bodies, sixth)))
    assert lower is not None
    assert lower.z_mm == pytest.approx(junction.z_mm - 32.0)


def test_the_junction_follows_the_median_section_of_the_body_not_its_box_nor_its_spinous_process() -> None:
    plain = junction_of(SPINE)
    assert plain is not None
    labels = torch.zeros(SPINE.grid.shape, dtype=torch.uint8)
    labels[40:62, 10:36, 10:36] = 24  # z 50 to 71, y 30 to 55 mm: 5.5 mm before and 1.5 mm below the box
    labels[36:50, 44:58, 20:27] = 24  # its spinous process, apart
    labels[62:70, 10:36, 10:36] = 23  # L4 touches it
    seen = junction_of(dataclasses.replace(SPINE, labels=labels))
    assert seen is not None
    assert seen.z_mm == pytest.approx(plain.z_mm - 1.5)
    assert seen.behind_mm == pytest.approx(plain.behind_mm - 5.5, abs=0.3)
    bone = (labels == 24).to(torch.uint8) * 255
    assert junction_of(dataclasses.replace(SPINE, occupancy=bone)) == seen


@pytest.mark.parametrize("shift_mm", [-25.0, 9.0])
def test_the_disc_below_l5_is_brought_onto_the_sacrum_and_the_chest_stays(shift_mm: float) -> None:
    junction = junction_of(SPINE)
    assert junction is not None
    slope, scale = 1.1, 0.9
    heights = (slope, DISC_MM + shift_mm - slope * junction.z_mm)
    met = []
    for seed in range(40):
        seat = random_seat(SPINE, BODY, heights, scale, np.random.default_rng(seed))
        at = torch.tensor([slope * junction.z_mm + heights[1]])
        looked_at = float(seat.heights(at)), junction.behind_mm * scale + float(seat.moved_y(at)[0])  # type: ignore[index]
        met.append(np.array(looked_at) - (DISC_MM, DISC_BEHIND_COURSE_MM[NAME]))
        above = at + torch.tensor([REACH_MM + 1.0, REACH_MM + 200.0])
        torch.testing.assert_close(seat.heights(above), above)
        way = seat.heights(at + torch.arange(-60.0, 200.0, 4.0))
        assert float((way[1:] - way[:-1]).min()) > 1.0  # no place is looked at twice
    assert np.abs(np.mean(met, axis=0)).max() < 0.8
    assert np.std(met, axis=0) == pytest.approx(1.5, rel=0.4)


def test_without_l5_or_a_known_sacrum_nothing_moves() -> None:
    rng = np.random.default_rng(0)
    chest = dataclasses.replace(BODY, name="a_chest")
    upper = dataclasses.replace(SPINE, bodies=SPINE.bodies[:1])
    for spine, body in ((SPINE, chest), (upper, BODY)):
        assert random_seat(spine, body, (1.0, 0.0), 1.0, rng) == Seat()
    z_mm = torch.tensor([-40.0, 3.0])
    assert torch.equal(Seat().heights(z_mm), z_mm)
    assert Seat().moved_y(z_mm) == 0.0


def test_a_sacrum_ends_in_an_endplate_that_falls_forwards() -> None:
    grid = Grid((4, 60, 70), (3.0, 2.0, 2.0), (-5.0, 30.0, -300.0))
    curve = np.tile((0.0, 100.0), (70, 1))
    zone = sacrum_zone(curve, grid, -230.0, -20.0)[:, :, 0]
    top_mm = grid.origin_mm[2] + (zone.sum(axis=0) - 1) * 2.0  # it is all that lies below
    y_mm = grid.origin_mm[1] + np.arange(60) * 2.0
    tops = np.interp([70.0, 80.0, 88.0, 120.0], y_mm, top_mm)
    assert tops[1] == pytest.approx(-232.0, abs=2.1)  # at the middle of the disc's depth, just below its middle
    assert tops[1] - tops[0] == pytest.approx(10 * np.tan(np.deg2rad(38)), abs=2.1)
    assert tops[2] > tops[1]
    assert tops[3] == pytest.approx(-224.0, abs=2.1)  # and no higher behind the canal
