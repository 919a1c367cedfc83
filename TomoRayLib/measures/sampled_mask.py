"""A vertebra's mask sampled in its frame, and its walls, endplates and corners along rays through it.

Front and back wall are where rays in the mid-sagittal plane leave the bone at half its height: behind it lies the
spinal canal, so processes are not met. Endplates are where rays along the long axis leave it, within the walls.

Places in the frame are mm along left, posterior and superior; points are LPS mm (x, y, z).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.measures.rays import (
    BACK_MM,
    FRONT_MM,
    LEFT_MM,
    STEP_MM,
    UP_MM,
    first_exit,
    last_exit,
    plane_through,
    smoothed,
)
from TomoRayLib.measures.vertebra_frame import Floats, Frame, VertebraMask

SMOOTHED_MM, SMOOTHED_VOXELS = 0.8, 0.6  # SD, the larger: rounds steps between voxels, leaves flat faces in place
BAND_MM = 5.0  # half width of the mid-sagittal band
FOOTPRINT = 0.75  # of half depth and half width: within it rays meet the endplates and not the rounded rim
RIM_SHARE = 0.3  # of the depth, from either wall inwards: there the rim is looked for
BEYOND_MM = 3.0  # that the rim may lie outside the walls, which are hollow at half the height
WALL_BELOW_RIM = 0.2  # of the height: the back wall at an endplate is read so far from the rim
WALL_IN_FRONT_MM = 5  # of the rim, from where on the way to the canal begins
TO_WALL = 0.1  # mm per mm: of places that stand out alike the one nearer to the wall is the rim
LEAST_SHARE = 0.7  # of the rays that must meet both endplates
DEPTHS_MM, LARGEST_TILT_DEG = (8.0, 50.0), 40.0


class NotMeasurableError(Exception):
    """The reason, as the end of a sentence."""


@dataclass(frozen=True)
class Walls:
    """Places of the walls along left and posterior, mm in the frame."""

    front: float
    back: float
    left: float
    right: float


@dataclass(frozen=True, eq=False)
class SmoothedMask:
    """A vertebra's occupancy, 0 to 1, in a box with a margin (z, y, x), and the way from LPS mm to its indices."""

    voxels: NDArray[np.float32]
    world_to_index: Floats
    first: Floats  # (i, j, k) of the box in the volume

    @classmethod
    def of(cls, vertebra: VertebraMask) -> SmoothedMask:
        spacing_mm = vertebra.grid.spacing_mm[::-1]
        sd = [max(SMOOTHED_MM / mm, SMOOTHED_VOXELS) for mm in spacing_mm]
        margin = [int(np.ceil(4 * voxels)) for voxels in sd]
        padded = np.pad(vertebra.mask.astype(np.float32), [(m, m) for m in margin])
        smooth = ndimage.gaussian_filter(padded, sd, truncate=3.0)
        first = np.array([side.start - m for side, m in zip(vertebra.box, margin, strict=True)][::-1], dtype=float)
        return cls(smooth, vertebra.grid.world_to_index, first)

    def along(self, frame: Frame) -> NDArray[np.float32]:
        """The occupancy in the frame: (superior, posterior, left), steps of ``STEP_MM``, middle at the centre."""
        shape = (2 * UP_MM + 1, FRONT_MM + BACK_MM + 1, 2 * LEFT_MM + 1)
        start = frame.to_world(np.array([-LEFT_MM, -FRONT_MM, -UP_MM], dtype=float))
        turn = self.world_to_index[:3, :3] @ frame.axes * STEP_MM  # (i, j, k) of a step along each axis
        offset = self.world_to_index[:3, :3] @ start + self.world_to_index[:3, 3] - self.first
        sampled = ndimage.affine_transform(
            self.voxels, turn[::-1, ::-1], offset[::-1], output_shape=shape, order=1, mode="constant", cval=0.0
        )
        return np.asarray(sampled, dtype=np.float32)


