"""Voxels of NIfTI volumes: whole numbers and floats, compressed in any way, damaged, or beside rounded directions."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from support.header_files import LPS_OF_RAS, SIZE, SPACING_MM, VOXELS, an_oblique_affine, write_nifti
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_label_map, read_volume
from TomoRayLib.images.masks.label_names import names_of_labels


def a_noisy_ct(path: Path, dtype: str) -> Path:
    """A CT of 48 kB or more whose compressed form has no regularity, in 7 x 50 x 70 voxels."""
    voxels = np.random.default_rng(4).integers(-1000, 1000, (70, 50, 7)).astype(dtype)
    return write_nifti(path, sform=an_oblique_affine(), voxels=voxels)


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
@pytest.mark.parametrize("angle_rad", [3e-4, 1e-3])
def test_directions_that_rounding_left_not_quite_perpendicular_are_read(
    tmp_path: Path, angle_rad: float, dtype: str
) -> None:
    affine = an_oblique_affine()
    affine[:3, 1] += angle_rad * affine[:3, 0]
    path = write_nifti(tmp_path / "ct.nii.gz", sform=affine, voxels=VOXELS.astype(dtype))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    corner = (*(size - 1 for size in SIZE), 1)
    expected_mm = (LPS_OF_RAS @ affine @ corner)[:3]
    np.testing.assert_allclose((volume.grid.index_to_world @ corner)[:3], expected_mm, atol=0.5 * min(SPACING_MM))


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_damage_that_only_the_checksum_shows_is_refused(tmp_path: Path, dtype: str) -> None:
    path = a_noisy_ct(tmp_path / "ct.nii.gz", dtype)
    stored = bytearray(gzip.decompress(path.read_bytes()))
    checksum = zlib.crc32(stored)
    stored[1000] ^= 1
    packed = bytearray(gzip.compress(stored))
    packed[-8:-4] = checksum.to_bytes(4, "little")
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r"incorrect data check.*damaged; copy or export it again"):
        read_volume(path)


@pytest.mark.parametrize("start", [12, 40, 2000])
def test_compressed_data_that_are_none_are_refused(tmp_path: Path, start: int) -> None:
    path = a_noisy_ct(tmp_path / "mask.nii.gz", "int16")
    content = bytearray(path.read_bytes())
    content[start : start + 60] = b"\xff" * 60
    path.write_bytes(content)
    assert names_of_labels(path) is None
    with pytest.raises(InputError):
        read_label_map(path)


@pytest.mark.parametrize("ending", [b"", b"\0" * 512])
def test_file_compressed_in_parts_is_read(tmp_path: Path, ending: bytes) -> None:
    path = a_noisy_ct(tmp_path / "ct.nii.gz", "int16")
    content = gzip.decompress(path.read_bytes())
    parts = (content[:300], content[300:20_000], content[20_000:])
    path.write_bytes(b"".join(map(gzip.compress, parts)) + ending)
    np.testing.assert_array_equal(read_volume(path).voxels.T, np.asanyarray(nibabel.load(path).dataobj))


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "CT.NII.GZ", "ct.hdr"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_whole_numbers_of_either_byte_order_are_read_as_nibabel_reads_them(
    tmp_path: Path, name: str, order: str
) -> None:
    kind = nibabel.Nifti1Pair if name.endswith("hdr") else nibabel.Nifti1Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype("i2")
    nibabel.save(kind(VOXELS.T, an_oblique_affine(), header), tmp_path / name)
    volume = read_volume(tmp_path / name)
    assert volume.voxels.dtype == np.int16
    np.testing.assert_array_equal(volume.voxels, VOXELS)


@pytest.mark.parametrize("slope", [0.1, 1.0])
@pytest.mark.parametrize("intercept", [-1024.0, 0.3])
def test_whole_numbers_are_scaled_in_double_precision(tmp_path: Path, slope: float, intercept: float) -> None:
    image = nibabel.Nifti1Image(VOXELS.T, an_oblique_affine())
    image.header.set_data_dtype("i2")
    image.header.set_slope_inter(slope, intercept)
    image.to_filename(tmp_path / "ct.nii.gz")
    loaded = nibabel.load(tmp_path / "ct.nii.gz")
    expected = np.asanyarray(loaded.dataobj.get_unscaled()) * np.float64(np.float32(slope)) + np.float64(
        np.float32(intercept)
    )
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").voxels.T, expected.astype(np.float32))
