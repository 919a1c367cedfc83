"""Small files that declare or hold far more than they should, and paths that never end: what ``bombs`` tries.

Each function makes one in an empty folder, or returns what does, or the bytes of a file.
"""

from __future__ import annotations

import gzip
import os
import stat
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.cube_headers import meta_image_header, nrrd_header

BOMB_BYTES = 2 * 10**9  # that a compressed file of 2 MB holds
ZEROS = bytes(2**24)


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def zeros(path: Path, head: bytes, *, raw: bool = False, header: bytes = b"") -> Path:
    """A file whose stream of zeros is a thousand times as long as the file; ``header`` is inside of the stream."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS if raw else 31)
    begin = stream.compress(header) + stream.flush(zlib.Z_FULL_FLUSH)
    piece = stream.compress(ZEROS) + stream.flush(zlib.Z_FULL_FLUSH)  # the same each time, as nothing before it counts
    with path.open("wb") as file:
        file.write(head + begin + piece * (BOMB_BYTES // len(ZEROS)))
        file.write(stream.flush())
    return path


def nifti(side: int) -> bytes:
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, side, side, side, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 4, 16)
    struct.pack_into("<8f", head, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", head, 108, 352)
    struct.pack_into("<2h", head, 252, 0, 1)
    struct.pack_into("<12f", head, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    head[344:348] = b"n+1\0"
    return bytes(head)


def png(side: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 16, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    )


def tiff(side: int, compression: int) -> bytes:
    entries = ((256, 4, side), (257, 4, side), (258, 3, 16), (259, 3, compression), (262, 3, 1), (273, 4, 8))
    entries += ((277, 3, 1), (278, 4, side), (279, 4, 992))
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return struct.pack("<2sHI", b"II", 42, 1000) + bytes(992) + struct.pack("<H", len(entries)) + body + bytes(4)


def jpeg(side: int) -> bytes:
    from io import BytesIO

    from PIL import Image

    target = BytesIO()
    Image.new("L", (64, 64)).save(target, "JPEG")
    content = bytearray(target.getvalue())
    place = content.index(b"\xff\xc0")
    struct.pack_into(">HH", content, place + 5, side, side)
    return bytes(content)


def dicom(syntax: str = "", **values: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from support.dicom_syntaxes import a_picture_file

        a_picture_file(folder / "ap.dcm", syntax)
        if values:
            from pydicom import dcmread

            dataset = dcmread(folder / "ap.dcm")
            for keyword, value in values.items():
                setattr(dataset, keyword, value)
            dataset.save_as(folder / "ap.dcm", enforce_file_format=True)
        return folder / "ap.dcm"

    return make


def deflated_bomb(folder: Path) -> Path:
    path = dicom("deflated")(folder)
    content = path.read_bytes()
    length = struct.unpack_from("<I", content, 140)[0]
    element = struct.pack("<HH2sHI", 0x0009, 0x0010, b"OB", 0, BOMB_BYTES)
    return zeros(path, content[: 144 + length], raw=True, header=element)


def nested_sequences(folder: Path) -> Path:
    path = dicom()(folder)
    content = path.read_bytes()
    length = struct.unpack_from("<I", content, 140)[0]
    begin = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    rest = content[144 + length :]
    path.write_bytes(content[: 144 + length] + begin * 20_000 + end * 20_000 + rest)
    return path


def pipe(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    return make


def socket(folder: Path) -> Path:
    os.mknod(folder / "ct.nrrd", stat.S_IFSOCK | 0o600)
    return folder / "ct.nrrd"


def geometry_pipe(folder: Path) -> Path:
    """A pipe in place of a geometry, beside a CT."""
    (folder / "ct.nii").write_bytes(nifti(8) + bytes(2 * 8**3))
    return pipe("views.json")(folder)


def link(name: str, target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).symlink_to(target)
        return folder / name

    return make


def escape(data: str, beside: Callable[[Path], object] | None = None) -> Callable[[Path], Path]:
    """A detached header that names ``data`` as its voxels."""

    def make(folder: Path) -> Path:
        (folder.parent / "other.raw").write_bytes(bytes(2 * 8**3))
        if beside is not None:
            beside(folder)
        name = data.format(parent=folder.parent)
        (folder / "ct.mhd").write_bytes(meta_image_header(8, data=name))
        return folder / "ct.mhd"

    return make


def folder_of_odd_files(folder: Path) -> Path:
    for name, content in (("a_ct.nii.gz", nifti(8)), ("a_seg.nii.gz", nifti(8))):
        (folder / name).write_bytes(gzip.compress(content + bytes(2 * 8**3)))
    os.mkfifo(folder / "b_ct.nii.gz")
    (folder / "c_ct.nii.gz").symlink_to("/dev/zero")
    os.mkfifo(folder / "b_seg.nii.gz")
    return folder


def long_name(folder: Path) -> Path:
    path = folder / ("n" * 245 + ".nrrd")
    path.write_bytes(nrrd_header(8, "raw", "measurement frame: " + "9" * 5000) + bytes(100))
    return path


def meta(side: int, packed: bool, voxels: bytes) -> bytes:
    return meta_image_header(side, len(voxels) if packed else None) + voxels


def digits() -> bytes:
    return nrrd_header(8, "raw").replace(b"sizes: 8 8 8", b"sizes: " + b"9" * 5000 + b" 8 8") + bytes(1024)
