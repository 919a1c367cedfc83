"""Our own PNG files: another program reads the same pixels from them, and grey ones take a third."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from TomoRayLib.report.drawing import png_bytes


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (150, 90)])
def test_a_picture_reads_back_as_it_was(mode: str, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
    picture = Image.fromarray(pixels).convert(mode)
    back = Image.open(io.BytesIO(png_bytes(picture)))
    assert back.format == "PNG"
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), np.asarray(picture))


def test_rgb_without_colour_is_stored_as_grey_and_one_coloured_pixel_is_kept() -> None:
    picture = Image.fromarray(np.arange(6000, dtype=np.uint16).astype(np.uint8).reshape(60, 100)).convert("RGB")
    back = Image.open(io.BytesIO(png_bytes(picture)))
    assert back.mode == "L"
    np.testing.assert_array_equal(np.asarray(back.convert("RGB")), np.asarray(picture))
    picture.putpixel((33, 12), (255, 0, 0))
    assert Image.open(io.BytesIO(png_bytes(picture))).getpixel((33, 12)) == (255, 0, 0)


def test_a_picture_with_a_palette_becomes_rgb() -> None:
    picture = Image.new("RGB", (20, 10), (12, 200, 77)).quantize(4)
    assert Image.open(io.BytesIO(png_bytes(picture))).convert("RGB").getpixel((3, 3)) == (12, 200, 77)
