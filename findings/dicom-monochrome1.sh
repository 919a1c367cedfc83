#!/usr/bin/env bash
# SimpleITK inverts a MONOCHROME1 radiograph but does not apply its modality LUT; pydicom does neither by itself.
#
# Guess: a reader hands out the stored numbers, as pydicom does, or all that the header asks of them.
# What happens: SimpleITK subtracts MONOCHROME1 from the largest number that the stored bits can hold (4095 for 12 bits, not
# the image's own largest), then applies rescale slope and intercept; a Modality LUT Sequence is ignored. The image says
# nothing of it: its own tag (0028,0004) still reads MONOCHROME1.
# Why it matters: code that falls back from pydicom to SimpleITK, or looks at the tag, inverts twice: bone is dark in one
# file and bright in the next.

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


print("pydicom", pydicom.__version__, "SimpleITK", sitk.Version.VersionString())
DX = pydicom.uid.DigitalXRayImageStorageForPresentation
STORED = np.array([[0, 100, 200, 300]])


def both(**attributes):
    """The numbers by SimpleITK, by pydicom, by pydicom with its modality LUT, and the tag that SimpleITK passes on."""
    dicom(DX, "DX", STORED, **attributes).save_as("image.dcm", enforce_file_format=True)
    image, dataset = sitk.ReadImage("image.dcm"), pydicom.dcmread("image.dcm")
    stored = dataset.pixel_array
    numbers = (sitk.GetArrayFromImage(image), stored, apply_modality_lut(stored, dataset))
    return [values.ravel().tolist() for values in numbers], image.GetMetaData("0028|0004").strip()


(seen, plain, _), tag = both(PhotometricInterpretation="MONOCHROME1")
observe("MONOCHROME1 by SimpleITK", seen, [4095, 3995, 3895, 3795])
observe("the tag that SimpleITK shows", tag, "MONOCHROME1")
observe("MONOCHROME1 by pydicom", plain, [0, 100, 200, 300])
(seen, _, _), _ = both(PhotometricInterpretation="MONOCHROME1", RescaleSlope=1, RescaleIntercept=-1000)
observe("with an intercept of -1000, by SimpleITK", seen, [3095, 2995, 2895, 2795])
table = pydicom.Dataset()
table.add_new("LUTDescriptor", "US", [301, 0, 16])
table.ModalityLUTType = "US"
table.add_new("LUTData", "OW", np.arange(5000, 5301, dtype="<u2").tobytes())
(seen, _, through), _ = both(ModalityLUTSequence=[table])
observe("with a modality LUT that adds 5000, by SimpleITK", seen, [0, 100, 200, 300])
observe("with it, by pydicom's apply_modality_lut", through, [5000, 5100, 5200, 5300])

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
