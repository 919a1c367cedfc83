"""The network's run over the tiles of a CT that hold bone, blended into one mask and one vertebra field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.anatomy.vertebra_field import FIELD_CHANNELS
from TomoRayLib.networks.ct_segmenter import normalised_hu
from TomoRayLib.segmentation.tiles import LARGEST_EDGE, MARGIN, OVERLAP, Tile, tiles_of

BONE_HU = 150.0  # the shell of a vertebra at 2 mm, also of an osteopenic one
LEAST_BONE_VOXELS = 50  # 0.4 ml at 2 mm


@dataclass(frozen=True)
class BonePrediction:
    """What the network says of a volume: the probability of vertebra (z, y, x) and the field (4, z, y, x), float16.

    Both are 0 where the network did not look.
    """

    probability: NDArray[np.float16]
    field: NDArray[np.float16]


@torch.inference_mode()
def predict(
    hu: NDArray[np.float32],
    network: torch.nn.Module,
    precision: torch.dtype = torch.float32,
    *,
    largest: int = LARGEST_EDGE,
    overlap: int = OVERLAP,
    margin: int = MARGIN,
) -> BonePrediction:
    """Run the network over every tile with bone in it.

    Args:
        hu: CT (z, y, x) in HU at the network's spacing, along LPS.
        network: As ``networks.ct_segmenter.CTSegmenter``; it runs on the device where its parameters are.
        precision: Number type of the network's run; ``torch.float32`` forces full precision, without TF32.
        largest: Longest edge of a tile in voxels.
        overlap: Least overlap of neighbours.
        margin: Voxels at a tile's border that do not count.

    Returns:
        The blended prediction of the whole volume.
    """
    shape = (hu.shape[0], hu.shape[1], hu.shape[2])
    total = np.zeros(shape, np.float16)
    blended = BonePrediction(np.zeros(shape, np.float16), np.zeros((FIELD_CHANNELS, *shape), np.float16))
    for tile in tiles_of(shape, largest, overlap, margin):
        z, y, x = place = tile.inside(shape)
        if np.count_nonzero(hu[place] > BONE_HU) < LEAST_BONE_VOXELS:
            continue
        depth, rows, columns = hu[place].shape
        weights = tile.weights()[:depth, :rows, :columns]
        output = _output(hu[place], tile, network, precision)[:, :depth, :rows, :columns].numpy()
        blended.probability[place] += expit(output[0]) * weights
        blended.field[:, z, y, x] += output[1:] * weights
        total[place] += weights
    np.maximum(total, np.float16(1e-4), out=total)  # where nothing was added, 0 stays 0
    np.divide(blended.probability, total, out=blended.probability)
    np.divide(blended.field, total, out=blended.field)
    return blended


def _output(hu: NDArray[np.float32], tile: Tile, network: torch.nn.Module, precision: torch.dtype) -> torch.Tensor:
    """The network's output (5, z, y, x) for one tile, float32 on the CPU; beyond the volume there is air."""
    padded = np.full(tile.shape, AIR_HU, np.float32)
    padded[: hu.shape[0], : hu.shape[1], : hu.shape[2]] = hu
    device = next(network.parameters()).device
    full = precision == torch.float32
    given = normalised_hu(torch.from_numpy(padded))[None, None].to(device)
    with (
        torch.backends.cudnn.flags(allow_tf32=not full),
        torch.autocast(device.type, precision, enabled=not full),
    ):
        return network(given.to(memory_format=torch.channels_last_3d))[0].float().cpu()
