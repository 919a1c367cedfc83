"""Large volumes of a network's run on a processor, filled, convolved and read out some slices at a time.

A volume of 192^3 voxels with eight channels takes 113 MB in bfloat16: what is done here needs no second one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.networks.norm_silu import can_run_in_place
from TomoRayLib.networks.side_by_side import side_by_side

ENLARGED_AT_ONCE = 12  # slices of the coarser volume
SLICES_AT_ONCE = 24  # of a convolution


def each_part(work: Callable[..., None], parts: Sequence[tuple[Any, ...]], volume: Tensor) -> None:
    """Call ``work`` with each of several parts of a volume, on a processor side by side."""
    if volume.device.type == "cpu" and torch.is_inference_mode_enabled():
        side_by_side([partial(work, *part) for part in parts])
        return
    for part in parts:
        work(*part)


def enlarged(volume: Tensor) -> Tensor:
    return F.interpolate(volume, scale_factor=2, mode="trilinear", align_corners=False)


def add_enlarged_(volume: Tensor, coarser: Tensor) -> Tensor:
    """The coarser volume enlarged twofold and added to the other, in its memory, some slices at a time."""

    def add(first: int, last: int, around: slice) -> None:
        start = 2 * (first - around.start)
        larger = enlarged(coarser[:, :, around])[:, :, start : start + 2 * (last - first)]
        volume[:, :, 2 * first : 2 * last].add_(larger)

    each_part(add, list(slabs(coarser.shape[2], ENLARGED_AT_ONCE)), volume)
    return volume


def convolve_(volume: Tensor, convolution: nn.Conv3d) -> None:
    """Convolve a volume into its own memory, slab by slab: the slice that the next slab still needs is kept aside."""
    before: Tensor | None = None
    for first, last, around in slabs(volume.shape[2], SLICES_AT_ONCE):
        slab = volume[:, :, around].clone(memory_format=torch.channels_last_3d)
        start = first - around.start
        if before is not None:
            slab[:, :, :1] = before
        before = slab[:, :, start + last - first - 1 : start + last - first].clone()
        volume[:, :, first:last] = convolution(slab)[:, :, start : start + last - first]


def head_logits(convolution: nn.Module, volume: Tensor) -> Tensor:
    """The two logits (n, 2, z, y, x) of a head, float32. A processor convolves to as many channels as go in far faster
    than to two of them; some slices at a time, as all these channels would fill another volume."""
    assert isinstance(convolution, nn.Conv3d)
    assert convolution.bias is not None
    missing = volume.shape[1] - convolution.out_channels
    if missing <= 0 or not can_run_in_place(volume):
        return convolution(volume).float()
    weight = F.pad(convolution.weight, (0,) * 9 + (missing,)).to(memory_format=torch.channels_last_3d)
    bias, depth = F.pad(convolution.bias, (0, missing)), volume.shape[2]
    logits = torch.empty((len(volume), convolution.out_channels, *volume.shape[2:]))
    for first, last, around in slabs(depth, SLICES_AT_ONCE):
        channels = F.conv3d(volume[:, :, around], weight, bias, padding=1)
        start = first - around.start
        logits[:, :, first:last] = channels[:, : convolution.out_channels, start : start + last - first]
    return logits


def slabs(depth: int, at_once: int) -> Iterator[tuple[int, int, slice]]:
    """First and last slice (exclusive) of each slab of a volume, and the slab with one slice more on both sides."""
    for first in range(0, depth, at_once):
        last = min(first + at_once, depth)
        yield first, last, slice(max(first - 1, 0), min(last + 1, depth))
