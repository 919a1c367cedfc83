"""Small lopsided volumes in NIfTI, NRRD and MetaImage whose headers say what a test asks for."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

SIZE = (7, 5, 3)  # x, y, z
SPACING_MM = (2.0, 1.0, 0.5)
VOXELS = np.arange(np.prod(SIZE), dtype="<i2").reshape(SIZE[::-1])  # (z, y, x)
LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def an_oblique_affine(shift_mm: tuple[float, float, float] = (10.0, -20.0, 30.0)) -> NDArray[np.float64]:
    """RAS mm from (i, j, k, 1): ``SPACING_MM`` turned by 20 degrees about z and 10 about x, i to the left."""
    about_z, about_x = np.radians(20.0), np.radians(10.0)
    turn_z = [[np.cos(about_z), -np.sin(about_z), 0], [np.sin(about_z), np.cos(about_z), 0], [0, 0, 1]]
    turn_x = [[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]]
    affine = np.eye(4)
    affine[:3, :3] = np.array(turn_z) @ np.array(turn_x) @ np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2]])
    affine[:3, 3] = shift_mm
    return affine


def write_nifti(
    path: Path,
    *,
    sform: NDArray[np.float64] | None = None,
    qform: NDArray[np.float64] | None = None,
    codes: tuple[int, int] | None = None,
    voxels: NDArray[Any] = VOXELS,
    kind: type[nibabel.Nifti1Pair] = nibabel.Nifti1Image,
    unit: str = "mm",
) -> Path:
    """Write voxels (z, y, x) with nibabel. ``codes``: qform_code and sform_code, by default 1 for a given matrix."""
    image = kind(voxels.T, None)
    image.header.set_zooms((*SPACING_MM, *(1.0 for _ in voxels.shape[3:]))[: voxels.ndim])
    if qform is not None:
        image.header.set_qform(qform, code=1)
    if sform is not None:
        image.header.set_sform(sform, code=1)
    if codes is not None:
        image.header["qform_code"], image.header["sform_code"] = codes
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def patch(path: Path, offset: int, code: str, *values: float) -> Path:
    """Change a field of a little-endian header; ``code`` as ``struct`` has it, such as ``3f``."""
    packed = path.name.endswith(".gz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    struct.pack_into("<" + code, content, offset, *values)
    path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))
    return path


def write_nrrd(path: Path, fields: str, *, voxels: NDArray[Any] = VOXELS, sizes: str = "7 5 3") -> Path:
    """Write an NRRD file of raw int16 voxels with more ``fields``, one a line."""
    dimension = len(sizes.split())
    header = (
        f"NRRD0005\ntype: int16\ndimension: {dimension}\nsizes: {sizes}\nendian: little\nencoding: raw\n{fields}\n\n"
    )
    path.write_bytes(header.encode() + voxels.tobytes())
    return path


def write_meta_image(path: Path, fields: str, *, spacing: str = "ElementSpacing = 2 1 .5") -> Path:
    """Write an .mha file of raw int16 voxels with more ``fields``, one a line."""
    header = (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n{fields}\n{spacing}\n"
        "DimSize = 7 5 3\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + VOXELS.tobytes())
    return path
