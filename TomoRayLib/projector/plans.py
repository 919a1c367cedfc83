"""Making the tables of one grid and camera, and keeping the last ones."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from TomoRayLib.camera import Camera
from TomoRayLib.grid import Grid
from TomoRayLib.projector.checks import check_rays
from TomoRayLib.projector.lattice import in_volume_frame, ray_lattice
from TomoRayLib.projector.slab_rays import SlabRays, slab_rays
from TomoRayLib.projector.slabs import Block, Plan, TableRows
from TomoRayLib.projector.tables import Overlaps, bags, overlaps

Array = NDArray[np.float64]
# Measured at 256^3: 8 slices at a time are fastest for 256^2 pixels, 4 for 1024^2, where more leave the cache.
SLICES_PER_BLOCK = 8
BLOCK_BYTES = 4 * 2**20
TRANSPOSED_BYTES = 64 * 2**20  # of the kept copy for views along x, whose voxels are not contiguous across
# Largest product of the footprints along both axes, in voxels, before slices are cut. White noise seen at 45 + 35
# degrees: 2.4 % error uncut, 1.0 % at 0.3 and no better at 0.03, where the resampling is what remains.
JOINT_CROSSINGS_ALIGNED = 0.05
JOINT_CROSSINGS_RESAMPLED = 0.3
MOST_SUB_SLICES = 8
KEPT_PLANS_BYTES = 64 * 2**20
_ARRAY_AXIS = {0: 2, 1: 1, 2: 0}  # index axis i, j, k -> axis of the (z, y, x) array


def plan_for(grid: Grid, camera: Camera, device: str, dtype: torch.dtype) -> Plan | None:
    """The plan of a grid and a camera, kept from an earlier call where there is one; None where slabs do not serve.

    Raises ValueError for rays that ``check_rays`` refuses.
    """
    key = (grid, camera, device, dtype)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    lattice = in_volume_frame(ray_lattice(camera), grid)
    check_rays(grid, lattice)
    rays = slab_rays(grid, lattice)
    plan = None if rays is None else make_plan(rays, device, dtype)
    with _lock:
        _kept[key] = plan
        while len(_kept) > 1 and sum(kept.nbytes for kept in _kept.values() if kept is not None) > KEPT_PLANS_BYTES:
            _kept.popitem(last=False)
    return plan


def forget() -> None:
    """Drop all kept plans."""
    with _lock:
        _kept.clear()


_Key = tuple[Grid, Camera, str, torch.dtype]
_kept: OrderedDict[_Key, Plan | None] = OrderedDict()
_lock = threading.Lock()


def sub_slices(crossings_a: Array, crossings_b: Array, joint_crossings: float) -> int:
    """Into how many parts every slice is cut, so that few rays cross faces of both axes within one part.

    The footprints are what rays move sideways per slice, in voxels; ``joint_crossings`` is the largest product of both
    that is left. The error falls with the square of the number.
    """
    footprint_a, footprint_b = (float(np.abs(np.diff(places, axis=0)).max()) for places in (crossings_a, crossings_b))
    wanted = int(np.ceil(np.sqrt(footprint_a * footprint_b / joint_crossings)))
    return min(max(wanted, 1), MOST_SUB_SLICES)


@dataclass(frozen=True)
class _Layout:
    """How the volume is read: which axes are a, b and main, in blocks of ``block`` slices, tables of ``chunk``."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    count_a: int
    count_b: int
    count_main: int
    block: int
    chunk: int
    natural: TableRows | None  # the table is the volume as it lies

    def table_of(self, first: int) -> tuple[TableRows, int, int]:
        """Of the table with slice ``first``: its rows, their number, and the first slice of the table."""
        if self.natural is not None:
            return self.natural, self.count_b * self.count_main, 0
        begin = first // self.chunk * self.chunk
        slices = min(self.chunk, self.count_main - begin)
        return TableRows(slices, 1), slices * self.count_b, begin


