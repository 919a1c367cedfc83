"""Least-squares adversarial losses: scores of real patches are drawn to 1, of made ones to 0.

Mao et al. 2017 (https://doi.org/10.1109/ICCV.2017.304), with a = 0 and b = c = 1. X2CT-GAN weighs both with 0.1, and
with 10 the mean squared error and its projections.
"""

from __future__ import annotations

from torch import Tensor

REAL, MADE = 1.0, 0.0


def generator_loss(scores_of_made: Tensor) -> Tensor:
    """Mean of (score - 1)^2 over all patches: 0 if every made patch passes for real.

    >>> import torch
    >>> float(generator_loss(torch.tensor([1.0, 0.5])))
    0.125
    """
    return (scores_of_made - REAL).square().mean()


def discriminator_loss(scores_of_real: Tensor, scores_of_made: Tensor) -> Tensor:
    """Mean of both mean squared errors: 0 if every real patch scores 1 and every made one 0.

    ``scores_of_made`` must come from volumes that are detached from the generator, or its weights get this gradient
    too.

    >>> import torch
    >>> float(discriminator_loss(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])))
    1.25
    """
    return ((scores_of_real - REAL).square().mean() + (scores_of_made - MADE).square().mean()) / 2
