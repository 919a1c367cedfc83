"""Making the tables of one grid and camera, and keeping the last ones."""

from __future__ import annotations

import importlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera
from TomoRayLib.projector.backends.torch_slabs import Block, Finish, Plan, TableRows
from TomoRayLib.projector.checks import any_ray_meets, check_rays
from TomoRayLib.projector.lattice import in_volume_frame, ray_lattice
from TomoRayLib.projector.slab_rays import SlabRays, slab_rays
from TomoRayLib.projector.tables import Overlaps, bags, overlaps, shares_within

if TYPE_CHECKING:
    from TomoRayLib.projector.backends.numba_kernel import CompiledPlan
    from TomoRayLib.projector.backends.triton_kernel import FusedPlan

AnyPlan: TypeAlias = "Plan | CompiledPlan | FusedPlan"
Array = NDArray[np.float64]
TRANSPOSED_BYTES = 64 * 2**20  # of the kept copy for views along x, whose voxels are not contiguous across
# Largest product of the footprints along both axes, in voxels, before slices are cut. White noise seen at 45 + 35
# degrees: 2.4 % error uncut, 1.0 % at 0.3 and no better at 0.03, where the resampling is what remains.
JOINT_CROSSINGS_ALIGNED = 0.05
JOINT_CROSSINGS_RESAMPLED = 0.3
MOST_SUB_SLICES = 8
KEPT_PLANS_BYTES = 64 * 2**20
_ARRAY_AXIS = {0: 2, 1: 1, 2: 0}  # index axis i, j, k -> axis of the (z, y, x) array


@dataclass(frozen=True)
class Launch:
    """How much one operation takes on at most.

    ``slices`` of one volume, then more ``volumes`` of a batch, as long as each of the two or three arrays between the
    products takes no more than ``block_bytes``. ``layers_per_sum`` are the sub-slices of one weighted sum; longer sums
    are made in parts, in parallel.
    """

    slices: int
    volumes: int
    block_bytes: int
    layers_per_sum: int


# Measured at 256^3: 8 slices at a time are fastest for 256^2 pixels, 4 for 1024^2, where more leave the cache. So do
# more volumes: 2 to 4 of 128^3 together take 1.4 times as long as one by one.
CPU = Launch(slices=8, volumes=1, block_bytes=4 * 2**20, layers_per_sum=8 * MOST_SUB_SLICES)
# Measured on an H100 at 256^3 and 256^2: 16 to 128 MB take as long, 8 MB twice as long from the front; with the
# transposed copy 32 MB stay below 150 MB. One thread makes one sum: short ones, and thereby many, keep all busy.
GPU = Launch(slices=2**16, volumes=2**16, block_bytes=32 * 2**20, layers_per_sum=8)


def launch_of(device: str) -> Launch:
    """What suits a device, named as torch does."""
    return CPU if torch.device(device).type == "cpu" else GPU


def use_compiled(on: bool) -> None:
    """Whether projections on the CPU that need no gradient take the compiled kernel where numba is installed; they do
    unless this says otherwise. Without it stock operators do the same sums, equal to rounding."""
    global _compiled_wanted
    _compiled_wanted = on


def compiled_serves(device: str) -> bool:
    """Whether the compiled kernel is wanted, installed, and made for the device."""
    return _compiled_wanted and torch.device(device).type == "cpu" and _kernel_loads("numba_kernel")


def use_fused(on: bool) -> None:
    """Whether float32 projections on a CUDA device that need no gradient take the fused kernel where triton is
    installed, as it is with torch for Linux and CUDA. They do not unless this says so, see docs/projector.md."""
    global _fused_wanted
    _fused_wanted = on


def fused_serves(device: str, dtype: torch.dtype) -> bool:
    """Whether the fused kernel is wanted, installed, and made for the device and the number type."""
    fits = torch.device(device).type == "cuda" and dtype == torch.float32
    return _fused_wanted and fits and _kernel_loads("triton_kernel")


@cache
def _kernel_loads(name: Literal["numba_kernel", "triton_kernel"]) -> bool:
    """False without numba or triton, and with a numba that does not fit numpy (it says so in its ImportError)."""
    try:
        importlib.import_module(f"TomoRayLib.projector.backends.{name}")
    except ImportError as error:
        log.info("The projector's %s kernel is not used: %s", name, error)
        return False
    except Exception as error:  # whatever a broken installation raises: stock operators serve
        log.warning("The projector's %s kernel is not used: %s: %s", name, type(error).__name__, error)
        return False
    return True


def plan_for(
    grid: Grid, camera: Camera, device: str, dtype: torch.dtype, differentiable: bool = True
) -> AnyPlan | None:
    """The plan of a grid and a camera, kept from an earlier call where there is one; None where slabs do not serve.

    A plan that need not be ``differentiable`` is one for the compiled or the fused kernel, where one serves. Raises
    ValueError for rays that ``check_rays`` refuses.
    """
    kernel = "" if differentiable else _kernel_for(device, dtype)
    key = (grid, camera, device, dtype, kernel)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    lattice = in_volume_frame(ray_lattice(camera), grid)
    check_rays(grid, lattice)
    rays = slab_rays(grid, lattice)
    plan = None if rays is None else _made(kernel, rays, device, dtype)
    with _lock:
        _kept[key] = plan
        while len(_kept) > 1 and sum(kept.nbytes for kept in _kept.values() if kept is not None) > KEPT_PLANS_BYTES:
            _kept.popitem(last=False)
    return plan


