"""Small lopsided data for the tests of the Slicer part: a phantom CT with oblique axes, off centre, and its labels."""

from __future__ import annotations

from functools import cache

import numpy as np

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes

SPACING_MM = (2.7, 3.1, 4.0)
ANGLES_DEG = (7.0, -5.0, 11.0)


def rotation(angles_deg: tuple[float, float, float]) -> np.ndarray:
    """3 x 3 rotation about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(angles_deg)):
        turn = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[second, first], turn[first, second] = np.sin(angle), -np.sin(angle)
        matrix = turn @ matrix
    return matrix


@cache
def oblique_case() -> tuple[Volume, Volume]:
    """(CT in HU, VerSe labels) on one oblique anisotropic grid, whose centre is not that of the spine."""
    ct, labels = phantom_volumes()
    size = (110, 90, 72)
    direction = rotation(ANGLES_DEG)
    middle = np.add(ct.grid.center_mm, (9.0, -6.0, 12.0))
    half = (np.asarray(size) - 1) / 2 * SPACING_MM
    origin = middle - direction @ half
    grid = Grid(size, SPACING_MM, tuple(origin), tuple(direction.ravel()))
    voxels = resample(ct, grid).voxels
    on_grid = resample(labels, grid, Interpolation.NEAREST, fill=0).voxels
    return Volume(np.round(voxels).astype(np.int16), grid), Volume(on_grid.astype(np.uint8), grid)


def add_volume(volume: Volume, name: str, kind: str = "vtkMRMLScalarVolumeNode"):
    """A volume node in the scene: IJK to RAS written out here, apart from the code under test."""
    import slicer
    import slicer.util

    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    slicer.util.updateVolumeFromArray(node, volume.voxels)
    to_lps = volume.grid.index_to_world
    to_ras = to_lps.copy()
    to_ras[0] *= -1
    to_ras[1] *= -1
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(to_ras))
    node.CreateDefaultDisplayNodes()
    return node


def add_segmentation(labels: Volume, reference, name: str = "vertebrae", names: dict[int, str] | None = None):
    """A segmentation node with one segment a label, named by ``names`` or VerSe."""
    import slicer
    import slicer.util

    from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    for value in (int(v) for v in np.unique(labels.voxels) if v):
        title = (names or NAME_OF_LABEL).get(value, f"Segment_{value}")
        node.GetSegmentation().AddEmptySegment(f"s{value}", title)
        mask = (labels.voxels == value).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, f"s{value}", reference)
    return node


def add_radiograph(pixels: np.ndarray, name: str, spacing_mm: tuple[float, float] = (1.5, 1.5)):
    """A single-slice volume node with (row, column) spacing, its axes as Slicer reads pictures: left and back."""
    import slicer
    import slicer.util

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, pixels[None].astype(np.float32))
    node.SetSpacing(spacing_mm[1], spacing_mm[0], 1.0)
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    node.CreateDefaultDisplayNodes()
    return node


def a_picture(rows: int = 120, columns: int = 100) -> np.ndarray:
    """A lopsided radiograph: a bright column left of the middle, brighter towards the bottom."""
    v, u = np.indices((rows, columns))
    return (np.exp(-(((u - columns * 0.4) / 9.0) ** 2)) * (1 + v / rows) + 0.2).astype(np.float32)


def a_lateral() -> np.ndarray:
    """Another radiograph of the same height, brighter."""
    return 1.5 * a_picture()
