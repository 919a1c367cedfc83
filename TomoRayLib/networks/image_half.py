"""What may stand between the 2D encoder and the lifting: a decoder over all scales, and views that look at each other.

Without these, what is lifted at a fine level knows the surroundings that its own stride has seen and nothing else. Both
parts add to the encoder's features, at first nothing, so that weights from before them start a network that has them.
Features are those of both views one after the other, (2 n, channels, rows, columns), AP first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EXCHANGED_CHANNELS = 32  # per view
EXCHANGE_KERNEL = 5  # heights; at a stride of 8 pixels of 4/3 mm some 53 mm, a vertebra and a half


class ImageDecoder(nn.Module):
    """Carries the coarser features of each view up to the finer ones, from the coarsest level to ``finest``.

    ``widths`` are the encoder's channels per level, finest first (a top-down feature pyramid: Lin et al. 2017,
    doi:10.1109/CVPR.2017.106).
    """

    def __init__(self, widths: Sequence[int], finest: int) -> None:
        super().__init__()
        self.levels = range(len(widths) - 2, finest - 1, -1)
        self.narrow = nn.ModuleDict({str(k): nn.Conv2d(widths[k + 1], widths[k], 1) for k in self.levels})
        self.body = nn.ModuleDict({str(k): _refining(widths[k]) for k in self.levels})
        self.added = nn.ModuleDict({str(k): _adding_nothing(widths[k], widths[k]) for k in self.levels})

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """The features of all levels, those from the second coarsest to ``finest`` with what is added, and the
        decoder's own of ``finest``, for losses in the image plane."""
        decoded, coarser = list(features), features[-1]
        for level in self.levels:
            key, fine = str(level), features[level]
            upsampled = _enlarged(self.narrow[key](coarser), fine.shape[-2:])
            coarser = self.body[key](fine + upsampled)
            decoded[level] = fine + self.added[key](coarser)
        return decoded, coarser


class RowExchange(nn.Module):
    """Lets each view see what the other shows at the same height, on one level of ``channels``.

    A height of the cube is a row of both radiographs, a different one in each if the beams differ: the rows are found
    on the cube's axis, x = y = 0, with the geometry that the network is told. Each view's row is summed up by its mean
    and its maximum; what comes back is added to the whole row.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        joint = 2 * EXCHANGED_CHANNELS
        self.summed_up = nn.Conv1d(2 * channels, EXCHANGED_CHANNELS, 1)
        self.along = nn.Sequential(_along_heights(joint), nn.SiLU(), _along_heights(joint), nn.SiLU())
        self.added = nn.ModuleList(nn.Conv1d(joint, channels, 1) for _ in range(2))
        for one in self.added:
            _zeroed(one)

    def forward(self, features: Tensor, cube_to_pixel: Tensor) -> Tensor:
        """Features (2 n, c, rows, columns) with what is added; ``cube_to_pixel`` (n, 2, 4, 4)."""
        rows = features.shape[-2]
        profiles = self.summed_up(torch.cat([features.mean(dim=-1), features.amax(dim=-1)], dim=1))
        axis = cube_to_pixel.float()[:, :, 1::2, 2:].transpose(0, 1)  # (2, n, [row * v, v], [z, 1])
        heights = torch.linspace(-1.0, 1.0, rows, device=features.device)
        at_heights = [
            sampled(profile, 2 * row / (rows - 1) - 1)
            for profile, row in zip(profiles.chunk(2), rows_of_heights(axis, heights) / self.stride, strict=True)
        ]
        joint = self.along(torch.cat(at_heights, dim=1))
        pixels = torch.arange(rows, device=features.device, dtype=torch.float32) * self.stride
        messages = [
            added(sampled(joint, height))
            for added, height in zip(self.added, heights_of_rows(axis, pixels), strict=True)
        ]
        return features + torch.cat(messages)[..., None]


def rows_of_heights(axis: Tensor, heights: Tensor) -> Tensor:
    """The rows (..., heights), in pixels, on which the points (0, 0, z) of the cube fall; ``axis`` (..., 2, 2) is the
    part of ``cube_to_pixel`` that maps (z, 1) to (row, 1) * v."""
    row, depth = (axis[..., i, :1] * heights + axis[..., i, 1:] for i in range(2))
    return row / depth


def heights_of_rows(axis: Tensor, rows: Tensor) -> Tensor:
    """The heights z (..., rows) of the cube's axis that fall on ``rows``: the inverse of ``rows_of_heights``."""
    return (axis[..., 0, 1:] - rows * axis[..., 1, 1:]) / (rows * axis[..., 1, :1] - axis[..., 0, :1])


def sampled(profile: Tensor, places: Tensor) -> Tensor:
    """A profile (n, c, length) at ``places`` (n, m), -1 its first and 1 its last value; linear, 0 beyond its ends."""
    grid = torch.stack([places, torch.zeros_like(places)], dim=-1)[:, None]
    found = F.grid_sample(profile.float()[:, :, None], grid, padding_mode="zeros", align_corners=True)
    return found[:, :, 0].to(profile.dtype)


def _enlarged(coarse: Tensor, shape: torch.Size) -> Tensor:
    """Twice as many rows and columns: feature j of a level lies on pixel j * stride, so every second one stays."""
    rows, columns = (2 * n - 1 for n in coarse.shape[-2:])
    between = F.interpolate(coarse, size=(rows, columns), mode="bilinear", align_corners=True)
    return F.pad(between, (0, shape[1] - columns, 0, shape[0] - rows), mode="replicate")


def _refining(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.GroupNorm(_groups(width), width),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GroupNorm(_groups(width), width),
        nn.SiLU(),
    )


def _groups(channels: int) -> int:
    return next(g for g in (8, 4, 2, 1) if channels % g == 0)


def _along_heights(channels: int) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, EXCHANGE_KERNEL, padding=EXCHANGE_KERNEL // 2)


def _adding_nothing(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 1)
    _zeroed(layer)
    return layer


def _zeroed(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
