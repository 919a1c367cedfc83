"""The slab algorithm as one compiled loop nest (numba): no tables, no copy of the volume, a first call like any other.

The sums are those of ``slabs``. A tile of samples along b goes through all slices: for each, the voxel rows that its
rays cross are combined, turned so that the tile lies contiguous, and added to every sample along a. What lies between
the two products stays in the processor's cache. Threads take tiles in turn. Forward on the CPU alone: gradients and
other devices have ``slabs``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.projector.slabs import Finish
from TomoRayLib.projector.tables import MIN_FOOTPRINT

TILE = 64  # samples of b: with 1024 samples of a, their sums take 256 kB
LANES = 16  # voxels turned at a time: 64 bytes, a cache line

Array = NDArray[np.float64]
Shares = tuple[NDArray[np.int32], NDArray[Any]]  # first voxels (layers, samples) and weights (layers, samples, taps)
_FMA = {"contract"}


def shares(crossings: Array, count: int, dtype: Any) -> Shares:
    """``tables.overlaps`` as (layers, samples) first voxels, all of them within ``count``, and (layers, samples, taps).

    Taps of voxels outside have weight 0. ``crossings`` (layers + 1, samples) are positions in voxels.
    """
    moved = float(np.abs(np.diff(crossings, axis=0)).max())
    taps = min(int(np.ceil(max(moved, MIN_FOOTPRINT))) + 1, count)
    voxel = np.empty((len(crossings) - 1, crossings.shape[1]), np.int32)
    weight = np.zeros((*voxel.shape, taps), dtype)
    _fill_shares(np.ascontiguousarray(crossings), count, MIN_FOOTPRINT, voxel, weight)
    return voxel, weight


@dataclass(frozen=True)
class CompiledPlan:
    """All that one grid and one camera share, see ``slabs.Plan``: shares of voxels in place of tables."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    sub_slices: int
    along_a: Shares
    along_b: Shares
    finish: Finish

    @property
    def misses(self) -> bool:
        """True where no ray meets the volume."""
        return not (self.along_a[1].any() and self.along_b[1].any())

    @property
    def nbytes(self) -> int:
        return self.finish.nbytes + sum(array.nbytes for array in (*self.along_a, *self.along_b))

    def images(self, volumes: Tensor) -> Tensor:
        """(n, rows, columns) line integrals of (n, z, y, x), on the CPU and without gradients."""
        volumes = volumes.detach().contiguous()
        sums = volumes.new_empty(len(volumes), self.along_b[0].shape[1], self.along_a[0].shape[1])
        for volume, own in zip(volumes, sums, strict=True):
            write_sums(own.numpy(), volume.numpy(), self, torch.get_num_threads())
        return self.finish.images(sums)


@njit(nogil=True, cache=True)
def _fill_shares(crossings, count, least, voxel, weight):  # type: ignore[no-untyped-def]
    layers, samples, taps = weight.shape
    for layer in range(layers):
        for sample in range(samples):
            one, other = crossings[layer, sample], crossings[layer + 1, sample]
            middle, half = (one + other) / 2, max(abs(other - one), least) / 2
            low, high = middle - half, middle + half
            first = int(np.floor(low))
            begin = min(max(first, 0), count - taps)
            voxel[layer, sample] = begin
            for tap in range(taps):
                place = begin + tap
                shared = min(high, place + 1.0) - max(low, float(place))
                if shared > 0.0:
                    weight[layer, sample, tap] = shared / (high - low)


