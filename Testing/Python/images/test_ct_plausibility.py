"""What makes a CT in HU unlikely, each with its plain twin."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.checks import check_ct
from TomoRayLib.images.types import Volume

GRID = Grid((60, 52, 44), (3.0, 3.5, 4.0), (-90.0, -80.0, 300.0))


def a_noisy_body() -> np.ndarray:
    """A trunk with a spine, lungs and a metal screw that saturates, in air; every tissue with noise."""
    rng = np.random.default_rng(3)
    z, y, x = np.mgrid[0:44, 0:52, 0:60]
    voxels = np.full(z.shape, -1000.0)
    body = ((x - 30) / 26) ** 2 + ((y - 26) / 20) ** 2 < 1
    voxels[body] = 40
    voxels[body & (((x - 18) / 8) ** 2 + ((y - 22) / 9) ** 2 < 1) & (z > 20)] = -850
    spine = (np.abs(x - 30) < 6) & (np.abs(y - 36) < 6)
    voxels[spine] = 300
    voxels += rng.normal(0, 15, z.shape) * (voxels > -999) + rng.normal(0, 4, z.shape)
    voxels[spine] += rng.exponential(250, z.shape)[spine]
    voxels[10:14, 36:38, 28:34] = 3071
    return np.rint(np.clip(voxels, -1024, 3071)).astype(np.int16)


def warnings_of(voxels: np.ndarray) -> tuple[str, ...]:
    return check_ct(Volume(voxels, GRID), "ct.nrrd")


def corners_filled(voxels: np.ndarray, fill: int) -> np.ndarray:
    """Outside the round field of view of a scanner."""
    y, x = np.mgrid[0:52, 0:60]
    return np.where(((x - 29.5) / 30) ** 2 + ((y - 25.5) / 26) ** 2 > 1, fill, voxels).astype(voxels.dtype)


def test_a_true_ct_with_metal_has_no_warning() -> None:
    assert warnings_of(a_noisy_body()) == ()


@pytest.mark.parametrize("fill", [-3024, -2000, -1024, -1000, 0, 100])
def test_surroundings_filled_with_anything_but_air_are_named(fill: int) -> None:
    found = warnings_of(corners_filled(a_noisy_body(), fill))
    if fill <= -1000:
        assert found == ()
    else:
        (text,) = found
        assert text.startswith(f"ct.nrrd: a region of exactly {fill} HU at its border fills 2")
        assert "rotated, resampled or masked" in text


def test_a_rotation_with_fill_value_zero_is_named_and_one_with_air_is_not() -> None:
    body = a_noisy_body()
    turned = {fill: ndimage.rotate(body, 12, axes=(1, 2), reshape=False, order=1, cval=fill) for fill in (0, -1000)}
    assert "a region of exactly 0 HU" in warnings_of(turned[0])[0]
    assert warnings_of(turned[-1000]) == ()


def test_zero_slabs_beside_the_body_are_named() -> None:
    body = a_noisy_body()
    body[-6:] = 0
    assert "a region of exactly 0 HU at its border fills 14%" in warnings_of(body)[0]


def test_a_phantom_without_noise_has_no_warning() -> None:
    body = a_noisy_body()
    drawn = np.where(body < -300, -1000, np.where(body < 200, 40, 350)).astype(np.int16)
    assert warnings_of(drawn) == ()
    assert "exactly 0 HU" in warnings_of(corners_filled(drawn, 0))[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hu: np.clip(hu, -1024, 400), r"has the largest value, 400 HU: clipped"),
        (lambda hu: np.clip(hu, -500, 3071), r"has the smallest value, -500 HU: clipped"),
        (lambda hu: np.rint(np.rint((np.clip(hu, -800, 500) + 800) / 1300 * 255) / 255 * 1300 - 800), r"value, 500 HU"),
        (lambda hu: hu // 2, r"should be air reads about -[45]\d\d HU, where -1000"),
        (lambda hu: hu + 600, r"air reads about -[34]\d\d HU"),
    ],
)
def test_clipped_scaled_and_shifted_values_are_named(change: Callable[[np.ndarray], np.ndarray], message: str) -> None:
    found = " ".join(warnings_of(change(a_noisy_body().astype(np.float64)).astype(np.int16)))
    assert re.search(message, found)


def test_twelve_bits_end_at_3071_and_are_not_clipped() -> None:
    body = a_noisy_body()
    body[5:30, 34:38, 27:34] = 3071
    assert warnings_of(body) == ()


@pytest.mark.parametrize(("axis", "way"), [(0, "slices"), (1, "rows"), (2, "columns")])
def test_empty_slices_amid_the_body_are_named_and_those_at_its_ends_are_not(axis: int, way: str) -> None:
    body = a_noisy_body()
    inside = np.moveaxis(body.copy(), axis, 0)
    inside[20:23] = -1000
    (text,) = warnings_of(np.moveaxis(inside, 0, axis))
    assert f"3 {way} amid the body hold one value alone (the first is number 20," in text
    ends = np.moveaxis(body.copy(), axis, 0)
    ends[:3] = -1000
    assert warnings_of(np.moveaxis(ends, 0, axis)) == ()


def test_a_crop_inside_the_body_is_named() -> None:
    body = a_noisy_body()
    body = np.where(body < -300, np.roll(body, 7, axis=0) % 97, body)
    crop = body[:, 12:42, 14:46].copy()
    crop[3, 3, 3:6] = -400
    grid = Grid((32, 30, 44), GRID.spacing_mm)
    (text,) = check_ct(Volume(crop, grid))
    assert "a crop inside the body, without the air around it?" in text
