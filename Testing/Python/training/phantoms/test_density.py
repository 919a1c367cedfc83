"""Density along a spine: osteopenic and dense patients, denser necks, shells that dull with it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from support.phantoms import BODY, STILL, a_spine_of_blocks
from TomoRayLib.training.phantoms.bone import painted_bone
from TomoRayLib.training.phantoms.density import along_spine, random_trabecular_hu, strength_of
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import SceneSize, compose_scene

LEVELS = np.arange(1.5, 25.0)  # C1 to L5


def test_a_share_of_the_patients_is_osteopenic_and_all_are_denser_in_the_neck() -> None:
    rng, ranges = np.random.default_rng(0), PhantomRanges(osteopenic_share=0.3, sclerotic_share=0.0)
    patients = np.stack([random_trabecular_hu(LEVELS, rng, ranges) for _ in range(600)])
    lumbar = np.median(patients[:, 19:], axis=1)
    assert 0.25 < np.mean(lumbar < 58) < 0.42
    assert lumbar.min() < 0
    assert lumbar.max() > 170
    assert np.mean(patients[:, 7].mean() / patients[:, 21].mean()) > 1.3  # T1 and L3
    rising = {"cranial_density_rise": (0.5, 0.5), "osteopenic_share": 1.0, "osteopenic_hu": (20.0, 20.0)}
    still = dataclasses.replace(STILL, **rising)  # type: ignore[arg-type]
    np.testing.assert_allclose(random_trabecular_hu(np.array([8.0, 19.0]), rng, still), (60.0, 20.0))


def test_neighbours_differ_as_much_as_asked_and_a_few_vertebrae_are_sclerotic() -> None:
    rng = np.random.default_rng(1)
    ranges = dataclasses.replace(STILL, trabecular_hu=(140.0, 140.0), level_density_sd=(0.1, 0.1))
    many = np.concatenate([random_trabecular_hu(LEVELS, rng, ranges) for _ in range(100)])
    assert many.std() == pytest.approx(0.1 * 200, rel=0.1)  # of what lies above marrow
    rare = dataclasses.replace(STILL, trabecular_hu=(140.0, 140.0), sclerotic_share=0.05)
    raised = np.concatenate([random_trabecular_hu(LEVELS, rng, rare) for _ in range(100)]) - 140
    assert 0.03 < np.mean(raised > 39) < 0.07
    assert np.mean(raised == 0) == pytest.approx(np.mean(raised < 39))


def test_each_vertebra_has_its_own_value_up_to_half_way_to_the_next() -> None:
    table = along_spine(np.array([-40.0, -5.0, -75.0]), np.array([20.0, 30.0, 10.0]))
    heights = torch.tensor([[-300.0, -75.0, -62.0], [-50.0, -40.0, -30.0], [-15.0, -5.0, 300.0]])
    expected = [[10, 10, 10], [20, 20, 20], [30, 30, 30]]
    np.testing.assert_allclose(table.at(heights), expected, atol=0.2)
    assert float(table.at(torch.tensor(-57.5))) == pytest.approx(15.0, abs=1.5)


def test_shells_and_endplates_dull_where_trabecular_bone_is_lost() -> None:
    ranges = dataclasses.replace(STILL, cortical_hu=(700.0, 700.0), endplate_hu=(300.0, 300.0), shell_power=(1.0, 1.0))
    occupancy = torch.zeros(30, 34, 38)
    occupancy[6:24, 7:27, 8:30] = 1.0
    detail = torch.zeros_like(occupancy)
    detail[22:24] = 1.0
    painted = {
        trabecular: painted_bone(
            occupancy, detail, torch.full_like(occupancy, trabecular), 1.0, np.random.default_rng(0), ranges
        )
        for trabecular in (-20.0, 100.0, 220.0)
    }
    side, plate = (15, 17, 8), (23, 17, 19)
    rises = {hu: (float(bone[side]) - hu, float(bone[plate]) - hu) for hu, bone in painted.items()}
    assert rises[-20.0][0] == pytest.approx(rises[100.0][0] * 0.25 * 720 / 600, rel=0.05)
    assert rises[-20.0][1] < 0.4 * rises[100.0][1]
    assert float(painted[220.0][side]) == pytest.approx(float(painted[100.0][side]), rel=0.2)
    np.testing.assert_allclose(strength_of(torch.tensor([-200.0, 20.0, 100.0, 300.0])), (0.25, 0.5, 1.0, 1.0))


def test_no_shell_is_as_dense_everywhere_and_masks_may_reach_beyond_bone() -> None:
    spine, size = a_spine_of_blocks(), SceneSize(60.0, 60.0, 70.0, 150.0, 2.0)

    def surface(**changes: tuple[float, float]) -> np.ndarray:
        fixed = dataclasses.replace(STILL, cortical_hu=(600.0, 600.0), trabecular_hu=(120.0, 120.0), **changes)  # type: ignore[arg-type]
        scene = compose_scene(spine, BODY, np.random.default_rng(2), size, fixed)
        bone = scene.occupancy[None, None].float() / 255
        inner = -torch.nn.functional.max_pool3d(-bone, 3, stride=1, padding=1)[0, 0]
        return scene.hu[(scene.occupancy > 127) & (inner < 0.5)].numpy().astype(float)

    even, uneven = surface(), surface(shell_unevenness=(0.6, 0.6))
    assert uneven.std() > 1.5 * even.std()
    assert np.median(uneven) == pytest.approx(np.median(even), rel=0.15)
    between = {"spine_scale": (1.07, 1.07)}  # so that edges lie within voxels
    meagre, full = surface(**between, shell_inset=(0.4, 0.4)), surface(**between)
    assert len(meagre) == len(full)  # the mask stays
    assert meagre.mean() < full.mean() - 15