def _layout(rays: SlabRays, samples_b: int, parts: int, itemsize: int) -> _Layout:
    size, main, (axis_a, axis_b) = rays.grid.size, rays.main, rays.in_plane
    order = (_ARRAY_AXIS[axis_b], _ARRAY_AXIS[main], _ARRAY_AXIS[axis_a])
    block = BLOCK_BYTES // (samples_b * size[axis_a] * itemsize * parts)
    block = max(1, min(SLICES_PER_BLOCK, block))
    natural, chunk = None, size[main]
    if axis_a == 0:  # rows of x as they lie: one row on is one y, size[1] rows on one z
        rows_per = {1: 1, 2: size[1]}
        natural = TableRows(rows_per[axis_b], rows_per[main])
    else:
        fitting = TRANSPOSED_BYTES // (size[axis_a] * size[axis_b] * itemsize)
        chunk = min(chunk, max(1, fitting // block) * block)
    return _Layout(order, size[axis_a], size[axis_b], size[main], block, chunk, natural)


def make_plan(rays: SlabRays, device: str, dtype: torch.dtype) -> Plan:
    """The tables of one grid and camera: tens of milliseconds of work."""
    grid, main, (axis_a, axis_b) = rays.grid, rays.main, rays.in_plane
    samples_a, samples_b = rays.virtual_axes()

    def crossings(axis: int, samples: Array, parts: int) -> Array:
        faces = np.linspace(-0.5, grid.size[main] - 0.5, grid.size[main] * parts + 1)
        return rays.crossings_mm(axis, samples, faces * grid.spacing_mm[main]) / grid.spacing_mm[axis] + 0.5

    joint = JOINT_CROSSINGS_ALIGNED if rays.is_aligned else JOINT_CROSSINGS_RESAMPLED
    parts = sub_slices(crossings(axis_a, samples_a, 1), crossings(axis_b, samples_b, 1), joint)
    shares_a = overlaps(crossings(axis_a, samples_a, parts), grid.size[axis_a])
    shares_b = overlaps(crossings(axis_b, samples_b, parts), grid.size[axis_b])
    itemsize = torch.empty((), dtype=dtype).element_size()
    layout = _layout(rays, len(samples_b), parts, itemsize)
    blocks = (
        _block(layout, shares_a, shares_b, first, parts, device, dtype)
        for first in range(0, layout.count_main, layout.block)
    )
    resampling = rays.resampling(samples_a, samples_b)
    return Plan(
        order=layout.order,
        samples_a=len(samples_a),
        samples_b=len(samples_b),
        chunk=layout.chunk,
        blocks=tuple(block for block in blocks if not (block.along_a.is_empty or block.along_b.is_empty)),
        path_mm=torch.from_numpy(rays.path_mm() / parts).to(device=device, dtype=dtype),
        transposed=rays.is_aligned and rays.row_axis == axis_b,
        resampling=None if resampling is None else torch.from_numpy(resampling).to(device=device, dtype=dtype),
    )


def _block(
    layout: _Layout, shares_a: Overlaps, shares_b: Overlaps, first: int, parts: int, device: str, dtype: torch.dtype
) -> Block:
    slices = min(layout.block, layout.count_main - first)
    here = slice(first * parts, (first + slices) * parts)
    rows, table_rows, table_first = layout.table_of(first)

    # a bag for each (sub-slice, sample of b): its voxel rows in the table
    place = (first - table_first + np.arange(slices * parts) // parts)[:, None, None]
    row = shares_b.voxel[here] * rows.step_b + place * rows.step_main
    taps = row.shape[-1]
    along_b = bags(row.reshape(-1, taps), shares_b.fraction[here].reshape(-1, taps), table_rows, device, dtype)

    # a bag for each sample of a, over all sub-slices of the block
    layer = np.arange(slices * parts)[:, None, None] * layout.count_a
    row = (shares_a.voxel[here] + layer).transpose(1, 0, 2)
    fraction = shares_a.fraction[here].transpose(1, 0, 2)
    flat = (len(row), -1)
    columns = slices * parts * layout.count_a
    along_a = bags(row.reshape(flat), fraction.reshape(flat), columns, device, dtype)
    return Block(first, first - table_first, slices, parts, layout.count_b, rows, along_b, along_a)
