"""Masks as segments, placed by a matrix, without helper nodes in the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from TomoRayLib.slicer.scene.nodes import LPS_OF_RAS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from TomoRayLib.geometry.grid import Grid

# Category, type, modifier and region of a segment, as Slicer writes terminology: SNOMED CT 51282000, vertebra.
TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
    "~SCT^51282000^Vertebra~^^~Anatomic codes - DICOM master list~^^~^^"
)
BINARY_LABELMAP = "Binary labelmap"
# Okabe and Ito's palette in turn, so that neighbouring vertebrae differ for every colour vision.
VERTEBRA_COLORS = ((0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.0, 0.45, 0.70), (0.80, 0.47, 0.65))


def add_segment(
    node: Any, mask: NDArray[np.bool_], grid: Grid, name: str, color: tuple[float, float, float], segment_id: str
) -> None:
    """Add a mask (z, y, x) on ``grid`` as a segment with a vertebra's terminology; only its bounding box is stored."""
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetColor(*color)
    segment.SetTag("TerminologyEntry", TERMINOLOGY)
    segment.AddRepresentation(BINARY_LABELMAP, oriented_image(mask, grid))
    node.GetSegmentation().AddSegment(segment, segment_id)


def oriented_image(mask: NDArray[np.bool_], grid: Grid) -> Any:
    """The bounding box of a mask (z, y, x) as Slicer's oriented image in RAS; the indices stay those of ``grid``."""
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(LPS_OF_RAS @ grid.index_to_world))
    ends = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in (2, 1, 0)]
    if not len(ends[0]):
        return image
    (i0, i1), (j0, j1), (k0, k1) = ((int(found[0]), int(found[-1])) for found in ends)
    image.SetExtent(i0, i1, j0, j1, k0, k1)
    box = np.ascontiguousarray(mask[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1], dtype=np.uint8)
    image.GetPointData().SetScalars(numpy_to_vtk(box.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    return image
