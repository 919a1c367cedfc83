"""Letters and text drawn with a real font: found, with what surrounds them; metal, bone and noise are none."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from TomoRayLib.images.letters import find_letters

LOW, HIGH = 0.0, 4095.0


def a_spine(rows: int = 340, columns: int = 276) -> NDArray[np.float32]:
    """An AP view with air at both sides, a body and a lopsided column of vertebrae."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    image = 2600 * np.sqrt(np.maximum(0, 1 - ((x - 0.47 * columns) / (0.4 * columns)) ** 2))
    for n in range(8):
        image += 900 * np.exp(-(((x - 0.47 * columns) / 24) ** 4) - ((y - 23 - 42 * n) / 15) ** 4)
    return ndimage.gaussian_filter(image, 1.0) + 8 * np.random.default_rng(2).standard_normal(image.shape).astype("f4")


def drawn(
    image: NDArray[np.float32], text: str, at: tuple[int, int], height: int, value: float, box: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The image with a text, and where its ink, or its box, is."""
    layer = Image.new("L", image.shape[::-1])
    font = ImageFont.load_default(height)
    ImageDraw.Draw(layer).text(at, text, fill=255, font=font)
    ink = np.asarray(layer, dtype=np.float32) / 255
    mask = ink > 0.5
    if box is not None:
        left, top, right, bottom = (round(edge) for edge in ImageDraw.Draw(layer).textbbox(at, text, font=font))
        mask = np.zeros(image.shape, dtype=bool)
        mask[top - 5 : bottom + 5, left - 5 : right + 5] = True
        image = np.where(mask, np.float32(box), image)
    return (image * (1 - ink) + np.float32(value) * ink).astype(np.float32), mask


def found_in(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    found = np.zeros(image.shape, dtype=bool)
    for one in find_letters(image):
        found[one.place] |= one.mask
    return found


def check(image: NDArray[np.float32], mask: NDArray[np.bool_], recall: float = 0.98, around: int = 3) -> None:
    found = found_in(image)
    assert found[mask].mean() >= recall
    assert not (found & ~ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=around)).any()


def test_a_spine_without_letters_has_none() -> None:
    assert find_letters(a_spine()) == []
    assert find_letters(-a_spine()) == []


@pytest.mark.parametrize(("text", "height"), [("L", 36), ("R", 30), ("L", 22)])
@pytest.mark.parametrize("at", [(5, 14), (60, 210), (205, 120)])
def test_a_lead_letter_is_found(text: str, height: int, at: tuple[int, int]) -> None:
    check(*drawn(a_spine(), text, at, height, HIGH))


@pytest.mark.parametrize("scale", [1.0, -0.01])
@pytest.mark.parametrize(("text", "height"), [("AP ERECT", 22), ("L-SPINE 12:03", 18), ("Acc 4711", 26)])
def test_a_line_of_text_is_found(text: str, height: int, scale: float) -> None:
    image, mask = drawn(a_spine(), text, (70, 150), height, HIGH)
    check((scale * image).astype(np.float32), mask, 0.9)


@pytest.mark.parametrize(("value", "box"), [(HIGH, LOW), (LOW, HIGH)])
def test_text_in_a_box_is_found_with_its_box(value: float, box: float) -> None:
    check(*drawn(a_spine(), "AP ERECT", (90, 60), 20, value, box), 0.95)


def test_a_letter_in_a_frame_is_found_with_its_frame() -> None:
    image, mask = drawn(a_spine(), "R", (70, 190), 32, HIGH)
    layer = Image.new("L", image.shape[::-1])
    ImageDraw.Draw(layer).rectangle((62, 188, 98, 228), outline=1, width=3)
    frame = np.asarray(layer) > 0
    check(np.where(frame, np.float32(HIGH), image), mask | frame)


def test_text_on_a_large_film_is_found() -> None:
    image = np.kron(a_spine(), np.ones((6, 6), dtype=np.float32))[:, :1650]
    check(*drawn(image, "LAT STANDING", (300, 900), 110, HIGH), around=12)


def test_the_softened_outline_is_covered() -> None:
    plain = a_spine()
    image, _ = drawn(plain, "L", (205, 120), 36, HIGH)
    assert found_in(image)[np.abs(image - plain) > 0.05 * HIGH].all()


def test_rods_and_screws_of_metal_are_no_letters() -> None:
    """Round metal: its grey value follows its thickness, and adds to what lies behind it."""
    image = a_spine()
    y, x = np.mgrid[0:340, 0:276].astype(np.float32)
    for column in (112, 147):
        image += 1900 * np.sqrt(np.maximum(0, 1 - ((x - column - 0.05 * y) / 3.0) ** 2)) * (np.abs(y - 170) < 80)
        for row in (100, 142, 184, 226):
            along = (x - column - 0.05 * y) * 0.9 + (y - row) * 0.44
            across = (y - row) * 0.9 - (x - column - 0.05 * y) * 0.44
            image += 1500 * np.sqrt(np.maximum(0, 1 - (across / 3.0) ** 2)) * (np.abs(along) < 14)
    assert find_letters(image) == []


def test_screws_cut_off_at_the_end_of_the_range_are_no_letters() -> None:
    image = a_spine()
    y, x = np.mgrid[0:340, 0:276].astype(np.float32)
    for row, column in ((100, 108), (103, 150), (142, 110), (146, 149), (187, 112), (190, 152)):
        along, across = (x - column) * 0.97 + (y - row) * 0.24, (y - row) * 0.97 - (x - column) * 0.24
        image[(np.abs(along) < 13) & (np.abs(across) < 3)] = HIGH
    assert find_letters(np.minimum(image, HIGH)) == []


def test_what_is_hidden_is_not_searched() -> None:
    image, mask = drawn(a_spine(), "L", (5, 14), 36, HIGH)
    hidden = np.zeros(image.shape, dtype=bool)
    hidden[:70] = True
    assert mask.any(axis=1).nonzero()[0].max() < 70
    assert find_letters(image, hidden) == []


def test_the_memory_does_not_grow_with_the_number_of_texts() -> None:
    """Forty masks of a whole film would take ten times its own size."""
    layer = Image.new("L", (1900, 2100))
    font = ImageFont.load_default(40)
    for number in range(40):
        ImageDraw.Draw(layer).text((80 + 430 * (number % 4), 60 + 200 * (number // 4)), "AP 71", fill=255, font=font)
    plain = ndimage.zoom(a_spine(), (2100 / 340, 1900 / 276), order=1)
    image = np.where(np.asarray(layer) > 127, np.float32(1.3 * HIGH), plain)
    tracemalloc.start()
    found = find_letters(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 40
    assert peak < 2 * image.nbytes
