"""The network that finds vertebrae in a CT: HU in, vertebra mask and vertebra field out.

A small 3D U-Net at 2 mm. Its mask is made at full resolution, its field (``anatomy.vertebra_field``) at 4 mm and
enlarged: where the next centroid is changes slowly. The coarsest level sees some 30 cm, so ribs and pelvis can tell
which vertebra is which.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.anatomy.vertebra_field import FIELD_CHANNELS
from TomoRayLib.base.errors import InputError

SPACING_MM = 2.0
EDGE_MULTIPLE = 16  # voxels: four levels below the first, each half as fine
HU_UNIT = 400.0
DEVIATION_FLOOR = 1e-3  # added to the variance in GroupNorm: a crop of air alone has none
LOWEST, HIGHEST = -2.5, 4.0  # HU over HU_UNIT: air and lung look alike, and so do compact bone and metal


@dataclass(frozen=True)
class CTSegmenterConfig:
    """Widths per level, finest first. Raises InputError if they are not five numbers of at least 4."""

    widths: tuple[int, ...] = (16, 32, 48, 96, 128)

    def __post_init__(self) -> None:
        widths = tuple(int(width) for width in self.widths)
        if len(widths) != 5 or min(widths) < 4:
            raise InputError(f"CTSegmenterConfig.widths must be five numbers of at least 4; got {self.widths}.")
        object.__setattr__(self, "widths", widths)


def normalised_hu(hu: Tensor) -> Tensor:
    """HU as the network takes them, shaped as given: over 400, from -2.5 to 4."""
    return (hu.float() / HU_UNIT).clamp_(LOWEST, HIGHEST)


class CTSegmenter(nn.Module):
    """The network.

    ``forward`` takes ``normalised_hu`` (n, 1, z, y, x) of an axis-aligned LPS grid of 2 mm whose edges are multiples of
    16 voxels, and returns (n, 5, z, y, x) in float32: the mask's logit, and the four channels of the vertebra field.
    """

    def __init__(self, config: CTSegmenterConfig = CTSegmenterConfig()) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = _Convolutions(1, widths[0], 1)
        self.down = nn.ModuleList(_Convolutions(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.widen = nn.ModuleList(nn.Conv3d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(_Convolutions(width, width, 1) for width in widths[:-1])
        self.mask = nn.Conv3d(widths[0], 1, 3, padding=1)
        self.field = nn.Conv3d(widths[1], FIELD_CHANNELS, 3, padding=1)
        nn.init.constant_(self.mask.bias, -3.0)  # type: ignore[arg-type]  # vertebrae are rare: start near empty

    def forward(self, hu: Tensor) -> Tensor:
        skips = [self.stem(hu)]
        for block in self.down:
            skips.append(block(skips[-1]))
        volume = skips.pop()
        field: Tensor | None = None
        for level in range(len(skips) - 1, -1, -1):
            enlarged = F.interpolate(self.widen[level](volume), scale_factor=2, mode="trilinear", align_corners=False)
            volume = self.up[level](enlarged + skips.pop())
            if level == 1:
                field = self.field(volume)
        assert field is not None
        field = F.interpolate(field.float(), scale_factor=2, mode="trilinear", align_corners=False)
        return torch.cat([self.mask(volume).float(), field], dim=1)

    @property
    def coarsest_step(self) -> int:
        """Voxels of the input along an edge of a voxel of the coarsest volume."""
        return int(2 ** (len(self.config.widths) - 1))

    def to_channels_last(self) -> CTSegmenter:
        """The layers in the memory order that CPUs are fast with; in place."""
        return self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


class _Convolutions(nn.Sequential):
    """``count`` convolutions of 3^3 with GroupNorm and SiLU, the first of them with ``stride``."""

    def __init__(self, inputs: int, outputs: int, count: int, stride: int = 1) -> None:
        layers: list[nn.Module] = []
        for index in range(count):
            layers += [
                nn.Conv3d(inputs if index == 0 else outputs, outputs, 3, stride if index == 0 else 1, padding=1),
                nn.GroupNorm(4, outputs, eps=DEVIATION_FLOOR),
                nn.SiLU(inplace=True),
            ]
        super().__init__(*layers)
