"""Where things are: voxel grids, detectors, X-ray beams and views, as frozen values in LPS millimetres.

Conventions (the whole library follows them):

* Patient space is LPS: +x to the patient's left, +y to posterior, +z to superior. Millimetres.
* Index 0 is the *centre* of the first voxel or pixel. Volumes are indexed ``(z, y, x)``, radiographs
  ``(row, column)`` with row 0 at the top.
* SAD is the distance source to isocentre, SID source to detector, both along the central ray.
* Looking at a radiograph: AP has the patient's left at image right, lateral has posterior at image right
  (``plastimatch drr --nrm "0 -1 0"`` and ``--nrm "1 0 0"``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.grid import IDENTITY_DIRECTION, Grid, Vector3, numbers_of, positive_numbers, whole_numbers

__all__ = [
    "IDENTITY_DIRECTION",
    "PRESETS",
    "VIEW_KEY",
    "Beam",
    "Biplanar",
    "ConeBeam",
    "Detector",
    "Grid",
    "ParallelBeam",
    "SlotScan",
    "Vector3",
    "View",
    "c_arm",
    "orthogonal_pair",
    "parallel_pair",
    "upright_stand",
    "view_from_dict",
    "view_to_dict",
]

VIEW_KEY = "TomoRay.view"  # under which image files carry ``view_to_dict`` as JSON


@dataclass(frozen=True)
class Detector:
    """A flat detector: ``rows`` x ``columns`` pixels of ``pixel_spacing_mm`` = (row spacing, column spacing).

    The order is that of the DICOM attributes Pixel Spacing (0028,0030) and Imager Pixel Spacing (0018,1164):
    distance between rows first. ``offset_mm`` = (down, right) moves the detector's middle away from the central ray.
    """

    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float]
    offset_mm: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        rows, columns = whole_numbers((self.rows, self.columns), 2, "Detector rows, columns")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "columns", columns)
        hint = "check the DICOM tag Imager Pixel Spacing or enter it by hand."
        spacing = positive_numbers(self.pixel_spacing_mm, 2, "Detector pixel_spacing_mm (row, column)", hint)
        object.__setattr__(self, "pixel_spacing_mm", spacing)
        object.__setattr__(self, "offset_mm", numbers_of(self.offset_mm, 2, "Detector offset_mm (down, right)"))

    @property
    def shape(self) -> tuple[int, int]:
        return (self.rows, self.columns)

    def down_mm(self) -> NDArray[np.float64]:
        """(rows,) position of each row's centre below the central ray, on the detector."""
        steps = np.arange(self.rows, dtype=np.float64) - (self.rows - 1) / 2
        return steps * self.pixel_spacing_mm[0] + self.offset_mm[0]

    def right_mm(self) -> NDArray[np.float64]:
        """(columns,) position of each column's centre to the right of the central ray, on the detector."""
        steps = np.arange(self.columns, dtype=np.float64) - (self.columns - 1) / 2
        return steps * self.pixel_spacing_mm[1] + self.offset_mm[1]


@dataclass(frozen=True)
class ConeBeam:
    """A point source ``sad_mm`` from the isocentre, with the detector ``sid_mm`` from the source."""

    sad_mm: float
    sid_mm: float

    def __post_init__(self) -> None:
        _set_distances(self, "Cone beam")

    @property
    def magnification(self) -> float:
        """Size on the detector over size at the isocentre."""
        return self.sid_mm / self.sad_mm


@dataclass(frozen=True)
class ParallelBeam:
    """Rays parallel to the central ray: magnification 1 everywhere."""

    @property
    def magnification(self) -> float:
        return 1.0


@dataclass(frozen=True)
class SlotScan:
    """A slot scanner (EOS): a fan across the body, moved along it. Source and detector row travel together along the
    detector's columns, so rays diverge along a row (magnification SID / SAD) and are parallel along a column (1).

    ``sad_mm`` and ``sid_mm`` are measured in the plane of the fan; ``Detector.pixel_spacing_mm`` between rows is the
    way between two exposures. There is no 3 x 4 projection matrix: ``View.project_points`` serves every beam.
    """

    sad_mm: float
    sid_mm: float

    def __post_init__(self) -> None:
        _set_distances(self, "Slot scan")

    @property
    def magnification(self) -> float:
        """Size on the detector over size at the isocentre, across the body; along it, it is 1."""
        return self.sid_mm / self.sad_mm


Beam = ConeBeam | ParallelBeam | SlotScan


def _set_distances(beam: ConeBeam | SlotScan, name: str) -> None:
    sad_mm, sid_mm = positive_numbers(
        (beam.sad_mm, beam.sid_mm), 2, f"{name} (sad_mm, sid_mm)", "give both distances in mm."
    )
    object.__setattr__(beam, "sad_mm", sad_mm)
    object.__setattr__(beam, "sid_mm", sid_mm)
    if sid_mm < sad_mm:
        raise ValueError(
            f"{name}: the detector must lie behind the isocentre, sid_mm >= sad_mm; got sad_mm={sad_mm}, "
            f"sid_mm={sid_mm}. SAD is source to isocentre, SID source to detector: were they swapped?"
        )


