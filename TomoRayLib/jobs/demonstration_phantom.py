"""An analytical torso: the demonstration's substitute if the real CT cannot be fetched.

Nine vertebrae, T9 to L5, in an elliptic torso without lungs or ribs. The column has a lordosis, a thoracic kyphosis, a
scoliosis and some axial rotation, so that no mirror image looks like the original. Shapes are *depths*: the distance in
mm of a voxel below the surface of a shape, negative outside. They are exact for capsules and near the surface for the
rest, which is what a cortical shell and a partial-volume edge need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume

Array = NDArray[np.float32]
Point = tuple[float, float, float]

SPACING_MM = 1.5
GRID = Grid(size=(171, 160, 200), spacing_mm=(SPACING_MM,) * 3, origin_mm=(-118.0, -126.0, -310.0))
SEED = 1

FAT_HU, MUSCLE_HU, VISCERA_HU, KIDNEY_HU, DISC_HU, CANAL_HU = -100.0, 55.0, 35.0, 30.0, 80.0, 20.0
CORTEX_HU, TRABECULAR_HU = 800.0, 190.0
TISSUE_NOISE_HU, TRABECULAR_NOISE_HU = 8.0, 45.0
CORTEX_MM = 1.6  # about one voxel: endplates and arches of the lower spine are 0.5 to 2 mm

TORSO_HALF_WIDTH_MM, TORSO_HALF_DEPTH_MM = 116.0, 106.0
SKIN_FAT_MM, WALL_MUSCLE_MM = 12.0, 10.0
COLUMN_Y_MM = 22.0  # the middle of the bodies lies behind the middle of the torso


@dataclass(frozen=True)
class Vertebra:
    """Sizes in mm of one vertebra and the pose of its body: LPS centre, and three rotations in degrees."""

    name: str
    height_mm: float
    half_width_mm: float
    half_depth_mm: float
    center_mm: Point
    sagittal_deg: float
    coronal_deg: float
    axial_deg: float

    @property
    def is_lumbar(self) -> bool:
        return self.name.startswith("L")


# name, height of the body, of the disc below it, half width, half depth of the body; adult mean values, rounded
SIZES_MM = (
    ("T9", 20.5, 4.0, 15.0, 13.0),
    ("T10", 21.0, 4.5, 15.5, 13.5),
    ("T11", 21.5, 5.0, 16.5, 14.0),
    ("T12", 23.0, 5.5, 18.0, 14.5),
    ("L1", 24.5, 6.5, 20.0, 15.0),
    ("L2", 25.0, 7.5, 21.0, 15.5),
    ("L3", 25.5, 8.5, 22.5, 16.0),
    ("L4", 25.5, 9.5, 24.0, 16.5),
    ("L5", 25.5, 9.0, 25.5, 17.0),
)


def phantom_volumes() -> tuple[Volume, Volume]:
    """Return the CT in HU (float32) and its labels in VerSe numbering (uint8); the voxels are always the same."""
    random = np.random.default_rng(SEED)
    hu = _torso(random)
    labels = np.zeros(GRID.shape, np.uint8)
    texture = _texture(random)
    column = vertebral_column()
    for upper, lower in pairwise(column):
        _paint_disc(hu, upper, lower)
    for vertebra in column:
        _paint_vertebra(hu, labels, vertebra, texture)
    return Volume(hu, GRID), Volume(labels, GRID)


def vertebral_column() -> tuple[Vertebra, ...]:
    """The nine vertebrae from T9 down, stacked along the curved centre line about the middle of the grid."""
    total_mm = sum(height + disc for _, height, disc, _, _ in SIZES_MM) - SIZES_MM[-1][2]
    top_mm = GRID.center_mm[2] + total_mm / 2
    column, fallen_mm = [], 0.0
    for name, height, disc, half_width, half_depth in SIZES_MM:
        along = (fallen_mm + height / 2) / total_mm  # 0 at the top of T9, 1 at the bottom of L5
        x_mm, y_mm = _centre_line(along)
        (x_up, y_up), (x_down, y_down) = _centre_line(along - 0.01), _centre_line(along + 0.01)
        step_mm = 0.02 * total_mm
        column.append(
            Vertebra(
                name=name,
                height_mm=height,
                half_width_mm=half_width,
                half_depth_mm=half_depth,
                center_mm=(x_mm, y_mm, top_mm - fallen_mm - height / 2),
                sagittal_deg=math.degrees(math.atan2(y_up - y_down, step_mm)),
                coronal_deg=math.degrees(math.atan2(x_up - x_down, step_mm)),
                axial_deg=6.0 * math.sin(math.pi * along),
            )
        )
        fallen_mm += height + disc
    return tuple(column)


def _centre_line(along: float) -> tuple[float, float]:
    """(x, y) in mm at a fraction of the way down: kyphosis above, lordosis below, scoliosis convex to the left."""
    x_mm = 9.0 * math.sin(math.pi * along) - 3.0 * math.sin(2 * math.pi * along)
    y_mm = COLUMN_Y_MM + 10.0 * math.cos(2 * math.pi * (along - 0.12)) * (1 - 0.25 * along)
    return x_mm, y_mm


def _axes_mm() -> tuple[Array, Array, Array]:
    """x, y, z of the voxel centres in LPS mm, shaped to broadcast over ``(z, y, x)``."""
    x, y, z = ((GRID.origin_mm[axis] + np.arange(GRID.size[axis]) * SPACING_MM).astype(np.float32) for axis in range(3))
    return x[None, None, :], y[None, :, None], z[:, None, None]


def _torso(random: np.random.Generator) -> Array:
    """HU of the torso without bones: skin fat, a wall of muscle, viscera, two kidneys, back muscles, noise."""
    x, y, z = _axes_mm()
    skin = _ellipse_depth(x, y, TORSO_HALF_WIDTH_MM, TORSO_HALF_DEPTH_MM)
    hu = np.full(GRID.shape, AIR_HU, np.float32)
    hu += _coverage(skin) * (FAT_HU - AIR_HU)
    _blend(hu, _coverage(skin - SKIN_FAT_MM), MUSCLE_HU)
    abdomen = np.minimum(skin - SKIN_FAT_MM - WALL_MUSCLE_MM, 30.0 - y)  # ends in front of the back muscles
    _blend(hu, _coverage(abdomen), VISCERA_HU)
    for side, z_mm in ((-1.0, -150.0), (1.0, -138.0)):  # the right kidney lies lower
        offset = ((x - side * 58.0) / 26.0) ** 2 + ((y - 14.0) / 22.0) ** 2 + ((z - z_mm) / 52.0) ** 2
        depth = (1.0 - np.sqrt(offset)) * 22.0
        _blend(hu, _coverage(depth + 8.0), FAT_HU)
        _blend(hu, _coverage(depth), KIDNEY_HU)
    noise = random.standard_normal(GRID.shape, dtype=np.float32) * TISSUE_NOISE_HU
    return hu + noise


def _texture(random: np.random.Generator) -> Array:
    """Noise with a grain of two to three voxels, mean 0 and standard deviation 1: trabeculae at this resolution."""
    noise = random.standard_normal(GRID.shape, dtype=np.float32)
    for axis in range(3):
        noise = noise + 0.5 * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    return noise / noise.std()


def _paint_disc(hu: Array, upper: Vertebra, lower: Vertebra) -> None:
    """An elliptic plate of fibrocartilage between two bodies; they are painted over it."""
    box = _box_around(upper.center_mm, lower.center_mm, margin_mm=lower.half_width_mm + 6.0)
    x, y, z = _points_in(box)
    middle = [(a + b) / 2 for a, b in zip(upper.center_mm, lower.center_mm, strict=True)]
    side = _ellipse_depth(x - middle[0], y - middle[1], 0.95 * lower.half_width_mm, 0.95 * lower.half_depth_mm)
    depth = np.minimum(side, lower.height_mm / 2 - np.abs(z - middle[2]))
    _blend(hu[box], _coverage(depth), DISC_HU)


def _paint_vertebra(hu: Array, labels: NDArray[np.uint8], vertebra: Vertebra, texture: Array) -> None:
    """Write one vertebra over ``hu`` and ``labels``: a cortical shell around trabecular bone, the canal left soft."""
    box = _box_around(vertebra.center_mm, vertebra.center_mm, margin_mm=68.0)
    local = _to_local(_points_in(box), vertebra)
    bone, canal = _bone_depth(local, vertebra)
    _blend(hu[box], _coverage(canal), CANAL_HU)
    shell = np.clip((CORTEX_MM - bone) / SPACING_MM + 0.5, 0.0, 1.0)
    interior_hu = TRABECULAR_HU + TRABECULAR_NOISE_HU * texture[box]
    taken = labels[box] != 0  # facets meet: a voxel belongs to the vertebra that was painted first
    coverage = np.where(taken, 0.0, _coverage(bone))
    _blend(hu[box], coverage, shell * CORTEX_HU + (1.0 - shell) * interior_hu)
    labels[box][coverage >= 0.5] = LABEL_OF_NAME[vertebra.name]


def _bone_depth(local: tuple[Array, Array, Array], vertebra: Vertebra) -> tuple[Array, Array]:
    """(bone, canal): depth in mm below the surface of the bone and of the spinal canal, in the vertebra's own frame."""
    x, y, z = local
    a, b, h = vertebra.half_width_mm, vertebra.half_depth_mm, vertebra.height_mm
    canal_x, canal_y = (11.5, 8.5) if vertebra.is_lumbar else (8.5, 8.0)
    canal_center = b + canal_y - 1.5
    canal = _ellipse_depth(x, y - canal_center, canal_x, canal_y)

    waist = 1.0 - 0.10 * np.clip(1.0 - (2.0 * z / h) ** 2, 0.0, 1.0)  # bodies are narrower at mid-height
    body = np.minimum(_ellipse_depth(x / waist, y / waist, a, b), h / 2 - np.abs(z))

    ring = np.minimum(_ellipse_depth(x, y - canal_center, canal_x + 5.5, canal_y + 6.0), y - canal_center + 2.0)
    lamina = np.minimum(ring, 0.36 * h - np.abs(z + 0.14 * h))
    bone = np.maximum(body, lamina)
    for start, end, radius_mm, flatten_x in _processes(vertebra, canal_x, canal_center, canal_y):
        bone = np.maximum(bone, _capsule_depth(local, start, end, radius_mm, flatten_x))
    canal = np.minimum(canal, h / 2 + 4.0 - np.abs(z))
    return np.minimum(bone, -canal), canal


