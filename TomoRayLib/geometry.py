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

Vector3 = tuple[float, float, float]
IDENTITY_DIRECTION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ORTHONORMAL_TOLERANCE = 1e-4
VIEW_KEY = "TomoRay.view"  # under which image files carry ``view_to_dict`` as JSON


def _numbers(values: Any, count: int, name: str) -> tuple[float, ...]:
    """``count`` finite floats from any sequence, or a sentence that says what was wrong."""
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be {count} numbers; got {values!r}.") from None
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} must be {count} finite numbers; got {values!r}.")
    return numbers


def _positive(values: Any, count: int, name: str, hint: str) -> tuple[float, ...]:
    numbers = _numbers(values, count, name)
    if min(numbers) <= 0:
        raise ValueError(f"{name} must be {count} numbers above 0; got {numbers}; {hint}")
    return numbers


def _counts(values: Any, count: int, name: str) -> tuple[int, ...]:
    numbers = _numbers(values, count, name)
    if any(number < 1 or number != int(number) for number in numbers):
        raise ValueError(f"{name} must be {count} whole numbers of at least 1; got {tuple(values)!r}.")
    return tuple(int(number) for number in numbers)


@dataclass(frozen=True)
class Grid:
    """A regular voxel grid in patient space.

    ``size`` and ``spacing_mm`` are in ``(x, y, z)`` index order (i, j, k), ``origin_mm`` is the LPS position of the
    centre of voxel (0, 0, 0), ``direction`` the 3 x 3 matrix, row by row, whose *columns* are the LPS directions of
    the i, j and k axes (the order of SimpleITK's ``GetDirection``).

    Raises ValueError for sizes below 1, spacing not above 0, directions that are not orthonormal. Left-handed
    directions are valid: they are a grid that is stored mirrored, not a mirrored patient.
    """

    size: tuple[int, int, int]
    spacing_mm: Vector3
    origin_mm: Vector3 = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY_DIRECTION

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _counts(self.size, 3, "Grid size (x, y, z)"))
        spacing = _positive(self.spacing_mm, 3, "Grid spacing_mm (x, y, z)", "check the image header.")
        object.__setattr__(self, "spacing_mm", spacing)
        object.__setattr__(self, "origin_mm", _numbers(self.origin_mm, 3, "Grid origin_mm"))
        object.__setattr__(self, "direction", _numbers(self.direction, 9, "Grid direction"))
        matrix = self.direction_matrix
        error = float(np.abs(matrix.T @ matrix - np.eye(3)).max())
        if error > ORTHONORMAL_TOLERANCE:
            raise ValueError(
                f"Grid direction cosines must be orthonormal (three perpendicular unit vectors); got {self.direction}, "
                f"off by {error:.2g}. A sheared or gantry-tilted volume must be resampled to an orthogonal grid first."
            )

    @classmethod
    def cube(cls, center_mm: Vector3, fov_mm: float, size: int) -> Grid:
        """An axis-aligned cube of ``size``^3 voxels, outer faces ``fov_mm`` apart, centred on ``center_mm``."""
        (edge_mm,) = _positive((fov_mm,), 1, "Field of view in mm", "use 256 or 192.")
        spacing_mm = edge_mm / size
        half_mm = (size - 1) / 2 * spacing_mm
        x, y, z = _numbers(center_mm, 3, "Grid center_mm")
        return cls((size,) * 3, (spacing_mm,) * 3, (x - half_mm, y - half_mm, z - half_mm))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape ``(z, y, x)``."""
        return (self.size[2], self.size[1], self.size[0])

    @property
    def direction_matrix(self) -> NDArray[np.float64]:
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    @property
    def is_left_handed(self) -> bool:
        return bool(np.linalg.det(self.direction_matrix) < 0)

    @property
    def index_to_world(self) -> NDArray[np.float64]:
        """4 x 4 matrix from ``(i, j, k, 1)`` to ``(x, y, z, 1)`` in LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction_matrix * np.asarray(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def world_to_index(self) -> NDArray[np.float64]:
        """4 x 4 matrix from ``(x, y, z, 1)`` in LPS mm to ``(i, j, k, 1)``."""
        return np.asarray(np.linalg.inv(self.index_to_world), dtype=np.float64)

    @property
    def center_mm(self) -> Vector3:
        """LPS position of the middle of the grid (between voxels where a size is even)."""
        middle = np.array([(n - 1) / 2 for n in self.size] + [1.0])
        x, y, z, _ = (float(value) for value in self.index_to_world @ middle)
        return (x, y, z)

    @property
    def extent_mm(self) -> Vector3:
        """Edge lengths along i, j, k, outer face to outer face."""
        x, y, z = (n * spacing for n, spacing in zip(self.size, self.spacing_mm, strict=True))
        return (x, y, z)

    def corners_mm(self) -> NDArray[np.float64]:
        """(8, 3) LPS positions of the outer corners (half a voxel outside the first and last centres)."""
        ends = [(-0.5, n - 0.5) for n in self.size]
        corners = np.array([(i, j, k, 1.0) for i in ends[0] for j in ends[1] for k in ends[2]])
        return (self.index_to_world @ corners.T).T[:, :3]

    def same_as(self, other: Grid, tolerance_mm: float = 1e-2) -> bool:
        """True where both grids have the same size and every corner agrees within ``tolerance_mm``."""
        if self.size != other.size:
            return False
        return bool(np.abs(self.corners_mm() - other.corners_mm()).max() <= tolerance_mm)


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
        rows, columns = _counts((self.rows, self.columns), 2, "Detector rows, columns")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "columns", columns)
        hint = "check the DICOM tag Imager Pixel Spacing or enter it by hand."
        spacing = _positive(self.pixel_spacing_mm, 2, "Detector pixel_spacing_mm (row, column)", hint)
        object.__setattr__(self, "pixel_spacing_mm", spacing)
        object.__setattr__(self, "offset_mm", _numbers(self.offset_mm, 2, "Detector offset_mm (down, right)"))

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
        sad_mm, sid_mm = _positive(
            (self.sad_mm, self.sid_mm), 2, "Cone beam (sad_mm, sid_mm)", "give both distances in mm."
        )
        object.__setattr__(self, "sad_mm", sad_mm)
        object.__setattr__(self, "sid_mm", sid_mm)
        if sid_mm < sad_mm:
            raise ValueError(
                f"Cone beam: the detector must lie behind the isocentre, sid_mm >= sad_mm; got sad_mm={sad_mm}, "
                f"sid_mm={sid_mm}. SAD is source to isocentre, SID source to detector: were they swapped?"
            )

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