class SampledMask:
    """A vertebra's occupancy in a frame, (superior, posterior, left), and what rays through it meet."""

    def __init__(self, occupancy: NDArray[np.float32]) -> None:
        self.occupancy = occupancy
        self.posterior_mm = np.arange(-FRONT_MM, BACK_MM + 1, dtype=float)
        self.left_mm = np.arange(-LEFT_MM, LEFT_MM + 1, dtype=float)

    def walls(self) -> Walls:
        """Front and back wall in the mid-sagittal band, the sides at half the depth, all at half the height."""
        band = np.abs(self.left_mm) <= BAND_MM
        slab = self.occupancy[UP_MM - 3 : UP_MM + 4][:, :, band].mean(axis=(0, 2))
        front, back = -first_exit(slab[FRONT_MM::-1]), first_exit(slab[FRONT_MM:])
        if not np.isfinite(front):
            raise NotMeasurableError("its body is not found where it should be")
        if not np.isfinite(back):
            raise NotMeasurableError("no spinal canal shows behind its body")
        depth_mm = back - front
        if not DEPTHS_MM[0] <= depth_mm <= DEPTHS_MM[1]:
            raise NotMeasurableError(f"its body would be {depth_mm:.0f} mm deep")
        middle = round((front + back) / 2) + FRONT_MM
        across = self.occupancy[UP_MM - 3 : UP_MM + 4, middle - 3 : middle + 4].mean(axis=(0, 1))
        left, right = first_exit(across[LEFT_MM:]), -first_exit(across[LEFT_MM::-1])
        if not (np.isfinite(left) and np.isfinite(right)):
            raise NotMeasurableError("the sides of its body do not show")
        return Walls(float(front), float(back), float(left), float(right))

    def heights_at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Where rays leave the bone upwards and downwards, mm along superior; NaN where they do not."""
        rays = self.occupancy[:, rows, columns]
        return first_exit(rays[UP_MM:]), -first_exit(rays[UP_MM::-1])

    def endplates(self, walls: Walls) -> tuple[float, float, tuple[Floats, Floats]]:
        """Upper and lower endplate at the body's middle, mm along superior, and their normals in the frame.

        From side to side an endplate's tilt is that of a plane through it. From front to back it is that of the line
        through its rims, as on a radiograph: an endplate is hollow, and deepest behind its middle.
        """
        half_depth, half_width = (walls.back - walls.front) / 2, (walls.left - walls.right) / 2
        p = (self.posterior_mm - (walls.front + walls.back) / 2) / half_depth
        q = (self.left_mm - (walls.left + walls.right) / 2) / half_width
        rows, columns = np.nonzero(p[:, None] ** 2 + q[None, :] ** 2 <= FOOTPRINT**2)
        top, bottom = self.heights_at(rows, columns)
        met = np.isfinite(top) & np.isfinite(bottom)
        if met.mean() < LEAST_SHARE:
            raise NotMeasurableError("too little of its endplates shows")
        x, y = self.left_mm[columns[met]], self.posterior_mm[rows[met]]
        corners = self.corners(walls)
        levels, normals = [], []
        for name, plate in (("upper", top[met]), ("lower", bottom[met])):
            across = plane_through(x, y, plate)[0]
            (front, low), (back, high) = corners[f"{name}_anterior"], corners[f"{name}_posterior"]
            slope = (high - low) / (back - front)
            normal = np.array([-across, -slope, 1.0])
            normals.append(normal / np.linalg.norm(normal))
            levels.append((low + high) / 2)
        tilts = [np.degrees(np.arccos(np.clip(normal[2], -1, 1))) for normal in normals]
        if max(tilts) > LARGEST_TILT_DEG:
            raise NotMeasurableError("its endplates do not face each other")
        return levels[0], levels[1], (normals[0], normals[1])

    def corners(self, walls: Walls) -> dict[str, tuple[float, float]]:
        """Where the line through the rims of either endplate meets the front and the back wall: (posterior, superior)
        in mm. The rims themselves stand a little inside, the farther the coarser the voxels."""
        rims, found = self._rims(walls), {}
        for plate in ("upper", "lower"):
            (front, low), (back, high) = rims[f"{plate}_anterior"], rims[f"{plate}_posterior"]
            slope = (high - low) / (back - front)
            for name, wall in (("anterior", walls.front), ("posterior", walls.back)):
                found[f"{plate}_{name}"] = (wall, low + slope * (wall - front))
        return found

    def _rims(self, walls: Walls) -> dict[str, tuple[float, float]]:
        """Where the rim of either endplate stands out most, in front and behind: (posterior, superior) in mm.

        They are read from the outline of the mid-sagittal band, the endplate's own tilt taken off.
        """
        outlines = self.outline(walls)
        depth_mm = walls.back - walls.front
        zones = {
            "anterior": (walls.front - BEYOND_MM, walls.front + RIM_SHARE * depth_mm),
            "posterior": (walls.back - RIM_SHARE * depth_mm, walls.back + BEYOND_MM),
        }
        found: dict[str, tuple[float, float]] = {}
        for plate, outline in outlines.items():
            outwards = 1.0 if plate == "upper" else -1.0
            slope = 0.0
            for _ in range(3):
                for name, (low, high) in zones.items():
                    inside = np.flatnonzero(
                        (self.posterior_mm >= low) & (self.posterior_mm <= high) & np.isfinite(outline)
                    )
                    if len(inside) < 2:
                        raise NotMeasurableError(f"the {name} rim of its {plate} endplate does not show")
                    at = self.posterior_mm[inside]
                    to_wall = -at if name == "anterior" else at
                    stands_out = outwards * (outline[inside] - slope * at) + TO_WALL * to_wall
                    best = int(stands_out.argmax())
                    found[f"{plate}_{name}"] = (float(at[best]), float(outline[inside[best]]))
                (front, first), (back, second) = found[f"{plate}_anterior"], found[f"{plate}_posterior"]
                slope = (second - first) / (back - front)
        return found

    def outline(self, walls: Walls) -> dict[str, Floats]:
        """Upper and lower outline of the mid-sagittal band over ``posterior_mm``, mm along superior; NaN beside it."""
        aside = (walls.left + walls.right) / 2
        band = np.abs(self.left_mm - aside) <= BAND_MM
        image = self.occupancy[:, :, band].mean(axis=2)
        rows = (self.posterior_mm >= walls.front - BEYOND_MM) & (self.posterior_mm <= walls.back + BEYOND_MM)
        upper = np.where(rows, last_exit(image[::-1]), np.nan)
        lower = np.where(rows, -last_exit(image), np.nan)
        return {name: smoothed(values) for name, values in (("upper", upper), ("lower", lower))}

    def back_wall(
        self, frame: Frame, points_mm: dict[str, Floats], height_mm: float, walls: Walls, aside: float
    ) -> dict[str, Floats]:
        """The back wall near either endplate, where bone ends before the canal."""
        band = np.abs(self.left_mm - aside) <= BAND_MM
        found = {}
        for name, sign in (("upper", -1.0), ("lower", 1.0)):
            _, back, level = (points_mm[f"{name}_posterior"] - frame.middle_mm) @ frame.axes
            row = round(level + sign * WALL_BELOW_RIM * height_mm) + UP_MM
            start = round(min(back, walls.back)) - WALL_IN_FRONT_MM + FRONT_MM
            profile = self.occupancy[row - 1 : row + 2, start:][:, :, band].mean(axis=(0, 2))
            inside = int(np.argmax(profile >= 0.5))
            exit_mm = float(first_exit(profile[inside:])) + inside
            if not np.isfinite(exit_mm):
                raise NotMeasurableError("no spinal canal shows behind its body")
            found[name] = frame.to_world(np.array([aside, self.posterior_mm[start] + exit_mm, level]))
        return found
