"""Numbers of a compiled kernel: float32 and bfloat16 tensors as arrays, and the logistic function.

Numba has no bfloat16: its bits are the upper half of a float32's and are kept as uint16.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.compiled import compiled_for_vectors

KEPT_TYPES = (torch.bfloat16, torch.float32)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
ROUNDING = np.float32(12582912.0)  # 1.5 * 2^23: added, it leaves a whole number in the lowest bits
ROUNDING_BITS = np.int32(0x4B400000)
LARGEST_EXPONENT = np.float32(87.0)


def as_array(tensor: Tensor) -> NDArray:
    """A contiguous tensor's own memory: float32, or the bits of bfloat16 as uint16, of the same shape."""
    if tensor.dtype == torch.bfloat16:
        return tensor.detach().view(torch.int16).numpy().view(np.uint16)
    return tensor.detach().numpy()


def widened(value):  # type: ignore[no-untyped-def]
    """A kept number as float32; a compiled kernel has ``_widened`` in its place."""
    if isinstance(value, np.integer):
        return (np.uint32(value) << np.uint32(16)).view(np.float32)
    return np.float32(value)


def narrowed(value, like):  # type: ignore[no-untyped-def]
    """A float32 as the kept type of ``like``, rounded to the nearest, ties to even; a compiled kernel has ``_narrowed``
    in its place."""
    if not isinstance(like, np.integer):
        return np.float32(value)
    bits = int(np.float32(value).view(np.uint32))
    return np.uint16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


@overload(widened)
def _widened(value):  # type: ignore[no-untyped-def]
    if isinstance(value, types.Integer):
        return lambda value: np.uint32(np.uint32(value) << np.uint32(16)).view(np.float32)
    return lambda value: value


@overload(narrowed)
def _narrowed(value, like):  # type: ignore[no-untyped-def]
    if isinstance(like, types.Integer):

        def rounded(value, like):  # type: ignore[no-untyped-def]
            bits = np.float32(value).view(np.uint32)
            odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
            return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

        return rounded
    return lambda value, like: np.float32(value)


@compiled_for_vectors
def exponential(value):  # type: ignore[no-untyped-def]
    """exp(value) of a float32, to 2e-7, within -87 to 87: a polynomial, because a loop that calls the library's
    function is not turned into vector instructions."""
    x = min(max(value, -LARGEST_EXPONENT), LARGEST_EXPONENT)
    shifted = x * LOG2_E + ROUNDING
    whole = shifted - ROUNDING
    rest = x - whole * LN2_HIGH - whole * LN2_LOW
    series = np.float32(1.9875691500e-4)
    series = series * rest + np.float32(1.3981999507e-3)
    series = series * rest + np.float32(8.3334519073e-3)
    series = series * rest + np.float32(4.1665795894e-2)
    series = series * rest + np.float32(1.6666665459e-1)
    series = series * rest + np.float32(5.0000001201e-1)
    series = series * rest * rest + rest + np.float32(1.0)
    power = np.int32(np.int32(np.float32(shifted).view(np.int32) - ROUNDING_BITS) << np.int32(23))
    return np.int32(np.float32(series).view(np.int32) + power).view(np.float32)


@compiled_for_vectors
def logistic(value):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-value)) of a float32."""
    return np.float32(1.0) / (np.float32(1.0) + exponential(-value))
