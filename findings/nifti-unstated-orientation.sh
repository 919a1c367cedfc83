#!/usr/bin/env bash
# A NIfTI without orientation codes is mirrored front to back between SimpleITK and nibabel.
#
# Guess: where qform_code and sform_code are 0, as converters from ANALYZE leave them, readers fall back on the same axes,
# those of the format's method 1 (+x right, +y front, +z head), or refuse.
# What happens: SimpleITK lets the first index run to the left and the second to the back, nibabel the first to the left
# and the second to the front; none follows method 1, and neither says a word. An ANALYZE file is read likewise.
# Why it matters: front and back change places, so the lateral view of a CT is mirrored, and a mask that one kind of tool
# wrote lies mirrored on a CT that the other kind reads.

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


def axes_by_simpleitk(path):
    """Where i, j and k run to; SimpleITK's frame is x left, y posterior, z superior."""
    columns = np.array(sitk.ReadImage(path).GetDirection()).reshape(3, 3).T
    largest = [int(np.abs(column).argmax()) for column in columns]
    return "".join(("LR", "PA", "SI")[axis][int(column[axis] < 0)] for axis, column in zip(largest, columns))


print("nibabel", nibabel.__version__, "SimpleITK", sitk.Version.VersionString())
voxels = np.zeros((4, 5, 6), np.int16)
image = nibabel.Nifti1Image(voxels, None)
image.header.set_zooms((2, 3, 4))
nibabel.save(image, "ct.nii")
header = nibabel.load("ct.nii").header
observe("codes in the file", (int(header["qform_code"]), int(header["sform_code"])), (0, 0))
observe("axes run to, by nibabel", "".join(nibabel.aff2axcodes(nibabel.load("ct.nii").affine)), "LAS")
observe("axes run to, by SimpleITK", axes_by_simpleitk("ct.nii"), "LPS")
nibabel.save(nibabel.AnalyzeImage(voxels, None), "old.hdr")
observe("ANALYZE, by nibabel", "".join(nibabel.aff2axcodes(nibabel.load("old.hdr").affine)), "LAS")
observe("ANALYZE, by SimpleITK", axes_by_simpleitk("old.hdr"), "LPS")

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
