#!/usr/bin/env bash
# nibabel writes a label map that no longer holds its labels.
#
# Guess: labels 0, 20 and 24 (VerSe's L1 and L5), held as float32 as they come out of a network, and saved with the data
# type uint8, are in the file as 0, 20 and 24: they are whole numbers and fit.
# What happens: nibabel stretches floating point data over the whole integer range and stores a slope. 24 becomes 255
# times 0.0941, 20 becomes 212 times it and reads as 19.95, and every other reader sees a floating point image. An integer array is stored as it is.
# Why it matters: a test for label 20 finds no voxel, so the vertebra is missing without an error; only a reader that
# refuses or rounds fractions notices.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 nibabel==5.4.2 simpleitk==2.5.7
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import nibabel
import numpy as np
import SimpleITK as sitk

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("nibabel", nibabel.__version__, "SimpleITK", sitk.Version.VersionString())
labels = np.zeros((8, 8, 8), dtype=np.float32)
labels[1:4], labels[4:7] = 20, 24
for name, voxels in (("float", labels), ("integer", labels.astype(np.int16))):
    image = nibabel.Nifti1Image(voxels, np.eye(4))
    image.set_data_dtype(np.uint8)
    nibabel.save(image, f"{name}.nii")

read = nibabel.load("float.nii")
observe("stored numbers of the float array", np.unique(read.dataobj.get_unscaled()).tolist(), [0, 212, 255])
observe("read back by nibabel", np.unique(read.get_fdata()).round(3).tolist(), [0.0, 19.953, 24.0])
observe("voxels of label 20, of 192", int((read.get_fdata() == 20).sum()), 0)
image = sitk.ReadImage("float.nii")
values = np.unique(sitk.GetArrayFromImage(image)).astype(float).round(3).tolist()
observe("SimpleITK's pixel type", image.GetPixelIDTypeAsString(), "32-bit float")
observe("read by SimpleITK", values, [0.0, 19.953, 24.0])
integer = nibabel.load("integer.nii")
observe("the integer array, read back", np.unique(integer.get_fdata()).tolist(), [0.0, 20.0, 24.0])

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
