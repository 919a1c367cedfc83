"""The model registry: the available weights, their sources and their licences; and loading them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.hashes import sha256_of_bytes

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from TomoRayLib.anatomy.grey_levels import LookupTable
    from TomoRayLib.networks.geolift import GeoLiftUNet

__all__ = ["ModelEntry", "find_model", "load_atlas", "load_equal_frequency_table", "load_network", "read_registry"]

REGISTRY_NAME = "registry.json"
LOOKUP_NAME = "equal_frequency.json"


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry. Paths are names inside the registry's folder."""

    id: str
    file: str
    sha256: str
    architecture: str
    network: dict[str, Any]
    grid: dict[str, Any]  # {"size": 192, "fov_mm": 256.0}
    geometry_range: dict[str, Any]
    licence: str
    data: list[dict[str, str]]
    training_command: str
    figures: dict[str, Any]
    atlas_file: str
    atlas_sha256: str
    atlas_threshold: float
    folder: Path = field(default=Path(), compare=False)

    @property
    def path(self) -> Path:
        return self.folder / self.file

    @property
    def fov_mm(self) -> float:
        return float(self.grid["fov_mm"])

    @property
    def size(self) -> int:
        return int(self.grid["size"])


def models_folder() -> Path:
    """``Resources/Models``: inside the installed package, or next to it in a checkout and in Slicer."""
    package = Path(__file__).parent
    inside = package / "Resources" / "Models"
    return inside if inside.is_dir() else package.parent / "Resources" / "Models"


def read_registry(folder: Path | None = None) -> tuple[str, dict[str, ModelEntry]]:
    """Read the model registry.

    Args:
        folder: Folder of ``registry.json``; by default that of the models that come with TomoRay.

    Returns:
        The id of the default model, and all entries by id.

    Raises:
        InputError: The registry is missing or cannot be read.
    """
    folder = folder or models_folder()
    path = folder / REGISTRY_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = {values["id"]: ModelEntry(**values, folder=folder) for values in content["models"]}
        return content["default"], entries
    except FileNotFoundError:
        raise InputError(f"Expected the model registry at {path}, found none; reinstall TomoRay.") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"The model registry {path} cannot be read ({error}); reinstall TomoRay.") from None


def find_model(model_id: str | None = None, folder: Path | None = None) -> ModelEntry:
    """Look up a model of the registry.

    Args:
        model_id: Id of the model; the registry's default if None.
        folder: As for ``read_registry``.

    Returns:
        The model's entry.

    Raises:
        InputError: The registry cannot be read or has no such model; the message lists the known ids.
    """
    default, entries = read_registry(folder)
    wanted = model_id or default
    if wanted not in entries:
        raise InputError(f"Expected one of the models {sorted(entries)}, got {wanted!r}; choose one of these.", "model")
    return entries[wanted]


def load_network(entry: ModelEntry, device: str = "cpu") -> GeoLiftUNet:
    """Load a network with its weights, in evaluation mode.

    Args:
        entry: The model's entry in the registry.
        device: A torch device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns:
        The network in float32 on the device.

    Raises:
        InputError: The weights are missing, do not have the SHA-256 of the entry (checked before anything is read), or
            belong to another network.
    """
    import torch
    from safetensors.torch import load

    from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet

    if entry.architecture != "geolift":
        raise InputError(f"Model {entry.id} has the architecture {entry.architecture!r}; this version runs 'geolift'.")
    content = _checked(entry.path, entry.sha256)
    network = GeoLiftUNet(GeoLiftConfig(**entry.network))
    state = {name: value.to(torch.float32) for name, value in load(content).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"The weights {entry.path.name} belong to another network than registry entry {entry.id} describes "
            f"({reason}); reinstall TomoRay or choose another model."
        ) from None
    return network.to_channels_last().to(torch.device(device)).eval()


def load_atlas(entry: ModelEntry) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Load the mean atlas, the baseline that needs no radiographs.

    Args:
        entry: The model's entry in the registry.

    Returns:
        Grey values in [0, 1] and bone mask on the model's grid, both (z, y, x).

    Raises:
        InputError: The atlas is missing or does not have the SHA-256 of the entry.
    """
    import torch.nn.functional as F
    from safetensors.torch import load

    content = load(_checked(entry.folder / entry.atlas_file, entry.atlas_sha256))
    channels = [content[name].float().div(255.0)[None, None] for name in ("grey", "probability")]
    size = (entry.size,) * 3
    grey, probability = (F.interpolate(c, size=size, mode="trilinear", align_corners=False)[0, 0] for c in channels)
    grey = grey * float(content["grey_maximum"])
    return grey.numpy(), probability.numpy() > entry.atlas_threshold


def load_equal_frequency_table(folder: Path | None = None) -> LookupTable:
    """The equal-frequency lookup table that comes with the models (``training.atlas`` makes it)."""
    from TomoRayLib.anatomy.grey_levels import LookupTable

    path = (folder or models_folder()) / LOOKUP_NAME
    try:
        return LookupTable.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"The lookup table {path} cannot be read ({error}); reinstall TomoRay.") from None


def save_weights(state: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> str:
    """Write half-precision weights atomically; returns the file's SHA-256."""
    import torch
    from safetensors.torch import save

    from TomoRayLib.base.files import write_atomically

    half = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in state.items()}
    content = save(half, metadata)
    with write_atomically(path) as partial:
        Path(partial).write_bytes(content)
    return sha256_of_bytes(content)


@lru_cache(maxsize=4)
def _checked_cached(path: Path, expected_sha256: str, modified_ns: int) -> bytes:
    content = path.read_bytes()
    found = sha256_of_bytes(content)
    if found != expected_sha256:
        raise InputError(
            f"The weights {path.name} have the SHA-256 {found[:16]}..., expected {expected_sha256[:16]}...: the "
            f"file is damaged or not the one of the registry; reinstall TomoRay, or check the file out again."
        )
    return content


def _checked(path: Path, expected_sha256: str) -> bytes:
    """The file's content, once its hash is right."""
    try:
        return _checked_cached(path, expected_sha256, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise InputError(f"Expected the weights at {path}, found none; reinstall TomoRay.") from None
