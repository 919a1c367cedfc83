"""The real pair ``scouts/lumbar`` and its CT as a DICOM study, for ``tomoray synthesize --study`` and ``evaluate``.

    python Testing/Benchmarks/scouts_as_study.py --data DATA --out STUDY
    tomoray synthesize --study STUDY --out output/from_scouts

DATA holds ``scouts/lumbar``: ``ap.npy`` and ``lateral.npy`` with their headers as JSON, and the CT as NIfTI. Pixels are
written as they are, padding included, with the place, directions and spacing of their headers; SID and SAD are not
stated, as in the files that they come from. Nobody is named.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_volume
from TomoRayLib.training.data.held_out import SCOUT_CASE

CT_NAME = "ct_sagittal_2mm.nii.gz"
ROLES = ("ap", "lateral")
AIR_HU = -1024


def write_study(case: Path, out: Path) -> None:
    """Write the CT of ``case`` slice by slice, and both scouts, as scanners do, into the new folder ``out``.

    Raises InputError if the case is not there, or ``out`` is no new or empty folder.
    """
    if not (case / CT_NAME).is_file():
        raise InputError(f"Expected {CT_NAME} and the scouts in {case}; get the data, or name another folder.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"Expected a new or empty folder for the study, got {out}; choose another.")
    _write_ct(case / CT_NAME, out / "ct")
    for number, role in enumerate(ROLES, start=1):
        header: dict[str, Any] = json.loads((case / f"{role}.json").read_text(encoding="utf-8"))
        _write(
            out / "scouts" / f"{role}.dcm",
            np.load(case / f"{role}.npy"),
            series=f"scout {role}",
            SeriesNumber=number,
            InstanceNumber=1,
            ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
            ImageOrientationPatient=[*header["row_direction_lps"], *header["column_direction_lps"]],
            ImagePositionPatient=header["first_pixel_lps_mm"],
            PixelSpacing=header["pixel_spacing_mm"],
            KVP=header.get("tube_voltage_kv"),
            DistanceSourceToDetector=header.get("sid_mm"),
            DistanceSourceToPatient=header.get("sad_mm"),
        )


def _write_ct(path: Path, folder: Path) -> None:
    """The slices of the CT across its last axis, the one nearest to the patient's long axis."""
    ct = read_volume(path)
    grid = ct.grid
    right, down, _ = grid.direction_matrix.T
    for index, plane in enumerate(ct.voxels):
        first = grid.index_to_world @ (0.0, 0.0, float(index), 1.0)
        _write(
            folder / f"{index:04d}.dcm",
            np.clip(np.rint(plane), AIR_HU, 32767).astype(np.int16),
            series="ct",
            SeriesNumber=len(ROLES) + 1,
            InstanceNumber=index + 1,
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            ImageOrientationPatient=[*right, *down],
            ImagePositionPatient=first[:3],
            PixelSpacing=[grid.spacing_mm[1], grid.spacing_mm[0]],
            SliceThickness=grid.spacing_mm[2],
        )


def _write(path: Path, pixels: NDArray[np.int16], series: str, **values: Any) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = _uid(series, values["InstanceNumber"])
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "scouts-lumbar", ""
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = _uid("study"), _uid("frame")
    dataset.SeriesInstanceUID = _uid(series)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()
    for keyword, value in values.items():
        if value is not None:
            is_several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
            setattr(dataset, keyword, [_decimal(one) for one in value] if is_several else value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def _decimal(value: Any) -> Any:
    """A number in the 16 characters of a decimal string."""
    return value if isinstance(value, str) else f"{float(value):.10g}"[:16]


def _uid(*words: object) -> str:
    """The same UID for the same words, so that a study written twice is the same."""
    return str(generate_uid(entropy_srcs=["tomoray", SCOUT_CASE, *map(str, words)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    options = parser.parse_args()
    write_study(options.data / SCOUT_CASE, options.out)
    print(f"{options.out}: CT, AP and lateral scout. Now: tomoray synthesize --study {options.out} --out FOLDER")


if __name__ == "__main__":
    main()
