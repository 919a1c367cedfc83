"""Files of weights: written, and read once their SHA-256 is right.

A .safetensors file as ``weight_storage`` packs it; its metadata say so (``storage``). It may hold only what differs
from another file beside it, which its metadata name with its SHA-256 (``based_on``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.base.text_files import json_value

if TYPE_CHECKING:
    import torch

__all__ = ["Base", "checked_content", "read_weights", "save_weights", "weights_beside"]

STORAGE = "int8 per output channel, 1"  # of the metadata; files without it hold half precision


@dataclass(frozen=True)
class Base:
    """Weights that others add to: the model's id, its file's name and SHA-256."""

    model: str
    file: str
    sha256: str


def read_weights(path: Path, expected_sha256: str | None = None) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a file of weights, over those that it adds to, if there are such.

    Args:
        path: A .safetensors file of ``save_weights``, or of half or single precision.
        expected_sha256: Of the file, checked before it is read; not checked if None.

    Returns:
        All weights by name, floats in float32, and the file's metadata.

    Raises:
        InputError: The file, or the one that it adds to, is missing or damaged, is no .safetensors file, has another
            SHA-256, or is stored in a way that this version does not know.
    """
    from TomoRayLib.networks.weight_storage import unpack_state

    content = _content(path) if expected_sha256 is None else checked_content(path, expected_sha256)
    packed, metadata = _parsed(content, path)
    if metadata.get("storage", STORAGE) != STORAGE:
        raise InputError(
            f"Expected weights stored as {STORAGE!r}, got {metadata['storage']!r} in {path.name}; update TomoRay."
        )
    try:
        state = unpack_state(packed)
    except (ValueError, RuntimeError) as error:
        raise _damaged(path, error) from None
    if "based_on" in metadata:
        base = _base_of(metadata["based_on"], path)
        try:
            state = {**read_weights(path.parent / Path(base.file).name, base.sha256)[0], **state}
        except InputError as error:
            raise InputError(f"{path.name} holds only what differs from {base.file}. {error}") from None
    return state, metadata


def _content(path: Path) -> bytes:
    """The content of a file. Raises InputError for none, and for a device or pipe."""
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "no such file", str(path))
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"Expected a file of weights at {path}, which cannot be read ({error.strerror or error}); check the path."
        ) from None


def _parsed(content: bytes, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a .safetensors file. Raises InputError for another or a damaged file."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        packed = load(content)
        metadata = _header(content)[0].get("__metadata__", {})
        return packed, {str(name): str(text) for name, text in metadata.items()}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
    return InputError(
        f"Expected weights as a .safetensors file, got {path.name}, which is damaged or none ({reason}); copy or "
        "publish it again."
    )


def _base_of(text: str, path: Path) -> Base:
    """The weights that others add to, from the metadata of their file. Raises InputError for other text."""
    try:
        values = json_value(text)
        return Base(*(str(values[name]) for name in ("model", "file", "sha256")))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None


def _header(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a .safetensors file, whose length is the first eight bytes, and the values after it."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json_value(content[8:end].decode("utf-8")), content[end:]


def _in_order(content: bytes) -> bytes:
    """The same file with its header in order: the library writes the metadata in another order every time."""
    header, values = _header(content)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + values


def save_weights(state: dict[str, torch.Tensor], path: Path, metadata: dict[str, str], base: Base | None = None) -> str:
    """Write weights atomically, as ``networks.weight_storage`` packs them.

    Args:
        state: All weights by name.
        path: The .safetensors file.
        metadata: Texts to go with them.
        base: Published weights in the same folder; only what differs from them is written.

    Returns:
        The file's SHA-256: the same for the same weights and metadata.

    Raises:
        InputError: Nothing of ``base`` is in ``state``, or something of it is not.
    """
    from safetensors.torch import save

    from TomoRayLib.base.files import write_atomically
    from TomoRayLib.networks.weight_storage import pack_state

    metadata = {**metadata, "storage": STORAGE}
    if base is not None:
        state = weights_beside(state, path.parent / base.file, base.sha256)
        metadata["based_on"] = json.dumps(asdict(base))
    content = _in_order(save(pack_state(state), metadata))
    with write_atomically(path) as partial:
        Path(partial).write_bytes(content)
    return sha256_of_bytes(content)


def weights_beside(state: dict[str, torch.Tensor], base: Path, sha256: str) -> dict[str, torch.Tensor]:
    """Of ``state`` what is not the same in the base's file, nor would be once stored, nor is its half precision.

    Raises InputError if that is everything, or if the base has what ``state`` lacks.
    """
    from TomoRayLib.networks.weight_storage import pack_state, same_values, unpack_state

    published, _ = read_weights(base, sha256)
    if missing := sorted(published.keys() - state.keys()):
        raise InputError(f"Expected weights with all that {base.name} has, got some without {missing[0]}.")
    stored = unpack_state(pack_state(state))

    def is_published(name: str) -> bool:
        kinds = (state[name].detach().cpu(), stored[name])  # those of an older base are not stored in 8 bits
        if name not in published:
            return False
        half = published[name].half().float() if published[name].is_floating_point() else published[name]
        return any(same_values(kind, published[name]) for kind in kinds) or same_values(kinds[0], half)  # of a snapshot

    own = {name: value for name, value in state.items() if not is_published(name)}
    if len(own) == len(state):
        raise InputError(
            f"Expected weights that share some with {base.name}, as those of a run that started from it and kept "
            f"a part frozen, got none that is the same as stored; publish them without a base."
        )
    return own


@lru_cache(maxsize=4)
def _checked_cached(path: Path, expected_sha256: str, modified_ns: int) -> bytes:
    content = _content(path)
    found = sha256_of_bytes(content)
    if found != expected_sha256:
        raise InputError(
            f"The weights {path.name} have the SHA-256 {found[:16]}..., expected {expected_sha256[:16]}...: the "
            f"file is damaged or not the one of the registry; reinstall TomoRay, or check the file out again."
        )
    return content


def checked_content(path: Path, expected_sha256: str) -> bytes:
    """The content of a file, once its SHA-256 is right. Raises InputError for another one, or no file."""
    try:
        return _checked_cached(path, expected_sha256, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise InputError(f"Expected the weights at {path}, found none; reinstall TomoRay.") from None
