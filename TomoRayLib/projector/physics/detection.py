"""What a detector makes of the rays: Beer-Lambert, scatter, quantum and electronic noise, logarithm.

Signals are shares of the unattenuated beam, between 0 and 1; line integrals are dimensionless.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from TomoRayLib.projector.physics.blur import blur_by_convolution

FLOOR_PHOTONS = 0.5  # a pixel without any photon is taken to have half of one before the logarithm


def transmission(line_integral: Tensor) -> Tensor:
    """Share of photons that arrives, exp(-integral) (Beer-Lambert): bone dark."""
    return torch.exp(-line_integral)


def log_signal(signal: Tensor, photons: float = math.inf) -> Tensor:
    """-ln(signal): back to line integrals, bone bright. Signals below half a photon are raised to it; with no
    ``photons`` given, to the smallest number that the type can hold."""
    floor = torch.finfo(signal.dtype).tiny if math.isinf(photons) else FLOOR_PHOTONS / photons
    return -torch.log(signal.clamp_min(floor))


def add_scatter(signal: Tensor, scatter_to_primary: float, spread_px: float) -> Tensor:
    """Primary plus scattered signal of (rows, columns).

    Scatter is the primary blurred by a Gaussian of ``spread_px`` pixels standard deviation (a wide kernel, some
    centimetres at the detector), scaled so that the mean of scatter over the mean of primary is
    ``scatter_to_primary``, which depends on the field's size, the air gap and the grid (J. M. Boone and J. A. Seibert,
    Monte Carlo simulation of the scattered radiation distribution in diagnostic radiology, Med Phys 15:713, 1988; a
    single Gaussian that does not depend on the body's thickness is the simplest of such kernels).
    """
    if scatter_to_primary < 0 or spread_px <= 0 or signal.ndim != 2:
        raise ValueError(
            f"add_scatter needs (rows, columns), scatter_to_primary of 0 or more and spread_px above 0; got "
            f"{tuple(signal.shape)}, {scatter_to_primary} and {spread_px}. Call it for one radiograph at a time."
        )
    blurred = blur_by_convolution(signal, spread_px)
    mean = blurred.mean().clamp_min(torch.finfo(signal.dtype).tiny)
    return signal + blurred * (scatter_to_primary * signal.mean() / mean)


def add_noise(
    signal: Tensor, photons: float, electronic_sd_photons: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """The signal as a detector counts it: Poisson with ``photons`` a pixel where nothing is in the way, then Gaussian.

    ``photons`` is the number that an unattenuated pixel absorbs: the signal-to-noise ratio there is its square root.
    ``electronic_sd_photons`` is the read-out noise in photons. The mean stays as it is; values below 0 can occur.
    """
    if not (photons > 0 and electronic_sd_photons >= 0) or math.isinf(photons):
        raise ValueError(
            f"photons must be above 0 and finite, electronic_sd_photons 0 or more; got {photons} and "
            f"{electronic_sd_photons}. For no noise at all, leave add_noise out."
        )
    counts = torch.poisson(signal.clamp_min(0.0) * photons, generator=generator)
    if electronic_sd_photons > 0:
        normal = torch.randn(signal.shape, dtype=signal.dtype, device=signal.device, generator=generator)
        counts = counts + electronic_sd_photons * normal
    return counts / photons
