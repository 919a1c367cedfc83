"""Whether a radiograph is like those that the network was trained on, told by the network's own image features.

Noise, a photograph or the film of a calibration grid give the image encoder features that no radiograph of the training
gave. Mean and standard deviation over the picture of each of its finer features are described by one Gaussian for each
view: its main directions, and one variance for all others (probabilistic PCA: Tipping and Bishop 1999,
doi:10.1111/1467-9868.00196). ``training.familiarity`` fits it on what a training shows and stores it beside the
weights, whose SHA-256 it carries: to other weights the same numbers mean nothing. What is told and what is not is
counted by ``Testing/Benchmarks/unlike_training.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.networks.weight_files import checked_content
from TomoRayLib.synthesis.model_run import model_grid
from TomoRayLib.weights import ModelEntry, load_network

LEVELS = (1, 2)  # of the encoder's blocks: pixels of 2.7 and 5.3 mm
WEIGHTS = "weights_sha256"  # of the file: the 32 bytes of the SHA-256
UNLIKE = "the {view} radiograph is unlike those that the network was trained on"
VIEWS = ("AP", "lateral")


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What the features of a training's radiographs are like: arrays of float32, the AP view's first.

    Args:
        mean: (2, n) of each feature.
        scale: (2, n) standard deviations; features are divided by them.
        directions: (2, k, n) orthonormal main directions of the scaled features.
        variances: (2, k + 1) along these, and along every other direction.
        largest: (2,) distance above which a radiograph is unlike the training's.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    directions: NDArray[np.float32]
    variances: NDArray[np.float32]
    largest: NDArray[np.float32]

    def distances(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how far radiographs lie from those of the training.

        Args:
            features: (2, n) of an AP and a lateral radiograph, from ``image_features``.

        Returns:
            (2,) root mean square over all directions, in standard deviations of the training: 1 is usual.
        """
        scaled = (features.astype(np.float64) - self.mean) / self.scale
        along = np.einsum("vkn,vn->vk", self.directions, scaled)
        rest = (scaled**2).sum(axis=1) - (along**2).sum(axis=1)
        squared = (along**2 / self.variances[:, :-1]).sum(axis=1) + rest / self.variances[:, -1]
        return np.asarray(np.sqrt(squared / features.shape[1]))

    def unlike(self, features: NDArray[np.float32]) -> tuple[str, ...]:
        """Return what is to be said of radiographs with these features (2, n): nothing of ordinary ones."""
        far = self.distances(features) > self.largest
        return tuple(UNLIKE.format(view=view) for view, here in zip(VIEWS, far, strict=True) if here)


def unlike_training(
    ap: NDArray[np.float32], lateral: NDArray[np.float32], views: Biplanar, entry: ModelEntry
) -> tuple[str, ...]:
    """Say which of two radiographs are unlike those that a model was trained on.

    Args:
        ap: AP radiograph (rows, columns) on the detector of ``views.ap``, bone bright; scale and offset do not matter.
        lateral: Lateral radiograph, likewise.
        views: Geometry of both, in LPS mm.
        entry: The model's registry entry.

    Returns:
        A clause for each of them; nothing of ordinary radiographs, and of a model without such a file.

    Raises:
        InputError: The model's file is missing, damaged, or was made for other weights.
    """
    known = load_familiarity(entry)
    if known is None:
        return ()
    images = [torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)) for image in (ap, lateral)]
    radiographs, _ = network_input(images, [views.ap, views.lateral], model_grid(entry, views.isocenter_mm))
    return known.unlike(image_features(radiographs[0], load_network(entry)))


def image_features(radiographs: Tensor, network: GeoLiftUNet) -> NDArray[np.float32]:
    """Return what the network's image encoder sees in radiographs, wherever it lies in the picture.

    Args:
        radiographs: (m, 2, rows, columns), normalised as ``network_input`` does it.
        network: On the CPU; it runs in float32, so that the same radiographs have the same features everywhere.

    Returns:
        (m, n): of each block in ``LEVELS`` the means of its channels over the picture, then their standard deviations.
    """
    features = radiographs.float()
    found = []
    with torch.inference_mode():
        for level in range(max(LEVELS) + 1):
            features = network.encoder[level](features)
            if level in LEVELS:
                found += [features.mean(dim=(2, 3)), features.std(dim=(2, 3))]
        return torch.cat(found, dim=1).numpy()


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
    made_for = content.pop(WEIGHTS).tobytes().hex()
    if made_for != entry.sha256:
        raise InputError(
            f"Expected {entry.familiarity_file} made for the weights of {entry.id}, {entry.sha256[:16]}..., got one "
            f"made for {made_for[:16]}...; make it anew (docs/training.md), or reinstall TomoRay."
        )
    return Familiarity(**content)


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

    arrays = {field.name: np.ascontiguousarray(getattr(known, field.name), dtype=np.float32) for field in fields(known)}
    arrays[WEIGHTS] = np.frombuffer(bytes.fromhex(entry.sha256), dtype=np.uint8)
    content = save(arrays, {"licence": entry.licence})
    with write_atomically(path) as partial:
        Path(partial).write_bytes(content)
    return sha256_of_bytes(content)
