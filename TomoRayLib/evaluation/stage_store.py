"""A folder of computed stages, each under the hash of everything that it was computed from.

A stage is arrays and JSON-like values in one .npz file. Its key covers the content of every input file, the settings
and the code (``code_version``), so that what is found under a key is what would be computed again. A stage that cannot
be written is not kept; the computation goes on.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.hashes import sha256_of_bytes

VALUES = "values"  # the member of the file that holds the JSON-like values
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class Stage:
    """What one step computed: ``arrays`` by name, and JSON-like ``values``."""

    arrays: Mapping[str, NDArray[Any]]
    values: Mapping[str, Any]


def stage_key(name: str, **made_from: Any) -> str:
    """Return the key of a stage: SHA-256 over its name and the JSON-like values that it is computed from.

    >>> stage_key("rows", ct="ab", fov_mm=256.0) == stage_key("rows", fov_mm=256.0, ct="ab")
    True
    """
    return sha256_of_bytes(json.dumps([name, made_from], sort_keys=True, allow_nan=False).encode())


@dataclass(frozen=True)
class StageStore:
    """A folder of stages; None keeps nothing. With ``reuse`` False nothing is taken from it, but what is computed is
    put there."""

    folder: str | None
    reuse: bool = True

    def path_of(self, key: str) -> Path | None:
        """Return the file of a key, whether it exists or not; None without a folder."""
        return None if self.folder is None else Path(self.folder) / key[:2] / f"{key}.npz"

    def find(self, key: str) -> Stage | None:
        """Return the stage under a key; None if there is none, or its file is damaged."""
        path = self.path_of(key)
        if path is None or not self.reuse or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files if name != VALUES}
                return Stage(arrays, json.loads(file[VALUES].tobytes()))
        except _DAMAGED:
            return None

    def put(self, key: str, stage: Stage) -> bool:
        """Keep a stage; False if it could not be written."""
        path = self.path_of(key)
        if path is None:
            return False
        text = np.frombuffer(json.dumps(stage.values, allow_nan=False).encode(), np.uint8)
        try:
            with write_atomically(path, durable=False) as partial:  # damage is noticed
                partial.write_bytes(_packed({**stage.arrays, VALUES: text}))
        except OutputError:
            return False
        return True

    def made(self, key: str, make: Callable[[], Stage]) -> tuple[Stage, bool]:
        """Return the stage under a key, made and kept if it is not there, and whether it was there."""
        found = self.find(key)
        if found is not None:
            return found, True
        stage = make()
        self.put(key, stage)
        return stage, False


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An .npz file, lightly compressed: volumes that are mostly empty shrink to a few per cent of their size."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(f"{name}.npy", member.getvalue())
    return content.getvalue()
