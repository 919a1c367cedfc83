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

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.resampling import resample
from TomoRayLib.training.phantoms.body_levels import (
    DISC_BEHIND_COURSE_MM,
    HIGHEST_LEVEL,
    LEVELS_OF_BODY,
    LOWEST_LEVEL,
    Anchors,
    z_of_level,
)
from TomoRayLib.training.phantoms.spine_removal import (
    BONE_ABOVE_HU,
    box_about_course,
    column_zone,
    contrast_vessels,
    refined_course,
    remove_spine,
    sacrum_zone,
    spine_course,
    spine_window,
)

BODY_SPACING_MM = 2.0
SKULL_MARGIN_MM, SACRUM_MARGIN_MM = 4.0, 5.0
USUAL_DISC_BEHIND_MM = -13.0
LIMB_MM2, LIMB_BONE_MM2, LIMB_BONE_ABOVE_HU = 4000.0, 60.0, 200.0


@dataclass(frozen=True)
class Body:
    """One torso, its own spine removed: ``hu`` (z, y, x) int16 on an axis-aligned LPS grid of 2 mm.

    ``curve_mm`` (z, 2) is the removed spine's course (x, y in LPS mm) per slice; ``levels`` are its
    (level, z mm) anchors, or None if they were never read off.
    """

    name: str
    hu: Tensor
    grid: Grid
    curve_mm: NDArray[np.float64]
    levels: Anchors | None

    @property
    def z_range_mm(self) -> tuple[float, float]:
        low = self.grid.origin_mm[2]
        return low, low + (self.grid.size[2] - 1) * self.grid.spacing_mm[2]

    def z_of_level(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """LPS z in mm of spinal levels in this body, interpolated between its anchors."""
        if self.levels is None:
            raise InputError(f"The spinal levels of body {self.name} are not known; add them to LEVELS_OF_BODY.")
        return z_of_level(level, self.levels)

    def level_range(self) -> tuple[float, float]:
        """(cranial, caudal) spinal levels at the ends of this body."""
        low, high = self.z_range_mm
        levels = np.linspace(1.0, 26.0, 251)
        z_mm = self.z_of_level(levels)
        inside = levels[(z_mm >= low) & (z_mm <= high)]
        return float(inside.min()), float(inside.max())


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
    name = body_name(path)
    return body_without_spine(name, hu, body, grid, LEVELS_OF_BODY.get(name))


def body_without_spine(
    name: str,
    hu: NDArray[np.float32],
    region: NDArray[np.bool_],
    grid: Grid,
    levels: Anchors | None,
) -> Body:
    """A body from HU (z, y, x) on an axis-aligned grid of 2 mm, its spine taken out between skull and sacrum.

    ``region`` is true inside the body. Skull and sacrum are recognised only if the levels are known, else removed.
    """
    spinal = _spinal_slices(levels, grid)[:, None, None]
    bone = region & (hu > BONE_ABOVE_HU) & spinal
    curve_mm = refined_course(bone, spine_course(bone & spine_window(region, BODY_SPACING_MM), grid), grid)
    box = box_about_course(curve_mm, grid)
    near_hu, near = hu[box], _part(grid, box)
    curve_mm = refined_course(bone[box] & ~contrast_vessels(near_hu, curve_mm, near), curve_mm, near)
    zone = column_zone(near_hu, curve_mm, near)
    if levels is not None:
        top_mm, disc_mm = z_of_level(np.array([HIGHEST_LEVEL, LOWEST_LEVEL]), levels)
        zone &= (_heights_mm(grid) < top_mm + SKULL_MARGIN_MM)[:, None, None]
        zone &= ~sacrum_zone(curve_mm, near, float(disc_mm), DISC_BEHIND_COURSE_MM.get(name, USUAL_DISC_BEHIND_MM))
    without = hu.copy()
    without[box] = remove_spine(near_hu, zone, region[box], BODY_SPACING_MM, seed=sum(map(ord, name)))
    return Body(name, torch.from_numpy(without.astype(np.int16)), grid, curve_mm, levels)


def _spinal_slices(levels: Anchors | None, grid: Grid) -> NDArray[np.bool_]:
    """(z,) true in the slices from C1 to L5; everywhere if the levels are not known."""
    if levels is None:
        return np.ones(grid.size[2], dtype=bool)
    z_mm = _heights_mm(grid)
    top_mm, bottom_mm = z_of_level(np.array([HIGHEST_LEVEL, LOWEST_LEVEL]), levels)
    return np.asarray((z_mm < top_mm + SKULL_MARGIN_MM) & (z_mm > bottom_mm - SACRUM_MARGIN_MM))


def _heights_mm(grid: Grid) -> NDArray[np.float64]:
    """(z,) LPS z of an axis-aligned grid's slices."""
    return np.asarray(grid.origin_mm[2] + np.arange(grid.size[2]) * grid.spacing_mm[2], dtype=np.float64)


def _part(grid: Grid, box: tuple[slice, slice, slice]) -> Grid:
    """The grid of a part (z, y, x) of an axis-aligned one."""
    size = tuple(side.stop - side.start for side in reversed(box))
    steps = zip(grid.origin_mm, reversed(box), grid.spacing_mm, strict=True)
    return Grid(size, grid.spacing_mm, tuple(start + side.start * step for start, side, step in steps))


def body_name(path: Path) -> str:
    """The name of a body's file without its endings."""
    return path.name.split(".")[0]


def body_region(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The filled regions above -300 HU of each axial slice (z, y, x) that are the body's: the largest, and limbs.

    A limb is as large as a forearm and has bone in it; so the table is left out, and a raised arm beside a head stays.
    """
    region = np.zeros(hu.shape, dtype=bool)
    for index, slice_hu in enumerate(hu):
        opened = ndimage.binary_opening(slice_hu > -300.0, iterations=2)
        labels, count = ndimage.label(opened)
        if count:
            area_mm2 = np.bincount(labels.ravel())[1:] * BODY_SPACING_MM**2
            bone_mm2 = np.bincount(labels[slice_hu > LIMB_BONE_ABOVE_HU], minlength=count + 1)[1:] * BODY_SPACING_MM**2
            own = (area_mm2 > LIMB_MM2) & (bone_mm2 > LIMB_BONE_MM2)
            own[int(np.argmax(area_mm2))] = True
            parts = np.isin(labels, 1 + np.flatnonzero(own))
            region[index] = ndimage.binary_fill_holes(ndimage.binary_dilation(parts, iterations=2))
    return region
