"""Phantoms: the spine lies where it should, the body moves with it, and left, back and up stay what they are."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
import pytest
import torch

from support.anatomies import (
    BACK_MARKER_LEVEL,
    LEAN_X,
    LEAN_Y,
    LEFT_MARKER_LEVEL,
    ROD_FRONT_MM,
    ROD_LEFT_MM,
)
from support.phantoms import BODY, SPINE, STILL, a_spine_of_blocks, axes_mm
from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.training.phantoms.bodies import Body
from TomoRayLib.training.phantoms.deformation import deformed_points
from TomoRayLib.training.phantoms.scene import Scene, SceneSize, compose_scene

COARSE = SceneSize(right_left_mm=120.0, anterior_mm=112.0, posterior_mm=88.0, height_mm=304.0, spacing_mm=4.0)


@lru_cache
def scene_of(seed: int, size: SceneSize = COARSE, **changes: object) -> Scene:
    ranges = dataclasses.replace(STILL, **changes)  # type: ignore[arg-type]
    return compose_scene(SPINE, BODY, np.random.default_rng(seed), size, ranges)


def centroids(weight: np.ndarray, scene: Scene) -> np.ndarray:
    """(z, 2): centroid (x, y) in mm of each slice."""
    x, y, _ = axes_mm(scene)
    total = weight.sum((1, 2)).clip(1e-9)
    return np.stack([(weight * x).sum((1, 2)) / total, (weight * y).sum((1, 2)) / total], axis=1)


def column_of(scene: Scene, mirror: float) -> np.ndarray:
    """(z, 2): centroid of the painted column alone, its knobs masked out."""
    x, y, z = axes_mm(scene)
    near = np.hypot(x - mirror * LEAN_X * z, y - LEAN_Y * z) < 26
    return centroids(scene.occupancy.numpy() * near, scene)


def rod_of(scene: Scene) -> np.ndarray:
    return centroids((scene.hu.numpy() - 350.0).clip(0.0), scene)


def height_of(scene: Scene, marker: np.ndarray) -> float:
    """z in mm of the part of the spine where ``marker`` is true."""
    weight = scene.occupancy.numpy() * marker
    return float((weight * axes_mm(scene)[2]).sum() / weight.sum())


def mirror_of(scene: Scene) -> float:
    """1 where the column leans to the patient's left (+x) on its way up, as the spine does; -1 where it is mirrored."""
    x, _, z = axes_mm(scene)
    solid = scene.occupancy.numpy() > 150
    high, low = (np.median((x + 0 * solid)[solid & (np.abs(z - at) < 20)]) for at in (40.0, -40.0))
    return float(np.sign(high - low))


DARK_BONE = {"cortical_hu": (300.0, 300.0), "trabecular_hu": (100.0, 100.0)}  # so that only the rod is above 350 HU


def test_the_scenes_origin_lies_on_the_grids_axes() -> None:
    grid = SceneSize().grid()
    assert grid.center_mm[0] == grid.center_mm[2] == 0.0
    corners = grid.corners_mm()
    np.testing.assert_allclose((corners.min(0), corners.max(0)), ((-192, -230, -152), (192, 110, 152)))


@pytest.mark.parametrize("seed", range(4))
def test_an_undeformed_spine_passes_through_the_scenes_origin_along_its_own_course(seed: int) -> None:
    scene = scene_of(seed)
    z = axes_mm(scene)[2].ravel()
    inside = np.abs(z) < 60
    mirror = mirror_of(scene)
    expected = np.stack([mirror * LEAN_X * z, LEAN_Y * z], axis=1)
    np.testing.assert_allclose(column_of(scene, mirror)[inside], expected[inside], atol=0.35)


@pytest.mark.parametrize("seed", range(4))
def test_the_bodys_course_lies_on_the_spines_course(seed: int) -> None:
    """The rod stands 60 mm in front of the body's course and 40 mm beside it, at every height."""
    scene = scene_of(seed, **DARK_BONE)
    z = axes_mm(scene)[2].ravel()
    inside = np.abs(z) < 60
    offset = (rod_of(scene) - column_of(scene, mirror_of(scene)))[inside]
    np.testing.assert_allclose(np.abs(offset[:, 0]), ROD_LEFT_MM, atol=0.8)
    assert np.ptp(np.sign(offset[:, 0])) == 0
    np.testing.assert_allclose(offset[:, 1], -ROD_FRONT_MM, atol=0.8)


