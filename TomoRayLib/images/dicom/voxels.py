"""Voxels of the frames of a CT: decoded by the decoder that all readers share, padding as air, in HU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from scipy import ndimage

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.decoding import (
    CellLayout,
    cell_layout,
    decoded_cells,
    stored_values,
    within_stored_bits,
)
from TomoRayLib.images.dicom.frames import Frame
from TomoRayLib.images.dicom.header import value_of

AIR_HU = -1024
DARKEST_REAL_HU = -1000  # padding at or below it reads as air anyway
_LAYOUT = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "LossyImageCompression",
)


def hu_voxels(frames: Sequence[Frame]) -> tuple[NDArray[np.generic], tuple[str, ...], tuple[str, ...]]:
    """Decode the frames, each with its own slope and intercept, and set padding to air.

    Photometric Interpretation (0028,0004) tells how to show a CT, not what its values are: MONOCHROME1 is not inverted.

    Args:
        frames: Greyscale frames of one size, in the order of the slices.

    Returns:
        HU ``(z, y, x)`` as int16 if they fit, else int32 or, for rescaling with fractions, float32; notes on what was
        done; what the user should check.

    Raises:
        InputError: For pixels that are incomplete or do not decode.
    """
    rows, columns = int(frames[0].dataset.Rows), int(frames[0].dataset.Columns)
    voxels: NDArray[np.generic] = np.empty((len(frames), rows, columns), dtype=np.int16)
    warnings: dict[str, None] = {}
    padded = 0
    places: dict[int, dict[int, int]] = {}
    for k, frame in enumerate(frames):
        places.setdefault(id(frame.dataset), {})[frame.number] = k
    for dataset, path in {id(frame.dataset): (frame.dataset, frame.path) for frame in frames}.values():
        for number, single in enumerate(one_frame_each(dataset, path)):
            if number not in places[id(dataset)]:
                continue
            k = places[id(dataset)][number]
            hu, is_padded, found = _frame_hu(single, dataset, frames[k])
            dtype = np.promote_types(voxels.dtype, hu.dtype)
            voxels = voxels.astype(np.float32 if dtype == np.float64 else dtype, copy=False)
            voxels[k] = hu
            padded += is_padded
            warnings |= dict.fromkeys(found)
        _forget_pixels(dataset)
    notes = (f"Pixel Padding Value (0028,0120): set to air ({AIR_HU} HU) in {padded} slices.",) if padded else ()
    return voxels, notes, tuple(warnings)


def one_frame_each(dataset: pydicom.Dataset, path: Path) -> Iterator[pydicom.Dataset]:
    """Yield a dataset with the pixels and their layout for each frame, in the stored order.

    Raises InputError if pixels are missing.
    """
    count = int(value_of(dataset, "NumberOfFrames") or 1)
    if count == 1:
        yield dataset
        return
    layout, element = cell_layout(dataset, path), dataset["PixelData"]
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated and element.is_undefined_length:
        compressed = list(generate_frames(element.value, number_of_frames=count))
        blocks, complete = iter(compressed), len(compressed)
    else:
        values = dataset.Rows * dataset.Columns * int(value_of(dataset, "SamplesPerPixel") or 1)
        size, content = values * layout.allocated // 8, memoryview(element.value or b"")
        complete = min(count, len(content) // max(size, 1))
        blocks = (bytes(content[k * size : (k + 1) * size]) for k in range(count))  # one at a time: a CT fills memory
    if complete != count:
        raise InputError(
            f"{path}: expected the pixels of {count} frames, got those of {complete}: the file is incomplete; copy "
            "or export it again."
        )
    for block in blocks:
        single = pydicom.Dataset()
        single.file_meta = dataset.file_meta
        for keyword in _LAYOUT:
            if keyword in dataset:
                single[keyword] = dataset[keyword]
        single.add_new("PixelData", element.VR, encapsulate([block]) if element.is_undefined_length else block)
        single["PixelData"].is_undefined_length = element.is_undefined_length
        yield single


def _frame_hu(
    single: pydicom.Dataset, dataset: pydicom.Dataset, frame: Frame
) -> tuple[NDArray[np.generic], bool, list[str]]:
    """HU of one frame, whether padding in it was set to air, and what to check."""
    layout = cell_layout(single, frame.path)
    cells, _ = within_stored_bits(single, decoded_cells(single, frame.path), layout)
    stored, warnings = stored_values(cells, layout)
    hu = _rescaled(stored, *frame.rescale)
    padding = _padding(dataset, cells, layout, frame)
    if padding is None or not padding.any():
        return hu, False, warnings
    return np.where(padding, np.array(AIR_HU, dtype=hu.dtype), hu), True, warnings


def _rescaled(stored: NDArray[np.generic], slope: float, intercept: float) -> NDArray[np.generic]:
    """``slope * stored + intercept`` in the smallest type of int16, int32 and float32 that holds it."""
    if slope != round(slope) or intercept != round(intercept) or stored.dtype.kind == "f":
        return (stored.astype(np.float64) * slope + intercept).astype(np.float32)
    ends = [int(stored.min()), int(stored.max())]
    ends += [int(slope) * end + int(intercept) for end in ends]
    fits = min(ends) >= -(2**15) and max(ends) < 2**15
    if max(abs(end) for end in ends) >= 2**31:
        return (stored.astype(np.float64) * slope + intercept).astype(np.float32)
    values = stored.astype(np.int16 if fits else np.int32)
    if slope != 1:
        values *= int(slope)
    if intercept:
        values += int(intercept)
    narrow = min(ends[2:]) >= -(2**15) and max(ends[2:]) < 2**15
    return values.astype(np.int16) if narrow else values


def _padding(
    dataset: pydicom.Dataset, cells: NDArray[np.generic], layout: CellLayout, frame: Frame
) -> NDArray[np.bool_] | None:
    """True where cells hold Pixel Padding Value up to its Range Limit (0028,0121) from the edge of the slice inwards.

    None if there is none, or it is as dark as air by itself. The value is compared as a pattern of bits, so that -2000
    written as 63536 is found; values of the same pattern amid the body are tissue.
    """
    first = value_of(dataset, "PixelPaddingValue")
    if not isinstance(first, int):
        return None
    limit = value_of(dataset, "PixelPaddingRangeLimit")
    ends = sorted((first, limit if isinstance(limit, int) else first))
    if all(end * frame.rescale[0] + frame.rescale[1] <= DARKEST_REAL_HU for end in ends) and _is_stored(ends, layout):
        return None
    full = (1 << layout.allocated) - 1
    if ends[0] == ends[1]:
        is_padding = (cells & np.array(full, cells.dtype)) == (ends[0] & full)
    else:
        values, _ = stored_values(cells, layout)
        is_padding = (values >= ends[0]) & (values <= ends[1])
    if not is_padding.any():
        return None
    regions, _ = ndimage.label(is_padding)
    edges = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return np.asarray(np.isin(regions, edges[edges > 0]))


def _is_stored(values: list[int], layout: CellLayout) -> bool:
    """True if the layout can hold the values as they are."""
    low, high = (-(1 << (layout.stored - 1)), 1 << (layout.stored - 1)) if layout.signed else (0, 1 << layout.stored)
    return all(low <= value < high for value in values)


def _forget_pixels(dataset: pydicom.Dataset) -> None:
    """Free the memory of pixels that are on the grid now."""
    for keyword in ("PixelData", "FloatPixelData"):
        if keyword in dataset:
            del dataset[keyword]
