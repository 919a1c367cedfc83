"""Analytical bodies: a supplement to real torsos, and their replacement if there are no data at all.

A torso in LPS millimetres about its spine's course: an elliptic trunk of skin, fat and muscle with lungs, heart, aorta,
liver, spleen, kidneys and bowel, arc-shaped ribs, sternum, and wing-like iliac bones next to a sacrum. It reaches from
the base of the skull to below the pelvis, so every spine fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.bodies import BODY_SPACING_MM, Body
from TomoRayLib.training.phantoms.body_levels import height_of_level

HALF_MM = (210.0, 160.0)  # of the grid: right to left, anterior to posterior
TOP_LEVEL, BOTTOM_LEVEL = 1.0, 26.0  # top of C1, below L6
BELOW_SPINE_MM = 170.0  # sacrum and pelvis
FAT_HU, MUSCLE_HU, LUNG_HU, ORGAN_HU, BLOOD_HU, SKIN_HU = -100.0, 52.0, -850.0, 58.0, 42.0, 10.0
GAS_HU, BONE_HU, MARROW_HU = -950.0, 650.0, 120.0
TEXTURE_HU = 14.0
FIRST_RIB_LEVEL = 8.3
RIB_LENGTH_RAD = np.array([0.82] * 7 + [0.72] * 3 + [0.5, 0.35], dtype=np.float32) * np.float32(np.pi)


@dataclass(frozen=True)
class _Space:
    """Coordinates for broadcasting over (z, y, x): mm off the course (x to the left, y backwards), and in ``level`` the
    spinal level of each slice; ``wide`` and ``deep`` are half axes of the trunk there (z, 1, 1)."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    z: NDArray[np.float32]
    level: NDArray[np.float32]
    wide: NDArray[np.float32]
    deep: NDArray[np.float32]
    front: NDArray[np.float32]  # y of the trunk's middle

    def rows(self, top: float, bottom: float) -> slice:
        """The slices between two levels; of the rest nothing needs to be worked out."""
        inside = np.flatnonzero((self.level[:, 0, 0] >= top) & (self.level[:, 0, 0] <= bottom))
        return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)

    def part(self, rows: slice) -> _Space:
        return _Space(
            self.x[rows],
            self.y[rows],
            self.z[rows],
            self.level[rows],
            self.wide[rows],
            self.deep[rows],
            self.front[rows],
        )


