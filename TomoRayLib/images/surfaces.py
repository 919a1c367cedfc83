"""The closed surface of a mask in LPS mm and back, and its distance to the truth's surface.

A surface never strays from its mask: before smoothing it separates the centres of inside and outside voxels, so that
it lies within half a voxel of the voxel faces, and the smoothing keeps volume. If the mask reaches the edge of the
field of view, the surface is closed there. An empty mask gives an empty but valid surface (no point, no triangle),
which can be written, read and measured like any other: ask ``is_empty`` and tell the reader that no bone was found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.masks import bounding_box
from TomoRayLib.images.surface_distance import SurfaceDistance
from TomoRayLib.images.types import Volume

Floats = NDArray[np.float64]

DISTANCE_ARRAY, SIGNED_DISTANCE_ARRAY = "distance_mm", "signed_distance_mm"

FIELD_LEVEL = 0.5
_FIELD_SD_VOXELS = 0.8
_FIELD_MARGIN = 0.02  # inside voxels stay above 0.5 + this, outside ones below 0.5 - this: no voxel is lost or won
_PAD_VOXELS = 4
_SMOOTHING_ITERATIONS, _PASS_BAND = 20, 0.1  # removes stairs of one voxel; the radius of a 10 mm sphere stays


def mask_field(mask: Volume) -> Volume | None:
    """The mask (non-zero = inside) as a smooth field, 0.5 on its surface, float32, cut to its box and padded.

    None for an empty mask. Every voxel centre keeps its side: above 0.5 inside, below 0.5 outside.
    """
    inside = mask.voxels != 0
    box = bounding_box(inside)
    if box is None:
        return None
    inside = np.pad(inside[box], _PAD_VOXELS)
    field = ndimage.gaussian_filter(inside.astype(np.float32), _FIELD_SD_VOXELS, truncate=3.0, mode="constant")
    high, low = FIELD_LEVEL + _FIELD_MARGIN, FIELD_LEVEL - _FIELD_MARGIN
    field = np.where(inside, np.maximum(field, high), np.minimum(field, low)).astype(np.float32)
    first_xyz = [box[axis].start - _PAD_VOXELS for axis in (2, 1, 0)]
    origin = (mask.grid.index_to_world @ np.array([*first_xyz, 1.0]))[:3]
    size = (field.shape[2], field.shape[1], field.shape[0])
    return Volume(field, Grid(size, mask.grid.spacing_mm, tuple(origin), mask.grid.direction))


def make_surface(mask: Volume) -> vtkPolyData:
    """Make the closed surface of a mask.

    Args:
        mask: Voxels ``(z, y, x)`` on any grid; non-zero is inside.

    Returns:
        Triangles in LPS mm with outward point normals; no point and no triangle for an empty mask.
    """
    return surface_of_field(mask_field(mask))


def surface_of_field(field: Volume | None) -> vtkPolyData:
    """Make the closed surface of what ``mask_field`` gave; ``make_surface`` in two steps."""
    if field is None:
        return vtkPolyData()
    in_index_space = _iso_surface(field.voxels)
    placed = _moved(in_index_space, field.grid.index_to_world)
    smoothing = vtkWindowedSincPolyDataFilter()
    smoothing.SetInputData(placed)
    smoothing.SetNumberOfIterations(_SMOOTHING_ITERATIONS)
    smoothing.SetPassBand(_PASS_BAND)
    smoothing.NormalizeCoordinatesOn()
    smoothing.BoundarySmoothingOff()
    smoothing.FeatureEdgeSmoothingOff()
    smoothing.NonManifoldSmoothingOn()
    smoothing.Update()
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(smoothing.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()  # flying edges already turns all triangles alike
    normals.Update()
    return _only_normals(normals.GetOutput())


def surface_of_triangles(points: Floats, faces: NDArray[np.integer]) -> vtkPolyData:
    """A surface from points (n, 3) in LPS mm and triangles (m, 3) of point numbers, without normals."""
    result = vtkPolyData()
    corners = vtkPoints()
    corners.SetData(numpy_to_vtk(points.astype(np.float32), deep=True))
    cells = vtkCellArray()
    offsets = np.arange(0, 3 * len(faces) + 1, 3, dtype=np.int64)
    cells.SetData(
        numpy_to_vtkIdTypeArray(offsets, deep=True),
        numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces, dtype=np.int64).ravel(), deep=True),
    )
    cells.ConvertTo32BitStorage()  # half as much to write
    result.SetPoints(corners)
    result.SetPolys(cells)
    return result


def mask_of_surface(surface: vtkPolyData, grid: Grid) -> Volume:
    """Rasterise a closed surface (LPS mm; triangles that share points) as uint8: 1 if a voxel's centre lies inside.

    Any grid; what of the surface lies outside it is cut off. An empty surface gives an empty mask.
    """
    if is_empty(surface):
        return Volume(np.zeros(grid.shape, np.uint8), grid)
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil  # only here

    to_index = grid.world_to_index
    stencil = vtkPolyDataToImageStencil()  # in index coordinates, in which every grid is upright
    in_index_space = points_mm(surface) @ to_index[:3, :3].T + to_index[:3, 3]
    stencil.SetInputData(surface_of_triangles(in_index_space, triangles(surface)))
    stencil.SetOutputOrigin(0.0, 0.0, 0.0)
    stencil.SetOutputSpacing(1.0, 1.0, 1.0)
    stencil.SetOutputWholeExtent(0, grid.size[0] - 1, 0, grid.size[1] - 1, 0, grid.size[2] - 1)
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetInsideValue(1)
    image.SetOutsideValue(0)
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    inside = vtk_to_numpy(image.GetOutput().GetPointData().GetScalars())
    return Volume(inside.reshape(grid.shape).copy(), grid)


def is_empty(surface: vtkPolyData) -> bool:
    """True if the surface has no triangle: no bone was found."""
    return surface.GetNumberOfPolys() == 0


def points_mm(surface: vtkPolyData) -> Floats:
    """(n, 3) points in LPS mm."""
    if not surface.GetNumberOfPoints():
        return np.empty((0, 3))
    return vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)


def triangles(surface: vtkPolyData) -> NDArray[np.int64]:
    """(m, 3) point numbers; seen from outside they run anticlockwise."""
    if is_empty(surface):
        return np.empty((0, 3), np.int64)
    return vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)


def signed_distance_mm(points: Floats, surface: vtkPolyData) -> Floats:
    """Signed distance of points to a surface, negative inside; for more points later, keep a ``SurfaceDistance``.

    Args:
        points: (n, 3) in LPS mm.
        surface: A closed surface with point normals in LPS mm, as ``make_surface`` gives it.

    Returns:
        (n,) distances in mm; infinite if the surface is empty.
    """
    return SurfaceDistance(surface).signed_mm(points)


def with_distance(surface: vtkPolyData, truth: SurfaceDistance) -> vtkPolyData:
    """Copy ``surface`` with the point arrays ``distance_mm`` and ``signed_distance_mm`` to the surface of ``truth``.

    The sign is negative inside the truth. Infinite if the truth is empty. Points and triangles are shared, not copied.
    """
    signed = truth.signed_mm(points_mm(surface))
    copy = vtkPolyData()
    copy.ShallowCopy(surface)
    for name, values in ((DISTANCE_ARRAY, np.abs(signed)), (SIGNED_DISTANCE_ARRAY, signed)):
        array = numpy_to_vtk(values.astype(np.float32), deep=True)
        array.SetName(name)
        copy.GetPointData().AddArray(array)
    copy.GetPointData().SetActiveScalars(DISTANCE_ARRAY)
    return copy


def _iso_surface(field: NDArray[np.float32]) -> vtkPolyData:
    """The surface of a field (z, y, x) at 0.5, in index coordinates (i, j, k)."""
    image = vtkImageData()
    image.SetDimensions(field.shape[2], field.shape[1], field.shape[0])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(field).ravel(), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, FIELD_LEVEL)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    return edges.GetOutput()


def _moved(surface: vtkPolyData, index_to_world: Floats) -> vtkPolyData:
    """The surface in LPS mm, all triangles turned outward (a left-handed grid would turn them inward)."""
    index = points_mm(surface)
    moved = index_to_world[:3, 3] + index[:, :1] * index_to_world[:3, 0]
    for axis in (1, 2):  # a product of matrices this thin keeps all processors busy for longer
        moved += index[:, axis : axis + 1] * index_to_world[:3, axis]
    faces = triangles(surface)
    return surface_of_triangles(moved, faces[:, ::-1] if np.linalg.det(index_to_world[:3, :3]) < 0 else faces)


def _only_normals(surface: vtkPolyData) -> vtkPolyData:
    result = vtkPolyData()
    result.SetPoints(surface.GetPoints())
    result.SetPolys(surface.GetPolys())
    result.GetPointData().SetNormals(surface.GetPointData().GetNormals())
    return result


def unit_vectors(vectors: NDArray[Any]) -> NDArray[Any]:
    """``vectors`` (..., 3) at length 1; a null vector stays null."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
