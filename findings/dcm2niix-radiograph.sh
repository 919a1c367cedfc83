#!/usr/bin/env bash
# dcm2niix writes a radiograph with pixels of 1 mm, without an orientation, and as bright or dark as it is stored.
#
# Guess: the NIfTI of a radiograph keeps what its DICOM header states: the pixel size (Imager Pixel Spacing), which way is
# up and where the left is (Patient Orientation), and what is bright (MONOCHROME1 is shown inverted).
# What happens: only Pixel Spacing gives a pixel size; with Imager Pixel Spacing alone, as flat-panel detectors write it,
# pixdim is 1 mm, in units of mm. qform_code and sform_code are 0. Rows are stored from below, whatever Patient
# Orientation says, and MONOCHROME1 values stay as they are. The only warning is of a missing Patient Position.
# Why it matters: radiographs circulate as NIfTI in data sets; a reader that believes the header sees a spine seven times
# too long, upside down where it takes NIfTI's j downward, mirrored or inverted where the original said so.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 nibabel==5.4.2 dcm2niix==1.0.20260724
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
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
PIXELS = np.arange(60 * 50).reshape(60, 50)  # row 0 is the top, by PS3.3 C.7.6.3.1.4


def converted(name, **attributes):
    """The NIfTI image of one digital radiograph, and the warnings on the console."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = pydicom.uid.generate_uid()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = pydicom.uid.generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = "1", "Phantom^", "DX"
    dataset.Manufacturer, dataset.ProtocolName = "Made", "Spine"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.Rows, dataset.Columns = PIXELS.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = PIXELS.astype("<u2").tobytes()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    folder = Path(name)
    folder.mkdir()
    dataset.save_as(folder / "radiograph.dcm", enforce_file_format=True)
    command = [CONVERTER, "-o", folder, "-f", "out", folder]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    warnings = [line for line in said.splitlines() if "arning" in line and "manufacturer" not in line.lower()]
    return nibabel.load(folder / "out.nii"), warnings


for name, attributes, size_mm in (
    ("Imager Pixel Spacing 0.143", {"ImagerPixelSpacing": [0.143, 0.143]}, [1.0, 1.0]),
    ("Pixel Spacing 0.143", {"PixelSpacing": [0.143, 0.143]}, [0.143, 0.143]),
    ("Patient Orientation R, F", {"PatientOrientation": ["R", "F"]}, [1.0, 1.0]),
    ("MONOCHROME1", {"PhotometricInterpretation": "MONOCHROME1"}, [1.0, 1.0]),
):
    image, warnings = converted(name.replace(" ", "_"), **attributes)
    header = image.header
    rows = np.asarray(image.dataobj)[..., 0].T
    observe(f"{name}, pixdim in {header.get_xyzt_units()[0]}", [round(float(length), 3) for length in header["pixdim"][1:3]], size_mm)
    observe(f"{name}, orientation codes", [int(header["qform_code"]), int(header["sform_code"])], [0, 0])
    observe(f"{name}, stored from below, else unchanged", np.array_equal(rows, PIXELS[::-1]), True)
    observe(f"{name}, warnings", warnings, ["Warning: Patient Position (0018,5100) not specified (issue 642)."])

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
