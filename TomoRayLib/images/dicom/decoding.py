"""Stored values of a DICOM image, whatever its transfer syntax: decoded without loss, taken out of their pixel cells.

Nothing that a header asks for afterwards (inversion, rescale, tables) is done here. JPEG, JPEG-LS and JPEG 2000 are
decoded by GDCM, which SimpleITK brings along. It would invert MONOCHROME1, rescale, and colour by palette, so it gets a
file of its own with the compressed pixels and their layout alone. HTJ2K, which older SimpleITK
refuse (2.5.2 does), is decoded by Pillow's OpenJPEG.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.held_folders import private_folder
from TomoRayLib.images.contained import read_contained
from TomoRayLib.images.dicom.codestreams import changes_values, stated_size
from TomoRayLib.images.dicom.header import number_of, value_of

_HTJ2K = (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)


@dataclass(frozen=True)
class CellLayout:
    """Where a value lies in its pixel cell (PS3.5 8.1.1): bits of both, the highest bit, and whether it is signed."""

    allocated: int
    stored: int
    high_bit: int
    signed: bool


def decoded_cells(dataset: pydicom.Dataset, path: Path) -> NDArray[Any]:
    """Decode the pixel cells of a one-frame image.

    Args:
        dataset: The data set with its pixels and transfer syntax.
        path: Its file, for messages.

    Returns:
        (row, column), or (row, column, 3) in RGB: unsigned numbers with all bits of their cells, or floats as stored.

    Raises:
        InputError: For pixels that are incomplete or do not decode, or more of them than one frame has.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        _check_one_frame(dataset, path)
        _check_size(dataset, path)
        if syntax in _HTJ2K:
            return _by_openjpeg(_frame_alone(dataset, JPEG2000Lossless), path)
        if syntax.is_encapsulated and syntax != RLELossless:
            return _by_gdcm(_frame_alone(dataset, syntax), path)
        options: dict[str, Any] = {"pixel_representation": 0, "bits_stored": int(dataset.BitsAllocated)}
        if value_of(dataset, "PhotometricInterpretation") is None:
            options["photometric_interpretation"] = "MONOCHROME2"
        return get_decoder(syntax).as_array(dataset, raw=_samples(dataset) == 1, **options)[0]
    except InputError:
        raise
    except Exception as error:  # decoders raise many kinds on damaged pixels
        reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path}: expected pixels that can be decoded ({syntax.name}), got {reason!r}; they may be incomplete: "
            "copy the file again, or export it uncompressed."
        ) from error


