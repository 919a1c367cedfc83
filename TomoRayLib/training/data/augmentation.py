"""Random geometry and random radiograph appearance, in physical units if there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.presets import orthogonal_pair
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.networks.radiograph_input import NETWORK_PIXEL_MM, NETWORK_PIXELS
from TomoRayLib.projector.physics.attenuation import attenuation_per_mm, hu_to_attenuation, water_and_bone
from TomoRayLib.projector.physics.blur import blur


@dataclass(frozen=True)
class GeometryRanges:
    """The ranges that a pair of views is drawn from."""

    sad_mm: tuple[float, float] = (850.0, 1600.0)
    parallel_share: float = 0.1
    slot_share: float = 0.0  # EOS, and the scouts of a CT; 0 by default: runs from before them go on without
    slot_sad_mm: tuple[float, float] = (540.0, 1100.0)
    angled_share: float = 0.3
    angle_sd_deg: float = 3.0
    roll_sd_deg: float = 1.5
    # One view taken elsewhere than the other, as a lateral is often taken higher: the network is told.
    told_offset_share: float = 0.25
    told_offset_mm: tuple[float, float, float] = (15.0, 15.0, 40.0)  # at most, either way: x, y, z
    # What it is not told: calibration is off, or the patient moved a little between the two.
    unknown_shift_share: float = 0.4
    unknown_shift_sd_mm: float = 2.5
    unknown_scale_share: float = 0.25
    unknown_scale: tuple[float, float] = (0.95, 1.05)  # the stated magnification of a view over the true one


@dataclass(frozen=True)
class AppearanceRanges:
    """How a DRR is made to look like some radiograph. A ``_share`` is how many have it at all; lengths are in the plane
    of the isocentre."""

    # Energies of a tube of 60 to 110 kVp behind a body; the other X-rays have plastimatch's attenuation, linear in HU.
    energy_share: float = 0.5
    effective_kev: tuple[float, float] = (40.0, 70.0)
    gamma: tuple[float, float] = (0.6, 1.6)
    raw_share: float = 0.25  # inverted transmission, 1 - exp(-c * integral), instead of the logarithm
    raw_scale: tuple[float, float] = (0.03, 0.2)
    quantum_share: float = 0.5
    log10_photons: tuple[float, float] = (4.5, 6.5)  # a pixel without the patient
    noise_sd: tuple[float, float] = (0.0, 0.02)  # of the read-out, over the brightest grey
    blur_sd_mm: tuple[float, float] = (0.0, 1.6)
    scatter_share: float = 0.5
    log10_scatter: tuple[float, float] = (-1.5, 0.0)  # scattered over primary photons, in the mean of the picture
    scatter_sd_mm: tuple[float, float] = (15.0, 60.0)
    enhanced_share: float = 0.25  # edges enhanced by an unsharp mask, as consoles do
    enhancement: tuple[float, float] = (0.2, 2.0)  # how much of what the blurred picture lacks is added to it
    enhancement_sd_mm: tuple[float, float] = (1.5, 12.0)
    collimated_share: float = 0.35
    collimated_mm: tuple[float, float] = (3.0, 48.0)
    framed_share: float = 0.3  # of the collimated: a border as wide on all four sides
    white_border_share: float = 0.5  # of the collimated: as bright as lead; the others are blanked out to black
    white_border: tuple[float, float] = (0.85, 1.3)  # over the brightest grey within the field
    marker_share: float = 0.15  # lead letters next to or on the patient
    markers: tuple[int, int] = (1, 3)


def random_views(rng: np.random.Generator, ranges: GeometryRanges = GeometryRanges()) -> Biplanar:
    """A pair of views on the network's detector, in the plane of the isocentre."""
    detector = Detector(NETWORK_PIXELS, NETWORK_PIXELS, (NETWORK_PIXEL_MM, NETWORK_PIXEL_MM))
    kind = float(rng.random())
    if kind < ranges.parallel_share:
        pair = orthogonal_pair(ParallelBeam(), detector)
    elif kind < ranges.parallel_share + ranges.slot_share:
        ap_mm, lateral_mm = (float(one) for one in rng.uniform(*ranges.slot_sad_mm, size=2))
        pair = Biplanar(View(SlotScan(ap_mm, ap_mm), detector), View(SlotScan(lateral_mm, lateral_mm), detector, 90.0))
        return pair  # the scan runs along the patient: with a tilt it would not meet the axis it runs along
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


