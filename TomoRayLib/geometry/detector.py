"""Flat detectors: pixels, their spacing, and their place relative to the central ray."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.number_checks import numbers_of, positive_numbers, whole_numbers


@dataclass(frozen=True)
class Detector:
    """A flat detector.

    Args:
        rows: Number of rows; row 0 is at the top of the radiograph.
        columns: Number of columns.
        pixel_spacing_mm: (row spacing, column spacing) at the detector, the distance between rows first, as in the
            DICOM attributes Pixel Spacing (0028,0030) and Imager Pixel Spacing (0018,1164).
        offset_mm: (down, right): how far the detector's middle lies from the central ray.

    Raises:
        InputError: If rows or columns are no whole numbers of at least 1, or a spacing is not above 0.
    """

    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    offset_mm: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        rows, columns = whole_numbers((self.rows, self.columns), 2, "Detector size (rows, columns)", field="size")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "columns", columns)
        spacing = positive_numbers(
            self.pixel_spacing_mm,
            2,
            "Detector pixel spacing (row, column) in mm",
            "check the DICOM tag Imager Pixel Spacing, or measure the size of a pixel.",
            field="pixel_spacing_mm",
        )
        object.__setattr__(self, "pixel_spacing_mm", spacing)
        offset = numbers_of(self.offset_mm, 2, "Detector offset (down, right) in mm", field="offset_mm")
        object.__setattr__(self, "offset_mm", offset)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return (self.rows, self.columns)

    def down_mm(self) -> NDArray[np.float64]:
        """(rows,) position of each row's centre below the central ray, on the detector."""
        steps = np.arange(self.rows, dtype=np.float64) - (self.rows - 1) / 2
        return steps * self.pixel_spacing_mm[0] + self.offset_mm[0]

    def right_mm(self) -> NDArray[np.float64]:
        """(columns,) position of each column's centre to the right of the central ray, on the detector."""
        steps = np.arange(self.columns, dtype=np.float64) - (self.columns - 1) / 2
        return steps * self.pixel_spacing_mm[1] + self.offset_mm[1]
