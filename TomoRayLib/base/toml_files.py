"""TOML files as dataclasses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeVar

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.mappings import dataclass_from_mapping
from TomoRayLib.base.text_files import read_text

T = TypeVar("T")


def toml_values(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raises InputError for a file that is none or does not exist."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise InputError(f"Expected a TOML file, got {path}, which does not exist.") from None
    except RecursionError:
        raise InputError(f"{path} is no TOML file: it is nested too deeply.") from None
    except (OSError, ValueError) as error:  # other text, another encoding, numbers that Python does not read
        raise InputError(f"{path} is no TOML file: {error}.") from None


def read_toml(kind: type[T], path: Path) -> T:
    """Return a ``kind`` of dataclass from a TOML file. Raises InputError that names the key or the line at fault."""
    return dataclass_from_mapping(kind, toml_values(path), str(path))
