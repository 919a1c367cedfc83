"""Distances between the surfaces of two masks in mm: HD95, ASSD and NSD, weighted by surface area.

The definition is that of google-deepmind/surface-distance (Nikolov et al. 2021, https://doi.org/10.2196/26151): a
surface element (surfel) sits in the middle of each 2 x 2 x 2 cell of voxel centres that holds both inside and outside,
and weighs the area of that cell's marching-cubes triangles. Voxels outside the field of view count as background, so
a mask that is cut by the edge gets a closing surface there. Our own implementation: nearest surfels come from a k-d
tree instead of a distance transform, which gives the same distances.

Masks are ``(z, y, x)``; ``spacing_mm`` is ``(x, y, z)`` as in ``geometry.Grid``; points are ``(z, y, x)`` in mm.

Empty masks: with one empty surface HD95 and ASSD are infinite and NSD is 0; with both empty all are NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from TomoRayLib.base.threads import thread_count
from TomoRayLib.geometry.masks import Mask, bounding_box

Floats = NDArray[np.float64]
Vector3 = tuple[float, float, float]

TOLERANCE_SLACK_MM = 1e-6  # so that a distance of exactly the tolerance counts in spite of rounding
_ALL_INSIDE = 255


@dataclass(frozen=True, eq=False)
class Surface:
    """The surfels of one mask: ``points_mm`` (n, 3) in (z, y, x), ``areas_mm2`` (n,), and a k-d tree of the points."""

    points_mm: Floats
    areas_mm2: Floats
    tree: cKDTree | None

    @property
    def is_empty(self) -> bool:
        return self.tree is None


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance in mm of each surfel to the other surface, with its area in mm^2, in both directions."""

    from_truth_mm: Floats
    truth_areas_mm2: Floats
    from_prediction_mm: Floats
    prediction_areas_mm2: Floats

    @property
    def both_empty(self) -> bool:
        return not len(self.from_truth_mm) and not len(self.from_prediction_mm)

    @property
    def one_empty(self) -> bool:
        return (len(self.from_truth_mm) == 0) != (len(self.from_prediction_mm) == 0)


def surface_of(mask: Mask, spacing_mm: Vector3, origin_ijk: tuple[int, int, int] = (0, 0, 0)) -> Surface:
    """Compute the surface of a boolean mask.

    Args:
        mask: Boolean ``(z, y, x)``.
        spacing_mm: Voxel spacing (x, y, z) in mm.
        origin_ijk: The (z, y, x) index of the mask's first voxel in the entire volume, for a mask that is a cut-out.

    Returns:
        Surfels with points ``(z, y, x)`` in mm and areas in mm^2.

    Raises:
        ValueError: If the mask is not three-dimensional or the spacing is not three numbers above 0.
    """
    if mask.ndim != 3:
        raise ValueError(f"A mask must be three-dimensional (z, y, x); got shape {mask.shape}.")
    spacing = checked_spacing_mm(spacing_mm)
    box = bounding_box(mask)
    if box is None:
        return Surface(np.empty((0, 3)), np.empty(0), None)
    codes = _neighbour_codes(mask[box])
    index = np.nonzero((codes != 0) & (codes != _ALL_INSIDE))
    start = np.array([s.start for s in box]) + origin_ijk
    points = (np.stack(index, axis=1) + start - 0.5) * spacing[::-1]  # cell n lies between voxels n - 1 and n
    areas = _surfel_areas_mm2(spacing)[codes[index]]
    return Surface(points, areas, _tree_of(points))


def points_surface(points_mm: Floats) -> Surface:
    """Return points on a surface as one, each with the same area.

    Args:
        points_mm: (n, 3), (z, y, x) in mm as ``surface_of`` has them.

    Returns:
        The surface. Without areas of its own, every point weighs as much as the next: a cloud should be even.

    Raises:
        ValueError: If the points do not have three coordinates.
    """
    if points_mm.ndim != 2 or points_mm.shape[1] != 3:
        raise ValueError(f"Points must have three coordinates each, (n, 3); got the shape {points_mm.shape}.")
    if not len(points_mm):
        return Surface(np.empty((0, 3)), np.empty(0), None)
    points = np.ascontiguousarray(points_mm, dtype=np.float64)
    return Surface(points, np.ones(len(points)), _tree_of(points))


def surface_distances(truth: Surface, prediction: Surface, threads: int | None = None) -> SurfaceDistances:
    """Compute the distances both ways between two surfaces.

    Args:
        truth: The truth's surface.
        prediction: The predicted surface.
        threads: Threads to search in; None: as many as ``base.threads`` allows, at most 2.

    Returns:
        Distances in mm of each surfel to the other surface, with areas; infinite if the other surface is empty.
    """
    count = thread_count(2) if threads is None else threads
    from_truth_mm, from_prediction_mm = (
        _nearest_mm(source, target, count) for source, target in ((truth, prediction), (prediction, truth))
    )
    return SurfaceDistances(from_truth_mm, truth.areas_mm2, from_prediction_mm, prediction.areas_mm2)


