"""Voxel grids: conventions pinned on lopsided, oblique data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid

OBLIQUE = tuple(Rotation.from_euler("xyz", (20, -30, 50), degrees=True).as_matrix().ravel().tolist())


def a_lopsided_grid() -> Grid:
    return Grid((3, 5, 7), (2.0, 1.0, 0.5), (10.0, -20.0, 30.0), OBLIQUE)


def test_index_to_world_steps_along_each_direction_by_its_spacing() -> None:
    grid = a_lopsided_grid()
    step = grid.index_to_world @ (1, 2, 3, 1) - grid.index_to_world @ (0, 0, 0, 1)
    columns = np.asarray(OBLIQUE).reshape(3, 3)
    expected = columns[:, 0] * 2.0 * 1 + columns[:, 1] * 1.0 * 2 + columns[:, 2] * 0.5 * 3
    np.testing.assert_allclose(step[:3], expected, atol=1e-12)


def test_world_to_index_undoes_index_to_world() -> None:
    grid = a_lopsided_grid()
    np.testing.assert_allclose(grid.world_to_index @ grid.index_to_world, np.eye(4), atol=1e-12)


def test_shape_is_size_in_reverse() -> None:
    assert a_lopsided_grid().shape == (7, 5, 3)


def test_a_cube_has_its_outer_faces_a_field_of_view_apart() -> None:
    cube = Grid.cube((1.0, 2.0, 3.0), 256.0, 192)
    corners = cube.corners_mm()
    np.testing.assert_allclose(corners.min(axis=0), (1 - 128, 2 - 128, 3 - 128))
    np.testing.assert_allclose(corners.max(axis=0), (1 + 128, 2 + 128, 3 + 128))
    np.testing.assert_allclose(cube.center_mm, (1, 2, 3))


def test_left_handed_directions_are_a_valid_grid() -> None:
    mirrored = Grid((2, 3, 2), (1, 1, 1), (0, 0, 0), (-1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert np.linalg.det(mirrored.direction_matrix) < 0 < np.linalg.det(a_lopsided_grid().direction_matrix)
    np.testing.assert_allclose(mirrored.index_to_world @ (1, 2, 0, 1), (-1, 2, 0, 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (0, 5, 7)}, "whole numbers of at least 1"),
        ({"size": (3.5, 5, 7)}, "whole numbers of at least 1"),
        ({"spacing_mm": (1, 0, 1)}, "above 0"),
        ({"spacing_mm": (1, -1, 1)}, "above 0"),
        ({"origin_mm": (0, float("nan"), 0)}, "finite"),
        ({"direction": (1, 0.2, 0, 0, 1, 0, 0, 0, 1)}, "orthonormal"),
        ({"direction": (1, 0, 0)}, "9 finite numbers"),
    ],
)
def test_an_impossible_grid_is_refused_with_a_sentence(changes: dict, message: str) -> None:
    values = {"size": (3, 5, 7), "spacing_mm": (1, 1, 1), **changes}
    with pytest.raises(ValueError, match=message):
        Grid(**values)


def test_a_field_of_view_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"field of view in mm must be a number above 0; got 0\.0; use 256") as raised:
        Grid.cube((0.0, 0.0, 0.0), 0.0, 192)
    assert raised.value.field == "fov_mm"


def test_a_part_keeps_its_voxels_places() -> None:
    grid = a_lopsided_grid()
    part = grid.part((1, 2, 3), (3, 5, 4))
    assert part.size == (2, 3, 1)
    np.testing.assert_allclose(part.index_to_world @ (1, 2, 0, 1), grid.index_to_world @ (2, 4, 3, 1))


def test_an_upright_grid_holds_all_of_an_oblique_one_about_its_middle() -> None:
    grid = a_lopsided_grid()
    upright = grid.upright(0.8)
    assert not grid.is_upright
    assert upright.is_upright
    assert upright.spacing_mm == (0.8, 0.8, 0.8)
    np.testing.assert_allclose(upright.center_mm, grid.center_mm)
    low, high = upright.corners_mm().min(axis=0), upright.corners_mm().max(axis=0)
    inner_low, inner_high = grid.corners_mm().min(axis=0), grid.corners_mm().max(axis=0)
    assert (low <= inner_low).all()
    assert (high >= inner_high).all()
    assert (high - low < inner_high - inner_low + 0.8).all()
