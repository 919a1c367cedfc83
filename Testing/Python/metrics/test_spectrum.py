"""Spectra in bands of wavelengths: single waves, known blurs, unrelated noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.metrics.spectrum import BANDS_MM, compare_spectra

SPACING_MM = (2.0, 1.0, 0.8)  # x, y, z
SHAPE = (160, 96, 40)  # z, y, x: 128 x 96 x 80 mm
EVERYWHERE = np.ones(SHAPE, bool)


def noise(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(SHAPE)


def wave(length_mm: float, axis: int) -> NDArray[np.float64]:
    """A cosine of this wavelength along one axis of (z, y, x), fading towards all faces."""
    places_mm = np.arange(SHAPE[axis]) * SPACING_MM[::-1][axis]
    shape = [1, 1, 1]
    shape[axis] = -1
    z, y, x = (np.hanning(n) for n in SHAPE)
    return z[:, None, None] * y[:, None] * x * np.cos(2 * np.pi * places_mm / length_mm).reshape(shape)


def test_the_truth_agrees_with_itself_in_all_bands() -> None:
    for band in compare_spectra(noise(0), noise(0), EVERYWHERE, SPACING_MM):
        assert band.power_ratio == pytest.approx(1)
        assert band.agreement == pytest.approx(1)


@pytest.mark.parametrize(("length_mm", "band"), [(12.8, 2), (6.4, 3)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_wave_counts_in_the_band_of_its_length_whatever_its_axis(length_mm: float, band: int, axis: int) -> None:
    truth = noise(0)
    found = compare_spectra(truth + 9 * wave(length_mm, axis), truth, EVERYWHERE, SPACING_MM)
    ratios = [one.power_ratio for one in found]
    assert int(np.argmax(ratios)) == band
    assert all(abs(ratio - 1) < 0.3 for place, ratio in enumerate(ratios) if abs(place - band) > 1)


def test_brightness_squares_into_the_power_and_leaves_the_agreement() -> None:
    for band in compare_spectra(0.5 * noise(0), noise(0), EVERYWHERE, SPACING_MM):
        assert band.power_ratio == pytest.approx(0.25)
        assert band.agreement == pytest.approx(1)


@pytest.mark.parametrize("sd_mm", [1.5, 2.5])
def test_a_blur_has_the_power_of_its_gaussian(sd_mm: float) -> None:
    """In a narrow band at 10 mm: exp(-(2 pi sd / 10)^2), .411 for 1.5 mm and .085 for 2.5 mm."""
    truth = noise(0)
    blurred = ndimage.gaussian_filter(truth, [sd_mm / step for step in SPACING_MM[::-1]], mode="wrap", truncate=6)
    (band,) = compare_spectra(blurred, truth, EVERYWHERE, SPACING_MM, [(10.3, 9.7)])
    assert band.power_ratio == pytest.approx(math.exp(-((2 * math.pi * sd_mm / 10) ** 2)), rel=0.05)
    assert band.agreement == pytest.approx(1, abs=0.01)


def test_invented_detail_has_power_without_agreement() -> None:
    for band in compare_spectra(noise(1), noise(0), EVERYWHERE, SPACING_MM)[1:]:
        assert band.power_ratio == pytest.approx(1, abs=0.2)
        assert abs(band.agreement) < 0.2


def test_only_the_box_of_the_spine_is_looked_at() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[40:100, 30:60, 15:25] = True
    far = noise(0)
    far[:20], far[130:], far[:, 80:] = 5, -5, 9
    near = compare_spectra(noise(0), noise(0) * 0.5, mask, SPACING_MM)
    assert compare_spectra(far, noise(0) * 0.5, mask, SPACING_MM) == near


def test_what_is_not_defined_is_nan_and_none_in_json() -> None:
    nothing = np.zeros(SHAPE)
    blank = compare_spectra(nothing, noise(0), EVERYWHERE, SPACING_MM)
    assert [band.power_ratio for band in blank] == [0] * len(BANDS_MM)
    assert blank[0].to_json_dict() == {"from_mm": 64.0, "to_mm": 32.0, "power_ratio": 0.0, "agreement": None}
    without_spine = compare_spectra(noise(0), nothing, nothing > 0, SPACING_MM)
    assert all(math.isnan(band.power_ratio) for band in without_spine)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="truth's shape"):
        compare_spectra(noise(0)[1:], noise(0), EVERYWHERE, SPACING_MM)
