"""Gas and calcium in discs, clefts of basivertebral veins: where they lie, how large, and how often."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from support.phantoms import STILL
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.spinal_marks import Mark, random_discs, random_marks, with_marks
from TomoRayLib.training.phantoms.spines import Spine, detailed_spine

GRID = Grid((80, 90, 175), (1.0, 1.0, 1.0), (-20.0, 35.0, -400.0))
MIDDLES = {label: -385.0 + 30.0 * (24 - label) for label in range(20, 25)}  # z of L1 to L5
CENTER_XY = (22.0, 70.0)
HALF_WIDTH, HALF_DEPTH, HALF_HEIGHT = 20.0, 15.0, 11.0


def a_lumbar_spine() -> Spine:
    """L1 to L5: elliptic bodies of 22 mm, discs of 8 mm, each with a spinous process that no body reaches."""
    x, y, z = (
        GRID.origin_mm[a] + np.arange(GRID.size[a]).reshape([(1, 1, -1), (1, -1, 1), (-1, 1, 1)][a]) for a in range(3)
    )
    labels = np.zeros(GRID.shape, np.int16)
    for label, middle in MIDDLES.items():
        body = ((x - CENTER_XY[0]) / HALF_WIDTH) ** 2 + ((y - CENTER_XY[1]) / HALF_DEPTH) ** 2 < 1
        process = (np.abs(x - CENTER_XY[0]) < 3) & (y > CENTER_XY[1] + 33) & (y < CENTER_XY[1] + 50)
        labels[(body | process) & (np.abs(z - middle) < HALF_HEIGHT)] = label
    return detailed_spine("lumbar", labels, GRID)


SPINE = a_lumbar_spine()


def painted(marks: list[Mark], background: float) -> np.ndarray:
    """(z, y, x) HU on ``GRID`` of a plain ``background`` with the marks."""
    axes = [torch.arange(n, dtype=torch.float32) + start for n, start in zip(GRID.size, GRID.origin_mm, strict=True)]
    z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    occupancy = SPINE.occupancy.float() / 255
    return with_marks(torch.full(GRID.shape, background), occupancy, marks, (x, y, z), 1.0).numpy()


def places_mm(chosen: np.ndarray) -> np.ndarray:
    """(n, 3) x, y, z of the chosen voxels."""
    return np.argwhere(chosen)[:, ::-1] + np.array(GRID.origin_mm)


def from_nearest_body_mm(z_mm: np.ndarray) -> np.ndarray:
    return np.abs(z_mm[:, None] - np.array(list(MIDDLES.values()))).min(axis=1)


def test_gas_lies_flat_in_the_disc_spaces_and_never_in_bone() -> None:
    ranges = dataclasses.replace(STILL, disc_gas_share=1.0, disc_gas_hu=(-700.0, -700.0), worn_discs=(2, 2))
    for seed in range(4):
        hu = painted(random_marks(SPINE, np.random.default_rng(seed), ranges), 60.0)
        gas = hu < -300
        assert 60 < gas.sum() < 6000
        places = places_mm(gas)
        assert (from_nearest_body_mm(places[:, 2]) > HALF_HEIGHT - 1).all()
        assert np.abs(places[:, 0] - CENTER_XY[0]).max() < HALF_WIDTH
        assert np.abs(places[:, 1] - CENTER_XY[1]).max() < HALF_DEPTH
        discs = np.unique(np.round((places[:, 2] - MIDDLES[24] - 15) / 30))
        assert len(discs) == 2
        assert np.ptp(places[:, 0]) > 2 * 8.0  # wide and flat


def test_low_lumbar_discs_hold_gas_most_often() -> None:
    ranges = dataclasses.replace(STILL, disc_gas_share=1.0, worn_discs=(1, 1))
    rng = np.random.default_rng(2)
    heights = np.array([random_marks(SPINE, rng, ranges)[0].middle_mm[2] for _ in range(300)])
    lowest, highest = ((np.abs(heights - (MIDDLES[label] - 15)) < 3).mean() for label in (23, 20))
    assert lowest > 1.3 * highest > 0.1


def test_calcium_is_smaller_than_gas_and_dense() -> None:
    ranges = dataclasses.replace(STILL, disc_calcium_share=1.0, disc_calcium_hu=(500.0, 500.0), worn_discs=(4, 4))
    for seed in range(4):
        hu = painted(random_marks(SPINE, np.random.default_rng(seed), ranges), 60.0)
        places = places_mm(hu > 300)
        assert 20 < len(places) < 2000
        assert (from_nearest_body_mm(places[:, 2]) > HALF_HEIGHT - 1).all()


def test_the_vein_opens_the_back_wall_of_every_body_at_half_height() -> None:
    ranges = dataclasses.replace(STILL, vein_share=1.0)
    for seed in range(4):
        hu = painted(random_marks(SPINE, np.random.default_rng(seed), ranges), 300.0)
        cleft = hu < 270
        places = places_mm(cleft)
        assert (from_nearest_body_mm(places[:, 2]) < 6).all()
        assert (places[:, 1] > CENTER_XY[1]).mean() > 0.9  # behind the middle
        assert np.abs(places[:, 0] - CENTER_XY[0]).max() < 9
        for label, middle in MIDDLES.items():
            at_waist = cleft[round(middle - GRID.origin_mm[2])]
            assert at_waist[:, 40:45].any(), label
            rows = np.flatnonzero(at_waist.any(axis=1)) + GRID.origin_mm[1]
            assert rows.max() >= CENTER_XY[1] + HALF_DEPTH - 3  # it reaches the back wall
            assert 3 <= np.ptp(rows) < 0.9 * HALF_DEPTH + 4
        assert (hu[SPINE.occupancy.numpy() == 0] == 300.0).all()


def test_marks_come_as_often_as_asked_and_a_spine_of_unknown_bodies_has_none() -> None:
    rng, ranges = np.random.default_rng(5), PhantomRanges()
    drawn = [random_marks(SPINE, rng, ranges) for _ in range(400)]
    assert np.mean([any(mark.in_bone for mark in marks) for marks in drawn]) == pytest.approx(0.8, abs=0.07)
    assert np.mean([any(mark.hu < -100 for mark in marks) for marks in drawn]) == pytest.approx(0.1, abs=0.05)
    assert np.mean([any(mark.hu > 150 for mark in marks) for marks in drawn]) == pytest.approx(0.08, abs=0.045)
    assert random_marks(dataclasses.replace(SPINE, bodies=()), rng, PhantomRanges(vein_share=1.0)) == []


def test_each_disc_has_a_grey_of_its_own() -> None:
    ranges = dataclasses.replace(STILL, disc_hu=(80.0, 80.0), disc_sd_hu=(15.0, 15.0))
    rng = np.random.default_rng(0)
    middles = torch.tensor([MIDDLES[label] - 15 for label in (20, 21, 22, 23)])
    many = torch.stack([random_discs(SPINE, rng, ranges).at(middles) for _ in range(200)])
    assert float(many.mean()) == pytest.approx(80.0, abs=3)
    assert float(many.std()) == pytest.approx(15.0, rel=0.15)
    assert float((many - many.mean(dim=1, keepdim=True)).std()) > 10  # within one spine
