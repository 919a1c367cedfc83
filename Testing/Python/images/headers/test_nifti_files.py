"""Files of NIfTI: version 2, pairs, either byte order, compression, extensions and endings."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from support.header_files import (
    LPS_OF_RAS,
    VOXELS,
    an_oblique_affine,
    patch,
    write_nifti,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_volume

VOX_OFFSET = 108  # offset in the header


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.hdr"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_2_is_read_as_nibabel_reads_it(tmp_path: Path, name: str, order: str) -> None:
    kind = nibabel.Nifti2Pair if name.endswith(".hdr") else nibabel.Nifti2Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(f"{order}i2")
    nibabel.save(kind(VOXELS.T.astype(f"{order}i2"), an_oblique_affine(), header), tmp_path / name)
    volume = read_volume(tmp_path / name)
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-9)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert volume.voxels.dtype == np.int16


def test_values_of_nifti_2_are_scaled(tmp_path: Path) -> None:
    """scl_slope and scl_inter are doubles from byte 176 on (nifti2.h)."""
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), kind=nibabel.Nifti2Image)
    patch(path, 176, "2d", 0.5, -1024.0)
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS * 0.5 - 1024)


def test_nifti_2_is_checked_as_nifti_1(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), codes=(0, 0), kind=nibabel.Nifti2Image)
    with pytest.raises(InputError, match="expected a stated orientation"):
        read_volume(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="truncated"):
        read_volume(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("offset", "words"), [(176, "NaN or infinite"), (400, "spacing above 0 mm")])
def test_numbers_beyond_all_measure_are_refused(tmp_path: Path, offset: int, words: str) -> None:
    """1e308 as a slope, and as a step in metres."""
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), kind=nibabel.Nifti2Image, unit="meter")
    patch(path, 104 + 8, "3d", 0.001, 0.0005, 0.00025)
    patch(path, 400, "12d", *(an_oblique_affine()[:3] * 0.0005).ravel())
    patch(path, offset, "d", 1e308)
    with pytest.raises(InputError, match=words):
        read_volume(path)


def test_sequence_in_nifti_2_is_refused(tmp_path: Path) -> None:
    voxels = np.broadcast_to(VOXELS, (2, *VOXELS.shape)).copy()
    path = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine(), voxels=voxels, kind=nibabel.Nifti2Image)
    with pytest.raises(InputError, match=r"one 3D volume, got a sequence of 2 \(4D, size \(7, 5, 3, 2\)\)"):
        read_volume(path)


@pytest.mark.parametrize("given", ["ct.hdr", "ct.img"])
def test_pair_of_files_is_read_from_either(tmp_path: Path, given: str) -> None:
    write_nifti(tmp_path / "ct.hdr", sform=an_oblique_affine(), kind=nibabel.Nifti1Pair)
    np.testing.assert_allclose(
        read_volume(tmp_path / given).grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5
    )


def test_pair_without_its_voxels_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.hdr", sform=an_oblique_affine(), kind=nibabel.Nifti1Pair)
    (tmp_path / "ct.img").unlink()
    with pytest.raises(InputError, match=r"voxels of this header in an \.img file .* got none"):
        read_volume(tmp_path / "ct.hdr")


def test_pair_with_too_few_voxels_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.hdr", sform=an_oblique_affine(), kind=nibabel.Nifti1Pair)
    (tmp_path / "ct.img").write_bytes((tmp_path / "ct.img").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"expected 210 bytes .* truncated"):
        read_volume(tmp_path / "ct.img")


def test_big_endian_nifti_is_read(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(VOXELS.T.astype(">i2"), an_oblique_affine(), header), tmp_path / "ct.nii")
    assert (tmp_path / "ct.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read_volume(tmp_path / "ct.nii")
    np.testing.assert_allclose(volume.grid.index_to_world, LPS_OF_RAS @ an_oblique_affine(), atol=1e-5)
    np.testing.assert_array_equal(volume.voxels, VOXELS)


def test_extension_before_the_voxels_is_skipped(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS.T, an_oblique_affine())
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"made up"))
    nibabel.save(image, tmp_path / "ct.nii")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii").voxels, VOXELS)


@pytest.mark.parametrize("offset", [0.0, 350.0, float("nan")])
def test_voxels_that_would_begin_in_the_header_are_refused(tmp_path: Path, offset: float) -> None:
    path = patch(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()), VOX_OFFSET, "f", offset)
    with pytest.raises(InputError, match="expected voxels from byte 352 on, got vox_offset"):
        read_volume(path)


def test_plain_content_named_gz_is_read(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).rename(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").voxels, VOXELS)


def test_plain_content_named_gz_that_is_truncated_is_refused(tmp_path: Path) -> None:
    whole = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(whole[:-10])
    with pytest.raises(InputError, match="truncated"):
        read_volume(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("behind", [bytes(1000), b"junk" * 300])
def test_what_lies_behind_the_compressed_content_is_left_out(tmp_path: Path, behind: bytes) -> None:
    whole = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).read_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(whole) + behind)
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").voxels, VOXELS)
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(whole[:-1]) + behind)
    with pytest.raises(InputError, match="truncated"):
        read_volume(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("place", [-8, -4])
def test_a_checksum_or_length_that_is_wrong_is_told_as_damage(tmp_path: Path, place: int) -> None:
    """All voxels are there, so the file is not truncated; behind the stream lies padding, as tapes leave it."""
    packed = bytearray(gzip.compress(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).read_bytes()))
    packed[place] ^= 1
    (tmp_path / "ct.nii.gz").write_bytes(packed + bytes(600))
    with pytest.raises(InputError, match=r"expected 562 bytes .*, got .* damaged .* check") as refused:
        read_volume(tmp_path / "ct.nii.gz")
    assert "truncated" not in str(refused.value)


@pytest.mark.parametrize("kept", [20, 60, 100, 150])
def test_a_compressed_file_that_ends_within_its_header_is_refused(tmp_path: Path, kept: int) -> None:
    """SimpleITK makes a volume of zeros of it."""
    whole = gzip.compress(write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).read_bytes())
    (tmp_path / "ct.nii.gz").write_bytes(whole[:kept])
    with pytest.raises(InputError, match=r"a header of at least 348 bytes .*, got \d+ .* truncated or damaged"):
        read_volume(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("damage", ["junk behind it", "no checksum", "in two parts"])
def test_the_voxels_of_a_compressed_pair_are_checked_whatever_lies_behind_its_header(
    tmp_path: Path, damage: str
) -> None:
    write_nifti(tmp_path / "ct.hdr", sform=an_oblique_affine(), kind=nibabel.Nifti1Pair)
    header, voxels = ((tmp_path / f"ct.{ending}").read_bytes() for ending in ("hdr", "img"))
    for ending in ("hdr", "img"):
        (tmp_path / f"ct.{ending}").unlink()
    packed = {
        "junk behind it": gzip.compress(header) + b"junk" * 700,
        "no checksum": gzip.compress(header)[:-8],
        "in two parts": gzip.compress(header[:100]) + gzip.compress(header[100:]),
    }
    (tmp_path / "ct.hdr.gz").write_bytes(packed[damage])
    (tmp_path / "ct.img.gz").write_bytes(gzip.compress(voxels))
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.hdr.gz").voxels, VOXELS)
    (tmp_path / "ct.img.gz").write_bytes(gzip.compress(voxels[: len(voxels) // 2]))
    with pytest.raises(InputError, match="truncated"):
        read_volume(tmp_path / "ct.hdr.gz")


def test_compressed_content_named_nii_is_refused_with_its_name(tmp_path: Path) -> None:
    whole = write_nifti(tmp_path / "ct.nii", sform=an_oblique_affine()).read_bytes()
    (tmp_path / "ct.nii").write_bytes(gzip.compress(whole))
    with pytest.raises(InputError, match=r"got gzip; rename it to ct\.nii\.gz"):
        read_volume(tmp_path / "ct.nii")


@pytest.mark.parametrize(
    ("name", "right"), [("ct.dat", "ct.nii"), ("ct.nrrd", "ct.nii"), ("ct.nii.gz.1", "ct.nii.gz.nii")]
)
def test_nifti_under_another_ending_is_refused_with_a_name(tmp_path: Path, name: str, right: str) -> None:
    write_nifti(tmp_path / "whole.nii", sform=an_oblique_affine()).rename(tmp_path / name)
    with pytest.raises(InputError, match=f"rename it to {right}"):
        read_volume(tmp_path / name)
