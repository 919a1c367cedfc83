"""The slab algorithm: image = L * sum_k B_k S_k A_k^T with sparse box weights, and its exact adjoint.

S_k is slice k of the volume across the main axis, A_k and B_k hold the fraction of each ray's segment inside each
voxel along one axis, L the path length per slice. This equals Siddon's exact ray trace except where a ray crosses
voxel faces of both axes within one slice: there the two fractions are multiplied as if independent. Slices that steep
rays cross are therefore cut into thinner ones (``crossings.sub_slices``).

Each sparse product is one ``embedding_bag`` of stock PyTorch: a vectorised, threaded gather and weighted sum of
contiguous rows. The adjoint uses the same tables, transposed, and is built when first needed. Volumes of a batch can go
through each operation together: as tables laid end to end along b, as further columns along a.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.projector.backends.work_limits import TRANSPOSED_BYTES, WorkLimits, limits_of
from TomoRayLib.projector.crossings import crossings_of
from TomoRayLib.projector.finish import Finish
from TomoRayLib.projector.slab_rays import SlabRays
from TomoRayLib.projector.tables import Bags, Overlaps, bags, overlaps


@dataclass(frozen=True)
class TableRows:
    """Where voxel rows lie in a table: ``(b, slice)`` at row ``b * step_b + slice * step_main``."""

    step_b: int
    step_main: int

    def places(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(b, slice) of table rows."""
        if self.step_b > self.step_main:
            return rows // self.step_b, rows % self.step_b
        return rows % self.step_main, rows // self.step_main


@dataclass(frozen=True)
class Block:
    """The matrices of a few neighbouring slices: ``along_b`` from table rows to (slice, sub-slice, sample of b), then
    ``along_a`` from (slice, sub-slice, voxel of a) to (part, samples of a); a part is the sum of some sub-slices.
    """

    first: int  # slice within the volume
    first_in_table: int
    slices: int
    sub_slices: int
    parts: int
    count_b: int
    table: TableRows
    along_b: Bags
    along_a: Bags
    _repeated: dict[str, Bags] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def adjoint_b(self) -> Bags:
        """From (slice, sub-slice, sample of b) to the block's voxel rows (b, slice)."""
        b, place = self.table.places(self.along_b.index)
        index = (b * self.slices + (place - self.first_in_table)).to(torch.int32)
        return replace(self.along_b, index=index, columns=self.count_b * self.slices).transposed()

    @cached_property
    def adjoint_a(self) -> Bags:
        """From samples of a to (slice, sub-slice, voxel of a): all parts of a sum have its gradient."""
        adjoint = self.along_a.transposed()
        samples = adjoint.columns // self.parts
        return replace(adjoint, index=adjoint.index % samples, columns=samples)

    def repeated(self, name: Literal["along_b", "adjoint_b"], volumes: int) -> Bags:
        """A matrix for ``volumes`` tables at once; kept for the last number of volumes."""
        bags: Bags = getattr(self, name)
        if volumes == 1:
            return bags
        kept = self._repeated.get(name)
        if kept is None or kept.columns != bags.columns * volumes:
            with torch.inference_mode(False):  # kept for calls that are not in that mode
                kept = self._repeated[name] = bags.repeated(volumes)
        return kept

    @property
    def nbytes(self) -> int:
        built = [self.__dict__[name] for name in ("adjoint_a", "adjoint_b") if name in self.__dict__]
        return sum(table.nbytes for table in (self.along_a, self.along_b, *built, *self._repeated.values()))


