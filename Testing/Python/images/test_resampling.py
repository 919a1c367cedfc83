"""Voxels must stay at their place in the patient on every grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from support.volumes import BLOB_MM, blob_on
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import (
    Interpolation,
    cropped,
    labels_on_grid,
    resample,
    resample_averaged,
    resample_sparse,
)
from TomoRayLib.images.types import Volume

# An eighth of the smallest voxel edge: a shift of half a voxel along any axis fails.
TOLERANCE_MM = 0.06


def moments_mm(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Centroid and standard deviations along LPS x, y, z of what is brighter than air."""
    weights = np.clip(volume.voxels.astype(np.float64) + 1000, 0, None)
    k, j, i = np.nonzero(weights)
    world = np.stack([i, j, k, np.ones(len(i))], axis=-1) @ volume.grid.index_to_world.T
    mean, spread = _weighted(world[:, :3], weights[k, j, i])
    return mean, spread


def _weighted(points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = np.average(points, axis=0, weights=weights)
    return mean, np.sqrt(np.average((points - mean) ** 2, axis=0, weights=weights))


def test_phantom_blob_lies_where_the_formula_says(a_ct: Volume) -> None:
    mean, spread = moments_mm(a_ct)
    np.testing.assert_allclose(mean, BLOB_MM, atol=TOLERANCE_MM)
    np.testing.assert_allclose(spread, (6.0, 4.0, 3.0), rtol=0.03)  # the field cuts the tails of the blob


def test_resampled_volume_keeps_world_positions(a_ct: Volume) -> None:
    onto = Grid((50, 90, 60), (1.5, 0.7, 1.1), tuple(np.subtract(BLOB_MM, (36.0, 30.0, 33.0))))
    moved = resample(a_ct, onto)
    assert moved.grid == onto
    assert moved.voxels.dtype == np.float32
    truth = blob_on(onto, BLOB_MM, (6.0, 4.0, 3.0)) * 2000 - 1000
    inside = resample(replace(a_ct, voxels=np.ones_like(a_ct.voxels)), onto, fill=0).voxels > 0.5
    # Linear interpolation of a Gaussian of 2000 HU errs by h^2 / 8 of its curvature, 1 / sigma^2, along each axis.
    step_mm = np.abs(a_ct.grid.direction_matrix) @ a_ct.grid.spacing_mm
    bound_hu = 2000 / 8 * np.sum((step_mm / (6.0, 4.0, 3.0)) ** 2)
    assert bound_hu < 300, "a flip errs by thousands"
    np.testing.assert_allclose(moved.voxels[inside], truth[inside], atol=bound_hu)


def test_resampling_onto_a_lopsided_grid_and_back_keeps_the_blob(a_straight_ct: Volume, a_grid: Grid) -> None:
    mean, spread = moments_mm(resample(a_straight_ct, a_grid))
    np.testing.assert_allclose(mean, BLOB_MM, atol=0.15)
    np.testing.assert_allclose(spread, (6.0, 4.0, 3.0), rtol=0.06)


def test_outside_of_the_ct_is_air(a_ct: Volume) -> None:
    far = replace(a_ct.grid, origin_mm=tuple(np.add(a_ct.grid.origin_mm, 1000.0)))
    assert np.all(resample(a_ct, far).voxels == -1024)


def test_resampling_reaches_half_a_voxel_beyond_the_outer_centres() -> None:
    volume = Volume(np.full((3, 3, 3), 7, np.int16), Grid((3, 3, 3), (2.0, 2.0, 2.0)))
    onto = Grid((4, 1, 1), (1.0, 1.0, 1.0), (-1.9, 2.0, 2.0))  # x = -1.9, -0.9, 0.1, 1.1
    np.testing.assert_allclose(resample(volume, onto).voxels.ravel(), [-1024, 7, 7, 7])


def test_labels_stay_labels_on_another_grid(a_grid: Grid) -> None:
    k, j, i = np.indices((20, 30, 40))
    source = Grid((40, 30, 20), (2.0, 1.0, 3.0), tuple(np.subtract(BLOB_MM, (40.0, 15.0, 30.0))))
    labels = Volume(np.where(i < 20, 20, np.where(k < 10, 28, 5)).astype(np.int16), source)
    moved = labels_on_grid(labels, a_grid)
    assert moved.voxels.dtype == np.int16
    assert set(np.unique(moved.voxels)) == {0, 5, 20, 28}
    assert j.max() == 29


def test_nearest_takes_the_closest_voxel() -> None:
    labels = Volume(np.array([[[1, 2, 3]]], np.int16), Grid((3, 1, 1), (2.0, 1.0, 1.0)))
    onto = Grid((5, 1, 1), (1.1, 1.0, 1.0))  # x = 0, 1.1, 2.2, 3.3, 4.4
    assert resample(labels, onto, Interpolation.NEAREST, fill=0).voxels.ravel().tolist() == [1, 2, 2, 3, 3]


def test_averaging_whole_voxels_first_moves_nothing(a_ct: Volume) -> None:
    """2 x 1 x 0.5 mm onto 2 mm: 2 and 4 voxels are averaged along two axes, of which one has a remainder."""
    coarse = resample_averaged(a_ct, a_ct.grid.upright(2.0))
    mean, spread = moments_mm(coarse)
    np.testing.assert_allclose(mean, BLOB_MM, atol=TOLERANCE_MM)
    assert (spread > moments_mm(a_ct)[1] - 0.1).all()


def test_averaging_lowers_noise_and_keeps_numbers_that_need_none() -> None:
    grid = Grid((40, 44, 48), (1.0, 0.9, 1.0), (5.0, -8.0, 3.0))
    noise = np.random.default_rng(0).normal(0, 100, grid.shape).astype(np.float32)
    coarse = Grid((15, 15, 15), (2.0, 2.0, 2.0), (12.0, 0.0, 10.0))
    assert (
        resample_averaged(Volume(noise, grid), coarse).voxels.std()
        < 0.7 * resample(Volume(noise, grid), coarse).voxels.std()
    )
    np.testing.assert_array_equal(resample_averaged(Volume(noise, grid), grid).voxels, noise)


def test_a_cropped_volume_stays_at_its_place(a_ct: Volume) -> None:
    part = cropped(a_ct, (slice(10, 90), slice(5, 60), slice(3, 40)))
    assert np.shares_memory(part.voxels, a_ct.voxels)
    np.testing.assert_allclose(
        part.grid.index_to_world @ (2, 3, 4, 1), a_ct.grid.index_to_world @ (5, 8, 14, 1), atol=1e-9
    )
    np.testing.assert_allclose(moments_mm(part)[0], BLOB_MM, atol=0.3)


def test_sparse_values_resample_as_all_values_do(a_grid: Grid) -> None:
    rng = np.random.default_rng(4)
    voxels = np.zeros(a_grid.shape, dtype=np.float32)
    voxels[2:9, 4:7, 3:11] = rng.uniform(0.1, 1.0, voxels[2:9, 4:7, 3:11].shape)
    volume = Volume(voxels, a_grid)
    for onto in (a_grid, Grid.cube(tuple(a_grid.center_mm), 90.0, 61), Grid.cube((9000.0, 0.0, 0.0), 50.0, 12)):
        whole = resample(volume, onto, fill=0.0)
        np.testing.assert_allclose(resample_sparse(volume, onto).voxels, whole.voxels, atol=1e-6)
    assert not resample_sparse(Volume(np.zeros_like(voxels), a_grid), a_grid).voxels.any()


def test_a_small_grid_sees_the_same_values_in_a_large_volume(a_ct: Volume) -> None:
    large = Grid((60, 50, 55), (1.3, 1.1, 0.9), tuple(np.subtract(BLOB_MM, (38.0, 27.0, 24.0))))
    low, high = (20, 17, 21), (33, 29, 40)
    whole, part = resample(a_ct, large), resample(a_ct, large.part(low, high))
    np.testing.assert_allclose(part.voxels, whole.voxels[21:40, 17:29, 20:33], atol=1e-3)