def with_told_offset(
    pair: Biplanar, rng: np.random.Generator, ranges: GeometryRanges = GeometryRanges()
) -> tuple[View, View]:
    """(AP, lateral), in their share of the cases taken about isocentres that lie apart, on both sides of the pair's."""
    if rng.random() >= ranges.told_offset_share:
        return pair.ap, pair.lateral
    apart_mm = rng.uniform(-1.0, 1.0, size=3) * ranges.told_offset_mm
    share = float(rng.random())  # of it in front of the pair's isocentre, the rest behind
    middle_mm = np.asarray(pair.isocenter_mm)
    ap, lateral = (
        view.moved_to(tuple(float(one) for one in middle_mm + part * apart_mm))  # type: ignore[arg-type]
        for view, part in ((pair.ap, -share), (pair.lateral, 1.0 - share))
    )
    return ap, lateral


def unknown_shift_px(rng: np.random.Generator, ranges: GeometryRanges = GeometryRanges()) -> np.ndarray:
    """(2, 2) shift per view (column, row) in pixels that the network is not told: what calibration leaves over."""
    if rng.random() >= ranges.unknown_shift_share:
        return np.zeros((2, 2))
    return rng.normal(0.0, ranges.unknown_shift_sd_mm / NETWORK_PIXEL_MM, size=(2, 2))


def unknown_scales(rng: np.random.Generator, ranges: GeometryRanges = GeometryRanges()) -> np.ndarray:
    """(2,) what the network is told of each view's magnification over the true one."""
    if rng.random() >= ranges.unknown_scale_share:
        return np.ones(2)
    return rng.uniform(*ranges.unknown_scale, size=2)


def random_attenuation(hu: Tensor, rng: np.random.Generator, ranges: AppearanceRanges = AppearanceRanges()) -> Tensor:
    """Attenuation in 1/mm, shaped as ``hu`` (int16): as our DRRs have it, or of water and bone at a random energy
    (NISTIR 5632), at which bone stands out up to twice as much."""
    every_hu = torch.arange(-(2**15), 2**15, dtype=torch.int32, device=hu.device)
    if rng.random() >= ranges.energy_share:
        table = hu_to_attenuation(every_hu)
    else:
        energy_kev = float(rng.uniform(*ranges.effective_kev))
        water, bone = water_and_bone(every_hu)
        per_mm = attenuation_per_mm("water", energy_kev), attenuation_per_mm("bone", energy_kev)
        table = water.mul_(per_mm[0]).add_(bone, alpha=per_mm[1])
    return table.index_select(0, hu.flatten().int() + 2**15).view(hu.shape)


