"""Synthetic results written as DICOM: lopsided, on grids in any position, and what validators say of the files."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from support.dicom_files import a_radiograph_file
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.dicom.writing.identity import Identity
from TomoRayLib.images.dicom.writing.making import Making
from TomoRayLib.images.dicom.writing.names import CT_FOLDER, SEGMENTATION_NAME
from TomoRayLib.images.dicom.writing.result import write_dicom
from TomoRayLib.images.types import Volume

MADE_AT = datetime(2026, 3, 14, 15, 9, 26)
WEIGHTS_SHA256 = "5e" * 32
UNSURE = Making("1.2.3", "geolift-s", WEIGHTS_SHA256, MADE_AT, numbering_unsure=True)
LABELS = (19, 20, 22)  # T12, L1, L3: Segment Numbers are 1, 2, 3, from cranial to caudal
_TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
DIRECTIONS = {
    "axial": np.eye(3),
    "oblique": _TURN,
    "coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "sagittal": np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "left-handed": np.diag([1.0, 1.0, -1.0]),
    "oblique left-handed": _TURN @ np.diag([-1.0, 1.0, 1.0]),
}
# dciodvfy of June 2022 does not know Synthetic Data (0008,001C) of the SOP Common module yet.
NEWER_THAN_VALIDATOR = "(0x0008,0x001c)"

PERSON = {
    "PatientName": "Müller^Änne",
    "PatientID": "PID-4711-X",
    "IssuerOfPatientID": "Hospital",
    "PatientBirthDate": "19500203",
    "PatientSex": "F",
    "StudyInstanceUID": "1.2.3.47114711.5",
    "StudyDate": "20260102",
    "StudyTime": "030405",
    "StudyID": "S1",
    "AccessionNumber": "A-77",
    "StudyDescription": "Spine 2 views",
    "SpecificCharacterSet": "ISO_IR 100",
}


@dataclass(frozen=True, eq=False)
class WrittenResult:
    """What was written, and where."""

    synthetic: Volume
    vertebrae: Volume
    folder: Path

    @property
    def slices(self) -> list[Path]:
        return sorted((self.folder / CT_FOLDER).iterdir())

    @property
    def segmentation(self) -> Path:
        return self.folder / SEGMENTATION_NAME

    @property
    def files(self) -> list[Path]:
        return [*self.slices, self.segmentation]


def a_result(direction: str = "axial", size: tuple[int, int, int] = (37, 29, 23)) -> tuple[Volume, Volume]:
    """HU without any symmetry and three vertebrae with a gap between them; 37 x 29 pixels end within a byte."""
    grid = Grid(size, (1.1, 1.7, 2.3), (-31.7, 12.3, 250.9), tuple(DIRECTIONS[direction].ravel()))
    hu = np.random.default_rng(4).integers(-250, 1051, grid.shape).astype(np.int16)
    labels = np.zeros(grid.shape, np.uint8)
    labels[3:6, 5:20, 4:9], labels[9:13, 8:22, 6:12], labels[13:17, 8:22, 10:30] = 22, 20, 19
    return Volume(hu, grid), Volume(labels, grid)


def write_result(
    folder: Path, direction: str = "axial", making: Making = UNSURE, patient: Identity | None = None
) -> WrittenResult:
    """Write ``a_result`` into a new folder."""
    synthetic, vertebrae = a_result(direction)
    folder.mkdir(parents=True)
    write_dicom(folder, synthetic, vertebrae, making, patient)
    return WrittenResult(synthetic, vertebrae, folder)


def a_file_of_a_person(folder: Path, **values: object) -> Path:
    """A radiograph with the patient and the study of ``PERSON``, but for ``values``."""
    path = folder / "ap.dcm"
    a_radiograph_file(path, **(PERSON | values))
    return path


def need(*commands: str) -> None:
    """Skip a test if one of these commands is not installed."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (Debian: dcmtk, dicom3tools)")


def said_by(*command: str | Path) -> list[str]:
    """All lines that a command prints, on either stream."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return (done.stdout + done.stderr).splitlines()


def complaints(lines: list[str], kind: str) -> list[str]:
    """The lines of dciodvfy and dcentvfy of a kind ("Error"), but for the attribute that they do not know yet."""
    return [line for line in lines if line.startswith((kind, "Abort")) and NEWER_THAN_VALIDATOR not in line]
