#!/usr/bin/env bash
# dcm2niix tells a scanner's maker by the first two letters of its name: a Medtronic O-arm becomes a Mediso.
#
# Guess: "Manufacturer" in the JSON beside a NIfTI is Manufacturer (0008,0070) as the DICOM header states it, tidied at most,
# and absent if dcm2niix does not know the maker.
# What happens: two letters decide. "Medtronic" becomes Mediso (a maker of PET), "TomoTherapy" Toshiba, "GENORAY" GE, "Carestream"
# Canon, "Sirona" Siemens, "Brainlab" Bruker; "Ziehm Imaging" and "EOS imaging" have no Manufacturer. The console names the
# wrong one nowhere. Voxels and positions are the same for all names.
# Why it matters: the CTs of spine surgery and radiotherapy are by exactly these makers (O-arm, C-arms with a CT function,
# TomoTherapy). Cohorts that are split, harmonised or reported by "Manufacturer" count them among other scanners, and software
# of one's own whose name begins like a vendor's, too.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 nibabel==5.4.2 dcm2niix==1.0.20260724
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import json
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


print("pydicom", pydicom.__version__, "nibabel", nibabel.__version__)
CONVERTER = Path(sys.executable).parent / "dcm2niix"
HU = np.random.default_rng(0).integers(-1000, 1500, (4, 20, 30)).astype("<i2")


def converted(maker):
    """Image, sidecar and console text of a CT of four slices by this maker."""
    folder = Path(maker.replace(" ", "_"))
    folder.mkdir()
    series, study, frame = (pydicom.uid.generate_uid() for _ in range(3))
    for k, pixels in enumerate(HU):
        one = pydicom.Dataset()
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.PatientID, one.PatientName, one.Modality, one.PatientPosition = "1", "Phantom^", "CT", "HFS"
        one.ImageType, one.Manufacturer = ["ORIGINAL", "PRIMARY", "AXIAL"], maker
        one.SeriesNumber, one.InstanceNumber = 1, k + 1
        one.ImagePositionPatient, one.ImageOrientationPatient = [0, 0, 2.5 * k], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [0.8, 0.8], 2.5
        one.Rows, one.Columns = pixels.shape
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 1
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.RescaleIntercept, one.RescaleSlope = 0, 1
        one.PixelData = pixels.tobytes()
        one.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    command = [CONVERTER, "-o", folder, "-f", "out", folder]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return nibabel.load(folder / "out.nii"), json.loads((folder / "out.json").read_text()), said


first = None
for maker, recorded in (
    ("Canon Medical Systems", "Canon"),
    ("Medtronic", "Mediso"),
    ("TomoTherapy Incorporated", "Toshiba"),
    ("GENORAY", "GE"),
    ("Carestream Health", "Canon"),
    ("Sirona", "Siemens"),
    ("Brainlab", "Bruker"),
    ("Ziehm Imaging", None),
    ("EOS imaging", None),
):
    image, sidecar, said = converted(maker)
    observe(f"{maker}, Manufacturer in the sidecar", sidecar.get("Manufacturer"), recorded)
    if recorded is not None and recorded not in maker:
        observe(f"{maker}, told on the console", recorded in said, False)
    voxels = np.asarray(image.dataobj)
    first = (voxels, image.affine) if first is None else first
    same = np.array_equal(voxels, first[0]) and np.allclose(image.affine, first[1])
    observe(f"{maker}, voxels and positions as for the first", same, True)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
