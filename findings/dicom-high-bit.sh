#!/usr/bin/env bash
# pydicom and SimpleITK cut left-aligned DICOM values at the wrong end: both look at Bits Stored, neither at High Bit.
#
# Guess: a reader takes a value's bits from where High Bit says. 12-bit values may be stored in the upper bits of 16-bit
# cells (High Bit 15), with overlays or nothing below; older digitisers and converters wrote that.
# What happens: both keep the lowest 12 bits. The cell of 300 is 4800, of which 704 is left; 4095 becomes 4080. Nothing
# is said, and the image is a cloud of wrapped grey levels.
# Why it matters: a radiograph of this kind is read without an error, in the wrong order of brightness. Move the cells
# down by High Bit + 1 - Bits Stored, from values that no library has cut (pydicom: as_array with bits_stored=16).

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
from pydicom.pixels import get_decoder

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("pydicom", pydicom.__version__, "SimpleITK", sitk.Version.VersionString())
VALUES = np.array([[0, 100, 200, 300, 3000, 4095]])
meta = pydicom.dataset.FileMetaDataset()
meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
image = pydicom.Dataset()
image.file_meta = meta
image.SOPClassUID, image.SOPInstanceUID = pydicom.uid.SecondaryCaptureImageStorage, pydicom.uid.generate_uid()
meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
image.StudyInstanceUID = image.SeriesInstanceUID = pydicom.uid.generate_uid()
image.PatientID, image.PatientName, image.Modality, image.InstanceNumber = "1", "Phantom^", "OT", 1
image.Rows, image.Columns = VALUES.shape
image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 15
image.PixelData = (VALUES << 4).astype("<u2").tobytes()
image.save_as("left.dcm", enforce_file_format=True)

read = pydicom.dcmread("left.dcm")
print("stored, with High Bit 15 of 12 bits:", VALUES.ravel().tolist())
observe("by pydicom", read.pixel_array.ravel().tolist(), [0, 1600, 3200, 704, 2944, 4080])
by_itk = sitk.GetArrayFromImage(sitk.ReadImage("left.dcm")).ravel().tolist()
observe("by SimpleITK", by_itk, [0, 1600, 3200, 704, 2944, 4080])
cells, _ = get_decoder(meta.TransferSyntaxUID).as_array(read, raw=True, bits_stored=16)
observe("whole cells by pydicom, moved down by 4 bits", (cells >> 4).ravel().tolist(), VALUES.ravel().tolist())

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
