#!/usr/bin/env bash
# nibabel and SimpleITK give the voxels of a .nii.gz whose checksum says that they are damaged.
#
# Guess: gzip keeps a CRC-32 of its content, so a .nii.gz that a disk or a transfer changed cannot be read unnoticed.
# What happens: both read as many bytes as the header asks for, and stop before the checksum. Changed voxels come out
# without a word; gzip -t tells of the damage.
# Why it matters: a damaged CT or mask is read like a sound one. What stands at the end of the file has to be asked for:
# read one byte more than the voxels, or test the file first.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 nibabel==5.4.2 simpleitk==2.5.7
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import gzip
import zlib

import nibabel
import numpy as np
import SimpleITK as sitk

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


def result_of(read):
    """Voxels that differ from those that were written, or the kind of error."""
    try:
        return int(np.count_nonzero(read() != hu))
    except Exception as error:
        return type(error).__name__


print("nibabel", nibabel.__version__, "SimpleITK", sitk.Version.VersionString())
hu = np.random.default_rng(0).integers(-1000, 1000, (100, 90, 80)).astype(np.int16)
nibabel.save(nibabel.Nifti1Image(hu, np.diag([-1.0, -1.0, 2.0, 1.0])), "ct.nii.gz")
observe("nibabel, as written", result_of(lambda: np.asarray(nibabel.load("ct.nii.gz").dataobj)), 0)

with open("ct.nii.gz", "rb") as file:
    content = bytearray(gzip.decompress(file.read()))
checksum = zlib.crc32(content)
for n in range(10):  # one bit in each of ten voxels
    content[352 + 100_001 * (n + 1)] ^= 4
packed = bytearray(gzip.compress(bytes(content)))
packed[-8:-4] = checksum.to_bytes(4, "little")  # that of the voxels as they were
with open("ct.nii.gz", "wb") as file:
    file.write(packed)

observe("nibabel, ten voxels changed", result_of(lambda: np.asarray(nibabel.load("ct.nii.gz").dataobj)), 10)
observe("SimpleITK", result_of(lambda: sitk.GetArrayFromImage(sitk.ReadImage("ct.nii.gz")).T), 10)
observe("Python's gzip, to the end", result_of(lambda: gzip.open("ct.nii.gz").read()), "BadGzipFile")

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