def settle_syntax(dataset: pydicom.Dataset) -> list[str]:
    """Correct the name of a compressed syntax over native pixels, which PS3.5 A.4 tells by their length; note it."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or "PixelData" not in dataset or dataset["PixelData"].is_undefined_length:
        return []
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return [f"Transfer Syntax UID (0002,0010) is {syntax.name}, but the pixels are not compressed: read as they are."]


def cell_layout(dataset: pydicom.Dataset, path: Path) -> CellLayout:
    """Return the layout that the header states. Raises InputError if it states an impossible one."""
    allocated = int(number_of(dataset, "BitsAllocated") or 0)
    stored = int(_stated(dataset, "BitsStored", allocated, path))
    high_bit = int(_stated(dataset, "HighBit", stored - 1, path))
    if not (1 < stored <= allocated and stored - 1 <= high_bit < allocated):
        raise InputError(
            f"{path}: expected grey values of 2 or more bits within their cells, got Bits Allocated (0028,0100) "
            f"{allocated}, Bits Stored (0028,0101) {stored}, High Bit (0028,0102) {high_bit}; export the original "
            "image again."
        )
    return CellLayout(allocated, stored, high_bit, bool(value_of(dataset, "PixelRepresentation")))


def _stated(dataset: pydicom.Dataset, keyword: str, otherwise: int, path: Path) -> float:
    """The number, or ``otherwise`` if there is none. Raises InputError for a value that is no number."""
    number = number_of(dataset, keyword)
    if number is None and value_of(dataset, keyword) is not None:
        raise InputError(
            f"{path}: expected one number in {keyword}, got {value_of(dataset, keyword)}; export the original image "
            "again."
        )
    return otherwise if number is None else number


def stored_values(cells: NDArray[Any], layout: CellLayout) -> tuple[NDArray[Any], list[str]]:
    """Take the values out of their cells.

    Args:
        cells: Unsigned numbers with all bits of their cells.
        layout: Where the values lie in them.

    Returns:
        Values of the stored bits alone, signed or unsigned, and what the user should check. Overlays and padding in the
        other bits are left behind.
    """
    warnings: list[str] = []
    high_bit = layout.high_bit
    if high_bit > layout.stored - 1 and int(cells.max()) >> layout.stored == 0 and _low_bits(cells, layout).any():
        warnings.append(
            f"High Bit (0028,0102) is {high_bit}, but the values lie in the lowest {layout.stored} bits, which Bits "
            "Stored (0028,0101) fits: taken from there. Check the image."
        )
        high_bit = layout.stored - 1
    if layout.signed:
        width = cells.dtype.itemsize * 8
        left_aligned = cells << np.array(width - 1 - high_bit, cells.dtype)
        return left_aligned.view(f"i{cells.dtype.itemsize}") >> (width - layout.stored), warnings
    shift = high_bit + 1 - layout.stored
    if shift or int(cells.max()) >> layout.stored:
        cells = (cells >> np.array(shift, cells.dtype)) & np.array((1 << layout.stored) - 1, cells.dtype)
    return cells, warnings


def within_stored_bits(
    dataset: pydicom.Dataset, cells: NDArray[Any], layout: CellLayout
) -> tuple[NDArray[Any], list[str]]:
    """Cut off what lossy compression carried beyond the stored bits, which are only a part of the codestream's.

    Such bits hold no overlay, which no lossy compression keeps: taking them away would turn white to black.

    Args:
        dataset: The data set with its pixels and transfer syntax, of one frame.
        cells: Its unsigned pixel cells.
        layout: Where the values lie in them.

    Returns:
        The cells, and a note if there was anything to cut off.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == RLELossless:
        return cells, []
    if layout.high_bit != layout.stored - 1 or int(cells.max()) >> layout.stored == 0:
        return cells, []
    codestream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    size = stated_size(codestream)
    cut_short = syntax in (JPEG2000, HTJ2K) and str(value_of(dataset, "LossyImageCompression") or "").strip() == "01"
    if size is None or size[3] <= layout.stored or not (cut_short or changes_values(codestream)):
        return cells, []
    low, high = 0, (1 << layout.stored) - 1
    values = cells
    if layout.signed:
        if not int(cells.max()) >> (size[3] - 1):  # negative values fill their stored bits alone
            return cells, []
        low, high = -(1 << (layout.stored - 1)), (1 << (layout.stored - 1)) - 1
        width = cells.dtype.itemsize * 8
        values = (cells << np.array(width - size[3], cells.dtype)).view(f"i{cells.dtype.itemsize}") >> width - size[3]
    count = int(np.count_nonzero((values < low) | (values > high)))
    if not count:
        return cells, []
    note = f"{count} pixels that lossy compression carried beyond the {layout.stored} stored bits: set to their end."
    return np.clip(values, low, high).view(cells.dtype), [note]


def _low_bits(cells: NDArray[Any], layout: CellLayout) -> NDArray[Any]:
    """The bits below the stored ones, where a left-aligned value leaves nothing."""
    return cells & np.array((1 << (layout.high_bit + 1 - layout.stored)) - 1, cells.dtype)


