"""Transparency, colour and palettes of pictures: grey is read as grey, whatever it is stored in."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from support.pictures import GREY, GREY_8, read_quietly, write_png_bytes, write_tiff
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_radiograph

Maker = Callable[[Path, NDArray[Any]], None]


def _with_alpha(pixels: NDArray[Any], alpha: NDArray[Any], colour: bool) -> NDArray[Any]:
    return np.dstack([*([pixels] * (3 if colour else 1)), alpha])


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_a_further_channel_of_no_meaning_is_left_out_if_it_has_one_value(tmp_path: Path, planes: str) -> None:
    def write(name: str, channel: NDArray[Any]) -> Path:
        values = np.dstack([GREY, channel])
        values = values if planes == "contig" else np.moveaxis(values, -1, 0)
        options: Any = {"photometric": "minisblack", "planarconfig": planes, "extrasamples": ["unspecified"]}
        tifffile.imwrite(tmp_path / name, values, **options)
        return tmp_path / name

    back = read_radiograph(write("one.tif", np.full_like(GREY, 7)))
    np.testing.assert_array_equal(back.pixels, GREY)
    assert "channel of one value and of no stated meaning" in back.header.notes[0]
    with pytest.raises(InputError, match="a meaning that is not stated"):
        read_radiograph(write("two.tif", GREY[::-1]))


def _png_alpha(path: Path, values: NDArray[Any]) -> None:
    rows = [row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values]
    colour = {2: 4, 4: 6}[values.shape[2]]
    write_png_bytes(path, rows, values.shape[1], bits=values.dtype.itemsize * 8, colour=colour)


def _tiff_alpha(path: Path, values: NDArray[Any]) -> None:
    photometric = {2: "minisblack", 4: "rgb"}[values.shape[2]]
    tifffile.imwrite(path, values, photometric=photometric, planarconfig="contig", extrasamples=["unassalpha"])


def _tiff_alpha_planes(path: Path, values: NDArray[Any]) -> None:
    photometric, planes = {2: "minisblack", 4: "rgb"}[values.shape[2]], np.moveaxis(values, -1, 0)
    tifffile.imwrite(path, planes, photometric=photometric, planarconfig="separate", extrasamples=["unassalpha"])


@pytest.mark.parametrize("maker", [_png_alpha, _tiff_alpha, _tiff_alpha_planes], ids=["png", "tiff", "tiff planes"])
@pytest.mark.parametrize("pixels", [GREY, GREY_8], ids=["16 bits", "8 bits"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_transparency_that_hides_nothing_is_dropped_and_clear_parts_become_padding(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], maker: Maker, pixels: NDArray[Any], colour: bool
) -> None:
    opaque = np.full_like(pixels, np.iinfo(pixels.dtype).max)
    maker(tmp_path / "opaque", _with_alpha(pixels, opaque, colour))
    back = read_quietly(tmp_path / "opaque", capfd)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert "opaque everywhere" in back.header.notes[-1]

    partly = opaque.copy()
    partly[:5], partly[5:8] = 0, opaque[0, 0] // 2
    maker(tmp_path / "clear", _with_alpha(pixels, partly, colour))
    back = read_quietly(tmp_path / "clear", capfd)
    np.testing.assert_array_equal(back.pixels[5:], pixels[5:])
    assert np.all(back.pixels[:5] == pixels[5:].min())
    assert "transparent: taken as padding" in back.header.notes[-2]
    assert "partly transparent" in back.header.notes[-1]

    maker(tmp_path / "hidden", _with_alpha(pixels, np.zeros_like(pixels), colour))
    with pytest.raises(InputError, match="transparent everywhere"):
        read_radiograph(tmp_path / "hidden")


@pytest.mark.parametrize("pixels", [GREY, GREY_8], ids=["16 bits", "8 bits"])
def test_transparent_grey_value_of_a_png_becomes_padding(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], pixels: NDArray[Any]
) -> None:
    key = int(pixels[20, 20])
    rows = [row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels]
    chunks = {"tRNS": struct.pack(">H", key)}
    bits = pixels.dtype.itemsize * 8
    write_png_bytes(tmp_path / "ap.png", rows, pixels.shape[1], bits=bits, colour=0, chunks=chunks)
    back = read_quietly(tmp_path / "ap.png", capfd)
    np.testing.assert_array_equal(back.pixels, np.where(pixels == key, pixels.min(), pixels))


@pytest.mark.parametrize("maker", ["png 8", "png 16", "tiff 8", "tiff 16", "tiff planes", "bmp"])
def test_grey_stored_in_colour_is_grey_and_true_colour_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], maker: str
) -> None:
    pixels = GREY if maker.endswith("16") else GREY_8
    for name, shift in (("grey", 0), ("colour", int(pixels.max()) // 4)):
        values = np.dstack([pixels, pixels, np.maximum(pixels, shift)])
        path = tmp_path / name
        if maker.startswith("png"):
            rows = [row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values]
            write_png_bytes(path, rows, values.shape[1], bits=values.dtype.itemsize * 8, colour=2)
        elif maker == "bmp":
            Image.fromarray(values).save(path, format="BMP")
        elif maker == "tiff planes":
            tifffile.imwrite(path, np.moveaxis(values, -1, 0), photometric="rgb", planarconfig="separate")
        else:
            tifffile.imwrite(path, values, photometric="rgb")
    back = read_quietly(tmp_path / "grey", capfd)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert "read as grey" in back.header.notes[0]
    with pytest.raises(InputError, match="expected a greyscale radiograph"):
        read_radiograph(tmp_path / "colour")


@pytest.mark.parametrize("kind", ["png", "tiff", "tiff, 8-bit table", "bmp"])
def test_grey_palette_is_looked_up_and_a_coloured_one_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    falling = 255 - np.arange(256)
    for name, blue in (("grey", falling), ("colour", np.minimum(falling + 60, 255))):
        table = np.stack([falling, falling, blue])
        path = tmp_path / name
        if kind.startswith("tiff"):
            stored = table if "8-bit" in kind else table * 257
            write_tiff(path, GREY_8, t262=3, t320=tuple(int(value) for value in stored.ravel()))
        else:
            picture = Image.fromarray(GREY_8)
            picture.putpalette(table.T.astype(np.uint8).tobytes())
            picture.save(path, format=kind)
    back = read_quietly(tmp_path / "grey", capfd)
    np.testing.assert_array_equal(back.pixels, (255 - GREY_8.astype(float)) * (257 if kind == "tiff" else 1))
    with pytest.raises(InputError, match="expected a greyscale radiograph"):
        read_radiograph(tmp_path / "colour")


def test_extra_channel_of_no_stated_meaning_is_refused_unless_it_is_constant(tmp_path: Path) -> None:
    for name, second in (("other", GREY[::-1]), ("same", np.full_like(GREY, 7))):
        write_tiff(tmp_path / f"{name}.tif", np.dstack([GREY, second]), t338=0)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "same.tif").pixels, GREY)
    with pytest.raises(InputError, match="meaning that is not stated"):
        read_radiograph(tmp_path / "other.tif")
