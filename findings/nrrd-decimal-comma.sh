#!/usr/bin/env bash
# NRRD files lose their decimals, without a word, in a program that writes decimals with a comma.
#
# Guess: a file format has its own decimal point, so the language of the desktop does not matter; and if a reader minds,
# it minds in every format.
# What happens: once the process has the numeric locale of Germany (setlocale, which a Qt program calls at its start),
# SimpleITK reads the spacing 1.5 x 1.75 x 2.5 mm of a NRRD file as 1 x 1.414 x 2, the origin as whole millimetres and
# turned axes as others; a spacing below 1 mm is refused. So does Slicer's own NRRD reader (slicer-core). NIfTI,
# MetaImage, DICOM and VTK files are read right. The VTK reader of ITK leaves the process with another locale than it had.
# Why it matters: a synthetic CT of 1.333 mm becomes one of 1 mm: all lengths are a quarter too short.

set -euo pipefail
command -v localedef >/dev/null && [ -f /usr/share/i18n/locales/de_DE ] ||
    { echo "needs localedef and its sources (Debian: apt-get install locales)" && exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 \
    SimpleITK==2.5.7 slicer-core==5.13.31053.0
localedef -i de_DE -f UTF-8 "$work/de_DE.UTF-8" || true # warns of charmaps
cd "$work"
LOCPATH=$work "$work/venv/bin/python" -I - <<'PYTHON'
import locale

import numpy as np
import SimpleITK as sitk
import slicer

changed = []
SPACING, ORIGIN, DIRECTION = (1.5, 1.75, 2.5), (-1.25, 2.5, 3.75), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


def place(path):
    """Spacing, origin and directions by SimpleITK, rounded."""
    image = sitk.ReadImage(path)
    numbers = (*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    return tuple(round(float(number), 3) + 0.0 for number in numbers)


def spacing_in_slicer(path):
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(path)
    assert storage.ReadData(node)
    return tuple(round(number, 3) for number in node.GetSpacing())


print("SimpleITK", sitk.Version_VersionString(), "slicer-core 5.13.31053.0")
image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
image.SetSpacing(SPACING)
image.SetOrigin(ORIGIN)
for ending in ("nii", "mha", "nrrd"):
    image.SetDirection(DIRECTION)
    sitk.WriteImage(image, f"volume.{ending}")
image.SetDirection(np.eye(3).ravel().tolist())
sitk.WriteImage(image, "volume.vtk")
as_written = {ending: place(f"volume.{ending}") for ending in ("nii", "mha", "vtk", "nrrd")}

locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
for ending in ("nii", "mha"):
    observe(f"{ending}, read right with decimal commas", place(f"volume.{ending}") == as_written[ending], True)
observe("nrrd by SimpleITK, spacing", place("volume.nrrd")[:3], (1.0, 1.414, 2.0))
observe("nrrd by SimpleITK, origin", place("volume.nrrd")[3:6], (-1.0, 2.0, 3.0))
observe("nrrd by Slicer's reader, spacing", spacing_in_slicer("volume.nrrd"), (1.0, 1.414, 2.0))
image.SetSpacing((0.5, 0.75, 2.5))
sitk.WriteImage(image, "fine.nrrd")
try:
    place("fine.nrrd")
    refused = False
except RuntimeError:
    refused = True
observe("nrrd of 0.5 mm is refused", refused, True)
observe("vtk, read right with decimal commas", place("volume.vtk") == as_written["vtk"], True)
observe("the same nrrd after a vtk file was read", place("volume.nrrd") == as_written["nrrd"], True)

raise SystemExit("\n".join(changed) or 0)
PYTHON
