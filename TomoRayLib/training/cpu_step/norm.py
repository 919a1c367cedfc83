"""GroupNorm followed by SiLU, as one operation with a gradient, for channels-last tensors on a CPU.

Stock GroupNorm reads a channels-last volume five times as slowly, and SiLU reads and writes it once more; here each way
takes two passes, and nothing but the input is kept for the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from TomoRayLib.training.cpu_step import norm_kernel
from TomoRayLib.training.cpu_step.numbers import as_array
from TomoRayLib.training.cpu_step.threads import make_calls, parts_of

Floats = NDArray[np.float64]


def norm_silu(norm: nn.GroupNorm, x: Tensor, added: Tensor | None = None) -> Tensor:
    """SiLU(norm(x) + added), in the number type of ``x`` and channels last.

    Args:
        norm: The norm, with its weights.
        x: (n, c, rows, columns) or (n, c, z, y, x), bfloat16 or float32, in any memory order.
        added: What is added in between, as ``x``; nothing if left out.
    """
    order = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    x = x.contiguous(memory_format=order)
    if added is not None:
        added = added.to(x.dtype).contiguous(memory_format=order)
    result: Tensor = _NormSilu.apply(x, norm.weight, norm.bias, added, norm.num_groups, norm.eps)
    return result


class _NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, added: Tensor | None, groups: int, eps: float
    ) -> Tensor:
        channels, result = x.shape[1], torch.empty_like(x)
        rows, out = _rows(x), _rows(result)
        sums = _summed(rows, channels, lambda part, total: norm_kernel.sum_rows(part[0], total), (rows,))
        mean, rate = _statistics(sums, rows, groups, eps)
        scale, shift = _scale_and_shift(mean, rate, _double(weight), _double(bias))
        length = rows.shape[2]
        wide = [(_row(scale[n], length), _row(shift[n], length)) for n in range(len(rows))]
        calls = []
        for n in range(len(rows)):
            for first, last in parts_of(rows.shape[1]):
                part = (rows[n, first:last], *wide[n])
                if added is None:
                    calls.append(partial(norm_kernel.scale_and_activate, *part, out[n, first:last]))
                else:
                    more = _rows(added)[n, first:last]
                    calls.append(partial(norm_kernel.scale_add_and_activate, *part, more, out[n, first:last]))
        make_calls(calls)
        ctx.save_for_backward(x, weight, added)
        ctx.groups, ctx.statistics, ctx.wide = groups, (mean, rate), wide
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, added = ctx.saved_tensors
        order = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        gradient = gradients[0].to(x.dtype).contiguous(memory_format=order)
        before, (mean, rate) = torch.empty_like(x), ctx.statistics
        rows, channels = _rows(x), x.shape[1]
        more = () if added is None else (_rows(added),)

        def add_up(part: list[NDArray], total: NDArray[np.float32]) -> None:
            at, above, out, n, *between = part
            wide = ctx.wide[int(n)]
            if between:
                norm_kernel.added_activation_gradient(at, above, *wide, *between, out, total)
            else:
                norm_kernel.activation_gradient(at, above, *wide, out, total)

        numbers = np.arange(len(rows))[:, None].repeat(rows.shape[1], axis=1)
        sums = _summed(rows, channels, add_up, (rows, _rows(gradient), _rows(before), numbers, *more))
        by_group = (len(rows), ctx.groups, channels // ctx.groups)
        scaled, total = sums * _double(weight), rows.shape[1] * rows.shape[2] // ctx.groups
        # about the mean of its group, x has the standard deviation 1 / rate
        along = (sums[:, 1] - mean * sums[:, 0]) * rate
        plain = scaled[:, 0].reshape(by_group).sum(-1, keepdims=True).repeat(by_group[2], -1).reshape(mean.shape)
        along_group = (along * _double(weight)).reshape(by_group).sum(-1, keepdims=True)
        along_group = along_group.repeat(by_group[2], -1).reshape(mean.shape)
        of_x = -(rate**2) * along_group / total
        constant = -rate * plain / total - of_x * mean
        factors = (rate * _double(weight), of_x, constant)
        result = before if added is None else torch.empty_like(x)
        out, first_rows = _rows(result), _rows(before)
        calls: list[Callable[[], None]] = []
        for n in range(len(rows)):
            wide = [_row(one[n], rows.shape[2]) for one in factors]
            for first, last in parts_of(rows.shape[1]):
                part = (rows[n, first:last], first_rows[n, first:last], *wide)
                if added is None:
                    calls.append(partial(norm_kernel.norm_gradient_in_place, *part))
                else:
                    calls.append(partial(norm_kernel.norm_gradient, *part, out[n, first:last]))
        make_calls(calls)
        of_weight = torch.from_numpy(along.sum(axis=0)).to(weight.dtype)
        of_bias = torch.from_numpy(sums[:, 0].sum(axis=0)).to(weight.dtype)
        return result, of_weight, of_bias, None if added is None else before, None, None


def _rows(tensor: Tensor) -> NDArray:
    """A channels-last tensor as (n, rows, columns * channels), the columns being its last axis; no copy."""
    last = as_array(tensor.movedim(1, -1))
    return last.reshape(len(last), -1, last.shape[-2] * last.shape[-1])


def _row(values: Floats, length: int) -> NDArray[np.float32]:
    return np.tile(values.astype(np.float32), length // len(values))


def _double(parameter: Tensor) -> Floats:
    return parameter.detach().double().numpy()


def _summed(
    rows: NDArray, channels: int, add_up: Callable[[list[NDArray], NDArray[np.float32]], None], arrays: tuple
) -> Floats:
    """(n, 2, c): what ``add_up`` adds to two rows of zeros from parts of the arrays' rows, summed over all places."""
    parts = parts_of(rows.shape[1])
    totals = np.zeros((len(rows), len(parts), 2, rows.shape[2]), np.float32)
    calls = []
    for n in range(len(rows)):
        for number, (first, last) in enumerate(parts):
            cut = [array[n, first:last] if array.ndim == 3 else array[n, 0] for array in arrays]
            calls.append(partial(add_up, cut, totals[n, number]))
    make_calls(calls)
    return totals.sum(axis=1, dtype=np.float64).reshape(len(rows), 2, -1, channels).sum(axis=2)


def _statistics(sums: Floats, rows: NDArray, groups: int, eps: float) -> tuple[Floats, Floats]:
    """(mean, 1 over the standard deviation) of each channel's group, both (n, c)."""
    count, _, channels = sums.shape
    each = channels // groups
    total = rows.shape[1] * rows.shape[2] / groups
    mean, square = (sums[:, i].reshape(count, groups, each).sum(axis=2) / total for i in (0, 1))
    rate = 1.0 / np.sqrt(np.maximum(square - mean**2, 0.0) + eps)
    return mean.repeat(each, axis=1), rate.repeat(each, axis=1)


def _scale_and_shift(mean: Floats, rate: Floats, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    scale = rate * weight
    return scale, bias - mean * scale
