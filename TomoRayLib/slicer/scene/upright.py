"""Upright radiographs: a radiograph as the network gets it, as a helper volume whose pixels have places in RAS.

The helpers lie far from the patient, so that nothing else of the scene is drawn on them; the AP is a coronal, the
lateral a sagittal plane, so that every view of them has the patient's directions right. A row is 1 mm high, whatever
its true size: pixels are what matters. Helpers are hidden and never saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import slicer.util

from TomoRayLib.slicer.scene.hierarchy import remove_nodes
from TomoRayLib.slicer.scene.nodes import Role
from TomoRayLib.slicer.scene.radiographs import PREVIEW_PERCENTILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELPER_KEY = "TomoRay.Helper"  # attribute of every node that is drawn with and taken away again: by whom
AWAY_MM = 10000.0
AXIS_OF_ROLE = {Role.AP: 0, Role.LATERAL: 1}  # the axis in RAS along which columns run, downwards


@dataclass(frozen=True)
class Frame:
    """Where the pixels (row, column) of an upright radiograph lie in RAS.

    Args:
        role: AP or lateral.
        shape: (rows, columns).
        column_mm: Width of a column over the height of a row, in the plane of the isocentre.
    """

    role: Role
    shape: tuple[int, int]
    column_mm: float = 1.0

    def ras(self, pixel: tuple[float, float]) -> tuple[float, float, float]:
        """The place of a pixel in RAS."""
        place = [AWAY_MM, AWAY_MM, 0.0]
        place[AXIS_OF_ROLE[self.role]] = ((self.shape[1] - 1) / 2 - pixel[1]) * self.column_mm
        place[2] = (self.shape[0] - 1) / 2 - pixel[0]
        return (place[0], place[1], place[2])

    def pixel(self, ras: tuple[float, float, float]) -> tuple[float, float]:
        """The pixel at a place in RAS: the inverse of ``ras``."""
        across = ras[AXIS_OF_ROLE[self.role]]
        return ((self.shape[0] - 1) / 2 - ras[2], (self.shape[1] - 1) / 2 - across / self.column_mm)

    def ijk_to_ras(self) -> NDArray[np.float64]:
        """4 x 4 matrix from (column, row, 0, 1) to RAS."""
        matrix = np.zeros((4, 4))
        origin, across, down = (np.array(self.ras(pixel)) for pixel in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0)))
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 3], matrix[3, 3] = across - origin, down - origin, origin, 1.0
        matrix[:3, 2] = np.cross(matrix[:3, 0] / self.column_mm, matrix[:3, 1])
        return matrix


def upright_pixels(pixels: NDArray[Any], mirrored: bool, inverted: bool, turned_deg: int) -> NDArray[np.float32]:
    """The pixels of a radiograph turned clockwise, then mirrored, and with bone bright."""
    result = np.rot90(pixels, -(turned_deg // 90))
    result = result[:, ::-1] if mirrored else result
    return np.ascontiguousarray(result.max() + result.min() - result if inverted else result, dtype=np.float32)


def add_upright(name: str, pixels: NDArray[np.float32], frame: Frame, owner: str) -> Any:
    """Add the helper volume of an upright radiograph, for ``owner`` to remove."""
    node = add_helper("vtkMRMLScalarVolumeNode", name, owner)
    slicer.util.updateVolumeFromArray(node, pixels[None])
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(frame.ijk_to_ras()))
    node.CreateDefaultDisplayNodes()
    step = max(1, max(pixels.shape) // 400)
    low, high = (float(value) for value in np.percentile(pixels[::step, ::step], PREVIEW_PERCENTILES))
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, max(high, low + 1e-6))
    display.SetSaveWithScene(False)
    return node


def add_helper(class_name: str, name: str, owner: str) -> Any:
    """Add a node that is hidden from selectors and never saved, for ``owner`` to remove."""
    node = slicer.mrmlScene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetName(name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    node.SetAttribute(HELPER_KEY, owner)
    return slicer.mrmlScene.AddNode(node)


def remove_helpers(owner: str) -> None:
    """Remove every helper of ``owner`` from the scene, also those that another panel left."""
    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    helpers = [node for node in nodes if node.GetAttribute(HELPER_KEY) == owner]
    if helpers:
        remove_nodes(helpers)
