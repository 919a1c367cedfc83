#!/usr/bin/env bash
# Whether a white-is-zero TIFF is inverted on reading depends on the library and on its number of bits.
#
# Guess: a reader either hands out the stored numbers or turns WhiteIsZero (photometric interpretation 0) into light, and
# does the same for 8 and 16 bits.
# What happens: Pillow inverts 8 bits and leaves 16 bits as they are, both without a word. SimpleITK and tifffile never
# invert; SimpleITK does not even show the tag. (Of a DICOM radiograph, SimpleITK inverts the same thing: MONOCHROME1.)
# Why it matters: scanned films and exports of digital radiographs come as white-is-zero; bone comes out dark, and a
# projection model that expects bright bone sees air.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 simpleitk==2.5.7 pillow==13.0.0 tifffile==2026.3.3
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import numpy as np
import PIL
import SimpleITK as sitk
import tifffile
from PIL import Image

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("Pillow", PIL.__version__, "tifffile", tifffile.__version__, "SimpleITK", sitk.Version.VersionString())
for dtype, white in ((np.uint8, 255), (np.uint16, 65535)):
    stored = np.array([[0, 10, 20, 30]] * 4, dtype)  # 0 is white here, so bone
    tifffile.imwrite("radiograph.tif", stored, photometric="miniswhite")
    bits, as_stored, inverted = stored.itemsize * 8, stored[0].tolist(), (white - stored[0]).tolist()
    image = sitk.ReadImage("radiograph.tif")
    observe(f"{bits} bits, tifffile", tifffile.imread("radiograph.tif")[0].tolist(), as_stored)
    observe(f"{bits} bits, SimpleITK", sitk.GetArrayFromImage(image)[0].tolist(), as_stored)
    told = [key for key in image.GetMetaDataKeys() if "photometric" in key.lower()]
    observe(f"{bits} bits, what SimpleITK says of the photometric interpretation", told, [])
    with Image.open("radiograph.tif") as picture:
        observe(f"{bits} bits, Pillow", np.asarray(picture)[0].tolist(), inverted if bits == 8 else as_stored)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
