"""Cameras known by their 3 x 4 projection matrix alone, as calibrations and other programs state them.

The matrix goes from ``(x, y, z, 1)`` in LPS mm to ``(column, row, 1) * w`` with pixel centres at whole numbers, as
``View.projection_matrix`` does. It fixes every ray, so the projector needs nothing else; it does not know the pixel
spacing and the isocentre, which ``view`` takes as arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.number_checks import numbers_of, positive_numbers, whole_numbers
from TomoRayLib.geometry.views import View

Array = NDArray[np.float64]
LARGEST_CONDITION = 1e7  # of the matrix in pixels of detector size; a real one has some 10 to 1000
SQUARE_TOLERANCE = 1e-6  # sine of the largest skew that still counts as square


@dataclass(frozen=True)
class ProjectionMatrix:
    """A detector seen through a projection matrix.

    The third row is scaled to a unit vector, so that ``w`` is the distance from the source in mm along the detector's
    normal: positive in front of the source. A parallel beam has the third row (0, 0, 0, 1).

    Args:
        matrix: 12 numbers, row by row, or a (3, 4) array, from ``(x, y, z, 1)`` in LPS mm to ``(column, row, 1) * w``,
            pixel centres at whole numbers; any scale but 0.
        rows: Rows of the detector.
        columns: Columns of the detector.

    Raises:
        InputError: If the matrix is no projection: not 3 x 4, not finite, of rank below 3, or with all rays in one
            plane.
    """

    matrix: tuple[float, ...]
    rows: int
    columns: int

    def __post_init__(self) -> None:
        size = (self.rows, self.columns)
        rows, columns = whole_numbers(size, 2, "The detector size (rows, columns) of a projection matrix", field="size")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "columns", columns)
        values = np.asarray(self.matrix, dtype=np.float64)
        if values.size != 12:
            raise InputError(
                f"A projection matrix must be 3 x 4, from (x, y, z, 1) in LPS mm to (column, row, 1) * w; got the "
                f"shape {values.shape}. Check that it is not 4 x 4 and not transposed.",
                field="matrix_file",
            )
        numbers = numbers_of(values.ravel().tolist(), 12, "A projection matrix", field="matrix_file")
        object.__setattr__(
            self, "matrix", tuple(_normalised(np.reshape(numbers, (3, 4)), rows, columns).ravel().tolist())
        )

    @classmethod
    def of_view(cls, view: View) -> ProjectionMatrix:
        """The matrix of a cone or parallel view. Raises InputError for a slot scan, which has none."""
        return cls(tuple(view.projection_matrix().ravel().tolist()), *view.detector.shape)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the radiograph."""
        return (self.rows, self.columns)

    @property
    def array(self) -> Array:
        """(3, 4), from (x, y, z, 1) in LPS mm to (column, row, 1) * w."""
        return np.asarray(self.matrix).reshape(3, 4)

    @property
    def is_parallel(self) -> bool:
        """True if ``w`` is the same everywhere, so that there is no point source."""
        return not self.array[2, :3].any()

    @property
    def source_mm(self) -> Array:
        """(3,) LPS position of the point source. Raises ValueError for a parallel beam, which has none."""
        if self.is_parallel:
            raise ValueError("A parallel beam has no source position; use forward, the direction of its rays.")
        return np.asarray(-np.linalg.solve(self.array[:, :3], self.array[:, 3]), dtype=np.float64)

    @property
    def forward(self) -> Array:
        """(3,) unit vector normal to the detector away from the source; of a parallel beam, along its rays."""
        if not self.is_parallel:
            return self.array[2, :3]
        along = np.cross(self.array[0, :3], self.array[1, :3])
        return np.asarray(along / np.linalg.norm(along), dtype=np.float64)

    def project_points(self, points_mm: Array) -> Array:
        """Where points fall on the detector.

        Args:
            points_mm: (n, 3) in LPS mm.

        Returns:
            (n, 2) of (column, row), pixel centres at whole numbers.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        column, row, depth = self.array[:, :3] @ points.T + self.array[:, 3:]
        return np.stack([column / depth, row / depth], axis=-1)

    def view(self, pixel_spacing_mm: tuple[float, float], sad_mm: float) -> View:
        """The view with this matrix: the inverse of ``of_view``, given what a matrix does not know.

        Args:
            pixel_spacing_mm: (row, column) at the detector. A parallel beam's spacing is in its matrix and must agree.
            sad_mm: Distance from a cone's source to the isocentre, which is placed along the detector's normal. Not
                used for a parallel beam, whose isocentre is the detector's middle at the origin's depth.

        Returns:
            A view with a cone or parallel beam.

        Raises:
            InputError: If pixels are skewed or mirrored, the spacing contradicts the matrix, or the source lies
                straight above or below.
        """
        row_mm, column_mm = positive_numbers(
            pixel_spacing_mm,
            2,
            "The pixel spacing (row, column) in mm",
            "measure the size of a pixel.",
            field="pixel_spacing_mm",
        )
        forward = self.forward
        column_0, row_0 = (0.0, 0.0) if self.is_parallel else (self.array[:2, :3] @ forward).tolist()
        along_row, along_column = self.array[0, :3] - column_0 * forward, self.array[1, :3] - row_0 * forward
        focal_px = np.linalg.norm(along_row), np.linalg.norm(along_column)
        right, down = along_row / focal_px[0], along_column / focal_px[1]
        _check_square(right, down, forward)
        sid_mm = float(focal_px[0] * column_mm)
        if not math.isclose(sid_mm, focal_px[1] * row_mm, rel_tol=1e-5):
            raise InputError(
                f"The matrix has pixels whose row spacing over column spacing is {focal_px[0] / focal_px[1]:.6g}; got "
                f"the pixel spacing {pixel_spacing_mm} mm, {row_mm / column_mm:.6g}. Check the order (row, column).",
                field="pixel_spacing_mm",
            )
        middle = ((self.columns - 1) / 2, (self.rows - 1) / 2)
        if self.is_parallel:
            if not math.isclose(sid_mm, 1.0, rel_tol=1e-5):
                raise InputError(
                    f"A parallel beam's matrix holds its pixel spacing: expected {1 / focal_px[1]:.6g} x "
                    f"{1 / focal_px[0]:.6g} mm, got {pixel_spacing_mm}. Leave the matrix as it is and use these.",
                    field="pixel_spacing_mm",
                )
            steps = np.subtract(middle, self.array[:2, 3])
            isocenter = right * steps[0] * column_mm + down * steps[1] * row_mm
            beam: ConeBeam | ParallelBeam = ParallelBeam()
            detector = Detector(self.rows, self.columns, (row_mm, column_mm))
        else:
            beam = ConeBeam(sad_mm, sid_mm)
            isocenter = self.source_mm + sad_mm * forward
            offset = (middle[1] - row_0) * row_mm, (middle[0] - column_0) * column_mm
            detector = Detector(self.rows, self.columns, (row_mm, column_mm), offset)
        gantry_deg, tilt_deg, roll_deg = _angles_deg(-forward, right)
        x, y, z = isocenter.tolist()
        return View(beam, detector, gantry_deg, tilt_deg, roll_deg, (x, y, z))


def _normalised(matrix: Array, rows: int, columns: int) -> Array:
    """The matrix with a third row of unit length (cone) or (0, 0, 0, 1) (parallel). Raises InputError if singular."""
    size = np.diag([1.0 / columns, 1.0 / rows, 1.0])  # else the condition number grows with the pixels' number
    largest = np.abs(size @ matrix[:, :3]).max()
    is_parallel = np.abs(matrix[2, :3]).max() <= 1e-12 * largest
    camera = matrix[:2, :3] if is_parallel else size @ matrix[:, :3]
    lengths = np.linalg.norm(camera, axis=1, keepdims=True)
    condition = float(np.linalg.cond(camera / lengths)) if lengths.all() else np.inf
    if not condition < LARGEST_CONDITION or (is_parallel and matrix[2, 3] == 0):
        raise InputError(
            f"Expected a 3 x 4 projection matrix whose pixels have rays of their own, got one of rank below 3 "
            f"(condition {condition:.3g}): {matrix.tolist()}. Check that rows are (column, row, 1) * w and that it "
            f"goes from LPS millimetres to pixels.",
            field="matrix_file",
        )
    if is_parallel:
        result = matrix / matrix[2, 3]
        result[2, :3] = 0.0
        return result
    return matrix / np.linalg.norm(matrix[2, :3])


def _check_square(right: Array, down: Array, forward: Array) -> None:
    if abs(right @ down) > SQUARE_TOLERANCE:
        raise InputError(
            f"A view has rows and columns at right angles; got a matrix with "
            f"{math.degrees(math.acos(right @ down)):.4f} degrees between. Project with the ProjectionMatrix itself.",
            field="matrix_file",
        )
    if np.cross(right, down) @ forward < 0:
        raise InputError(
            "A view is looked at as the radiologist does; got a matrix whose image is mirrored. Reverse its columns "
            "(first row = (columns - 1) * third row - first row), or project with the ProjectionMatrix itself.",
            field="matrix_file",
        )


def _angles_deg(to_source: Array, right: Array) -> tuple[float, float, float]:
    """(gantry, tilt, roll) in degrees of ``View``."""
    if math.hypot(to_source[0], to_source[1]) < 1e-9:
        raise InputError(
            "A view's tilt must lie between -90 and 90 degrees; got a source straight above or below. "
            "Project with the ProjectionMatrix itself.",
            field="matrix_file",
        )
    gantry = math.atan2(to_source[0], -to_source[1])
    level = np.array([math.cos(gantry), math.sin(gantry), 0.0])
    plumb = -np.cross(level, -to_source)
    tilt = math.asin(max(-1.0, min(1.0, to_source[2])))
    return math.degrees(gantry), math.degrees(tilt), math.degrees(math.atan2(right @ plumb, right @ level))


Camera = View | ProjectionMatrix