def _processes(
    vertebra: Vertebra, canal_x: float, canal_center: float, canal_y: float
) -> list[tuple[Point, Point, float, float]]:
    """Pedicles, transverse, articular and spinous processes as capsules: start, end, radius in mm, thickness in x."""
    h, b = vertebra.height_mm, vertebra.half_depth_mm
    back = canal_center + canal_y
    parts: list[tuple[Point, Point, float, float]] = []
    for side in (-1.0, 1.0):
        joint_x = side * (canal_x + 4.5)
        parts.append(((joint_x, 0.5 * b, 0.18 * h), (joint_x, canal_center + 2, 0.12 * h), 4.4, 4.4))
        tip = (side * (canal_x + 29), canal_center + 7, 1.0) if vertebra.is_lumbar else _thoracic_tip(side, back, h)
        parts.append(((joint_x, canal_center + 2, 0.05 * h), tip, 3.6, 3.6))
        parts.append(((joint_x, canal_center + 3, 0.1 * h), (joint_x, canal_center + 4, 0.58 * h), 3.4, 3.4))
        parts.append(((joint_x, back, -0.1 * h), (joint_x * 0.9, back + 1, -0.52 * h), 3.4, 3.4))
    if vertebra.is_lumbar:
        parts.append(((0.0, back + 2, -0.15 * h), (0.0, back + 25, -0.3 * h), 8.0, 3.4))
    else:
        parts.append(((0.0, back + 2, -0.2 * h), (0.0, back + 24, -1.1 * h), 5.0, 3.2))
    return parts


