"""Voxels must stay at their place in the patient through every file."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.volumes import BLOB_MM, grid_around
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import staged_folder
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images import writing as images
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume
from TomoRayLib.images.types import Volume, volume_from_sitk, volume_to_sitk
from TomoRayLib.images.writing import write_image_2d, write_png, write_volume


def a_pattern(rows: int = 7, columns: int = 5) -> np.ndarray:
    return np.arange(rows * columns, dtype=np.float32).reshape(rows, columns) ** 1.5


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "nii", "mha"])
def test_written_volume_is_read_back_at_its_place(a_ct: Volume, tmp_path: Path, ending: str) -> None:
    write_volume(tmp_path / f"ct.{ending}", a_ct)
    back = read_volume(tmp_path / f"ct.{ending}")
    np.testing.assert_array_equal(back.voxels, a_ct.voxels)
    assert back.voxels.dtype == np.int16
    assert back.grid.same_as(a_ct.grid, tolerance_mm=1e-3)


def test_simpleitk_agrees_with_the_grid_on_world_positions(a_ct: Volume) -> None:
    image = volume_to_sitk(a_ct)
    expected = a_ct.grid.index_to_world @ (5, 11, 23, 1)
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((5, 11, 23)), expected[:3], atol=1e-9)
    assert image[5, 11, 23] == a_ct.voxels[23, 11, 5]
    assert volume_from_sitk(image).grid.same_as(a_ct.grid)


def test_nifti_on_disk_is_ras(tmp_path: Path) -> None:
    """The sform rows of the file, read as plain bytes, are the LPS matrix with x and y negated (NIfTI-1 standard)."""
    grid = grid_around(BLOB_MM, np.eye(3))
    write_volume(tmp_path / "ct.nii", Volume(np.zeros(grid.shape, np.int16), grid))
    sform = np.frombuffer((tmp_path / "ct.nii").read_bytes()[280:328], "<f4").reshape(3, 4)
    np.testing.assert_allclose(sform, (np.diag([-1, -1, 1, 1]) @ grid.index_to_world)[:3], atol=1e-4)


def test_ras_nrrd_is_read_as_lps(tmp_path: Path) -> None:
    header = (
        "NRRD0004\ntype: int16\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 3 4\n"
        "space directions: (2,0,0) (0,1,0) (0,0,0.5)\nencoding: raw\nendian: little\nspace origin: (10,20,30)\n\n"
    )
    (tmp_path / "ras.nrrd").write_bytes(header.encode() + np.arange(24, dtype="<i2").tobytes())
    volume = read_volume(tmp_path / "ras.nrrd")
    np.testing.assert_allclose(volume.grid.index_to_world @ (1, 1, 1, 1), (-12, -21, 30.5, 1))
    assert volume.voxels[1, 2, 0] == 1 * 6 + 2 * 2 + 0


def test_shape_that_is_not_the_grids_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(z, y, x\) = \(4, 3, 2\); got \(2, 3, 4\)"):
        Volume(np.zeros((2, 3, 4)), Grid((2, 3, 4), (1, 1, 1)))


def test_labels_stored_as_floats_are_read_as_integers(tmp_path: Path) -> None:
    voxels = np.zeros((9, 5, 4), np.float64)
    voxels[3:5] = 20
    write_volume(tmp_path / "mask.nii.gz", Volume(voxels, Grid((4, 5, 9), (2, 1, 0.5))))
    labels = read_labels(tmp_path / "mask.nii.gz")
    assert labels.voxels.dtype == np.int16
    np.testing.assert_array_equal(labels.voxels, voxels)


def test_four_dimensional_file_of_one_volume_is_that_volume(a_straight_ct: Volume, tmp_path: Path) -> None:
    image = sitk.JoinSeries(volume_to_sitk(a_straight_ct))
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    assert read_volume(tmp_path / "ct.nii.gz").grid.same_as(a_straight_ct.grid)


def test_image_with_fields_comes_back_with_spacing_and_fields(tmp_path: Path) -> None:
    fields = {
        "TomoRay.view": json.dumps({"beam": {"kind": "cone", "sad_mm": 1000.0}, "note": 'a := "b"; ü'}),
        "path": "C:\\new\n2",
    }
    write_image_2d(tmp_path / "ap.nrrd", a_pattern(), (0.5, 2.0), fields)
    back = read_radiograph(tmp_path / "ap.nrrd")
    np.testing.assert_array_equal(back.pixels, a_pattern())
    assert back.pixels.dtype == np.float32
    assert back.pixel_spacing_mm == (0.5, 2.0)
    assert dict(back.metadata) == fields
    assert json.loads(back.metadata["TomoRay.view"])["beam"]["sad_mm"] == 1000.0


def test_image_without_spacing_comes_back_without(tmp_path: Path) -> None:
    write_image_2d(tmp_path / "ap.nrrd", a_pattern(), None)
    assert read_radiograph(tmp_path / "ap.nrrd").pixel_spacing_mm is None


def test_nrrd_that_has_no_spacing_gives_none(tmp_path: Path) -> None:
    header = b"NRRD0001\ntype: float\ndimension: 2\nsizes: 5 7\nencoding: raw\nendian: little\n\n"
    (tmp_path / "plain.nrrd").write_bytes(header + a_pattern().tobytes())
    back = read_radiograph(tmp_path / "plain.nrrd")
    np.testing.assert_array_equal(back.pixels, a_pattern())
    assert back.pixel_spacing_mm is None


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
def test_volume_with_fields_keeps_them_in_nrrd_and_its_voxels_everywhere(
    a_straight_ct: Volume, tmp_path: Path, ending: str
) -> None:
    fields = {"TomoRay.notice": "SYNTHETIC CT - research use only", "TomoRay.notes": 'a := "b"; ü\n2'}
    write_volume(tmp_path / f"ct.{ending}", a_straight_ct, fields)
    back = read_volume(tmp_path / f"ct.{ending}")
    np.testing.assert_array_equal(back.voxels, a_straight_ct.voxels)
    assert back.grid.same_as(a_straight_ct.grid)
    if ending == "nrrd":
        image = sitk.ReadImage(str(tmp_path / "ct.nrrd"))
        assert {key: image.GetMetaData(key) for key in fields} == fields
    with pytest.raises(ValueError, match="one-line name"):
        write_volume(tmp_path / "ct.nrrd", a_straight_ct, {"a:=b": "x"})


@pytest.mark.parametrize(("field", "text"), [("two\nlines", "x"), ("a:=b", "x"), ("", "x"), ("view", "x\r\ny")])
def test_field_that_nrrd_cannot_hold_is_refused(tmp_path: Path, field: str, text: str) -> None:
    with pytest.raises(ValueError, match="one-line name"):
        write_image_2d(tmp_path / "ap.nrrd", a_pattern(), (1, 1), {field: text})


@pytest.mark.parametrize("bits", [8, 16])
def test_png_maps_the_window_to_black_and_white_and_has_no_spacing(tmp_path: Path, bits: int) -> None:
    pixels = np.tile(np.array([-500.0, 0.0, 50.0, 100.0, 900.0], np.float32), (7, 1))
    write_png(tmp_path / "ap.png", pixels, (0.0, 100.0), bits=bits)
    back = read_radiograph(tmp_path / "ap.png")
    white = 2**bits - 1
    np.testing.assert_array_equal(back.pixels[3], [0, 0, round(white / 2), white, white])
    assert back.pixel_spacing_mm is None


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_picture_with_a_print_resolution_still_has_no_spacing(tmp_path: Path, ending: str) -> None:
    image = sitk.GetImageFromArray(np.tile(np.arange(80, dtype=np.uint8), (70, 1)))
    image.SetSpacing((0.3, 0.3))
    sitk.WriteImage(image, str(tmp_path / f"ap.{ending}"))
    back = read_radiograph(tmp_path / f"ap.{ending}")
    assert back.pixels.shape == (70, 80)
    assert back.pixel_spacing_mm is None


def test_grey_picture_stored_in_colour_is_read_as_grey(tmp_path: Path) -> None:
    grey = np.tile(np.arange(80, dtype=np.uint8), (70, 1))
    sitk.WriteImage(sitk.GetImageFromArray(np.dstack([grey] * 3), isVector=True), str(tmp_path / "ap.png"))
    back = read_radiograph(tmp_path / "ap.png")
    np.testing.assert_array_equal(back.pixels, grey)
    assert "read as grey" in back.header.notes[0]


# One-slice volumes: (grid size, spacing and direction columns i, j, k) -> pixels that must be head up, left or
# posterior at image right. ``marks`` gives the brightness of a voxel from its LPS position.
_SLICES = {
    "coronal, k up": ((5, 1, 7), np.eye(3), "LF"),
    "coronal, k down": ((5, 1, 7), np.diag([1.0, 1.0, -1.0]), "LF"),
    "coronal, i to the right": ((5, 1, 7), np.diag([-1.0, 1.0, 1.0]), "LF"),
    "sagittal": ((1, 5, 7), np.eye(3), "PF"),
    "sagittal, j to the front": ((1, 5, 7), np.diag([1.0, -1.0, 1.0]), "PF"),
    "coronal, i along the patient": ((7, 5, 1), np.array([[0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]]), "LF"),
}


@pytest.mark.parametrize("case", _SLICES)
def test_one_slice_volume_is_read_head_up(tmp_path: Path, case: str) -> None:
    size, direction, orientation = _SLICES[case]
    grid = Grid(size, (2.0, 1.0, 0.5), (3.0, 4.0, 5.0), tuple(direction.ravel()))
    k, j, i = np.indices(grid.shape)
    x, y, z, _ = np.moveaxis(np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.index_to_world.T, -1, 0)
    across = x if orientation == "LF" else y
    write_volume(tmp_path / "slice.nrrd", Volume((100 * across - z).astype(np.float32), grid))
    back = read_radiograph(tmp_path / "slice.nrrd")
    assert back.pixels.shape == (7, 5)
    assert np.all(np.diff(back.pixels, axis=1) > 0), "columns must run to the left or to posterior"
    assert np.all(np.diff(back.pixels, axis=0) > 0), "rows must run downwards"
    assert np.diff(back.pixels, axis=0)[0, 0] == pytest.approx(back.pixel_spacing_mm[0])
    assert np.diff(back.pixels, axis=1)[0, 0] == pytest.approx(100 * back.pixel_spacing_mm[1])
    assert back.header.patient_orientation == tuple(orientation)


def test_one_slice_volume_without_an_upright_direction_is_left_as_stored(tmp_path: Path) -> None:
    grid = Grid((5, 7, 1), (2.0, 1.0, 0.5))
    write_volume(tmp_path / "flat.nrrd", Volume(a_pattern()[None], grid))
    back = read_radiograph(tmp_path / "flat.nrrd")
    np.testing.assert_array_equal(back.pixels, a_pattern())
    assert back.pixel_spacing_mm == (1.0, 2.0)
    assert back.header.patient_orientation is None


def test_interrupted_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ct.nrrd").write_text("old")

    def half_write(image: sitk.Image, path: str, **options: object) -> None:
        Path(path).write_text("half")
        raise RuntimeError("itk::ERROR: NrrdImageIO\ncouldn't write")

    monkeypatch.setattr(images.sitk, "WriteImage", half_write)
    with pytest.raises(OutputError, match=r"couldn't write.*check free space"):
        write_volume(tmp_path / "ct.nrrd", Volume(np.zeros((2, 2, 2), np.int16), Grid((2, 2, 2), (1, 1, 1))))
    assert (tmp_path / "ct.nrrd").read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]


@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "mha"])
def test_disk_that_fills_up_is_an_output_error(tmp_path: Path, ending: str) -> None:
    """A limit on the file size stands in for the full disk; ITK itself reports success for NIfTI."""
    resource = pytest.importorskip("resource")
    voxels = np.random.default_rng(1).integers(-1000, 1000, (40, 50, 60)).astype(np.int16)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OutputError, match="free s"):
            write_volume(tmp_path / f"ct.{ending}", Volume(voxels, Grid((60, 50, 40), (1, 1, 1))))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "mha"])
def test_a_disk_that_is_full_is_called_that_with_the_folder_that_was_chosen(tmp_path: Path, ending: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk may be mounted here")
    voxels = np.random.default_rng(1).integers(-1000, 1000, (40, 50, 60)).astype(np.int16)
    volume, full = Volume(voxels, Grid((60, 50, 40), (1, 1, 1))), "got a full disk; free some"
    try:
        with pytest.raises(OutputError, match=f"{disk}/ct.{ending}, {full}"):
            write_volume(disk / f"ct.{ending}", volume)
        with pytest.raises(OutputError, match=f"{disk}/out, {full}"), staged_folder(disk / "out") as folder:
            write_volume(folder / f"ct.{ending}", volume)
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("ending", ["docx", "nhdr", "mhd", "hdr", "img", "gipl", "png", ""])
def test_ending_of_no_single_file_that_keeps_the_grid_is_refused(
    a_straight_ct: Volume, tmp_path: Path, ending: str
) -> None:
    """ITK would name a detached file after the hidden partial one, or leave out the directions."""
    with pytest.raises(InputError, match=r"Expected a file name ending in \.nrrd, \.mha, \.nii or \.nii\.gz"):
        write_volume(tmp_path / f"ct.{ending}", a_straight_ct)
    assert list(tmp_path.iterdir()) == []


def test_file_in_place_of_the_output_folder_is_an_output_error(a_straight_ct: Volume, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="choose another"):
        write_volume(tmp_path / "out" / "ct.nrrd", a_straight_ct)


def test_input_error_is_a_value_error_and_output_error_an_os_error() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(OutputError, OSError)