@dataclass(frozen=True)
class View:
    """One radiograph's geometry: beam, detector, and the gantry's pose about the isocentre.

    ``gantry_angle_deg`` turns the source about the patient's long axis: 0 = source anterior (AP), 90 = source at the
    patient's left (lateral), 180 = source posterior (PA). ``tilt_deg`` moves the source towards the head.
    ``roll_deg`` turns the detector in its own plane, clockwise as the radiograph is looked at.
    """

    beam: Beam
    detector: Detector
    gantry_angle_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    isocenter_mm: Vector3 = field(default=(0.0, 0.0, 0.0))

    def __post_init__(self) -> None:
        angles = numbers_of((self.gantry_angle_deg, self.tilt_deg, self.roll_deg), 3, "View angles in degrees")
        for name, angle in zip(("gantry_angle_deg", "tilt_deg", "roll_deg"), angles, strict=True):
            object.__setattr__(self, name, angle)
        if abs(self.tilt_deg) >= 90:
            raise ValueError(f"View tilt_deg must lie between -90 and 90; got {self.tilt_deg}.")
        object.__setattr__(self, "isocenter_mm", numbers_of(self.isocenter_mm, 3, "View isocenter_mm"))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the radiograph."""
        return self.detector.shape

    @property
    def to_source(self) -> NDArray[np.float64]:
        """(3,) unit vector from the isocentre towards the source (plastimatch's ``nrm``)."""
        angle, tilt = math.radians(self.gantry_angle_deg), math.radians(self.tilt_deg)
        vector = np.array([math.sin(angle) * math.cos(tilt), -math.cos(angle) * math.cos(tilt), math.sin(tilt)])
        return _without_dust(vector)

    @property
    def right(self) -> NDArray[np.float64]:
        """(3,) unit vector along a row of the radiograph, towards higher columns."""
        return self._detector_axes()[0]

    @property
    def down(self) -> NDArray[np.float64]:
        """(3,) unit vector along a column of the radiograph, towards higher rows."""
        return self._detector_axes()[1]

    def _detector_axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        angle, roll = math.radians(self.gantry_angle_deg), math.radians(self.roll_deg)
        level = np.array([math.cos(angle), math.sin(angle), 0.0])  # -(to_source x superior), normalised
        plumb = -np.cross(level, -self.to_source)  # straight down in the detector plane
        right = math.cos(roll) * level + math.sin(roll) * plumb
        down = -math.sin(roll) * level + math.cos(roll) * plumb
        return _without_dust(right), _without_dust(down)

    @property
    def source_mm(self) -> NDArray[np.float64]:
        """(3,) position of the point source; of a slot scan, as it passes the isocentre. A parallel beam has none:
        ValueError."""
        if isinstance(self.beam, ParallelBeam):
            raise ValueError("A parallel beam has no source position; use to_source, the direction towards it.")
        return np.asarray(self.isocenter_mm) + self.beam.sad_mm * self.to_source

    def pixel_positions_mm(self) -> NDArray[np.float64]:
        """(rows, columns, 3) LPS positions of the pixel centres (parallel beam: on the plane of the isocentre)."""
        behind_mm = 0.0 if isinstance(self.beam, ParallelBeam) else self.beam.sid_mm - self.beam.sad_mm
        center = np.asarray(self.isocenter_mm) - behind_mm * self.to_source
        down = self.detector.down_mm()[:, None, None] * self.down
        right = self.detector.right_mm()[None, :, None] * self.right
        return center + down + right

    def projection_matrix(self) -> NDArray[np.float64]:
        """3 x 4 matrix P from ``(x, y, z, 1)`` in LPS mm to ``(column, row, 1) * w``, pixel centres at whole numbers.

        ``w`` is the point's distance from the source along the central ray (1 for a parallel beam). A slot scan has
        no such matrix: ValueError.
        """
        if isinstance(self.beam, SlotScan):
            raise ValueError(
                "Expected a cone or parallel beam, got a slot scan, whose rows have a source each: no 3 x 4 matrix "
                "describes it. Use View.project_points, or a beam that has one."
            )
        iso = np.asarray(self.isocenter_mm)
        row_mm, column_mm = self.detector.pixel_spacing_mm
        down_mm, right_mm = self.detector.offset_mm
        column_0 = (self.detector.columns - 1) / 2 - right_mm / column_mm
        row_0 = (self.detector.rows - 1) / 2 - down_mm / row_mm
        if isinstance(self.beam, ConeBeam):
            depth = np.append(-self.to_source, self.to_source @ iso + self.beam.sad_mm)
            scale_mm = self.beam.sid_mm
        else:
            depth = np.array([0.0, 0.0, 0.0, 1.0])
            scale_mm = 1.0
        right = np.append(self.right, -self.right @ iso) * scale_mm / column_mm
        down = np.append(self.down, -self.down @ iso) * scale_mm / row_mm
        return np.stack([right + column_0 * depth, down + row_0 * depth, depth])

    def project_points(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) of (column, row), pixel centres at whole numbers, where LPS points (n, 3) fall; any beam."""
        from_iso = np.asarray(points_mm, dtype=np.float64) - np.asarray(self.isocenter_mm)
        right_mm, down_mm = from_iso @ self.right, from_iso @ self.down
        if not isinstance(self.beam, ParallelBeam):
            magnification = self.beam.sid_mm / (self.beam.sad_mm - from_iso @ self.to_source)
            right_mm = right_mm * magnification
            down_mm = down_mm * (magnification if isinstance(self.beam, ConeBeam) else 1.0)
        places = (right_mm, self.detector.columns, 1), (down_mm, self.detector.rows, 0)
        return np.stack(
            [
                (place - self.detector.offset_mm[axis]) / self.detector.pixel_spacing_mm[axis] + (count - 1) / 2
                for place, count, axis in places
            ],
            axis=-1,
        )

    def moved_to(self, isocenter_mm: Vector3) -> View:
        """The same view about another isocentre."""
        return replace(self, isocenter_mm=isocenter_mm)


@dataclass(frozen=True)
class Biplanar:
    """The two views of one synthesis. They share the isocentre; the synthetic CT is centred on it."""

    ap: View
    lateral: View

    def __post_init__(self) -> None:
        gap_mm = float(np.abs(np.subtract(self.ap.isocenter_mm, self.lateral.isocenter_mm)).max())
        if gap_mm > 1e-6:
            raise ValueError(
                f"AP and lateral views must share one isocentre; got {self.ap.isocenter_mm} and "
                f"{self.lateral.isocenter_mm}. Move a detector with offset_mm instead."
            )

    @property
    def isocenter_mm(self) -> Vector3:
        return self.ap.isocenter_mm

    def moved_to(self, isocenter_mm: Vector3) -> Biplanar:
        return Biplanar(self.ap.moved_to(isocenter_mm), self.lateral.moved_to(isocenter_mm))


def orthogonal_pair(beam: Beam, detector: Detector, isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """AP (source anterior) and lateral (source at the patient's left) with one beam and one detector."""
    ap = View(beam, detector, gantry_angle_deg=0.0, isocenter_mm=isocenter_mm)
    return Biplanar(ap, replace(ap, gantry_angle_deg=90.0))


def c_arm(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """C-arm: SAD 1000, SID 1536 mm; 320 x 320 pixels of 1.5 mm: 312 mm at the isocentre."""
    return orthogonal_pair(ConeBeam(1000.0, 1536.0), Detector(320, 320, (1.5, 1.5)), isocenter_mm)


def upright_stand(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """Upright wall stand: SAD 1500, SID 1800 mm; 384 x 384 pixels of 1 mm: 320 mm at the isocentre."""
    return orthogonal_pair(ConeBeam(1500.0, 1800.0), Detector(384, 384, (1.0, 1.0)), isocenter_mm)


def parallel_pair(isocenter_mm: Vector3 = (0.0, 0.0, 0.0)) -> Biplanar:
    """Parallel beams, 320 x 320 pixels of 1 mm."""
    return orthogonal_pair(ParallelBeam(), Detector(320, 320, (1.0, 1.0)), isocenter_mm)


PRESETS = {"c-arm": c_arm, "upright": upright_stand, "parallel": parallel_pair}


BEAM_KINDS: dict[type[Beam], str] = {ConeBeam: "cone", ParallelBeam: "parallel", SlotScan: "slot"}


def view_to_dict(view: View) -> dict[str, Any]:
    """A view as plain numbers for job files and provenance; ``view_from_dict`` is its inverse."""
    values = asdict(view)
    values["beam"] = {"kind": BEAM_KINDS[type(view.beam)], **values["beam"]}
    return values


def view_from_dict(values: Mapping[str, Any]) -> View:
    """The view that ``view_to_dict`` wrote. Raises ValueError for missing or unknown entries."""
    try:
        content = dict(values)
        beam_values = dict(content.pop("beam"))
        kind = beam_values.pop("kind")
        kinds = {name: kind_of_beam for kind_of_beam, name in BEAM_KINDS.items()}
        if kind not in kinds:
            raise ValueError(f"A view's beam kind must be one of {sorted(kinds)}; got {kind!r}.")
        beam = kinds[kind](**beam_values)
        return View(beam, Detector(**content.pop("detector")), **content)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"A view needs beam (kind, and sad_mm and sid_mm for a cone or slot) and detector (rows, columns, "
            f"pixel_spacing_mm); got {dict(values)!r} ({error})."
        ) from None


def _without_dust(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Components below 1e-12 become exactly 0, so that 90 degrees is orthogonal and takes the exact path."""
    return np.where(np.abs(vector) < 1e-12, 0.0, vector)
