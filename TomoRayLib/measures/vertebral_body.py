"""The body of a vertebra, measured along rays: walls, endplates and heights.

In the vertebra's frame the body is sampled in steps of ``STEP_MM``. Its front and back wall are where rays in the
mid-sagittal plane leave the bone at half its height: behind it lies the spinal canal, so processes are not met. The
endplates are where rays along the long axis leave it, within the walls; a plane through each gives its tilt. The long
axis is then the mean of both normals, and all is done again about it.

Points and directions are LPS mm (x, y, z).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.measures.vertebra_frame import Floats, Frame, VertebraMask, mirror_frame

STEP_MM = 1.0
SMOOTHED_MM, SMOOTHED_VOXELS = 0.8, 0.6  # SD, the larger: rounds steps between voxels, leaves flat faces in place
LEFT_MM, FRONT_MM, BACK_MM, UP_MM = 34, 30, 34, 30  # reach from the middle
ROUNDS = 3
BAND_MM = 5.0  # half width of the mid-sagittal band
FOOTPRINT = 0.75  # of half depth and half width: within it rays meet the endplates and not the rounded rim
POSITIONS = ("anterior", "middle", "posterior")
MIDDLE_WIDTH = 1 / 12  # of the depth, to either side
RIM_SHARE = 0.3  # of the depth, from either wall inwards: there the rim is looked for
BEYOND_MM = 3.0  # that the rim may lie outside the walls, which are hollow at half the height
WALL_BELOW_RIM = 0.2  # of the height: the back wall at an endplate is read so far from the rim
WALL_IN_FRONT_MM = 5  # of the rim, from where on the way to the canal begins
TO_WALL = 0.1  # mm per mm: of places that stand out alike the one nearer to the wall is the rim
LEAST_SHARE = 0.7  # of the rays that must meet both endplates
DEPTHS_MM, HEIGHTS_MM, LARGEST_TILT_DEG = (8.0, 50.0), (5.0, 50.0), 40.0
COARSEST_MM = 3.5  # voxels
EDGE_VOXELS = 0.25  # nearer to the centres of the volume's first or last voxels a face is where the image ends
ATLAS, AXIS = 1, 2
NO_BODY = {
    ATLAS: "C1 has no body",
    AXIS: "the dens is one with the body of C2, so that it has no upper endplate",
}


@dataclass(frozen=True, eq=False)
class Endplate:
    """A plane through an endplate: the middle of its rays, LPS mm, and the unit normal that points upwards."""

    center_mm: Floats
    normal: Floats


@dataclass(frozen=True, eq=False)
class VertebralBody:
    """One body.

    Args:
        label: VerSe number.
        frame: Middle of the body and its directions.
        has_direction: False if nothing behind the body tells which way it is turned; left and back are then the
            patient's.
        upper: Upper endplate.
        lower: Lower endplate.
        depth_mm: From the front to the back wall at half its height.
        width_mm: From side to side at half its height and depth.
        heights_mm: By position (``POSITIONS``).
        points_mm: ``upper_anterior`` ... ``lower_posterior``: the ends of these heights in the mid-sagittal plane; those
            in front and behind lie at the walls.
        back_wall_mm: ``upper`` and ``lower``: the back wall at the levels of the endplates.
    """

    label: int
    frame: Frame
    has_direction: bool
    upper: Endplate
    lower: Endplate
    depth_mm: float
    width_mm: float
    heights_mm: dict[str, float]
    points_mm: dict[str, Floats]
    back_wall_mm: dict[str, Floats]

    @property
    def name(self) -> str:
        """``"L1"``."""
        return NAME_OF_LABEL[self.label]

    def to_json_dict(self) -> dict[str, Any]:
        """Place, directions and points for ``json.dump``."""

        def rounded(values: Floats, digits: int) -> list[float]:
            return [round(float(value), digits) + 0.0 for value in values]

        frame = self.frame
        plates = {
            name: {"center_mm": rounded(plate.center_mm, 2), "normal": rounded(plate.normal, 5)}
            for name, plate in (("upper_endplate", self.upper), ("lower_endplate", self.lower))
        }
        return {
            "center_mm": rounded(frame.middle_mm, 2),
            "axes": {
                name: rounded(way, 5)
                for name, way in (("left", frame.left), ("posterior", frame.posterior), ("superior", frame.superior))
            },
            "corners_mm": {name: rounded(point, 2) for name, point in self.points_mm.items()},
            **plates,
            "depth_mm": round(self.depth_mm, 2),
            "width_mm": round(self.width_mm, 2),
        }


@dataclass(frozen=True)
class NoBody:
    """Why the body of a vertebra cannot be measured, as the end of a sentence."""

    label: int
    because: str

    @property
    def name(self) -> str:
        """``"L1"``."""
        return NAME_OF_LABEL[self.label]


class _NotMeasurableError(Exception):
    """The reason, as the end of a sentence."""


def measure_body(vertebra: VertebraMask, middle_mm: Floats, superior: Floats) -> VertebralBody | NoBody:
    """Measure the body of one vertebra.

    Args:
        vertebra: The vertebra, with or without processes.
        middle_mm: About the middle of its body.
        superior: About its long axis.

    Returns:
        The body, or why there is none to be measured.
    """
    if vertebra.label in NO_BODY:
        return NoBody(vertebra.label, NO_BODY[vertebra.label])
    coarsest = max(vertebra.grid.spacing_mm)
    if coarsest > COARSEST_MM:
        return NoBody(
            vertebra.label, f"the mask is too coarse: voxels of {coarsest:.1f} mm, at most {COARSEST_MM:g} will do"
        )
    try:
        return _measured(vertebra, middle_mm, superior)
    except _NotMeasurableError as problem:
        return NoBody(vertebra.label, str(problem))


def _measured(vertebra: VertebraMask, middle_mm: Floats, superior: Floats) -> VertebralBody:
    smooth = _Smoothed.of(vertebra)
    found = mirror_frame(vertebra, middle_mm, superior)
    frame = found or Frame.along(middle_mm, superior, np.array([0.0, 1.0, 0.0]))
    for number in range(ROUNDS):
        sampled = _Sampled(smooth.along(frame))
        walls = sampled.walls()
        center = np.array([(walls.left + walls.right) / 2, (walls.front + walls.back) / 2, 0.0])
        top, bottom, normals = sampled.endplates(walls)
        center[2] = (top + bottom) / 2
        if number + 1 == ROUNDS:
            break
        middle = frame.to_world(center)
        up = frame.axes @ (normals[0] + normals[1])
        frame = Frame.along(middle, up, frame.posterior)
        if found is not None and number == 0:
            frame = mirror_frame(vertebra, middle, up) or frame
    body = sampled.body(vertebra.label, frame, walls, center, normals, found is not None)
    smooth.check_not_cut(body)
    return body


@dataclass(frozen=True)
class _Walls:
    """Places of the walls along left and posterior, mm in the frame."""

    front: float
    back: float
    left: float
    right: float


@dataclass(frozen=True, eq=False)
class _Smoothed:
    """A vertebra's occupancy, 0 to 1, in a box with a margin (z, y, x), and the way from LPS mm to its indices."""

    voxels: NDArray[np.float32]
    world_to_index: Floats
    first: Floats  # (i, j, k) of the box in the volume
    size: Floats  # of the volume (i, j, k)

    @classmethod
    def of(cls, vertebra: VertebraMask) -> _Smoothed:
        spacing_mm = vertebra.grid.spacing_mm[::-1]
        sd = [max(SMOOTHED_MM / mm, SMOOTHED_VOXELS) for mm in spacing_mm]
        margin = [int(np.ceil(4 * voxels)) for voxels in sd]
        padded = np.pad(vertebra.mask.astype(np.float32), [(m, m) for m in margin])
        smooth = ndimage.gaussian_filter(padded, sd, truncate=3.0)
        first = np.array([side.start - m for side, m in zip(vertebra.box, margin, strict=True)][::-1], dtype=float)
        return cls(smooth, vertebra.grid.world_to_index, first, np.array(vertebra.grid.size, dtype=float))

    def along(self, frame: Frame) -> NDArray[np.float32]:
        """The occupancy in the frame: (superior, posterior, left), steps of ``STEP_MM``, middle at ``_ZERO``."""
        shape = (2 * UP_MM + 1, FRONT_MM + BACK_MM + 1, 2 * LEFT_MM + 1)
        start = frame.to_world(np.array([-LEFT_MM, -FRONT_MM, -UP_MM], dtype=float))
        turn = (
            self.world_to_index[:3, :3] @ frame.axes * STEP_MM
        )  # index (i, j, k) per step (left, posterior, superior)
        offset = self.world_to_index[:3, :3] @ start + self.world_to_index[:3, 3] - self.first
        sampled = ndimage.affine_transform(
            self.voxels, turn[::-1, ::-1], offset[::-1], output_shape=shape, order=1, mode="constant", cval=0.0
        )
        return np.asarray(sampled, dtype=np.float32)

    def check_not_cut(self, body: VertebralBody) -> None:
        """Raise if a face of the body lies where the volume ends."""
        faces = [*body.points_mm.values(), *body.back_wall_mm.values()]
        for point in faces:
            index = self.world_to_index[:3, :3] @ point + self.world_to_index[:3, 3]
            if (index < EDGE_VOXELS).any() or (index > self.size - 1 - EDGE_VOXELS).any():
                raise _NotMeasurableError("the edge of the volume cuts it")