Beam = ConeBeam | ParallelBeam


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
        angles = _numbers((self.gantry_angle_deg, self.tilt_deg, self.roll_deg), 3, "View angles in degrees")
        for name, angle in zip(("gantry_angle_deg", "tilt_deg", "roll_deg"), angles, strict=True):
            object.__setattr__(self, name, angle)
        if abs(self.tilt_deg) >= 90:
            raise ValueError(f"View tilt_deg must lie between -90 and 90; got {self.tilt_deg}.")
        object.__setattr__(self, "isocenter_mm", _numbers(self.isocenter_mm, 3, "View isocenter_mm"))

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
        """(3,) position of the point source. A parallel beam has none: ValueError."""
        if not isinstance(self.beam, ConeBeam):
            raise ValueError("A parallel beam has no source position; use to_source, the direction towards it.")
        return np.asarray(self.isocenter_mm) + self.beam.sad_mm * self.to_source

    def pixel_positions_mm(self) -> NDArray[np.float64]:
        """(rows, columns, 3) LPS positions of the pixel centres (parallel beam: on the plane of the isocentre)."""
        behind_mm = self.beam.sid_mm - self.beam.sad_mm if isinstance(self.beam, ConeBeam) else 0.0
        center = np.asarray(self.isocenter_mm) - behind_mm * self.to_source
        down = self.detector.down_mm()[:, None, None] * self.down
        right = self.detector.right_mm()[None, :, None] * self.right
        return center + down + right

    def projection_matrix(self) -> NDArray[np.float64]:
        """3 x 4 matrix P from ``(x, y, z, 1)`` in LPS mm to ``(column, row, 1) * w``, pixel centres at whole numbers.

        ``w`` is the point's distance from the source along the central ray (1 for a parallel beam).
        """
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


def view_to_dict(view: View) -> dict[str, Any]:
    """A view as plain numbers for job files and provenance; ``view_from_dict`` is its inverse."""
    values = asdict(view)
    values["beam"] = {"kind": "cone" if isinstance(view.beam, ConeBeam) else "parallel", **values["beam"]}
    return values


def view_from_dict(values: Mapping[str, Any]) -> View:
    """The view that ``view_to_dict`` wrote. Raises ValueError for missing or unknown entries."""
    try:
        content = dict(values)
        beam_values = dict(content.pop("beam"))
        kind = beam_values.pop("kind")
        if kind not in ("cone", "parallel"):
            raise ValueError(f"A view's beam kind must be 'cone' or 'parallel'; got {kind!r}.")
        beam: Beam = ConeBeam(**beam_values) if kind == "cone" else ParallelBeam(**beam_values)
        return View(beam, Detector(**content.pop("detector")), **content)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"A view needs beam (kind, and sad_mm and sid_mm for a cone) and detector (rows, columns, "
            f"pixel_spacing_mm); got {dict(values)!r} ({error})."
        ) from None


def _without_dust(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Components below 1e-12 become exactly 0, so that 90 degrees is orthogonal and takes the exact path."""
    return np.where(np.abs(vector) < 1e-12, 0.0, vector)
