"""Masks as segments, placed by a matrix, without helper nodes in the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from TomoRayLib.anatomy.vertebra_codes import VERTEBRA, Code, code_of_label, totalsegmentator_name
from TomoRayLib.anatomy.vertebra_colors import color_of_label
from TomoRayLib.slicer.scene.nodes import LPS_OF_RAS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from TomoRayLib.geometry.grid import Grid

# Category, type, modifier and region of a segment, as Slicer writes terminology. A vertebra with a code of its own is
# found in the list that TotalSegmentator's extension brings; a vertebra in general in Slicer's own.
ENTRY = "{context}~SCT^123037004^Anatomical Structure~{code.scheme}^{code.value}^{code.meaning}~^^~{regions}~^^~^^"
CONTEXT = "Segmentation category and type - Total Segmentator"
GENERAL_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
REGIONS = "Anatomic codes - DICOM master list"
BINARY_LABELMAP = "Binary labelmap"


def add_segment(
    node: Any, mask: NDArray[np.bool_], grid: Grid, name: str, color: tuple[float, float, float], segment_id: str
) -> Any:
    """Add a mask (z, y, x) on ``grid`` as a segment with the terminology of a vertebra in general, and return it.

    Only its bounding box is stored.
    """
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetColor(*color)
    segment.SetTag("TerminologyEntry", terminology_of(VERTEBRA))
    segment.AddRepresentation(BINARY_LABELMAP, oriented_image(mask, grid))
    node.GetSegmentation().AddSegment(segment, segment_id)
    return segment


def add_vertebra(node: Any, mask: NDArray[np.bool_], grid: Grid, label: int, segment_id: str) -> None:
    """Add a mask (z, y, x) on ``grid`` as the segment of one vertebra, by its VerSe number."""
    name_vertebra(add_segment(node, mask, grid, "", color_of_label(label), segment_id), label)


def name_vertebra(segment: Any, label: int) -> None:
    """Give a segment TotalSegmentator's name, the SNOMED CT code and the colour of a vertebra, by its VerSe number."""
    segment.SetName(totalsegmentator_name(label))
    segment.SetColor(*color_of_label(label))
    segment.SetTag("TerminologyEntry", terminology_of(code_of_label(label)))


def terminology_of(code: Code) -> str:
    """Return a code of an anatomical structure as Slicer's terminology entry."""
    return ENTRY.format(context=GENERAL_CONTEXT if code == VERTEBRA else CONTEXT, code=code, regions=REGIONS)


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
