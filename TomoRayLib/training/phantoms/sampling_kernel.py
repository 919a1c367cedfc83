"""Sampling a volume at places that are known at nodes: one compiled pass without any volume of positions.

A voxel's place is interpolated between its nodes, and the volume is read there, in its own number type. Most voxels of
a scene look beyond a spine, so these are told apart first.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.base.compiled import compiled

Along = list[tuple[np.ndarray, np.ndarray]]


def sampled(volume: Tensor, nodes: np.ndarray, along: Along, outside: float) -> Tensor:
    """Trilinear samples of (z, y, x) or (c, z, y, x); the volume fades to ``outside`` within a voxel beyond its edge.

    ``nodes`` (3, z, y, x) float32 are x, y, z in voxels of the volume. ``along`` tells for z, y and x of the result the
    node before each voxel (int64) and its share of the way to the next (float32).
    """
    channels = volume.numpy() if volume.ndim == 4 else volume.numpy()[None]
    result = np.empty((len(channels), *(len(low) for low, _ in along)), np.float32)
    _sample(np.ascontiguousarray(channels), nodes, *along[0], *along[1], *along[2], np.float32(outside), result)
    return torch.from_numpy(result if volume.ndim == 4 else result[0])


def nearest(volume: Tensor, nodes: np.ndarray, along: Along) -> Tensor:
    """Nearest samples of (z, y, x), 0 beyond it; arguments as of ``sampled``."""
    source = np.ascontiguousarray(volume.numpy())
    result = np.zeros(tuple(len(low) for low, _ in along), source.dtype)
    _take_nearest(source, nodes, *along[0], *along[1], *along[2], result)
    return torch.from_numpy(result)


@compiled
def _row(nodes, j, k, y_share, z_share, row):  # type: ignore[no-untyped-def]
    """Set ``row`` (3, x nodes) to the places at a height and a depth between four rows of nodes."""
    for axis in range(3):
        for i in range(nodes.shape[3]):
            low = nodes[axis, k, j, i] + y_share * (nodes[axis, k, j + 1, i] - nodes[axis, k, j, i])
            high = nodes[axis, k + 1, j, i] + y_share * (nodes[axis, k + 1, j + 1, i] - nodes[axis, k + 1, j, i])
            row[axis, i] = low + z_share * (high - low)


@compiled
def _sample(volume, nodes, z_low, z_share, y_low, y_share, x_low, x_share, outside, result):  # type: ignore[no-untyped-def]
    channels, nz, ny, nx = volume.shape
    row = np.empty((3, nodes.shape[3]), np.float32)
    one = np.float32(1.0)
    for z in range(len(z_low)):
        for y in range(len(y_low)):
            _row(nodes, y_low[y], z_low[z], y_share[y], z_share[z], row)
            for x in range(len(x_low)):
                i, share = x_low[x], x_share[x]
                at_x = row[0, i] + share * (row[0, i + 1] - row[0, i])
                at_y = row[1, i] + share * (row[1, i + 1] - row[1, i])
                at_z = row[2, i] + share * (row[2, i + 1] - row[2, i])
                if not (-1 < at_x < nx and -1 < at_y < ny and -1 < at_z < nz):
                    for c in range(channels):
                        result[c, z, y, x] = outside
                    continue
                # from 1 on, so that cutting off the fraction rounds down
                first_x, first_y, first_z = int(at_x + one) - 1, int(at_y + one) - 1, int(at_z + one) - 1
                fx, fy, fz = at_x - np.float32(first_x), at_y - np.float32(first_y), at_z - np.float32(first_z)
                inside = 0 <= first_x < nx - 1 and 0 <= first_y < ny - 1 and 0 <= first_z < nz - 1
                for c in range(channels):
                    if inside:
                        v00 = np.float32(volume[c, first_z, first_y, first_x])
                        v00 += fx * (np.float32(volume[c, first_z, first_y, first_x + 1]) - v00)
                        v01 = np.float32(volume[c, first_z, first_y + 1, first_x])
                        v01 += fx * (np.float32(volume[c, first_z, first_y + 1, first_x + 1]) - v01)
                        v10 = np.float32(volume[c, first_z + 1, first_y, first_x])
                        v10 += fx * (np.float32(volume[c, first_z + 1, first_y, first_x + 1]) - v10)
                        v11 = np.float32(volume[c, first_z + 1, first_y + 1, first_x])
                        v11 += fx * (np.float32(volume[c, first_z + 1, first_y + 1, first_x + 1]) - v11)
                        v00 += fy * (v01 - v00)
                        v10 += fy * (v11 - v10)
                        result[c, z, y, x] = v00 + fz * (v10 - v00)
                        continue
                    total = outside
                    for corner in range(8):
                        cx, cy, cz = first_x + (corner & 1), first_y + ((corner >> 1) & 1), first_z + (corner >> 2)
                        if 0 <= cx < nx and 0 <= cy < ny and 0 <= cz < nz:
                            weight = fx if corner & 1 else one - fx
                            weight *= fy if (corner >> 1) & 1 else one - fy
                            weight *= fz if corner >> 2 else one - fz
                            total += weight * (np.float32(volume[c, cz, cy, cx]) - outside)
                    result[c, z, y, x] = total


@compiled
def _take_nearest(volume, nodes, z_low, z_share, y_low, y_share, x_low, x_share, result):  # type: ignore[no-untyped-def]
    nz, ny, nx = volume.shape
    row = np.empty((3, nodes.shape[3]), np.float32)
    half = np.float32(0.5)
    for z in range(len(z_low)):
        for y in range(len(y_low)):
            _row(nodes, y_low[y], z_low[z], y_share[y], z_share[z], row)
            for x in range(len(x_low)):
                i, share = x_low[x], x_share[x]
                at_x = row[0, i] + share * (row[0, i + 1] - row[0, i]) + half
                at_y = row[1, i] + share * (row[1, i + 1] - row[1, i]) + half
                at_z = row[2, i] + share * (row[2, i + 1] - row[2, i]) + half
                if 0 <= at_x < nx and 0 <= at_y < ny and 0 <= at_z < nz:
                    result[z, y, x] = volume[int(at_z), int(at_y), int(at_x)]
