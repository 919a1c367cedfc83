"""What tells vertebrae apart in a sample: places in mm, whole vertebrae alone, and the gaps between them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from support.anatomies import labels_of_a_column
from TomoRayLib.anatomy.vertebra_field import LEVEL_MIDDLE, LEVEL_UNIT, OFFSET_UNIT_MM
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.data.samples import StreamConfig, sample_of_scene
from TomoRayLib.training.data.vertebra_truth import (
    between_vertebrae,
    cut_vertebrae,
    field_on_cube,
    nearest_on_cube,
)
from TomoRayLib.training.phantoms.scene import Scene, SceneSize

MIDDLE_OF_L2_MM = np.array([27.0, 79.25, -341.5])  # of indices 23.5, 29.5, 19.5 at 2 x 1.5 x 3 mm
CONFIG = StreamConfig(size=96, scene=SceneSize(spacing_mm=3.0))


def vertebrae_only() -> tuple[np.ndarray, Grid]:
    labels, grid = labels_of_a_column()
    return np.where(labels < 26, labels, 0).astype(np.uint8), grid


def test_each_voxel_of_the_cube_points_to_the_centroid_of_its_vertebra() -> None:
    """The cube ends within L2: its lower part is outside, and the centroid is still that of the whole."""
    labels, grid = vertebrae_only()
    cube = Grid.cube((24.0, 70.0, -300.0), 80.0, 20)
    field, known = field_on_cube(labels, grid, cube)
    z, y, x = np.nonzero(known & (np.round(field[3] * LEVEL_UNIT + LEVEL_MIDDLE - 0.5) == 21))
    places_mm = np.stack([x, y, z], axis=1) * 4.0 + cube.origin_mm
    assert places_mm[:, 2].min() > MIDDLE_OF_L2_MM[2]  # no voxel of the lower half
    pointed_at = places_mm + OFFSET_UNIT_MM * field[:3, z, y, x].T
    np.testing.assert_allclose(pointed_at, np.tile(MIDDLE_OF_L2_MM, (len(x), 1)), atol=1e-3)
    assert len(x) == pytest.approx(40 * 30 * 18 / 4.0**3, rel=0.25)
    assert not field[:, ~known].any()


def test_labels_on_a_cube_are_those_of_the_nearest_voxels() -> None:
    labels, grid = vertebrae_only()
    cube = Grid.cube((30.0, 70.0, -330.0), 96.0, 32)
    found = nearest_on_cube(torch.from_numpy(labels), grid, cube).numpy()
    for k, j, i in [(0, 0, 0), (16, 16, 12), (4, 14, 13), (30, 20, 10), (17, 1, 30)]:
        place = np.array(cube.origin_mm) + np.array([i, j, k]) * 3.0
        index = np.rint((place - grid.origin_mm) / grid.spacing_mm).astype(int)
        inside = bool(((index >= 0) & (index < grid.size)).all())
        assert found[k, j, i] == (labels[tuple(index[::-1])] if inside else 0)
    assert set(np.unique(found)) == {0, 20, 21}


def test_a_vertebra_that_the_scene_or_the_scan_cuts_teaches_no_centre() -> None:
    labels, grid = vertebrae_only()
    assert cut_vertebrae(labels) == set()
    lower = labels[16:]  # the scene ends in L2
    assert cut_vertebrae(lower) == {21}
    scanned = labels.copy()
    scanned[:22] = 0  # the scan ends in L2, and the scene goes on
    assert cut_vertebrae(scanned) == {21}
    field, known = field_on_cube(scanned, grid, Grid.cube((24.0, 70.0, -320.0), 120.0, 30))
    assert known.any()
    assert np.unique(np.round(field[3][known] * LEVEL_UNIT + LEVEL_MIDDLE - 0.5)).tolist() == [20]


def test_the_last_vertebra_is_that_of_the_spine_and_not_of_the_numbers() -> None:
    labels = np.zeros((40, 8, 8), np.uint8)
    for label, low, high in ((19, 29, 37), (28, 19, 27), (20, 15, 18)):  # T12, T13 and a rest of L1
        labels[low:high, 2:6, 2:6] = label
    assert cut_vertebrae(labels) == {20}
    labels[5:18, 2:6, 2:6] = 20
    labels[19:24] = 0  # T13 is small, and between two
    assert cut_vertebrae(labels) == set()


def test_gaps_lie_where_two_vertebrae_are_within_reach_and_nowhere_else() -> None:
    labels = torch.zeros(40, 30, 30, dtype=torch.uint8)
    labels[24:36, 10:20, 8:22] = 19
    labels[6:20, 10:20, 8:22] = 20  # a disc of four slices, 20 to 23
    gaps = between_vertebrae(labels, spacing_mm=2.0, reach_mm=8.0)
    on_axis = np.flatnonzero(gaps[:, 15, 15].numpy())
    assert on_axis.tolist() == list(range(20, 24))  # from each of these both lie within four voxels
    wider = np.flatnonzero(between_vertebrae(labels, 2.0, 12.0)[:, 15, 15].numpy())
    assert wider.tolist() == list(range(18, 26))
    assert not between_vertebrae(torch.where(labels == 19, labels, 0), 2.0).any()


def a_scene(labels: bool = True) -> Scene:
    """Two boxes of bone, T12 left of the course and L1 right of it, in a scene of 3 mm."""
    grid = CONFIG.scene.grid()
    numbers = np.zeros(grid.shape, np.uint8)
    numbers[54:64, 70:80, 66:80] = 19
    numbers[40:51, 70:80, 50:64] = 20
    bone = numbers > 0
    hu = torch.from_numpy(np.where(bone, 600, 0).astype(np.int16))
    occupancy = torch.from_numpy(np.where(bone, 255, 0).astype(np.uint8))
    return Scene(hu, occupancy, grid, "boxes", "water", torch.from_numpy(numbers) if labels else None)


@pytest.mark.parametrize("seed", range(4))  # mirrored and not
def test_the_field_of_a_sample_lies_on_its_own_target(seed: int) -> None:
    sample = sample_of_scene(a_scene(), np.random.default_rng(seed), CONFIG, field_size=48)
    assert sample["field"].shape == (4, 48, 48, 48)
    assert sample["known"].shape == (1, 48, 48, 48)
    assert sample["gaps"].shape == sample["occupancy"].shape
    share = torch.nn.functional.avg_pool3d(sample["occupancy"], 2)
    known = sample["known"] > 0
    assert float(share[known].mean()) > 0.8
    assert float(share[~known].max()) < 0.9
    step_mm = CONFIG.fov_mm / 48
    axis = torch.arange(48) * step_mm
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    levels = torch.round(sample["field"][3] * LEVEL_UNIT + LEVEL_MIDDLE - 0.5)
    middles = []
    for label in (19, 20):
        own = known[0] & (levels == label)
        places = torch.stack([one[own] for one in (x, y, z)])
        pointed_at = places + OFFSET_UNIT_MM * sample["field"][:3, own]
        assert float(pointed_at.std(dim=1).max()) < 0.05  # half precision
        torch.testing.assert_close(pointed_at.mean(dim=1), places.mean(dim=1), atol=step_mm, rtol=0)
        middles.append(pointed_at.mean(dim=1))
    mirrored = np.random.default_rng(seed).random() < 0.5
    assert bool(middles[0][0] < middles[1][0]) == mirrored  # x rises to the patient's left


def test_the_same_numbers_are_drawn_with_the_field_and_without() -> None:
    scene = a_scene()
    plain = sample_of_scene(scene, np.random.default_rng(5), CONFIG)
    counted = sample_of_scene(scene, np.random.default_rng(5), CONFIG, field_size=48)
    assert set(counted) - set(plain) == {"field", "known", "gaps"}
    for name, value in plain.items():
        assert torch.equal(value, counted[name]), name


def test_a_scene_without_labels_teaches_nothing_and_fits_into_a_batch_with_others() -> None:
    unlabelled = sample_of_scene(a_scene(labels=False), np.random.default_rng(5), CONFIG, field_size=48)
    labelled = sample_of_scene(a_scene(), np.random.default_rng(5), CONFIG, field_size=48)
    assert float(unlabelled["known"].sum()) == float(unlabelled["gaps"].sum()) == 0
    batch = torch.utils.data.default_collate([unlabelled, labelled])
    assert dataclasses.asdict(CONFIG)["size"] == batch["gaps"].shape[-1]
    assert batch["field"].dtype == torch.float32
