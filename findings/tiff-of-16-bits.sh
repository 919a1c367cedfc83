#!/usr/bin/env bash
# A TIFF of 16 bits loses 8 of them, or has its bytes swapped, by its layout and the library that reads it.
#
# Guess: tiles, byte order and compression are matters of storage; each library hands out the same numbers, or an error.
# What happens: SimpleITK gives tiles of 16 bits as four channels of 8 bits, and half floats as whole numbers. Pillow
# keeps 8 of 16 bits of a grey picture that is stored in colour, swaps the bytes of signed 16-bit and of float samples
# where the file is big-endian and compressed. tifffile gives every number as stored.
# Why it matters: film scanners, ImageJ (big-endian) and picture servers (tiles) write such files of radiographs. What is
# left of 12 bits are some 16 grey levels, or stripes that may still look like a picture.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 simpleitk==2.5.7 pillow==13.0.0 tifffile==2026.3.3
cd "$work"
"$work/venv/bin/python" -I - 2>stderr.txt <<'PYTHON' || { cat stderr.txt >&2; exit 1; }
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


def by_pillow(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


READERS = {
    "tifffile": tifffile.imread,
    "SimpleITK": lambda path: sitk.GetArrayFromImage(sitk.ReadImage(path)),
    "Pillow": by_pillow,
}
GREY = (np.arange(64 * 48) % 4096).reshape(64, 48)  # 12 bits
RIGHT, SWAPPED, REFUSED = "as stored", "bytes swapped", "refused"


def seen(reader, stored):
    """What a reader makes of radiograph.tif: the numbers as stored, others of some type, or an error."""
    try:
        values = READERS[reader]("radiograph.tif")
    except Exception:
        return REFUSED
    if values.shape == stored.shape and np.array_equal(values.astype(float), stored.astype(float)):
        return RIGHT
    if values.shape == stored.shape and np.array_equal(values.astype(stored.dtype).byteswap(), stored):
        return SWAPPED
    return f"{values.dtype} {values.shape}, {len(np.unique(values))} of {len(np.unique(stored))} values"


print("Pillow", PIL.__version__, "tifffile", tifffile.__version__, "SimpleITK", sitk.Version.VersionString())
whole, signed, real = GREY.astype(np.uint16), (GREY - 2048).astype(np.int16), (GREY / 7).astype(np.float32)
packed = {"compression": "zlib", "byteorder": ">"}
for words, stored, options, by_itk, by_pil in (
    ("12 bits in 16, strips", whole, {}, RIGHT, RIGHT),
    ("12 bits in 16, tiles", whole, {"tile": (16, 16)}, "uint8 (64, 48, 4), 13 of 3072 values", RIGHT),
    ("signed, big-endian", signed, {"byteorder": ">"}, RIGHT, RIGHT),
    ("signed, big-endian, Deflate", signed, packed, RIGHT, SWAPPED),
    ("float, big-endian, Deflate", real, packed, RIGHT, SWAPPED),
    ("half floats", real.astype(np.float16), {}, "uint16 (64, 48), 2524 of 2524 values", REFUSED),
    ("grey in colour", np.dstack([whole] * 3), {"photometric": "rgb"}, RIGHT, "uint8 (64, 48, 3), 12 of 3072 values"),
):
    tifffile.imwrite("radiograph.tif", stored, **{"photometric": "minisblack"} | options)
    for reader, recorded in (("tifffile", RIGHT), ("SimpleITK", by_itk), ("Pillow", by_pil)):
        observe(f"{words}, {reader}", seen(reader, stored), recorded)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
