"""Whether a radiograph is like those that the network was trained on, told by the network's own image features.

Noise, a photograph or a thigh give the image encoder features that no radiograph of the training gave. Two kinds are
looked at: the *texture*, mean and standard deviation over the picture of each finer feature, and the *layout*, the mean
of each coarser feature over 4 x 4 regions of the picture. Each is described by one Gaussian for each view: its main
directions, and one variance for all others (probabilistic PCA: Tipping and Bishop 1999, doi:10.1111/1467-9868.00196).
``training.familiarity`` fits them on what a training shows and stores them beside the weights, whose SHA-256 they
carry: to other weights the same numbers mean nothing. What is told and what is not is counted by
``Testing/Benchmarks/unlike_training.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.networks.weight_files import checked_content
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.result_grid import model_grid
from TomoRayLib.weights import ModelEntry, kept_network

TEXTURE_LEVELS = (1, 2)  # of the encoder's blocks: pixels of 2.7 and 5.3 mm
LAYOUT_LEVEL, REGIONS = 3, 4  # pixels of 10.7 mm; regions along each edge, of 75 mm
WEIGHTS = "weights_sha256"  # of the file: the 32 bytes of the SHA-256
STORED = ("mean", "scale", "variances", "largest")  # of a Gaussian, in float32; its directions are in 8 bits
STEPS = 127  # of a direction's largest component
UNLIKE = "the {view} radiograph is unlike those that the network was trained on"
VIEWS = ("AP", "lateral")


class ImageFeatures(NamedTuple):
    """What the encoder sees in m radiographs: (m, n) each, float32."""

    texture: NDArray[np.float32]
    layout: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """What one kind of features of a training's radiographs is like: arrays of float32, the AP view's first.

    Args:
        mean: (2, n) of each feature.
        scale: (2, n) standard deviations; features are divided by them.
        directions: (2, k, n) orthonormal main directions of the scaled features, as ``in_eight_bits`` gives them back.
        variances: (2, k + 1) along these, and along every other direction.
        largest: (2,) distance above which a radiograph is unlike the training's.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    directions: NDArray[np.float32]
    variances: NDArray[np.float32]
    largest: NDArray[np.float32]

    def distances(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how far two radiographs lie from those of the training.

        Args:
            features: (2, n) of an AP and a lateral radiograph.

        Returns:
            (2,) root mean square over all directions, in standard deviations of the training: 1 is usual.
        """
        scaled = (features.astype(np.float64) - self.mean) / self.scale
        along = np.einsum("vkn,vn->vk", self.directions, scaled)
        rest = np.maximum((scaled**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        squared = (along**2 / self.variances[:, :-1]).sum(axis=1) + rest / self.variances[:, -1]
        return np.asarray(np.sqrt(squared / features.shape[1]))


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What the radiographs of a training are like to a network, in texture and in layout."""

    texture: Gaussian
    layout: Gaussian

    def shares(self, features: ImageFeatures) -> NDArray[np.float64]:
        """Return (2,) distances of an AP and a lateral radiograph over the largest usual one, of what is farther off:
        above 1 it is unlike those of the training."""
        both = ((self.texture, features.texture), (self.layout, features.layout))
        return np.max([known.distances(found) / known.largest for known, found in both], axis=0)

    def unlike(self, features: ImageFeatures) -> tuple[str, ...]:
        """Return what is to be said of an AP and a lateral radiograph: nothing of ordinary ones."""
        far = self.shares(features) > 1.0
        return tuple(UNLIKE.format(view=view) for view, here in zip(VIEWS, far, strict=True) if here)


def unlike_training(pair: Pair, entry: ModelEntry) -> tuple[str, ...]:
    """Say which of two radiographs, bone bright, are unlike those that a model was trained on.

    Returns:
        A clause for each of them; nothing of ordinary radiographs, and of a model without such a file.

    Raises:
        InputError: The model's file is missing, damaged, or was made for other weights.
    """
    known = load_familiarity(entry)
    if known is None:
        return ()
    images = [torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)) for image in (pair.ap, pair.lateral)]
    views = pair.views
    radiographs, _ = network_input(images, [views.ap, views.lateral], model_grid(entry, views.isocenter_mm))
    return known.unlike(image_features(radiographs[0], kept_network(entry)))