def _frame_alone(dataset: pydicom.Dataset, syntax: UID) -> FileDataset:
    """One compressed frame and the layout of its cells, without anything that a decoder would act on."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    plain = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    plain.SOPClassUID, plain.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    plain.Rows, plain.Columns, plain.SamplesPerPixel = dataset.Rows, dataset.Columns, _samples(dataset)
    plain.PhotometricInterpretation = "MONOCHROME2"
    if plain.SamplesPerPixel > 1:
        plain.PhotometricInterpretation = dataset.PhotometricInterpretation
        plain.PlanarConfiguration = dataset.get("PlanarConfiguration", 0)
    plain.BitsAllocated, plain.BitsStored = dataset.BitsAllocated, dataset.BitsStored
    plain.PixelRepresentation = dataset.PixelRepresentation
    size = stated_size(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    beyond = size is not None and size[3] > int(dataset.BitsStored)  # bits that GDCM would take away
    if beyond or int(dataset.HighBit) != int(dataset.BitsStored) - 1:
        plain.BitsStored = dataset.BitsAllocated
    plain.HighBit = plain.BitsStored - 1
    plain["PixelData"] = dataset["PixelData"]
    return plain


def _by_gdcm(frame: FileDataset, path: Path) -> NDArray[Any]:
    """Decode through SimpleITK: (row, column) or (row, column, 3)."""
    frame.PixelRepresentation = 0  # the bits as they are
    shape = (frame.Rows, frame.Columns) if frame.SamplesPerPixel == 1 else (frame.Rows, frame.Columns, -1)
    try:
        return _contained("gdcm", frame, path).reshape(shape)
    except RuntimeError as error:
        raise ValueError("pixels that GDCM cannot decode") from error


def _by_openjpeg(frame: FileDataset, path: Path) -> NDArray[Any]:
    """Decode through pydicom and Pillow, which tell the coding of JPEG 2000's blocks by themselves."""
    cells = _contained("openjpeg", frame, path)
    return cells.view(f"u{cells.dtype.itemsize}")


def _contained(reader: str, frame: FileDataset, path: Path) -> NDArray[Any]:
    """What a decoder in a process of its own makes of a frame. Raises InputError if it crashes."""
    with private_folder() as folder:
        file = folder / "frame.dcm"
        frame.save_as(file, enforce_file_format=True)
        values = read_contained(reader, file, path).values
    assert values is not None
    return values


def _check_one_frame(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise InputError for pixels of several frames that the header does not count."""
    if "PixelData" not in dataset:
        return
    if dataset["PixelData"].is_undefined_length:
        frames = len(parse_basic_offsets(dataset.PixelData))
    else:
        frame_bytes = dataset.Rows * dataset.Columns * _samples(dataset) * int(dataset.BitsAllocated) // 8
        frames = len(dataset.PixelData) // max(frame_bytes, 1)
    if frames > 1:
        raise InputError(
            f"{path}: expected the pixels of one frame, got those of {frames}, although Number of Frames (0028,0008) "
            "does not say so; export the one frame to be used."
        )


def _check_size(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise InputError for a codestream of another size than the header's, which GDCM would write beyond its memory."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or syntax == RLELossless:
        return
    size = stated_size(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    expected = (dataset.Rows, dataset.Columns, _samples(dataset))
    if size is None or size[:3] != expected or not 2 <= size[3] <= int(dataset.BitsAllocated):
        got = "neither JPEG nor JPEG 2000"
        if size is not None:
            got = "{} x {} pixels of {} value(s) of {} bits".format(*size)
        raise InputError(
            f"{path}: expected compressed pixels of the size in the header, {expected[0]} x {expected[1]} (0028,0010 "
            f"and 0011) of {expected[2]} value(s) of up to {dataset.BitsAllocated} bits, got {got}; copy the file "
            "again, or export it uncompressed."
        )


def _samples(dataset: pydicom.Dataset) -> int:
    return int(value_of(dataset, "SamplesPerPixel") or 1)
