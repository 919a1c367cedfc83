"""The conditional 3D PatchGAN that judges X2CT-GAN's volumes: is this patch of a CT real, given the radiographs?

Isola et al. 2017 (https://doi.org/10.1109/CVPR.2017.632) in 3D. The output is a map of scores, one per
overlapping patch of 70 voxels, without a sigmoid: it is trained with ``lsgan``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from TomoRayLib.networks.view_axes import VIEWS, spread_along_depth, to_patient_axes, upright
from TomoRayLib.networks.x2ct import InstanceNorm, initialise

KERNEL, PADDING = 4, 2
SLOPE = 0.2
CHANNELS = (64, 128, 256, 512)
STRIDES = (2, 2, 2, 1)
CONDITIONED_CHANNELS = 3  # AP, lateral, CT


class PatchDiscriminator(nn.Module):
    """Scores (n, 1, d, h, w) of volumes with their radiographs (n, 3, z, y, x), as ``beside_radiographs`` makes them.

    A crop of the whole will do as well: 192 voxels give 27 scores an axis, 128 give 19, 64 give 11. Convolutions before
    a normalisation have no bias, which it would take away again.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = CONDITIONED_CHANNELS
        for channels, stride in zip(CHANNELS, STRIDES, strict=True):
            first = not layers
            layers.append(nn.Conv3d(width, channels, KERNEL, stride=stride, padding=PADDING, bias=first))
            if not first:
                layers.append(InstanceNorm())
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
            width = channels
        self.body = nn.Sequential(*layers, nn.Conv3d(width, 1, KERNEL, padding=PADDING))
        self.apply(initialise)

    def forward(self, conditioned: Tensor) -> Tensor:
        return self.body(conditioned)


def beside_radiographs(volume: Tensor, radiographs: Tensor) -> Tensor:
    """A volume (n, 1, z, y, x) with both radiographs (n, 2, rows, columns) replicated along their depth.

    The result is (n, 3, z, y, x): AP, lateral, volume. Raises ValueError if rows and columns are not
    the volume's z and x (AP) and z and y (lateral).
    """
    depth, height, width = volume.shape[2:]
    rows, columns = radiographs.shape[2:]
    if not rows == depth or not columns == height == width:
        raise ValueError(
            f"The radiographs must have the volume's z as rows, and its y and x as columns; got {rows} x {columns} "
            f"pixels with {depth} x {height} x {width} voxels. Resample them with radiographs_for_x2ct."
        )
    images = upright(radiographs)
    spread = [to_patient_axes(spread_along_depth(images[:, i : i + 1], columns), view) for i, view in enumerate(VIEWS)]
    return torch.cat([*spread, volume], dim=1)
