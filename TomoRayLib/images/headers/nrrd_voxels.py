"""The voxels of an NRRD file: in which files they are, whether these can hold them, and how to read them.

Definition: https://teem.sourceforge.net/nrrd/format.html, sections 5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.declared_size import DEFLATE, NOT_COMPRESSED, check_declared
from TomoRayLib.images.headers.nrrd_header import NrrdHeader
from TomoRayLib.images.headers.numbered_files import numbered_names
from TomoRayLib.images.headers.stored_voxels import StoredVoxels
from TomoRayLib.images.voxel_files import voxel_file_named

_INTEGERS = {"short": "2", "int": "4", "longlong": "8", "long long": "8"}
_TYPES = {"signed char": "i1", "int8": "i1", "int8_t": "i1", "char": "i1", "float": "f4", "double": "f8"}
_TYPES |= dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1")
_TYPES |= {f"{sign}{name}": f"i{size}" for name, size in _INTEGERS.items() for sign in ("", "signed ")}
_TYPES |= {f"{sign}{name} int": f"i{_INTEGERS[name]}" for name in ("short", "long long") for sign in ("", "signed ")}
_TYPES |= {f"{sign}{name}": f"u{size}" for name, size in _INTEGERS.items() for sign in ("u", "unsigned ")}
_TYPES |= {f"unsigned {name} int": f"u{_INTEGERS[name]}" for name in ("short", "long long")}
_TYPES |= {
    f"{kind}int{bits}{end}": f"{kind or 'i'}{bits // 8}"
    for kind in ("", "u")
    for bits in (16, 32, 64)
    for end in ("", "_t")
}
_ENDINGS = (".nrrd", ".nhdr")
_RAW, _GZIP = "raw", ("gz", "gzip")
_DIGITS = {"hex": 2, "txt": 1, "text": 1, "ascii": 1}  # characters of a byte or, with a blank, of a number
_ORDERS = {"little": "<", "big": ">"}


def check_voxels(header: NrrdHeader, path: Path) -> None:
    """Raise InputError for files of voxels that are not there or elsewhere, and for sizes that they do not hold."""
    files = tuple(voxel_files(header, path)) or (path,)
    encoding, kind = header.fields.get("encoding", "").lower(), _type(header)
    begin = header.begin if files == (path,) else 0
    held = sum(file.stat().st_size for file in files) - begin
    count = math.prod(header.sizes)
    if encoding in _DIGITS:
        least = count * 2 - 1 if encoding != "hex" else count * 2 * (int(kind[1]) if kind else 1)
        check_declared(path, least, max(held, 0), "digits", memory=count * (int(kind[1]) if kind else 1))
        return
    expected = count * (int(kind[1]) if kind else 1)
    check_declared(path, expected, max(held, 0), ratio=DEFLATE if encoding in _GZIP else NOT_COMPRESSED)
    if len(files) == 1 and kind is not None and _skips(header, path) == (0, 0):
        _check_not_longer(files[0], path, begin, expected, encoding)


def _check_not_longer(data: Path, path: Path, begin: int, expected: int, encoding: str) -> None:
    """Raise InputError for a file of voxels that is longer than the sizes say: its first bytes would be taken."""
    if data == path or encoding not in (_RAW, *_GZIP):
        return
    with data.open("rb") as file:
        found = file.seek(0, 2)
        if encoding != _RAW:  # gzip ends with the length of its content, modulo 2^32
            file.seek(max(found - 4, 0))
            found = int.from_bytes(file.read(4), "little")
    if found > expected:
        raise InputError(
            f"{path}: expected {expected} bytes of voxels in {data.name}, as its sizes say, got {found}: is there a "
            "header in it (byte skip), or is it the file of another image? Correct the header or export it again."
        )


def voxel_files(header: NrrdHeader, path: Path) -> Iterator[Path]:
    """Give the files that a detached header names. Raises InputError for one that is not in its folder."""
    data = header.fields.get("datafile", "")
    if data.upper().startswith("LIST"):
        names: Iterator[str] = (line for line in header.listed if line.strip())
    elif "%" in data:
        names = numbered_names(path, data, data.split()[1:4], "data file")
    else:
        names = iter([data] if data else [])
    for name in names:
        yield voxel_file_named(path, name, "data file")


def stored_nrrd(header: NrrdHeader, path: Path) -> StoredVoxels | None:
    """Return where the voxels of a checked NRRD file lie; None for a layout that is left to ITK.

    That is one under a name that other programs do not read, text, several files, skipped lines or bytes, and more axes
    than those of one image and, before them, of its values per voxel.
    """
    kind, encoding = _type(header), header.fields.get("encoding", "").lower()
    axes, data = header.space_axes, header.fields.get("datafile", "")
    order = _ORDERS.get(header.fields.get("endian", "little" if kind in ("i1", "u1") else "").lower())
    one_file = not data.upper().startswith("LIST") and "%" not in data
    first = len(header.sizes) - len(axes)
    plain = len(axes) in (2, 3) and first in (0, 1) and axes == tuple(range(first, len(header.sizes)))
    if kind is None or order is None or not one_file or not plain or _skips(header, path) != (0, 0):
        return None
    if (encoding != _RAW and encoding not in _GZIP) or not path.name.lower().endswith(_ENDINGS):
        return None
    file = next(voxel_files(header, path), path)
    begin = header.begin if file == path else 0
    shape = tuple(reversed(header.sizes))
    return StoredVoxels(
        file, begin, 0, encoding != _RAW, order + kind, shape if first == 0 or shape[-1] > 1 else shape[:-1]
    )


def _type(header: NrrdHeader) -> str | None:
    return _TYPES.get(" ".join(header.fields.get("type", "").lower().split()))


def _skips(header: NrrdHeader, path: Path) -> tuple[int, int]:
    """Lines and bytes to skip. Raises InputError for what is no whole number."""
    try:
        return int(header.fields.get("lineskip", "0")), int(header.fields.get("byteskip", "0"))
    except ValueError:
        raise InputError(f"{path}: expected whole numbers in line skip and byte skip; correct the header.") from None