def image_features(radiographs: Tensor, network: GeoLiftUNet) -> ImageFeatures:
    """Return what the network's image encoder sees in radiographs.

    Args:
        radiographs: (m, 2, rows, columns), normalised as ``network_input`` does it.
        network: On the CPU; it runs in float32, so that the same radiographs have the same features everywhere.

    Returns:
        Texture: of each of ``TEXTURE_LEVELS`` the means of its channels over the picture, then their standard
        deviations. Layout: the means of the channels of ``LAYOUT_LEVEL`` over the regions, by channel, row and column.
    """
    features, texture = radiographs.float(), []
    with torch.inference_mode():
        for level in range(LAYOUT_LEVEL + 1):
            features = network.encoder[level](features)
            if level in TEXTURE_LEVELS:
                texture += [features.mean(dim=(2, 3)), features.std(dim=(2, 3))]
        layout = F.adaptive_avg_pool2d(features, REGIONS).flatten(1)
        return ImageFeatures(torch.cat(texture, dim=1).numpy(), layout.numpy())


def load_familiarity(entry: ModelEntry) -> Familiarity | None:
    """Load what a model's training looked like.

    Args:
        entry: The model's registry entry.

    Returns:
        It, or None of a model without such a file.

    Raises:
        InputError: The file is missing, does not have the SHA-256 of the entry, or was made for other weights.
    """
    from safetensors.numpy import load

    if entry.familiarity_file is None or entry.familiarity_sha256 is None:
        return None
    content = load(checked_content(entry.folder / entry.familiarity_file, entry.familiarity_sha256))
    made_for = content[WEIGHTS].tobytes().hex()
    if made_for != entry.sha256:
        raise InputError(
            f"Expected {entry.familiarity_file} made for the weights of {entry.id}, {entry.sha256[:16]}..., got one "
            f"made for {made_for[:16]}...; make it anew (docs/training.md), or reinstall TomoRay."
        )

    def part(name: str) -> Gaussian:
        directions = content[f"{name}.directions"].astype(np.float32) * content[f"{name}.steps"]
        return Gaussian(directions=directions, **{key: content[f"{name}.{key}"] for key in STORED})

    return Familiarity(part("texture"), part("layout"))


def save_familiarity(known: Familiarity, path: Path, entry: ModelEntry) -> str:
    """Write what a model's training looked like, for this model's weights alone.

    Args:
        known: What is to be written.
        path: The .safetensors file.
        entry: The model's registry entry; the file gets its licence, because it is made of the same data.

    Returns:
        The file's SHA-256: the same for the same content.
    """
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {WEIGHTS: np.frombuffer(bytes.fromhex(entry.sha256), dtype=np.uint8)}
    for name, part in (("texture", known.texture), ("layout", known.layout)):
        arrays |= {f"{name}.{key}": np.ascontiguousarray(getattr(part, key), dtype=np.float32) for key in STORED}
        arrays[f"{name}.directions"], arrays[f"{name}.steps"] = in_eight_bits(part.directions)
    content = save(arrays, {"licence": entry.licence})
    with write_atomically(path) as partial:
        Path(partial).write_bytes(content)
    return sha256_of_bytes(content)


def in_eight_bits(directions: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return directions (2, k, n) as they are stored: whole numbers, and (2, k, 1) what each is to be multiplied by."""
    steps = (np.abs(directions).max(axis=2, keepdims=True) / STEPS).astype(np.float32)
    return np.round(directions / steps).astype(np.int8), steps
