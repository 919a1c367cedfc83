"""The slab algorithm as one kernel (Triton) for CUDA devices: no tables, no copy of the volume, all sums in registers.

The sums are those of ``torch_slabs``. A program takes a tile of samples along b and a through some layers (sub-slices):
for each it reads the voxels that the tile's rays meet, weighs them along a, then along b, and adds them up. Programs
that share a tile write their sums side by side, to be added afterwards in a fixed order: the same call gives the same
bits. Forward and float32 alone; used only if asked for, because no GPU has run it yet (docs/projector.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from TomoRayLib.projector.crossings import crossings_of
from TomoRayLib.projector.finish import Finish
from TomoRayLib.projector.slab_rays import SlabRays
from TomoRayLib.projector.tables import Shares, shares_within

PROGRAMS = 1056  # as many, if there are enough layers: eight for each of an H100's 132 multiprocessors, all at once
PADDED = 128  # shares are filled up to a multiple of it: no tile has an edge longer than that


@dataclass(frozen=True)
class Tile:
    """The share of one program at a time: ``b`` x ``a`` samples in ``layers``, by ``warps`` of 32 threads each.

    The three counts and ``warps`` are powers of two, the counts at most ``PADDED``; ``layers`` is 1 if threads go
    along a, whose shares are not filled up with layers.
    """

    b: int
    a: int
    layers: int
    warps: int


# Neighbouring threads must read neighbouring voxels, which lie along x. If a is x (from the front, from the feet),
# threads go along a: 32 samples meet some 32 voxels of a row, two or three cache lines; each has one sample of a and 16
# of b side by side, whose shares come four to a load. If x is the main axis (from the side) a and b step whole rows,
# so threads go along the layers: one sample's ray stays in a row for most of 32 slices, and leaves it at a few places
# only, in proportion to its slope. Estimated, not measured.
ACROSS = Tile(b=16, a=128, layers=1, warps=4)
ALONG = Tile(b=8, a=8, layers=32, warps=8)


@dataclass(frozen=True)
class LaneShares:
    """``tables.Shares`` on the device, with what neighbouring threads read side by side.

    ``voxel`` is (layers, samples), or (samples, layers) if threads go along layers; ``weight`` has taps before. Both
    are filled up with 0 to multiples of ``PADDED``, layers only if threads go along them.
    """

    voxel: Tensor
    weight: Tensor

    @property
    def nbytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in (self.voxel, self.weight))


def lane_shares(shares: Shares, along_main: bool, device: str) -> LaneShares:
    """``shares`` as the kernel reads them; ``along_main`` if threads go along layers."""
    layers, samples = shares.voxel.shape
    full = (0, -layers % PADDED if along_main else 0), (0, -samples % PADDED)
    voxel, weight = np.pad(shares.voxel, full), np.pad(shares.weight, (*full, (0, 0))).transpose(2, 0, 1)
    if along_main:
        voxel, weight = voxel.T, weight.transpose(0, 2, 1)
    with torch.inference_mode(False):  # kept for calls that are not in that mode
        return LaneShares(
            torch.from_numpy(np.ascontiguousarray(voxel)).to(device),
            torch.from_numpy(np.ascontiguousarray(weight, np.float32)).to(device),
        )


@dataclass(frozen=True)
class TritonPlan:
    """All that one grid and one camera share, with shares of voxels in place of the tables of ``torch_slabs``."""

    order: tuple[int, int, int]  # axes of the (z, y, x) array that become (b, main, a)
    sub_slices: int
    layers: int  # sub-slices of all slices
    samples_a: int
    samples_b: int
    along_a: LaneShares
    along_b: LaneShares
    misses: bool  # no ray meets the volume
    finish: Finish

    @property
    def nbytes(self) -> int:
        return self.finish.nbytes + self.along_a.nbytes + self.along_b.nbytes

    @property
    def is_along_main(self) -> bool:
        """True if x is the main axis, so that threads go along layers."""
        return self.order[1] == 2

    def images(self, volumes: Tensor) -> Tensor:
        """(n, rows, columns) line integrals of (n, z, y, x) in float32, without gradients."""
        return self.finish.images(sums_of(volumes.detach(), self, ALONG if self.is_along_main else ACROSS))


def make_plan(rays: SlabRays, device: str) -> TritonPlan:
    """The plan of one grid and camera: some milliseconds of work."""
    crossings = crossings_of(rays, device, torch.float32)
    size, (axis_a, axis_b) = rays.grid.size, rays.in_plane
    along_a = shares_within(crossings.along_a, size[axis_a])
    along_b = shares_within(crossings.along_b, size[axis_b])
    along_main = crossings.order[1] == 2
    return TritonPlan(
        order=crossings.order,
        sub_slices=crossings.sub_slices,
        layers=along_a.voxel.shape[0],
        samples_a=along_a.voxel.shape[1],
        samples_b=along_b.voxel.shape[1],
        along_a=lane_shares(along_a, along_main, device),
        along_b=lane_shares(along_b, along_main, device),
        misses=not bool(np.any(np.any(along_a.weight, axis=(1, 2)) & np.any(along_b.weight, axis=(1, 2)))),
        finish=crossings.finish,
    )


def sums_of(volumes: Tensor, plan: TritonPlan, tile: Tile) -> Tensor:
    """The sums (n, b, a) of ``volumes`` (n, z, y, x), which may lie at any strides."""
    if max(tile.b, tile.a, tile.layers) > PADDED or (tile.layers > 1 and not plan.is_along_main):
        raise ValueError(f"Expected a tile of at most {PADDED} samples or layers, of 1 layer across; got {tile}.")
    count = len(volumes)
    tiles = triton.cdiv(plan.samples_a, tile.a) * triton.cdiv(plan.samples_b, tile.b)
    layers_per_split = _layers_per_split(plan.layers, tile.layers, tiles * count)
    splits = triton.cdiv(plan.layers, layers_per_split)
    parts = volumes.new_empty(count, splits, plan.samples_b, plan.samples_a)
    if parts.numel() == 0:
        return parts[:, 0]
    strides = volumes.stride()
    step_b, step_main, step_a = (strides[1 + axis] for axis in plan.order)
    farthest = sum((size - 1) * step for size, step in zip(volumes.shape[1:], strides[1:], strict=True))
    with torch.cuda.device_of(volumes):
        _add_layers[(tiles * splits * count,)](
            volumes,
            parts,
            plan.along_a.voxel,
            plan.along_a.weight,
            plan.along_b.voxel,
            plan.along_b.weight,
            strides[0],
            step_b,
            step_main,
            step_a,
            plan.along_a.voxel.stride(0),
            plan.along_b.voxel.stride(0),
            plan.along_a.voxel.numel(),
            plan.along_b.voxel.numel(),
            plan.layers,
            plan.samples_a,
            plan.samples_b,
            splits,
            layers_per_split,
            SUB_SLICES=plan.sub_slices,
            TAPS_A=len(plan.along_a.weight),
            TAPS_B=len(plan.along_b.weight),
            TILE_A=tile.a,
            TILE_B=tile.b,
            LAYERS=tile.layers,
            ALONG_MAIN=plan.is_along_main,
            IS_LARGE=farthest >= 2**31,
            num_warps=tile.warps,
            enable_fp_fusion=True,
        )
    return parts[:, 0] if splits == 1 else parts.sum(dim=1)


def _layers_per_split(layers: int, step: int, tiles: int) -> int:
    """A multiple of ``step``; so few that ``tiles`` make many programs, so many that these run all at once."""
    steps = math.ceil(layers / step)
    splits = min(max(PROGRAMS // max(tiles, 1), 1), steps)
    return math.ceil(steps / splits) * step


@triton.jit
def _add_layers(  # type: ignore[no-untyped-def]
    volumes,
    parts,
    voxels_a,
    weights_a,
    voxels_b,
    weights_b,
    step_volume,
    step_b,
    step_main,
    step_a,
    stride_a,
    stride_b,
    shares_a,
    shares_b,
    layers,
    samples_a,
    samples_b,
    splits,
    layers_per_split,
    SUB_SLICES: tl.constexpr,
    TAPS_A: tl.constexpr,
    TAPS_B: tl.constexpr,
    TILE_A: tl.constexpr,
    TILE_B: tl.constexpr,
    LAYERS: tl.constexpr,
    ALONG_MAIN: tl.constexpr,
    IS_LARGE: tl.constexpr,
):
    """Write one tile's sums over the layers of one split to ``parts`` (n, splits, b, a).

    All is three-dimensional, (b, layer, a) or, if threads go along layers, (b, a, layer): threads go along the last
    axis. Shares have rows of ``stride_a`` and ``stride_b``, ``shares_a`` and ``shares_b`` for each tap. Samples and
    layers beyond the last have weights of 0 on the volume's first voxels: nothing that is read needs a mask.
    """
    tiles_a = tl.cdiv(samples_a, TILE_A)
    tiles = tiles_a * tl.cdiv(samples_b, TILE_B)
    program = tl.program_id(0)
    tile = program % tiles  # neighbours run at the same time and share voxels in the cache
    part = program // tiles
    first_a = tile % tiles_a * TILE_A
    first_b = tile // tiles_a * TILE_B
    volume = volumes + (part // splits).to(tl.int64) * step_volume

    b = first_b + tl.arange(0, TILE_B)[:, None, None]
    if ALONG_MAIN:
        a = first_a + tl.arange(0, TILE_A)[None, :, None]
        lane = tl.arange(0, LAYERS)[None, None, :]
        sums = tl.zeros((TILE_B, TILE_A, LAYERS), tl.float32)
    else:
        a = first_a + tl.arange(0, TILE_A)[None, None, :]
        lane = tl.arange(0, LAYERS)[None, :, None]
        sums = tl.zeros((TILE_B, LAYERS, TILE_A), tl.float32)

    begin = part % splits * layers_per_split
    end = tl.minimum(begin + layers_per_split, layers)
    for first in range(begin, end, LAYERS):
        layer = first + lane
        if ALONG_MAIN:
            place_a = a * stride_a + layer
            place_b = b * stride_b + layer
        else:
            place_a = layer * stride_a + a
            place_b = layer * stride_b + b
        voxel_a = tl.load(voxels_a + place_a)
        voxel_b = tl.load(voxels_b + place_b)
        voxel_main = tl.minimum(layer, layers - 1) // SUB_SLICES
        if IS_LARGE:
            voxel_a = voxel_a.to(tl.int64)
            voxel_b = voxel_b.to(tl.int64)
            voxel_main = voxel_main.to(tl.int64)
        corner = volume + (voxel_b * step_b + voxel_main * step_main + voxel_a * step_a)
        for tap_b in tl.static_range(TAPS_B):
            row = tl.zeros_like(sums)
            for tap_a in tl.static_range(TAPS_A):
                weight_a = tl.load(weights_a + tap_a * shares_a + place_a)
                value = tl.load(corner + tap_b * step_b + tap_a * step_a)
                row += tl.where(weight_a != 0, weight_a * value, 0.0)  # a NaN or infinite voxel spoils no other ray
            weight_b = tl.load(weights_b + tap_b * shares_b + place_b)
            sums += tl.where(weight_b != 0, weight_b * row, 0.0)

    own_b = first_b + tl.arange(0, TILE_B)[:, None]
    own_a = first_a + tl.arange(0, TILE_A)[None, :]
    place = part.to(tl.int64) * samples_b * samples_a + own_b * samples_a + own_a
    total = tl.sum(sums, 2 if ALONG_MAIN else 1)
    tl.store(parts + place, total, (own_b < samples_b) & (own_a < samples_a))
