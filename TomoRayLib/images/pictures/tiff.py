"""A TIFF file as a picture: which page, what its samples stand for, and what is refused by name."""

from __future__ import annotations

import re
import struct
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.pictures.pixels import Picture, check_picture_size
from TomoRayLib.images.pictures.tiff_header import TiffError, TiffPage, read_pages
from TomoRayLib.images.pictures.tiff_samples import JPEG, ratio_of, stored_samples

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6  # PhotometricInterpretation (262)
_OTHER_PHOTOMETRICS = {
    4: "a transparency mask",
    5: "colours for print (CMYK)",
    8: "colours (CIE L*a*b*)",
    9: "colours (ICC L*a*b*)",
    10: "colours (ITU L*a*b*)",
    32803: "a camera's raw data",
    32844: "logarithms of luminance",
    32845: "logarithms of luminance",
    34892: "a camera's raw data",
}
_UNSPECIFIED, _ASSOCIATED = 0, 1  # ExtraSamples (338)
_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4, "micron": 1e-3, "um": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3}


def read_tiff(path: Path) -> Picture:
    """Read the one picture of a TIFF or BigTIFF file.

    Raises InputError for several pages, for what is no grey picture, and for a layout that is not read.
    """
    try:
        with path.open("rb") as file:
            return _picture(file, path)
    except InputError:
        raise
    except (ValueError, OverflowError, OSError, struct.error) as error:  # a damaged header may hold any number
        raise InputError(
            f"{path}: expected a TIFF of one grey picture, got {error}; export it again, as uncompressed TIFF or PNG."
        ) from error


def _picture(file: BufferedReader, path: Path) -> Picture:
    page, notes = _one_page(read_pages(file), path)
    stored, held = sum(page.bits) / 8, path.stat().st_size
    check_picture_size(page.width, page.height, path, value_bytes=stored, held=held, ratio=ratio_of(page))
    photometric = page.photometric
    if photometric is None:
        photometric = _RGB if page.samples >= 3 else _BLACK_IS_ZERO
        notes.append("PhotometricInterpretation is missing: taken as black is zero.")
    if photometric in _OTHER_PHOTOMETRICS or (photometric == _YCBCR and page.compression != JPEG):
        name = _OTHER_PHOTOMETRICS.get(photometric, "colours (YCbCr)")
        raise TiffError(f"PhotometricInterpretation {photometric}, {name}")
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        raise TiffError(f"an unknown PhotometricInterpretation {photometric}")
    samples = stored_samples(file, page)
    colours = 3 if page.samples >= 3 and photometric != _PALETTE else 1
    values = samples[..., :3] if colours == 3 else samples[..., 0]
    if photometric == _PALETTE:
        values = _through_palette(values, page)
    opacity, opaque = _opacity(samples[..., colours:], page)
    return Picture(
        "TIFF",
        values,
        opacity,
        opaque,
        _black_value(values, page) if photometric == _WHITE_IS_ZERO else None,
        page.orientation,
        notes=(*notes, *_left_out(samples.shape[-1] - colours, opacity), *_unused_lengths(page)),
    )


def _one_page(pages: list[TiffPage], path: Path) -> tuple[TiffPage, list[str]]:
    """The page that is no thumbnail or mask of another. Raises InputError if there are several."""
    full = [page for page in pages if not page.is_reduced] or pages
    slices = re.search(r"^images=(\d+)", full[0].description, re.MULTILINE)
    count = max(len(full), int(slices[1]) if slices and full[0].description.startswith("ImageJ=") else 1)
    if count > 1:
        sizes = ", ".join(f"{page.width} x {page.height}" for page in full[:4]) + (", ..." if count > 4 else "")
        raise InputError(
            f"{path}: expected a TIFF of one picture, got one of {count} pages ({sizes}); "
            "export the page that is the radiograph as a file of its own."
        )
    left_out = len(pages) - 1
    return full[0], [f"{left_out} further page(s), thumbnails or masks of it, left out."] if left_out else []


def _through_palette(indices: NDArray[Any], page: TiffPage) -> NDArray[Any]:
    """The colours (row, column, 3) of ColorMap (320): all reds, then greens, then blues, of 16 bits (some write 8)."""
    colours = page.numbers(320, ())
    if indices.dtype not in (np.uint8, np.uint16) or len(colours) != 3 * 2 ** page.bits[0]:
        raise TiffError(f"a palette (ColorMap) of {len(colours)} values for {page.bits[0]} bits")
    table = np.asarray(colours, np.uint8 if max(colours) < 256 else np.uint16)
    return table.reshape(3, -1).T[indices]


def _black_value(values: NDArray[Any], page: TiffPage) -> float:
    """The stored value that stands for black where 0 stands for white."""
    if page.sample_format == 1:
        return float(2 ** page.bits[0] - 1)
    if page.sample_format == 2:
        return -1.0
    return float(values.min()) + float(values.max())


def _opacity(extra: NDArray[Any], page: TiffPage) -> tuple[NDArray[Any] | None, float]:
    """The opacity among the samples beyond grey or colour, and its value where nothing shines through."""
    count = extra.shape[-1]
    if count == 0:
        return None, 0.0
    kinds = page.numbers(338, (_UNSPECIFIED,) * count)
    channel = extra[..., 0]
    opaque = float(2 ** page.bits[0] - 1) if channel.dtype.kind == "u" else float(channel.max())
    if count > 1 or len(kinds) != 1:
        raise TiffError(f"{page.samples} samples per pixel")
    if kinds[0] == _UNSPECIFIED:
        if channel.min() != channel.max():
            raise TiffError(
                f"{page.samples} samples per pixel, the last of a meaning that is not stated (ExtraSamples)"
            )
        return None, 0.0
    if kinds[0] == _ASSOCIATED and bool(np.any((channel > 0) & (channel < opaque))):
        raise TiffError("partly transparent pixels whose grey values were multiplied by it (ExtraSamples 1)")
    return channel, opaque


def _left_out(further: int, opacity: NDArray[Any] | None) -> list[str]:
    """A note on a further channel that is no opacity and has one value everywhere."""
    if not further or opacity is not None:
        return []
    return ["A further channel of one value and of no stated meaning (ExtraSamples) was left out."]


def _unused_lengths(page: TiffPage) -> list[str]:
    """A note on a pixel size that ImageJ or OME wrote, which does not say where in the beam it holds."""
    text, stated_mm, source = page.description, None, ""
    if text.startswith("ImageJ="):
        unit = re.search(r"^unit=(\S+)", text, re.MULTILINE)
        word = unit[1].replace("\\u00B5", "\u00b5") if unit else ""
        resolution = page.tags.get(282, ())
        if word in _MM and isinstance(resolution, tuple) and resolution and resolution[0] > 0:
            stated_mm, source = _MM[word] / float(resolution[0]), "ImageJ"
    elif size := re.search(r'PhysicalSizeX="([0-9.eE+-]+)"', text):
        unit = re.search(r'PhysicalSizeXUnit="([^"]+)"', text)
        word = unit[1] if unit else "\u00b5m"
        stated_mm, source = _MM[word] * float(size[1]) if word in _MM else None, "OME"
    if stated_mm is None:
        return []
    return [
        f"{source} states {stated_mm:.4g} mm per pixel, but not whether at the detector or in the patient: not used; "
        "enter the pixel spacing if it is right."
    ]
