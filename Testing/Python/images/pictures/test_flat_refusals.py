"""Pictures that are not read: refused by name, with the cause, and without a word from a library."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from support.pictures import GREY, GREY_8, write_png_bytes, write_tiff
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_radiograph


def _jpeg_of(process: int, bits: int, channels: int = 1) -> bytes:
    head = struct.pack(">BBHBHHB", 0xFF, 0xC0 + process, 8 + 3 * channels, bits, 70, 53, channels)
    return b"\xff\xd8\xff\xfe\0\x04ab" + head + b"\x01\x11\0" * channels + b"\xff\xd9"


_REFUSED = {
    "ap.gif": (b"GIF89a" + b"\0" * 60, "got a GIF file"),
    "ap.webp": (b"RIFF\x20\0\0\0WEBPVP8L" + b"\0" * 60, "got a WebP file"),
    "ap.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 60, "got a JPEG 2000 file"),
    "ap.j2k": (b"\xff\x4f\xff\x51\0\x29" + b"\0" * 60, "got a JPEG 2000 file"),
    "ap.jxl": (b"\xff\x0a" + b"\0" * 60, "got a JPEG XL file"),
    "ap.heic": (b"\0\0\0\x18ftypheic" + b"\0" * 60, "got a HEIC or AVIF file"),
    "ap.pgm": (b"P5\n53 70\n255\n" + b"\0" * 60, "got a PGM"),
    "ap.ppm": (b"P6 53 70 255\n" + b"\0" * 60, "got a PPM"),
    "ap.pnm": (b"P2\n# text\n53 70\n255\n" + b"1 " * 60, "got a PGM"),
    "ap.pcx": (b"\n\5\1\x08" + b"\0" * 130, "got a PCX file"),
    "ap.tga": (b"\0\0\3" + b"\0" * 9 + struct.pack("<HHBB", 53, 70, 8, 0) + b"\0" * 60, "got a TGA file"),
    "rle.tga": (b"\0\0\x0a" + b"\0" * 9 + struct.pack("<HHBB", 53, 70, 24, 32) + b"\0" * 60, "got a TGA file"),
    "ap.pdf": (b"%PDF-1.7\n" + b"\0" * 60, "got a PDF file"),
    "ap.jls": (b"\xff\xd8\xff\xf7" + b"\0" * 60, "got a JPEG-LS file"),
    "ap.jpg": (_jpeg_of(1, 12), "got a 12-bit one"),
    "ap.ljpg": (_jpeg_of(3, 12), "got a lossless one"),
    "ap.jpeg": (_jpeg_of(0, 8, channels=4), "colours for print"),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_pictures_that_are_not_read_are_named(tmp_path: Path, name: str) -> None:
    content, words = _REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_radiograph(tmp_path / name)


def test_a_png_that_was_cut_short_is_called_so_and_not_empty(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    for length in (8, 20, 33, 60, len(content) // 2):
        (tmp_path / "ap.png").write_bytes(content[:length])
        with pytest.raises(InputError, match=r"expected a readable PNG picture.*damaged or incomplete"):
            read_radiograph(tmp_path / "ap.png")


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"t259": 4}, r"compression 4 \(CCITT fax\)"),
        ({"t259": 34712}, r"compression 34712 \(JPEG 2000\)"),
        ({"t262": 5}, r"PhotometricInterpretation 5, colours for print"),
        ({"t262": 8}, r"PhotometricInterpretation 8, colours"),
        ({"t262": 99}, r"unknown PhotometricInterpretation 99"),
        ({"t258": 11, "t256": 200}, r"7420 bytes|cut off"),
        ({"t322": 2**31, "t323": 16, "t324": 8, "t325": 7420}, r"tiles or strips of 2147483648 x 16"),
        ({"t273": 2**31}, r"cut off"),
        ({"t258": 24}, r"24 bits of SampleFormat 1"),
        ({"t339": 6}, r"16 bits of SampleFormat 6"),
        ({"t317": 3}, r"Predictor 3 with whole numbers"),
        ({"t256": 106}, r"cut off"),
        ({"t256": 70000}, r"at most 65535 pixels"),
        ({"t273": -1}, r"StripOffsets\) is missing"),
    ],
)
def test_tiff_that_is_not_read_is_refused_with_the_cause(tmp_path: Path, tags: dict[str, int], words: str) -> None:
    write_tiff(tmp_path / "ap.tif", GREY, **tags)
    with pytest.raises(InputError, match=words):
        read_radiograph(tmp_path / "ap.tif")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["tif", "big.tif", "lzw.tif", "png", "jpg", "bmp"])
def test_damaged_header_ends_in_a_sentence_or_a_picture_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, seed: int
) -> None:
    path = tmp_path / f"ap.{kind}"
    if kind == "lzw.tif":
        Image.fromarray(GREY).save(path, compression="tiff_lzw")
    elif "tif" in kind:
        tifffile.imwrite(path, GREY, photometric="minisblack", bigtiff=kind == "big.tif", rowsperstrip=9)
    else:
        Image.fromarray(GREY_8).save(path)
    content, random = bytearray(path.read_bytes()), np.random.default_rng(seed)
    tail = kind == "lzw.tif"  # Pillow writes the directory behind the pixels
    for place in random.integers(4, 250, 4):
        content[-place if tail else place] = random.integers(0, 256)
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        read_radiograph(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["png", "tif", "jpg", "bmp"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_picture_that_is_cut_off_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str, kept: float
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (90, 80), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"ap.{ending}")
    content = (tmp_path / f"ap.{ending}").read_bytes()
    (tmp_path / f"ap.{ending}").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError):
        read_radiograph(tmp_path / f"ap.{ending}")
    assert capfd.readouterr() == ("", "")


def test_header_of_a_picture_larger_than_any_radiograph_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write_png_bytes(tmp_path / "bomb.png", [b"\0" * 40], 40000, bits=8, colour=0, height=40000)
    write_tiff(tmp_path / "bomb.tif", GREY, t256=40000, t257=40000)
    for name in ("bomb.png", "bomb.tif"):
        with pytest.raises(InputError, match="got 40000 x 40000 in the header"):
            read_radiograph(tmp_path / name)
