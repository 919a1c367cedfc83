"""The loss of training, term by term."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.networks.geolift import COUNT_LEVEL, Prediction
from TomoRayLib.projector.projection import project
from TomoRayLib.training.data.samples import Sample
from TomoRayLib.training.engine.models import Unmasked

SSIM_WINDOW = 7
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for grey values in [0, 1]
DETECTOR_SHARE = 224 / 192  # the network's detector over the cube's edge
COARSER_LEVEL_WEIGHT = 0.3
COUNT_BETA = 0.1  # of the smooth L1: 3 mm, or half a vertebra


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; 0 leaves it out.

    ``projection`` compares sums along the three axes. ``rays`` compares line integrals of bone along the sample's own
    rays, by the projector; it costs most. ``ssim`` is 1 - SSIM near bone. ``mse`` and ``axis_mean`` are X2CT-GAN's two
    terms (10 each there): the mean squared error, and L1 of the means along the three axes. ``gaps`` is the mask's
    entropy where two vertebrae are close: discs, endplates, joints. ``count`` is the error of the vertebra field, for a
    network that counts. ``image`` is the error of the bone images, for a network with an image decoder.
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
    gaps: float = 0.0
    count: float = 0.0
    image: float = 0.0


def level_losses(
    predictions: Mapping[int, Prediction | Unmasked], sample: Sample, weights: LossWeights, levels: tuple[int, ...]
) -> tuple[Tensor, dict[str, float]]:
    """Loss of the finest level plus 0.3 of each coarser one, plus that of the vertebra field if its level is among
    them, plus that of the bone images; the terms reported are those of the finest, ``count`` and ``image``."""
    total = torch.zeros((), device=sample["target"].device)
    reported: dict[str, float] = {}
    for level in levels:
        size = predictions[level].intensity.shape[-1]
        truth: Sample = {name: pooled(sample[name], size) for name in ("target", "occupancy", "gaps") if name in sample}
        if "geometry" in sample:
            truth["geometry"] = sample["geometry"]
        loss, terms = reconstruction_loss(predictions[level], truth, weights)
        total = total + loss * (1.0 if level == levels[0] else COARSER_LEVEL_WEIGHT)
        reported = reported or terms
    if weights.count > 0 and COUNT_LEVEL in levels:
        loss = count_loss(_field_of(predictions[COUNT_LEVEL]), sample["field"], sample["known"])
        total = total + weights.count * loss
        reported["count"] = float(loss.detach())
    if weights.image > 0:
        loss = F.l1_loss(_bone_images_of(predictions[levels[0]]), sample["bone_images"])
        total = total + weights.image * loss
        reported["image"] = float(loss.detach())
    return total, reported


def pooled(volume: Tensor, size: int) -> Tensor:
    """(n, c, z, y, x) averaged down to ``size`` voxels an edge."""
    factor = volume.shape[-1] // size
    return F.avg_pool3d(volume, factor) if factor > 1 else volume


def reconstruction_loss(
    prediction: Prediction | Unmasked, truth: Sample, weights: LossWeights
) -> tuple[Tensor, dict[str, float]]:
    """The loss of one level and its terms.

    ``truth`` holds ``target`` and ``occupancy`` (n, 1, z, y, x), both in [0, 1]; for the term ``rays`` alone
    ``geometry`` (n, 2, 6), see ``view_of_row``; for ``gaps`` alone a map of that name, see ``gap_loss``.
    """
    masked, target, occupancy = prediction.masked, truth["target"], truth["occupancy"]
    parts: dict[str, Callable[[], Tensor]] = {
        "intensity": lambda: balanced_l1(masked, target, occupancy),
        "squared": lambda: relative_squared_error(masked, target),
        "mask": lambda: mask_loss(_logit_of(prediction), occupancy),
        "projection": lambda: axis_projection_l1(masked, target),
        "edge": lambda: edge_l1(masked, target),
        "ssim": lambda: ssim_loss(masked, target, occupancy),
        "rays": lambda: ray_l1(masked, target, truth.get("geometry")),
        "mse": lambda: F.mse_loss(masked, target),
        "axis_mean": lambda: axis_mean_l1(masked, target),
        "gaps": lambda: gap_loss(_logit_of(prediction), occupancy, truth["gaps"]),
    }
    terms = {name: part() for name, part in parts.items() if getattr(weights, name) > 0}
    if not terms:
        raise InputError("LossWeights must have a term above 0 beside count and image; got none.")
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
        raise InputError(
            "LossWeights.mask and gaps need a network that predicts a mask; got one without. Set both to 0."
        )
    return prediction.mask_logit


def _field_of(prediction: Prediction | Unmasked) -> Tensor:
    if isinstance(prediction, Unmasked) or prediction.field is None:
        raise InputError("LossWeights.count needs a network that counts; got one that does not. Set network.counts.")
    return prediction.field


def _bone_images_of(prediction: Prediction | Unmasked) -> Tensor:
    if isinstance(prediction, Unmasked) or prediction.bone_images is None:
        raise InputError(
            "LossWeights.image needs a network with an image decoder; got one without. Set network.image_decoder."
        )
    return prediction.bone_images


def mask_loss(logit: Tensor, occupancy: Tensor) -> Tensor:
    """Soft Dice plus binary cross-entropy; bone fills some 2 % of the cube, hence the entropy's weight of 5."""
    probability = torch.sigmoid(logit)
    dims = tuple(range(1, logit.ndim))
    overlap = 2 * (probability * occupancy).sum(dims) + 1.0
    dice = 1 - overlap / (probability.sum(dims) + occupancy.sum(dims) + 1.0)
    entropy = F.binary_cross_entropy_with_logits(logit, occupancy)
    return 0.5 * dice.mean() + 5.0 * entropy


def gap_loss(logit: Tensor, occupancy: Tensor, gaps: Tensor) -> Tensor:
    """Binary cross-entropy of the mask where two vertebrae are close, ``gaps`` (n, 1, z, y, x) in [0, 1].

    Discs and the endplates beside them weigh the same, so that bone that bridges a disc costs as much as a missing
    endplate, while in ``mask_loss`` the few voxels of a disc hardly count.
    """
    entropy = F.binary_cross_entropy_with_logits(logit, occupancy, reduction="none")
    return (entropy * gaps).sum() / gaps.sum().clamp_min(1.0)


def count_loss(field: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Smooth L1 of the vertebra field (n, 4, z, y, x), its way to the centroid and its level alike, averaged over the
    voxels where the truth is ``known`` (n, 1, z, y, x)."""
    error = F.smooth_l1_loss(field, truth, beta=COUNT_BETA, reduction="none") * known
    voxels = known.sum().clamp_min(1.0)
    return error[:, :3].sum() / (3 * voxels) + error[:, 3:].sum() / voxels


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
    cube in mm, 1 for a slot scan), on a detector in the plane of the isocentre whose pixels are the cube's edge over
    ``size``."""
    sad_mm, gantry_deg, tilt_deg, roll_deg, fov_mm, is_slot = (float(value) for value in row)
    pixels = round(size * DETECTOR_SHARE)
    detector = Detector(pixels, pixels, (fov_mm / size, fov_mm / size))
    diverging = SlotScan if is_slot else ConeBeam
    beam = diverging(sad_mm, sad_mm) if sad_mm > 0 else ParallelBeam()
    return View(beam, detector, gantry_deg, tilt_deg, roll_deg)
