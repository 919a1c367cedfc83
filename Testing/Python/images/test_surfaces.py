"""The surface of a mask lies at the mask, in LPS mm, on any grid; files say so and hold all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFeatureEdges, vtkImplicitPolyDataDistance
from vtkmodules.vtkIOGeometry import vtkSTLReader
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.notices import NOTICE, STL_NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.case_surfaces import CaseSurfaces, write_surfaces
from TomoRayLib.images.surface_distance import SurfaceDistance
from TomoRayLib.images.surface_files import write_stl, write_vtp
from TomoRayLib.images.surfaces import (
    is_empty,
    make_surface,
    mask_of_surface,
    points_mm,
    signed_distance_mm,
    surface_of_triangles,
    triangles,
    with_distance,
)
from TomoRayLib.images.types import Volume

CENTER_MM = np.array((12.0, -25.0, 40.0))  # conftest's grids lie around it
RADII_MM = np.array((17.0, 11.0, 8.0))  # along LPS x, y, z: a swapped axis is 3 mm off at least


def ellipsoid(grid: Grid, center_mm: np.ndarray = CENTER_MM, radii_mm: np.ndarray = RADII_MM) -> Volume:
    k, j, i = np.indices(grid.shape)
    world = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.index_to_world.T
    return Volume((((world[..., :3] - center_mm) / radii_mm) ** 2).sum(axis=-1) <= 1, grid)


def sphere_grid() -> Grid:
    return Grid((60, 50, 45), (1.0, 1.2, 1.4), (-20.0, -50.0, 10.0))


def sphere(radius_mm: float) -> Volume:
    return ellipsoid(sphere_grid(), CENTER_MM, np.full(3, radius_mm))


def enclosed_volume_mm3(surface: vtkPolyData) -> float:
    """Sum of the tetrahedra from the origin to each triangle: positive if triangles point outward."""
    return float(np.linalg.det(points_mm(surface)[triangles(surface)]).sum() / 6)


def open_edges(surface: vtkPolyData) -> int:
    edges = vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.FeatureEdgesOff()
    edges.ManifoldEdgesOff()
    edges.BoundaryEdgesOn()
    edges.NonManifoldEdgesOff()
    edges.Update()
    return int(edges.GetOutput().GetNumberOfCells())


def test_surface_lies_on_the_ellipsoid_in_lps_mm_on_any_grid(a_grid: Grid) -> None:
    points = points_mm(make_surface(ellipsoid(a_grid)))
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    # Voxels are 2 x 1 x 0.5 mm: a shift by half a voxel along i is 1 mm, along j 0.5 mm, along k 0.25 mm.
    np.testing.assert_allclose(points.mean(axis=0), CENTER_MM, atol=0.12)
    np.testing.assert_allclose(middle, CENTER_MM, atol=0.4)
    np.testing.assert_allclose(np.ptp(points, axis=0) / 2, RADII_MM, atol=0.8)


def test_radius_of_a_sphere_is_right_within_a_tenth_of_a_voxel() -> None:
    points = points_mm(make_surface(sphere(14.0)))
    radius = np.linalg.norm(points - CENTER_MM, axis=1)
    assert radius.mean() == pytest.approx(14.0, abs=0.12)
    assert np.abs(radius - 14.0).max() < 0.7  # half of the largest voxel edge


def test_smoothing_keeps_the_volume_of_the_mask() -> None:
    mask = sphere(14.0)
    voxels_mm3 = mask.voxels.sum() * np.prod(mask.grid.spacing_mm)
    assert enclosed_volume_mm3(make_surface(mask)) == pytest.approx(voxels_mm3, rel=0.02)


def test_surface_is_closed_where_the_field_of_view_cuts_the_mask() -> None:
    mask = ellipsoid(Grid((10, 20, 14), (2.0, 1.0, 1.5), tuple(CENTER_MM)))  # begins at the ellipsoid's middle
    surface = make_surface(mask)
    assert open_edges(surface) == 0
    assert points_mm(surface)[:, 0].min() == pytest.approx(CENTER_MM[0] - 1.0, abs=0.5)  # half a voxel outside


def test_normals_and_triangles_point_outward_on_any_grid(a_grid: Grid) -> None:
    surface = make_surface(ellipsoid(a_grid))
    outward = (points_mm(surface) - CENTER_MM) / RADII_MM**2
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    assert np.einsum("ij,ij->i", outward, normals).min() > 0
    assert enclosed_volume_mm3(surface) > 0


def test_a_single_voxel_is_not_lost() -> None:
    voxels = np.zeros((9, 9, 9), bool)
    voxels[4, 4, 4] = True
    assert not is_empty(make_surface(Volume(voxels, Grid((9, 9, 9), (1.0, 1.0, 1.0)))))


def read_vtp(path: Path) -> vtkPolyData:
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def test_an_empty_mask_gives_an_empty_surface_that_can_be_written(tmp_path) -> None:
    surface = make_surface(Volume(np.zeros((4, 5, 6), np.uint8), Grid((6, 5, 4), (1.0, 1.0, 1.0))))
    assert is_empty(surface)
    assert points_mm(surface).shape == triangles(surface).shape == (0, 3)
    write_vtp(tmp_path / "empty.vtp", surface)
    write_stl(tmp_path / "empty.stl", surface)
    assert (tmp_path / "empty.stl").stat().st_size == 84
    assert np.isinf(signed_distance_mm(np.zeros((3, 3)), surface)).all()
    assert with_distance(surface, SurfaceDistance(surface)).GetPointData().HasArray("distance_mm")


def test_distance_between_two_spheres_is_the_difference_of_their_radii() -> None:
    outer = with_distance(make_surface(sphere(15.0)), SurfaceDistance(make_surface(sphere(11.0))))
    distance = vtk_to_numpy(outer.GetPointData().GetArray("distance_mm"))
    signed = vtk_to_numpy(outer.GetPointData().GetArray("signed_distance_mm"))
    assert distance.mean() == pytest.approx(4.0, abs=0.15)
    np.testing.assert_allclose(signed, distance)  # outside the truth is positive
    inner = with_distance(make_surface(sphere(11.0)), SurfaceDistance(make_surface(sphere(15.0))))
    assert vtk_to_numpy(inner.GetPointData().GetArray("signed_distance_mm")).mean() == pytest.approx(-4.0, abs=0.15)


def test_distance_to_itself_is_nought_and_between_points_exact_to_the_triangles() -> None:
    surface = make_surface(sphere(12.0))
    corners = points_mm(surface)
    middles = corners[triangles(surface)].mean(axis=1)  # far from every point of the mesh, but on it
    assert np.abs(signed_distance_mm(middles, surface)).max() < 1e-5
    far = CENTER_MM + np.array([[30.0, 0.0, 0.0], [0.0, 0.0, -30.0]])
    np.testing.assert_allclose(signed_distance_mm(far, surface), 18.0, atol=0.7)  # half a voxel


def test_distance_to_one_triangle_is_that_to_its_plane_its_edges_or_its_corners() -> None:
    triangle = surface_of_triangles(np.array([[0.0, 0, 0], [4, 0, 0], [0, 3, 0]]), np.array([[0, 1, 2]]))
    cases = {(1.0, 1.0, 2.0): 2.0, (2.0, -3.0, 4.0): 5.0, (-1.0, -2.0, 2.0): 3.0, (7.0, -4.0, 0.0): 5.0}
    cases |= {(0.0, 9.0, 8.0): 10.0, (2.0 + 3.0, 1.5 + 4.0, 0.0): 5.0}  # 5 mm off the middle of the longest edge
    distance = SurfaceDistance(triangle).away_mm(np.array(list(cases)))
    np.testing.assert_allclose(distance, list(cases.values()), atol=1e-9)


def test_a_triangle_without_an_area_is_as_far_away_as_its_edges() -> None:
    line = surface_of_triangles(np.array([[0.0, 0, 0], [4, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(SurfaceDistance(line).away_mm(np.array([[3.0, 2.0, 0.0], [7.0, 4.0, 0.0]])), [2.0, 5.0])


def test_distance_agrees_with_a_search_through_all_triangles(a_grid: Grid) -> None:
    surface = make_surface(ellipsoid(a_grid))
    reference = vtkImplicitPolyDataDistance()
    reference.SetInput(surface)
    points = np.random.default_rng(3).normal(CENTER_MM, 12.0, (500, 3))
    ours = SurfaceDistance(surface).signed_mm(points)
    np.testing.assert_allclose(ours, [reference.EvaluateFunction(*point) for point in points], atol=0.03)


def test_the_surfaces_of_a_case_are_those_made_alone(a_grid: Grid, tmp_path) -> None:
    synthetic, truth = ellipsoid(a_grid, radii_mm=0.9 * RADII_MM), ellipsoid(a_grid)
    shared, alone = CaseSurfaces(synthetic, truth), (make_surface(synthetic), make_surface(truth))
    write_surfaces(tmp_path, shared)
    for ours, theirs in zip((shared.synthetic, shared.truth), alone, strict=True):
        np.testing.assert_array_equal(points_mm(ours), points_mm(theirs))
        np.testing.assert_array_equal(triangles(ours), triangles(theirs))
    written = read_vtp(tmp_path / "synthetic_surface.vtp")
    signed = vtk_to_numpy(written.GetPointData().GetArray("signed_distance_mm"))
    np.testing.assert_allclose(signed, signed_distance_mm(points_mm(alone[0]), alone[1]), atol=1e-6)
    np.testing.assert_array_equal(points_mm(read_vtp(tmp_path / "truth_surface.vtp")), points_mm(alone[1]))
    assert not shared.synthetic.GetPointData().HasArray("signed_distance_mm")  # only the written one carries it


def test_the_surfaces_of_a_case_without_a_truth_have_no_distance(tmp_path) -> None:
    write_surfaces(tmp_path, CaseSurfaces(sphere(12.0)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["synthetic_surface.stl", "synthetic_surface.vtp"]
    assert not read_vtp(tmp_path / "synthetic_surface.vtp").GetPointData().HasArray("distance_mm")


def test_vtp_reads_back_with_arrays_and_says_lps_mm_synthetic(tmp_path) -> None:
    surface = with_distance(make_surface(sphere(12.0)), SurfaceDistance(make_surface(sphere(11.0))))
    write_vtp(tmp_path / "s.vtp", surface)
    back = read_vtp(tmp_path / "s.vtp")
    np.testing.assert_array_equal(points_mm(back), points_mm(surface))
    np.testing.assert_array_equal(triangles(back), triangles(surface))
    assert back.GetPointData().HasArray("distance_mm")
    texts = {name: back.GetFieldData().GetAbstractArray(name).GetValue(0) for name in ("SPACE", "UNIT", "MARKING")}
    assert texts["SPACE"] == "LPS"
    assert texts["UNIT"] == "mm"
    assert texts["MARKING"] == NOTICE
    assert surface.GetFieldData().GetNumberOfArrays() == 0  # the caller's surface is unchanged


def test_stl_reads_back_and_says_lps_mm_synthetic(tmp_path) -> None:
    surface = make_surface(sphere(12.0))
    write_stl(tmp_path / "s.stl", surface)
    header = (tmp_path / "s.stl").read_bytes()[:80].decode("ascii")
    assert "SPACE=LPS" in header
    assert "UNIT=mm" in header
    assert header.rstrip().endswith(STL_NOTICE)  # whole, in spite of the 80 bytes
    assert not header.startswith("solid")  # readers would take it for text
    reader = vtkSTLReader()
    reader.SetFileName(str(tmp_path / "s.stl"))
    reader.Update()
    back = reader.GetOutput()
    assert back.GetNumberOfPolys() == surface.GetNumberOfPolys()
    np.testing.assert_allclose(back.GetBounds(), surface.GetBounds(), atol=1e-5)


def test_writing_into_a_folder_that_cannot_be_made_is_an_output_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Expected"):
        write_vtp(tmp_path / "file" / "s.vtp", make_surface(sphere(5.0)))


def test_a_surface_as_a_mask_on_any_grid_holds_the_voxels_whose_centre_is_inside(a_grid: Grid) -> None:
    mask = ellipsoid(a_grid)
    again = mask_of_surface(make_surface(mask), a_grid)
    assert again.voxels.dtype == np.uint8
    overlap = 2 * np.count_nonzero(again.voxels & (mask.voxels != 0)) / (again.voxels.sum() + (mask.voxels != 0).sum())
    assert overlap > 0.99
    places = [np.stack(np.nonzero(volume.voxels), axis=1).mean(axis=0) for volume in (again, mask)]
    np.testing.assert_allclose(places[0], places[1], atol=0.05)  # a half voxel's shift would show


def test_a_surface_that_leaves_the_grid_is_cut_off_and_an_empty_one_leaves_nothing() -> None:
    surface = make_surface(sphere(10.0))
    low, high = points_mm(surface).min(axis=0), points_mm(surface).max(axis=0)
    grid = Grid((6, 9, 12), (1.5, 1.0, 2.0), tuple((low + high) / 2))
    inside = mask_of_surface(surface, grid).voxels
    assert inside[0, 0, 0] == 1
    assert inside[0, 0, -1] == 1  # 7.5 mm off
    assert inside[-1].max() == 0  # 22 mm off
    assert mask_of_surface(vtkPolyData(), grid).voxels.max() == 0
