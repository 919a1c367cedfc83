"""DICOM files written by pydicom, with the values a test asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DX_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"
TWELVE = {"BitsStored": 12, "HighBit": 11}


def a_dataset(sop_class: str, stored: np.ndarray, **values: Any) -> FileDataset:
    """A little-endian file with ``stored`` (rows, columns) uint16 or int16 pixels; ``values`` by DICOM keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID = "Secret^Name", "secret-id"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def a_radiograph_file(path: Path, stored: np.ndarray | None = None, **values: Any) -> np.ndarray:
    stored = np.add.outer(np.arange(70) * 10, np.arange(80)).astype(np.uint16) if stored is None else stored
    defaults = {"Modality": "DX", "ImagerPixelSpacing": [0.2, 0.3]}
    a_dataset(DX_CLASS, stored, **(defaults | values)).save_as(path, enforce_file_format=True)
    return stored
