"""A volume plus a coarser one enlarged, as one operation with a gradient, for a training step on a CPU."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from TomoRayLib.training.cpu_step.numbers import as_array
from TomoRayLib.training.cpu_step.threads import make_calls, parts_of
from TomoRayLib.training.cpu_step.upsample_kernel import add_enlarged, enlarged_gradient


def plus_enlarged(volume: Tensor, coarse: Tensor) -> Tensor:
    """``volume`` (n, c, 2z, 2y, 2x) plus ``coarse`` (n, c, z, y, x) enlarged by trilinear interpolation, as
    ``F.interpolate`` does without aligned corners; channels last, of the number type of ``volume``."""
    order = torch.channels_last_3d
    volume, coarse = volume.contiguous(memory_format=order), coarse.to(volume.dtype).contiguous(memory_format=order)
    result: Tensor = _PlusEnlarged.apply(volume, coarse)
    return result


class _PlusEnlarged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, volume: Tensor, coarse: Tensor) -> Tensor:
        result = torch.empty_like(volume)
        fine, small, out = (as_array(one.permute(0, 2, 3, 4, 1)) for one in (volume, coarse, result))
        calls = [
            partial(add_enlarged, fine[n, first:last], small[n], first, out[n, first:last])
            for n in range(len(fine))
            for first, last in parts_of(fine.shape[1])
        ]
        make_calls(calls)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        gradient = gradients[0].contiguous(memory_format=torch.channels_last_3d)
        count, channels, *edges = gradient.shape
        halves = [edge // 2 for edge in edges]
        small = gradient.new_empty((count, *halves, channels)).permute(0, 4, 1, 2, 3)
        fine, out = (as_array(one.permute(0, 2, 3, 4, 1)) for one in (gradient, small))
        calls = [
            partial(enlarged_gradient, fine[n], first, out[n, first:last])
            for n in range(count)
            for first, last in parts_of(halves[0])
        ]
        make_calls(calls)
        return gradient, small
