"""Flat borders: found with their exact pixels, whatever side, colour, noise and slant; air and metal are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.images.borders import Border, field_within, find_borders

COLOURS = {"white": 4600.0, "grey": 1700.0, "black": -300.0}


def a_body(rows: int = 233, columns: int = 187) -> NDArray[np.float32]:
    """A lopsided lateral view without air: a body of 900 to 4100, brightest below the middle."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    image = 2100 + 9.0 * (y - 100) - 4.0 * np.abs(x - 0.4 * columns)
    for n, middle in enumerate((19, 58, 101, 151, 196)):
        image += 700 * ((np.abs(x - 70 - 3 * n) < 17) & (np.abs(y - middle) < 13 + n))
    return ndimage.gaussian_filter(image, 1.2) + 15 * np.random.default_rng(5).standard_normal(image.shape).astype("f4")


def bordered(
    image: NDArray[np.float32], value: float, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    mask = np.ones(image.shape, dtype=bool)
    mask[top : image.shape[0] - bottom, left : image.shape[1] - right] = False
    return np.where(mask, np.float32(value), image), mask


def joined(borders: list[Border], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.logical_or.reduce([np.zeros(shape, dtype=bool), *(border.mask for border in borders)])


def test_a_body_without_borders_has_none() -> None:
    assert find_borders(a_body()) == []
    assert find_borders(-a_body()) == []


@pytest.mark.parametrize("value", [4600.0, -300.0])
@pytest.mark.parametrize(
    "sides",
    [
        {"top": 23, "bottom": 31, "left": 17, "right": 9},
        {"left": 40},
        {"bottom": 12},
        {"top": 5, "right": 61},
    ],
)
def test_each_side_is_found_with_its_exact_pixels(value: float, sides: dict[str, int]) -> None:
    image, mask = bordered(a_body(), value, **sides)
    borders = find_borders(image)
    assert {border.side: border.depth_px for border in borders} == sides
    assert np.array_equal(joined(borders, image.shape), mask)
    assert {border.colour for border in borders} == {"white" if value > 0 else "black"}


@pytest.mark.parametrize("scale", [1e-3, -1.0, 250.0])
def test_scale_offset_and_polarity_change_nothing_but_the_colour(scale: float) -> None:
    image, mask = bordered(a_body(), 4600.0, top=23, left=17)
    borders = find_borders((scale * image - 7 * scale).astype(np.float32))
    assert np.array_equal(joined(borders, image.shape), mask)
    assert {border.colour for border in borders} == {"black" if scale < 0 else "white"}


def test_a_noisy_border_in_grey_is_found_to_the_pixel() -> None:
    image, mask = bordered(a_body(), 1200.0, top=30, right=22)
    image = image + 30 * np.random.default_rng(8).standard_normal(image.shape).astype(np.float32)
    borders = find_borders(image)
    assert {border.side for border in borders} == {"top", "right"}
    assert np.mean(joined(borders, image.shape) != mask) < 0.01


def test_borders_of_two_colours_are_told_apart() -> None:
    image, first = bordered(a_body(), 4600.0, left=26)
    image, second = bordered(image, -300.0, bottom=41)
    found = {border.side: border.colour for border in find_borders(image)}
    assert found == {"left": "white", "bottom": "black"}
    assert np.array_equal(joined(find_borders(image), image.shape), first | second)


@pytest.mark.parametrize("angle_deg", [-6.0, 2.5])
def test_a_collimator_turned_in_its_plane_is_found(angle_deg: float) -> None:
    image = a_body()
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(float)
    cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    along, across = (y - 121) * cosine + (x - 88) * sine, (x - 88) * cosine - (y - 121) * sine
    mask = (np.abs(along) > 88) | (np.abs(across) > 66)
    found = joined(find_borders(np.where(mask, np.float32(4600), image)), image.shape)
    assert np.mean(found != mask) < 0.003


@pytest.mark.parametrize("value", [4600.0, -300.0])
def test_what_lies_round_an_image_intensifier_is_found(value: float) -> None:
    image = a_body(211, 199)
    y, x = np.mgrid[0:211, 0:199].astype(float)
    mask = np.hypot(y - 104.3, x - 101.2) > 97.6
    (border,) = find_borders(np.where(mask, np.float32(value), image))
    assert border.side == "round"
    assert np.mean(border.mask != mask) < 0.001
    rows, columns = field_within(image.shape, [border])
    assert not mask[rows, columns].any()
    assert (rows.stop - rows.start) * (columns.stop - columns.start) > 0.55 * (~mask).sum()


def test_a_border_with_text_in_it_is_a_border() -> None:
    image, mask = bordered(a_body(), -300.0, top=40)
    image[9:24, 30:80:3] = 4600.0
    assert np.array_equal(joined(find_borders(image), image.shape), mask)


def test_air_beside_a_body_is_no_border() -> None:
    """Air is flat, but the outline of a body is curved, and its thickness begins with nothing."""
    y, x = np.mgrid[0:240, 0:200].astype(np.float32)
    half = 62 + 14 * np.sin(y / 50)
    thickness = np.sqrt(np.maximum(0, 1 - ((x - 93) / half) ** 2))
    assert find_borders((4.0 * thickness).astype(np.float32)) == []


def test_the_end_of_a_scan_in_a_cone_is_no_border() -> None:
    """Rays near the end of a CT meet less and less of it: a straight edge, but a ramp of some pixels."""
    image = np.broadcast_to(a_body().mean(axis=1, keepdims=True), (233, 187)).copy()
    ramp = np.clip((np.arange(187) - 38) / 7.0, 0, 1).astype(np.float32)
    assert find_borders(image * ramp) == []


def test_a_white_edge_blurred_by_the_focal_spot_is_found() -> None:
    image, mask = bordered(a_body(466, 374), 6100.0, left=61)
    image = ndimage.gaussian_filter(image, 1.0)
    (border,) = find_borders(image)
    assert border.side == "left"
    assert abs(border.depth_px - 61) <= 2
    assert border.blur_px >= 1
    assert np.mean(border.mask != mask) < 0.006


def test_the_field_is_what_no_border_covers() -> None:
    image, _ = bordered(a_body(), 4600.0, top=23, bottom=31, left=17, right=9)
    assert field_within(image.shape, find_borders(image)) == (slice(23, 202), slice(17, 178))
    assert field_within(image.shape, []) == (slice(0, 233), slice(0, 187))