def test_spine_and_body_scale_about_the_course() -> None:
    scene = scene_of(2, spine_scale=(1.1, 1.1), spine_width_scale=(0.9, 0.9), body_stretch=(1.2, 1.2), **DARK_BONE)
    z = axes_mm(scene)[2].ravel()
    inside = np.abs(z) < 50
    mirror = mirror_of(scene)
    column = column_of(scene, mirror)[inside]
    expected = np.stack([mirror * 0.9 * LEAN_X * z, LEAN_Y * z], axis=1)[
        inside
    ]  # scale over scale of height: 0.99 / 1.1
    np.testing.assert_allclose(column, expected, atol=0.4)
    offset = np.abs(rod_of(scene)[inside] - column)
    np.testing.assert_allclose(offset, np.tile((1.2 * ROD_LEFT_MM, 1.2 * ROD_FRONT_MM), (len(offset), 1)), atol=1.0)


def test_the_elastic_field_is_as_large_as_its_range_says() -> None:
    """The displacement alone, per component over the scene, whatever the nodes are smoothed with."""
    grid = COARSE.grid()
    still, moved = (
        deformed_points(grid, np.random.default_rng(5), dataclasses.replace(STILL, elastic_sd_mm=(sd, sd)), "cpu")
        for sd in (0.0, 2.0)
    )
    shift = (moved - still).flatten(0, 2)
    assert float((shift**2).mean().sqrt()) == pytest.approx(2.0, rel=0.1)
    assert float(shift.std(dim=0).min()) > 1.0  # along all three axes


def test_rotation_bend_and_elastic_field_move_spine_and_body_together() -> None:
    """Were the body left behind, the bend alone would part them by up to 36 mm."""
    for seed in range(4):
        scene = scene_of(seed, rotation_sd_deg=3.0, elastic_sd_mm=(1.25, 1.25), bend_mm=(18.0, 18.0), **DARK_BONE)
        x, y, z = (a.ravel() for a in axes_mm(scene))
        places = [np.nonzero(bone > 150) for bone in scene.occupancy.numpy()]
        column = np.array([(np.median(x[i]), np.median(y[j])) if len(i) else (np.nan, np.nan) for j, i in places])
        inside = np.abs(z) < 50
        offset = (rod_of(scene) - column)[inside]
        assert np.abs(np.abs(offset[:, 0]) - ROD_LEFT_MM).max() < 14
        assert np.abs(offset[:, 1] + ROD_FRONT_MM).max() < 14


@pytest.mark.parametrize("seed", range(6))
def test_left_back_and_up_are_where_they_belong(seed: int) -> None:
    """The knob at L2 is on the side to which the column leans on its way up; the knob at T11 is above it, behind."""
    scene = scene_of(seed)
    x, y, z = axes_mm(scene)
    mirror = mirror_of(scene)
    off_x, off_y = x - mirror * LEAN_X * z, y - LEAN_Y * z
    solid = scene.occupancy.numpy() > 120
    anywhere = 0 * (x + y + z) == 0
    assert solid[(off_y > 35) & anywhere].any()
    assert not solid[(off_y < -20) & anywhere].any()
    assert solid[(mirror * off_x > 35) & anywhere].any()
    assert not solid[(mirror * off_x < -20) & anywhere].any()
    low = height_of(scene, (mirror * off_x > 35) & (np.abs(off_y) < 15))
    high = height_of(scene, (off_y > 35) & (np.abs(off_x) < 15))
    expected = np.diff(np.interp((LEFT_MARKER_LEVEL, BACK_MARKER_LEVEL), *SPINE.level_z_mm.T))[0]
    assert high - low == pytest.approx(expected, abs=1.0)


def test_both_sides_are_drawn() -> None:
    assert {mirror_of(scene_of(seed)) for seed in range(8)} == {-1.0, 1.0}


@pytest.mark.parametrize("seed", range(3))
def test_a_level_of_the_spine_stands_at_that_level_of_the_body(seed: int) -> None:
    """The tissue's HU is the body's own height plus 150: at the knob of L2 it must be that of the body's L2."""
    scene = scene_of(seed)
    x, y, z = axes_mm(scene)
    mirror = mirror_of(scene)
    height = height_of(scene, (mirror * (x - mirror * LEAN_X * z) > 35) & (np.abs(y - LEAN_Y * z) < 15))
    tissue = scene.hu.numpy()[:, np.abs(y.ravel() - 80).argmin(), np.abs(x.ravel()).argmin()]  # behind all bone
    there = np.interp(height, z.ravel(), tissue) - 150.0
    assert there == pytest.approx(float(BODY.z_of_level(np.array([LEFT_MARKER_LEVEL]))[0]), abs=1.5)