def _kernel_for(device: str, dtype: torch.dtype) -> str:
    """The kernel that serves; "" for stock operators."""
    if compiled_serves(device):
        return "compiled"
    return "fused" if fused_serves(device, dtype) else ""


def _made(kernel: str, rays: SlabRays, device: str, dtype: torch.dtype) -> AnyPlan:
    if kernel == "compiled":
        return make_compiled_plan(rays, dtype)
    if kernel == "fused":
        return make_fused_plan(rays, device)
    return make_plan(rays, device, dtype, launch_of(device))


def forget() -> None:
    """Drop all kept plans."""
    with _lock:
        _kept.clear()


_Key = tuple[Grid, Camera, str, torch.dtype, str]
_kept: OrderedDict[_Key, AnyPlan | None] = OrderedDict()
_compiled_wanted = True
_fused_wanted = False
log = logging.getLogger(__name__)
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
    sub_slices: int
    block: int
    chunk: int
    layers_per_sum: int
    volumes: int
    natural: TableRows | None  # the table is the volume as it lies

    def table_of(self, first: int) -> tuple[TableRows, int, int]:
        """Of the table with slice ``first``: its rows, their number, and the first slice of the table."""
        if self.natural is not None:
            return self.natural, self.count_b * self.count_main, 0
        begin = first // self.chunk * self.chunk
        slices = min(self.chunk, self.count_main - begin)
        return TableRows(slices, 1), slices * self.count_b, begin


