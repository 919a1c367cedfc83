"""The word SYNTHETIC as an overlay (PS3.3 C.9.2): viewers draw it over every slice, and the voxels stay as they are."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset

from TomoRayLib.base.notices import SHORT, VIEW_NOTICE

_GROUP = 0x6000
_HEIGHTS_PX = (10, 8)
_MARGIN_PX = 2


def overlay_of(rows: int, columns: int) -> Dataset:
    """Return an overlay with the marking in the lower left corner of a slice, as large as fits; empty if none does."""
    drawn = _drawn(rows, columns)
    plane = Dataset()
    if drawn is None:
        return plane
    bits = np.packbits(drawn.ravel(), bitorder="little").tobytes()
    plane.add_new((_GROUP, 0x0010), "US", rows)
    plane.add_new((_GROUP, 0x0011), "US", columns)
    plane.add_new((_GROUP, 0x0022), "LO", VIEW_NOTICE)
    plane.add_new((_GROUP, 0x0040), "CS", "G")
    plane.add_new((_GROUP, 0x0050), "SS", [1, 1])
    plane.add_new((_GROUP, 0x0100), "US", 1)
    plane.add_new((_GROUP, 0x0102), "US", 0)
    plane.add_new((_GROUP, 0x1500), "LO", SHORT)
    plane.add_new((_GROUP, 0x3000), "OW", bits + b"\0" * (len(bits) % 2))
    return plane


def _drawn(rows: int, columns: int) -> np.ndarray | None:
    for text in (VIEW_NOTICE, SHORT):
        for height_px in _HEIGHTS_PX:
            font = ImageFont.load_default(height_px)
            left, top, right, bottom = font.getbbox(text)
            if right - left + 2 * _MARGIN_PX <= columns and bottom - top + 2 * _MARGIN_PX <= rows // 3:
                picture = Image.new("1", (columns, rows))
                place = (_MARGIN_PX - left, rows - _MARGIN_PX - bottom)
                ImageDraw.Draw(picture).text(place, text, fill=1, font=font)
                return np.asarray(picture)
    return None
