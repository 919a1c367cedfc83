"""Random geometry and random radiograph appearance, in physical units where there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.geometry import Biplanar, ConeBeam, Detector, ParallelBeam, View, orthogonal_pair
from TomoRayLib.radiograph import NETWORK_PIXEL_MM, NETWORK_PIXELS, blur


@dataclass(frozen=True)
class GeometryRanges:
    """From where a pair of views is drawn."""

    sad_mm: tuple[float, float] = (850.0, 1600.0)
    parallel_share: float = 0.1
    angled_share: float = 0.3
    angle_sd_deg: float = 3.0
    roll_sd_deg: float = 1.5
    unknown_shift_share: float = 0.3
    unknown_shift_sd_mm: float = 1.5


@dataclass(frozen=True)
class AppearanceRanges:
    """How a DRR is made to look like some radiograph."""

    gamma: tuple[float, float] = (0.6, 1.6)
    raw_share: float = 0.25  # inverted transmission, 1 - exp(-c * integral), instead of the logarithm
    raw_scale: tuple[float, float] = (0.03, 0.2)
    noise_sd: tuple[float, float] = (0.0, 0.02)
    blur_sd_px: tuple[float, float] = (0.0, 1.2)
    scatter: tuple[float, float] = (0.0, 0.35)
    scatter_sd_px: float = 20.0
    collimated_share: float = 0.2
    collimated_px: tuple[int, int] = (2, 36)


def random_views(rng: np.random.Generator, ranges: GeometryRanges = GeometryRanges()) -> Biplanar:
    """A pair of views on the network's detector, in the plane of the isocentre."""
    detector = Detector(NETWORK_PIXELS, NETWORK_PIXELS, (NETWORK_PIXEL_MM, NETWORK_PIXEL_MM))
    if rng.random() < ranges.parallel_share:
        pair = orthogonal_pair(ParallelBeam(), detector)
    else:
        sad_mm = float(rng.uniform(*ranges.sad_mm))
        pair = orthogonal_pair(ConeBeam(sad_mm, sad_mm), detector)
    if rng.random() >= ranges.angled_share:
        return pair
    return Biplanar(_tilted(pair.ap, rng, ranges), _tilted(pair.lateral, rng, ranges))


def _tilted(view: View, rng: np.random.Generator, ranges: GeometryRanges) -> View:
    gantry, tilt = rng.normal(0.0, ranges.angle_sd_deg, size=2)
    return replace(
        view,
        gantry_angle_deg=view.gantry_angle_deg + float(gantry),
        tilt_deg=float(tilt),
        roll_deg=float(rng.normal(0.0, ranges.roll_sd_deg)),
    )


def unknown_shift_px(rng: np.random.Generator, ranges: GeometryRanges = GeometryRanges()) -> np.ndarray:
    """(2, 2) shift per view (column, row) in pixels that the network is not told: what calibration leaves over."""
    if rng.random() >= ranges.unknown_shift_share:
        return np.zeros((2, 2))
    return rng.normal(0.0, ranges.unknown_shift_sd_mm / NETWORK_PIXEL_MM, size=(2, 2))


def random_appearance(
    line_integral: Tensor, rng: np.random.Generator, ranges: AppearanceRanges = AppearanceRanges()
) -> Tensor:
    """One bone-bright radiograph (rows, columns) from line integrals; its scale is left to ``normalise``."""
    image = line_integral
    if rng.random() < ranges.raw_share:
        image = 1.0 - torch.exp(-image * float(rng.uniform(*ranges.raw_scale)))
    image = image / image.amax().clamp_min(1e-6)
    image = image + blur(image, ranges.scatter_sd_px) * float(rng.uniform(*ranges.scatter))
    image = (image / image.amax().clamp_min(1e-6)).clamp_min(0.0) ** float(rng.uniform(*ranges.gamma))
    image = blur(image, float(rng.uniform(*ranges.blur_sd_px)))
    noise_sd = float(rng.uniform(*ranges.noise_sd)) * float(rng.random())
    noise = torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32)).to(image.device)
    image = image + noise_sd * noise
    if rng.random() < ranges.collimated_share:
        image = _collimated(image, rng, ranges)
    return image


def _collimated(image: Tensor, rng: np.random.Generator, ranges: AppearanceRanges) -> Tensor:
    """Zero outside a field that leaves a random border on each side."""
    top, bottom, left, right = (int(rng.integers(*ranges.collimated_px)) * int(rng.random() < 0.5) for _ in range(4))
    field = torch.zeros_like(image)
    field[top : image.shape[0] - bottom, left : image.shape[1] - right] = 1.0
    return image * field
