"""The closed surface of a mask in LPS mm and back, its distance to the truth's surface, and VTP and STL files of it.

A surface never strays from its mask: before smoothing it separates the centres of inside and outside voxels, so that
it lies within half a voxel of the voxel faces, and the smoothing keeps volume. If the mask reaches the edge of the
field of view, the surface is closed there. An empty mask gives an empty but valid surface (no point, no triangle),
which can be written, read and measured like any other: ask ``is_empty`` and tell the reader that no bone was found.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter
from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.notices import NOTICE, STL_NOTICE, TRUTH_NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.masks import bounding_box
from TomoRayLib.images.types import Volume

Floats = NDArray[np.float64]
PathLike = str | os.PathLike[str]

DISTANCE_ARRAY, SIGNED_DISTANCE_ARRAY = "distance_mm", "signed_distance_mm"

FIELD_LEVEL = 0.5
_FIELD_SD_VOXELS = 0.8
_FIELD_MARGIN = 0.02  # inside voxels stay above 0.5 + this, outside ones below 0.5 - this: no voxel is lost or won
_PAD_VOXELS = 4
_NEAREST_TRIANGLES = 6
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
    field = mask_field(mask)
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
    result.SetPoints(corners)
    result.SetPolys(cells)
    return result


def mask_of_surface(surface: vtkPolyData, grid: Grid) -> Volume:
    """Rasterise a closed surface (LPS mm; triangles that share points) as uint8: 1 if a voxel's centre lies inside.

    Any grid; what of the surface lies outside it is cut off. An empty surface gives an empty mask.
    """
    if is_empty(surface):
        return Volume(np.zeros(grid.shape, np.uint8), grid)
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
    """Signed distance of points to a surface, negative inside.

    Exact to the nearest of the six triangles with the nearest middles: on a real spine within 0.01 mm of
    vtkImplicitPolyDataDistance, in a quarter of its time. The sign is that of the triangle's mean point normal; near
    sharp edges it is wrong for some three points in ten thousand.

    Args:
        points: (n, 3) in LPS mm.
        surface: A closed surface with point normals in LPS mm, as ``make_surface`` gives it.

    Returns:
        (n,) distances in mm; infinite if the surface is empty.
    """
    if is_empty(surface):
        return np.full(len(points), np.inf)
    corners, faces = points_mm(surface)[triangles(surface)], triangles(surface)
    middles = corners.mean(axis=1)
    count = min(_NEAREST_TRIANGLES, len(faces))
    near = cKDTree(middles).query(points, k=count, workers=-1)[1].reshape(len(points), count)
    squared = np.full(len(points), np.inf)
    chosen = near[:, 0].copy()
    for candidate in near.T:
        found = _squared_distance(points, corners[candidate])
        closer = found < squared
        squared[closer], chosen[closer] = found[closer], candidate[closer]
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())[faces[chosen]].mean(axis=1)
    inside = np.einsum("ij,ij->i", points - middles[chosen], normals) < 0
    return np.where(inside, -1.0, 1.0) * np.sqrt(squared)


def with_distance(surface: vtkPolyData, truth: vtkPolyData) -> vtkPolyData:
    """Copy ``surface`` with the point arrays ``distance_mm`` and ``signed_distance_mm`` to ``truth``.

    The sign is negative inside the truth. Infinite if the truth is empty.
    """
    signed = signed_distance_mm(points_mm(surface), truth)
    copy = vtkPolyData()
    copy.DeepCopy(surface)
    for name, values in ((DISTANCE_ARRAY, np.abs(signed)), (SIGNED_DISTANCE_ARRAY, signed)):
        array = numpy_to_vtk(values.astype(np.float32), deep=True)
        array.SetName(name)
        copy.GetPointData().AddArray(array)
    copy.GetPointData().SetActiveScalars(DISTANCE_ARRAY)
    return copy


def write_vtp(path: PathLike, surface: vtkPolyData, *, marking: str = NOTICE) -> None:
    """Write a surface with its arrays atomically as VTK XML.

    Field data are SPACE = LPS (as 3D Slicer reads it), UNIT = mm and MARKING.

    Args:
        path: The file to write.
        surface: Triangles in LPS mm.
        marking: The notice stored as MARKING.

    Raises:
        OutputError: If the file cannot be written completely.
    """
    marked = vtkPolyData()
    marked.ShallowCopy(surface)
    for name, text in (("SPACE", "LPS"), ("UNIT", "mm"), ("MARKING", marking)):
        marked.GetFieldData().AddArray(_text_array(name, text))
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(marked)
    writer.SetDataModeToBinary()
    writer.SetCompressorTypeToZLib()
    writer.WriteToOutputStringOn()
    writer.Write()
    with write_atomically(path) as partial:
        partial.write_text(writer.GetOutputString(), encoding="utf-8")


def write_stl(path: PathLike, surface: vtkPolyData, *, marking: str = STL_NOTICE) -> None:
    """Write a surface atomically as binary STL.

    The 80 byte header holds SPACE=LPS (as 3D Slicer reads it), UNIT=mm and the marking.
    STL has no arrays: the distances are in the VTP.

    Args:
        path: The file to write.
        surface: Triangles in LPS mm.
        marking: The notice in the header.

    Raises:
        OutputError: If the file cannot be written completely.
    """
    corners = points_mm(surface)[triangles(surface)].astype("<f4")  # (m, 3, 3)
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets = np.zeros(len(corners), record)
    facets["corners"] = corners
    facets["normal"] = unit_vectors(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    header = f"TomoRay SPACE=LPS UNIT=mm {marking}".encode("ascii", "replace")[:80].ljust(80)
    with write_atomically(path) as partial:
        partial.write_bytes(header + np.uint32(len(facets)).astype("<u4").tobytes() + facets.tobytes())


def write_surfaces(folder: Path, vertebrae: Volume, true_vertebrae: Volume | None) -> None:
    """Write the surface of synthetic vertebrae as VTP and STL, and that of the true ones as VTP, in LPS mm.

    With true vertebrae, the synthetic surface carries its signed distance from theirs.
    """
    surface = make_surface(vertebrae)
    if true_vertebrae is not None:
        true_surface = make_surface(true_vertebrae)
        write_vtp(folder / "truth_surface.vtp", true_surface, marking=TRUTH_NOTICE)
        if not is_empty(surface):
            surface = with_distance(surface, true_surface)
    write_vtp(folder / "synthetic_surface.vtp", surface)
    write_stl(folder / "synthetic_surface.stl", surface)


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
    moved = points_mm(surface) @ index_to_world[:3, :3].T + index_to_world[:3, 3]
    faces = triangles(surface)
    if _signed_volume(moved, faces) < 0:
        faces = faces[:, ::-1]
    return surface_of_triangles(moved, faces)


def _only_normals(surface: vtkPolyData) -> vtkPolyData:
    result = vtkPolyData()
    result.SetPoints(surface.GetPoints())
    result.SetPolys(surface.GetPolys())
    result.GetPointData().SetNormals(surface.GetPointData().GetNormals())
    return result


def _signed_volume(corners: Floats, faces: NDArray[np.int64]) -> float:
    if not len(faces):
        return 0.0
    a, b, c = (corners[faces[:, n]] - corners.mean(axis=0) for n in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def _squared_distance(points: Floats, triangle: Floats) -> Floats:
    """(n,) squared distance of each point (n, 3) to its triangle (n, 3, 3): to the plane inside, else to the edges."""
    a, b, c = triangle[:, 0], triangle[:, 1], triangle[:, 2]
    normal = unit_vectors(np.cross(b - a, c - a))
    height = np.einsum("ij,ij->i", points - a, normal)
    foot = points - height[:, None] * normal
    within = np.ones(len(points), dtype=bool)
    edge = np.full(len(points), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        along, away = end - start, points - start
        within &= np.einsum("ij,ij->i", np.cross(along, foot - start), normal) >= 0
        length = np.maximum(np.einsum("ij,ij->i", along, along), 1e-12)
        share = np.clip(np.einsum("ij,ij->i", away, along) / length, 0.0, 1.0)
        gap = away - share[:, None] * along
        np.minimum(edge, np.einsum("ij,ij->i", gap, gap), out=edge)
    return np.where(within, height**2, edge)


def unit_vectors(vectors: NDArray[Any]) -> NDArray[Any]:
    """``vectors`` (..., 3) at length 1; a null vector stays null."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _text_array(name: str, text: str) -> Any:
    array = vtkStringArray()
    array.SetName(name)
    array.InsertNextValue(text)
    return array
