"""Written DICOM before the validators of dicom3tools and dcmtk, and before a receiver as a PACS has one."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest

from support.written_dicom import WrittenResult, a_file_of_a_person, complaints, need, said_by, write_result
from TomoRayLib.images.dicom.writing.identity import identity_in

EXTENDED = "Warning - Dicom dataset contains attributes not present in standard DICOM IOD"
OWN_TERM = "Warning - Unrecognized defined term <SYNTHETIC> for value 4 of attribute <Image Type>"


@pytest.fixture(scope="module", params=["axial", "oblique", "named"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WrittenResult:
    folder = tmp_path_factory.mktemp("valid")
    if request.param != "named":
        return write_result(folder / "dicom", request.param)
    return write_result(folder / "dicom", patient=identity_in(a_file_of_a_person(folder)))


def test_dciodvfy_finds_no_error_and_warns_of_our_own_term_alone(written: WrittenResult) -> None:
    need("dciodvfy")
    for path in (written.slices[0], written.slices[-1], written.segmentation):
        said = said_by("dciodvfy", path)
        assert ("Segmentation" if path == written.segmentation else "CTImage") in said
        assert complaints(said, "Error") == []
        assert [line for line in complaints(said, "Warning") if not line.startswith((EXTENDED, OWN_TERM))] == []


def test_dciodvfy_can_find_an_error_in_such_a_file(written: WrittenResult, tmp_path: Path) -> None:
    need("dciodvfy")
    broken = pydicom.dcmread(written.slices[0])
    del broken.RescaleSlope
    broken.save_as(tmp_path / "broken.dcm")
    assert any(
        "RescaleSlope" in line.replace(" ", "")
        for line in complaints(said_by("dciodvfy", tmp_path / "broken.dcm"), "Error")
    )


def test_dcentvfy_finds_patient_study_and_series_consistent(written: WrittenResult) -> None:
    need("dcentvfy")
    assert said_by("dcentvfy", *written.files) == []


def test_dcmftest_takes_all_for_dicom_files(written: WrittenResult) -> None:
    need("dcmftest")
    assert said_by("dcmftest", *written.files) == [f"yes: {path}" for path in written.files]


def test_a_receiver_takes_all_and_keeps_every_pixel(written: WrittenResult, tmp_path: Path) -> None:
    need("storescp", "storescu")
    with a_receiver(tmp_path) as port:
        subprocess.run(
            ["storescu", "-R", "-aec", "PACS", "localhost", str(port), *map(str, written.files)],
            check=True,
            capture_output=True,
            timeout=60,
        )
    stored = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, tmp_path.iterdir())}
    assert len(stored) == len(written.files)
    for path in written.files:
        sent = pydicom.dcmread(path)
        assert stored[sent.SOPInstanceUID].PixelData == sent.PixelData
        assert stored[sent.SOPInstanceUID].SeriesDescription == sent.SeriesDescription


@contextmanager
def a_receiver(folder: Path) -> Iterator[int]:
    """dcmtk's receiver, which stores what it gets into the folder; yields its port."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    receiver = subprocess.Popen(["storescp", "-aet", "PACS", "-od", str(folder), str(port)])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("localhost", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        receiver.terminate()
        receiver.wait(timeout=10)


def test_the_segments_bits_are_what_dcmtk_counts(written: WrittenResult) -> None:
    need("dcmdump")
    said = " ".join(said_by("dcmdump", "+P", "NumberOfFrames", "+P", "BitsAllocated", written.segmentation))
    assert "[11]" in said  # 3 slices of L3, 4 of L1, 4 of T12
    assert np.count_nonzero(written.vertebrae.voxels.any(axis=(1, 2))) == 11
