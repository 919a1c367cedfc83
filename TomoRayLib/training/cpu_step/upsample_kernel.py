"""A volume enlarged to twice its edges by trilinear interpolation and added to another, and the way back.

Volumes are (z, y, x, c). A fine voxel lies a quarter of a coarse one off its middle, so it takes three quarters of that
and a quarter of the neighbour; beyond the edge the outermost voxel goes on.
"""

from __future__ import annotations

import numpy as np

from TomoRayLib.base.compiled import compiled_for_vectors
from TomoRayLib.training.cpu_step.numbers import narrowed, widened

NEAR, FAR = np.float32(0.75), np.float32(0.25)


@compiled_for_vectors
def _neighbour(fine, size):  # type: ignore[no-untyped-def]
    """The coarse voxel next to the one that a fine voxel lies in."""
    return min(max(fine // 2 - 1 + 2 * (fine % 2), 0), size - 1)


@compiled_for_vectors
def add_enlarged(volume, coarse, first, result):  # type: ignore[no-untyped-def]
    """Set slices of ``result``, from ``first`` on, to those of ``volume`` plus ``coarse`` enlarged."""
    depth, height, width, channels = coarse.shape
    row = np.empty((width, channels), np.float32)
    for k in range(result.shape[0]):
        near_z, far_z = (first + k) // 2, _neighbour(first + k, depth)
        for y in range(2 * height):
            near_y, far_y = y // 2, _neighbour(y, height)
            a, b, c, d = coarse[near_z, near_y], coarse[near_z, far_y], coarse[far_z, near_y], coarse[far_z, far_y]
            for x in range(width):
                for i in range(channels):
                    near = NEAR * widened(a[x, i]) + FAR * widened(b[x, i])
                    row[x, i] = NEAR * near + FAR * (NEAR * widened(c[x, i]) + FAR * widened(d[x, i]))
            for x in range(2 * width):
                beside, behind = row[x // 2], row[_neighbour(x, width)]
                own, out = volume[k, y, x], result[k, y, x]
                for i in range(channels):
                    out[i] = narrowed(widened(own[i]) + NEAR * beside[i] + FAR * behind[i], out[i])


@compiled_for_vectors
def enlarged_gradient(gradient, first, result):  # type: ignore[no-untyped-def]
    """Set slices of the gradient with respect to the coarse volume, from ``first`` on, from all of the fine one's."""
    height, width, channels = result.shape[1:]
    depth = gradient.shape[0] // 2
    slab = np.empty((2 * height, 2 * width * channels), np.float32)
    row = np.empty((2 * width, channels), np.float32)
    flat = row.reshape(-1)
    for k in range(result.shape[0]):
        slab[:] = 0
        for z in range(max(2 * (first + k) - 1, 0), min(2 * (first + k) + 3, 2 * depth)):
            weight = _weight(z, first + k, depth)
            for y in range(2 * height):
                source, target = gradient[z, y].reshape(-1), slab[y]
                for i in range(len(target)):
                    target[i] += weight * widened(source[i])
        for j in range(height):
            row[:] = 0
            for y in range(max(2 * j - 1, 0), min(2 * j + 3, 2 * height)):
                weight, source = _weight(y, j, height), slab[y]
                for i in range(len(flat)):
                    flat[i] += weight * source[i]
            for x in range(width):
                out = result[k, j, x]
                before, own, next_own = row[max(2 * x - 1, 0)], row[2 * x], row[2 * x + 1]
                behind = row[min(2 * x + 2, 2 * width - 1)]
                for i in range(channels):
                    value = NEAR * (own[i] + next_own[i]) + FAR * (before[i] + behind[i])
                    out[i] = narrowed(value, out[i])


@compiled_for_vectors
def _weight(fine, coarse, size):  # type: ignore[no-untyped-def]
    """How much of a coarse voxel a fine one took."""
    weight = np.float32(0.0)
    if fine // 2 == coarse:
        weight += NEAR
    if _neighbour(fine, size) == coarse:
        weight += FAR
    return weight