def random_appearance(
    line_integral: Tensor, rng: np.random.Generator, ranges: AppearanceRanges = AppearanceRanges()
) -> Tensor:
    """One bone-bright radiograph (rows, columns) from line integrals; its scale is left to ``normalise``.

    In the order in which a picture comes about: scatter and photons before the logarithm, the grey value curve, the
    detector's blur and noise, the console's edges, what lies at the border, and letters of lead.
    """
    image = line_integral
    if rng.random() < ranges.scatter_share:
        to_primary, sd_mm = 10.0 ** float(rng.uniform(*ranges.log10_scatter)), float(rng.uniform(*ranges.scatter_sd_mm))
        image = scattered(image, to_primary, sd_mm / NETWORK_PIXEL_MM)
    if rng.random() < ranges.quantum_share:
        photons = 10.0 ** float(rng.uniform(*ranges.log10_photons))
        # Poisson's: the logarithm of a count has the standard deviation 1 / sqrt(count)
        image = image + (image / 2).exp() / math.sqrt(photons) * _normal(image, rng)
    image = image - image.amin().clamp_max(0.0)  # where scatter brought more photons than there were without a patient
    if rng.random() < ranges.raw_share:
        image = 1.0 - torch.exp(-image * float(rng.uniform(*ranges.raw_scale)))
    image = (image / image.amax().clamp_min(1e-6)).clamp_min(0.0) ** float(rng.uniform(*ranges.gamma))
    image = blur(image, float(rng.uniform(*ranges.blur_sd_mm)) / NETWORK_PIXEL_MM)
    noise_sd = float(rng.uniform(*ranges.noise_sd)) * float(rng.random())
    image = image + noise_sd * _normal(image, rng)
    if rng.random() < ranges.enhanced_share:
        amount, sd_mm = float(rng.uniform(*ranges.enhancement)), float(rng.uniform(*ranges.enhancement_sd_mm))
        image = edges_enhanced(image, amount, sd_mm / NETWORK_PIXEL_MM)
    if rng.random() < ranges.collimated_share:
        image = _collimated(image, rng, ranges)
    if rng.random() < ranges.marker_share:
        image = _marked(image, rng, ranges)
    return image


def scattered(line_integral: Tensor, scatter_to_primary: float, sd_px: float) -> Tensor:
    """Line integrals as they are seen with scatter: the logarithm of transmitted and scattered photons.

    Scatter is the transmission, blurred, with ``scatter_to_primary`` times its mean, as in ``add_scatter``. It takes
    contrast from where few photons arrive, and there can be more photons than without a patient: values below 0.
    """
    transmission = torch.exp(-line_integral)
    scatter = blur(transmission, sd_px)
    scatter = scatter * (scatter_to_primary * transmission.mean() / scatter.mean().clamp_min(1e-12))
    return -torch.log((transmission + scatter).clamp_min(1e-12))


def edges_enhanced(image: Tensor, amount: float, sd_px: float) -> Tensor:
    """An unsharp mask: ``amount`` times what ``image`` has and its Gaussian blur has not is added to it."""
    return image + amount * (image - blur(image, sd_px))


def _normal(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Standard normal noise, the same numbers on every device."""
    return torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32)).to(image.device)


def _collimated(image: Tensor, rng: np.random.Generator, ranges: AppearanceRanges) -> Tensor:
    """Black or white outside a field: a frame, or a border of its own on half of the sides."""
    widths_mm = rng.uniform(*ranges.collimated_mm, size=4) * (rng.random(4) < 0.5)
    if rng.random() < ranges.framed_share:
        widths_mm[:] = rng.uniform(*ranges.collimated_mm)
    top, bottom, left, right = (round(float(width)) for width in widths_mm / NETWORK_PIXEL_MM)
    inside = (slice(top, image.shape[0] - bottom), slice(left, image.shape[1] - right))
    white = rng.random() < ranges.white_border_share
    grey = float(rng.uniform(*ranges.white_border)) * float(image[inside].amax()) if white else 0.0
    result = torch.full_like(image, grey)
    result[inside] = image[inside]
    return result


LETTERS = {
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
}


def _marked(image: Tensor, rng: np.random.Generator, ranges: AppearanceRanges) -> Tensor:
    """Letters of lead, 9 to 28 mm high: 0.8 to 1.1 times as bright as the brightest pixel."""
    result = image.clone()
    for _ in range(int(rng.integers(ranges.markers[0], ranges.markers[1] + 1))):
        letter = LETTERS["LR"[int(rng.integers(2))]]
        dots = np.array([[dot == "1" for dot in row] for row in letter])
        dots = np.kron(dots, np.ones((int(rng.integers(1, 4)),) * 2, bool))
        row, column = (
            int(rng.integers(0, size - extent)) for size, extent in zip(image.shape, dots.shape, strict=True)
        )
        patch = result[row : row + dots.shape[0], column : column + dots.shape[1]]
        patch[torch.from_numpy(dots).to(image.device)] = float(rng.uniform(0.8, 1.1)) * float(image.amax())
    return result
