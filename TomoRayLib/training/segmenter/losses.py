"""The CT segmenter's loss: mask by Dice and cross-entropy where it is known, vertebra field where it holds."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.training.segmenter.crops import Crop

FIELD_WEIGHT = 1.0
FIELD_BETA = 0.05  # below it the error counts squared: 1.6 mm, a third of a level
EDGE_WEIGHT = 2.0  # of voxels within one of the mask's border, where vertebrae meet


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
    weight = known * (1.0 + EDGE_WEIGHT * ((pooled > 0.01) & (pooled < 0.99)))
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