def test_the_same_draw_gives_the_same_phantom_and_another_draw_another() -> None:
    drawn = [compose_scene(SPINE, BODY, np.random.default_rng(seed), COARSE) for seed in (7, 7, 8)]
    assert torch.equal(drawn[0].hu, drawn[1].hu)
    assert torch.equal(drawn[0].occupancy, drawn[1].occupancy)
    assert not torch.equal(drawn[0].hu, drawn[2].hu)
    assert (drawn[0].spine, drawn[0].body) == ("column", "block")


def test_bone_is_dense_outside_and_softer_inside_within_the_range_asked_for() -> None:
    scene = scene_of(
        1,
        dataclasses.replace(COARSE, height_mm=120.0, spacing_mm=2.0),
        cortical_hu=(600.0, 600.0),
        trabecular_hu=(90, 90),
    )
    solid = scene.occupancy > 250
    assert bool(solid.any())
    bone = scene.hu[solid]
    assert int(bone.min()) >= 80
    assert int(bone.max()) <= 605
    assert scene.hu.dtype == torch.int16
    shell = (scene.occupancy > 150) & (scene.occupancy < 220)
    assert float(scene.hu[shell].float().mean()) > float(bone.float().mean())


def test_every_phantom_is_within_the_range_of_ct() -> None:
    for seed in range(3):
        scene = compose_scene(SPINE, BODY, np.random.default_rng(seed), COARSE)
        assert int(scene.hu.min()) >= -1024
        assert int(scene.hu.max()) <= 3071


def test_a_phantom_cut_at_the_bodys_end_holds_nothing_beyond_it() -> None:
    scenes = [scene_of(3, dataclasses.replace(COARSE, height_mm=400.0), cut_at_body_end=share) for share in (0.0, 1.0)]
    z = axes_mm(scenes[0])[2].ravel()
    x, y, _ = axes_mm(scenes[0])
    behind = (slice(None), np.abs(y.ravel() - 80).argmin(), np.abs(x.ravel()).argmin())
    tissue = scenes[0].hu.numpy()[behind] - 150.0  # the body's own height; its last slice repeats beyond its end
    low, high = BODY.z_range_mm
    beyond = (tissue <= low) | (tissue >= high)
    assert beyond.any()
    whole, cut = (scene.hu.numpy() for scene in scenes)
    margin = np.abs(z - z[~beyond].min()) < 8
    margin |= np.abs(z - z[~beyond].max()) < 8
    np.testing.assert_array_equal(cut[beyond & ~margin], int(AIR_HU))
    assert int(scenes[1].occupancy[beyond & ~margin].max()) == 0
    np.testing.assert_array_equal(cut[~beyond & ~margin], whole[~beyond & ~margin])


def test_bone_is_seldom_at_the_ends_of_its_range() -> None:
    """Trabecular bone is drawn as the mean of two uniform draws: of -20..300 HU, a fourth lies below 93 HU or so."""
    solid = [scene_of(seed, cortical_hu=(100.0, 100.0), shell_power=(40.0, 40.0)) for seed in range(40)]
    drawn = np.array([np.median(scene.hu[scene.occupancy > 250]) for scene in solid])
    assert (drawn > -20).all()
    assert (drawn < 320).all()
    assert 90 < np.median(drawn) < 190
    assert np.mean((drawn < 40) | (drawn > 240)) < 0.25


def a_body_in_air() -> Body:
    """The block with air behind it: its back lies 20 mm behind its course."""
    hu = BODY.hu.clone()
    y = BODY.grid.origin_mm[1] + np.arange(BODY.grid.size[1]) * BODY.grid.spacing_mm[1]
    hu[:, torch.from_numpy(y > float(BODY.curve_mm[:, 1].max()) + 20.0)] = int(AIR_HU)
    return dataclasses.replace(BODY, hu=hu)


