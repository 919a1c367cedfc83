#!/usr/bin/env bash
# SimpleITK reads a DICOM segmentation as a volume that it is not.
#
# Guess: a DICOM SEG is read as a label map on the CT's grid, or refused, as an object that needs more than a stack of
# frames.
# What happens: a segmentation of two vertebrae in 8 slices comes out as 4 or 16 slices, one for each segment and slice
# that is stored, 1 mm apart instead of 2.5, and both vertebrae have the value 255. The frames' own positions are not
# used but the first, so frames that run down the body, as highdicom writes them, are stacked up it. The newer label map
# storage is refused, with a message that speaks of a missing reader.
# Why it matters: the result is a valid mask with plausible extents in the wrong place, and which vertebra is which is lost.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 simpleitk==2.5.7 highdicom==0.28.2
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.sr.codedict import codes

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


print("SimpleITK", sitk.Version.VersionString(), "highdicom", highdicom.__version__)
slices, series, frame = [], pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
for k in range(8):
    slice_ = dicom(pydicom.uid.CTImageStorage, "CT", np.zeros((16, 16)), PixelSpacing=[1, 1], SliceThickness=2.5)
    slice_.StudyInstanceUID = slice_.SeriesInstanceUID = series
    slice_.FrameOfReferenceUID, slice_.InstanceNumber, slice_.SeriesNumber = frame, k + 1, 1
    slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 2.5 * k], [1, 0, 0, 0, 1, 0]
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
                    "ReferringPhysicianName", "Manufacturer", "PositionReferenceIndicator"):  # fmt: skip
        setattr(slice_, keyword, "")
    slices.append(slice_)
mask = np.zeros((8, 16, 16), np.uint8)
mask[2:4, 4:8, 4:8], mask[5:7, 4:8, 4:8] = 1, 2


def write(kind, omit_empty):
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Vertebra,
            algorithm_type="MANUAL",
        )
        for number, label in ((1, "L2"), (2, "L1"))
    ]
    highdicom.seg.Segmentation(
        source_images=slices,
        pixel_array=mask,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=pydicom.uid.generate_uid(),
        series_number=2,
        sop_instance_uid=pydicom.uid.generate_uid(),
        instance_number=1,
        manufacturer="-",
        manufacturer_model_name="-",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=omit_empty,
    ).save_as("seg.dcm")


print("written: 8 slices, 2.5 mm apart, L2 in slices 2 and 3, L1 in 5 and 6")
for omit_empty, count, first_mm, own in ((True, 4, 7.5, [7.5, 5.0, 15.0, 12.5]), (False, 16, 17.5, [17.5, 15.0, 12.5, 10.0])):
    write("BINARY", omit_empty)
    frames = pydicom.dcmread("seg.dcm").PerFrameFunctionalGroupsSequence
    positions = [float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) for frame in frames[:4]]
    observe("positions of the first four frames in the file", positions, own)
    image = sitk.ReadImage("seg.dcm")
    placed = [image.TransformIndexToPhysicalPoint((0, 0, k))[2] for k in range(4)]
    observe("  and as SimpleITK places them", placed, [first_mm + k for k in range(4)])
    seen = (image.GetSize()[2], image.GetSpacing()[2], image.GetOrigin()[2])
    observe(f"  empty frames left out: {omit_empty}: slices, distance, first position", seen, (count, 1.0, first_mm))
    observe("  values", np.unique(sitk.GetArrayFromImage(image)[:, 4:8, 4:8]).tolist()[-1:], [255])
write("LABELMAP", True)
try:
    sitk.ReadImage("seg.dcm")
    refused = False
except RuntimeError as error:
    refused = "Unable to determine ImageIO reader" in str(error)
observe("label map storage refused for want of a reader", refused, True)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
