"""Borders, letters and text: told and filled from their surroundings; an image without any is the one given."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.blanked_areas import cleaned
from TomoRayLib.images.pair_checks import looks_inverted
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.synthesis.rendering import render


@pytest.fixture(scope="module")
def pair() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The built-in torso from in front and from the left, off the middle of the detector."""
    ct, _ = phantom_volumes()
    x, y, z = ct.grid.center_mm
    views = c_arm((x + 11.0, y - 7.0, z + 16.0))
    images = render(ct, {"ap": views.ap, "lat": views.lateral})
    return images["ap"][:, 9:], images["lat"][:, 9:]


def framed(image: NDArray[np.float32], value: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The image with a border of 31, 19, 40 and 12 pixels at its top, bottom, left and right."""
    mask = np.ones(image.shape, dtype=bool)
    mask[31:-19, 40:-12] = False
    return np.where(mask, np.float32(value), image), mask


def test_images_without_borders_and_letters_are_the_ones_given(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    for image in pair:
        found = cleaned(image)
        assert found.pixels is image
        assert (found.notes, found.borders, found.letters, found.mask.any()) == ([], (), (), False)


@pytest.mark.parametrize("share", [1.3, 1.0])
def test_a_white_frame_is_filled_and_told(pair: tuple[NDArray[np.float32], NDArray[np.float32]], share: float) -> None:
    for image in pair:
        given, mask = framed(image, share * float(image.max()))
        found = cleaned(given)
        assert np.array_equal(found.mask, mask)
        shares = [round(100 * px / image.shape[axis], 1) for px, axis in ((31, 0), (19, 0), (40, 1), (12, 1))]
        top, bottom, left, right = (f"{share:g} %" for share in shares)
        assert found.notes == [
            f"on the image as it is read, a white border of {top} of the height at the top, {bottom} of the height at "
            f"the bottom, {left} of the width at the left, {right} of the width at the right was left out for the "
            "network: the image is continued there."
        ]
        inside = ndimage.binary_erosion(~mask, iterations=2)
        assert np.array_equal(found.pixels[inside], image[inside])
        assert np.abs(found.pixels - image)[mask].mean() < 0.4 * np.abs(given - image)[mask].mean()
        assert found.pixels.max() <= image.max()


def test_the_filling_continues_the_edge(pair: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    """Beside the edge the filling is what the field is there, whatever the border's colour was."""
    image = pair[1]
    results = [cleaned(framed(image, value)[0]).pixels for value in (9.0, 30.0)]
    assert np.array_equal(*results)
    beside, edge = results[0][30, 60:250], image[33, 60:250]
    assert np.abs(beside - edge).mean() < 0.05 * np.ptp(image)


def test_black_beside_air_stays_and_is_not_told(pair: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    """Blanking what is as dark as air already changes nothing."""
    air = np.pad(pair[0], ((0, 0), (37, 0)))
    found = cleaned(air)
    assert found.pixels is air


def test_letters_are_filled_and_told_by_their_place(pair: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    image = pair[1]
    layer = Image.new("L", image.shape[::-1])
    ImageDraw.Draw(layer).text((150, 63), "L", fill=255, font=ImageFont.load_default(36))
    ink = np.asarray(layer, dtype=np.float32) / 255
    given = (image * (1 - ink) + np.float32(1.2 * image.max()) * ink).astype(np.float32)
    found = cleaned(given)
    (letters,) = found.letters
    rows, columns = (np.nonzero((ink > 0.5).any(axis=axis))[0] for axis in (1, 0))
    assert letters.colour == "white"
    assert letters.rows.start <= rows[0]
    assert letters.rows.stop > rows[-1]
    assert letters.columns.start <= columns[0]
    assert letters.columns.stop > columns[-1]
    ends = [(one.start, one.stop) for one in (letters.rows, letters.columns)]
    (top, bottom), (left, right) = (
        [f"{round(100 * end / size, 1):g} %" for end in both] for both, size in zip(ends, image.shape, strict=True)
    )
    assert found.notes == [
        f"letters or text left out for the network, on the image as it is read: {top} to {bottom} of the height and "
        f"{left} to {right} of the width."
    ]
    assert np.array_equal(found.pixels[~found.mask], image[~found.mask])
    assert np.abs(found.pixels - image)[ink > 0.5].mean() < 0.15 * np.abs(given - image)[ink > 0.5].mean()


def test_an_image_that_is_nearly_all_blank_is_left_alone_with_a_warning() -> None:
    image = np.full((240, 200), 7.0, dtype=np.float32)
    image[72:180, 60:150] = np.random.default_rng(1).uniform(1, 5, (108, 90))
    found = cleaned(image)
    assert found.pixels is image
    assert found.notes == []
    assert found.warning is not None
    assert "a white border of 30 % of the height at the top, 25 % of the height at the bottom" in found.warning
    assert "left as they are" in found.warning
    assert found.warning.endswith("Crop the image to the exposed field.")


@pytest.mark.parametrize("value", [1.2, 0.0])
def test_borders_are_not_taken_for_inversion_nor_do_they_hide_it(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]], value: float
) -> None:
    image = pair[0]
    high = float(image.max())
    assert not looks_inverted(framed(image, value * high)[0])
    assert looks_inverted(framed(high - image, value * high)[0])