def test_a_table_lies_behind_the_back_and_only_in_air() -> None:
    body = a_body_in_air()
    for seed in range(4):
        bare, on_table = (
            compose_scene(
                SPINE,
                body,
                np.random.default_rng(seed),
                COARSE,
                dataclasses.replace(STILL, table_share=share, table_hu=(100.0, 100.0)),
            )
            for share in (0.0, 1.0)
        )
        assert torch.equal(bare.occupancy, on_table.occupancy)
        changed = (bare.hu != on_table.hu).numpy()
        y = (axes_mm(bare)[1] + 0 * changed)[changed]
        assert changed.mean() > 0.005
        assert (bare.hu.numpy()[changed] < -850).all()
        assert y.min() > 15
        assert set(np.unique(on_table.hu.numpy()[changed])) == {-940, 100}
        assert changed.any(axis=(1, 2)).all()  # all along the body


def test_a_scan_of_the_spine_alone_ends_beside_the_spine() -> None:
    wide, narrow = (scene_of(2, narrow_share=share, narrow_half_mm=(60.0, 60.0)) for share in (0.0, 1.0))
    x, y, _ = (axis.ravel() for axis in axes_mm(wide))
    air = (narrow.hu.numpy() == int(AIR_HU)).all(axis=0)
    seen_y, seen_x = np.flatnonzero(~air.all(axis=1)), np.flatnonzero(~air.all(axis=0))
    for seen, axis in ((seen_x, x), (seen_y, y)):
        assert axis[seen[-1]] - axis[seen[0]] == pytest.approx(120.0, abs=8.0)
        assert abs(axis[seen].mean()) < 30
    inside = (slice(None), slice(seen_y[0], seen_y[-1] + 1), slice(seen_x[0], seen_x[-1] + 1))
    assert torch.equal(narrow.hu[inside], wide.hu[inside])
    assert torch.equal(narrow.occupancy[inside], wide.occupancy[inside])
    assert int(narrow.occupancy.sum()) == int(narrow.occupancy[inside].sum())


def heights_mm(scene: Scene, y_mm: float) -> list[float]:
    """Height of each block in the column at x = 0 and ``y_mm`` of the scene."""
    x, y, _ = (axis.ravel() for axis in axes_mm(scene))
    column = scene.occupancy.numpy()[:, np.abs(y - y_mm).argmin(), np.abs(x).argmin()] > 127
    edges = np.flatnonzero(np.diff(np.concatenate([[0], column.astype(int), [0]])))
    return (np.diff(edges)[::2] * scene.grid.spacing_mm[2]).tolist()


def test_a_fracture_flattens_one_vertebra_and_leaves_the_others() -> None:
    """Compression 1 halves the height where it is worst; wedges are as high as ever at the back."""
    spine, kinds = a_spine_of_blocks(), []
    tall = dataclasses.replace(COARSE, spacing_mm=2.0, height_mm=320.0, right_left_mm=40.0)
    ranges = dataclasses.replace(STILL, fractured_share=1.0, fractures=(1, 1), compression=(1.0, 1.0))
    for seed in range(8):
        scene = compose_scene(spine, BODY, np.random.default_rng(seed), tall, ranges)
        front, middle, back = (heights_mm(scene, y) for y in (-34.0, -12.0, 20.0))
        assert len(front) == len(middle) == len(back) == 6
        assert min(*front, *middle) < 17
        assert sum(height < 18 for height in middle) <= 1
        assert min(back) > 17
        kinds.append("wedge" if min(front) < min(middle) + 1 else "biconcave")
    assert set(kinds) == {"wedge", "biconcave"}


def test_screws_and_rods_are_metal_on_both_sides_behind_the_vertebral_bodies_and_no_target_bone() -> None:
    spine, fine = a_spine_of_blocks(), dataclasses.replace(COARSE, spacing_mm=2.0, height_mm=240.0)
    for seed in range(3):
        bare, screwed = (
            compose_scene(
                spine, BODY, np.random.default_rng(seed), fine, dataclasses.replace(STILL, implant_share=part)
            )
            for part in (0.0, 1.0)
        )
        assert torch.equal(bare.occupancy, screwed.occupancy)
        metal = screwed.hu.numpy() == 3000
        x, y, _ = axes_mm(screwed)
        left, right = (metal & (side * x > 0) for side in (1, -1))
        assert left.sum() == pytest.approx(right.sum(), rel=0.05)
        assert metal.sum() > 300
        spread_x, spread_y = np.abs(x + 0 * metal)[metal], (y + 0 * metal)[metal]
        assert 4 < spread_x.min() < spread_x.max() < 30
        assert -30 < spread_y.min() < spread_y.max() < 32
        assert torch.equal(bare.hu[torch.from_numpy(~metal)], screwed.hu[torch.from_numpy(~metal)])
