"""The header of a NIfTI-1, NIfTI-2 or ANALYZE 7.5 file, as it is stored.

Layouts: https://nifti.nimh.nih.gov/nifti-1 (nifti1.h) and nifti-2 (nifti2.h). An ANALYZE header has size, number type
and voxel size where NIfTI-1 has them, and no orientation.
"""

from __future__ import annotations

import math
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.declared_size import DEFLATE, NOT_COMPRESSED, check_declared
from TomoRayLib.images.headers.stored_voxels import GZIP_MAGIC, inflated
from TomoRayLib.images.voxel_files import voxel_file_named

_SHORTEST_HEADER, _LONGEST_HEADER = 348, 540
_PAIR_ENDINGS = (".hdr", ".img", ".hdr.gz", ".img.gz")
# "datatype" -> bits of a voxel (nifti1.h). ITK looks at it alone and leaves "bitpix" aside; so does this.
_BITS = {1: 1, 2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64}
_BITS |= {1536: 128, 1792: 128, 2048: 256, 2304: 32}
# "datatype" -> numpy's name, for one number of 8 to 64 bits
NUMBER_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a header that tell how voxels are to be read; lengths are in the file's own unit.

    ``counts`` and ``spacing`` (pixdim) are in (x, y, z, ...) order; ``version`` is 0 for ANALYZE, which has neither
    orientation codes nor units. ``end`` is the number of bytes, before compression, of the file with the voxels.
    """

    version: int
    counts: tuple[int, ...]
    spacing: tuple[float, ...]
    datatype: int
    voxel_offset: float
    end: int
    slope: float
    intercept: float
    unit: int  # the three low bits of xyzt_units: 0 unknown, 1 metre, 2 mm, 3 micrometre
    intent: int
    qfac: float  # pixdim[0]
    qform_code: int
    sform_code: int
    quaternion: tuple[float, float, float]  # b, c, d
    q_offset: tuple[float, float, float]
    s_rows: tuple[float, ...]  # 3 x 4, row by row
    single_file: bool
    byte_order: str  # < or >

    @property
    def is_volume(self) -> bool:
        """True for one 3D volume of several slices along each axis."""
        return len(self.counts) >= 3 and min(self.counts[:3]) > 1 and math.prod(self.counts[3:]) == 1

    @property
    def is_grey(self) -> bool:
        """True for one number per voxel, of 8 to 64 bits."""
        return self.datatype in NUMBER_TYPES

    @property
    def is_scaled(self) -> bool:
        """True if stored numbers are to be multiplied and shifted; a slope of 0 (nibabel: NaN) says no."""
        return bool(self.slope) and not math.isnan(self.slope) and (self.slope, self.intercept) != (1.0, 0.0)

    @property
    def stores_whole_numbers(self) -> bool:
        """True if stored values, before any scaling, are whole."""
        return NUMBER_TYPES.get(self.datatype, "f")[0] in "iu"


def is_nifti(path: Path) -> bool:
    """True for a name that ends as a single NIfTI file does."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def is_nifti_pair(path: Path) -> bool:
    """True for a name that ends as either file of a NIfTI or ANALYZE pair does."""
    return path.name.lower().endswith(_PAIR_ENDINGS)


