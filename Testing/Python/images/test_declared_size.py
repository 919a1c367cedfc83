"""Headers that declare more than their file holds, or than memory: refused with figures before memory is asked for."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from support.cube_headers import meta_image_header, nrrd_header
from support.dicom_files import a_radiograph_file
from support.header_files import an_oblique_affine, patch, write_nifti
from support.pictures import a_lopsided_picture, write_png_bytes, write_tiff
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.declared_size import DEFLATE, check_declared, size_text
from TomoRayLib.images.files import read_radiograph, read_volume
from TomoRayLib.jobs.events import ExitCode
from TomoRayLib.jobs.failures import failed_by

FEW_BYTES = 30 * 10**6  # that a refusal may take
SIDE = 4096  # of a cube of 137 GB in 16 bits


def nrrd_of(encoding: str, side: int = SIDE) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        voxels = gzip.compress(bytes(1000)) if encoding == "gzip" else bytes(2000)
        (folder / "ct.nrrd").write_bytes(nrrd_header(side, encoding) + voxels)
        return folder / "ct.nrrd"

    return write


def meta_image_of(packed: bool, side: int = SIDE) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        voxels = zlib.compress(bytes(1000)) if packed else bytes(2000)
        (folder / "ct.mha").write_bytes(meta_image_header(side, len(voxels) if packed else None) + voxels)
        return folder / "ct.mha"

    return write


def nifti_of(ending: str, side: int = SIDE) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        return patch(write_nifti(folder / f"ct.{ending}", sform=an_oblique_affine()), 42, "3h", side, side, side)

    return write


@pytest.mark.parametrize(
    "write",
    [
        nrrd_of("raw"),
        nrrd_of("gzip"),
        nrrd_of("ascii"),
        meta_image_of(False),
        meta_image_of(True),
        nifti_of("nii"),
        nifti_of("nii.gz"),
    ],
    ids=["nrrd", "nrrd.gz", "nrrd.txt", "mha", "mha.z", "nii", "nii.gz"],
)
def test_a_volume_larger_than_memory_ends_as_out_of_memory_with_figures(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"expected .* of free memory .*declares, got .*the file holds") as caught:
        read_volume(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < FEW_BYTES
    assert failed_by(caught.value).code == ExitCode.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "write",
    [
        nrrd_of("raw", 200),
        nrrd_of("gzip", 200),
        meta_image_of(False, 200),
        meta_image_of(True, 200),
        nifti_of("nii", 200),
        nifti_of("nii.gz", 200),
    ],
    ids=["nrrd", "nrrd.gz", "mha", "mha.z", "nii", "nii.gz"],
)
def test_a_volume_that_its_file_cannot_hold_is_refused_with_figures(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"expected (16 MB|16000\d+ bytes) of .*got .* truncated") as caught:
        read_volume(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16_000_000
    assert failed_by(caught.value).code == ExitCode.INPUT


def test_a_png_that_its_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    write_png_bytes(tmp_path / "ap.png", [bytes(200)] * 10, 30000, bits=16, colour=0, height=30000)
    with pytest.raises(InputError, match=r"expected 1\.8 GB of pixels, which its header declares, got \d+ bytes"):
        read_radiograph(tmp_path / "ap.png")


def test_a_tiff_that_its_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    write_tiff(tmp_path / "ap.tif", a_lopsided_picture(), t256=30000, t257=30000, t259=8)
    with pytest.raises(InputError, match=r"expected 1\.8 GB of pixels, which its header declares, got .* kB"):
        read_radiograph(tmp_path / "ap.tif")


def test_a_dicom_radiograph_that_its_file_cannot_hold_is_refused(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", Rows=20000, Columns=20000)
    with pytest.raises(InputError, match=r"expected 800 MB of pixels, which its header declares, got .* kB"):
        read_radiograph(tmp_path / "ap.dcm")


def test_a_dicom_radiograph_of_the_largest_size_of_the_format_is_refused(tmp_path: Path) -> None:
    a_radiograph_file(tmp_path / "ap.dcm", Rows=65535, Columns=65535)
    with pytest.raises(InputError, match=r"at most 1000 million pixels .* got 65535 x 65535"):
        read_radiograph(tmp_path / "ap.dcm")


def test_what_file_and_memory_can_hold_passes(tmp_path: Path) -> None:
    check_declared(tmp_path / "ct.nrrd", 10**6, 1000, ratio=DEFLATE)


@pytest.mark.parametrize(("count", "text"), [(12, "12 bytes"), (2100, "2.1 kB"), (34 * 10**9, "34 GB")])
def test_sizes_are_told_in_few_digits(count: int, text: str) -> None:
    assert size_text(count) == text
