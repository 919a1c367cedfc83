"""Pixel cells, padding, colour and what contradicts itself in the header of a DICOM radiograph."""

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
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from support.dicom_files import DX_CLASS, TWELVE, a_dataset, a_radiograph_file
from support.dicom_syntaxes import (
    PICTURE,
    a_picture_file,
    frame_of_picture,
    save_in_syntax,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_radiograph
from TomoRayLib.images.types import Radiograph


def _read(path: Path, cells: np.ndarray, syntax: str = "", **values: Any) -> Radiograph:
    save_in_syntax(a_dataset(DX_CLASS, cells, **({"Modality": "DX"} | values)), path, syntax)
    return read_radiograph(path)


@pytest.mark.parametrize("syntax", ["", "explicit big endian", "deflated", "RLE"])
@pytest.mark.parametrize("signed", [0, 1])
def test_overlays_in_unused_bits_are_left_behind(tmp_path: Path, syntax: str, signed: int) -> None:
    overlay = (np.indices(PICTURE.shape).sum(axis=0) % 3 == 0).astype(np.uint16) << 13
    plain = a_radiograph_file(tmp_path / "plain.dcm", PICTURE, PixelRepresentation=signed, **TWELVE)
    with_overlay = _read(tmp_path / "overlay.dcm", PICTURE | overlay, syntax, PixelRepresentation=signed, **TWELVE)
    np.testing.assert_array_equal(with_overlay.pixels, read_radiograph(tmp_path / "plain.dcm").pixels)
    np.testing.assert_array_equal(with_overlay.pixels, np.where((plain > 2047) & bool(signed), plain - 4096.0, plain))


@pytest.mark.parametrize("syntax", ["", "explicit big endian", "RLE"])
def test_values_in_the_upper_bits_of_their_cells_are_moved_down(tmp_path: Path, syntax: str) -> None:
    cells = PICTURE << 4 | 5  # an overlay in the lower bits
    header = {"BitsStored": 12, "HighBit": 15}
    np.testing.assert_array_equal(_read(tmp_path / "left.dcm", cells, syntax, **header).pixels, PICTURE)
    signed = _read(tmp_path / "left.dcm", cells, syntax, PixelRepresentation=1, **header).pixels
    np.testing.assert_array_equal(signed, np.where(PICTURE > 2047, PICTURE - 4096.0, PICTURE))


def test_a_high_bit_that_the_values_contradict_is_warned_about(tmp_path: Path) -> None:
    radiograph = _read(tmp_path / "right.dcm", PICTURE, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(radiograph.pixels, PICTURE)
    assert any(
        "High Bit (0028,0102) is 15, but the values lie in the lowest 12" in w for w in radiograph.header.warnings
    )


@pytest.mark.parametrize(
    ("stored", "high"), [(17, 16), (12, 10), (12, 16), (1, 0)], ids=["too many", "too low", "too high", "one bit"]
)
def test_impossible_layouts_are_refused_with_their_numbers(tmp_path: Path, stored: int, high: int) -> None:
    with pytest.raises(InputError, match=rf"Bits Stored \(0028,0101\) {stored}, High Bit \(0028,0102\) {high}"):
        _read(tmp_path / "bits.dcm", PICTURE, BitsStored=stored, HighBit=high)


@pytest.mark.parametrize("keyword", ["BitsStored", "HighBit"])
def test_two_numbers_in_place_of_one_are_refused(tmp_path: Path, keyword: str) -> None:
    with pytest.raises(InputError, match=rf"expected one number in {keyword}, got \[12, 11\]"):
        _read(tmp_path / "film.dcm", np.arange(4900, dtype=np.uint16).reshape(70, 70), **{keyword: [12, 11]})


def test_eight_and_thirty_two_bits_are_read(tmp_path: Path) -> None:
    small = (PICTURE >> 4).astype(np.uint8)
    np.testing.assert_array_equal(_read(tmp_path / "8.dcm", small, **_bits(8)).pixels, small)
    signed = small.view(np.int8)
    np.testing.assert_array_equal(_read(tmp_path / "s8.dcm", signed, **_bits(8)).pixels, signed)
    large = PICTURE.astype(np.int32) * 1000 - 10**6
    np.testing.assert_array_equal(_read(tmp_path / "32.dcm", large, **_bits(32)).pixels, large.astype(np.float32))


def _bits(count: int) -> dict[str, int]:
    return {"BitsAllocated": count, "BitsStored": count, "HighBit": count - 1}


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)])
def test_floats_are_read_with_their_padding(tmp_path: Path, keyword: str, dtype: type) -> None:
    values = PICTURE.astype(dtype) / 8 - 1
    dataset = a_dataset(DX_CLASS, PICTURE, Modality="DX", PhotometricInterpretation="MONOCHROME1")
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    dataset.BitsAllocated = values.itemsize * 8
    setattr(dataset, keyword, values.tobytes())
    setattr(dataset, keyword.replace("Data", "PaddingValue"), float(values.max()))
    dataset.save_as(tmp_path / "float.dcm", enforce_file_format=True)
    kept = values[values < values.max()]
    expected = np.where(values < values.max(), kept.max() + kept.min() - values, kept.min())
    np.testing.assert_allclose(read_radiograph(tmp_path / "float.dcm").pixels, expected)


