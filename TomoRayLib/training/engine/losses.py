"""The loss of training, term by term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.networks.geolift import Prediction
from TomoRayLib.projector.projection import project
from TomoRayLib.training.engine.models import Unmasked

SSIM_WINDOW = 7
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for grey values in [0, 1]
DETECTOR_SHARE = 224 / 192  # the network's detector over the cube's edge


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; 0 leaves it out.

    ``projection`` compares sums along the three axes. ``rays`` compares line integrals of bone along the sample's own
    rays, by the projector; it costs most. ``ssim`` is 1 - SSIM near bone. ``mse`` and ``axis_mean`` are X2CT-GAN's two
    terms (10 each there): the mean squared error, and L1 of the means along the three axes.
    """

    intensity: float = 0.5
    squared: float = 1.0
    mask: float = 0.5
    projection: float = 0.5
    edge: float = 0.1
    rays: float = 0.0
    ssim: float = 0.0
    mse: float = 0.0
    axis_mean: float = 0.0


def reconstruction_loss(
    prediction: Prediction | Unmasked,
    target: Tensor,
    occupancy: Tensor,
    weights: LossWeights,
    geometry: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one level and its terms. ``target`` and ``occupancy`` (n, 1, z, y, x), both in [0, 1].

    ``geometry`` (n, 2, 5), see ``view_of_row``, is needed for the term ``rays`` alone.
    """
    masked = prediction.masked
    parts: dict[str, Callable[[], Tensor]] = {
        "intensity": lambda: balanced_l1(masked, target, occupancy),
        "squared": lambda: relative_squared_error(masked, target),
        "mask": lambda: mask_loss(_logit_of(prediction), occupancy),
        "projection": lambda: axis_projection_l1(masked, target),
        "edge": lambda: edge_l1(masked, target),
        "ssim": lambda: ssim_loss(masked, target, occupancy),
        "rays": lambda: ray_l1(masked, target, geometry),
        "mse": lambda: F.mse_loss(masked, target),
        "axis_mean": lambda: axis_mean_l1(masked, target),
    }
    terms = {name: part() for name, part in parts.items() if getattr(weights, name) > 0}
    if not terms:
        raise InputError("LossWeights must have a term above 0; got none.")
    total = torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
    return total, {name: float(value.detach()) for name, value in terms.items()}


def balanced_l1(masked: Tensor, target: Tensor, occupancy: Tensor) -> Tensor:
    """L1 in which the surroundings of bone (dilated 3 voxels) and the rest weigh the same."""
    near = (dilated(occupancy, radius=3) > 0.5).float()
    error = (masked - target).abs()
    share = near.mean().clamp(0.005, 0.5)
    return 0.5 * (error * near).mean() / share + 0.5 * (error * (1 - near)).mean() / (1 - share)


def relative_squared_error(masked: Tensor, target: Tensor) -> Tensor:
    """Squared error over the target's energy, averaged over the batch: 1 for an empty volume, whatever its bone.

    PSNR and cosine similarity measure the same. In doubt it favours the mean, which costs less on unseen data than the
    median that an absolute error favours.
    """
    dims = tuple(range(1, target.ndim))
    energy = target.square().sum(dims).clamp_min(1e-4 * target[0].numel())
    return ((masked - target).square().sum(dims) / energy).mean()


def dilated(volume: Tensor, radius: int) -> Tensor:
    """Maximum over a cube of ``2 * radius + 1`` voxels, axis by axis."""
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = 2 * radius + 1, radius
        volume = F.max_pool3d(volume, kernel, stride=1, padding=padding)
    return volume


def _logit_of(prediction: Prediction | Unmasked) -> Tensor:
    if isinstance(prediction, Unmasked):
        raise InputError("LossWeights.mask needs a network that predicts a mask; got one without. Set mask to 0.")
    return prediction.mask_logit


def mask_loss(logit: Tensor, occupancy: Tensor) -> Tensor:
    """Soft Dice plus binary cross-entropy; bone fills some 2 % of the cube, hence the entropy's weight of 5."""
    probability = torch.sigmoid(logit)
    dims = tuple(range(1, logit.ndim))
    overlap = 2 * (probability * occupancy).sum(dims) + 1.0
    dice = 1 - overlap / (probability.sum(dims) + occupancy.sum(dims) + 1.0)
    entropy = F.binary_cross_entropy_with_logits(logit, occupancy)
    return 0.5 * dice.mean() + 5.0 * entropy


def axis_projection_l1(masked: Tensor, target: Tensor) -> Tensor:
    """L1 of the sums along the three axes, per 10 voxels of path: bone predicted against bone true."""
    differences = [(masked - target).sum(dim=axis).abs().mean() for axis in (-1, -2, -3)]
    return torch.stack(differences).sum() / 30.0


def axis_mean_l1(masked: Tensor, target: Tensor) -> Tensor:
    """X2CT-GAN's projection loss: L1 of the means along each of the three axes, averaged over the axes."""
    difference = masked - target
    return torch.stack([difference.mean(dim=axis).abs().mean() for axis in (-1, -2, -3)]).mean()


def edge_l1(masked: Tensor, target: Tensor) -> Tensor:
    """L1 of the finite differences along the three axes."""
    error = masked - target
    return torch.stack([error.diff(dim=axis).abs().mean() for axis in (-1, -2, -3)]).sum()


def ssim_loss(masked: Tensor, target: Tensor, occupancy: Tensor) -> Tensor:
    """1 - SSIM in windows of 7^3 voxels, averaged over the windows whose middle lies near bone (3 voxels)."""
    margin = SSIM_WINDOW // 2
    near = dilated(occupancy, radius=3)[..., margin:-margin, margin:-margin, margin:-margin] > 0.5
    mean_a, mean_b, square_a, square_b, product = (
        F.avg_pool3d(volume, SSIM_WINDOW, stride=1)
        for volume in (masked, target, masked.square(), target.square(), masked * target)
    )
    variance_a, variance_b = square_a - mean_a.square(), square_b - mean_b.square()
    covariance = product - mean_a * mean_b
    ssim = ((2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_a.square() + mean_b.square() + SSIM_C1) * (variance_a + variance_b + SSIM_C2)
    )
    weight = near.to(ssim.dtype)
    return ((1 - ssim) * weight).sum() / weight.sum().clamp_min(1.0)


def ray_l1(masked: Tensor, target: Tensor, geometry: Tensor | None) -> Tensor:
    """L1 of the line integrals along the rays of both views, per 10 voxels of path: bone predicted against bone true.

    Pixels are as large as voxels. The projector is linear, so the difference is projected once. Raises InputError
    without the views' geometry.
    """
    if geometry is None:
        raise InputError("LossWeights.rays needs the geometry of the sample's views; got none. Set rays to 0.")
    size = target.shape[-1]
    total = masked.new_zeros(())
    for difference, rows in zip((masked - target)[:, 0].float(), geometry, strict=True):
        for row in rows:
            cube = Grid.cube((0.0, 0.0, 0.0), float(row[4]), size)
            image = project(difference, cube, view_of_row(row, size))
            total = total + image.abs().mean() / (10 * cube.spacing_mm[0])
    return total / (geometry.shape[0] * geometry.shape[1])


def view_of_row(row: Tensor, size: int) -> View:
    """A view about the origin from (SAD in mm or 0 for a parallel beam, gantry, tilt, roll in degrees, edge of the
    cube in mm), on a detector in the plane of the isocentre whose pixels are the cube's edge over ``size``."""
    sad_mm, gantry_deg, tilt_deg, roll_deg, fov_mm = (float(value) for value in row)
    pixels = round(size * DETECTOR_SHARE)
    detector = Detector(pixels, pixels, (fov_mm / size, fov_mm / size))
    beam = ConeBeam(sad_mm, sad_mm) if sad_mm > 0 else ParallelBeam()
    return View(beam, detector, gantry_deg, tilt_deg, roll_deg)
