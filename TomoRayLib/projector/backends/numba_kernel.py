"""The slab algorithm as one compiled loop nest (numba): no index tables, no copy of the volume, no costly first view.

The sums are those of ``torch_slabs``. A tile of samples along b goes through all slices: for each, the voxel rows that
its rays cross are combined, turned so that the tile lies contiguous, and added to every sample along a. What lies
between the two products stays in the processor's cache. Threads take tiles in turn. Forward on the CPU alone:
gradients and other devices are left to ``torch_slabs``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.compiled import compiled
from TomoRayLib.projector.crossings import crossings_of
from TomoRayLib.projector.finish import Finish
from TomoRayLib.projector.slab_rays import SlabRays
from TomoRayLib.projector.tables import MIN_FOOTPRINT, Shares

TILE = 64  # samples of b: with 1024 samples of a, their sums take 256 kB
LANES = 16  # voxels turned at a time: 64 bytes, a cache line
SLICES = 16  # loaded at a time if x is the main axis: a cache line as well

Array = NDArray[np.float64]


def shares(crossings: Array, count: int, dtype: Any) -> Shares:
    """``tables.shares_within`` with weights of ``dtype``, compiled.

    ``crossings`` (layers + 1, samples) are positions in voxels.
    """
    moved = float(np.abs(np.diff(crossings, axis=0)).max())
    taps = min(int(np.ceil(max(moved, MIN_FOOTPRINT))) + 1, count)
    voxel = np.empty((len(crossings) - 1, crossings.shape[1]), np.int32)
    weight = np.zeros((*voxel.shape, taps), dtype)
    _fill_shares(np.ascontiguousarray(crossings), count, MIN_FOOTPRINT, voxel, weight)
    return Shares(voxel, weight)


@dataclass(frozen=True)
class NumbaPlan:
    """All that one grid and one camera share, with shares of voxels in place of the tables of ``torch_slabs``."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    sub_slices: int
    along_a: Shares
    along_b: Shares
    finish: Finish

    @cached_property
    def met(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Along a and b, (layers, 2): the range of samples, end excluded, whose rays meet voxels."""
        return _first_and_last(self.along_a.weight), _first_and_last(self.along_b.weight)

    @cached_property
    def misses(self) -> bool:
        """True if no ray meets the volume."""
        met_a, met_b = (met[:, 1] > met[:, 0] for met in self.met)
        return not bool(np.any(met_a & met_b))

    @property
    def nbytes(self) -> int:
        return self.finish.nbytes + self.along_a.nbytes + self.along_b.nbytes

    def images(self, volumes: Tensor) -> Tensor:
        """(n, rows, columns) line integrals of (n, z, y, x), on the CPU and without gradients."""
        volumes = volumes.detach()
        sums = volumes.new_empty(len(volumes), self.along_b.voxel.shape[1], self.along_a.voxel.shape[1])
        together = len(volumes) if all(volume.is_contiguous() for volume in volumes) else 1  # else one copy at a time
        for first in range(0, len(volumes), max(together, 1)):
            some = [volume.contiguous().numpy() for volume in volumes[first : first + together]]
            write_sums(sums[first : first + together].numpy(), some, self, torch.get_num_threads())
        return self.finish.images(sums)


def make_plan(rays: SlabRays, dtype: torch.dtype) -> NumbaPlan:
    """The plan of one grid and camera: a few milliseconds of work."""
    crossings = crossings_of(rays, "cpu", dtype)
    size, (axis_a, axis_b) = rays.grid.size, rays.in_plane
    kind = np.float32 if dtype == torch.float32 else np.float64
    return NumbaPlan(
        crossings.order,
        crossings.sub_slices,
        shares(crossings.along_a, size[axis_a], kind),
        shares(crossings.along_b, size[axis_b], kind),
        crossings.finish,
    )


def _first_and_last(weight: NDArray[Any]) -> NDArray[np.int64]:
    """(layers, 2): the first sample with a weight, and the one after the last; the same if there is none."""
    met = np.any(weight != 0, axis=2)
    first, last = met.argmax(axis=1), met.shape[1] - met[:, ::-1].argmax(axis=1)
    return np.stack([first, np.where(np.any(met, axis=1), last, first)], axis=1)


@compiled
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


def write_sums(result: NDArray[Any], volumes: Sequence[NDArray[Any]], plan: NumbaPlan, threads: int) -> None:
    """Write the sums (n, b, a) of ``volumes``, each (z, y, x); all are C contiguous and of one type."""
    nz, ny, nx = volumes[0].shape
    steps = tuple((ny * nx, nx, 1)[axis] for axis in plan.order)  # an axis of a single voxel may have any stride
    size = tuple((nz, ny, nx)[axis] for axis in plan.order)
    _, samples_b, samples_a = result.shape
    tiles = range(0, samples_b, TILE)
    # If there are fewer tiles than threads, each is cut along a; its parts all begin with the same voxel rows.
    parts = max(1, min(threads // max(1, len(tiles) * len(volumes)), -(-samples_a // TILE)))
    width = -(-samples_a // parts)

    def add(volume: NDArray[Any], own: NDArray[Any], first: int, begin: int) -> None:
        ends = np.array([first, min(first + TILE, samples_b), begin, min(begin + width, samples_a)])
        flat = volume.reshape(-1)
        shares = (plan.along_a.voxel, plan.along_a.weight, plan.along_b.voxel, plan.along_b.weight)
        _add_tile(volume, flat, steps, size, plan.sub_slices, *shares, *plan.met, ends, own)

    _in_threads(
        [
            partial(add, volume, own, first, begin)
            for volume, own in zip(volumes, result, strict=True)
            for first in tiles
            for begin in range(0, samples_a, width)
        ],
        threads,
    )


def _in_threads(tasks: Sequence[Callable[[], None]], threads: int) -> None:
    """Do all tasks, in this thread and others. Raises what one of them raised."""
    left, raised = iter(tasks), []

    def work() -> None:
        try:
            for task in left:
                task()
        except BaseException as error:
            raised.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(min(threads, len(tasks)) - 1)]
    started = []
    for helper in helpers:
        try:
            helper.start()
        except RuntimeError:  # the interpreter is ending, or there are too many threads: the others do the work
            break
        started.append(helper)
    work()
    for helper in started:
        helper.join()
    if raised:
        raise raised[0]


@compiled
def _add_layer(columns, voxel, weight, sums):  # type: ignore[no-untyped-def]
    """Add a layer's voxels along a (a, tile), weighted, to ``sums`` (samples of a, tile).

    Weights of 0 are multiplied, not skipped: a branch that cannot be predicted costs more.
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


@compiled
def _mix(flat, start, step, weight, row):  # type: ignore[no-untyped-def]
    """Set ``row`` to the weighted sum of the voxel rows at ``start`` and one ``step`` on for each further weight."""
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


@compiled
def _turn(rows, columns):  # type: ignore[no-untyped-def]
    """Transpose voxels along a of each lane (tile, a) to lanes of each voxel (a, tile)."""
    for begin in range(0, len(columns), LANES):
        for x in range(begin, begin + LANES):
            column = columns[x]
            for lane in range(TILE):
                column[lane] = rows[lane, x]


@compiled
def _add_tile(volume, flat, steps, size, sub, voxel_a, weight_a, voxel_b, weight_b, met_a, met_b, ends, result):  # type: ignore[no-untyped-def]
    """Write the sums of the samples ``ends``: of b from the first to before the second, of a from the third to before
    the fourth. ``steps`` lie between voxels along (b, main, a), of which there are ``size``."""
    step_b, step_main, step_a = steps
    count_main, count_a = size[1], size[2]
    first, last, first_a, last_a = ends
    padded = -(-count_a // LANES) * LANES
    rows = np.zeros((TILE, padded + LANES), flat.dtype)  # rows a power of two apart would share a place in the cache
    columns = np.zeros((padded, TILE), flat.dtype)
    sums = np.zeros((last_a - first_a, TILE), flat.dtype)
    turned = np.zeros(0, flat.dtype)
    for begin in range(0, count_main, SLICES):
        end = min(begin + SLICES, count_main)
        low, high = _rows_needed(voxel_b, met_b, begin * sub, end * sub, first, last)
        if low >= high:
            continue
        high += weight_b.shape[2] - 1
        source, origin, next_b, next_main = flat, begin * step_main, step_b, step_main
        if (
            step_a != 1
        ):  # x is the main axis: some slices of the rows needed, transposed so that voxels along a are contiguous
            next_b, next_main = count_a, (high - low) * count_a
            if len(turned) < SLICES * next_main:
                turned = np.empty(SLICES * next_main, flat.dtype)
            _load(volume, low, begin, turned[: (end - begin) * next_main].reshape((end - begin, high - low, count_a)))
            source, origin = turned, -low * next_b
        for layer in range(begin * sub, end * sub):
            start = origin + (layer // sub - begin) * next_main
            begin_a, end_a = max(met_a[layer, 0], first_a), min(met_a[layer, 1], last_a)
            begin_b, end_b = max(met_b[layer, 0], first), min(met_b[layer, 1], last)
            if begin_a >= end_a or begin_b >= end_b:
                continue
            voxel, weight = voxel_b[layer, begin_b:end_b], weight_b[layer, begin_b:end_b]
            for met in range(end_b - begin_b):
                row = rows[begin_b - first + met, :count_a]
                _mix(source, start + voxel[met] * next_b, next_b, weight[met], row)
            rows[: begin_b - first] = 0
            rows[end_b - first :] = 0
            _turn(rows, columns)
            here = slice(begin_a, end_a)
            _add_layer(columns, voxel_a[layer, here], weight_a[layer, here], sums[begin_a - first_a : end_a - first_a])
    for sample in range(first, last):
        for sample_a in range(first_a, last_a):
            result[sample, sample_a] = sums[sample_a - first_a, sample - first]


@compiled
def _rows_needed(voxel_b, met_b, begin, end, first, last):  # type: ignore[no-untyped-def]
    """The range of voxels of b, end excluded, that holds the first taps of some layers' samples that meet voxels."""
    low, high = np.int64(2**62), np.int64(0)
    for layer in range(begin, end):
        for sample in range(max(met_b[layer, 0], first), min(met_b[layer, 1], last)):
            low, high = min(low, voxel_b[layer, sample]), max(high, voxel_b[layer, sample] + 1)
    return low, high


@compiled
def _load(volume, first_b, first_main, turned):  # type: ignore[no-untyped-def]
    """Copy voxels (b, a, main) to (main, b, a), as many as ``turned`` holds."""
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
