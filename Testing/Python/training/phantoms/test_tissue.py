"""Contrast agent, bowel gas and arms: in soft tissue, in the abdomen, in air; never in bone or outside the body."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from support.phantoms import STILL
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.surroundings import with_arms
from TomoRayLib.training.phantoms.tissue import GAS_HU, BodyPlaces, with_bowel_gas, with_contrast

GRID = Grid((78, 66, 60), (4.0, 4.0, 5.0), (-170.0, -180.0, -130.0))
SIZE_MM = (110.0, 80.0)  # half axes of the trunk about (0, -70)


def a_trunk() -> tuple[torch.Tensor, BodyPlaces]:
    """An elliptic trunk of 50 HU in 20 mm of fat, its back 10 mm behind the course, from T8 down to L4; its left is -x.
    On the right (+x) of the course a rod of bone."""
    x, y = (GRID.origin_mm[a] + np.arange(GRID.size[a]) * GRID.spacing_mm[a] for a in range(2))
    radius = np.hypot(x[None, :] / SIZE_MM[0], (y[:, None] + 70.0) / SIZE_MM[1])
    plane = np.where(radius < 1, -100.0, -1000.0)
    plane = np.where(radius < 0.78, 50.0, plane)
    plane = np.where(np.hypot(x[None, :] - 50.0, y[:, None] + 90.0) < 12.0, 700.0, plane)
    hu = torch.from_numpy(np.broadcast_to(plane, GRID.shape).astype(np.float32).copy())
    across = torch.from_numpy(np.broadcast_to(x[None, None, :], GRID.shape).astype(np.float32).copy())
    behind = torch.from_numpy(np.broadcast_to(y[None, :, None], GRID.shape).astype(np.float32).copy())
    return hu, BodyPlaces(across, behind, np.linspace(23.9, 15.0, GRID.size[2]), -1.0)


def test_contrast_fills_the_aorta_on_the_left_and_leaves_fat_bone_and_air() -> None:
    hu, places = a_trunk()
    for seed in range(3):
        bright = with_contrast(
            hu, places, np.random.default_rng(seed), dataclasses.replace(STILL, contrast_hu=(250.0, 250.0))
        )
        risen = bright - hu
        assert float(risen.min()) >= 0
        assert float(risen[(hu < -60) | (hu > 300)].max()) < 1.0
        vessel = risen > 200
        x, y = places.across_mm[vessel], places.behind_mm[vessel]
        assert int(vessel.sum()) > 300
        assert -30 < float(x.mean()) < -8  # the body's left is -x here
        assert -60 < float(y.mean()) < -25
        assert vessel.any(dim=2).any(dim=1).all()  # all along the scene
        high, low = (places.across_mm[at][vessel[at]].mean() for at in (slice(50, None), slice(0, 10)))
        assert float(high) < float(low) - 4  # further to the left in the chest
        organs = risen[(risen > 15) & ~vessel]
        assert organs.numel() > 500


def test_bowel_gas_lies_in_the_abdomen_alone_in_front_of_the_spine_and_never_replaces_bone() -> None:
    hu, places = a_trunk()
    for seed in range(4):
        ranges = dataclasses.replace(STILL, gas_pockets=(6, 6), oral_contrast_share=1.0)
        filled = with_bowel_gas(hu, GRID, places, np.random.default_rng(seed), ranges)
        gas = filled < 0.8 * GAS_HU
        new = gas & (hu > -300)
        assert int(new.sum()) > 100
        slices = torch.nonzero(new.any(dim=2).any(dim=1))[:, 0].numpy()
        assert places.levels[slices].min() > 19.0  # a pocket may reach a little above L1
        assert float(places.behind_mm[new].max()) < -30
        assert torch.equal(filled[hu > 300], hu[hu > 300])
        assert torch.equal(filled[hu < -500], hu[hu < -500])
        fluid = (filled > 140) & (hu < 140)
        assert int(fluid.sum()) > 20
        assert float(places.behind_mm[fluid].mean()) > float(places.behind_mm[new].mean())  # it sinks to the back


def test_a_chest_holds_no_bowel_gas() -> None:
    hu, places = a_trunk()
    chest = dataclasses.replace(places, levels=np.linspace(17.0, 9.0, GRID.size[2]))
    assert torch.equal(with_bowel_gas(hu, GRID, chest, np.random.default_rng(0), PhantomRanges()), hu)


@pytest.mark.parametrize("up", [False, True])
def test_arms_lie_on_both_sides_in_air_with_bone_inside(up: bool) -> None:
    hu, places = a_trunk()
    levels = np.linspace(16.0, 2.0, GRID.size[2]) if up else places.levels
    if up:
        hu[levels < 8.0] = -1000.0  # above the shoulders there is air
    armed = with_arms(hu, GRID, levels, np.random.default_rng(5), dataclasses.replace(STILL, arms_up_share=float(up)))
    changed = armed != hu
    assert torch.equal(armed[hu > -500], hu[hu > -500])
    left, right = (changed & (side * places.across_mm > 0) for side in (1, -1))
    assert 0.35 < int(left.sum()) / int(right.sum()) < 1.2  # the scene ends sooner on the left
    for side in (left, right):
        assert int((armed[side] > 600).sum()) > 20
        assert float(((armed[side] > 0) & (armed[side] < 110)).float().mean()) > 0.3  # muscle
    heights = torch.nonzero(changed.any(dim=2).any(dim=1))[:, 0].numpy()
    if up:
        assert levels[heights].max() <= 9.0
    else:
        assert levels[heights].min() > 9.0
        assert float(places.across_mm[changed].abs().min()) > 60


def test_the_air_in_a_body_is_no_place_for_an_arm() -> None:
    """A lung beside the skin: the arm covers neither it nor what lies behind it."""
    hu, places = a_trunk()
    lung = (
        (hu > -500)
        & (places.across_mm.abs() > 60)
        & (places.across_mm.abs() < 92)
        & ((places.behind_mm + 70).abs() < 20)
    )
    hu[lung] = -850.0
    armed = with_arms(hu, GRID, places.levels, np.random.default_rng(1), dataclasses.replace(STILL, arms_up_share=0.0))
    assert torch.equal(armed[lung], hu[lung])
