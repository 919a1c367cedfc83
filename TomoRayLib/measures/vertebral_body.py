"""The body of a vertebra, measured along rays: walls, endplates and heights.

The body is sampled in the vertebra's frame (``sampled_mask``). The long axis is then the mean of both endplates'
normals, and all is done again about it.

Points and directions are LPS mm (x, y, z).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.measures.sampled_mask import NotMeasurableError, SampledMask, SmoothedMask, Walls
from TomoRayLib.measures.vertebra_frame import Floats, Frame, VertebraMask, mirror_frame

ROUNDS = 3
POSITIONS = ("anterior", "middle", "posterior")
MIDDLE_WIDTH = 1 / 12  # of the depth, to either side
HEIGHTS_MM, LARGEST_WEDGE = (5.0, 40.0), 1.4  # beyond these no body is known: two vertebrae run into each other
COARSEST_MM = 2.5  # voxels: with coarser ones heights are 3 mm off and angles 5 degrees
CORNER_MM = 3.0  # that rims and corners reach beyond walls and endplates
CUT_BY_VOLUME = "the edge of the volume cuts it"
NO_PROCESSES = "nothing of the vertebra shows behind its body"
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
        no_direction: Why nothing tells which way it is turned, as the end of a sentence; left and back are then about
            the patient's. None if something does.
        upper: Upper endplate.
        lower: Lower endplate.
        depth_mm: From the front to the back wall at half its height.
        width_mm: From side to side at half its height and depth.
        heights_mm: By position (``POSITIONS``).
        points_mm: ``upper_anterior`` ... ``lower_posterior``: the ends of these heights in the mid-sagittal plane;
            those in front and behind lie at the walls.
        back_wall_mm: ``upper`` and ``lower``: the back wall at the levels of the endplates.
    """

    label: int
    frame: Frame
    no_direction: str | None
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
    except NotMeasurableError as problem:
        return NoBody(vertebra.label, str(problem))


def _measured(vertebra: VertebraMask, middle_mm: Floats, superior: Floats) -> VertebralBody:
    smooth = SmoothedMask.of(vertebra)
    found = mirror_frame(vertebra, middle_mm, superior)
    frame = found or Frame.along(middle_mm, superior, np.array([0.0, 1.0, 0.0]))
    for number in range(ROUNDS):
        sampled = SampledMask(smooth.along(frame))
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
    no_direction = NO_PROCESSES if found is None else CUT_BY_VOLUME if len(vertebra.at_edge_mm()) else None
    body = _body(vertebra.label, sampled, frame, walls, center, normals, no_direction)
    _check_not_cut(body, vertebra)
    return body


def _check_not_cut(body: VertebralBody, vertebra: VertebraMask) -> None:
    """Raise NotMeasurableError if voxels of the body, its corners included, lie where the volume ends."""
    local = np.abs((vertebra.at_edge_mm() - body.frame.middle_mm) @ body.frame.axes)
    half_height_mm = max(body.heights_mm.values()) / 2
    reach = np.array([body.width_mm / 2, body.depth_mm / 2, half_height_mm]) + CORNER_MM
    if (local <= reach).all(axis=1).any():
        raise NotMeasurableError(CUT_BY_VOLUME)


def _body(
    label: int,
    sampled: SampledMask,
    frame: Frame,
    walls: Walls,
    center: Floats,
    normals: tuple[Floats, Floats],
    no_direction: str | None,
) -> VertebralBody:
    """The body of the last round's walls and endplates; ``center`` is its middle in the frame."""
    depth_mm = walls.back - walls.front
    aside = (walls.left + walls.right) / 2
    ends = sampled.corners(walls)
    outlines, at = sampled.outline(walls), (walls.front + walls.back) / 2
    near = np.abs(sampled.posterior_mm - at) <= MIDDLE_WIDTH * depth_mm
    for plate, outline in outlines.items():
        ends[f"{plate}_middle"] = (at, float(np.nanmean(outline[near])))
    heights_mm = {name: ends[f"upper_{name}"][1] - ends[f"lower_{name}"][1] for name in POSITIONS}
    for name, height_mm in heights_mm.items():
        if not HEIGHTS_MM[0] <= height_mm <= HEIGHTS_MM[1]:
            raise NotMeasurableError(f"its {name} height would be {height_mm:.0f} mm")
    if heights_mm["anterior"] > LARGEST_WEDGE * heights_mm["posterior"]:
        ratio = heights_mm["anterior"] / heights_mm["posterior"]
        raise NotMeasurableError(f"it would be {ratio:.1f} times as high in front as behind")
    points_mm = {name: frame.to_world(np.array([aside, *place])) for name, place in ends.items()}
    plates = []
    for normal, plate in zip(normals, ("upper", "lower"), strict=True):
        rim = (points_mm[f"{plate}_anterior"] + points_mm[f"{plate}_posterior"]) / 2
        plates.append(Endplate(rim, frame.axes @ normal))
    return VertebralBody(
        label=label,
        frame=frame.moved(center),
        no_direction=no_direction,
        upper=plates[0],
        lower=plates[1],
        depth_mm=depth_mm,
        width_mm=walls.left - walls.right,
        heights_mm=heights_mm,
        points_mm=points_mm,
        back_wall_mm=sampled.back_wall(frame, points_mm, heights_mm["posterior"], walls, aside),
    )