def procedural_body(rng: np.random.Generator, name: str = "procedural") -> Body:
    """One random torso, its spine left out, with the levels C1 to L5. The same ``rng`` state gives the same body.

    HU int16 (z, y, x) on a grid of 2 mm; its spine's course is a straight line at x = y = 0 with a thoracic kyphosis.
    """
    scale = float(rng.uniform(0.88, 1.1))
    depth = (float(height_of_level(BOTTOM_LEVEL)) - float(height_of_level(TOP_LEVEL))) * scale
    height = depth + BELOW_SPINE_MM
    size = tuple(round(edge / BODY_SPACING_MM) for edge in (2 * HALF_MM[0], 2 * HALF_MM[1], height))
    grid = Grid(size, (BODY_SPACING_MM,) * 3, (-HALF_MM[0], -HALF_MM[1] - 60.0, -height))  # type: ignore[arg-type]
    z_mm = grid.origin_mm[2] + np.arange(size[2]) * BODY_SPACING_MM
    level = _level_at(-z_mm / scale)
    curve_mm = np.stack([np.zeros_like(z_mm), _kyphosis_mm(level, float(rng.uniform(10.0, 30.0)))], axis=1)
    space = _space(grid, curve_mm, level, scale, rng)
    hu = _trunk(space, rng)
    _add_chest(hu, space, rng)
    _add_abdomen(hu, space, rng)
    _add_pelvis(hu, space, scale, rng)
    texture = ndimage.gaussian_filter(rng.standard_normal(tuple(n // 2 + 1 for n in hu.shape), dtype=np.float32), 1.0)
    texture = np.repeat(np.repeat(np.repeat(texture, 2, 0), 2, 1), 2, 2)[: hu.shape[0], : hu.shape[1], : hu.shape[2]]
    hu = np.where(hu > -980.0, hu + texture * (TEXTURE_HU / float(texture.std())), AIR_HU)
    top_mm, bottom_mm = 0.0, -scale * float(height_of_level(25.0))
    levels = ((TOP_LEVEL, top_mm), (25.0, bottom_mm))
    return Body(name, torch.from_numpy(np.round(hu).astype(np.int16)), grid, curve_mm, levels)


def procedural_bodies(count: int, seed: int = 0) -> tuple[Body, ...]:
    """``count`` bodies, always the same for one seed; about 2 s and 27 MB each."""
    rng = np.random.default_rng([seed, 0x70B0])
    return tuple(procedural_body(rng, f"procedural_{number}") for number in range(count))


def _level_at(depth_mm: NDArray) -> NDArray[np.float64]:
    """Fractional level at distances below the top of C1; below L5 it continues at 36 mm a level."""
    levels = np.linspace(TOP_LEVEL, BOTTOM_LEVEL, 501)
    inside = np.interp(depth_mm, height_of_level(levels), levels)
    beyond = np.clip(depth_mm - float(height_of_level(BOTTOM_LEVEL)), 0.0, None)
    return inside + beyond / 36.0


def _kyphosis_mm(level: NDArray[np.float64], amount_mm: float) -> NDArray[np.float64]:
    """y of the course: backwards in the chest, forwards in the loins."""
    return amount_mm * np.exp(-(((level - 13.5) / 4.0) ** 2)) - 0.6 * amount_mm * np.exp(-(((level - 22.5) / 2.5) ** 2))


def _space(
    grid: Grid,
    curve_mm: NDArray[np.float64],
    level: NDArray[np.float64],
    scale: float,
    rng: np.random.Generator,
) -> _Space:
    x, y = (grid.origin_mm[a] + np.arange(grid.size[a]) * grid.spacing_mm[a] for a in range(2))
    z = grid.origin_mm[2] + np.arange(grid.size[2]) * grid.spacing_mm[2]
    build = float(rng.uniform(0.85, 1.15))
    knots = (1.0, 5.0, 7.5, 9.5, 13.0, 18.0, 21.0, 25.0, 30.0)
    wide = np.interp(level, knots, (70, 62, 75, 165, 160, 150, 142, 165, 175)) * build * scale
    deep = np.interp(level, knots, (85, 65, 70, 95, 112, 112, 105, 108, 108)) * build * scale
    wide, deep = (ndimage.gaussian_filter1d(one, 8.0) for one in (wide, deep))
    behind = np.interp(level, (1.0, 8.0, 13.0, 25.0), (50.0, 55.0, 48.0, 62.0)) * build  # the back behind the course
    off_x = (x[None, :] - curve_mm[:, :1])[:, None, :].astype(np.float32)
    off_y = (y[None, :] - curve_mm[:, 1:])[:, :, None].astype(np.float32)
    column = lambda one: one[:, None, None].astype(np.float32)  # noqa: E731
    return _Space(off_x, off_y, column(z), column(level), column(wide), column(deep), column(behind - deep))


def _trunk(space: _Space, rng: np.random.Generator) -> NDArray[np.float32]:
    """Skin, fat, muscle and the fat of the body's cavity: superelliptic rings."""
    fat_mm = float(rng.uniform(8.0, 30.0))
    radius = (np.abs(space.x) / space.wide) ** 2.4 + (np.abs(space.y - space.front) / space.deep) ** 2.4
    depth_mm = (1.0 - radius ** (1 / 2.4)) * space.deep
    hu = np.full(depth_mm.shape, AIR_HU, np.float32)
    muscle_mm = np.where(space.y > -10, 60.0, 16.0)
    for least, value in ((0.0, SKIN_HU), (2.0, FAT_HU), (fat_mm, MUSCLE_HU)):
        hu[depth_mm > least] = value
    abdomen = (space.level > 19.0) & (space.level < 29.0)
    hu[(depth_mm > fat_mm + muscle_mm) & abdomen] = float(rng.uniform(-95.0, -20.0))  # fat between the bowels
    neck = (space.level < 8.0) & (np.hypot(space.x, space.y + 42.0) < 9.0)
    hu[neck & (depth_mm > 5.0)] = GAS_HU  # airway
    return hu


def _ellipsoid(
    hu: NDArray[np.float32],
    space: _Space,
    middle: tuple[float, float, float],
    half: tuple[float, float, float],
    value: float,
    allowed: NDArray[np.bool_],
    front_of_mm: float = np.inf,
) -> None:
    """Write ``value`` within an ellipsoid where it is ``allowed``; its middle is (x, y, level), its half axes (x, y,
    levels). ``front_of_mm`` cuts it off: gas on fluid."""
    rows = space.rows(middle[2] - half[2], middle[2] + half[2])
    space = space.part(rows)
    inside = (
        ((space.x - middle[0]) / half[0]) ** 2
        + ((space.y - middle[1]) / half[1]) ** 2
        + ((space.level - middle[2]) / half[2]) ** 2
    ) < 1.0
    hu[rows][inside & allowed[rows] & (space.y < front_of_mm)] = value


def _add_chest(hu: NDArray[np.float32], space: _Space, rng: np.random.Generator) -> None:
    """Lungs with vessels, heart, aorta, trachea, ribs as slanting arcs, and the sternum."""
    rows = space.rows(8.0, 24.0)
    space, hu = space.part(rows), hu[rows]
    inside = hu > AIR_HU
    wall = (np.abs(space.x) / (space.wide - 26.0)) ** 2.2 + (np.abs(space.y - space.front) / (space.deep - 22.0)) ** 2.2
    dome = 1.3 * ((np.abs(space.x) - 65.0) / 65.0) ** 2 - 1.8 * np.clip((-space.y - 20.0) / 80.0, 0.0, 1.0)
    base = 18.4 + float(rng.uniform(-0.8, 0.8)) + np.clip(dome, -1.8, 1.5)  # the diaphragm
    apex = 8.6 + 3.0 * (np.abs(space.x) / space.wide) ** 4
    midline_mm = 15.0 + 14.0 * np.exp(-(((space.y - 6.0) / 22.0) ** 2)) + 24.0 * np.clip((-space.y - 35.0) / 40.0, 0, 1)
    lungs = inside & (wall < 1.0) & (space.level > apex) & (space.level < base) & (np.abs(space.x) > midline_mm)
    vessels = rng.random(tuple(n // 3 + 1 for n in hu.shape), dtype=np.float32) > 0.98
    vessels = np.repeat(np.repeat(np.repeat(vessels, 3, 0), 3, 1), 3, 2)[: hu.shape[0], : hu.shape[1], : hu.shape[2]]
    hu[lungs] = LUNG_HU
    hu[lungs & vessels] = -250.0
    _ellipsoid(hu, space, (22.0, -95.0, 15.6), (58.0, 48.0, 2.9), BLOOD_HU, inside & (wall < 1.05))
    aorta = (np.hypot(space.x - 20.0, space.y + 34.0) < 12.0) & (space.level > 11.0)
    hu[aorta & inside] = BLOOD_HU
    trachea = (np.hypot(space.x + 2.0, space.y + 50.0) < 8.5) & (space.level >= 8.0) & (space.level < 11.8)
    hu[trachea & inside] = GAS_HU
    _add_ribs(hu, space, inside, rng)
    sternum = (np.abs(space.x) < 17.0) & (space.level > 9.8) & (space.level < 16.2)
    hu[sternum & inside & (np.abs(space.y - space.front + space.deep - 20.0) < 6.0)] = 250.0


def _add_ribs(hu: NDArray[np.float32], space: _Space, inside: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Twelve pairs, each leaving the course at its vertebra and sinking on its way round to the front."""
    ring_x, ring_y = space.wide - 21.0, space.deep - 17.0
    angle = np.arctan2(np.abs(space.x) / ring_x, (space.y - space.front) / ring_y)  # 0 at the back, pi in front
    radius = np.hypot(space.x / ring_x, (space.y - space.front) / ring_y)
    off_ring_mm = (radius - 1.0) * 0.5 * (ring_x + ring_y)
    slope = float(rng.uniform(1.3, 2.0))
    passed = space.level - slope * np.sin(np.clip(angle, 0, np.pi) / 2) ** 2  # the level where this arc began
    number = np.rint(passed - FIRST_RIB_LEVEL).clip(0, 11)
    length = RIB_LENGTH_RAD[number.astype(np.intp)]
    off_mm = np.hypot((passed - FIRST_RIB_LEVEL - number) * 23.0, off_ring_mm * 1.3)
    own = inside & (off_mm < 6.5) & (angle < length) & (np.abs(space.x) > 30.0)
    hu[own] = np.where(off_mm[own] < 3.0, MARROW_HU, BONE_HU)


def _add_abdomen(hu: NDArray[np.float32], space: _Space, rng: np.random.Generator) -> None:
    """Liver, spleen, kidneys, psoas, and loops of bowel with gas or fluid."""
    rows = space.rows(16.0, 29.0)
    space, hu = space.part(rows), hu[rows]
    inside = (hu > AIR_HU) & (hu < 150.0) & (hu != LUNG_HU)
    room = inside & (
        (np.abs(space.x) / (space.wide - 30.0)) ** 2 + (np.abs(space.y - space.front) / (space.deep - 28.0)) ** 2 < 1
    )
    jitter = lambda: float(rng.normal(0.0, 6.0))  # noqa: E731
    for middle, half, value in (
        ((-70.0 + jitter(), -60.0, 19.2), (72.0, 70.0, 2.4), ORGAN_HU),  # liver, on the right
        ((85.0 + jitter(), -20.0, 19.0), (30.0, 42.0, 1.7), ORGAN_HU - 6.0),
        ((-58.0 + jitter(), -16.0, 21.3), (26.0, 24.0, 1.6), 34.0),
        ((58.0 + jitter(), -14.0, 20.9), (26.0, 24.0, 1.6), 34.0),
    ):
        _ellipsoid(hu, space, middle, half, value, room)
    for side in (-1.0, 1.0):
        psoas = np.hypot((space.x - side * 40.0) / 20.0, (space.y + 16.0) / 22.0) < (space.level - 19.5) / 4.0
        hu[psoas & inside & (space.level > 20.0) & (space.level < 27.0)] = MUSCLE_HU
    for _ in range(int(rng.integers(14, 30))):
        middle = (float(rng.uniform(-105, 105)), float(rng.uniform(-125, -50)), float(rng.uniform(20.6, 27.5)))
        half = (float(rng.uniform(14, 34)), float(rng.uniform(12, 24)), float(rng.uniform(0.4, 1.0)))
        _ellipsoid(hu, space, middle, half, 35.0, room)
        if rng.random() < 0.45:
            lumen = tuple(0.82 * one for one in half)
            level_mm = middle[1] + half[1] * float(rng.uniform(-0.4, 0.9))
            _ellipsoid(hu, space, middle, lumen, GAS_HU, room, level_mm)  # type: ignore[arg-type]


def _add_pelvis(hu: NDArray[np.float32], space: _Space, scale: float, rng: np.random.Generator) -> None:
    """Iliac wings that open upwards and forwards, the sacrum between them, and the hip joints below."""
    rows = space.rows(23.0, 40.0)
    space, hu = space.part(rows), hu[rows]
    inside = hu > AIR_HU
    below_mm = (space.level - 25.0) * 36.0 * scale  # below the bottom of L5
    wing_x = 62.0 + 0.45 * np.clip(60.0 - below_mm, 0, None) + 0.5 * np.clip(-space.y, 0, None) * (below_mm < 70)
    wing_x = np.minimum(wing_x, space.wide - 26.0)
    crest = -38.0 + float(rng.uniform(-8.0, 8.0)) + 0.004 * (space.y + 20.0) ** 2
    wing = (np.abs(np.abs(space.x) - wing_x) < 6.5) & (below_mm > crest) & (below_mm < 120.0)
    wing &= (space.y > -95.0) & (space.y < 52.0 - 0.2 * below_mm)
    thin = np.abs(np.abs(space.x) - wing_x) < 3.5
    hu[wing & inside] = BONE_HU
    hu[wing & thin & inside] = MARROW_HU
    back = 6.0 + 0.35 * below_mm
    sacrum = (np.abs(space.x) < 52.0 - 0.33 * below_mm) & (np.abs(space.y - back) < 20.0 - 0.1 * below_mm)
    sacrum &= (below_mm > 6.0) & (below_mm < 115.0)
    core = (np.abs(space.x) < 48.0 - 0.33 * below_mm) & (np.abs(space.y - back) < 16.0 - 0.1 * below_mm)
    hu[sacrum & inside] = 350.0
    hu[sacrum & core & inside] = MARROW_HU
    for side in (-1.0, 1.0):
        off = np.sqrt((space.x - side * 88.0) ** 2 + (space.y + 45.0) ** 2 + (below_mm - 130.0) ** 2)
        hu[(off < 27.0) & inside] = BONE_HU
        hu[(off < 22.0) & inside] = 250.0
