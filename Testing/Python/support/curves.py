"""The Cobb angle of a course, measured on its points: what the curves of the phantoms are checked with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cobb_angle_deg(z_mm: NDArray[np.float64], offset_mm: NDArray[np.float64]) -> float:
    """Cobb angle of a course (n,), offset over height: the largest angle between its tangents at any two heights.

    It is read between the end vertebrae, the ones that tilt most; of several curves it is the largest.
    Raises ValueError for fewer than three points or for heights that do not rise.
    """
    if len(z_mm) < 3 or len(z_mm) != len(offset_mm) or not (np.diff(z_mm) > 0).all():
        raise ValueError(
            f"Expected at least three heights that rise, and as many offsets; got {len(z_mm)} and {len(offset_mm)}. "
            f"Sort the course by height, one point per height."
        )
    tilt = np.rad2deg(np.arctan(np.gradient(offset_mm, z_mm)))
    return float(tilt.max() - tilt.min())
