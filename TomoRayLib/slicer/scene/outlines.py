"""Where the outline of the synthetic bone lies on a radiograph: a label map over the image, however that is stored.

Its pixels are those of the upright radiograph, as the network got it, in coarser steps over the same field. If the
radiograph had to be turned or mirrored for that, the axes of the label map are turned and mirrored back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer.util
import vtk

from TomoRayLib.slicer.scene.radiographs import screen_axes
from TomoRayLib.slicer.scene.upright import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTLINE_MM = 3.0  # of synthetic bone along a ray: the outline runs where there is more, as in the report


@dataclass(frozen=True, eq=False)
class Field:
    """Where an image lies in RAS mm: its middle, its whole width (to the right) and height (down) as vectors.

    ``shape`` is its (rows, columns).
    """

    middle: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    shape: tuple[int, int]

    def made_upright(self, mirrored: bool, turned_deg: int) -> Field:
        """The same field as the network got it: the image turned clockwise, then mirrored."""
        width, height, shape = self.width, self.height, self.shape
        for _quarter in range(turned_deg // 90 % 4):
            width, height, shape = -height, width, (shape[1], shape[0])
        return Field(self.middle, -width if mirrored else width, height, shape)

    def ijk_to_ras(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """4 x 4 matrix from (column, row, 0, 1) to RAS of an image of (rows, columns) over the whole field."""
        rows, columns = shape
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1] = self.width / columns, self.height / rows
        normal = np.cross(matrix[:3, 0], matrix[:3, 1])
        matrix[:3, 2] = normal / np.linalg.norm(normal)
        matrix[:3, 3] = self.middle - (columns - 1) / 2 * matrix[:3, 0] - (rows - 1) / 2 * matrix[:3, 1]
        return matrix


def field_of_node(radiograph: Any) -> Field:
    """The field of a single-slice volume node as its slice view shows it."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    radiograph.GetIJKToRASMatrix(ijk_to_ras)
    matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras)
    columns, rows, _slices = radiograph.GetImageData().GetDimensions()
    right, down = screen_axes(radiograph)
    spacing = np.linalg.norm(matrix[:3, :2], axis=0)
    columns_run_right = abs(matrix[:3, 0] @ right) / spacing[0] > abs(matrix[:3, 1] @ right) / spacing[1]
    across, along = (0, 1) if columns_run_right else (1, 0)
    counts = (columns, rows)
    return Field(
        (matrix @ ((columns - 1) / 2, (rows - 1) / 2, 0.0, 1.0))[:3],
        right * spacing[across] * counts[across],
        down * spacing[along] * counts[along],
        (counts[along], counts[across]),
    )


def field_of_frame(frame: Frame) -> Field:
    """The field of an upright radiograph that lies away from the patient."""
    rows, columns = frame.shape
    matrix = frame.ijk_to_ras()
    middle = (matrix @ ((columns - 1) / 2, (rows - 1) / 2, 0.0, 1.0))[:3]
    return Field(middle, matrix[:3, 0] * columns, matrix[:3, 1] * rows, frame.shape)


def lay_on(outline: Any, field: Field) -> bool:
    """Give an outline's label map the place of an upright radiograph.

    Returns:
        False, with the label map left where it is, if the radiograph has other proportions than that of the run.
    """
    _slices, rows, columns = slicer.util.arrayFromVolume(outline).shape
    proportion = (field.shape[0] * columns) / (field.shape[1] * rows)
    if abs(proportion - 1) > 1 / min(rows, columns):  # its rows and columns are rounded
        return False
    outline.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(field.ijk_to_ras((rows, columns))))
    return True