def _layout(
    rays: SlabRays, order: tuple[int, int, int], samples: tuple[int, int], sub: int, itemsize: int, launch: Launch
) -> _Layout:
    """``samples`` along a and b; ``sub`` slices are made of each."""
    size, main, (axis_a, axis_b) = rays.grid.size, rays.main, rays.in_plane
    slice_bytes = samples[1] * size[axis_a] * itemsize * sub
    voxel_bytes = size[axis_a] * size[axis_b] * itemsize
    fitting = max(1, TRANSPOSED_BYTES // voxel_bytes)  # slices
    block = max(1, min(launch.slices, size[main], launch.block_bytes // slice_bytes, fitting))
    natural, chunk = None, size[main]
    if axis_a == 0:  # rows of x as they lie: one row on is one y, size[1] rows on one z
        rows_per = {1: 1, 2: size[1]}
        natural = TableRows(rows_per[axis_b], rows_per[main])
    else:
        chunk = min(chunk, fitting // block * block)
    image_bytes = samples[0] * samples[1] * itemsize
    parts = max(1, min(-(-block * sub // launch.layers_per_sum), launch.block_bytes // image_bytes))
    volumes = min(
        launch.volumes,
        launch.block_bytes // max(block * slice_bytes, parts * image_bytes),
        TRANSPOSED_BYTES // ((block if natural else chunk) * voxel_bytes),
    )
    return _Layout(
        order=order,
        count_a=size[axis_a],
        count_b=size[axis_b],
        count_main=size[main],
        sub_slices=sub,
        block=block,
        chunk=chunk,
        layers_per_sum=-(-block * sub // parts),
        volumes=max(1, volumes),
        natural=natural,
    )


@dataclass(frozen=True)
class _Traced:
    """A camera's rays through one grid: where they cross each sub-slice's faces, in voxels, along both axes."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    sub_slices: int
    crossings_a: Array  # (slices * sub_slices + 1, samples)
    crossings_b: Array
    finish: Finish


def _traced(rays: SlabRays, device: str, dtype: torch.dtype) -> _Traced:
    grid, main, (axis_a, axis_b) = rays.grid, rays.main, rays.in_plane
    samples_a, samples_b = rays.virtual_axes()

    def crossings(axis: int, samples: Array, sub: int) -> Array:
        faces = np.linspace(-0.5, grid.size[main] - 0.5, grid.size[main] * sub + 1)
        return rays.crossings_mm(axis, samples, faces * grid.spacing_mm[main]) / grid.spacing_mm[axis] + 0.5

    joint = JOINT_CROSSINGS_ALIGNED if rays.is_aligned else JOINT_CROSSINGS_RESAMPLED
    sub = sub_slices(crossings(axis_a, samples_a, 1), crossings(axis_b, samples_b, 1), joint)
    resampling = rays.resampling(samples_a, samples_b)
    with torch.inference_mode(False):  # kept for calls that are not in that mode
        finish = Finish(
            path_mm=torch.from_numpy(rays.path_mm() / sub).to(device=device, dtype=dtype),
            transposed=rays.is_aligned and rays.row_axis == axis_b,
            resampling=None if resampling is None else torch.from_numpy(resampling).to(device=device, dtype=dtype),
            pixels_miss=resampling is not None and not any_ray_meets(grid, rays.lattice),
        )
    order = (_ARRAY_AXIS[axis_b], _ARRAY_AXIS[main], _ARRAY_AXIS[axis_a])
    return _Traced(order, sub, crossings(axis_a, samples_a, sub), crossings(axis_b, samples_b, sub), finish)


def make_plan(rays: SlabRays, device: str, dtype: torch.dtype, launch: Launch) -> Plan:
    """The tables of one grid and camera: tens of milliseconds of work."""
    traced = _traced(rays, device, dtype)
    size, (axis_a, axis_b) = rays.grid.size, rays.in_plane
    shares_a, shares_b = overlaps(traced.crossings_a, size[axis_a]), overlaps(traced.crossings_b, size[axis_b])
    samples = shares_a.voxel.shape[1], shares_b.voxel.shape[1]
    itemsize = torch.empty((), dtype=dtype).element_size()
    layout = _layout(rays, traced.order, samples, traced.sub_slices, itemsize, launch)
    with torch.inference_mode(False):  # kept for calls that are not in that mode
        blocks = [
            _block(layout, shares_a, shares_b, first, device, dtype)
            for first in range(0, layout.count_main, layout.block)
        ]
    return Plan(
        order=layout.order,
        samples_a=samples[0],
        samples_b=samples[1],
        chunk=layout.chunk,
        most_volumes=layout.volumes,
        blocks=tuple(block for block in blocks if not (block.along_a.is_empty or block.along_b.is_empty)),
        finish=traced.finish,
    )


def make_compiled_plan(rays: SlabRays, dtype: torch.dtype) -> CompiledPlan:
    """What the compiled kernel needs of one grid and camera: a few milliseconds of work."""
    from TomoRayLib.projector.backends.numba_kernel import CompiledPlan, shares

    traced = _traced(rays, "cpu", dtype)
    size, (axis_a, axis_b) = rays.grid.size, rays.in_plane
    kind = np.float32 if dtype == torch.float32 else np.float64
    return CompiledPlan(
        traced.order,
        traced.sub_slices,
        shares(traced.crossings_a, size[axis_a], kind),
        shares(traced.crossings_b, size[axis_b], kind),
        traced.finish,
    )


def make_fused_plan(rays: SlabRays, device: str) -> FusedPlan:
    """What the fused kernel needs of one grid and camera: some milliseconds of work."""
    from TomoRayLib.projector.backends.triton_kernel import FusedPlan, lane_shares

    traced = _traced(rays, device, torch.float32)
    size, (axis_a, axis_b) = rays.grid.size, rays.in_plane
    along_a = shares_within(traced.crossings_a, size[axis_a])
    along_b = shares_within(traced.crossings_b, size[axis_b])
    along_main = traced.order[1] == 2
    return FusedPlan(
        order=traced.order,
        sub_slices=traced.sub_slices,
        layers=along_a.voxel.shape[0],
        samples_a=along_a.voxel.shape[1],
        samples_b=along_b.voxel.shape[1],
        along_a=lane_shares(along_a, along_main, device),
        along_b=lane_shares(along_b, along_main, device),
        misses=not bool(np.any(np.any(along_a.weight, axis=(1, 2)) & np.any(along_b.weight, axis=(1, 2)))),
        finish=traced.finish,
    )


def _block(
    layout: _Layout, shares_a: Overlaps, shares_b: Overlaps, first: int, device: str, dtype: torch.dtype
) -> Block:
    slices, sub = min(layout.block, layout.count_main - first), layout.sub_slices
    layers = slices * sub
    here = slice(first * sub, first * sub + layers)
    rows, table_rows, table_first = layout.table_of(first)

    # a bag for each (sub-slice, sample of b): its voxel rows in the table
    place = (first - table_first + np.arange(layers) // sub)[:, None, None]
    row = shares_b.voxel[here] * rows.step_b + place * rows.step_main
    taps = row.shape[-1]
    along_b = bags(row.reshape(-1, taps), shares_b.fraction[here].reshape(-1, taps), table_rows, device, dtype)

    # a bag for each sample of a in each part, over the sub-slices of the part
    row = shares_a.voxel[here] + np.arange(layers)[:, None, None] * layout.count_a
    row, fraction = _in_parts(row, layout.layers_per_sum), _in_parts(shares_a.fraction[here], layout.layers_per_sum)
    along_a = bags(row, fraction, layers * layout.count_a, device, dtype)
    parts = -(-layers // layout.layers_per_sum)
    return Block(first, first - table_first, slices, sub, parts, layout.count_b, rows, along_b, along_a)


def _in_parts(values: NDArray[Any], layers: int) -> NDArray[Any]:
    """(parts * samples, layers * taps) from (sub-slices, samples, taps), filled up with 0."""
    count, samples, taps = values.shape
    parts = -(-count // layers)
    full = np.pad(values, ((0, parts * layers - count), (0, 0), (0, 0)))
    return full.reshape(parts, layers, samples, taps).transpose(0, 2, 1, 3).reshape(parts * samples, layers * taps)
