"""Views: one radiograph's geometry, and the pair of one synthesis, as frozen values in LPS millimetres.

Conventions (the whole library follows them, see docs/conventions.md):

* Patient space is LPS: +x to the patient's left, +y to posterior, +z to superior. Millimetres.
* Index 0 is the *centre* of the first voxel or pixel. Volumes are indexed ``(z, y, x)``, radiographs
  ``(row, column)`` with row 0 at the top.
* SAD is the distance source to isocentre, SID source to detector, both along the central ray.
* Looking at a radiograph: AP has the patient's left at image right, lateral has posterior at image right
  (``plastimatch drr --nrm "0 -1 0"`` and ``--nrm "1 0 0"``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.number_checks import numbers_of


@dataclass(frozen=True)
class View:
    """One radiograph's geometry: beam, detector, and the gantry's pose about the isocentre.

    Args:
        beam: Cone, parallel or slot scan, with its distances.
        detector: Pixels, their spacing, and the detector's offset.
        gantry_angle_deg: Turns the source about the patient's long axis: 0 is anterior (AP), 90 at the patient's left
            (lateral), 180 posterior (PA).
        tilt_deg: Moves the source towards the head; between -90 and 90.
        roll_deg: Turns the detector in its own plane, clockwise as the radiograph is looked at.
        isocenter_mm: LPS position of the point about which the gantry turns.

    Raises:
        InputError: If an angle or the isocentre is not finite, or the tilt not between -90 and 90 degrees.
    """

    beam: Beam
    detector: Detector
    gantry_angle_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    isocenter_mm: Vector3 = field(default=(0.0, 0.0, 0.0))

    def __post_init__(self) -> None:
        for name, setting in (("gantry_angle_deg", "angles_deg"), ("tilt_deg", "tilt_deg"), ("roll_deg", "roll_deg")):
            words = f"The view's {name.removesuffix('_deg').replace('_', ' ')} in degrees"
            (angle,) = numbers_of((getattr(self, name),), 1, words, field=setting)
            object.__setattr__(self, name, angle)
        if abs(self.tilt_deg) >= 90:
            raise InputError(
                f"The view's tilt must lie between -90 and 90 degrees; got {self.tilt_deg}. Turn the gantry instead.",
                field="tilt_deg",
            )
        isocenter = numbers_of(self.isocenter_mm, 3, "The isocentre (x, y, z) in LPS mm", field="isocenter_mm")
        object.__setattr__(self, "isocenter_mm", isocenter)

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
        """(3,) LPS position of the point source; of a slot scan, as it passes the isocentre.

        Raises:
            ValueError: For a parallel beam, which has none.
        """
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
        """The projection matrix of a cone or parallel beam.

        Returns:
            (3, 4) from ``(x, y, z, 1)`` in LPS mm to ``(column, row, 1) * w``, pixel centres at whole numbers; ``w`` is
            the point's distance from the source along the central ray in mm (1 for a parallel beam).

        Raises:
            InputError: For a slot scan, which has no such matrix.
        """
        if isinstance(self.beam, SlotScan):
            raise InputError(
                "Expected a cone or parallel beam, got a slot scan, whose rows have a source each: no 3 x 4 matrix "
                "describes it. Use another beam, View.pixel_map or View.project_points.",
                field="beam",
            )
        return self.pixel_map()[:3]

    def pixel_map(self) -> NDArray[np.float64]:
        """The projection of any beam, column and row each with a denominator of its own.

        Returns:
            (4, 4) from ``(x, y, z, 1)`` in LPS mm to ``(column * w, row * v, w, v)``, pixel centres at whole numbers.
            ``w`` is as in ``projection_matrix``, and ``v`` the same; of a slot scan, parallel along its columns, ``v``
            is 1 and ``w`` the distance from the source in the plane of the fan.
        """
        iso = np.asarray(self.isocenter_mm)
        row_mm, column_mm = self.detector.pixel_spacing_mm
        down_mm, right_mm = self.detector.offset_mm
        column_0 = (self.detector.columns - 1) / 2 - right_mm / column_mm
        row_0 = (self.detector.rows - 1) / 2 - down_mm / row_mm
        along = across = np.array([0.0, 0.0, 0.0, 1.0])
        along_mm = across_mm = 1.0
        if not isinstance(self.beam, ParallelBeam):
            across = np.append(-self.to_source, self.to_source @ iso + self.beam.sad_mm)
            across_mm = self.beam.sid_mm
        if isinstance(self.beam, ConeBeam):
            along, along_mm = across, across_mm
        right = np.append(self.right, -self.right @ iso) * across_mm / column_mm
        down = np.append(self.down, -self.down @ iso) * along_mm / row_mm
        return np.stack([right + column_0 * across, down + row_0 * along, across, along])

    def project_points(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points fall on the detector, for any beam.

        Args:
            points_mm: (n, 3) in LPS mm.

        Returns:
            (n, 2) of (column, row), pixel centres at whole numbers.
        """
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
        """The same view about another isocentre, in LPS mm."""
        return replace(self, isocenter_mm=isocenter_mm)


@dataclass(frozen=True)
class Biplanar:
    """The two views of one synthesis, and the point on which the synthetic CT is centred.

    Args:
        ap: The frontal view.
        lateral: The lateral view.
        center_mm: That point in LPS mm; None: the isocentre that both views share.

    Raises:
        InputError: If the views have different isocentres and no centre is given.
    """

    ap: View
    lateral: View
    center_mm: Vector3 | None = None

    def __post_init__(self) -> None:
        if self.center_mm is not None:
            center = numbers_of(self.center_mm, 3, "The centre (x, y, z) in LPS mm", field="isocenter_mm")
            object.__setattr__(self, "center_mm", center)
            return
        gap_mm = float(np.abs(np.subtract(self.ap.isocenter_mm, self.lateral.isocenter_mm)).max())
        if gap_mm > 1e-6:
            raise InputError(
                f"AP and lateral views must share one isocentre; got {self.ap.isocenter_mm} and "
                f"{self.lateral.isocenter_mm} mm. Move a detector by its offset instead, or give the centre of the "
                "synthetic CT.",
                field="isocenter_mm",
            )

    @property
    def isocenter_mm(self) -> Vector3:
        """LPS position on which the synthetic CT is centred: the shared isocentre, or the centre that is given."""
        return self.ap.isocenter_mm if self.center_mm is None else self.center_mm

    def moved_to(self, isocenter_mm: Vector3) -> Biplanar:
        """The same pair, both views moved by as much, centred on another point in LPS mm."""
        if self.center_mm is None:
            return Biplanar(self.ap.moved_to(isocenter_mm), self.lateral.moved_to(isocenter_mm))
        by_mm = np.subtract(isocenter_mm, self.center_mm)
        ap, lateral = (view.moved_to(_vector(np.add(view.isocenter_mm, by_mm))) for view in (self.ap, self.lateral))
        return Biplanar(ap, lateral, isocenter_mm)


def _vector(values: NDArray[np.float64]) -> Vector3:
    x, y, z = values.tolist()
    return (x, y, z)


def _without_dust(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Components below 1e-12 become exactly 0, so that 90 degrees is orthogonal and takes the exact path."""
    return np.where(np.abs(vector) < 1e-12, 0.0, vector)
