"""Sparse matrices of box weights, as ``embedding_bag`` reads them: a bag is a weighted sum of table rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

Array = NDArray[np.float64]
# A ray on a voxel face belongs half to each side: every footprint is at least this wide (voxels).
MIN_FOOTPRINT = 1e-5


@dataclass(frozen=True)
class Overlaps:
    """The shares of each ray's segment in each slice among the voxels along one axis.

    ``voxel`` and ``fraction`` are (slices, samples, taps); fractions of voxels outside the volume are 0.
    """

    voxel: NDArray[np.int64]
    fraction: Array


def overlaps(crossings: Array, count: int) -> Overlaps:
    """Shares of ``count`` voxels from positions (slices + 1, samples) at each slice's two faces.

    Positions are in voxels, voxel j spanning j..j + 1. There are as many taps as the steepest segment meets voxels.
    """
    low, high = _footprints(crossings)
    first = np.floor(low)
    taps = int((np.floor(high) - first).max()) + 1
    voxel = first[..., None] + np.arange(taps)
    fraction = _fractions(low, high, voxel)
    fraction[(voxel < 0) | (voxel >= count)] = 0.0
    return Overlaps(voxel.astype(np.int64), fraction)


def _footprints(crossings: Array) -> tuple[Array, Array]:
    """(low, high) ends of each ray's segment in each slice, in voxels."""
    low = np.minimum(crossings[:-1], crossings[1:])
    high = np.maximum(crossings[:-1], crossings[1:])
    middle, half = (low + high) / 2, np.maximum(high - low, MIN_FOOTPRINT) / 2
    return middle - half, middle + half


def _fractions(low: Array, high: Array, voxel: NDArray[Any]) -> Array:
    """The share of each segment (slices, samples) in each ``voxel`` (slices, samples, taps)."""
    shared = np.minimum(high[..., None], voxel + 1) - np.maximum(low[..., None], voxel)
    return np.asarray(np.maximum(shared, 0.0) / (high - low)[..., None], dtype=np.float64)


@dataclass(frozen=True)
class Shares:
    """``Overlaps`` as a kernel reads them: consecutive taps from ``voxel`` (layers, samples) on, all within the volume,
    with ``weight`` (layers, samples, taps), 0 for voxels that the ray does not meet. A layer is a slice or part of one.
    """

    voxel: NDArray[np.int32]
    weight: NDArray[Any]

    @property
    def nbytes(self) -> int:
        return self.voxel.nbytes + self.weight.nbytes


def shares_within(crossings: Array, count: int) -> Shares:
    """``overlaps`` with its taps moved into the volume."""
    low, high = _footprints(crossings)
    first = np.floor(low)
    taps = min(int((np.floor(high) - first).max()) + 1, count)
    begin = np.clip(first, 0, count - taps)
    weight = _fractions(low, high, begin[..., None] + np.arange(taps))
    return Shares(begin.astype(np.int32), weight)


@dataclass(frozen=True)
class Bags:
    """A sparse matrix, (rows, ``columns``), on one device: ``index``, ``offset`` as CSR has them, and ``weight``."""

    index: Tensor
    offset: Tensor
    weight: Tensor
    columns: int

    @property
    def is_empty(self) -> bool:
        return self.index.numel() == 0

    @property
    def nbytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.index, self.offset, self.weight))

    def sum_rows(self, table: Tensor) -> Tensor:
        """(rows of the matrix, table columns): the sparse matrix times ``table``."""
        return F.embedding_bag(
            self.index, table, self.offset, mode="sum", per_sample_weights=self.weight, include_last_offset=True
        )

    def repeated(self, times: int) -> Bags:
        """The block-diagonal matrix of ``times`` copies: the same sums for as many tables laid end to end."""
        if times == 1:
            return self
        copy = torch.arange(times, dtype=self.index.dtype, device=self.index.device)[:, None]
        start = (self.offset[:-1] + copy * self.index.numel()).flatten()
        return Bags(
            (self.index + copy * self.columns).flatten(),
            torch.cat([start, self.offset[-1:] * times]),
            self.weight.repeat(times),
            self.columns * times,
        )

    def transposed(self) -> Bags:
        """The transposed matrix."""
        data, index, offset = (t.cpu().numpy() for t in (self.weight, self.index, self.offset))
        matrix = sparse.csr_matrix((data, index, offset), shape=(len(offset) - 1, self.columns)).T.tocsr()
        return Bags(
            torch.from_numpy(matrix.indices.astype(np.int32)).to(self.index.device),
            torch.from_numpy(matrix.indptr.astype(np.int32)).to(self.index.device),
            torch.from_numpy(matrix.data).to(self.weight),
            matrix.shape[1],
        )


def bags(voxel: NDArray[np.int64], fraction: Array, columns: int, device: str, dtype: torch.dtype) -> Bags:
    """Bags from table rows and weights, both (bags, taps); weights of 0 are left out."""
    kept = fraction > 0
    offset = np.zeros(len(kept) + 1, dtype=np.int32)
    np.cumsum(kept.sum(axis=1), out=offset[1:])
    return Bags(
        torch.from_numpy(voxel[kept].astype(np.int32)).to(device),
        torch.from_numpy(offset).to(device),
        torch.from_numpy(fraction[kept]).to(device=device, dtype=dtype),
        columns,
    )
