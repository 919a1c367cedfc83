"""Image features carried into a volume along the rays of two views, and the way back, channel by channel in a row.

Planes are (rows, columns, c) float32; volumes (z, y, x, c) of any kept number type. Features are interpolated
bilinearly, 0 outside of the plane.
"""

from __future__ import annotations

import numpy as np

from TomoRayLib.base.compiled import compiled_for_vectors
from TomoRayLib.training.cpu_step.numbers import narrowed, widened


@compiled_for_vectors
def _beside(place, size):  # type: ignore[no-untyped-def]
    """(first, second, weight of first, weight of second) of the pixels beside a place; the weight of one that lies
    outside is 0, and its index any."""
    if not place > -1.0:  # also what is not a number
        return 0, 0, np.float32(0.0), np.float32(0.0)
    if not place < size:
        return 0, 0, np.float32(0.0), np.float32(0.0)
    first = int(place + np.float32(1.0)) - 1
    share = np.float32(place - np.float32(first))
    low = np.float32(1.0) - share if first >= 0 else np.float32(0.0)
    high = share if first + 1 < size else np.float32(0.0)
    return max(first, 0), min(first + 1, size - 1), low, high


@compiled_for_vectors
def _place(matrix, x, y, z, stride):  # type: ignore[no-untyped-def]
    """(row, column) in a plane of every ``stride``-th pixel, of a point in cube coordinates."""
    column = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
    row = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
    across = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
    along = matrix[3, 0] * x + matrix[3, 1] * y + matrix[3, 2] * z + matrix[3, 3]
    return row / along / stride, column / across / stride


@compiled_for_vectors
def _read(plane, matrix, x, y, z, stride, result):  # type: ignore[no-untyped-def]
    """Set ``result`` (c,) to the features that a point of the cube sees."""
    row, column = _place(matrix, x, y, z, stride)
    top, bottom, above, below = _beside(row, plane.shape[0])
    left, right, before, after = _beside(column, plane.shape[1])
    w00, w01, w10, w11 = above * before, above * after, below * before, below * after
    v00, v01, v10, v11 = plane[top, left], plane[top, right], plane[bottom, left], plane[bottom, right]
    for c in range(len(result)):
        result[c] = w00 * v00[c] + w01 * v01[c] + w10 * v10[c] + w11 * v11[c]


@compiled_for_vectors
def _add_back(plane, matrix, x, y, z, stride, gradient):  # type: ignore[no-untyped-def]
    """Add a voxel's gradient (c,) to the pixels of ``plane`` that it was read from."""
    row, column = _place(matrix, x, y, z, stride)
    top, bottom, above, below = _beside(row, plane.shape[0])
    left, right, before, after = _beside(column, plane.shape[1])
    for down, weight_down in ((top, above), (bottom, below)):
        for across, weight_across in ((left, before), (right, after)):
            weight = weight_down * weight_across
            if weight != 0:
                pixel = plane[down, across]
                for c in range(len(gradient)):
                    pixel[c] += weight * gradient[c]


@compiled_for_vectors
def lift_slices(ap, lateral, matrices, stride, size, first, product, result):  # type: ignore[no-untyped-def]
    """Set slices of a volume, from ``first`` on, to a + l of both views' features, with ``product`` a + l + a * l."""
    seen_ap, seen_lateral = np.empty(ap.shape[2], np.float32), np.empty(ap.shape[2], np.float32)
    step, half = np.float32(2.0 / size), np.float32(0.5)
    of_product = np.float32(1.0) if product else np.float32(0.0)
    for k in range(result.shape[0]):
        z = np.float32((np.float32(first + k) + half) * step - np.float32(1.0))
        for j in range(size):
            y = np.float32((np.float32(j) + half) * step - np.float32(1.0))
            for i in range(size):
                x = np.float32((np.float32(i) + half) * step - np.float32(1.0))
                _read(ap, matrices[0], x, y, z, stride, seen_ap)
                _read(lateral, matrices[1], x, y, z, stride, seen_lateral)
                voxel = result[k, j, i]
                for c in range(len(voxel)):
                    both = seen_ap[c] + seen_lateral[c] + of_product * seen_ap[c] * seen_lateral[c]
                    voxel[c] = narrowed(both, voxel[c])


@compiled_for_vectors
def lift_gradient(ap, lateral, matrices, stride, size, first, product, gradient, of_ap, of_lateral):  # type: ignore[no-untyped-def]
    """Add the gradient of ``lift_slices`` with respect to both planes to ``of_ap`` and ``of_lateral``."""
    channels = ap.shape[2]
    seen_ap, seen_lateral = np.empty(channels, np.float32), np.empty(channels, np.float32)
    here_ap, here_lateral = np.empty(channels, np.float32), np.empty(channels, np.float32)
    step, half, one = np.float32(2.0 / size), np.float32(0.5), np.float32(1.0)
    for k in range(gradient.shape[0]):
        z = np.float32((np.float32(first + k) + half) * step - one)
        for j in range(size):
            y = np.float32((np.float32(j) + half) * step - one)
            for i in range(size):
                x = np.float32((np.float32(i) + half) * step - one)
                voxel = gradient[k, j, i]
                for c in range(channels):
                    here_ap[c] = widened(voxel[c])
                    here_lateral[c] = here_ap[c]
                if product:
                    _read(ap, matrices[0], x, y, z, stride, seen_ap)
                    _read(lateral, matrices[1], x, y, z, stride, seen_lateral)
                    for c in range(channels):
                        here_ap[c] *= one + seen_lateral[c]
                        here_lateral[c] *= one + seen_ap[c]
                _add_back(of_ap, matrices[0], x, y, z, stride, here_ap)
                _add_back(of_lateral, matrices[1], x, y, z, stride, here_lateral)
