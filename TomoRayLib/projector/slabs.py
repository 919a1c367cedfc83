"""The slab algorithm: image = L * sum_k B_k S_k A_k^T with sparse box weights, and its exact adjoint.

S_k is slice k of the volume across the main axis, A_k and B_k hold the fraction of each ray's segment inside each
voxel along one axis, L the path length per slice. This equals Siddon's exact ray trace except where a ray crosses
voxel faces of both axes within one slice: there the two fractions are multiplied as if independent. Slices that steep
rays cross are therefore cut into thinner ones (``plans.sub_slices``).

Each sparse product is one ``embedding_bag`` of stock PyTorch: a vectorised, threaded gather and weighted sum of
contiguous rows. The adjoint uses the same tables, transposed, and is built when first needed.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.projector.tables import Bags


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
    ``along_a`` from (slice, sub-slice, voxel of a) to the samples of a."""

    first: int  # slice within the volume
    first_in_table: int
    slices: int
    sub_slices: int
    count_b: int
    table: TableRows
    along_b: Bags
    along_a: Bags

    @cached_property
    def adjoint_b(self) -> Bags:
        """From (slice, sub-slice, sample of b) to the block's voxel rows (b, slice)."""
        b, place = self.table.places(self.along_b.index)
        index = (b * self.slices + (place - self.first_in_table)).to(torch.int32)
        return replace(self.along_b, index=index, columns=self.count_b * self.slices).transposed()

    @cached_property
    def adjoint_a(self) -> Bags:
        return self.along_a.transposed()

    @property
    def nbytes(self) -> int:
        built = (self.__dict__.get(name) for name in ("adjoint_a", "adjoint_b"))
        return sum(table.nbytes for table in (self.along_a, self.along_b, *built) if table is not None)


@dataclass(frozen=True)
class Plan:
    """All that one grid and one camera share: axis order, sparse tables, path lengths, and the final resampling."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    samples_a: int
    samples_b: int
    chunk: int  # slices of one table, where the volume must be transposed; else all
    blocks: tuple[Block, ...]
    path_mm: Tensor  # (rows, columns), through one sub-slice
    transposed: bool  # the radiograph's rows run along a
    resampling: Tensor | None  # (1, rows, columns, 2) for grid_sample on the (b, a) virtual detector

    @property
    def misses(self) -> bool:
        """True where no ray meets the volume."""
        return not self.blocks

    @property
    def nbytes(self) -> int:
        own = self.path_mm.numel() * self.path_mm.element_size()
        if self.resampling is not None:
            own += self.resampling.numel() * self.resampling.element_size()
        return own + sum(block.nbytes for block in self.blocks)

    def image(self, volume: Tensor) -> Tensor:
        """(rows, columns) line integrals of (z, y, x); differentiable with respect to the volume."""
        sums_ab: Tensor = _SlabSum.apply(volume, self)
        if self.resampling is None:
            return (sums_ab if self.transposed else sums_ab.T) * self.path_mm
        virtual = sums_ab.T[None, None]
        sampled = F.grid_sample(virtual, self.resampling, mode="bicubic", padding_mode="zeros", align_corners=True)
        return sampled[0, 0] * self.path_mm

    @property
    def is_natural(self) -> bool:
        """True where a is x, whose voxels are contiguous: the volume itself is the table."""
        return self.order[2] == 2

    def table(self, volume: Tensor, first: int) -> Tensor:
        """Rows of voxels along a. The whole volume as it lies, or ``chunk`` slices from ``first`` on, transposed."""
        if self.is_natural:
            return volume.reshape(-1, volume.shape[-1])
        slabs = volume.permute(self.order)
        slices = min(self.chunk, slabs.shape[1] - first)
        kept = _scratch((slabs.shape[0], slices, slabs.shape[2]), volume)
        kept.copy_(slabs[:, first : first + slices])
        return kept.view(-1, slabs.shape[2])


class _Kept(threading.local):
    """One buffer a thread: a fresh one costs more than the copy into it, by the pages the system has to clear."""

    buffer: Tensor | None = None


_kept = _Kept()


def _scratch(shape: tuple[int, int, int], like: Tensor) -> Tensor:
    numel = math.prod(shape)
    buffer = _kept.buffer
    if buffer is None or buffer.numel() < numel or buffer.dtype != like.dtype or buffer.device != like.device:
        buffer = _kept.buffer = torch.empty(numel, dtype=like.dtype, device=like.device)
    return buffer[:numel].view(shape)


class _SlabSum(torch.autograd.Function):
    """sum_k B_k S_k A_k^T, (a, b), without path lengths."""

    @staticmethod
    def forward(ctx: Any, volume: Tensor, plan: Plan) -> Tensor:
        ctx.plan, ctx.shape = plan, volume.shape
        volume = volume.detach()
        count_a = volume.shape[plan.order[2]]
        total = volume.new_zeros(plan.samples_a, plan.samples_b)
        buffer, table, loaded = volume.new_empty(0), volume, -1
        for block in plan.blocks:
            chunk = block.first // plan.chunk
            if chunk != loaded:
                table, loaded = plan.table(volume, chunk * plan.chunk), chunk
            layers = block.slices * block.sub_slices
            rows = block.along_b.sum_rows(table).view(layers, plan.samples_b, count_a)
            if buffer.shape[0] != layers:  # kept: fresh pages cost more than the copy
                buffer = volume.new_empty(layers, count_a, plan.samples_b)
            buffer.copy_(rows.transpose(1, 2))
            total += block.along_a.sum_rows(buffer.view(layers * count_a, plan.samples_b))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        plan: Plan = ctx.plan
        gradient_ab = gradients[0].contiguous()
        volume = gradient_ab.new_zeros(ctx.shape)
        slabs = volume.permute(plan.order)
        for block in plan.blocks:
            columns = block.adjoint_a.sum_rows(gradient_ab).view(-1, slabs.shape[2], plan.samples_b)
            rows = columns.transpose(1, 2).reshape(-1, slabs.shape[2])
            part = block.adjoint_b.sum_rows(rows).view(-1, block.slices, slabs.shape[2])
            slabs[:, block.first : block.first + block.slices] = part
        return volume, None
