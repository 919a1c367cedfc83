"""GroupNorm followed by SiLU over a volume, in place, for a network's run on a processor.

PyTorch's GroupNorm of channels-last bfloat16 is a third of the network's time (torch 2.13, AVX-512) and needs a second
volume. Here the sums of a group and the normalised values are taken block by block, each block small enough to stay in
the processor's cache. Values are rounded where PyTorch rounds them: after the norm and after the SiLU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK_VALUES = 1 << 21  # 4 MB in bfloat16 and 8 MB in float32
LEAST_VALUES = 1 << 23  # of a volume that gains: the blocks of a smaller one cost more than they save
LANE_VALUES = 512  # of a row of a block: several voxels, so that a row fills the processor's registers


def can_run_in_place(volume: Tensor) -> bool:
    """Return whether ``norm_silu_`` takes a volume: a large one on the processor, channels last, which is not to be
    differentiated."""
    return (
        volume.device.type == "cpu"
        and volume[:1].numel() >= LEAST_VALUES
        and not volume.requires_grad
        and volume.is_contiguous(memory_format=torch.channels_last_3d)
    )


def norm_silu_(volume: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Normalise a volume and apply SiLU, in its own memory.

    Args:
        volume: (n, c, z, y, x), for which ``can_run_in_place`` holds; bfloat16 or float32.
        norm: The norm, with weight and bias (Wu and He 2018, arXiv:1803.08494).

    Returns:
        The same volume: ``silu(norm(volume))``.
    """
    for one in volume.permute(0, 2, 3, 4, 1):  # (z, y, x, c), contiguous
        rows = one.reshape(-1, _row_length(one))
        room = torch.empty(_rows_at_once(rows), rows.shape[1])
        scale, shift = _scale_and_shift(rows, one.shape[-1], norm, room)
        for block in rows.split(len(room)):
            values = room[: len(block)].copy_(block)
            block.copy_(torch.addcmul(shift, values, scale, out=values))
            F.silu(block, inplace=True)
    return volume


def _row_length(voxels: Tensor) -> int:
    """Values of whole voxels (z, y, x, c) in a row: up to ``LANE_VALUES``, so that all rows are full."""
    channels = voxels.shape[-1]
    count, together = voxels.numel() // channels, 1
    while count % (2 * together) == 0 and 2 * together * channels <= LANE_VALUES:
        together *= 2
    return channels * together


def _rows_at_once(rows: Tensor) -> int:
    return max(1, BLOCK_VALUES // rows.shape[1])


def _scale_and_shift(rows: Tensor, channels: int, norm: nn.GroupNorm, room: Tensor) -> tuple[Tensor, Tensor]:
    """What a row is multiplied by, and what is added then: float32, one for each value of a row. ``room`` is
    overwritten."""
    length = rows.shape[1]
    ones = torch.ones(1, len(room))
    total, squares = torch.zeros(1, length, dtype=torch.float64), torch.zeros(1, length, dtype=torch.float64)
    with torch.autocast("cpu", enabled=False):
        for block in rows.split(len(room)):
            values = room[: len(block)].copy_(block)
            total += ones[:, : len(values)] @ values
            squares += ones[:, : len(values)] @ values.square_()
    groups = norm.num_groups
    by_group = (-1, groups, channels // groups)
    count = rows.numel() / groups
    mean = total.view(by_group).sum(dim=(0, 2)) / count
    variance = squares.view(by_group).sum(dim=(0, 2)) / count - mean.square()
    inverse = (variance.clamp_(min=0.0) + norm.eps).rsqrt()
    each = channels // groups
    scale = inverse.repeat_interleave(each) * norm.weight.double()
    shift = norm.bias.double() - mean.repeat_interleave(each) * scale
    together = length // channels
    return scale.float().repeat(together), shift.float().repeat(together)