@pytest.mark.parametrize(
    ("signed", "padding", "cell"),
    [(1, 63536, 63536), (1, -2000, 63536), (0, 65535, 65535), (0, -1, 65535), (0, 4000, 4000)],
)
def test_padding_is_found_whatever_its_sign_and_bits(tmp_path: Path, signed: int, padding: int, cell: int) -> None:
    """-2000 in a 12-bit image fills bits that its values do not use, and is often written as 63536."""
    cells = PICTURE // 4
    cells[:3] = cell
    path = tmp_path / "padded.dcm"
    dataset = a_dataset(DX_CLASS, cells, Modality="DX", PixelRepresentation=signed, **TWELVE)
    dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    dataset.save_as(path, enforce_file_format=True)
    radiograph = read_radiograph(path)
    assert np.all(radiograph.pixels[:3] == radiograph.pixels[3:].min())
    np.testing.assert_array_equal(radiograph.pixels[3:], cells[3:])
    assert any("padding set to the darkest value" in note for note in radiograph.header.notes)


def test_an_image_of_padding_alone_is_left_as_it_is(tmp_path: Path) -> None:
    radiograph = _read(tmp_path / "empty.dcm", np.full((20, 16), 7, np.uint16), PixelPaddingValue=7)
    assert np.all(radiograph.pixels == 7)
    assert not any("padding" in note for note in radiograph.header.notes)


def test_a_modality_table_begins_at_a_negative_value_written_as_unsigned(tmp_path: Path) -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [2000, 65536 - 1000, 16], "US"
    item.LUTData = (np.arange(2000) * 7).astype("<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    stored = (PICTURE // 4).astype(np.int16) - 500
    radiograph = _read(tmp_path / "table.dcm", stored, ModalityLUTSequence=[item])
    np.testing.assert_array_equal(radiograph.pixels, (stored + 1000) * 7.0)


@pytest.mark.parametrize("slope", ["0", "nan"])
@pytest.mark.filterwarnings("ignore")  # pydicom's, on writing a value that is no number
def test_a_slope_that_leaves_no_image_is_refused(tmp_path: Path, slope: str) -> None:
    with pytest.raises(InputError, match=r"expected a Rescale Slope \(0028,1053\) other than 0"):
        _read(tmp_path / "flat.dcm", PICTURE, RescaleSlope=slope, RescaleIntercept=5)


def test_a_modality_table_without_data_is_refused(tmp_path: Path) -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4, 0, 16], "US"
    with pytest.raises(InputError, match=r"expected a Modality LUT Sequence \(0028,3000\) with descriptor and data"):
        _read(tmp_path / "table.dcm", PICTURE, ModalityLUTSequence=[item])


_GREY = (PICTURE >> 4).astype(np.uint8)


_COLOUR = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "Rows": 20, "Columns": 16, **_bits(8)}


@pytest.mark.parametrize("planar", [0, 1])
def test_grey_stored_in_colour_is_read_as_grey(tmp_path: Path, planar: int) -> None:
    channels = np.stack([_GREY] * 3, axis=0 if planar else -1)
    header = _COLOUR | {"PlanarConfiguration": planar, "PhotometricInterpretation": "RGB"}
    radiograph = _read(tmp_path / "rgb.dcm", channels, **header)
    np.testing.assert_array_equal(radiograph.pixels, _GREY)
    assert any("Stored in colour (RGB) with equal channels" in note for note in radiograph.header.notes)


