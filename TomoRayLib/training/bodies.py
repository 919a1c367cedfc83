"""Real bodies without their spine: the surroundings that a phantom's spine is set into.

The soft tissue, ribs and pelvis around the spine decide whether a network trained on phantoms works on real CTs
(a network trained in crude bodies wandered; in real bodies it carried over), so they are taken from real torso CTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from TomoRayLib.geometry import Grid
from TomoRayLib.images import read_volume, resample

BODY_SPACING_MM = 2.0
AIR_HU = -1000.0
BONE_ABOVE_HU = 140.0
WINDOW_WIDTH_MM = 88.0
POSTERIOR_SHARE = 0.58
REFILL_HU, REFILL_SD_HU = 50.0, 15.0

# Cumulative height in mm at the top of each level: cervical 17, thoracic 20 to 28, lumbar 36 mm with the disc.
_HEIGHTS_MM = [17.0] * 7 + list(np.linspace(20.0, 28.0, 12)) + [36.0] * 6
_CUMULATIVE_MM = np.concatenate([[0.0], np.cumsum(_HEIGHTS_MM)])

# Two levels per body, read off its sagittal and coronal projections by eye (about one vertebra of doubt):
# (level, z in mm), a level being the VerSe number of the vertebra at its top edge (8.0 top of T1, 25.0 bottom of L5).
LEVELS_OF_BODY: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "acrin_flt_001_abdomen_pelvis": ((17.0, -463.0), (25.0, -722.0)),
    "cmb_crc_01068_chest": ((8.0, 10.0), (18.0, -225.0)),
    "ricord_1a_chest": ((8.0, 258.0), (20.0, -5.0)),
    "ricord_1a_chest_b": ((8.0, -20.0), (20.0, -300.0)),
    "tcga_de_a4ma_torso": ((8.0, -835.0), (25.0, -1243.0)),
}


@dataclass(frozen=True)
class Body:
    """One torso, its own spine removed: ``hu`` (z, y, x) on an axis-aligned LPS grid of 2 mm.

    ``curve_mm`` (z, 2) is the removed spine's course (x, y in LPS mm) per slice; ``levels`` two (level, z mm) anchors,
    or None where nobody has read them.
    """

    name: str
    hu: Tensor
    grid: Grid
    curve_mm: NDArray[np.float64]
    levels: tuple[tuple[float, float], tuple[float, float]] | None

    @property
    def z_range_mm(self) -> tuple[float, float]:
        low = self.grid.origin_mm[2]
        return low, low + (self.grid.size[2] - 1) * self.grid.spacing_mm[2]

    def z_of_level(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """LPS z of spinal levels in this body, interpolated between its two anchors by standard vertebral heights."""
        if self.levels is None:
            raise ValueError(f"Nobody has read the spinal levels of body {self.name}; add them to LEVELS_OF_BODY.")
        (upper, upper_mm), (lower, lower_mm) = self.levels
        height = height_of_level(np.asarray(level))
        span = (lower_mm - upper_mm) / (height_of_level(lower) - height_of_level(upper))
        return upper_mm + (height - height_of_level(upper)) * span

    def level_range(self) -> tuple[float, float]:
        """(cranial, caudal) spinal levels at the ends of this body."""
        low, high = self.z_range_mm
        levels = np.linspace(1.0, 26.0, 251)
        z_mm = self.z_of_level(levels)
        inside = levels[(z_mm >= low) & (z_mm <= high)]
        return float(inside.min()), float(inside.max())


def height_of_level(level: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Standard distance in mm below the top of C1; levels are fractional VerSe numbers (8.5 = middle of T1)."""
    return np.interp(level, np.arange(1.0, 27.0), _CUMULATIVE_MM)