@dataclass(frozen=True)
class TorchPlan:
    """A plan of sparse tables for a few slices each, with the axis order and the last step."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    samples_a: int
    samples_b: int
    chunk: int  # slices of one table if the volume must be transposed; else all
    most_volumes: int  # of a batch that go through each operation together
    blocks: tuple[Block, ...]
    finish: Finish

    @property
    def misses(self) -> bool:
        """True if no ray meets the volume."""
        return not self.blocks

    @property
    def nbytes(self) -> int:
        return self.finish.nbytes + sum(block.nbytes for block in self.blocks)

    def images(self, volumes: Tensor) -> Tensor:
        """(n, rows, columns) line integrals of (n, z, y, x); differentiable with respect to the volumes."""
        sums: Tensor = _SlabSum.apply(volumes, self)
        return self.finish.images(sums.permute(1, 2, 0))

    @property
    def is_natural(self) -> bool:
        """True if a is x, whose voxels are contiguous: the volumes themselves are the table."""
        return self.order[2] == 2

    def batches(self, count: int) -> Iterator[slice]:
        """``count`` volumes in as few parts as possible, of almost equal size."""
        parts = -(-count // self.most_volumes)
        for part in range(parts):
            yield slice(part * count // parts, (part + 1) * count // parts)

    def table(self, volumes: Tensor, first: int) -> Tensor:
        """Rows of voxels along a. The volumes as they lie, or ``chunk`` slices of each from ``first``, transposed."""
        if self.is_natural:
            return volumes.reshape(-1, volumes.shape[-1])
        slabs = self.slabs(volumes)
        part = slabs[:, :, first : first + self.chunk]
        kept = _scratch(part.shape, volumes)
        kept.copy_(part)
        return kept.view(-1, part.shape[-1])

    def slabs(self, volumes: Tensor) -> Tensor:
        """(n, b, main, a), a view of (n, z, y, x)."""
        return volumes.permute(0, *(axis + 1 for axis in self.order))


class _Kept(threading.local):
    """One buffer for each thread: clearing the pages of a fresh one costs more than the copy into it."""

    buffer: Tensor | None = None


_kept = _Kept()


def _scratch(shape: torch.Size, like: Tensor) -> Tensor:
    if like.device.type != "cpu":  # torch keeps the memory of other devices itself, and knows their streams
        return like.new_empty(shape)
    numel = math.prod(shape)
    buffer = _kept.buffer
    if buffer is None or buffer.numel() < numel or buffer.dtype != like.dtype:
        with torch.inference_mode(False):  # a later call may not be in that mode
            buffer = _kept.buffer = torch.empty(numel, dtype=like.dtype)
    return buffer[:numel].view(shape)


class _SlabSum(torch.autograd.Function):
    """sum_k B_k S_k A_k^T of each volume, (a, n, b), without path lengths."""

    @staticmethod
    def forward(ctx: Any, volumes: Tensor, plan: TorchPlan) -> Tensor:
        ctx.plan, ctx.shape = plan, volumes.shape
        sums = volumes.new_zeros(plan.samples_a, len(volumes), plan.samples_b)
        for some in plan.batches(len(volumes)):
            _add_sums(plan, volumes.detach()[some], sums[:, some])
        return sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        plan: TorchPlan = ctx.plan
        volumes = gradients[0].new_zeros(ctx.shape)
        for some in plan.batches(len(volumes)):
            _spread(plan, gradients[0][:, some], volumes[some])
        return volumes, None


def _add_sums(plan: TorchPlan, volumes: Tensor, sums: Tensor) -> None:
    """Add the projections of ``volumes`` (n, z, y, x) to ``sums`` (a, n, b)."""
    n, count_a = len(volumes), volumes.shape[1:][plan.order[2]]
    buffer, table, loaded = volumes.new_empty(0), volumes, -1
    for block in plan.blocks:
        chunk = block.first // plan.chunk
        if chunk != loaded:
            table = volumes  # frees the last one first
            table, loaded = plan.table(volumes, chunk * plan.chunk), chunk
        layers = block.slices * block.sub_slices
        rows = block.repeated("along_b", n).sum_rows(table).view(n, layers, plan.samples_b, count_a)
        if buffer.shape[0] != layers:  # reused: fresh pages cost more than the copy
            buffer = volumes.new_empty(layers, count_a, n, plan.samples_b)
        buffer.copy_(rows.permute(1, 3, 0, 2))
        del rows  # its memory is reused below
        parts = block.along_a.sum_rows(buffer.view(layers * count_a, -1)).view(block.parts, *sums.shape)
        sums += parts[0] if block.parts == 1 else parts.sum(dim=0)
        del parts


def _spread(plan: TorchPlan, gradient: Tensor, volumes: Tensor) -> None:
    """Write the adjoint of ``gradient`` (a, n, b) to ``volumes`` (n, z, y, x), which are zeros."""
    slabs = plan.slabs(volumes)
    n, count_b, _, count_a = slabs.shape
    flat = gradient.reshape(plan.samples_a, -1)
    for block in plan.blocks:
        columns = block.adjoint_a.sum_rows(flat).view(-1, count_a, n, plan.samples_b)
        rows = columns.permute(2, 0, 3, 1).reshape(-1, count_a)
        del columns
        part = block.repeated("adjoint_b", n).sum_rows(rows).view(n, count_b, block.slices, count_a)
        slabs[:, :, block.first : block.first + block.slices] = part
        del rows, part


def make_plan(rays: SlabRays, device: str, dtype: torch.dtype) -> TorchPlan:
    """The tables of one grid and camera: tens of milliseconds of work."""
    crossings = crossings_of(rays, device, dtype)
    size, (axis_a, axis_b) = rays.grid.size, rays.in_plane
    shares_a, shares_b = overlaps(crossings.along_a, size[axis_a]), overlaps(crossings.along_b, size[axis_b])
    samples = shares_a.voxel.shape[1], shares_b.voxel.shape[1]
    itemsize = torch.empty((), dtype=dtype).element_size()
    layout = _layout(rays, crossings.order, samples, crossings.sub_slices, itemsize, limits_of(device))
    with torch.inference_mode(False):  # kept for calls that are not in that mode
        blocks = [
            _block(layout, shares_a, shares_b, first, device, dtype)
            for first in range(0, layout.count_main, layout.block)
        ]
    return TorchPlan(
        order=layout.order,
        samples_a=samples[0],
        samples_b=samples[1],
        chunk=layout.chunk,
        most_volumes=layout.volumes,
        blocks=tuple(block for block in blocks if not (block.along_a.is_empty or block.along_b.is_empty)),
        finish=crossings.finish,
    )


@dataclass(frozen=True)
class _Layout:
    """How the volume is read: its axes a, b and main, in blocks of ``block`` slices and tables of ``chunk``."""

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
        """The rows of the table that holds slice ``first``, their number, and the table's first slice."""
        if self.natural is not None:
            return self.natural, self.count_b * self.count_main, 0
        begin = first // self.chunk * self.chunk
        slices = min(self.chunk, self.count_main - begin)
        return TableRows(slices, 1), slices * self.count_b, begin


