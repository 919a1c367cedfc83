"""The detector: Beer-Lambert, scatter, quantum and electronic noise, logarithm.

Signals are shares of the unattenuated beam, between 0 and 1; line integrals are dimensionless.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.projector.physics.blur import blur_by_convolution

FLOOR_PHOTONS = 0.5  # a pixel without any photon is taken to have half of one before the logarithm


def transmission(line_integral: Tensor) -> Tensor:
    """The share of photons that arrives (Beer-Lambert): bone dark.

    Args:
        line_integral: Line integrals of attenuation, dimensionless, of any shape.

    Returns:
        exp(-integral), shaped as ``line_integral``.
    """
    return torch.exp(-line_integral)


def log_signal(signal: Tensor, photons: float = math.inf) -> Tensor:
    """Back to line integrals: bone bright.

    Args:
        signal: Shares of the unattenuated beam, of any shape. Those below half a photon are raised to it.
        photons: Number that an unattenuated pixel absorbs; if infinite, signals are raised to the smallest normal
            number of their type.

    Returns:
        -ln(signal), dimensionless, shaped as ``signal``.
    """
    floor = torch.finfo(signal.dtype).tiny if math.isinf(photons) else FLOOR_PHOTONS / photons
    return -torch.log(signal.clamp_min(floor))


def add_scatter(signal: Tensor, scatter_to_primary: float, spread_px: float) -> Tensor:
    """Primary plus scattered signal.

    Scatter is the primary blurred by one Gaussian that does not depend on the body's thickness, the simplest of the
    kernels in J. M. Boone and J. A. Seibert, Monte Carlo simulation of the scattered radiation distribution in
    diagnostic radiology, Med Phys 15:713, 1988.

    Args:
        signal: Primary signal (rows, columns) as shares of the unattenuated beam.
        scatter_to_primary: Mean of scatter over mean of primary, 0 or more; it depends on the field's size, the air
            gap and the grid.
        spread_px: Standard deviation of the Gaussian in pixels; some centimetres at the detector.

    Returns:
        (rows, columns), in the unit of ``signal``.

    Raises:
        InputError: If the ratio is below 0 or the spread not above 0.
        ValueError: If the signal is not one radiograph.
    """
    if signal.ndim != 2:
        raise ValueError(
            f"add_scatter needs one radiograph, (rows, columns); got the shape {tuple(signal.shape)}. Call it for each."
        )
    if not scatter_to_primary >= 0:
        raise InputError(
            f"The ratio of scatter to primary must be 0 or more; got {scatter_to_primary}.", field="scatter_to_primary"
        )
    if not spread_px > 0:
        raise InputError(f"The width of scatter must be above 0; got {spread_px} pixels.", field="scatter_mm")
    blurred = blur_by_convolution(signal, spread_px)
    mean = blurred.mean().clamp_min(torch.finfo(signal.dtype).tiny)
    return signal + blurred * (scatter_to_primary * signal.mean() / mean)


def add_noise(
    signal: Tensor, photons: float, electronic_sd_photons: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """The signal as a detector counts it: Poisson noise of the photons, then Gaussian noise of the read-out.

    Args:
        signal: Shares of the unattenuated beam, of any shape.
        photons: Number that an unattenuated pixel absorbs; the signal-to-noise ratio there is its square root.
        electronic_sd_photons: Standard deviation of the read-out noise in photons.
        generator: Random numbers; torch's own if None.

    Returns:
        Shares of the unattenuated beam with the same mean, shaped as ``signal``; values below 0 can occur.

    Raises:
        InputError: If ``photons`` is not above 0 and finite, or the read-out noise is below 0.
    """
    if not 0 < photons < math.inf:
        raise InputError(
            f"The number of photons a pixel must be above 0 and finite; got {photons}. Leave it out for no noise.",
            field="photons",
        )
    if not electronic_sd_photons >= 0:
        raise InputError(
            f"The read-out noise must be 0 photons or more; got {electronic_sd_photons}.", field="electronic_sd_photons"
        )
    counts = torch.poisson(signal.clamp_min(0.0) * photons, generator=generator)
    if electronic_sd_photons > 0:
        normal = torch.randn(signal.shape, dtype=signal.dtype, device=signal.device, generator=generator)
        counts = counts + electronic_sd_photons * normal
    return counts / photons
