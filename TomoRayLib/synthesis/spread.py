"""How sure a synthetic CT is: the network's answers to small variations of the same two radiographs.

Calibration is off by a few millimetres, a patient moves between two exposures, and consoles process pictures as they
like; training draws all of these at random. Here the same are drawn once and for all, so that a result is the same
every time. The spread of the answers alone says too little: wherever their standard deviation is above 0.1, the mask is
wrong in 27 to 32 % of the voxels, however large it is. Their mean says more: among voxels that it calls bone with a
probability of 0.65, a mask that has them as bone is wrong in 3 of 10 (``Testing/Benchmarks/calibration.py``). So that
share is what is stated.

All answers are those of the network's coarsest output, a seventh of the time of the finest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.networks.radiograph_input import (
    NETWORK_PIXEL_MM,
    cube_to_pixel,
    mistaken,
    network_view,
    normalise,
    to_network_detector,
)
from TomoRayLib.projector.physics.blur import blur
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import ChosenModel, SyntheticCT, coarse_level, run_network
from TomoRayLib.synthesis.result_grid import model_grid
from TomoRayLib.weights import ModelEntry

Shift = tuple[float, float]
UNSURE_FROM = 0.25  # a voxel whose answer is wrong with this probability or more counts as unsure


@dataclass(frozen=True)
class Variation:
    """One other way in which the same two radiographs might have come about.

    Args:
        shifts_mm: (right, down) by which AP and lateral image lie elsewhere than stated, in the plane of the isocentre.
        scales: Magnification of AP and lateral image over the stated one.
        gamma: Exponent of the grey values, which are 0 to 1.
        blur_mm: Standard deviation of a Gaussian blur, in the plane of the isocentre.
        mirrored: The patient left to right: AP image and geometry mirrored, and the answer mirrored back. This is exact
            for every geometry.
    """

    shifts_mm: tuple[Shift, Shift] = ((0.0, 0.0), (0.0, 0.0))
    scales: tuple[float, float] = (1.0, 1.0)
    gamma: float = 1.0
    blur_mm: float = 0.0
    mirrored: bool = False


# Shifts and scales are one and a half standard deviations of the training's; each has its opposite, so that the mean
# of all answers lies where that of the pair as stated does.
VARIATIONS = (
    Variation(),
    Variation(mirrored=True),
    Variation(((2.5, 1.8), (-1.8, -2.5)), (1.03, 0.99), 0.75),
    Variation(((-2.5, -1.8), (1.8, 2.5)), (0.97, 1.01), 1.35, 0.8),
    Variation(((-1.8, 2.5), (2.5, -1.8)), (0.99, 1.03), 1.35, mirrored=True),
    Variation(((1.8, -2.5), (-2.5, 1.8)), (1.01, 0.97), 0.75, 1.2, mirrored=True),
)


@dataclass(frozen=True)
class Spread:
    """What the answers to all variations have in common.

    Args:
        bone: Mean probability of bone (z, y, x) on ``grid``.
        deviation: Standard deviation of that probability over the variations, likewise.
        grid: The network's coarsest output's, in LPS mm.
    """

    bone: NDArray[np.float32]
    deviation: NDArray[np.float32]
    grid: Grid


@dataclass(frozen=True)
class Sureness:
    """How sure a synthetic CT's bone mask is.

    Args:
        wrong: Probability (z, y, x) on ``grid`` that the mask's answer, bone or not, is wrong.
        grid: That of the synthetic CT, in LPS mm.
        expected_dice: The Dice with the true bone that follows from these probabilities, 0 without any bone.
        deviation_in_bone: Mean over the mask of the standard deviation over the variations.
        unsure_share: Share of the mask's volume that is wrong with a probability of ``UNSURE_FROM`` or more.
    """

    wrong: NDArray[np.float32]
    grid: Grid
    expected_dice: float
    deviation_in_bone: float
    unsure_share: float

    def volume(self) -> Volume:
        """Return ``wrong`` as a volume (float32), rounded to thousandths."""
        return Volume(np.round(self.wrong, 3), self.grid)

    def to_json_dict(self) -> dict[str, Any]:
        """Return the figures of the whole volume, and the number of variations."""
        return {
            "expected_dice": round(self.expected_dice, 3),
            "unsure_share": round(self.unsure_share, 3),
            "deviation_in_bone": round(self.deviation_in_bone, 3),
            "variations": len(VARIATIONS),
        }


def spread(pair: Pair, network: GeoLiftUNet, entry: ModelEntry, precision: torch.dtype | None = None) -> Spread:
    """Run the network's coarsest output on all ``VARIATIONS`` of two radiographs, bone bright.

    ``network``, ``entry`` and ``precision`` are as in ``model_run.synthesize``. Returns mean and standard deviation of
    the probability of bone.
    """
    cube = model_grid(entry, pair.views.isocenter_mm)
    both = ((pair.ap, pair.views.ap), (pair.lateral, pair.views.lateral))
    images = [_shares(image, view, cube) for image, view in both]
    matrices = [cube_to_pixel(network_view(view, cube.center_mm), cube) for _, view in both]
    answers = torch.stack([_answer(images, matrices, variation, network, entry, precision) for variation in VARIATIONS])
    bone, deviation = answers.mean(dim=0), answers.std(dim=0, correction=0)
    return Spread(bone.numpy(), deviation.numpy(), Grid.cube(cube.center_mm, entry.fov_mm, len(bone)))


def sureness_of(pair: Pair, synthetic: SyntheticCT, model: ChosenModel) -> Sureness:
    """Say how sure the result of two radiographs is; by variations of them.

    Args:
        pair: The radiographs, bone bright.
        synthetic: What ``model`` made of them, on any grid.
        model: The network, its device and precision.

    Returns:
        The probability that the mask is wrong on the grid of ``synthetic``, and figures of the whole volume.
    """
    found = spread(pair, model.network, model.entry, model.precision)
    return sureness(found, synthetic.mask, synthetic.grid)


def sureness(found: Spread, mask: NDArray[np.bool_], grid: Grid) -> Sureness:
    """Say how sure a bone mask (z, y, x) on ``grid`` (LPS mm) is by the spread of its radiographs' variations."""
    bone, deviation = (_on_grid(values, found.grid, grid) for values in (found.bone, found.deviation))
    wrong = np.where(mask, 1.0 - bone, bone).astype(np.float32)
    volume = int(np.count_nonzero(mask))
    in_mask, whole = float(bone[mask].sum(dtype=np.float64)), float(bone.sum(dtype=np.float64))
    return Sureness(
        wrong=wrong,
        grid=grid,
        expected_dice=2.0 * in_mask / (volume + whole) if volume else 0.0,
        deviation_in_bone=float(deviation[mask].mean()) if volume else 0.0,
        unsure_share=float((wrong[mask] >= UNSURE_FROM).mean()) if volume else 0.0,
    )


