"""Both ways to blur an image against scipy's Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from TomoRayLib.projector.physics.blur import blur, blur_by_convolution


@pytest.mark.parametrize("sd_px", [0.1, 0.9, 8.0, 20.0])
@pytest.mark.parametrize("blurred", [blur, blur_by_convolution])
def test_a_blur_is_scipys_gaussian_with_repeated_edges(
    blurred: Callable[[Tensor, float], Tensor], sd_px: float
) -> None:
    image = np.random.default_rng(0).random((37, 52), dtype=np.float32)
    expected = image if sd_px < 0.2 else ndimage.gaussian_filter(image, sd_px, mode="nearest", radius=ceil(3 * sd_px))
    np.testing.assert_allclose(blurred(torch.from_numpy(image), sd_px).numpy(), expected, atol=2e-6)


def test_a_convolution_keeps_double_precision() -> None:
    image = np.random.default_rng(1).random((19, 24))
    expected = ndimage.gaussian_filter(image, 2.0, mode="nearest", radius=6)
    np.testing.assert_allclose(blur_by_convolution(torch.from_numpy(image), 2.0).numpy(), expected, atol=1e-14)
