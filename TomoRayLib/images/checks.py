"""Checks of CTs and radiographs: InputError says what was expected, what was got and what to do.

The readers in ``images`` check that a file is valid in its format. These check that it can be used as a CT in HU or
as a radiograph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.ct_plausibility import ct_warnings
from TomoRayLib.images.types import Radiograph, Volume, check_finite

LEAST_EXTENT_MM = 40.0  # a lumbar vertebral body with its endplates is about 30 mm high and 50 mm wide
LEAST_SLICES = 8
LEAST_PIXELS = 64
TISSUE_HU = -200.0  # every CT of a body holds something darker: lung, bowel gas, the air around
BONE_HU = 100.0  # and something brighter
LARGEST_PERCENTILE_HU = 5000.0  # 99.9 % of the voxels lie below it; metal reaches 30000 in fewer
MEDIAN_HU = (-1100.0, 300.0)  # from mostly air to a close crop around dense bone


def check_ct(volume: Volume, name: str = "The CT") -> tuple[str, ...]:
    """Check that a volume can be a CT of the spine in HU.

    Args:
        volume: Voxels ``(z, y, x)`` on their grid.
        name: The name of the volume at the beginning of messages.

    Returns:
        What makes it unlikely and the user should check (``ct_warnings``); usually nothing.

    Raises:
        InputError: If voxels are not finite, the extent is below 40 mm or 8 voxels along any axis, or the values are
            not those of a CT in HU; the message says what they look like instead.
    """
    check_finite(volume.voxels, name)
    check_extent(volume.grid, name)
    check_hounsfield(volume.voxels, name)
    return ct_warnings(volume, name)


def check_extent(grid: Grid, name: str = "The CT") -> None:
    """Raise InputError for a grid smaller than one vertebra: below 40 mm or below 8 voxels along any axis."""
    x_mm, y_mm, z_mm = grid.extent_mm
    if min(grid.extent_mm) < LEAST_EXTENT_MM or min(grid.size) < LEAST_SLICES:
        raise InputError(
            f"{name}: expected at least {LEAST_EXTENT_MM:g} mm and {LEAST_SLICES} voxels along each axis, "
            f"got {x_mm:.1f} x {y_mm:.1f} x {z_mm:.1f} mm and {grid.size} voxels; choose the whole series, and check "
            "the spacing in its header."
        )


def check_hounsfield(voxels: NDArray[np.generic], name: str = "The CT") -> None:
    """Raise InputError if the values are not in the range of a CT in HU, and say what they look like instead."""
    low, high = float(voxels.min()), float(voxels.max())
    got = f"{name}: expected a CT in HU (air near -1000, bone above {BONE_HU:g}), got values from {low:g} to {high:g}"
    if low == high:
        raise InputError(f"{got}: every voxel is the same; choose another volume or export it again.")
    if low >= -1 and high <= 1:
        raise InputError(f"{got}: looks scaled to a unit range; use the CT before that step.")
    if low >= 0 and high <= 40 and np.array_equal(voxels, np.round(voxels)):
        raise InputError(f"{got}: looks like a label map; use it as the mask and choose the CT here.")
    if low >= 0 and high <= 255:
        raise InputError(f"{got}: looks like 8-bit grey values; export the CT with its original 12 or 16 bits.")
    if low >= 0:
        raise InputError(
            f"{got}: looks like stored values offset by 1024, or like an MR; for a CT subtract 1024 (apply Rescale "
            "Intercept (0028,1052)) or export it again."
        )
    if low >= TISSUE_HU:
        raise InputError(
            f"{got}: nothing as dark as air or lung; use the CT in HU before windowing, and the whole field of view "
            "instead of a crop inside the body."
        )
    if high <= BONE_HU:
        raise InputError(f"{got}: nothing as bright as bone; use a CT of the spine in HU, before windowing.")
    _refuse_other_scales(voxels, got)


def _refuse_other_scales(voxels: NDArray[np.generic], got: str) -> None:
    """Raise InputError if most values lie outside those of tissue; padding and metal in few voxels pass."""
    step = max(1, voxels.size // 1_000_000) | 1  # odd, so that it does not follow the rows
    sample: NDArray[Any] = voxels.ravel()[::step]
    padding = float(sample.min())
    body = sample[sample > padding] if padding < MEDIAN_HU[0] else sample
    if len(body) == 0:
        body = sample
    middle, top = float(np.median(body)), float(np.percentile(body, 99.9))
    if padding < MEDIAN_HU[0] and float(body.min()) >= 0:
        raise InputError(
            f"{got}: apart from padding nothing below 0, as in stored values offset by 1024; subtract 1024 (apply "
            "Rescale Intercept (0028,1052)) or export it again."
        )
    if top > LARGEST_PERCENTILE_HU:
        raise InputError(
            f"{got}, 0.1 % of them above {top:.0f}: looks like stored values before Rescale Slope (0028,1053), or like "
            "a dose or other map; export the CT in HU."
        )
    if not MEDIAN_HU[0] <= middle <= MEDIAN_HU[1]:
        raise InputError(
            f"{got}, half of them above {middle:.0f}: a body and the air around it have a median from "
            f"{MEDIAN_HU[0]:g} to {MEDIAN_HU[1]:g}; apply Rescale Slope and Intercept (0028,1052) or export it again."
        )


def check_radiograph(radiograph: Radiograph, name: str = "The radiograph") -> None:
    """Check that an image can be used as a radiograph.

    Args:
        radiograph: Pixels ``(row, column)`` and their spacing.
        name: The name of the image at the beginning of messages.

    Raises:
        InputError: If pixels are not 2D or not finite, fewer than 64 x 64 or all the same, or a spacing is not above
            0.
    """
    pixels = radiograph.pixels
    if pixels.ndim != 2:
        raise InputError(f"{name}: expected 2D pixels (row, column), got shape {pixels.shape}; choose a radiograph.")
    check_finite(pixels, name)
    if min(pixels.shape) < LEAST_PIXELS:
        raise InputError(
            f"{name}: expected at least {LEAST_PIXELS} x {LEAST_PIXELS} pixels, got {pixels.shape[0]} x "
            f"{pixels.shape[1]} (a thumbnail?); choose the original image."
        )
    if float(pixels.min()) == float(pixels.max()):
        raise InputError(
            f"{name}: expected an image, got the one value {float(pixels.flat[0]):g} everywhere; choose another image."
        )
    spacing = radiograph.pixel_spacing_mm
    if spacing is not None and not all(np.isfinite(mm) and mm > 0 for mm in spacing):
        raise InputError(
            f"{name}: expected pixel spacing (row, column) above 0 mm, got {spacing}; check Imager Pixel Spacing "
            "(0018,1164) or enter it by hand.",
            field="pixel_spacing_mm",
        )
