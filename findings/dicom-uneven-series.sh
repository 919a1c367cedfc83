#!/usr/bin/env bash
# SimpleITK stretches a CT series with a missing slice or a tilted gantry instead of refusing it.
#
# Guess: slices stay where their headers put them; where a grid cannot hold them, reading fails, or only the part behind
# the gap is wrong.
# What happens: the distance of the slices becomes the length from the first to the last position divided by the number
# of steps. One missing slice moves every slice but the ends; a gantry tilt of 20 degrees makes the spine 6 % longer and
# stands it upright, with directions that show no tilt. Of the gap there is a warning on the console, of the tilt nothing.
# Why it matters: heights of vertebrae and the angle to the radiographs are wrong by more than what is to be measured.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 simpleitk==2.5.7
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import math
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


def dicom(sop_class, modality, pixels, **attributes):
    """A dataset of one 16-bit greyscale image."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, pydicom.uid.generate_uid()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = pydicom.uid.generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality, dataset.InstanceNumber = "1", "Phantom^", modality, 1
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


print("pydicom", pydicom.__version__, "SimpleITK", sitk.Version.VersionString())


def read(name, positions_mm):
    """SimpleITK's image of CT slices at the given (y, z) positions; the slice's number is its grey value."""
    Path(name).mkdir()
    series = pydicom.uid.generate_uid()
    for number, (y, z) in enumerate(positions_mm):
        slice_ = dicom(pydicom.uid.CTImageStorage, "CT", np.full((4, 4), number))
        slice_.SeriesInstanceUID, slice_.InstanceNumber = series, number + 1
        slice_.PixelSpacing, slice_.SliceThickness = [1, 1], 2
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, round(y, 6), round(z, 6)], [1, 0, 0, 0, 1, 0]
        slice_.save_as(f"{name}/{number}.dcm", enforce_file_format=True)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(name))
    return reader.Execute()


gap = read("gap", [(0, z) for z in (0, 2, 4, 6, 10, 12)])
observe("slice distance with the fifth of seven 2 mm slices missing", round(gap.GetSpacing()[2], 3), 2.4)
places = [round(gap.TransformIndexToPhysicalPoint((0, 0, k))[2], 1) for k in range(6)]
observe("positions of slices at 0, 2, 4, 6, 10, 12 mm", places, [0.0, 2.4, 4.8, 7.2, 9.6, 12.0])
drift = 2 * math.tan(math.radians(20))
tilt = read("tilt", [(-drift * k, 2 * k) for k in range(6)])
observe("slice distance with a gantry tilt of 20 degrees, 2 mm along the normal", round(tilt.GetSpacing()[2], 3), 2.128)
observe("direction of its third axis", tilt.GetDirection()[2::3], (0.0, 0.0, 1.0))

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