def begins_as_gzip(path: Path) -> bool:
    """True if the content is compressed by gzip, whatever the name says."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def pair_file(path: Path, ending: str) -> Path | None:
    """Return the ``.hdr`` or ``.img`` file (or its .gz) of the pair that ``path`` belongs to; None if there is none."""
    stem = path.name[: -len(".hdr.gz")] if path.name.lower().endswith(".gz") else path.name[: -len(".hdr")]
    for candidate in (ending, ending.upper(), f"{ending}.gz"):
        if (found := path.with_name(stem + candidate)).is_file():
            return found
    return None


def read_nifti_header(path: Path) -> NiftiHeader | None:
    """Read the header of a single file or of a pair, of which either file may be given.

    Returns None if there is no such header, which SimpleITK will say. Raises InputError for a compressed one that ends
    or is damaged before its end, of which SimpleITK makes a volume of zeros.
    """
    header = pair_file(path, ".hdr") if is_nifti_pair(path) else path
    if header is None:
        return None
    try:
        content = _unpacked_start(header) if begins_as_gzip(header) else _start(header)
    except OSError:
        return None
    for order in "<>":
        size = struct.unpack_from(order + "i", content)[0] if len(content) >= 348 else 0
        if size == 348:
            return _version_1(content, order, path)
        if size == 540 and len(content) >= 540 and content[4:7] in (b"n+2", b"ni2"):
            return _version_2(content, order)
    return None


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST_HEADER)


def _unpacked_start(path: Path) -> bytes:
    content = b""
    with path.open("rb") as file, suppress(EOFError, zlib.error):
        for block in inflated(file, at_once=_LONGEST_HEADER):
            content += block
            if len(content) >= _LONGEST_HEADER:
                break
    if len(content) < _SHORTEST_HEADER:
        raise InputError(
            f"{path}: expected a header of at least {_SHORTEST_HEADER} bytes (before compression), got {len(content)} "
            "that can be read: the file is truncated or damaged; copy or export it again."
        )
    return content


def _version_1(content: bytes, order: str, path: Path) -> NiftiHeader | None:
    magic = content[344:348]
    version = 1 if magic in (b"n+1\0", b"ni1\0") else 0
    if not version and is_nifti(path):
        return None

    def of(code: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + code, content, offset)

    codes = of("2h", 252) if version else (0, 0)
    return _header(
        version,
        dim=of("8h", 40),
        datatype=int(of("h", 70)[0]),
        pixdim=of("8f", 76),
        voxel_offset=of("f", 108)[0],
        scaling=of("2f", 112) if version else (0.0, 0.0),
        unit=content[123] & 7 if version else 0,
        intent=int(of("h", 68)[0]) if version else 0,
        codes=codes,
        quaternion_and_offset=of("6f", 256),
        s_rows=of("12f", 280),
        single_file=magic == b"n+1\0",
        byte_order=order,
    )


def _version_2(content: bytes, order: str) -> NiftiHeader:
    def of(code: str, offset: int) -> tuple[float, ...]:
        return struct.unpack_from(order + code, content, offset)

    return _header(
        2,
        dim=of("8q", 16),
        datatype=int(of("h", 12)[0]),
        pixdim=of("8d", 104),
        voxel_offset=of("q", 168)[0],
        scaling=of("2d", 176),
        unit=int(of("i", 500)[0]) & 7,
        intent=int(of("i", 504)[0]),
        codes=of("2i", 344),
        quaternion_and_offset=of("6d", 352),
        s_rows=of("12d", 400),
        single_file=content[4:7] == b"n+2",
        byte_order=order,
    )


def _header(
    version: int,
    *,
    dim: tuple[float, ...],
    datatype: int,
    pixdim: tuple[float, ...],
    voxel_offset: float,
    scaling: tuple[float, ...],
    unit: int,
    intent: int,
    codes: tuple[float, ...],
    quaternion_and_offset: tuple[float, ...],
    s_rows: tuple[float, ...],
    single_file: bool,
    byte_order: str,
) -> NiftiHeader:
    used = min(max(int(dim[0]), 0), 7)
    counts = tuple(int(count) for count in dim[1 : 1 + used])
    begin = int(voxel_offset) if math.isfinite(voxel_offset) else 0
    b, c, d, *offset = quaternion_and_offset
    return NiftiHeader(
        version=version,
        counts=counts,
        spacing=pixdim[1 : 1 + used],
        datatype=datatype,
        voxel_offset=voxel_offset,
        end=begin + math.prod(counts) * _BITS.get(datatype, 8) // 8,
        slope=scaling[0],
        intercept=scaling[1],
        unit=unit,
        intent=intent,
        qfac=pixdim[0],
        qform_code=int(codes[0]),
        sform_code=int(codes[1]),
        quaternion=(b, c, d),
        q_offset=(offset[0], offset[1], offset[2]),
        s_rows=s_rows,
        single_file=single_file,
        byte_order=byte_order,
    )


def voxel_file(path: Path, header: NiftiHeader) -> Path:
    """Return the file that holds the voxels: that of the header, or the .img file of its pair. Raises InputError."""
    if not is_nifti_pair(path):
        return path
    found = pair_file(path, ".hdr" if header.single_file else ".img")
    if found is None:
        raise InputError(
            f"{path}: expected the voxels of this header in an .img file of the same name in its folder, got none; "
            "copy both files into one folder."
        )
    return voxel_file_named(path, found.name, ".hdr and .img")


def check_held(path: Path, header: NiftiHeader) -> None:
    """Raise InputError for voxels that the file at ``path`` cannot hold, or that memory cannot."""
    packed = begins_as_gzip(path)
    check_declared(path, header.end, path.stat().st_size, ratio=DEFLATE if packed else NOT_COMPRESSED)


def is_whole_nifti(path: Path, header: NiftiHeader) -> bool:
    """True if all voxels are in the file, as far as ``missing_voxels`` tells."""
    return missing_voxels(path, header) is None


def missing_voxels(path: Path, header: NiftiHeader) -> str | None:
    """What the file holds in place of its voxels, in words; None if all are there.

    A .gz is decompressed only if its own length field disagrees with the header.
    """
    if not begins_as_gzip(path):
        length = path.stat().st_size
        return f"{length}: the file is truncated" if length < header.end else None
    with path.open("rb") as file:
        file.seek(-4, 2)
        if struct.unpack("<I", file.read(4))[0] == header.end % 2**32:
            return None
    length = 0
    try:
        with path.open("rb") as file:
            for block in inflated(file):
                length += len(block)
                if length >= header.end:
                    return None
    except zlib.error as error:
        return f"{length} bytes and then a damaged stream ({error}): the file is damaged"
    except OSError as error:
        return f"{length} bytes and then an error ({error.strerror or error})"
    except EOFError:
        pass
    return f"{length}: the file is truncated"
