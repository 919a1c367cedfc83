"""Compressed pixels of a DICOM radiograph: lossy values, cut-off codestreams, and syntaxes that contradict the file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from support.dicom_files import DX_CLASS, TWELVE, a_dataset
from support.dicom_syntaxes import (
    BRIGHT,
    BRIGHT_NEAR_LOSSLESS,
    BRIGHT_SIGNED,
    BRIGHT_SIGNED_NEAR_LOSSLESS,
    COMPRESSED,
    LOSSY,
    PICTURE,
    a_picture_file,
    frame_of_picture,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_radiograph


def _compressed(path: Path, codestream: bytes, syntax: UID, **values: Any) -> Path:
    dataset = a_dataset(DX_CLASS, BRIGHT, **({"Modality": "DX"} | TWELVE | values))
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    return path


def _jpeg_2000(cells: np.ndarray, **options: Any) -> bytes:
    target = BytesIO()
    Image.fromarray(cells).save(target, "JPEG2000", no_jp2=True, **options)
    return target.getvalue()


@pytest.mark.parametrize("kind", ["JPEG-LS", "JPEG 2000", "JPEG 2000, cut short"])
def test_white_that_lossy_compression_carried_beyond_the_stored_bits_stays_white(tmp_path: Path, kind: str) -> None:
    header: dict[str, Any] = {}
    if kind == "JPEG-LS":
        codestream, syntax, off = BRIGHT_NEAR_LOSSLESS, JPEGLSNearLossless, 3
    else:
        short = kind != "JPEG 2000"
        codestream = _jpeg_2000(BRIGHT, irreversible=not short, quality_mode="rates", quality_layers=[4])
        syntax, off = JPEG2000, 2000  # at the edge; white taken for black is 4000 off
        header = {"LossyImageCompression": "01"} if short else {}
    radiograph = read_radiograph(_compressed(tmp_path / "lossy.dcm", codestream, syntax, **header))
    assert radiograph.pixels.max() == 4095
    assert np.abs(radiograph.pixels - BRIGHT.astype(float)).max() <= off
    assert any("beyond the 12 stored bits: set to their end" in note for note in radiograph.header.notes)


def test_signed_values_beyond_the_stored_bits_do_not_change_their_sign(tmp_path: Path) -> None:
    path = _compressed(tmp_path / "lossy.dcm", BRIGHT_SIGNED_NEAR_LOSSLESS, JPEGLSNearLossless, PixelRepresentation=1)
    pixels = read_radiograph(path).pixels
    assert (pixels.min() < 0, pixels.max()) == (True, 2047)
    assert np.abs(pixels - BRIGHT_SIGNED.astype(float)).max() <= 3


def test_overlays_in_lossless_codestreams_are_left_behind(tmp_path: Path) -> None:
    overlay = (np.indices(BRIGHT.shape).sum(axis=0) % 3 == 0).astype(np.uint16) << 13
    codestream = _jpeg_2000(BRIGHT | overlay, irreversible=False)
    for syntax in (JPEG2000, JPEG2000Lossless):
        radiograph = read_radiograph(_compressed(tmp_path / "overlay.dcm", codestream, syntax))
        np.testing.assert_array_equal(radiograph.pixels, BRIGHT)
        assert not any("stored bits" in note for note in radiograph.header.notes)


@pytest.mark.parametrize("syntax", [*COMPRESSED, *LOSSY])
def test_compressed_pixels_that_were_cut_off_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], syntax: str
) -> None:
    path = a_picture_file(tmp_path / "cut.dcm", syntax)
    dataset = pydicom.dcmread(path)
    frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[: len(frame) * 2 // 3]])
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"cut\.dcm: expected"):
        read_radiograph(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("syntax", [name for name in (*COMPRESSED, *LOSSY) if name != "RLE"])
@pytest.mark.parametrize(("keyword", "count"), [("Rows", 10), ("Rows", 4000), ("Columns", 15)])
def test_a_codestream_of_another_size_is_refused(tmp_path: Path, syntax: str, keyword: str, count: int) -> None:
    """GDCM 3 writes beyond its memory if the codestream is the larger one."""
    path = a_picture_file(tmp_path / "size.dcm", syntax)
    dataset = pydicom.dcmread(path)
    setattr(dataset, keyword, count)
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"the size in the header.*, got 20 x 16 pixels of 1 value"):
        read_radiograph(path)


def test_a_codestream_of_impossible_depth_is_refused(tmp_path: Path) -> None:
    """59 bits end the process within GDCM."""
    path = a_picture_file(tmp_path / "deep.dcm", "JPEG Lossless SV1")
    content = path.read_bytes()
    header = b"\xff\xc3\x00\x0b\x10"
    assert content.count(header) == 1
    path.write_bytes(content.replace(header, header[:-1] + b"\x3b"))
    with pytest.raises(InputError, match="of 59 bits"):
        read_radiograph(path)


def test_a_jpeg_2000_file_in_place_of_the_codestream_is_read(tmp_path: Path) -> None:
    path = a_picture_file(tmp_path / "boxed.dcm", "JPEG 2000")
    boxed = BytesIO()
    Image.fromarray(PICTURE).save(boxed, "JPEG2000", irreversible=False)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([boxed.getvalue()])
    dataset.save_as(path)
    assert boxed.getvalue()[4:8] == b"jP  "
    np.testing.assert_array_equal(read_radiograph(path).pixels, PICTURE)


def test_one_frame_in_several_fragments_is_read(tmp_path: Path) -> None:
    path = a_picture_file(tmp_path / "parts.dcm", "JPEG Lossless SV1")
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([frame_of_picture("JPEG Lossless SV1")], fragments_per_frame=3)
    dataset.save_as(path)
    np.testing.assert_array_equal(read_radiograph(path).pixels, PICTURE)


def _renamed_syntax(path: Path, old: str, new: str) -> Path:
    """The file with another transfer syntax in its group 0002, and the same bytes behind."""
    element = b"\x02\x00\x10\x00UI"

    def written(uid: str) -> bytes:
        value = uid.encode() + b"\0" * (len(uid) % 2)
        return element + len(value).to_bytes(2, "little") + value

    content = path.read_bytes()
    longer = len(written(new)) - len(written(old))
    group_length = int.from_bytes(content[140:144], "little") + longer
    content = content[:140] + group_length.to_bytes(4, "little") + content[144:]
    assert content.count(written(old)) == 1
    path.write_bytes(content.replace(written(old), written(new)))
    return path


def test_native_pixels_under_a_compressed_syntax_are_read(tmp_path: Path) -> None:
    path = _renamed_syntax(a_picture_file(tmp_path / "odd.dcm"), ExplicitVRLittleEndian, JPEGLosslessSV1)
    radiograph = read_radiograph(path)
    np.testing.assert_array_equal(radiograph.pixels, PICTURE)
    assert any("but the pixels are not compressed" in note for note in radiograph.header.notes)


def test_compressed_pixels_under_a_native_syntax_are_refused(tmp_path: Path) -> None:
    path = _renamed_syntax(a_picture_file(tmp_path / "odd.dcm", "JPEG-LS"), JPEGLSLossless, ExplicitVRLittleEndian)
    with pytest.raises(InputError, match=r"odd\.dcm: expected"):
        read_radiograph(path)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.110", "1.2.840.113619.5.2", "1.2.3.4", "words"])
@pytest.mark.parametrize("syntax", ["", "JPEG-LS"])
def test_a_transfer_syntax_that_nobody_knows_is_refused(tmp_path: Path, syntax: str, uid: str) -> None:
    """JPEG XL, GE's own, and what is no transfer syntax at all."""
    stated = JPEGLSLossless if syntax else ExplicitVRLittleEndian
    path = _renamed_syntax(a_picture_file(tmp_path / "odd.dcm", syntax), stated, uid)
    with pytest.raises(InputError, match=rf"expected a Transfer Syntax UID \(0002,0010\) .* got {uid}"):
        read_radiograph(path)


def test_an_empty_transfer_syntax_is_taken_from_the_encoding(tmp_path: Path) -> None:
    path = _renamed_syntax(a_picture_file(tmp_path / "empty.dcm"), ExplicitVRLittleEndian, "")
    np.testing.assert_array_equal(read_radiograph(path).pixels, PICTURE)


def test_bits_of_the_codestream_win_over_those_of_the_header(tmp_path: Path) -> None:
    """A header of 16 bits with a codestream of 12, as some archives write."""
    path = a_picture_file(tmp_path / "wide.dcm", "JPEG Extended", BitsStored=16, HighBit=15)
    np.testing.assert_allclose(read_radiograph(path).pixels, PICTURE, atol=1)


def test_a_jpeg_2000_codestream_under_the_name_of_another_is_refused_or_right(tmp_path: Path) -> None:
    path = a_picture_file(tmp_path / "named.dcm", "JPEG-LS")
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(path)
    with pytest.raises(InputError, match="can be decoded"):
        read_radiograph(path)
