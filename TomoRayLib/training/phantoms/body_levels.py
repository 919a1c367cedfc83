"""Spinal levels along z: which vertebra lies at which height of a real body.

A level is a fractional VerSe number: 8.0 is the top of T1, 8.5 its middle, 25.0 the bottom of L5. The top of a
vertebra is the middle of the disc above it, at the middle of the vertebral bodies' depth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HIGHEST_LEVEL, LOWEST_LEVEL = 1.0, 25.0  # the top of C1 and the bottom of L5: beyond them are skull and sacrum

# Cumulative height in mm at the top of each level: cervical 17, thoracic 20 to 28, lumbar 36 mm with the disc.
_HEIGHTS_MM = [17.0] * 7 + list(np.linspace(20.0, 28.0, 12)) + [36.0] * 6
_CUMULATIVE_MM = np.concatenate([[0.0], np.cumsum(_HEIGHTS_MM)])

Anchors = tuple[tuple[float, float], ...]  # two or more of (level, LPS z in mm), from the top down


def height_of_level(level: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Standard distance in mm below the top of C1."""
    return np.interp(level, np.arange(1.0, 27.0), _CUMULATIVE_MM)


def level_of_height(height_mm: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """The level that is ``height_mm`` below the top of C1, the inverse of ``height_of_level``."""
    return np.interp(height_mm, _CUMULATIVE_MM, np.arange(1.0, 27.0))


def z_of_level(level: NDArray[np.float64] | float, anchors: Anchors) -> NDArray[np.float64]:
    """LPS z in mm of levels: between two anchors by standard vertebral heights, beyond them by the body's own scale."""
    heights, z_mm, scale = _known(anchors)
    height = height_of_level(np.asarray(level))
    inner = np.interp(height, heights, z_mm)
    return np.asarray(inner + (height - np.clip(height, heights[0], heights[-1])) * scale)


def level_at(z_mm: NDArray[np.float64] | float, anchors: Anchors) -> NDArray[np.float64]:
    """The levels at LPS z in mm, the inverse of ``z_of_level``; 1.0 above C1 and 26.0 from the bottom of L6 down."""
    heights, known_mm, scale = _known(anchors)
    z = np.asarray(z_mm, dtype=np.float64)
    inner = np.interp(-z, -known_mm, heights)
    return level_of_height(inner + (z - np.clip(z, known_mm[-1], known_mm[0])) / scale)


def _known(anchors: Anchors) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """(standard heights in mm, z in mm, mm of z per mm of height) of anchors; the last is negative."""
    levels, z_mm = np.array(sorted(anchors), dtype=np.float64).T
    heights = height_of_level(levels)
    return heights, z_mm, float((z_mm[-1] - z_mm[0]) / (heights[-1] - heights[0]))


def _tops(first: float, *z_mm: float) -> Anchors:
    """The tops of consecutive vertebrae, of which the uppermost has the VerSe number ``first``."""
    return tuple((first + index, float(z)) for index, z in enumerate(z_mm))


# Read by eye off sagittal and coronal slices along each spine, disc by disc, and counted from the sacrum (L5/S1 = 25),
# from the first and the last rib (T1 = 8, T12 = 19; all twelve were found wherever both ends are in view) or from the
# dens (C2). Discs are good to 3 mm, 5 mm where the neck is steep. A vertebra of doubt is left only in
# acrin_flt_013_lower_chest, whose ribs are counted from the lowest two alone.
LEVELS_OF_BODY: dict[str, Anchors] = {
    "acrin_flt_001_abdomen_pelvis": _tops(17, -455, -481, -510, -544, -578, -613, -649, -684, -720),
    "acrin_flt_001_head_neck": _tops(1, -149, -166, -186, -201, -216, -231, -247, -263, -283, -300, -318, -338, -358),
    "acrin_flt_013_lower_chest": _tops(13, -521, -543, -566, -590, -614, -643, -671),
    "acrin_nsclc_042_torso": _tops(
        6, 62, 46, 29, 8, -12, -33, -55, -78, -104, -129, -158, -183, -212, -246, -279, -316, -350
    ),
    "cmb_crc_01068_chest": _tops(8, -5, -22, -41, -60, -80, -101, -124, -148, -173, -200, -227),
    "cptac_c3l00189_lower_chest": _tops(16, -30, -55, -81, -108, -136, -162),
    "lidc_idri_0314_chest": _tops(8, -425, -441, -458, -475, -493, -512, -533, -555, -577, -600, -625, -652, -677),
    "nlst_chest": _tops(8, 1204, 1188, 1172, 1155, 1138, 1120, 1102, 1082, 1062, 1040, 1018, 993, 966, 937),
    "ricord_1a_chest": _tops(6, 282, 266, 251, 238, 222, 205, 187, 167, 144, 120, 96, 70, 42, 12, -20),
    "ricord_1a_chest_b": _tops(8, -44, -62, -83, -103, -124, -145, -166, -187, -210, -232, -257, -283, -312, -338),
    "tcga_de_a4ma_torso": (
        *_tops(8, -808, -824, -841, -858, -876, -895, -914, -935, -956, -980, -1004, -1031),
        *_tops(20, -1060, -1092, -1126, -1161, -1196, -1233),
    ),
    "totalsegmentator_example_abdomen_pelvis": _tops(20, 402, 367.5, 332.5, 298.5, 263.5, 234),
}

# How far the middle of the L5-S1 disc lies off the course of the body's own spine, mm (posterior is positive); read by
# eye off the median slice, good to 3 mm.
DISC_BEHIND_COURSE_MM = {"acrin_flt_001_abdomen_pelvis": -9.5, "tcga_de_a4ma_torso": -16.0}
HALF_DISC_MM = 5.0
