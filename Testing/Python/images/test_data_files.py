"""Every file that an image is read from is part of its hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.hashes import sha256_of_file
from TomoRayLib.images.data_files import data_files, sha256_of_image

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def nrrd(folder: Path, data: str) -> Path:
    path = folder / "a.nhdr"
    path.write_text(
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 3 2\nencoding: raw\nendian: little\n"
        "space: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n"
        f"data file: {data}"
    )
    return path


def test_a_single_file_is_its_own_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path))
    assert data_files(path) == (path,)
    assert sha256_of_image(path) == sha256_of_file(path)


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ("voxels.bin\n", ["voxels.bin"]),
        ("LIST\ns1.raw\ns2.raw\n", ["s1.raw", "s2.raw"]),
        ("s%d.raw 1 2 1\n", ["s1.raw", "s2.raw"]),
    ],
)
def test_the_files_that_an_nrrd_header_names_are_part_of_it(tmp_path: Path, data: str, files: list[str]) -> None:
    content = VOXELS.tobytes()
    part = len(content) // len(files)
    for number, name in enumerate(files):
        (tmp_path / name).write_bytes(content[number * part : (number + 1) * part])
    path = nrrd(tmp_path, data)
    assert [item.name for item in data_files(path)] == ["a.nhdr", *files]
    before = sha256_of_image(path)
    last = tmp_path / files[-1]
    last.write_bytes(bytes(reversed(last.read_bytes())))
    assert sha256_of_image(path) != before


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ("voxels.bin", ["voxels.bin"]),
        ("LIST\ns1.raw\ns2.raw", ["s1.raw", "s2.raw"]),
        ("s%d.raw 1 2", ["s1.raw", "s2.raw"]),
    ],
)
def test_the_files_that_a_metaimage_header_names_are_part_of_it(tmp_path: Path, data: str, files: list[str]) -> None:
    content = VOXELS.tobytes()
    part = len(content) // len(files)
    for number, name in enumerate(files):
        (tmp_path / name).write_bytes(content[number * part : (number + 1) * part])
    path = tmp_path / "a.mhd"
    path.write_text(
        "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementSpacing = 1 1 1\nElementType = MET_SHORT\n"
        f"ElementDataFile = {data}\n"
    )
    assert [item.name for item in data_files(path)] == ["a.mhd", *files]
    before = sha256_of_image(path)
    (tmp_path / files[0]).write_bytes(b"\1" * part)
    assert sha256_of_image(path) != before


def test_the_voxels_of_a_nifti_pair_are_part_of_it(tmp_path: Path) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Pair(VOXELS.T, np.eye(4)), tmp_path / "a.hdr")
    assert [item.name for item in data_files(tmp_path / "a.hdr")] == ["a.hdr", "a.img"]
    before = sha256_of_image(tmp_path / "a.hdr")
    (tmp_path / "a.img").write_bytes(b"\0" * (tmp_path / "a.img").stat().st_size)
    assert sha256_of_image(tmp_path / "a.hdr") != before


def test_a_folder_is_all_its_files_and_their_names(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    for name in ("b", "e/a"):
        (tmp_path / "d" / name).write_text(name)
    folder = tmp_path / "d"
    assert [item.relative_to(folder).as_posix() for item in data_files(folder)] == ["b", "e/a"]
    before = sha256_of_image(folder)
    (folder / "b").rename(folder / "c")
    assert sha256_of_image(folder) != before


def test_a_pattern_that_is_none_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="first number, last number and step"):
        data_files(nrrd(tmp_path, "s%d.raw one two\n"))
    with pytest.raises(InputError, match="expected an existing file"):
        sha256_of_image(tmp_path / "absent.nrrd")