def write_sums(result: NDArray[Any], volume: NDArray[Any], plan: CompiledPlan, threads: int) -> None:
    """Writes the sums (b, a) of ``volume`` (z, y, x); both are C contiguous and of one type."""
    order = plan.order
    step = [volume.strides[axis] // volume.itemsize for axis in order]
    steps = (step[0], step[1], step[2])
    count_main, count_a = volume.shape[order[1]], volume.shape[order[2]]
    flat = volume.reshape(-1)

    def add(first: int) -> None:
        _add_tile(
            volume, flat, steps, count_main, count_a, plan.sub_slices, *plan.along_a, *plan.along_b, first, result
        )

    tiles = range(0, len(result), TILE)
    if threads < 2 or len(tiles) < 2:
        for first in tiles:
            add(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(add, tiles))


@njit(nogil=True, cache=True, fastmath=_FMA)
def _add_layer(columns, voxel, weight, sums):  # type: ignore[no-untyped-def]
    """Adds a layer's voxels along a (a, tile), weighted, to ``sums`` (samples of a, tile).

    Weights of 0 are multiplied, not asked for: a branch that cannot be foreseen costs more.
    """
    samples, taps = weight.shape
    if taps == 2:
        for sample in range(samples):
            one, other = columns[voxel[sample]], columns[voxel[sample] + 1]
            first, second, own = weight[sample, 0], weight[sample, 1], sums[sample]
            for lane in range(TILE):
                own[lane] += first * one[lane] + second * other[lane]
        return
    for sample in range(samples):
        own = sums[sample]
        for tap in range(taps):
            one, share = columns[voxel[sample] + tap], weight[sample, tap]
            for lane in range(TILE):
                own[lane] += share * one[lane]


@njit(nogil=True, cache=True, fastmath=_FMA)
def _mix(flat, start, step, weight, row):  # type: ignore[no-untyped-def]
    """Sets ``row`` to the weighted sum of the voxel rows at ``start`` and one ``step`` on for each further weight."""
    count = len(row)
    if len(weight) == 2:
        one, other = flat[start : start + count], flat[start + step : start + step + count]
        first, second = weight[0], weight[1]
        for x in range(count):
            row[x] = first * one[x] + second * other[x]
        return
    row[:] = 0
    for tap in range(len(weight)):
        one, share = flat[start + tap * step : start + tap * step + count], weight[tap]
        for x in range(count):
            row[x] += share * one[x]


@njit(nogil=True, cache=True, fastmath=_FMA)
def _turn(rows, columns):  # type: ignore[no-untyped-def]
    """Voxels along a of each lane (tile, a) to lanes of each voxel (a, tile)."""
    for begin in range(0, len(columns), LANES):
        for x in range(begin, begin + LANES):
            column = columns[x]
            for lane in range(TILE):
                column[lane] = rows[lane, x]


@njit(nogil=True, cache=True, fastmath=_FMA)
def _add_tile(volume, flat, steps, count_main, count_a, sub, voxel_a, weight_a, voxel_b, weight_b, first, result):  # type: ignore[no-untyped-def]
    """Writes the sums of the samples of b from ``first`` on. ``steps`` lie between voxels along (b, main, a)."""
    step_b, step_main, step_a = steps
    last = min(first + TILE, len(result))
    padded = -(-count_a // LANES) * LANES
    rows = np.zeros((TILE, padded + LANES), flat.dtype)  # not a power of two apart: those share a place in the cache
    columns = np.zeros((padded, TILE), flat.dtype)
    sums = np.zeros((result.shape[1], TILE), flat.dtype)
    turned = np.zeros(0, flat.dtype)
    for begin in range(0, count_main, LANES):
        end = min(begin + LANES, count_main)
        met = weight_b[begin * sub : end * sub, first:last]
        if not met.any():
            continue
        source, origin, next_b, next_main = flat, begin * step_main, step_b, step_main
        if step_a != 1:  # some slices of the rows that are needed, with voxels along a side by side
            here = voxel_b[begin * sub : end * sub, first:last]
            low, high = here.min(), here.max() + weight_b.shape[2]
            next_b, next_main = count_a, (high - low) * count_a
            if len(turned) < LANES * next_main:
                turned = np.zeros(LANES * next_main, flat.dtype)
            some = turned[: (end - begin) * next_main].reshape((end - begin, high - low, count_a))
            _load(volume, low, begin, some)
            source, origin = turned, -low * next_b
        for layer in range(begin * sub, end * sub):
            start = origin + (layer // sub - begin) * next_main
            for lane in range(last - first):
                place = start + voxel_b[layer, first + lane] * next_b
                _mix(source, place, next_b, weight_b[layer, first + lane], rows[lane, :count_a])
            _turn(rows, columns)
            _add_layer(columns, voxel_a[layer], weight_a[layer], sums)
    for lane in range(last - first):
        for sample in range(result.shape[1]):
            result[first + lane, sample] = sums[sample, lane]


@njit(nogil=True, cache=True, fastmath=_FMA)
def _load(volume, first_b, first_main, turned):  # type: ignore[no-untyped-def]
    """Copies voxels (b, a, main) to (main, b, a), as many as ``turned`` holds."""
    count_main, count_b, count_a = turned.shape
    for b in range(count_b):
        plane = volume[first_b + b]
        for begin in range(0, count_a, LANES):
            if begin + LANES <= count_a:
                for main in range(count_main):
                    own = turned[main, b, begin : begin + LANES]
                    for a in range(LANES):
                        own[a] = plane[begin + a, first_main + main]
            else:
                for main in range(count_main):
                    for a in range(begin, count_a):
                        turned[main, b, a] = plane[a, first_main + main]