def load_body(path: Path) -> Body:
    """Read a torso CT, drop what is outside the body, and take its spine out (about 10 s; keep the result)."""
    volume = read_volume(path)
    low = np.min(volume.grid.corners_mm(), axis=0)
    high = np.max(volume.grid.corners_mm(), axis=0)
    size = tuple(int(np.floor((b - a) / BODY_SPACING_MM)) for a, b in zip(low, high, strict=True))
    origin = tuple(float(a) + BODY_SPACING_MM / 2 for a in low)
    grid = Grid(size, (BODY_SPACING_MM,) * 3, origin)  # type: ignore[arg-type]
    hu = resample(volume, grid).voxels.astype(np.float32)
    body = body_region(hu)
    hu = np.where(body, hu, AIR_HU).astype(np.float32)
    bone = spine_window(body) & (hu > BONE_ABOVE_HU)
    curve_mm = spine_course(bone, grid)
    name = body_name(path)
    without = remove_spine(hu, bone, body, seed=sum(map(ord, name)))
    return Body(name, torch.from_numpy(without.astype(np.int16)), grid, curve_mm, LEVELS_OF_BODY.get(name))


def body_name(path: Path) -> str:
    """The name of a body's file without its endings."""
    return path.name.split(".")[0]


def body_region(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The largest filled region above -300 HU of each axial slice (z, y, x): the body without the table."""
    region = np.zeros(hu.shape, dtype=bool)
    for index, slice_hu in enumerate(hu):
        opened = ndimage.binary_opening(slice_hu > -300.0, iterations=2)
        labels, count = ndimage.label(opened)
        if count:
            largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
            region[index] = ndimage.binary_fill_holes(ndimage.binary_dilation(labels == largest, iterations=2))
    return region


def spine_window(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the spine can be: 88 mm about the body's midline, in the posterior 58 % of its depth, slice by slice."""
    window = np.zeros_like(body)
    half = int(WINDOW_WIDTH_MM / BODY_SPACING_MM / 2)
    middles = np.array([np.mean(np.nonzero(s.any(0))[0][[0, -1]]) if s.any() else np.nan for s in body])
    middles = ndimage.gaussian_filter1d(_without_gaps(middles), 8.0)
    for index, region in enumerate(body):
        rows = np.nonzero(region.any(1))[0]
        if len(rows):
            front = int(rows[0] + (1 - POSTERIOR_SHARE) * (rows[-1] - rows[0]))
            middle = int(middles[index])
            window[index, front : rows[-1] + 1, max(0, middle - half) : middle + half + 1] = True
    return window & body


def spine_course(bone: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """(z, 2) smoothed centroid (x, y) in LPS mm of the spine's bone per slice."""
    centroids = np.full((len(bone), 2), np.nan)
    for index, region in enumerate(bone):
        rows, columns = np.nonzero(region)
        if len(rows) >= 20:
            centroids[index] = columns.mean(), rows.mean()
    smooth = np.stack([ndimage.gaussian_filter1d(_without_gaps(c), 8.0) for c in centroids.T], axis=1)
    return smooth * BODY_SPACING_MM + np.asarray(grid.origin_mm[:2])


def remove_spine(
    hu: NDArray[np.float32], bone: NDArray[np.bool_], body: NDArray[np.bool_], seed: int
) -> NDArray[np.float32]:
    """The body with its spine replaced by muscle with noise at the scale of 8 mm."""
    spine = ndimage.binary_closing(bone, iterations=4) | bone
    spine = np.stack([ndimage.binary_fill_holes(s) for s in spine])
    spine = ndimage.binary_dilation(spine, iterations=1) & body
    noise = np.random.default_rng(seed).standard_normal(hu.shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, 2.0)
    muscle = REFILL_HU + smooth * (REFILL_SD_HU / max(float(smooth.std()), 1e-6))
    return np.where(spine, muscle, hu)


def _without_gaps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    if not known.any():
        raise ValueError(
            "No spine was found in this body; expected a torso CT in HU with the spine in the field of view."
        )
    return np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
