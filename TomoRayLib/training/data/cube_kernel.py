"""Trilinear interpolation between the voxels of two grids along the same axes, row by row, compiled."""

from __future__ import annotations

import numpy as np

from TomoRayLib.base.compiled import compiled_for_vectors


@compiled_for_vectors
def interpolate_rows(source, z_axis, y_axis, x_axis, result):  # type: ignore[no-untyped-def]
    """Set ``result`` (c, z, y, x) to ``source`` (c, z, y, x), both float32, interpolated.

    Each axis is (low, high, low_weight, high_weight) for each place of the result: the two places of the source
    beside it, and their weights.
    """
    z_low, z_high, z_before, z_after = z_axis
    y_low, y_high, y_before, y_after = y_axis
    x_low, x_high, x_before, x_after = x_axis
    row = np.empty(source.shape[3], np.float32)
    for c in range(result.shape[0]):
        for z in range(result.shape[1]):
            below, above = source[c, z_low[z]], source[c, z_high[z]]
            for y in range(result.shape[2]):
                a, b, c_row, d = below[y_low[y]], below[y_high[y]], above[y_low[y]], above[y_high[y]]
                w_a, w_b = z_before[z] * y_before[y], z_before[z] * y_after[y]
                w_c, w_d = z_after[z] * y_before[y], z_after[z] * y_after[y]
                for x in range(len(row)):
                    row[x] = w_a * a[x] + w_b * b[x] + w_c * c_row[x] + w_d * d[x]
                out = result[c, z, y]
                for x in range(len(out)):
                    out[x] = x_before[x] * row[x_low[x]] + x_after[x] * row[x_high[x]]
