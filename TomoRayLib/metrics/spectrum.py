"""Power spectrum of a prediction beside the truth's, in bands of wavelengths, within the spine's bounding box.

For each band two numbers: the *power ratio*, the prediction's spectral power over the truth's (1: as much detail of
that size; a blur has less, noise more), and the *agreement*, the Fourier shell correlation (van Heel & Schatz 2005,
https://doi.org/10.1016/j.jsb.2005.05.009): 1 if the detail is the same, 0 if it is unrelated. Invented detail has a
power ratio near 1 and an agreement near 0. A Gaussian blur of standard deviation sigma has the power ratio
``exp(-(2 pi sigma / wavelength)^2)`` and the agreement 1.

Arrays are ``(z, y, x)``, ``spacing_mm`` is ``(x, y, z)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from TomoRayLib.geometry.masks import Mask, bounding_box
from TomoRayLib.metrics.surface import Vector3, checked_spacing_mm

# Wavelengths in mm: stretches of several vertebrae; a vertebra and its disc; bodies, discs, processes; edges.
BANDS_MM = ((64.0, 32.0), (32.0, 16.0), (16.0, 8.0), (8.0, 4.0))
MARGIN_MM = 8.0


@dataclass(frozen=True)
class SpectrumBand:
    """One band of wavelengths, ``from_mm`` down to ``to_mm`` (not included), with the two measures of this module.

    NaN if the truth has no power there, or the box no such wavelength.
    """

    from_mm: float
    to_mm: float
    power_ratio: float
    agreement: float

    def to_json_dict(self) -> dict[str, float | None]:
        """The values by name; NaN becomes None."""
        return {key: None if math.isnan(value) else value for key, value in asdict(self).items()}


def compare_spectra(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    mask: Mask,
    spacing_mm: Vector3,
    bands_mm: Sequence[tuple[float, float]] = BANDS_MM,
) -> tuple[SpectrumBand, ...]:
    """Compare the spectra of a prediction and the truth around the true spine.

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        mask: Boolean ``(z, y, x)``, the true spine; its bounding box, ``MARGIN_MM`` wider on all sides, is looked at.
        spacing_mm: Voxel spacing (x, y, z) in mm.
        bands_mm: Wavelengths (longest, shortest) of each band.

    Returns:
        One entry for each band; none of the bands holds the mean value.

    Raises:
        ValueError: If the shapes differ or a spacing is not above 0.
    """
    if prediction.shape != truth.shape or mask.shape != truth.shape:
        raise ValueError(
            f"Prediction and mask must have the truth's shape (z, y, x) = {truth.shape}; got {prediction.shape} and "
            f"{mask.shape}. Resample them to the truth's grid first."
        )
    steps = checked_spacing_mm(spacing_mm)[::-1]
    box = bounding_box(mask)
    if box is None:
        return tuple(SpectrumBand(*band, math.nan, math.nan) for band in bands_mm)
    margins = [math.ceil(MARGIN_MM / step) for step in steps]
    z, y, x = (slice(max(s.start - m, 0), s.stop + m) for s, m in zip(box, margins, strict=True))
    own, true = (volume[z, y, x].astype(np.float64) for volume in (prediction, truth))
    shape = [fft.next_fast_len(n) for n in true.shape]
    own_waves, true_waves = fft.fftn(own, shape), fft.fftn(true, shape)
    frequency = np.sqrt(sum(f**2 for f in _frequencies_per_mm(shape, steps)))  # cycles per mm
    own_power, true_power = np.abs(own_waves) ** 2, np.abs(true_waves) ** 2
    common = (own_waves * true_waves.conj()).real
    result = []
    for longest, shortest in bands_mm:
        inside = (frequency >= 1 / longest) & (frequency < 1 / shortest)
        p, t, c = (float(values[inside].sum()) for values in (own_power, true_power, common))
        ratio = p / t if t > 0 else math.nan
        result.append(SpectrumBand(longest, shortest, ratio, c / math.sqrt(p * t) if p > 0 and t > 0 else math.nan))
    return tuple(result)


def _frequencies_per_mm(shape: Sequence[int], steps_mm: Sequence[float]) -> list[NDArray[np.float64]]:
    """Frequencies along z, y and x, in cycles per mm, shaped to be added."""
    axes = [fft.fftfreq(n, step) for n, step in zip(shape, steps_mm, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))