def _thoracic_tip(side: float, back: float, height_mm: float) -> Point:
    return (side * 27.0, back + 9, 0.2 * height_mm)


def _ellipse_depth(x: Array, y: Array, half_x_mm: float, half_y_mm: float) -> Array:
    """Depth in mm below an upright elliptic cylinder (first-order distance: value over gradient)."""
    radius = np.sqrt((x / half_x_mm) ** 2 + (y / half_y_mm) ** 2)
    slope = np.sqrt((x / half_x_mm**2) ** 2 + (y / half_y_mm**2) ** 2)
    tiny = np.float32(1e-6)
    return (1.0 - radius) * np.maximum(radius, tiny) / np.maximum(slope, tiny)


def _capsule_depth(
    points: tuple[Array, Array, Array], start: Point, end: Point, radius_mm: float, flatten_x: float
) -> Array:
    """Depth in mm below a capsule from ``start`` to ``end``; ``flatten_x`` is its radius along x if that differs."""
    stretch = radius_mm / flatten_x
    axis = np.subtract(end, start).astype(np.float32)
    offset = [coordinate - begin for coordinate, begin in zip(points, start, strict=True)]
    along: Array = offset[0] * axis[0] + offset[1] * axis[1] + offset[2] * axis[2]
    along = np.clip(along / np.float32(max(float(axis @ axis), 1e-6)), 0.0, 1.0)
    gap = [component - along * part for component, part in zip(offset, axis, strict=True)]
    distance = np.sqrt((gap[0] * stretch) ** 2 + gap[1] ** 2 + gap[2] ** 2)
    return (radius_mm - distance) / max(stretch, 1.0)


