"""SSIM in blocks against the formula window by window."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.base.threads import allow_threads, allowed_threads
from TomoRayLib.metrics.structural_similarity import NEGLIGIBLE, ssim_around, ssim_of_planes

SHAPE = (31, 41, 27)  # (z, y, x): more than one block along z and y, whole blocks along none
WINDOW_OF_PLANE = ((1, 7, 7), (7, 1, 7), (7, 7, 1))
Volume = NDArray[np.float32]


@pytest.fixture
def truth() -> Volume:
    volume = np.zeros(SHAPE, dtype=np.float32)
    volume[9:31, 14:22, 8:15] = np.random.default_rng(1).uniform(0.2, 1.0, (22, 8, 7))
    return volume


@pytest.fixture
def predictions(truth: Volume) -> dict[str, Volume]:
    """A blurred and moved truth; one that begins beside it; faint tails all over; nothing."""
    moved = ndimage.gaussian_filter(np.roll(truth, 2, axis=2), 0.8, truncate=2).astype(np.float32)
    beside = np.zeros_like(truth)
    beside[3:12, 30:38, 16:25] = 0.4
    tails = np.random.default_rng(2).uniform(0, 2e-9, SHAPE).astype(np.float32)
    return {"moved": moved, "beside": beside, "tails": moved + tails, "nothing": np.zeros_like(truth)}


def by_formula(p: Volume, t: Volume, window: tuple[int, int, int]) -> NDArray[np.float64]:
    """Equation 13 of Wang et al. 2004 for every complete window, with the sample covariance."""
    p, t = (sliding_window_view(v.astype(np.float64), window).reshape(-1, np.prod(window)) for v in (p, t))
    mean_p, mean_t = p.mean(axis=1), t.mean(axis=1)
    covariance = ((p - mean_p[:, None]) * (t - mean_t[:, None])).sum(axis=1) / (p.shape[1] - 1)
    variances = p.var(axis=1, ddof=1) + t.var(axis=1, ddof=1)
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_p * mean_t + c1) * (2 * covariance + c2)) / ((mean_p**2 + mean_t**2 + c1) * (variances + c2))


@pytest.mark.parametrize("name", ["moved", "beside", "tails", "nothing"])
def test_planes_equal_the_formula(name: str, predictions: dict[str, Volume], truth: Volume) -> None:
    (found,) = ssim_of_planes([predictions[name]], truth)
    expected = [by_formula(predictions[name], truth, window).mean() for window in WINDOW_OF_PLANE]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["moved", "beside", "tails", "nothing"])
def test_windows_around_a_mask_equal_the_formula(name: str, predictions: dict[str, Volume], truth: Volume) -> None:
    mask = ndimage.binary_dilation(truth > 0)
    p, t = (np.pad(volume, 3, mode="symmetric") for volume in (predictions[name], truth))
    (found,) = ssim_around([predictions[name]], truth, mask)
    assert found == pytest.approx(by_formula(p, t, (7, 7, 7)).reshape(SHAPE)[mask].mean(), rel=1e-12)


def test_predictions_scored_together_equal_each_alone(predictions: dict[str, Volume], truth: Volume) -> None:
    together, mask = list(predictions.values()), truth > 0
    assert ssim_of_planes(together, truth) == [ssim_of_planes([one], truth)[0] for one in together]
    assert ssim_around(together, truth, mask) == [ssim_around([one], truth, mask)[0] for one in together]


def test_the_number_of_threads_changes_no_digit(predictions: dict[str, Volume], truth: Volume) -> None:
    together, before = list(predictions.values()), allowed_threads()
    found = []
    for count in (1, 2):
        allow_threads(count)
        try:
            found.append((ssim_of_planes(together, truth), ssim_around(together, truth, truth > 0)))
        finally:
            allow_threads(before)
    assert found[0] == found[1]


def test_what_is_negligible_costs_less_than_the_last_digits() -> None:
    nothing = np.zeros(SHAPE, dtype=np.float32)
    noise = np.random.default_rng(3).uniform(0, 1, SHAPE) > 0.5
    faint = np.where(noise, np.float32(0.99 * NEGLIGIBLE), np.float32(0))
    for window in WINDOW_OF_PLANE:
        assert 1 - by_formula(faint, nothing, window).min() < 1e-13
    assert ssim_of_planes([faint], nothing) == [(1.0, 1.0, 1.0)]
    brighter = faint * np.float32(1e7)
    assert max(ssim_of_planes([brighter], nothing)[0]) < 0.9
