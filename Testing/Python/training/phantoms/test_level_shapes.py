"""A shape change of its own for every level: what it does to heights and widths, and to a phantom."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from support.anatomies import a_body, a_spine
from TomoRayLib.training.phantoms.level_shapes import LevelShapes, random_level_shapes
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import SceneSize, compose_scene

MIDDLES = np.array([-300.0, -270.0, -230.0])


def test_heights_between_two_levels_grow_by_the_mean_of_their_factors_about_the_fixed_height() -> None:
    shapes = LevelShapes(MIDDLES, np.array([[1, 1, 1.0], [1, 1, 1.2], [1, 1, 0.8]]))
    changed = torch.tensor([-270.0, -270.0 - 30 * 1.1, -270.0 + 40 * 1.0, -303.0 - 5.0, -230.0 + 8.0])
    there = shapes.height_in_spine(changed, fixed_mm=-270.0)
    # above the topmost level its own factor goes on: 8 mm there are 10 of the unchanged spine
    np.testing.assert_allclose(there, [-270.0, -300.0, -230.0, -305.0, -220.0], atol=0.01)


def test_widths_and_depths_are_the_levels_own_and_run_from_one_to_the_next() -> None:
    shapes = LevelShapes(MIDDLES, np.array([[1.25, 0.5, 1], [1.0, 2.0, 1], [0.8, 1.0, 1]]))
    z = torch.tensor([-300.0, -285.0, -270.0, -230.0, 0.0])
    off = torch.full((5,), 10.0)
    np.testing.assert_allclose(shapes.across(off, z, 0), [8.0, 10 / 1.125, 10.0, 12.5, 12.5], rtol=1e-5)
    np.testing.assert_allclose(shapes.across(off, z, 1), [20.0, 8.0, 5.0, 10.0, 10.0], rtol=1e-5)


def test_the_spread_is_the_one_asked_for_and_neighbours_are_alike() -> None:
    levels = np.stack([np.arange(8.5, 25.0), 500.0 - 25.0 * np.arange(17)], axis=1)
    rng = np.random.default_rng(5)
    logs = np.log([random_level_shapes(levels, (0.1, 0.05, 0.02), rng).factors for _ in range(400)])
    np.testing.assert_allclose(logs.std(axis=(0, 1)), (0.1, 0.05, 0.02), rtol=0.06)
    np.testing.assert_allclose(logs.std(axis=0)[[0, -1], 0], 0.1, rtol=0.15)  # the outermost vary as much
    near, far = (np.corrcoef(logs[:, 4, 0], logs[:, 4 + n, 0])[0, 1] for n in (1, 6))
    assert near > 0.6
    assert abs(far) < 0.2
    assert random_level_shapes(levels, (0.1, 0.1, 0.1), rng).middles_mm[0] == 100.0  # ascending, as they are used


def test_a_single_level_is_scaled_as_a_whole() -> None:
    shapes = LevelShapes(np.array([50.0]), np.array([[1.1, 0.9, 1.25]]))
    np.testing.assert_allclose(shapes.height_in_spine(torch.tensor([60.0]), 50.0), [58.0], atol=0.01)
    np.testing.assert_allclose(shapes.across(torch.tensor([11.0]), torch.tensor([7.0]), 0), [10.0], rtol=1e-5)


def test_levels_out_of_order_and_factors_of_nought_are_refused() -> None:
    with pytest.raises(ValueError, match="caudal to cranial"):
        LevelShapes(MIDDLES[::-1].copy(), np.ones((3, 3)))
    with pytest.raises(ValueError, match="positive factors"):
        LevelShapes(MIDDLES, np.zeros((3, 3)))


def test_a_phantom_with_wider_and_deeper_levels_holds_more_bone_in_the_same_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spine, body, size = a_spine(4.0), a_body(8.0), SceneSize(spacing_mm=8.0)
    without = {one.name: 0.0 for one in dataclasses.fields(PhantomRanges) if one.name.endswith("_share")}
    still = dataclasses.replace(
        PhantomRanges(),
        **without,
        rotation_sd_deg=0.0,
        elastic_sd_mm=(0.0, 0.0),
        bend_mm=(0.0, 0.0),
        cut_at_body_end=0.0,
    )
    monkeypatch.setattr(
        "TomoRayLib.training.phantoms.scene.random_level_shapes",
        lambda levels, sd, rng: LevelShapes(np.sort(levels[:, 1]), np.tile([1.5, 1.2, 1.0], (len(levels), 1))),
    )
    scenes = [
        compose_scene(spine, body, np.random.default_rng(3), size, dataclasses.replace(still, level_scale_sd=sd))
        for sd in ((0.0, 0.0, 0.0), (0.1, 0.1, 0.1))
    ]
    before, after = (scene.occupancy.double() for scene in scenes)
    assert float(after.sum() / before.sum()) == pytest.approx(1.5 * 1.2, rel=0.03)
    grid = scenes[0].grid
    for axis, factor in ((2, 1.5), (1, 1.2)):
        place = grid.spacing_mm[2 - axis] * torch.arange(grid.shape[axis]).double()
        spread = []
        for volume in (before, after):  # within the slice at the scene's middle, where no knob is
            share = volume[grid.shape[0] // 2].sum(dim=2 - axis) / volume[grid.shape[0] // 2].sum()
            mean = (share * place).sum()
            spread.append((float(mean), float((share * (place - mean) ** 2).sum().sqrt())))
        course = -grid.origin_mm[2 - axis]  # the spine's course at the scene's middle, about which levels change
        assert spread[1][0] == pytest.approx(course + factor * (spread[0][0] - course), abs=1.5)
        assert spread[1][1] / spread[0][1] == pytest.approx(factor, rel=0.12)
