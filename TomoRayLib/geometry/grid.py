"""Regular voxel grids in LPS millimetres.

Index 0 is the *centre* of the first voxel; arrays are ``(z, y, x)``. See docs/conventions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.number_checks import numbers_of, positive_numbers, whole_numbers

Vector3 = tuple[float, float, float]
IDENTITY_DIRECTION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ORTHONORMAL_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Grid:
    """A regular voxel grid in patient space.

    Left-handed directions are valid: such a grid is stored mirrored; the patient is not.

    Args:
        size: Number of voxels along (i, j, k), which is (x, y, z) for a straight grid.
        spacing_mm: Distance between voxel centres along (i, j, k).
        origin_mm: LPS position of the centre of voxel (0, 0, 0).
        direction: 3 x 3 matrix, row by row, whose *columns* are the LPS directions of the i, j and k axes (the order
            of SimpleITK's ``GetDirection``).

    Raises:
        InputError: If a size is below 1, a spacing not above 0, or the directions are not orthonormal.
    """

    size: tuple[int, int, int]
    spacing_mm: Vector3
    origin_mm: Vector3 = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY_DIRECTION

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", whole_numbers(self.size, 3, "Grid size (x, y, z)"))
        spacing = positive_numbers(self.spacing_mm, 3, "Grid spacing (x, y, z) in mm", "check the image header.")
        object.__setattr__(self, "spacing_mm", spacing)
        object.__setattr__(self, "origin_mm", numbers_of(self.origin_mm, 3, "Grid origin (x, y, z) in mm"))
        object.__setattr__(self, "direction", numbers_of(self.direction, 9, "Grid direction"))
        matrix = self.direction_matrix
        error = float(np.abs(matrix.T @ matrix - np.eye(3)).max())
        if error > ORTHONORMAL_TOLERANCE:
            raise InputError(
                f"Grid direction cosines must be orthonormal (three perpendicular unit vectors); got {self.direction}, "
                f"off by {error:.2g}. A sheared or gantry-tilted volume must be resampled to an orthogonal grid first."
            )

    @classmethod
    def cube(cls, center_mm: Vector3, fov_mm: float, size: int) -> Grid:
        """An axis-aligned cube.

        Args:
            center_mm: LPS position of its middle.
            fov_mm: Distance between opposite outer faces.
            size: Voxels along each edge.

        Returns:
            The grid of ``size``^3 voxels.

        Raises:
            InputError: If the field of view is not above 0.
        """
        (edge_mm,) = positive_numbers((fov_mm,), 1, "The field of view in mm", "use 256 or 192.", field="fov_mm")
        spacing_mm = edge_mm / size
        half_mm = (size - 1) / 2 * spacing_mm
        x, y, z = numbers_of(center_mm, 3, "The centre of the grid (x, y, z) in LPS mm")
        return cls((size,) * 3, (spacing_mm,) * 3, (x - half_mm, y - half_mm, z - half_mm))

    def part(self, low: Sequence[int], high: Sequence[int]) -> Grid:
        """Return the grid of the voxels from ``low`` to before ``high``, both (i, j, k); they keep their places."""
        x, y, z, _ = (float(value) for value in self.index_to_world @ (*low, 1.0))
        i, j, k = (end - first for first, end in zip(low, high, strict=True))
        return Grid((i, j, k), self.spacing_mm, (x, y, z), self.direction)

    def upright(self, step_mm: float) -> Grid:
        """Return a grid of cubic voxels along the axes of LPS that holds this one, with the same middle."""
        corners = self.corners_mm()
        low, high = corners.min(axis=0), corners.max(axis=0)
        i, j, k = (max(1, int(np.ceil(edge - 1e-6))) for edge in (high - low) / step_mm)
        x, y, z = (low + high - (np.array([i, j, k]) - 1) * step_mm) / 2
        return Grid((i, j, k), (step_mm,) * 3, (float(x), float(y), float(z)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape ``(z, y, x)``."""
        return (self.size[2], self.size[1], self.size[0])

    @property
    def direction_matrix(self) -> NDArray[np.float64]:
        """(3, 3); its columns are the LPS directions of the i, j and k axes."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

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
    def is_upright(self) -> bool:
        """True if i, j and k run along LPS x, y and z."""
        return bool(np.allclose(self.direction_matrix, np.eye(3), atol=1e-6))

    @property
    def axis_letters(self) -> str:
        """The patient's directions that i, j and k run to, such as ``LPS``, each by its nearest patient axis."""
        columns = self.direction_matrix.T
        axes = [int(np.argmax(np.abs(column))) for column in columns]
        return "".join(
            ("LR", "PA", "SI")[axis][int(column[axis] < 0)] for axis, column in zip(axes, columns, strict=True)
        )

    @property
    def center_mm(self) -> Vector3:
        """LPS position of the middle of the grid (between voxels if a size is even)."""
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
        """True if both grids have the same size and every outer corner agrees within ``tolerance_mm``."""
        if self.size != other.size:
            return False
        return bool(np.abs(self.corners_mm() - other.corners_mm()).max() <= tolerance_mm)
