#!/usr/bin/env bash
# SimpleITK stacks the frames of an Enhanced CT in the order of the file; pydicom leaves out its HU offset.
#
# Guess: a multi-frame CT holds its geometry in one place, so it is read more reliably than a folder of slices, whose files
# must be sorted.
# What happens: frames may come in any order, each with its own position. SimpleITK does not sort them. Where
# their positions do not step evenly it gives up on the slice distance as well and says 1 mm, without a warning. pydicom's
# apply_modality_lut looks for the intercept at the top of the dataset, not in the functional groups: air reads as 24, not
# as -1000 HU. highdicom sorts and converts, and puts the uppermost slice first.
# Why it matters: a spine in shuffled slices of half their distance is a plausible CT to everything that follows.

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
from pydicom.pixels import apply_modality_lut

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


print("pydicom", pydicom.__version__, "SimpleITK", sitk.Version.VersionString(), "highdicom", highdicom.__version__)


def group(**attributes):
    item = pydicom.Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return [item]


def write(order):
    """An Enhanced CT of slices 2 mm apart in the given order, with -1000, -990, ... HU from below."""
    frames = np.stack([np.full((4, 4), 24 + 10 * k) for k in order])
    dataset = dicom(pydicom.uid.EnhancedCTImageStorage, "CT", frames, NumberOfFrames=len(order))
    dataset.FrameOfReferenceUID = pydicom.uid.generate_uid()
    dataset.SharedFunctionalGroupsSequence = group(
        PixelMeasuresSequence=group(PixelSpacing=[1, 1], SliceThickness=2),
        PlaneOrientationSequence=group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelValueTransformationSequence=group(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU"),
    )
    dataset.PerFrameFunctionalGroupsSequence = [
        group(
            FrameContentSequence=group(StackID="1", InStackPositionNumber=k + 1),
            PlanePositionSequence=group(ImagePositionPatient=[0, 0, 2 * k]),
        )[0]
        for k in order
    ]
    dataset.save_as("ct.dcm", enforce_file_format=True)


for order, distance in (((0, 1, 2, 3, 4, 5), 2.0), ((0, 1, 3, 4, 5, 2), 1.0), ((0, 2, 4, 1, 3, 5), 1.0)):
    write(order)
    image, dataset = sitk.ReadImage("ct.dcm"), pydicom.dcmread("ct.dcm")
    hu, in_file = sitk.GetArrayFromImage(image)[:, 0, 0].tolist(), [-1000 + 10 * k for k in order]
    print(f"frames in the order {order}:")
    observe("  SimpleITK's slice distance", image.GetSpacing()[2], distance)
    observe("  SimpleITK's HU from below", [int(value) for value in hu], in_file)
    lowest = int(apply_modality_lut(dataset.pixel_array, dataset).min())
    observe("  pydicom's lowest value after apply_modality_lut", lowest, 24)
    volume = highdicom.imread("ct.dcm").get_volume()
    observe("  highdicom's HU from its first slice on", volume.array[:, 0, 0].astype(int).tolist(), [*range(-950, -1001, -10)])
    observe("  highdicom's position of that slice", float(volume.affine[2, 3]), 10.0)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
