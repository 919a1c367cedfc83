"""Where MetaImage volumes lie and what their values are, by MetaIO's reference; expected values worked out by hand."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.header_files import VOXELS, write_meta_image
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_volume

# Rows are the directions of i, j and k: i to +y, j to +z, k to +x.
PLACED = "TransformMatrix = 0 1 0 0 0 1 1 0 0\nOffset = 10 -20 30"
EXPECTED = np.array([[0, 0, 0.5, 10], [2, 0, 0, -20], [0, 1, 0, 30], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("matrix", ["TransformMatrix", "Rotation", "Orientation"])
@pytest.mark.parametrize("offset", ["Offset", "Position", "Origin"])
def test_rows_of_the_matrix_are_directions_under_every_name(tmp_path: Path, matrix: str, offset: str) -> None:
    fields = PLACED.replace("TransformMatrix", matrix).replace("Offset", offset)
    volume = read_volume(write_meta_image(tmp_path / "ct.mha", fields))
    np.testing.assert_allclose(volume.grid.index_to_world, EXPECTED, atol=1e-12)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert (volume.notes, volume.warnings) == ((), ())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", ["mha", "mhd"])
def test_meta_image_of_simpleitk_lies_where_it_was(tmp_path: Path, ending: str, compressed: bool) -> None:
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((2, 1, 0.5))
    image.SetOrigin((10, -20, 30))
    image.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))
    sitk.WriteImage(image, str(tmp_path / f"ct.{ending}"), compressed)
    volume = read_volume(tmp_path / f"ct.{ending}")
    np.testing.assert_allclose(volume.grid.index_to_world, EXPECTED, atol=1e-12)
    assert volume.warnings == ()


def test_distance_of_voxels_wins_over_their_size(tmp_path: Path) -> None:
    spacing = "ElementSize = 1 1 3\nElementSpacing = 2 1 .5"
    grid = read_volume(write_meta_image(tmp_path / "ct.mha", PLACED, spacing=spacing)).grid
    np.testing.assert_allclose(grid.spacing_mm, (2, 1, 0.5))


def test_size_of_voxels_stands_in_for_their_distance(tmp_path: Path) -> None:
    grid = read_volume(write_meta_image(tmp_path / "ct.mha", PLACED, spacing="ElementSize = 2 1 .5")).grid
    np.testing.assert_allclose(grid.spacing_mm, (2, 1, 0.5))


@pytest.mark.parametrize(
    "spacing", ["", "ElementSpacing = -2 1 .5", "ElementSpacing = 0 1 .5", "elementspacing = 2 1 .5"]
)
def test_volume_without_a_voxel_size_is_refused(tmp_path: Path, spacing: str) -> None:
    with pytest.raises(InputError, match="expected a spacing above 0 mm along each axis, got"):
        read_volume(write_meta_image(tmp_path / "ct.mha", PLACED, spacing=spacing))


@pytest.mark.parametrize(
    "fields",
    ["Offset = 1 2", "Offset = 1 2 3 4", "Offset = 1,5 2 3", "TransformMatrix = 1 0 0", "CenterOfRotation = a b c"],
)
def test_wrong_count_of_numbers_is_refused(tmp_path: Path, fields: str) -> None:
    with pytest.raises(InputError, match=r"expected \d numbers in \w+, got"):
        read_volume(write_meta_image(tmp_path / "ct.mha", fields))


def test_two_places_are_refused_with_both(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one Offset, got Offset = 10 -20 30, Position = 1 2 3"):
        read_volume(write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nPosition = 1 2 3"))


def test_one_place_stated_twice_is_read(tmp_path: Path) -> None:
    grid = read_volume(write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nPosition = 10.0 -20.0 30.0")).grid
    np.testing.assert_allclose(grid.index_to_world, EXPECTED, atol=1e-12)


def test_matrix_with_other_lengths_is_refused_with_both_sizes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got two: 4 x 1 x 0\.5 mm in .*TransformMatrix and 2 x 1 x 0\.5 mm"):
        read_volume(write_meta_image(tmp_path / "ct.mha", "TransformMatrix = 2 0 0 0 1 0 0 0 1"))


def test_sheared_matrix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected perpendicular axes, got sheared ones in TransformMatrix"):
        read_volume(write_meta_image(tmp_path / "ct.mha", "TransformMatrix = 1 0 0 .5 1 0 0 0 1"))


@pytest.mark.parametrize("letters", ["PSL", "AIR", "???", "UNKNOWN"])
def test_letters_that_agree_with_the_matrix_say_nothing_new(tmp_path: Path, letters: str) -> None:
    """The axes run to P, S, L and come from A, I, R; programs write either."""
    volume = read_volume(write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nAnatomicalOrientation = {letters}"))
    np.testing.assert_allclose(volume.grid.index_to_world, EXPECTED, atol=1e-12)
    assert volume.warnings == ()


def test_letters_against_the_matrix_are_a_warning(tmp_path: Path) -> None:
    volume = read_volume(write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nAnatomicalOrientation = RAS"))
    np.testing.assert_allclose(volume.grid.index_to_world, EXPECTED, atol=1e-12)
    assert "AnatomicalOrientation = RAS, but its TransformMatrix has axes that run to PSL" in volume.warnings[0]


def test_letters_without_a_matrix_are_refused_unless_they_are_its_default(tmp_path: Path) -> None:
    assert read_volume(write_meta_image(tmp_path / "ct.mha", "AnatomicalOrientation = RAI")).warnings == ()
    with pytest.raises(InputError, match="expected a TransformMatrix, got AnatomicalOrientation = RAS alone"):
        read_volume(write_meta_image(tmp_path / "ct.mha", "AnatomicalOrientation = RAS"))


def test_volume_without_orientation_is_taken_as_lps_with_a_warning(tmp_path: Path) -> None:
    volume = read_volume(write_meta_image(tmp_path / "ct.mha", "Offset = 10 -20 30"))
    np.testing.assert_allclose(volume.grid.direction_matrix, np.eye(3))
    assert "does not say how its axes lie in the patient" in volume.warnings[0]


def test_rotation_about_another_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got CenterOfRotation = \(5\.0, 6\.0, 7\.0\) too"):
        read_volume(write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nCenterOfRotation = 5 6 7"))


@pytest.mark.parametrize(("unit", "mm"), [("mm", 1), ("?", 1), ("cm", 10), ("um", 0.001)])
def test_units_are_turned_into_mm(tmp_path: Path, unit: str, mm: float) -> None:
    fields = f"TransformMatrix = 0 1 0 0 0 1 1 0 0\nOffset = {10 / mm} {-20 / mm} {30 / mm}\nDistanceUnits = {unit}"
    volume = read_volume(
        write_meta_image(tmp_path / "ct.mha", fields, spacing=f"ElementSpacing = {2 / mm} {1 / mm} {0.5 / mm}")
    )
    np.testing.assert_allclose(volume.grid.index_to_world, EXPECTED, atol=1e-9)
    assert bool(volume.notes) == (mm != 1)


def test_function_from_element_to_intensity_is_applied_with_a_warning(tmp_path: Path) -> None:
    fields = f"{PLACED}\nElementToIntensityFunctionSlope = 0.5\nElementToIntensityFunctionOffset = -1024"
    volume = read_volume(write_meta_image(tmp_path / "ct.mha", fields))
    np.testing.assert_array_equal(volume.voxels, VOXELS * 0.5 - 1024)
    assert "0.5 x stored + -1024" in volume.warnings[0]


def test_function_that_changes_nothing_leaves_labels_whole(tmp_path: Path) -> None:
    fields = f"{PLACED}\nElementToIntensityFunctionSlope = 1\nElementToIntensityFunctionOffset = 0"
    labels = read_labels(write_meta_image(tmp_path / "mask.mha", fields))
    np.testing.assert_array_equal(labels.voxels, VOXELS)
    assert labels.warnings == ()


@pytest.mark.parametrize("order", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
def test_big_endian_voxels_are_read(tmp_path: Path, order: str) -> None:
    path = write_meta_image(tmp_path / "ct.mha", PLACED)
    header = path.read_bytes()[: -VOXELS.nbytes].replace(b"BinaryDataByteOrderMSB = False", f"{order} = True".encode())
    path.write_bytes(header + VOXELS.astype(">i2").tobytes())
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS)


@pytest.mark.parametrize("skip", [13, -1])
def test_bytes_before_the_voxels_of_another_file_are_skipped(tmp_path: Path, skip: int) -> None:
    detached(tmp_path, f"HeaderSize = {skip}", bytes(13) + VOXELS.tobytes())
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.mhd").voxels, VOXELS)


def test_bytes_to_skip_within_the_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"right after the header .*got HeaderSize = 13"):
        read_volume(write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nHeaderSize = 13"))


def test_header_without_its_voxels_is_refused(tmp_path: Path) -> None:
    detached(tmp_path, "", b"")
    (tmp_path / "ct.raw").unlink()
    with pytest.raises(InputError, match=r"expected its voxels in ct\.raw \(ElementDataFile\), got no such file"):
        read_volume(tmp_path / "ct.mhd")


def test_more_voxels_in_another_file_than_the_size_says_are_refused(tmp_path: Path) -> None:
    detached(tmp_path, "", bytes(13) + VOXELS.tobytes())
    with pytest.raises(InputError, match="expected the 210 bytes of voxels that DimSize makes, got 223"):
        read_volume(tmp_path / "ct.mhd")


def test_voxels_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    detached(tmp_path, "", VOXELS.tobytes()[:-1])
    with pytest.raises(InputError, match=r"expected 210 bytes of voxels.*got 209 bytes .* truncated"):
        read_volume(tmp_path / "ct.mhd")


def test_compressed_voxels_of_unknown_length_are_refused(tmp_path: Path) -> None:
    path = write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nCompressedData = True")
    path.write_bytes(path.read_bytes()[: -VOXELS.nbytes] + zlib.compress(VOXELS.tobytes()))
    with pytest.raises(InputError, match="expected CompressedDataSize with CompressedData = True, got none"):
        read_volume(path)


def test_text_voxels_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_meta_image(tmp_path / "ct.mha", PLACED)
    path.write_bytes(path.read_bytes().replace(b"BinaryData = True", b"BinaryData = False"))
    with pytest.raises(InputError, match="expected binary voxels, got text"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_several_channels_are_refused(tmp_path: Path) -> None:
    path = write_meta_image(tmp_path / "ct.mha", f"{PLACED}\nElementNumberOfChannels = 2")
    path.write_bytes(path.read_bytes() + VOXELS.tobytes())
    with pytest.raises(InputError, match="one grey value per voxel, got 2"):
        read_volume(path)


def detached(folder: Path, fields: str, voxels: bytes) -> None:
    """``ct.mhd`` and its ``ct.raw`` of ``voxels``."""
    path = write_meta_image(folder / "ct.mhd", f"{PLACED}\n{fields}")
    path.write_bytes(path.read_bytes()[: -VOXELS.nbytes].replace(b"LOCAL", b"ct.raw"))
    (folder / "ct.raw").write_bytes(voxels)
