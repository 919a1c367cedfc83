#!/usr/bin/env bash
# SimpleITK reads NaN in a NIfTI as 0, which is water on a CT; nibabel and SimpleITK's own NRRD reader keep it.
#
# Guess: a float NIfTI that a registration or a resampling filled with NaN outside its field gives NaN, whatever reads it.
# What happens: SimpleITK's NIfTI reader replaces each NaN and each infinity by 0 without a word, of files that it
# wrote itself, too. nibabel keeps them, and so does SimpleITK in NRRD.
# Why it matters: a check for NaN after reading never fires. The air around a patient becomes a block of water, which a
# projection of the CT shows as a bright frame, and mean values over a region with some NaN look sound.

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


def counted(values):
    """Voxels that are NaN, infinite, and exactly 0."""
    return int(np.isnan(values).sum()), int(np.isinf(values).sum()), int((values == 0).sum())


print("nibabel", nibabel.__version__, "SimpleITK", sitk.Version.VersionString())
hu = np.full((20, 30, 40), 40.0, np.float32)
hu[:2], hu[5, 5, :7] = np.nan, np.inf
hu[10, 10, :3] = 0.0
image = nibabel.Nifti1Image(hu, np.diag([-1.0, -1.0, 2.0, 1.0]))
nibabel.save(image, "ct.nii.gz")
recorded = (2 * 30 * 40, 7, 3)
observe("NaN, infinite, 0 as made", counted(hu), recorded)
observe("nibabel, NIfTI", counted(nibabel.load("ct.nii.gz").get_fdata()), recorded)
observe("SimpleITK, NIfTI", counted(sitk.GetArrayFromImage(sitk.ReadImage("ct.nii.gz"))), (0, 0, 2 * 30 * 40 + 7 + 3))
sitk.WriteImage(sitk.GetImageFromArray(hu), "ct.nrrd")
observe("SimpleITK, NRRD", counted(sitk.GetArrayFromImage(sitk.ReadImage("ct.nrrd"))), recorded)
sitk.WriteImage(sitk.GetImageFromArray(hu), "again.nii")
observe("nibabel, NIfTI that SimpleITK wrote", counted(np.asarray(nibabel.load("again.nii").dataobj)), recorded)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