def hausdorff_mm(distances: SurfaceDistances, percent: float = 95.0) -> float:
    """Robust Hausdorff distance: the larger of the two directions' area-weighted percentiles.

    Args:
        distances: Distances both ways.
        percent: The percentile, 95 for HD95.

    Returns:
        The distance in mm; infinite with one empty surface, NaN with two.

    Raises:
        ValueError: If the percentage is outside 0..100.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"percent must lie between 0 and 100; got {percent}. Use 95 for HD95.")
    if distances.both_empty:
        return math.nan
    if distances.one_empty:
        return math.inf
    return max(
        _percentile_mm(distances.from_truth_mm, distances.truth_areas_mm2, percent),
        _percentile_mm(distances.from_prediction_mm, distances.prediction_areas_mm2, percent),
    )


def average_symmetric_distance_mm(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance (ASSD): the area-weighted mean over the surfels of both surfaces together.

    Args:
        distances: Distances both ways.

    Returns:
        The distance in mm; infinite with one empty surface, NaN with two.
    """
    if distances.both_empty:
        return math.nan
    if distances.one_empty:
        return math.inf
    # Sums of products, not np.dot: its last digits depend on the number of threads that BLAS uses.
    weighted = (distances.from_truth_mm * distances.truth_areas_mm2).sum()
    weighted += (distances.from_prediction_mm * distances.prediction_areas_mm2).sum()
    return float(weighted / (distances.truth_areas_mm2.sum() + distances.prediction_areas_mm2.sum()))


def normalized_surface_dice(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Normalised surface Dice (NSD): the share of both surfaces' area that lies near the other surface.

    Args:
        distances: Distances both ways.
        tolerance_mm: The distance that still counts as near.

    Returns:
        The share, 0 to 1; 0 with one empty surface, NaN with two.

    Raises:
        ValueError: If the tolerance is negative.
    """
    if tolerance_mm < 0:
        raise ValueError(f"tolerance_mm must not be negative; got {tolerance_mm}. Use 1 or 2 mm.")
    if distances.both_empty:
        return math.nan
    limit_mm = tolerance_mm + TOLERANCE_SLACK_MM
    close = distances.truth_areas_mm2[distances.from_truth_mm <= limit_mm].sum()
    close += distances.prediction_areas_mm2[distances.from_prediction_mm <= limit_mm].sum()
    return float(close / (distances.truth_areas_mm2.sum() + distances.prediction_areas_mm2.sum()))


def checked_spacing_mm(spacing_mm: Vector3) -> Vector3:
    """``(x, y, z)`` spacing as floats. Raises ValueError unless it is three finite numbers above 0."""
    numbers = tuple(float(value) for value in spacing_mm)
    if len(numbers) != 3 or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise ValueError(
            f"spacing_mm must be three numbers above 0 in (x, y, z) order; got {tuple(spacing_mm)}. "
            f"Take it from Grid.spacing_mm or the image header."
        )
    x, y, z = numbers
    return (x, y, z)


def _tree_of(points_mm: Floats) -> cKDTree:
    """A tree for many searches from near and far: its boxes are not shrunk and not balanced, half of the usual time."""
    return cKDTree(points_mm, leafsize=32, compact_nodes=False, balanced_tree=False)


def _nearest_mm(source: Surface, target: Surface, threads: int) -> Floats:
    if target.tree is None:
        return np.full(len(source.points_mm), math.inf)
    distances, _ = target.tree.query(source.points_mm, workers=threads)
    return np.asarray(distances, dtype=np.float64)


def _percentile_mm(distances_mm: Floats, areas_mm2: Floats, percent: float) -> float:
    order = np.argsort(distances_mm)
    cumulative = np.cumsum(areas_mm2[order])
    place = int(np.searchsorted(cumulative, cumulative[-1] * percent / 100))
    return float(distances_mm[order][min(place, len(order) - 1)])


def _neighbour_codes(mask: Mask) -> NDArray[np.uint8]:
    """8-bit code of each 2 x 2 x 2 cell, one larger than ``mask`` on each axis: bit 4 dz + 2 dy + dx is a corner.

    Cell n of an axis lies between the voxels n - 1 and n; voxels beyond the mask are background.
    """
    codes = np.pad(mask, 1).astype(np.uint8)
    codes = codes[:, :, :-1] | codes[:, :, 1:] << np.uint8(1)
    codes = codes[:, :-1] | codes[:, 1:] << np.uint8(2)
    return codes[:-1] | codes[1:] << np.uint8(4)


@lru_cache(maxsize=16)
def _surfel_areas_mm2(spacing_mm: Vector3) -> Floats:
    """(256,) marching-cubes area of each neighbour code in mm^2 for voxels of ``spacing_mm`` (x, y, z)."""
    areas = np.zeros(256)
    for code, triangles in enumerate(_unit_triangles()):
        corners = triangles * np.asarray(spacing_mm)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        areas[code] = 0.5 * np.linalg.norm(normals, axis=1).sum()
    areas.setflags(write=False)
    return areas


@lru_cache(maxsize=1)
def _unit_triangles() -> tuple[Floats, ...]:
    """For each neighbour code the marching-cubes triangles (n, 3 corners, xyz) of a unit cell, made by VTK.

    Five and more inside corners are taken as their complement: the minority is what gets isolated on faces with two
    diagonal corners. This is the choice of surface-distance's table (VTK alone differs from it for 44 of 256 codes).
    """
    return tuple(_triangles_of(code if code.bit_count() <= 4 else _ALL_INSIDE - code) for code in range(256))


def _triangles_of(code: int) -> Floats:
    # Imported here: only the first surface of a process needs VTK.
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkMarchingCubes

    cell = vtkImageData()
    cell.SetDimensions(2, 2, 2)
    inside = np.array([code >> bit & 1 for bit in range(8)], dtype=np.float32)  # x runs fastest, as VTK wants it
    cell.GetPointData().SetScalars(numpy_to_vtk(inside, deep=True))
    contour = vtkMarchingCubes()
    contour.SetInputData(cell)
    contour.SetValue(0, 0.5)
    contour.ComputeNormalsOff()
    contour.Update()
    surface = contour.GetOutput()
    if surface.GetNumberOfPolys() == 0:
        return np.empty((0, 3, 3))
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    return points[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)]
