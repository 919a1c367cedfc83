"""What training minimises, term by term."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.networks.geolift import Prediction


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; 0 leaves it out."""

    intensity: float = 0.5
    squared: float = 1.0
    mask: float = 0.5
    projection: float = 0.5
    edge: float = 0.1


def reconstruction_loss(
    prediction: Prediction, target: Tensor, occupancy: Tensor, weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one level and its terms. ``target`` and ``occupancy`` (n, 1, z, y, x), both in [0, 1]."""
    masked = prediction.masked
    terms = {
        "intensity": balanced_l1(masked, target, occupancy),
        "squared": relative_squared_error(masked, target),
        "mask": mask_loss(prediction.mask_logit, occupancy),
        "projection": axis_projection_l1(masked, target),
        "edge": edge_l1(masked, target),
    }
    total = sum(getattr(weights, name) * value for name, value in terms.items())
    return total, {name: float(value.detach()) for name, value in terms.items()}


def balanced_l1(masked: Tensor, target: Tensor, occupancy: Tensor) -> Tensor:
    """L1 in which the surroundings of bone (dilated 3 voxels) and the rest weigh the same."""
    near = (dilated(occupancy, radius=3) > 0.5).float()
    error = (masked - target).abs()
    share = near.mean().clamp(0.005, 0.5)
    return 0.5 * (error * near).mean() / share + 0.5 * (error * (1 - near)).mean() / (1 - share)


def relative_squared_error(masked: Tensor, target: Tensor) -> Tensor:
    """Squared error over the target's energy, averaged over the batch: 1 for an empty volume, whatever its bone.

    What PSNR and cosine similarity measure. Where the radiographs leave doubt it asks for the mean, which costs less
    on unseen data than the median that an absolute error asks for.
    """
    dims = tuple(range(1, target.ndim))
    energy = target.square().sum(dims).clamp_min(1e-4 * target[0].numel())
    return ((masked - target).square().sum(dims) / energy).mean()


def dilated(volume: Tensor, radius: int) -> Tensor:
    """Maximum over a cube of ``2 * radius + 1`` voxels, axis by axis."""
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = 2 * radius + 1, radius
        volume = F.max_pool3d(volume, kernel, stride=1, padding=padding)
    return volume


def mask_loss(logit: Tensor, occupancy: Tensor) -> Tensor:
    """Soft Dice plus binary cross-entropy; bone fills some 2 % of the cube, hence the entropy's weight of 5."""
    probability = torch.sigmoid(logit)
    dims = tuple(range(1, logit.ndim))
    overlap = 2 * (probability * occupancy).sum(dims) + 1.0
    dice = 1 - overlap / (probability.sum(dims) + occupancy.sum(dims) + 1.0)
    entropy = F.binary_cross_entropy_with_logits(logit, occupancy)
    return 0.5 * dice.mean() + 5.0 * entropy


def axis_projection_l1(masked: Tensor, target: Tensor) -> Tensor:
    """L1 of the sums along the three axes, per 10 voxels of path: bone predicted against bone true."""
    differences = [(masked - target).sum(dim=axis).abs().mean() for axis in (-1, -2, -3)]
    return torch.stack(differences).sum() / 30.0


def edge_l1(masked: Tensor, target: Tensor) -> Tensor:
    """L1 of the finite differences along the three axes."""
    error = masked - target
    return torch.stack([error.diff(dim=axis).abs().mean() for axis in (-1, -2, -3)]).sum()
