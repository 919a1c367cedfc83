#!/usr/bin/env bash
# dcm2niix writes two files for a CT with a missing slice or a tilted gantry, and the one with the plain name is wrong.
#
# Guess: the file named as asked is the best conversion; a second one would be an extra.
# What happens: the plain file holds the slices as if they were evenly spaced and upright, with the nominal distance. The
# corrected one has "_Eq_1" or "_Tilt_1" in its name: it holds one slice more, interpolated over the gap, or the slices
# pushed back along the tilt. There is a warning on the console; the headers of both files say the same.
# Why it matters: NIfTI carries no slice positions, so no later reader can notice; the spine is a slice too short, or leans
# by the tilt.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 nibabel==5.4.2 dcm2niix==1.0.20260724
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import math
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom

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


print("pydicom", pydicom.__version__, "nibabel", nibabel.__version__)
CONVERTER = Path(sys.executable).parent / "dcm2niix"


def converted(name, positions_mm):
    """File name -> (slices, slice distance in mm) of what the converter writes of slices at (y, z) positions."""
    Path(name).mkdir()
    series = pydicom.uid.generate_uid()
    for number, (y, z) in enumerate(positions_mm):
        slice_ = dicom(pydicom.uid.CTImageStorage, "CT", np.full((8, 8), 100 * number))
        slice_.StudyInstanceUID = slice_.SeriesInstanceUID = series
        slice_.InstanceNumber, slice_.RescaleSlope, slice_.RescaleIntercept = number + 1, 1, -1024
        slice_.PixelSpacing, slice_.SliceThickness = [1, 1], 2
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, round(y, 6), round(z, 6)], [1, 0, 0, 0, 1, 0]
        slice_.save_as(f"{name}/{number}.dcm", enforce_file_format=True)
    Path(f"{name}-out").mkdir()
    done = subprocess.run([CONVERTER, "-f", "ct", "-o", f"{name}-out", name], capture_output=True, text=True)
    print(done.stdout.splitlines()[0])
    observe(f"{name}: a warning on the console", "Warning" in done.stdout + done.stderr, True)
    images = {path.name: nibabel.load(path) for path in sorted(Path(f"{name}-out").glob("*.nii"))}
    return {file: (image.shape[2], round(float(image.affine[2, 2]), 3)) for file, image in images.items()}


gap = converted("gap", [(0, z) for z in (0, 2, 4, 6, 10, 12)])
observe("slices at 0, 2, 4, 6, 10, 12 mm", gap, {"ct.nii": (6, 2.0), "ct_Eq_1.nii": (7, 2.0)})
drift = 2 * math.tan(math.radians(20))
tilt = converted("tilt", [(-drift * k, 2 * k) for k in range(6)])
observe("gantry tilt of 20 degrees", tilt, {"ct.nii": (6, 2.0), "ct_Tilt_1.nii": (6, 2.0)})
texts = {bytes(nibabel.load(path).header["descrip"]) for path in Path().glob("*-out/*.nii")}
observe("different descriptions in the four headers", len(texts), 1)
plain = nibabel.load("tilt-out/ct.nii").affine[:3, 2]
observe("direction of the plain file's third axis", (plain.round(3) + 0.0).tolist(), [0.0, 0.0, 2.0])

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
