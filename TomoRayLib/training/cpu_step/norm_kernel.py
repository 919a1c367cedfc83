"""GroupNorm and SiLU of channels-last rows in one pass each way. Arrays are (rows, length): the channels of a row's
voxels lie next to each other, so what differs by channel is given as a row as well."""

from __future__ import annotations

import numpy as np

from TomoRayLib.base.compiled import compiled_for_vectors
from TomoRayLib.training.cpu_step.numbers import logistic, narrowed, widened


@compiled_for_vectors
def sum_rows(x, sums):  # type: ignore[no-untyped-def]
    """Add the rows of ``x`` to ``sums[0]`` and their squares to ``sums[1]``."""
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = widened(x[row, i])
            sums[0, i] += value
            sums[1, i] += value * value


@compiled_for_vectors
def scale_and_activate(x, scale, shift, result):  # type: ignore[no-untyped-def]
    """Set ``result`` to SiLU(x * scale + shift)."""
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = widened(x[row, i]) * scale[i] + shift[i]
            result[row, i] = narrowed(value * logistic(value), result[row, i])


@compiled_for_vectors
def scale_add_and_activate(x, scale, shift, added, result):  # type: ignore[no-untyped-def]
    """Set ``result`` to SiLU(x * scale + shift + added)."""
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = widened(x[row, i]) * scale[i] + shift[i] + widened(added[row, i])
            result[row, i] = narrowed(value * logistic(value), result[row, i])


@compiled_for_vectors
def activation_gradient(x, gradient, scale, shift, result, sums):  # type: ignore[no-untyped-def]
    """Set ``result`` to the gradient before SiLU; add its rows to ``sums[0]`` and those times ``x`` to ``sums[1]``."""
    one = np.float32(1.0)
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            at = widened(x[row, i])
            value = at * scale[i] + shift[i]
            share = logistic(value)
            before = widened(gradient[row, i]) * share * (one + value * (one - share))
            result[row, i] = narrowed(before, result[row, i])
            sums[0, i] += before
            sums[1, i] += before * at


@compiled_for_vectors
def added_activation_gradient(x, gradient, scale, shift, added, result, sums):  # type: ignore[no-untyped-def]
    """``activation_gradient`` where ``added`` was added before SiLU."""
    one = np.float32(1.0)
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            at = widened(x[row, i])
            value = at * scale[i] + shift[i] + widened(added[row, i])
            share = logistic(value)
            before = widened(gradient[row, i]) * share * (one + value * (one - share))
            result[row, i] = narrowed(before, result[row, i])
            sums[0, i] += before
            sums[1, i] += before * at


@compiled_for_vectors
def norm_gradient(x, before, of_gradient, of_x, constant, result):  # type: ignore[no-untyped-def]
    """Set ``result``, which is not ``before``, to before * of_gradient + x * of_x + constant."""
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = widened(before[row, i]) * of_gradient[i] + widened(x[row, i]) * of_x[i] + constant[i]
            result[row, i] = narrowed(value, result[row, i])


@compiled_for_vectors
def norm_gradient_in_place(x, before, of_gradient, of_x, constant):  # type: ignore[no-untyped-def]
    """Set ``before`` to what ``norm_gradient`` gives: one array for two, else a loop is not turned into vector
    instructions."""
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = widened(before[row, i]) * of_gradient[i] + widened(x[row, i]) * of_x[i] + constant[i]
            before[row, i] = narrowed(value, before[row, i])
