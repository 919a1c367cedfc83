#!/usr/bin/env bash
# SimpleITK takes every length of an NRRD or MetaImage for millimetres, and a size given by axis bounds for 1 mm.
#
# Guess: "space units" of an NRRD and DistanceUnits of a MetaImage are followed, an NRRD whose axes have "axis mins", "axis
# maxs" and "centers" instead of spacings gets its voxel size from them, and spacings of nan (unknown) are refused.
# What happens: 0.2 cm are read as 0.2 mm. Of the bounds only the place of the first voxel is used; the spacing is 1 mm.
# Spacings of nan become 1 mm. MetaImage's function from element to intensity (here: HU = stored - 1024) is left out.
# Why it matters: each of these headers is valid, and each gives a CT of another size or with water at 1024 HU, silently.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 simpleitk==2.5.7
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import numpy as np
import SimpleITK as sitk

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


def nrrd(fields):
    header = f"NRRD0005\ntype: int16\ndimension: 3\nsizes: 60 60 60\nendian: little\nencoding: raw\n{fields}\n\n"
    with open("ct.nrrd", "wb") as file:
        file.write(header.encode() + bytes(2 * 60**3))
    image = sitk.ReadImage("ct.nrrd")
    return image.GetSpacing(), image.GetOrigin()


def meta_image(fields):
    header = f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n{fields}\n"
    header += "DimSize = 60 60 60\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    with open("ct.mha", "wb") as file:
        file.write(header.encode() + np.full(60**3, 1024, "<i2").tobytes())
    return sitk.ReadImage("ct.mha")


print("SimpleITK", sitk.Version.VersionString())
space = "space: left-posterior-superior\nspace directions: (.2,0,0) (0,.2,0) (0,0,.2)"
units = 'space units: "cm" "cm" "cm"'
observe("NRRD, 0.2 cm: spacing", nrrd(f"{space}\n{units}")[0], (0.2, 0.2, 0.2))
bounds = "axis mins: 0 0 0\naxis maxs: 120 120 120\ncenters: cell cell cell"
observe("NRRD, 60 cells over 120 mm: spacing, origin", nrrd(bounds), ((1.0,) * 3, (1.0,) * 3))
observe("NRRD, spacings of nan", nrrd("spacings: nan nan nan")[0], (1.0, 1.0, 1.0))
image = meta_image("ElementSpacing = .2 .2 .2\nDistanceUnits = cm")
observe("MetaImage, 0.2 cm", image.GetSpacing(), (0.2, 0.2, 0.2))
function = "ElementToIntensityFunctionSlope = 1\nElementToIntensityFunctionOffset = -1024"
observe("MetaImage, stored 1024 with an offset of -1024", meta_image(f"ElementSpacing = 2 2 2\n{function}")[0, 0, 0], 1024)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
