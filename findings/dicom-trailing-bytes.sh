#!/usr/bin/env bash
# Bytes behind the pixels of a DICOM file: of FF, pydicom returns an empty data set and a warning; SimpleITK refuses.
#
# Guess: what follows Pixel Data, such as the padding of a disc block or the rest of an overwritten file, is ignored.
# What happens: pydicom goes on parsing. Bytes of FF look like a tag of undefined length; at the end of the file all
# elements that were read before are dropped, and a warning speaks of a delimiter: no rows, no pixels, no exception. The
# rest of another file overrides what was read: here a Rescale Intercept of -900. SimpleITK reads a file with zeros
# behind it and is unable to determine an ImageIO for the others.
# Why it matters: a script that skips files without Pixel Data drops such radiographs and slices, and a stack of the rest
# has a gap. Stop reading behind (7FE0,0010): pydicom.filereader.read_partial with stop_when does.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 simpleitk==2.5.7
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import warnings
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.filereader import read_partial

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("pydicom", pydicom.__version__, "SimpleITK", sitk.Version.VersionString())
meta = pydicom.dataset.FileMetaDataset()
meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
image = pydicom.Dataset()
image.file_meta = meta
image.SOPClassUID, image.SOPInstanceUID = pydicom.uid.SecondaryCaptureImageStorage, pydicom.uid.generate_uid()
meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
image.StudyInstanceUID = image.SeriesInstanceUID = pydicom.uid.generate_uid()
image.PatientID, image.PatientName, image.Modality, image.InstanceNumber = "1", "Phantom^", "OT", 1
image.Rows, image.Columns = 2, 3
image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
image.PixelData = np.arange(6, dtype="<u2").tobytes()
image.save_as("whole.dcm", enforce_file_format=True)
own = pydicom.dcmread("whole.dcm")


def behind_the_pixels():
    """For stop_when: True for the first element behind Pixel Data."""
    tags = [0]

    def stop(tag, vr, length):
        tags.append(int(tag))
        return tags[-2] == 0x7FE00010

    return stop


def kept(dataset):
    """How many of the file's own elements are in a data set, and its intercept."""
    return f"{len([tag for tag in own.keys() if tag in dataset])} of {len(own)}, {dataset.get('RescaleIntercept')}"


def by_simpleitk():
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage("longer.dcm")).ravel().tolist()
    except RuntimeError as error:
        return str(error).strip().splitlines()[-1].split(":")[-1].split(" for ")[0].strip()


UNABLE = "Unable to determine ImageIO reader"
DELIMITER = ["End of file reached before delimiter (FFFE,E0DD) found in file longer.dcm"]
INTERCEPT = b"\x28\x00\x52\x10DS\x04\x00-900"
for name, tail, all_read, said, itk in (
    ("64 zeros", bytes(64), "17 of 17, None", [], [0, 1, 2, 3, 4, 5]),
    ("64 bytes of FF", b"\xff" * 64, "0 of 17, None", DELIMITER, UNABLE),
    ("rest of another file", INTERCEPT, "17 of 17, -900", [], [-900, -899, -898, -897, -896, -895]),
    ("text", b"end of disc " * 6, "17 of 17, None", [], UNABLE),
):
    Path("longer.dcm").write_bytes(Path("whole.dcm").read_bytes() + tail)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        observe(f"{name} behind: pydicom's dcmread keeps", kept(pydicom.dcmread("longer.dcm")), all_read)
    observe(f"{name} behind: it warns", [str(warning.message) for warning in heard], said)
    with open("longer.dcm", "rb") as file:
        stopped = read_partial(file, stop_when=behind_the_pixels())
    observe(f"{name} behind: read_partial, stopped behind the pixels, keeps", kept(stopped), "17 of 17, None")
    observe(f"{name} behind: SimpleITK", by_simpleitk(), itk)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
