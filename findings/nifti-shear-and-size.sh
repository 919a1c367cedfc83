#!/usr/bin/env bash
# SimpleITK reads a sheared NIfTI as a straight one once a qform is there, and voxels at pixdim's size, not the sform's.
#
# Guess: a volume whose axes are not perpendicular (gantry tilt, affine registration) is refused by SimpleITK, which can
# hold no shear; and a matrix with steps of 2 mm gives voxels of 2 mm.
# What happens: SimpleITK refuses the shear only while qform_code is 0. With a qform, which cannot hold shear, it takes that
# one. The size always comes from pixdim: an sform of 2 mm steps beside a pixdim of 1 mm is read at 1 mm. All it says is
# "unexpected scales in sform", on the terminal. nibabel keeps the sform in both cases.
# Why it matters: most converters write both matrices, so a tilted CT comes straight but with its slices slid against each
# other, and a CT stretched by a registration comes in another size than its mask from a tool that uses nibabel.

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


def write(name, sform, qform=None, zooms=(2, 2, 2)):
    image = nibabel.Nifti1Image(np.zeros((40, 40, 61), np.int16), None)
    image.header.set_zooms(zooms)
    image.header.set_sform(sform, code=1)
    if qform is not None:
        image.header.set_qform(qform, code=1)
        image.header.set_zooms(zooms)
    nibabel.save(image, name)


def last_slice_mm(name):
    """y (to the front) of the first voxel of the last slice, by nibabel and by SimpleITK."""
    try:
        y = round(-sitk.ReadImage(name).TransformIndexToPhysicalPoint((0, 0, 60))[1], 3) + 0.0
    except RuntimeError as error:
        y = "refused" if "only supports orthonormal" in str(error) else str(error)
    return round(float((nibabel.load(name).affine @ (0, 0, 60, 1))[1]), 3), y


print("nibabel", nibabel.__version__, "SimpleITK", sitk.Version.VersionString())
straight = np.diag([-2.0, -2.0, 2.0, 1.0])
sheared = straight.copy()
sheared[1, 2] = 0.6  # each slice lies 0.6 mm farther to the front: a gantry tilt of 17 degrees
write("tilted.nii", sheared)
observe("last slice in mm, sform alone, by nibabel, by SimpleITK", last_slice_mm("tilted.nii"), (36.0, "refused"))
write("tilted_q.nii", sheared, straight)
observe("with a qform", last_slice_mm("tilted_q.nii"), (36.0, 0.0))
write("stretched.nii", straight, zooms=(1, 1, 1))
step = float(np.linalg.norm(nibabel.load("stretched.nii").affine[:3, 0]))
seen = (step, sitk.ReadImage("stretched.nii").GetSpacing()[0])
observe("voxels of 2 mm by sform, 1 mm by pixdim: nibabel's affine, SimpleITK's spacing", seen, (2.0, 1.0))

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
