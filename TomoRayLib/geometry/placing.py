"""Placing of radiographs by hand: from pixels that a person points at to offsets, heights and pixel spacings.

A point that is marked as the centre of an image says: here is the isocentre's image. From it comes the offset of the
detector; from two marked centres the heights of both images about one isocentre; from a ruler of known length in the
plane of the isocentre the size of a pixel. Pixels are (row, column), whole numbers at pixel centres, and may lie
between pixels or outside the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from TomoRayLib.base.errors import InputError

Pair = tuple[float, float]
LEAST_RULER_PIXELS = 2.0


@dataclass(frozen=True)
class ImagePlane:
    """The plane of the isocentre as an upright image shows it.

    Args:
        shape: (rows, columns) of the image.
        pixel_spacing_mm: (row, column) spacing at the detector.
        magnifications: (down a column, along a row), size on the detector over size at the isocentre, as of a beam.
    """

    shape: tuple[int, int]
    pixel_spacing_mm: Pair
    magnifications: Pair = (1.0, 1.0)

    def offset_mm(self, center: Pair) -> Pair:
        """(down, right) from the isocentre to the middle of the image, at the detector, if ``center`` shows it."""
        row_mm, column_mm = (
            (middle - place) * spacing
            for middle, place, spacing in zip(middle_of(self.shape), center, self.pixel_spacing_mm, strict=True)
        )
        return (row_mm, column_mm)

    def center(self, offset_mm: Pair) -> Pair:
        """The pixel that shows the isocentre: the inverse of ``offset_mm``."""
        row, column = (
            middle - offset / spacing
            for middle, offset, spacing in zip(middle_of(self.shape), offset_mm, self.pixel_spacing_mm, strict=True)
        )
        return (row, column)

    def height_mm(self, row: float, center: Pair) -> float:
        """How far a row lies above the isocentre, in the isocentre's plane."""
        return (center[0] - row) * self.pixel_spacing_mm[0] / self.magnifications[0]

    def row_at(self, height_mm: float, center: Pair) -> float:
        """The row at a height above the isocentre, in the isocentre's plane: the inverse of ``height_mm``."""
        return center[0] - height_mm * self.magnifications[0] / self.pixel_spacing_mm[0]

    def length_mm(self, first: Pair, second: Pair) -> float:
        """The distance of two pixels in the plane of the isocentre."""
        return math.hypot(
            *(
                (one - other) * spacing / larger
                for one, other, spacing, larger in zip(
                    first, second, self.pixel_spacing_mm, self.magnifications, strict=True
                )
            )
        )


def middle_of(shape: tuple[int, int]) -> Pair:
    """The middle of an image of (rows, columns)."""
    return ((shape[0] - 1) / 2, (shape[1] - 1) / 2)


def scale_by_ruler(ends: tuple[Pair, Pair], length_mm: float, relative_spacing: Pair, magnifications: Pair) -> float:
    """The factor that makes a spacing known in its proportion alone that of the detector.

    Args:
        ends: Two pixels of the upright image.
        length_mm: The distance of the two in the plane of the isocentre.
        relative_spacing: (row, column) spacing at the detector up to a factor, such as (1.0, 1.0) for square pixels.
        magnifications: As in ``ImagePlane``.

    Returns:
        The factor; times ``relative_spacing`` it is the pixel spacing at the detector in mm.

    Raises:
        InputError: For a length that is not above 0, and ends that lie on nearly the same pixel.
    """
    if not (math.isfinite(length_mm) and length_mm > 0):
        raise InputError(
            f"Expected the known length of the ruler above 0 mm, got {length_mm:g}; enter it in millimetres.",
            "pixel_spacing_mm",
        )
    steps = [first - second for first, second in zip(*ends, strict=True)]
    if math.hypot(*steps) < LEAST_RULER_PIXELS:
        raise InputError(
            f"Expected the ends of the ruler apart, got {math.hypot(*steps):.1f} pixels; drag one of them away.",
            "pixel_spacing_mm",
        )
    relative = math.hypot(
        *(step * size / larger for step, size, larger in zip(steps, relative_spacing, magnifications, strict=True))
    )
    return length_mm / relative


def upright_pixel(pixel: Pair, shape: tuple[int, int], turned_deg: int = 0, mirrored: bool = False) -> Pair:
    """Where a pixel of an image of this shape goes if it is turned clockwise and then mirrored left to right."""
    (row, column), (rows, columns) = pixel, shape
    for _ in range(turned_deg // 90 % 4):
        row, column = column, rows - 1 - row
        rows, columns = columns, rows
    return (row, columns - 1 - column if mirrored else column)


def stored_pixel(pixel: Pair, shape: tuple[int, int], turned_deg: int = 0, mirrored: bool = False) -> Pair:
    """The pixel of the stored image, of this shape, that ``upright_pixel`` takes there: its inverse."""
    rows, columns = upright_shape(shape, turned_deg)
    row, column = (pixel[0], columns - 1 - pixel[1]) if mirrored else pixel
    for _ in range(turned_deg // 90 % 4):
        row, column = columns - 1 - column, row
        rows, columns = columns, rows
    return (row, column)


def upright_shape(shape: tuple[int, int], turned_deg: int = 0) -> tuple[int, int]:
    """(rows, columns) of an image of this shape after it is turned."""
    return (shape[1], shape[0]) if turned_deg // 90 % 2 else shape


def upright_spacing(spacing: Pair, turned_deg: int = 0) -> Pair:
    """(row, column) spacing after an image is turned."""
    return (spacing[1], spacing[0]) if turned_deg // 90 % 2 else spacing
