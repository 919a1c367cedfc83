#!/usr/bin/env bash
# dcm2niix closes the gaps of a DICOM label map: vertebrae beyond an empty slice move towards the others.
#
# Guess: a DICOM segmentation of the newer label map storage (LABELMAP), which holds one number for each voxel, becomes a NIfTI
# label map with every slice at the place that its frame states; or dcm2niix warns, as it does for a CT with a gap.
# What happens: slices without any label may be left out of the file, and highdicom leaves them out by default. dcm2niix stacks
# the frames that are there one after another, at the distance of neighbours: three empty slices of 2.5 mm between L3 and L1
# are gone, and L1 lies 7.5 mm nearer to L3 than it is. There is no warning of it. highdicom itself gives all slices back.
# Why it matters: the numbers and one end are right, so the mask looks right until it is laid over the CT; discs, gaps at
# fused or skipped levels, and every height measured across them are too small.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 highdicom==0.28.2 nibabel==5.4.2 dcm2niix==1.0.20260724
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import pydicom
from pydicom.sr.codedict import codes

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("pydicom", pydicom.__version__, "highdicom", hd.__version__, "nibabel", nibabel.__version__)
CONVERTER = Path(sys.executable).parent / "dcm2niix"
STEP_MM, SHAPE = 2.5, (16, 20, 30)
labels = np.zeros(SHAPE, np.uint8)
labels[2:6, 5:12, 8:20] = 1  # L3, in slices 2 to 5
labels[9:13, 5:12, 8:20] = 2  # L1, in slices 9 to 12: 6, 7 and 8 are empty
series, study, frame = (hd.UID() for _ in range(3))


def a_slice(k):
    one = pydicom.Dataset()
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = hd.UID()
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
    one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = "1", "Phantom^", "", ""
    one.StudyID, one.StudyDate, one.StudyTime, one.AccessionNumber, one.ReferringPhysicianName = "1", "", "", "", ""
    one.Modality, one.PatientPosition, one.ImageType = "CT", "HFS", ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.Manufacturer, one.SeriesNumber, one.InstanceNumber = "Phantom", 1, k + 1
    one.PositionReferenceIndicator = ""
    one.ImagePositionPatient, one.ImageOrientationPatient = [0, 0, STEP_MM * k], [1, 0, 0, 0, 1, 0]
    one.PixelSpacing, one.SliceThickness = [1, 1], STEP_MM
    one.Rows, one.Columns = SHAPE[1:]
    one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 1
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    one.RescaleIntercept, one.RescaleSlope = 0, 1
    one.PixelData = np.zeros(SHAPE[1:], "<i2").tobytes()
    return one


described = [
    hd.seg.SegmentDescription(number, name, codes.SCT.AnatomicalStructure, code, hd.seg.SegmentAlgorithmTypeValues.MANUAL)
    for number, name, code in ((1, "L3", codes.SCT.L3Vertebra), (2, "L1", codes.SCT.L1Vertebra))
]
segmentation = hd.seg.Segmentation(
    source_images=[a_slice(k) for k in range(SHAPE[0])],
    pixel_array=labels,
    segmentation_type=hd.seg.SegmentationTypeValues.LABELMAP,
    segment_descriptions=described,
    series_instance_uid=hd.UID(),
    series_number=2,
    sop_instance_uid=hd.UID(),
    instance_number=1,
    manufacturer="Phantom",
    manufacturer_model_name="Phantom",
    software_versions="1",
    device_serial_number="1",
)
Path("seg").mkdir()
segmentation.save_as("seg/seg.dcm")
observe("frames in the file, of 16 slices", int(segmentation.NumberOfFrames), 8)

volume = hd.seg.segread("seg/seg.dcm").get_volume(combine_segments=True)
observe("highdicom: slices from the first to the last frame", volume.array.shape[0], 11)

said = subprocess.run([CONVERTER, "-o", "seg", "-f", "out", "seg"], capture_output=True, text=True, check=True).stdout
warnings = [line for line in said.splitlines() if "arning" in line and "Patient Position" not in line]
print(said.strip())
(converted,) = Path("seg").glob("*.nii")
image = nibabel.load(converted)
found = np.asarray(image.dataobj)
observe("dcm2niix: values", np.unique(found).tolist(), [0, 1, 2])
observe("dcm2niix: slices", found.shape[2], 8)
observe("dcm2niix: warnings of it", warnings, [])


def height_mm(value):
    """Mean z of a label in the NIfTI, in patient space; z is the same in RAS and LPS."""
    places = np.argwhere(found == value)
    return float((image.affine @ [*places.mean(axis=0), 1.0])[2])


true_mm = STEP_MM * float(np.argwhere(labels == 2)[:, 0].mean() - np.argwhere(labels == 1)[:, 0].mean())
observe("from the middle of L3 to that of L1, in truth, mm", true_mm, 17.5)
observe("from the middle of L3 to that of L1, by dcm2niix, mm", round(height_mm(2) - height_mm(1), 2), 10.0)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
