"""Rules for pictures x formats that store them: whatever decodes a file, the same picture comes out.

The plain twin of each is a file of the same format and layout with the stored values as they are.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from support.pictures import GREY, GREY_8, exif_of, read_quietly, write_png_bytes, write_tiff
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_radiograph

# --- TIFF: layout, compression, number type. ``tifffile`` writes, and its packing is not ours. ---

_LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 9},
    "tiles": {"tile": (16, 32)},
    "deflate strips": {"rowsperstrip": 9, "compression": "zlib"},
    "deflate tiles": {"tile": (32, 16), "compression": "zlib", "predictor": True},
    "bigtiff": {"bigtiff": True},
}


_TYPES = ["u1", "u2", "i2", "u4", "i4", "f4", "f8"]


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize("number", _TYPES)
@pytest.mark.parametrize("order", "<>")
def test_tiff_keeps_each_stored_value_in_any_layout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], layout: str, number: str, order: str
) -> None:
    options = dict(_LAYOUTS[layout])
    if number[0] == "f":
        options.pop("predictor", None)  # tifffile writes it with the help of another package
    pixels = (GREY_8 if number == "u1" else GREY).astype(number) - (100 if number[0] in "if" else 0)
    pixels = pixels.astype(number)
    tifffile.imwrite(tmp_path / "ap.tif", pixels, photometric="minisblack", byteorder=order, **options)
    radiograph = read_quietly(tmp_path / "ap.tif", capfd)
    np.testing.assert_array_equal(radiograph.pixels, pixels)
    assert radiograph.header.notes == ()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("pixels", [GREY, GREY_8], ids=["16 bits", "8 bits"])
def test_tiff_keeps_each_stored_value_in_any_compression(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str, pixels: NDArray[Any]
) -> None:
    Image.fromarray(pixels).save(tmp_path / "ap.tif", compression=compression)
    np.testing.assert_array_equal(read_quietly(tmp_path / "ap.tif", capfd).pixels, pixels)


def test_lossy_jpeg_in_a_tiff_is_read_to_its_own_precision(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    smooth = np.tile(np.arange(96, dtype=np.uint8), (80, 1))
    for name, picture in (("grey", Image.fromarray(smooth)), ("colour", Image.fromarray(smooth).convert("RGB"))):
        picture.save(tmp_path / f"{name}.tif", compression="jpeg", quality=98)
        back = read_quietly(tmp_path / f"{name}.tif", capfd).pixels
        assert np.abs(back - smooth).max() <= 3


def test_packed_twelve_bits_are_read_as_they_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    even = GREY[:, :52]
    pairs = even.reshape(len(even), -1, 2).astype(np.uint32)
    three = np.stack(
        [pairs[..., 0] >> 4, (pairs[..., 0] & 15) << 4 | pairs[..., 1] >> 8, pairs[..., 1] & 255], axis=-1
    ).astype(np.uint8)
    write_tiff(tmp_path / "ap.tif", three.reshape(len(even), -1), t256=52, t258=12)
    np.testing.assert_array_equal(read_quietly(tmp_path / "ap.tif", capfd).pixels, even)
    odd = np.concatenate([even[:, :51].astype(np.uint16), np.zeros((len(even), 1), np.uint16)], axis=1)
    bits = (odd[..., None] >> np.arange(11, -1, -1) & 1).astype(np.uint8).reshape(len(odd), -1)[:, : 51 * 12]
    write_tiff(tmp_path / "odd.tif", np.packbits(bits, axis=1), t256=51, t258=12)
    np.testing.assert_array_equal(read_quietly(tmp_path / "odd.tif", capfd).pixels, even[:, :51])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_read_as_they_are(tmp_path: Path, capfd: pytest.CaptureFixture[str], bits: int) -> None:
    values = (GREY_8 >> (8 - bits)).astype(np.uint8)
    single = (values[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).reshape(len(values), -1)
    write_tiff(tmp_path / "ap.tif", np.packbits(single, axis=1), t256=values.shape[1], t258=bits)
    np.testing.assert_array_equal(read_quietly(tmp_path / "ap.tif", capfd).pixels, values)


def test_reversed_bits_of_fill_order_two_are_put_right(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reverse = np.array([int(f"{value:08b}"[::-1], 2) for value in range(256)], np.uint8)
    write_tiff(tmp_path / "ap.tif", reverse[GREY_8], t266=2)
    np.testing.assert_array_equal(read_quietly(tmp_path / "ap.tif", capfd).pixels, GREY_8)


# --- Polarity ---


@pytest.mark.parametrize("number", ["u1", "u2", "i2", "f4"])
@pytest.mark.parametrize("order", "<>")
def test_white_is_zero_is_inverted_with_a_note_and_its_twin_is_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], number: str, order: str
) -> None:
    pixels = (GREY_8 if number == "u1" else GREY).astype(number)
    write_tiff(tmp_path / "black.tif", pixels, order=order, t339={"u": 1, "i": 2, "f": 3}[number[0]])
    write_tiff(tmp_path / "white.tif", pixels, order=order, t262=0, t339={"u": 1, "i": 2, "f": 3}[number[0]])
    black = read_quietly(tmp_path / "black.tif", capfd)
    white = read_quietly(tmp_path / "white.tif", capfd)
    np.testing.assert_array_equal(black.pixels, pixels)
    assert black.header.notes == ()
    total = {"u1": 255, "u2": 65535, "i2": -1, "f4": float(pixels.min()) + float(pixels.max())}[number]
    np.testing.assert_array_equal(white.pixels, np.float32(total) - pixels.astype(np.float32))
    assert [note for note in white.header.notes if "White is zero" in note and "inverted" in note]


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
def test_white_is_zero_holds_for_compressed_files_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str | None
) -> None:
    smooth = np.tile(np.arange(10, 106, dtype=np.uint8), (80, 1))
    Image.fromarray(smooth).save(tmp_path / "ap.tif", compression=compression, tiffinfo={262: 0})
    with tifffile.TiffFile(tmp_path / "ap.tif") as file:  # Pillow writes the tag and inverts what it stores
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE
    back = read_quietly(tmp_path / "ap.tif", capfd)
    assert np.corrcoef(back.pixels.ravel(), smooth.ravel())[0, 1] > 0.999
    assert "White is zero" in back.header.notes[0]


def test_missing_photometric_interpretation_is_noted(tmp_path: Path) -> None:
    write_tiff(tmp_path / "ap.tif", GREY, t262=-1)
    back = read_radiograph(tmp_path / "ap.tif")
    np.testing.assert_array_equal(back.pixels, GREY)
    assert "PhotometricInterpretation is missing" in back.header.notes[0]


# --- Orientation: TIFF's tag and Exif in JPEG and PNG. Pillow's exif_transpose is the independent source. ---


def _tiff_turned(path: Path, orientation: int) -> None:
    write_tiff(path, GREY_8, t274=orientation)


def _tiff_tiles_turned(path: Path, orientation: int) -> None:
    tags = [(274, 3, 1, orientation, True)]
    tifffile.imwrite(path, GREY_8, photometric="minisblack", tile=(16, 16), compression="zlib", extratags=tags)


def _png_turned(path: Path, orientation: int) -> None:
    Image.fromarray(GREY_8).save(path, format="PNG", exif=b"Exif\0\0" + exif_of(orientation))


def _jpeg_turned(path: Path, orientation: int) -> None:
    Image.fromarray(GREY_8).save(
        path, format="JPEG", quality=100, exif=b"Exif\0\0" + exif_of(orientation), dpi=(72, 72)
    )


_TURNED = {"tiff": _tiff_turned, "tiff tiles": _tiff_tiles_turned, "png": _png_turned, "jpeg": _jpeg_turned}


@pytest.mark.parametrize("kind", _TURNED)
@pytest.mark.parametrize("orientation", range(9))
def test_orientation_is_followed_with_a_note(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, orientation: int
) -> None:
    _TURNED[kind](tmp_path / "ap", orientation)
    shown = Image.fromarray(GREY_8)
    shown.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(shown))
    back = read_quietly(tmp_path / "ap", capfd)
    assert back.pixels.shape == expected.shape
    assert np.abs(back.pixels - expected).max() <= (2 if kind == "jpeg" else 0)
    assert any(f"Orientation {orientation}" in note for note in back.header.notes) == (orientation > 1)


def test_orientation_that_is_none_leaves_the_picture_with_a_note(tmp_path: Path) -> None:
    write_tiff(tmp_path / "ap.tif", GREY, t274=9)
    back = read_radiograph(tmp_path / "ap.tif")
    np.testing.assert_array_equal(back.pixels, GREY)
    assert "none of 1 to 8" in back.header.notes[0]


# --- PNG and BMP variants ---


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_of_a_png_are_spread_to_eight(tmp_path: Path, bits: int) -> None:
    values = (GREY_8 >> (8 - bits)).astype(np.uint8)
    single = (values[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).reshape(len(values), -1)
    rows = [row.tobytes() for row in np.packbits(single, axis=1)]
    write_png_bytes(tmp_path / "ap.png", rows, values.shape[1], bits=bits, colour=0)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "ap.png").pixels, values * (255 // (2**bits - 1)))


def test_interlaced_png_is_put_together(tmp_path: Path) -> None:
    whole, sizes = (
        GREY.astype(">u2"),
        [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)],
    )
    passes = [whole[row::rows, column::columns] for row, column, rows, columns in [*sizes, (1, 0, 2, 1)]]  # Adam7
    lines = [line.tobytes() for part in passes for line in part]
    write_png_bytes(tmp_path / "ap.png", lines, 53, bits=16, colour=0, height=70, interlaced=True)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "ap.png").pixels, GREY)


@pytest.mark.parametrize("chunk", ["gAMA", "sBIT", "iCCP", "pHYs", "tEXt"])
@pytest.mark.parametrize("pixels", [GREY, GREY_8], ids=["16 bits", "8 bits"])
def test_png_chunks_that_speak_of_display_change_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], chunk: str, pixels: NDArray[Any]
) -> None:
    contents = {
        "gAMA": struct.pack(">I", 100000),
        "sBIT": b"\x06",
        "iCCP": b"odd\0\0no profile",
        "pHYs": struct.pack(">IIB", 7000, 7000, 1),
        "tEXt": b"Comment\0AP",
    }
    rows = [row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels]
    bits = pixels.dtype.itemsize * 8
    write_png_bytes(tmp_path / "ap.png", rows, pixels.shape[1], bits=bits, colour=0, chunks={chunk: contents[chunk]})
    np.testing.assert_array_equal(read_quietly(tmp_path / "ap.png", capfd).pixels, pixels)


@pytest.mark.parametrize("from_below", [True, False])
def test_bmp_is_the_right_way_up_whichever_row_comes_first(tmp_path: Path, from_below: bool) -> None:
    Image.fromarray(GREY_8).save(tmp_path / "ap.bmp")
    if not from_below:
        content = bytearray((tmp_path / "ap.bmp").read_bytes())
        start = struct.unpack_from("<I", content, 10)[0]
        length = -(-GREY_8.shape[1] // 4) * 4
        rows = [content[start + n * length : start + (n + 1) * length] for n in range(len(GREY_8))]
        struct.pack_into("<i", content, 22, -len(GREY_8))
        (tmp_path / "ap.bmp").write_bytes(bytes(content[:start]) + b"".join(rows[::-1]))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "ap.bmp").pixels, GREY_8)


def test_kind_is_told_by_the_content_not_by_the_ending(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "ap.jpg", format="PNG")
    back = read_radiograph(tmp_path / "ap.jpg")
    np.testing.assert_array_equal(back.pixels, GREY)
    assert back.header.source_format == "PNG"


# --- Pages and stated lengths ---


def test_thumbnail_page_is_left_out_with_a_note_and_a_second_picture_is_refused(tmp_path: Path) -> None:
    for name, kind in (("thumbnail", 1), ("mask", 4), ("two", 0)):
        with tifffile.TiffWriter(tmp_path / f"{name}.tif") as writer:
            writer.write(GREY, photometric="minisblack")
            second = GREY[::2, ::2] > 2000 if name == "mask" else GREY[::2, ::2]
            writer.write(second, photometric="minisblack", subfiletype=kind)
    for name in ("thumbnail", "mask"):
        back = read_radiograph(tmp_path / f"{name}.tif")
        np.testing.assert_array_equal(back.pixels, GREY)
        assert "1 further page" in back.header.notes[0]
    with pytest.raises(InputError, match=r"one of 2 pages \(53 x 70, 27 x 35\)"):
        read_radiograph(tmp_path / "two.tif")
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([GREY] * 3), imagej=True)
    with pytest.raises(InputError, match="one of 3 pages"):
        read_radiograph(tmp_path / "stack.tif")


def test_length_that_imagej_or_ome_states_is_noted_and_not_used(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "imagej.tif", GREY, imagej=True, resolution=(1 / 0.143, 1 / 0.143), metadata={"unit": "mm"}
    )
    sizes = {"axes": "YX", "PhysicalSizeX": 143.0, "PhysicalSizeXUnit": "\u00b5m"}
    tifffile.imwrite(tmp_path / "some.ome.tif", GREY, metadata=sizes)
    for name, source in (("imagej.tif", "ImageJ"), ("some.ome.tif", "OME")):
        back = read_radiograph(tmp_path / name)
        np.testing.assert_array_equal(back.pixels, GREY)
        assert back.pixel_spacing_mm is None
        assert f"{source} states 0.143 mm per pixel" in back.header.notes[0]


@pytest.mark.parametrize("kind", ["lzw", "jpeg", "palette"])
def test_film_beyond_the_limit_of_a_library_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path, picture = tmp_path / "film", Image.fromarray(GREY_8)
    if kind == "palette":
        picture.putpalette(np.repeat(np.arange(256), 3).astype(np.uint8).tobytes())
    picture.save(path, **{"lzw": {"format": "TIFF", "compression": "tiff_lzw"}}.get(kind, {"format": "PNG"}))
    if kind == "jpeg":
        picture.save(path, format="JPEG", quality=100)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # in place of a picture of 179 million pixels
    assert np.abs(read_radiograph(path).pixels - GREY_8).max() <= 2
    assert Image.MAX_IMAGE_PIXELS == 1000