class _Sampled:
    """A vertebra's occupancy in a frame, (superior, posterior, left), and what rays through it meet."""

    def __init__(self, occupancy: NDArray[np.float32]) -> None:
        self.occupancy = occupancy
        self.posterior_mm = np.arange(-FRONT_MM, BACK_MM + 1, dtype=float)
        self.left_mm = np.arange(-LEFT_MM, LEFT_MM + 1, dtype=float)

    def walls(self) -> _Walls:
        """Front and back wall in the mid-sagittal band, the sides at half the depth, all at half the height."""
        band = np.abs(self.left_mm) <= BAND_MM
        slab = self.occupancy[UP_MM - 3 : UP_MM + 4][:, :, band].mean(axis=(0, 2))
        front, back = -_first_exit(slab[FRONT_MM::-1]), _first_exit(slab[FRONT_MM:])
        if not np.isfinite(front):
            raise _NotMeasurableError("its body is not found where it should be")
        if not np.isfinite(back):
            raise _NotMeasurableError("no spinal canal shows behind its body")
        depth_mm = back - front
        if not DEPTHS_MM[0] <= depth_mm <= DEPTHS_MM[1]:
            raise _NotMeasurableError(f"its body would be {depth_mm:.0f} mm deep")
        middle = round((front + back) / 2) + FRONT_MM
        across = self.occupancy[UP_MM - 3 : UP_MM + 4, middle - 3 : middle + 4].mean(axis=(0, 1))
        left, right = _first_exit(across[LEFT_MM:]), -_first_exit(across[LEFT_MM::-1])
        if not (np.isfinite(left) and np.isfinite(right)):
            raise _NotMeasurableError("the sides of its body do not show")
        return _Walls(float(front), float(back), float(left), float(right))

    def heights_at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Where rays leave the bone upwards and downwards, mm along superior; NaN where they do not."""
        rays = self.occupancy[:, rows, columns]
        return _first_exit(rays[UP_MM:]), -_first_exit(rays[UP_MM::-1])

    def endplates(self, walls: _Walls) -> tuple[float, float, tuple[Floats, Floats]]:
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
            raise _NotMeasurableError("too little of its endplates shows")
        x, y = self.left_mm[columns[met]], self.posterior_mm[rows[met]]
        corners = self.corners(walls)
        levels, normals = [], []
        for name, plate in (("upper", top[met]), ("lower", bottom[met])):
            across = _plane(x, y, plate)[0]
            (front, low), (back, high) = corners[f"{name}_anterior"], corners[f"{name}_posterior"]
            slope = (high - low) / (back - front)
            normal = np.array([-across, -slope, 1.0])
            normals.append(normal / np.linalg.norm(normal))
            levels.append((low + high) / 2)
        tilts = [np.degrees(np.arccos(np.clip(normal[2], -1, 1))) for normal in normals]
        if max(tilts) > LARGEST_TILT_DEG:
            raise _NotMeasurableError("its endplates do not face each other")
        return levels[0], levels[1], (normals[0], normals[1])

    def corners(self, walls: _Walls) -> dict[str, tuple[float, float]]:
        """Where the line through the rims of either endplate meets the front and the back wall: (posterior, superior)
        in mm. The rims themselves stand a little inside, the farther the coarser the voxels."""
        rims, found = self._rims(walls), {}
        for plate in ("upper", "lower"):
            (front, low), (back, high) = rims[f"{plate}_anterior"], rims[f"{plate}_posterior"]
            slope = (high - low) / (back - front)
            for name, wall in (("anterior", walls.front), ("posterior", walls.back)):
                found[f"{plate}_{name}"] = (wall, low + slope * (wall - front))
        return found

    def _rims(self, walls: _Walls) -> dict[str, tuple[float, float]]:
        """Where the rim of either endplate stands out most, in front and behind: (posterior, superior) in mm.

        They are read from the outline of the mid-sagittal band, the endplate's own tilt taken off.
        """
        outlines = self._outline(walls)
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
                        raise _NotMeasurableError(f"the {name} rim of its {plate} endplate does not show")
                    at = self.posterior_mm[inside]
                    to_wall = -at if name == "anterior" else at
                    stands_out = outwards * (outline[inside] - slope * at) + TO_WALL * to_wall
                    best = int(stands_out.argmax())
                    found[f"{plate}_{name}"] = (float(at[best]), float(outline[inside[best]]))
                (front, first), (back, second) = found[f"{plate}_anterior"], found[f"{plate}_posterior"]
                slope = (second - first) / (back - front)
        return found

    def _outline(self, walls: _Walls) -> dict[str, Floats]:
        """Upper and lower outline of the mid-sagittal band over ``posterior_mm``, mm along superior; NaN beside it."""
        aside = (walls.left + walls.right) / 2
        band = np.abs(self.left_mm - aside) <= BAND_MM
        image = self.occupancy[:, :, band].mean(axis=2)
        rows = (self.posterior_mm >= walls.front - BEYOND_MM) & (self.posterior_mm <= walls.back + BEYOND_MM)
        upper = np.where(rows, _last_exit(image[::-1]), np.nan)
        lower = np.where(rows, -_last_exit(image), np.nan)
        return {name: _smoothed(values) for name, values in (("upper", upper), ("lower", lower))}

    def body(
        self, label: int, frame: Frame, walls: _Walls, center: Floats, normals: tuple[Floats, Floats], turned: bool
    ) -> VertebralBody:
        """The body, from the last round's walls and endplates."""
        depth_mm = walls.back - walls.front
        aside = (walls.left + walls.right) / 2
        ends = self.corners(walls)
        outlines, at = self._outline(walls), (walls.front + walls.back) / 2
        near = np.abs(self.posterior_mm - at) <= MIDDLE_WIDTH * depth_mm
        for plate, outline in outlines.items():
            ends[f"{plate}_middle"] = (at, float(np.nanmean(outline[near])))
        heights_mm = {name: ends[f"upper_{name}"][1] - ends[f"lower_{name}"][1] for name in POSITIONS}
        for name, height_mm in heights_mm.items():
            if not HEIGHTS_MM[0] <= height_mm <= HEIGHTS_MM[1]:
                raise _NotMeasurableError(f"its {name} height would be {height_mm:.0f} mm")
        points_mm = {name: frame.to_world(np.array([aside, *place])) for name, place in ends.items()}
        plates = []
        for normal, plate in zip(normals, ("upper", "lower"), strict=True):
            rim = (points_mm[f"{plate}_anterior"] + points_mm[f"{plate}_posterior"]) / 2
            plates.append(Endplate(rim, frame.axes @ normal))
        return VertebralBody(
            label=label,
            frame=frame.moved(center),
            has_direction=turned,
            upper=plates[0],
            lower=plates[1],
            depth_mm=depth_mm,
            width_mm=walls.left - walls.right,
            heights_mm=heights_mm,
            points_mm=points_mm,
            back_wall_mm=self._back_wall(frame, points_mm, heights_mm["posterior"], walls, aside),
        )

    def _back_wall(
        self, frame: Frame, points_mm: dict[str, Floats], height_mm: float, walls: _Walls, aside: float
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
            exit_mm = float(_first_exit(profile[inside:])) + inside
            if not np.isfinite(exit_mm):
                raise _NotMeasurableError("no spinal canal shows behind its body")
            found[name] = frame.to_world(np.array([aside, self.posterior_mm[start] + exit_mm, level]))
        return found


def _first_exit(profiles: NDArray[np.floating]) -> Any:
    """Distance in mm from the first value to where each profile (n, ...) first falls through a half; NaN if the first
    is not inside, or none outside."""
    values = np.asarray(profiles, dtype=np.float64)
    outside = values < 0.5
    place = outside.argmax(axis=0)
    valid = outside.any(axis=0) & ~outside[0]
    place = np.where(valid, place, 1)
    after = np.take_along_axis(values, place[None], axis=0)[0]
    before = np.take_along_axis(values, place[None] - 1, axis=0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        exits = (place - 1 + (before - 0.5) / (before - after)) * STEP_MM
    return np.where(valid, exits, np.nan)


def _last_exit(image: NDArray[np.floating]) -> Floats:
    """For rays (n, ...) that come from outside along the first axis, which has ``2 UP_MM + 1`` values: where they first
    meet bone, as a distance in mm from the middle towards where they come from; NaN if they meet none before it."""
    values = np.asarray(image[: UP_MM + 1], dtype=np.float64)
    inside = values >= 0.5
    place = inside.argmax(axis=0)
    valid = inside.any(axis=0) & ~inside[0]
    place = np.where(valid, place, 1)
    within = np.take_along_axis(values, place[None], axis=0)[0]
    before = np.take_along_axis(values, place[None] - 1, axis=0)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        entry = place - (within - 0.5) / (within - before)
    return np.where(valid, (UP_MM - entry) * STEP_MM, np.nan)


def _smoothed(values: Floats) -> Floats:
    """Means of each value and its two neighbours, those that there are; NaN stays NaN."""
    padded = np.pad(values, 1, constant_values=np.nan)
    stack = np.stack([padded[step : step + len(values)] for step in range(3)])
    known = np.isfinite(stack)
    means = np.where(known, stack, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(np.isfinite(values), means, np.nan)


def _plane(x: Floats, y: Floats, heights: Floats) -> Floats:
    """Coefficients of height = a x + b y + c by least squares, points beyond 2.5 robust SD left out, twice."""
    rows = np.stack([x, y, np.ones_like(x)], axis=1)
    used = np.ones(len(x), dtype=bool)
    for _ in range(3):
        plane = np.linalg.lstsq(rows[used], heights[used], rcond=None)[0]
        misses = heights - rows @ plane
        spread = 1.4826 * float(np.median(np.abs(misses[used]))) + 0.1
        used = np.abs(misses) <= 2.5 * spread
    return np.asarray(plane, dtype=np.float64)
