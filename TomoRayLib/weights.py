"""The model registry: the available weights, their sources and their licences; and loading them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import read_json
from TomoRayLib.networks.weight_files import checked_content, read_weights, save_weights

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from TomoRayLib.anatomy.grey_levels import LookupTable
    from TomoRayLib.measures.comparison import KnownMeasures
    from TomoRayLib.measures.usual import UsualMeasures
    from TomoRayLib.networks.ct_segmenter import CTSegmenter
    from TomoRayLib.networks.geolift import GeoLiftUNet

__all__ = [
    "ModelEntry",
    "SegmenterEntry",
    "find_model",
    "find_segmenter",
    "kept_network",
    "load_atlas",
    "load_equal_frequency_table",
    "load_known_measures",
    "load_network",
    "load_segmenter",
    "load_usual_measures",
    "read_registry",
    "read_segmenters",
    "read_weights",
    "save_weights",
]

REGISTRY_NAME = "registry.json"
LOOKUP_NAME = "equal_frequency.json"
MEASURE_ERRORS_NAME, USUAL_MEASURES_NAME = "measure_errors.json", "usual_measures.json"
DESCRIPTION_LIMIT = 60  # characters: it stands in brackets behind the id in the panel's list


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
    based_on: dict[str, str] | None = None  # {"model": id, "sha256": of its file}: its file holds the rest
    described_as: str | None = None  # a few words for who chooses: "closer on average"
    familiarity_file: str | None = None  # what its training looked like (synthesis.familiarity); None: it cannot tell
    familiarity_sha256: str | None = None
    people: dict[str, list[str]] = field(default_factory=dict)  # "trained_on", "chosen_on": whose scores mean little
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


@dataclass(frozen=True)
class SegmenterEntry:
    """One network of the registry that finds vertebrae in a CT. Its file is a name inside the registry's folder."""

    id: str
    file: str
    sha256: str
    network: dict[str, Any]
    licence: str
    data: list[dict[str, str]]
    training_command: str
    figures: dict[str, Any]
    folder: Path = field(default=Path(), compare=False)

    @property
    def path(self) -> Path:
        return self.folder / self.file


def models_folder() -> Path:
    """``Resources/Models``: inside the installed package, or next to it in a checkout and in Slicer.

    The environment variable ``TOMORAY_MODELS`` names another folder with a registry, also for workers.
    """
    given = os.environ.get("TOMORAY_MODELS")
    if given:
        return Path(given)
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
    with _readable(folder / REGISTRY_NAME) as content:
        entries = {values["id"]: ModelEntry(**values, folder=folder) for values in content["models"]}
        for entry in entries.values():
            check_description(entry.described_as)
        return content["default"], entries


def check_description(words: object) -> None:
    """Raises InputError for a model's description that is neither None nor one short line of text."""
    if words is None:
        return
    if not isinstance(words, str) or not words.strip() or "\n" in words or len(words) > DESCRIPTION_LIMIT:
        raise InputError(
            f"Expected a model described in one line of 1 to {DESCRIPTION_LIMIT} characters, got {words!r}; shorten it."
        )


def read_segmenters(folder: Path | None = None) -> tuple[str, dict[str, SegmenterEntry]]:
    """Read the registry's networks that find vertebrae in a CT.

    Args:
        folder: As for ``read_registry``.

    Returns:
        The id of the default segmenter, and all entries by id; "" and none if there are none.

    Raises:
        InputError: The registry is missing or cannot be read.
    """
    folder = folder or models_folder()
    with _readable(folder / REGISTRY_NAME) as content:
        entries = {values["id"]: SegmenterEntry(**values, folder=folder) for values in content.get("segmenters", [])}
        return content["default_segmenter"] if entries else "", entries