def _to_local(points: tuple[Array, Array, Array], vertebra: Vertebra) -> tuple[Array, Array, Array]:
    """LPS points in the vertebra's frame: x to the left, y to posterior, z up along the column, origin in the body."""
    sagittal, coronal, axial = (
        math.radians(angle) for angle in (vertebra.sagittal_deg, vertebra.coronal_deg, vertebra.axial_deg)
    )
    up = np.array([math.tan(coronal), math.tan(sagittal), 1.0])
    up /= np.linalg.norm(up)
    left = np.array([math.cos(axial), math.sin(axial), 0.0])
    left -= (left @ up) * up
    left /= np.linalg.norm(left)
    posterior = np.cross(up, left)
    x, y, z = (coordinate - center for coordinate, center in zip(points, vertebra.center_mm, strict=True))
    along_left, along_posterior, along_up = (
        np.float32(axis[0]) * x + np.float32(axis[1]) * y + np.float32(axis[2]) * z for axis in (left, posterior, up)
    )
    return along_left, along_posterior, along_up


def _box_around(first: Point, second: Point, margin_mm: float) -> tuple[slice, slice, slice]:
    """Index slices ``(z, y, x)`` of the voxels within ``margin_mm`` of two points, kept inside the grid."""
    low = np.minimum(first, second) - margin_mm - np.asarray(GRID.origin_mm)
    high = np.maximum(first, second) + margin_mm - np.asarray(GRID.origin_mm)
    begin = np.maximum(np.floor(low / SPACING_MM).astype(int), 0)
    end = np.minimum(np.ceil(high / SPACING_MM).astype(int) + 1, GRID.size)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(begin, end, strict=True))
    return z, y, x


def _points_in(box: tuple[slice, slice, slice]) -> tuple[Array, Array, Array]:
    x, y, z = _axes_mm()
    return x[:, :, box[2]], y[:, box[1], :], z[box[0], :, :]


def _coverage(depth_mm: Array) -> Array:
    """Fraction of a voxel that lies inside: 0.5 on the surface, 1 half a voxel below it."""
    return np.clip(depth_mm / SPACING_MM + 0.5, 0.0, 1.0)


def _blend(hu: Array, coverage: Array, value_hu: float | Array) -> None:
    """Mix ``value_hu`` into ``hu`` in place."""
    hu += coverage * (value_hu - hu)
