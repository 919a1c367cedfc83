"""The CT segmenter's loss: mask by Dice and cross-entropy where it is known, vertebra field where it holds."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.training.segmenter.crops import Crop

FIELD_WEIGHT = 1.0
FIELD_BETA = 0.05  # below it the error counts squared: 1.6 mm, a third of a level
EDGE_WEIGHT = 2.0  # of voxels within one of the mask's border
GAP_WEIGHT = 4.0  # of voxels near two vertebrae: a disc is one to three voxels thick, and little of the whole
GAP_REACH = 2  # voxels


def segmenter_loss(output: Tensor, crop: Crop) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch and its terms.

    Args:
        output: (n, 5, z, y, x), as the network gives it.
        crop: A batch of ``CropStream``'s crops.

    Returns:
        The loss, a scalar, and its terms by name.
    """
    logit, field = output[:, :1], output[:, 1:]
    mask, known, inside = crop["mask"], crop["known"], crop["inside"]
    pooled = F.avg_pool3d(mask, 3, stride=1, padding=1, count_include_pad=False)
    edge = (pooled > 0.01) & (pooled < 0.99)
    weight = known * (1.0 + EDGE_WEIGHT * edge + GAP_WEIGHT * between_vertebrae(crop["field"][:, 3:], inside))
    entropy = F.binary_cross_entropy_with_logits(logit, mask, reduction="none")
    entropy = (entropy * weight).sum() / weight.sum().clamp_min(1.0)
    share = torch.sigmoid(logit) * known
    true = mask * known
    overlap = 2.0 * (share * true).sum() + 1.0
    dice = 1.0 - overlap / (share.sum() + true.sum() + 1.0)
    error = F.smooth_l1_loss(field, crop["field"], beta=FIELD_BETA, reduction="none").mean(dim=1, keepdim=True)
    count = (error * inside).sum() / inside.sum().clamp_min(1.0)
    loss = entropy + dice + FIELD_WEIGHT * count
    terms = {"loss": float(loss.detach()), "entropy": float(entropy.detach()), "dice": float(dice.detach())}
    return loss, {**terms, "field": float(count.detach())}


def between_vertebrae(level: Tensor, inside: Tensor) -> Tensor:
    """Find the voxels from which two vertebrae are within ``GAP_REACH``: discs, joints and what borders on them.

    Args:
        level: The field's level (n, 1, z, y, x).
        inside: 1 where it holds, of the same shape.

    Returns:
        True there, of the same shape.
    """
    far = 100.0
    size = 2 * GAP_REACH + 1
    highest = F.max_pool3d(torch.where(inside > 0, level, -far), size, stride=1, padding=GAP_REACH)
    lowest = -F.max_pool3d(torch.where(inside > 0, -level, -far), size, stride=1, padding=GAP_REACH)
    return (highest - lowest > 0.01) & (highest > -far) & (lowest < far)