def test_luminance_without_colour_is_read_as_grey(tmp_path: Path) -> None:
    channels = np.stack([_GREY, np.full_like(_GREY, 128), np.full_like(_GREY, 128)], axis=-1)
    radiograph = _read(tmp_path / "ybr.dcm", channels, PhotometricInterpretation="YBR_FULL", **_COLOUR)
    np.testing.assert_allclose(radiograph.pixels, _GREY, atol=1)
    paired = np.stack([_GREY[:, ::2], _GREY[:, 1::2], channels[:, ::2, 1], channels[:, ::2, 2]], axis=-1)
    radiograph = _read(tmp_path / "422.dcm", paired, PhotometricInterpretation="YBR_FULL_422", **_COLOUR)
    np.testing.assert_allclose(radiograph.pixels, _GREY, atol=1)


def _palette(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> dict[str, Any]:
    header: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR", **_bits(8)}
    for name, table in (("Red", red), ("Green", green), ("Blue", blue)):
        header[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        header[f"{name}PaletteColorLookupTableData"] = (table * 257).astype("<u2").tobytes()
    return header


def test_a_grey_palette_is_followed_and_one_of_colours_refused(tmp_path: Path) -> None:
    falling = 255 - np.arange(256)
    radiograph = _read(tmp_path / "grey.dcm", _GREY, **_palette(falling, falling, falling))
    np.testing.assert_array_equal(radiograph.pixels, (255.0 - _GREY) * 257)
    with pytest.raises(InputError, match="expected a greyscale radiograph, got PALETTE COLOR"):
        _read(tmp_path / "colour.dcm", _GREY, **_palette(falling, np.arange(256), falling))
    broken = _palette(falling, falling, falling)
    del broken["BluePaletteColorLookupTableData"]
    with pytest.raises(InputError, match="expected a palette for PALETTE COLOR"):
        _read(tmp_path / "broken.dcm", _GREY, **broken)


@pytest.mark.parametrize("syntax", ["JPEG Lossless SV1", "JPEG-LS", "JPEG 2000", "HTJ2K"])
def test_a_decoder_never_follows_the_palette_by_itself(tmp_path: Path, syntax: str) -> None:
    falling = 4095 - np.arange(4096)
    header = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        header[f"{name}PaletteColorLookupTableDescriptor"] = [4096, 0, 16]
        header[f"{name}PaletteColorLookupTableData"] = falling.astype("<u2").tobytes()
    np.testing.assert_array_equal(
        read_radiograph(a_picture_file(tmp_path / "p.dcm", syntax, **header)).pixels, 4095.0 - PICTURE
    )


@pytest.mark.parametrize(("photometric", "syntax"), [("YBR_FULL_422", JPEGBaseline8Bit), ("YBR_RCT", JPEG2000Lossless)])
def test_grey_in_compressed_colour_is_read_as_grey_and_true_colour_refused(
    tmp_path: Path, photometric: str, syntax: UID
) -> None:
    grey = np.stack([_GREY] * 3, axis=-1)
    colour = np.stack([_GREY, _GREY // 2, _GREY // 4], axis=-1)
    for name, picture in (("grey", grey), ("colour", colour)):
        frame = BytesIO()
        kind = "JPEG" if syntax == JPEGBaseline8Bit else "JPEG2000"
        options = {"quality": 98} if kind == "JPEG" else {"irreversible": False, "no_jp2": True, "mct": 1}
        Image.fromarray(picture).save(frame, kind, **options)
        dataset = a_dataset(DX_CLASS, PICTURE, Modality="OT", **(_COLOUR | {"PhotometricInterpretation": photometric}))
        dataset.PixelData = encapsulate([frame.getvalue()])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    radiograph = read_radiograph(tmp_path / "grey.dcm")
    np.testing.assert_allclose(radiograph.pixels, _GREY, atol=4 if syntax == JPEGBaseline8Bit else 0)
    with pytest.raises(InputError, match=f"expected a greyscale radiograph, got {photometric}"):
        read_radiograph(tmp_path / "colour.dcm")


def test_eight_bits_in_words_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    radiograph = _read(tmp_path / "big.dcm", _GREY, "explicit big endian", **_bits(8))
    np.testing.assert_array_equal(radiograph.pixels, _GREY)


def test_empty_sequences_and_an_unsigned_sign_are_taken_for_what_they_mean(tmp_path: Path) -> None:
    path = tmp_path / "empty.dcm"
    header = {"ModalityLUTSequence": [], "VOILUTSequence": [], "WindowCenter": None, "Modality": "DX", **TWELVE}
    dataset = a_dataset(DX_CLASS, PICTURE, **header)
    dataset.add_new("PixelIntensityRelationshipSign", "US", 65535)
    dataset.save_as(path, enforce_file_format=True)
    radiograph = read_radiograph(path)
    np.testing.assert_array_equal(radiograph.pixels, PICTURE)
    assert (radiograph.header.notes, radiograph.header.warnings) == ((), ())


@pytest.mark.parametrize("photometric", ["ARGB", "CMYK", "HSV"])
def test_other_photometric_interpretations_are_refused(tmp_path: Path, photometric: str) -> None:
    with pytest.raises(InputError, match=rf"MONOCHROME1 or MONOCHROME2, got {photometric}"):
        _read(tmp_path / "odd.dcm", PICTURE, PhotometricInterpretation=photometric)


def test_a_missing_photometric_interpretation_is_warned_about(tmp_path: Path) -> None:
    for syntax in ("", "JPEG-LS"):
        path = a_picture_file(tmp_path / "none.dcm", syntax, PhotometricInterpretation=None)
        radiograph = read_radiograph(path)
        np.testing.assert_array_equal(radiograph.pixels, PICTURE)
        assert any("Photometric Interpretation (0028,0004) is missing" in w for w in radiograph.header.warnings)


def test_more_frames_than_the_header_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the pixels of one frame, got those of 3, although"):
        _read(tmp_path / "run.dcm", np.stack([PICTURE] * 3), **TWELVE)
    path = a_picture_file(tmp_path / "two.dcm", "JPEG-LS")
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([frame_of_picture("JPEG-LS")] * 2)
    dataset.save_as(path)
    with pytest.raises(InputError, match="got those of 2, although"):
        read_radiograph(path)


def test_what_an_enhanced_image_says_in_its_groups_is_followed(tmp_path: Path) -> None:
    shared, per_frame, transformation, properties = (pydicom.Dataset() for _ in range(4))
    transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = 2, -7, "US"
    properties.PixelIntensityRelationship, properties.PixelIntensityRelationshipSign = "LIN", 1
    shared.PixelValueTransformationSequence = [transformation]
    per_frame.FramePixelDataPropertiesSequence = [properties]
    groups = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": [per_frame]}
    radiograph = _read(tmp_path / "xa.dcm", PICTURE, Modality="XA", NumberOfFrames=1, **groups, **TWELVE)
    np.testing.assert_array_equal(radiograph.pixels, 2.0 * (int(PICTURE.max()) - PICTURE.astype(int)) - 7)


def _torso(*, bright: bool) -> np.ndarray:
    """A body in air, as it is stored if dense is bright or dark."""
    columns = np.linspace(-1, 1, 60)
    body = np.tile(np.where(np.abs(columns) < 0.7, 3000, 200), (80, 1)) + np.arange(80)[:, None]
    return (body if bright else 4000 - body).astype(np.uint16)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bright", [True, False])
def test_where_display_and_beam_contradict_each_other_air_is_never_bright(
    tmp_path: Path, photometric: str, bright: bool
) -> None:
    """Some makers write the wrong sign; the edges of the image tell."""
    sign = -1 if photometric == "MONOCHROME1" else 1
    header = {"PhotometricInterpretation": photometric, "PixelIntensityRelationshipSign": sign}
    stored = _torso(bright=bright)
    radiograph = _read(tmp_path / "torso.dcm", stored, **header)
    assert np.corrcoef(radiograph.pixels.ravel(), _torso(bright=True).ravel())[0, 1] > 0.99
    (warning,) = radiograph.header.warnings
    assert f"Sign (0028,1041) {sign}" in warning
    assert photometric in warning
    right_sign = bright == (sign == -1)
    assert ("as Pixel Intensity Relationship Sign says" in warning) == right_sign


@pytest.mark.parametrize("modality", ["SEG", "RTDOSE", "OP"])
def test_images_that_are_no_radiographs_are_refused_by_modality(tmp_path: Path, modality: str) -> None:
    with pytest.raises(InputError, match=f"got modality {modality}"):
        _read(tmp_path / "other.dcm", PICTURE, Modality=modality)
