"""Voxels and extents that no CT has, whichever format states them; sizes that are just possible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.headers.stated_grid import affine, check_plausible, farthest_mm, grid_of_affine, mm_of_unit
from TomoRayLib.images.types import Volume, volume_to_sitk


def write_any_format(path: Path, volume: Volume) -> None:
    """Write a volume by ITK, in formats too that TomoRay does not write."""
    sitk.WriteImage(volume_to_sitk(volume), str(path))


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha", "vtk"])
@pytest.mark.parametrize("spacing_mm", [(0.04, 1.0, 1.0), (1.0, 1.0, 25.0)])
def test_voxels_of_no_ct_are_refused_in_every_format(
    tmp_path: Path, ending: str, spacing_mm: tuple[float, float, float]
) -> None:
    write_any_format(tmp_path / f"ct.{ending}", Volume(np.zeros((3, 5, 7), np.int16), Grid((7, 5, 3), spacing_mm)))
    with pytest.raises(InputError, match=r"expected voxels of 0\.05 to 20 mm, got .* mm \(.+\)"):
        read_volume(tmp_path / f"ct.{ending}")


def test_extent_of_no_ct_is_refused() -> None:
    with pytest.raises(InputError, match=r"at most 2\.5 m along each axis, got 700 x 50 x 2600 mm .*pixdim"):
        check_plausible(Grid((350, 50, 520), (2.0, 1.0, 5.0)), Path("ct.nii"), "pixdim")


@pytest.mark.parametrize("spacing_mm", [(0.05, 0.05, 0.05), (20.0, 2.0, 1.0)])
def test_sizes_that_are_just_possible_pass(spacing_mm: tuple[float, float, float]) -> None:
    check_plausible(Grid((125, 50, 52), spacing_mm), Path("ct.nii"), "pixdim")


def test_corner_voxels_lie_farthest_apart() -> None:
    """2.0 against 2.1 mm a step along i and 4 mm along k: .1 x 6 and 4 mm at right angles."""
    one = affine(np.diag([2.0, 1.0, 0.5]), np.zeros(3))
    other = affine(np.diag([2.1, 1.0, 0.5]), np.array([0.0, 0.0, 4.0]))
    assert farthest_mm(one, other, (7, 5, 3)) == pytest.approx(np.hypot(0.6, 4.0))


def test_axes_off_by_less_than_half_a_voxel_are_turned_square() -> None:
    columns = np.diag([2.0, 1.0, 0.5])
    columns[1, 2] = 0.05  # 0.1 mm over the 3 slices
    grid = grid_of_affine(affine(columns, np.zeros(3)), (7, 5, 3), Path("ct.nii"), "the sform")
    np.testing.assert_allclose(grid.direction_matrix.T @ grid.direction_matrix, np.eye(3), atol=1e-12)
    assert farthest_mm(affine(columns, np.zeros(3)), grid.index_to_world, (7, 5, 3)) < 0.25


@pytest.mark.parametrize(("ending", "warned"), [("vtk", True), ("gipl", True), ("mnc", False), ("h5", False)])
def test_format_that_keeps_no_orientation_is_warned_about(tmp_path: Path, ending: str, warned: bool) -> None:
    write_any_format(tmp_path / f"ct.{ending}", Volume(np.zeros((3, 5, 7), np.int16), Grid((7, 5, 3), (2.0, 1.0, 0.5))))
    volume = read_volume(tmp_path / f"ct.{ending}")
    assert volume.grid.spacing_mm == (2.0, 1.0, 0.5)
    assert [f"(.{ending} as ITK reads it)" in warning for warning in volume.warnings] == [True] * warned


def test_stack_of_pictures_is_no_ct(tmp_path: Path) -> None:
    """TIFF keeps 2 and 1 mm as a resolution for print, and no distance of slices."""
    write_any_format(tmp_path / "ct.tif", Volume(np.zeros((3, 5, 7), np.uint16), Grid((7, 5, 3), (2.0, 1.0, 0.5))))
    with pytest.raises(InputError, match=r"states voxel size and orientation .* got pictures \(\.tif\)"):
        read_volume(tmp_path / "ct.tif")


def test_unit_is_read_whatever_its_case() -> None:
    assert [mm_of_unit(unit, Path("ct.nrrd"), "units") for unit in ("MM", " cm ", "Microns", "")] == [1, 10, 0.001, 1]
