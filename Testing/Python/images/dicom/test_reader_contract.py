"""One contract for DICOM radiographs: the same values by the same rules in every transfer syntax and kind of file."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from support.dicom_syntaxes import COMPRESSED, LOSSY, NATIVE, PICTURE, a_picture_file
from TomoRayLib.images.files import read_radiograph
from TomoRayLib.images.types import RadiographHeader

STORED = PICTURE.astype(np.float64)
LOW, HIGH = STORED.min(), STORED.max()
SIGNED = np.where(STORED >= 2048, STORED - 4096, STORED)


def _table(values: np.ndarray) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [len(values), 0, 16], "OD"
    item.LUTData = values.astype("<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    return item


_RISING = _table(np.arange(4096) * 3 + 5)
_FALLING = _table(4095 - np.arange(4096))
_BETWEEN = (STORED >= 3000) & (STORED <= 3665)
_INVERTED = LOW + HIGH - STORED
_FOR_VIEWING, _RAW = {"PresentationIntentType": "FOR PRESENTATION"}, {"PresentationIntentType": "FOR PROCESSING"}

# Rule -> what the header says, and the values that must come out.
RULES: dict[str, tuple[dict[str, Any], np.ndarray]] = {
    "nothing said": ({}, STORED),
    "low is white": ({"PhotometricInterpretation": "MONOCHROME1"}, _INVERTED),
    "rescaled": ({"RescaleSlope": 2, "RescaleIntercept": -7, "RescaleType": "US"}, 2 * STORED - 7),
    "rescaled, low is white": (
        {"RescaleSlope": 0.5, "RescaleIntercept": 100, "PhotometricInterpretation": "MONOCHROME1"},
        (LOW + HIGH - STORED) / 2 + 100,
    ),
    "rescaled by a negative slope": ({"RescaleSlope": -1, "RescaleIntercept": 4095}, 4095 - STORED),
    "modality table": ({"ModalityLUTSequence": [_RISING]}, 3 * STORED + 5),
    "falling modality table, low is white": (
        {"ModalityLUTSequence": [_FALLING], "PhotometricInterpretation": "MONOCHROME1"},
        STORED + (4095 - HIGH - LOW),
    ),
    "signed": ({"PixelRepresentation": 1}, SIGNED),
    "signed, low is white": (
        {"PixelRepresentation": 1, "PhotometricInterpretation": "MONOCHROME1"},
        SIGNED.min() + SIGNED.max() - SIGNED,
    ),
    "signed, rescaled": ({"PixelRepresentation": 1, "RescaleSlope": 3}, 3 * SIGNED),
    "padding": ({"PixelPaddingValue": 3665}, np.where(STORED == 3665, LOW, STORED)),
    "range of padding": (
        {"PixelPaddingValue": 3000, "PixelPaddingRangeLimit": 3665},
        np.where(_BETWEEN, LOW, STORED),
    ),
    "padding, low is white": (
        {"PixelPaddingValue": 3665, "PixelPaddingRangeLimit": 3000, "PhotometricInterpretation": "MONOCHROME1"},
        np.where(_BETWEEN, LOW, LOW + STORED[~_BETWEEN].max() - STORED),
    ),
    "padding as the bits above": ({"PixelPaddingValue": 61440}, STORED),
    "dense is high": ({"PixelIntensityRelationshipSign": -1, "PixelIntensityRelationship": "LOG"}, STORED),
    "dense is low": ({"PixelIntensityRelationshipSign": 1, "PixelIntensityRelationship": "LIN"}, _INVERTED),
    "dense is low, low is white": (
        {"PixelIntensityRelationshipSign": 1, "PhotometricInterpretation": "MONOCHROME1"},
        _INVERTED,
    ),
    "dense is high, low is white": (
        {"PixelIntensityRelationshipSign": -1, "PhotometricInterpretation": "MONOCHROME1"},
        STORED,
    ),
    "dense is low, negative slope": (
        {"PixelIntensityRelationshipSign": 1, "RescaleSlope": -1, "RescaleIntercept": 4095},
        4095 - STORED,
    ),
    "raw, dense is low": ({"PixelIntensityRelationshipSign": 1, **_RAW}, _INVERTED),
    "for viewing, dense is low": ({"PixelIntensityRelationshipSign": 1, **_FOR_VIEWING}, _INVERTED),
    "fluoroscopy, linear": ({"Modality": "XA", "PixelIntensityRelationship": "LIN"}, _INVERTED),
    "fluoroscopy, for display": ({"Modality": "RF", "PixelIntensityRelationship": "DISP"}, STORED),
    "fluoroscopy, logarithm of the beam": (
        {"Modality": "XA", "PixelIntensityRelationship": "LOG", "ModalityLUTSequence": [_RISING]},
        _INVERTED,
    ),
    "fluoroscopy, attenuation": (
        {"Modality": "XA", "PixelIntensityRelationship": "LOG", "ModalityLUTSequence": [_FALLING]},
        STORED,
    ),
    "shape repeats low is white": (
        {"PresentationLUTShape": "INVERSE", "PhotometricInterpretation": "MONOCHROME1"},
        _INVERTED,
    ),
    "shape contradicts low is white": (
        {"PresentationLUTShape": "IDENTITY", "PhotometricInterpretation": "MONOCHROME1"},
        _INVERTED,
    ),
    "shape contradicts high is white": ({"PresentationLUTShape": "INVERSE"}, STORED),
    "window": ({"WindowCenter": 1000, "WindowWidth": 500, "VOILUTFunction": "SIGMOID"}, STORED),
    "rising display table": ({"VOILUTSequence": [_RISING]}, STORED),
    "falling display table": ({"VOILUTSequence": [_FALLING]}, _INVERTED),
    "falling display table, low is white": (
        {"VOILUTSequence": [_FALLING], "PhotometricInterpretation": "MONOCHROME1"},
        STORED,
    ),
    "falling display table beside a window": (
        {"VOILUTSequence": [_FALLING], "WindowCenter": 1000, "WindowWidth": 500},
        STORED,
    ),
    "one frame": ({"NumberOfFrames": 1}, STORED),
}
CONTRADICTIONS = (
    "dense is low",
    "dense is high, low is white",
    "raw, dense is low",
    "for viewing, dense is low",
    "fluoroscopy, linear",
    "fluoroscopy, logarithm of the beam",
    "shape contradicts low is white",
    "shape contradicts high is white",
)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_gives_its_values_on_the_plain_file(tmp_path: Path, rule: str) -> None:
    header, expected = RULES[rule]
    pixels = read_radiograph(a_picture_file(tmp_path / "plain.dcm", **header)).pixels
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("syntax", [*NATIVE, *COMPRESSED])
@pytest.mark.parametrize("rule", RULES)
def test_every_transfer_syntax_is_read_like_its_plain_twin(tmp_path: Path, rule: str, syntax: str) -> None:
    header = deepcopy(RULES[rule][0])
    plain = read_radiograph(a_picture_file(tmp_path / "plain.dcm", **header))
    other = read_radiograph(a_picture_file(tmp_path / "other.dcm", syntax, **header))
    np.testing.assert_array_equal(other.pixels, plain.pixels)
    assert _without_loss(other.header) == plain.header


def _without_loss(header: RadiographHeader) -> RadiographHeader:
    """The header without the note on JPEG-LS near lossless, which the plain twin has no reason for."""
    return replace(header, notes=tuple(note for note in header.notes if "Lossy" not in note))


def _without_ending(path: Path) -> Path:
    return path.rename(path.with_suffix(""))


def _bare(path: Path) -> Path:
    """Neither preamble nor ending: the data set of the group 0002 comes first."""
    target = path.with_suffix("")
    target.write_bytes(path.read_bytes()[132:])
    return target


def _mark_first(path: Path) -> Path:
    target = path.with_suffix("")
    target.write_bytes(path.read_bytes()[128:])
    return target


def _without_meta(path: Path) -> Path:
    dataset = pydicom.dcmread(path)
    encoding = {"implicit_vr": dataset.file_meta.TransferSyntaxUID.is_implicit_VR}
    encoding["little_endian"] = dataset.file_meta.TransferSyntaxUID.is_little_endian
    bare, target = pydicom.Dataset(dataset), path.with_suffix("")
    bare.save_as(target, enforce_file_format=False, **encoding)
    return target


def _with_a_tail(tail: bytes) -> Callable[[Path], Path]:
    def append(path: Path) -> Path:
        path.write_bytes(path.read_bytes() + tail)
        return path

    return append


_KINDS: dict[str, Callable[[Path], Path]] = {
    "without ending": _without_ending,
    "without preamble": _bare,
    "mark without preamble": _mark_first,
    "zeros behind": _with_a_tail(b"\0" * 700),
    "ones behind": _with_a_tail(b"\xff" * 700),
    "text behind": _with_a_tail(b"end of disc " * 60),
    "rest of another file behind": _with_a_tail(b"\x28\x00\x52\x10DS\x04\x00-900" + bytes(32)),
}
_BARE_SYNTAXES = ("", "implicit little endian", "explicit big endian")
_FILES = [(kind, syntax) for kind in _KINDS for syntax in ("", *NATIVE, *COMPRESSED)]


@pytest.mark.parametrize(("kind", "syntax"), _FILES)
def test_every_kind_of_file_is_read_like_its_plain_twin(tmp_path: Path, kind: str, syntax: str) -> None:
    header = {"PhotometricInterpretation": "MONOCHROME1", "PatientOrientation": ["R", "F"], "PixelPaddingValue": 3665}
    plain = read_radiograph(a_picture_file(tmp_path / "plain.dcm", **header))
    other = read_radiograph(_KINDS[kind](a_picture_file(tmp_path / "other.dcm", syntax, **header)))
    np.testing.assert_array_equal(other.pixels, plain.pixels)
    assert _without_loss(other.header) == plain.header


@pytest.mark.parametrize("syntax", _BARE_SYNTAXES)
def test_a_data_set_without_meta_information_is_read_like_its_plain_twin(tmp_path: Path, syntax: str) -> None:
    header = {"PhotometricInterpretation": "MONOCHROME1", "PatientOrientation": ["R", "F"], "RescaleSlope": 2}
    plain = read_radiograph(a_picture_file(tmp_path / "plain.dcm", **header))
    bare = _without_meta(a_picture_file(tmp_path / "IM0001.dcm", syntax, **header))
    assert bare.read_bytes()[:4] == (b"\x00\x08\x00\x16" if syntax == "explicit big endian" else b"\x08\x00\x16\x00")
    np.testing.assert_array_equal(read_radiograph(bare).pixels, plain.pixels)
    assert read_radiograph(bare).header == plain.header


@pytest.mark.parametrize("rule", RULES)
def test_only_a_header_that_contradicts_itself_is_warned_about(tmp_path: Path, rule: str) -> None:
    header = read_radiograph(a_picture_file(tmp_path / "plain.dcm", **RULES[rule][0])).header
    assert len(header.warnings) == (rule in CONTRADICTIONS)
    assert all("heck that bone is bright" in warning for warning in header.warnings)


def test_a_twelve_bit_jpeg_is_decoded_and_its_loss_is_noted(tmp_path: Path) -> None:
    values = {"LossyImageCompression": "01", "LossyImageCompressionRatio": [2, 4]}
    radiograph = read_radiograph(a_picture_file(tmp_path / "lossy.dcm", *LOSSY, **values))
    np.testing.assert_allclose(radiograph.pixels, PICTURE, rtol=0, atol=1)
    assert any("Lossy Image Compression (0028,2110), 8 : 1" in note for note in radiograph.header.notes)


@pytest.mark.filterwarnings("ignore")  # pydicom's, on writing a value that is too long
@pytest.mark.parametrize("syntax", [*NATIVE, *COMPRESSED, *LOSSY])
def test_nothing_is_printed_on_reading(tmp_path: Path, capfd: pytest.CaptureFixture[str], syntax: str) -> None:
    path = a_picture_file(tmp_path / "other.dcm", syntax, BodyPartExamined="a body part that is too long")
    capfd.readouterr()
    read_radiograph(path)
    assert capfd.readouterr() == ("", "")
