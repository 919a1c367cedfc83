#!/usr/bin/env bash
# SimpleITK finds no pixel spacing in radiographs that have one.
#
# Guess: Pixel Spacing (0028,0030) gives the spacing, of a radiograph as of a CT slice, and the magnification factor turns
# the detector's spacing into the patient's.
# What happens: for CR, DX and XA, SimpleITK looks at Imager Pixel Spacing alone. A radiograph that holds only Pixel
# Spacing, such as one calibrated with a marker ball, gets 1 mm without a warning; where both are there the calibration
# is dropped; the magnification is never used. In a secondary capture it is the other way round: Imager Pixel Spacing is
# passed over.
# Why it matters: a vertebra of 30 mm in an image of 0.15 mm pixels is measured as 200 mm.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 simpleitk==2.5.7
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
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
CLASSES = {
    "CR": pydicom.uid.ComputedRadiographyImageStorage,
    "DX": pydicom.uid.DigitalXRayImageStorageForPresentation,
    "XA": pydicom.uid.XRayAngiographicImageStorage,
    "OT": pydicom.uid.SecondaryCaptureImageStorage,
}
CALIBRATED = {"PixelSpacing": [0.1, 0.15], "PixelSpacingCalibrationType": "FIDUCIAL"}
DETECTOR = {"ImagerPixelSpacing": [0.2, 0.3]}
MAGNIFIED = DETECTOR | {"EstimatedRadiographicMagnificationFactor": 2.0}
for modality, sop_class in CLASSES.items():
    capture = modality == "OT"
    for attributes, expected in (
        (CALIBRATED, (0.15, 0.1) if capture else (1.0, 1.0)),
        (DETECTOR, (1.0, 1.0) if capture else (0.3, 0.2)),
        (CALIBRATED | DETECTOR, (0.15, 0.1) if capture else (0.3, 0.2)),
        (MAGNIFIED, (1.0, 1.0) if capture else (0.3, 0.2)),
    ):
        dataset = dicom(sop_class, modality, np.zeros((3, 4)), **attributes)
        dataset.save_as("image.dcm", enforce_file_format=True)
        spacing = sitk.ReadImage("image.dcm").GetSpacing()[:2]
        observe(f"{modality} with {', '.join(attributes)}: SimpleITK's spacing (column, row)", spacing, expected)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
