"""How weights are stored: large tensors in 8 bits with a scale for each output channel, small ones in 16 or 32.

Symmetric: a stored value times its channel's scale, the channel's largest magnitude / 127. Packing what was unpacked
gives the same tensors again, so that a network which keeps part of another's weights can be stored as the rest alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["SCALE_ENDING", "channel_scales", "pack_state", "same_values", "unpack_state"]

SCALE_ENDING = ".int8_scale"  # of the name under which the scales of a tensor in 8 bits are stored
INT8_FROM_VALUES = 4096  # smaller tensors gain next to nothing
INT8_LARGEST = 127.0
INT8_RELATIVE_ERROR = 0.02  # largest root of the summed squares, error to weights; Gaussian weights have .008
HALF_RELATIVE_ERROR = 1e-3
SAME_WITHIN = 1e-6  # of a tensor's largest magnitude: means and products in single precision


def pack_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors to be stored, by name.

    Args:
        state: A network's state by name. Tensors with at least ``INT8_FROM_VALUES`` values and two axes (convolutions,
            linear layers, positions) are stored as int8 with float32 scales, unless the relative error were larger than
            ``INT8_RELATIVE_ERROR``; other floats as float16, or float32 where that is not enough; integers as they are.

    Returns:
        What ``unpack_state`` takes, on the CPU.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        value = tensor.detach().to("cpu").contiguous()
        if not value.is_floating_point():
            packed[name] = value
            continue
        value = value.float()
        scale = channel_scales(value) if value.dim() > 1 and value.numel() >= INT8_FROM_VALUES else None
        stored = None if scale is None else (value / scale).round().to(torch.int8)
        if stored is not None and scale is not None and _error(value, stored * scale) <= INT8_RELATIVE_ERROR:
            packed |= {name: stored, name + SCALE_ENDING: scale}
        else:
            half = value.half()
            packed[name] = half if _error(value, half.float()) <= HALF_RELATIVE_ERROR else value
    return packed


def unpack_state(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state that ``pack_state`` stored, floats in float32. Takes tensors of half precision alone as well.

    Raises ValueError for steps that do not belong to their tensor.
    """
    state = {}
    for name, value in packed.items():
        if name.endswith(SCALE_ENDING):
            continue
        scale = packed.get(name + SCALE_ENDING)
        if scale is not None and torch.broadcast_shapes(value.shape, scale.shape) != value.shape:
            raise ValueError(f"steps of shape {tuple(scale.shape)} for {name} of shape {tuple(value.shape)}")
        floats = value.is_floating_point() or scale is not None
        state[name] = (value.float() if scale is None else value * scale) if floats else value
    return state


def channel_scales(value: Tensor) -> Tensor:
    """The step of each output channel in 8 bits, (channels, 1, ...) or, if the first axis has length 1, along the next
    one; 1 for a channel of zeros."""
    axis = next((axis for axis, size in enumerate(value.shape) if size > 1), 0)
    others = [other for other in range(value.dim()) if other != axis]
    largest = value.abs().amax(dim=others, keepdim=True)
    return torch.where(largest > 0, largest / INT8_LARGEST, torch.ones_like(largest))


def same_values(first: Tensor, second: Tensor) -> bool:
    """True if two tensors differ by rounding in single precision at most."""
    if first.shape != second.shape or not first.is_floating_point():
        return torch.equal(first, second)
    largest = second.abs().max() if second.numel() else 0.0
    return torch.allclose(first, second, rtol=0.0, atol=SAME_WITHIN * float(largest))


def _error(value: Tensor, stored: Tensor) -> float:
    """Root of the summed squares of the error relative to the tensor's own; infinite if it is not finite."""
    if not bool(torch.isfinite(stored).all()):
        return float("inf")
    return float((value - stored).double().norm() / value.double().norm().clamp_min(1e-30))