def _layout(
    rays: SlabRays, order: tuple[int, int, int], samples: tuple[int, int], sub: int, itemsize: int, limits: WorkLimits
) -> _Layout:
    """``samples`` along a and b; ``sub`` slices are made of each."""
    size, main, (axis_a, axis_b) = rays.grid.size, rays.main, rays.in_plane
    slice_bytes = samples[1] * size[axis_a] * itemsize * sub
    voxel_bytes = size[axis_a] * size[axis_b] * itemsize
    fitting = max(1, TRANSPOSED_BYTES // voxel_bytes)  # slices
    block = max(1, min(limits.slices, size[main], limits.block_bytes // slice_bytes, fitting))
    natural, chunk = None, size[main]
    if axis_a == 0:  # rows of x as they lie: one row on is one y, size[1] rows on one z
        rows_per = {1: 1, 2: size[1]}
        natural = TableRows(rows_per[axis_b], rows_per[main])
    else:
        chunk = min(chunk, fitting // block * block)
    image_bytes = samples[0] * samples[1] * itemsize
    parts = max(1, min(-(-block * sub // limits.layers_per_sum), limits.block_bytes // image_bytes))
    volumes = min(
        limits.volumes,
        limits.block_bytes // max(block * slice_bytes, parts * image_bytes),
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
