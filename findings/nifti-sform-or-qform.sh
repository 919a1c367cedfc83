#!/usr/bin/env bash
# SimpleITK and nibabel place the same NIfTI file in two different places.
#
# Guess: a NIfTI has one place in space, or readers agree which of its two transforms wins: the sform, the richer one.
# What happens: nibabel always takes the sform. SimpleITK takes it too while its code is 1 (scanner), but for the codes 2, 3
# and 4 (aligned to another image, Talairach, MNI), which registration tools write, it takes the qform.
# Why it matters: a CT read by one library and a segmentation or registration handled by the other lie apart by the whole
# registration, here 60 mm along the body: two to three vertebrae.

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
scanner, registered = np.diag([1.0, 1.0, 2.0, 1.0]), np.diag([1.0, 1.0, 2.0, 1.0])
registered[2, 3] = 60.0
for code, meaning in ((1, "scanner"), (2, "aligned"), (3, "Talairach"), (4, "MNI")):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), registered)
    image.set_qform(scanner, code=1)
    image.set_sform(registered, code=code)
    nibabel.save(image, "ct.nii")
    places = (float(nibabel.load("ct.nii").affine[2, 3]), sitk.ReadImage("ct.nii").GetOrigin()[2])
    expected = (60.0, 60.0) if code == 1 else (60.0, 0.0)
    observe(f"sform code {code} ({meaning}): first slice in mm by nibabel, by SimpleITK", places, expected)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