@contextmanager
def _readable(path: Path) -> Iterator[dict[str, Any]]:
    """The content of a registry. What is not as expected in it ends in an InputError."""
    try:
        yield read_json(path)
    except FileNotFoundError:
        raise InputError(f"Expected the model registry at {path}, found none; reinstall TomoRay.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
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


def find_segmenter(segmenter_id: str | None = None, folder: Path | None = None) -> SegmenterEntry:
    """Look up a network that finds vertebrae in a CT.

    Args:
        segmenter_id: Its id; the registry's default if None.
        folder: As for ``read_registry``.

    Returns:
        Its entry.

    Raises:
        InputError: The registry cannot be read or has no such segmenter; the message lists the known ids.
    """
    default, entries = read_segmenters(folder)
    if not entries:
        raise InputError(
            "Expected a network that finds vertebrae in a CT, got none: this version comes without one. "
            "Update TomoRay, or train and publish one (docs/training.md)."
        )
    wanted = segmenter_id or default
    if wanted not in entries:
        raise InputError(f"Expected one of the segmenters {sorted(entries)}, got {wanted!r}; choose one of these.")
    return entries[wanted]


def load_network(entry: ModelEntry, device: str = "cpu") -> GeoLiftUNet:
    """Load a network with its weights, in evaluation mode.

    Args:
        entry: The model's entry in the registry.
        device: A torch device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns:
        The network in float32 on the device.

    Raises:
        InputError: The weights, or those that they add to, are missing, do not have the SHA-256 of the entry (checked
            before anything is read), or belong to another network.
    """
    import torch

    from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet

    if entry.architecture != "geolift":
        raise InputError(f"Model {entry.id} has the architecture {entry.architecture!r}; this version runs 'geolift'.")
    network = GeoLiftUNet(GeoLiftConfig(**entry.network))
    _fill(network, entry)
    return network.to_channels_last().to(torch.device(device)).eval()


_kept: dict[tuple[object, ...], GeoLiftUNet] = {}  # at most one
_keeping = threading.Lock()


def kept_network(entry: ModelEntry, device: str = "cpu") -> GeoLiftUNet:
    """Load a network as ``load_network`` does, or return the one loaded last if it is the same, from the same file.

    Whoever takes it must not change it.
    """
    stamp = (entry.path.stat().st_size, entry.path.stat().st_mtime_ns) if entry.path.exists() else ()
    key = (str(entry.path), *stamp, entry.sha256, json.dumps(entry.network, sort_keys=True), device)
    with _keeping:
        if key not in _kept:
            _kept.clear()  # before the next is loaded: one in memory at a time
            _kept[key] = load_network(entry, device)
        return _kept[key]


def load_segmenter(device: str = "cpu", entry: SegmenterEntry | None = None) -> CTSegmenter:
    """Load the network that finds vertebrae in a CT, in evaluation mode.

    Args:
        device: A torch device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        entry: The segmenter's entry in the registry; its default if None.

    Returns:
        The network in float32 on the device.

    Raises:
        InputError: There is none, or its weights are refused as by ``load_network``.
    """
    import torch

    from TomoRayLib.networks.ct_segmenter import CTSegmenter, CTSegmenterConfig

    entry = entry or find_segmenter()
    network = CTSegmenter(CTSegmenterConfig(**entry.network))
    _fill(network, entry)
    return network.to_channels_last().to(torch.device(device)).eval()


def _fill(network: torch.nn.Module, entry: ModelEntry | SegmenterEntry) -> None:
    state, _ = read_weights(entry.path, entry.sha256)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"The weights {entry.path.name} belong to another network than registry entry {entry.id} describes "
            f"({reason}); reinstall TomoRay or choose another model."
        ) from None


def load_atlas(entry: ModelEntry) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Load the mean atlas, the baseline that needs no radiographs.

    Args:
        entry: The model's entry in the registry.

    Returns:
        Grey values in [0, 1] and bone mask on the model's grid, both (z, y, x). All bone has one grey value, so that
        newer files hold it instead of a volume of grey values.

    Raises:
        InputError: The atlas is missing or does not have the SHA-256 of the entry.
    """
    import torch.nn.functional as F
    from safetensors.torch import load

    content = load(checked_content(entry.folder / entry.atlas_file, entry.atlas_sha256))
    size = (entry.size,) * 3

    def channel(name: str) -> torch.Tensor:
        stored = content[name].float().div(255.0)[None, None]
        return F.interpolate(stored, size=size, mode="trilinear", align_corners=False)[0, 0]

    probability = channel("probability")
    if "grey" in content:
        grey = channel("grey") * float(content["grey_maximum"])
    else:
        grey = probability * float(content["bone_grey"])
    return grey.numpy(), probability.numpy() > entry.atlas_threshold


def load_known_measures(entry: ModelEntry) -> KnownMeasures:
    """Load the errors that a model's measures had on real CTs, and the usual measures of other people.

    Args:
        entry: The model's entry in the registry.

    Returns:
        Both; no errors if nobody has measured them with exactly these weights.

    Raises:
        InputError: A file is damaged.
    """
    from TomoRayLib.measures.comparison import KnownMeasures
    from TomoRayLib.measures.known_errors import read_known_errors

    errors, path = {}, entry.folder / MEASURE_ERRORS_NAME
    if path.is_file():
        with _readable(path) as content:
            known = content["models"].get(entry.id, {})
            if known.get("weights_sha256") == entry.sha256:
                errors = read_known_errors(known["measures"])
    return KnownMeasures(errors, load_usual_measures(entry.folder))


def load_usual_measures(folder: Path | None = None) -> UsualMeasures:
    """Load the usual measures of other people that come with the models; none if there is no file of them.

    Raises InputError if it is damaged.
    """
    from TomoRayLib.measures.usual import usual_from_json

    path = (folder or models_folder()) / USUAL_MEASURES_NAME
    if not path.is_file():
        return {}
    with _readable(path) as content:
        return usual_from_json(content["measures"])


def load_equal_frequency_table(folder: Path | None = None) -> LookupTable:
    """The equal-frequency lookup table that comes with the models (``training.atlas`` makes it)."""
    from TomoRayLib.anatomy.grey_levels import LookupTable

    path = (folder or models_folder()) / LOOKUP_NAME
    try:
        return LookupTable.from_dict(read_json(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The lookup table {path} cannot be read ({error}); reinstall TomoRay.") from None