def varied(images: list[Tensor], matrices: list[NDArray[np.float64]], variation: Variation) -> tuple[Tensor, Tensor]:
    """Return the network's input for a variation of a pair.

    Args:
        images: AP and lateral on the network's detector (rows, columns), values 0 to 1, bone bright.
        matrices: ``cube_to_pixel`` (4, 4) of each.
        variation: What is varied.

    Returns:
        ``radiographs`` (1, 2, 2, rows, columns) and ``cube_to_pixel`` (1, 2, 4, 4), as ``network_input`` gives them.
    """
    ap, lateral = (
        blur(image**variation.gamma, variation.blur_mm / NETWORK_PIXEL_MM)
        if variation.blur_mm
        else image**variation.gamma
        for image in images
    )
    changed = [
        mistaken(matrix, np.divide(shift_mm, NETWORK_PIXEL_MM), scale)
        for matrix, shift_mm, scale in zip(matrices, variation.shifts_mm, variation.scales, strict=True)
    ]
    if variation.mirrored:
        ap = ap.flip(-1)
        changed = [matrix * (-1.0, 1.0, 1.0, 1.0) for matrix in changed]
        changed[0][0] = (ap.shape[-1] - 1) * changed[0][2] - changed[0][0]
    radiographs = torch.stack([normalise(ap), normalise(lateral)])[None]
    return radiographs, torch.from_numpy(np.stack(changed).astype(np.float32))[None]


def _answer(
    images: list[Tensor],
    matrices: list[NDArray[np.float64]],
    variation: Variation,
    network: GeoLiftUNet,
    entry: ModelEntry,
    precision: torch.dtype | None,
) -> Tensor:
    radiographs, changed = varied(images, matrices, variation)
    logit = run_network(radiographs, changed, network, precision, coarse_level(entry)).mask_logit[0, 0]
    probability = torch.sigmoid(logit.float()).cpu()
    return probability.flip(-1) if variation.mirrored else probability


def _shares(pixels: NDArray[np.float32], view: Any, cube: Grid) -> Tensor:
    """A radiograph on the network's detector as shares of its brightest pixel above its darkest."""
    image = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
    on_detector = to_network_detector(image - image.min(), view, cube.center_mm)
    return (on_detector / on_detector.max().clamp_min(1e-6)).clamp(0.0, 1.0)


def _on_grid(values: NDArray[np.float32], coarse: Grid, grid: Grid) -> NDArray[np.float32]:
    """Interpolate linearly; within half a coarse voxel of the cube's faces the outermost value holds."""
    if np.allclose(coarse.center_mm, grid.center_mm) and abs(coarse.extent_mm[0] - grid.extent_mm[0]) < 1e-6:
        fine = F.interpolate(torch.from_numpy(values)[None, None], size=grid.shape, mode="trilinear")
        result: NDArray[np.float32] = fine[0, 0].numpy()
        return result
    return resample(Volume(values, coarse), grid, Interpolation.LINEAR, fill=0.0).voxels
