"""Overlapping tiles of a volume, and the weights by which their outputs are blended.

A tile's outermost voxels see the padding of convolutions in place of the volume: they count nothing, and towards them
the weight falls off linearly. At the volume's own border there is nothing better, so there it does not fall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

EDGE_STEP = 16  # the network halves its input four times
LARGEST_EDGE, OVERLAP, MARGIN = 96, 16, 4  # voxels


@dataclass(frozen=True)
class AxisTiles:
    """The tiles of one axis: the first voxel of each, and their common edge; the last may end beyond ``length``."""

    length: int
    edge: int
    starts: tuple[int, ...]
    overlap: int = OVERLAP
    margin: int = MARGIN

    @classmethod
    def of(cls, length: int, largest: int = LARGEST_EDGE, overlap: int = OVERLAP, margin: int = MARGIN) -> AxisTiles:
        """Cover ``length`` voxels by as few tiles as possible, each as short as possible.

        Edges are multiples of ``EDGE_STEP``, neighbours share at least ``overlap`` voxels, of which ``margin`` at
        either end do not count.

        Raises:
            ValueError: For a length below 1, and for an overlap that leaves no room between the margins or no progress.
        """
        if length < 1 or not 2 * margin < overlap < largest or largest % EDGE_STEP:
            raise ValueError(
                f"Expected a length from 1, 2 margin < overlap < edge, and edges in steps of {EDGE_STEP}; got length "
                f"{length}, margin {margin}, overlap {overlap}, edge {largest}."
            )
        count = max(1, math.ceil((length - overlap) / (largest - overlap)))
        edge = EDGE_STEP * math.ceil((length + (count - 1) * overlap) / count / EDGE_STEP)
        step = (length - edge) / (count - 1) if count > 1 else 0.0
        return cls(length, edge, tuple(math.floor(step * number) for number in range(count)), overlap, margin)

    def weights(self, number: int) -> NDArray[np.float32]:
        """Return the weight (edge,) of each voxel of one tile, from 0 to 1."""
        place = np.arange(self.edge) + 0.5
        weight = np.ones(self.edge)
        ramp = self.overlap - 2 * self.margin
        if number > 0:
            weight = np.minimum(weight, (place - self.margin) / ramp)
        if number < len(self.starts) - 1:
            weight = np.minimum(weight, (self.edge - place - self.margin) / ramp)
        return np.clip(weight, 0.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Tile:
    """One tile of a volume (z, y, x): its first voxel, its edges, and the weight along each axis."""

    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    axis_weights: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

    def inside(self, shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
        """Return where the tile lies in a volume of this shape, without what lies beyond its end."""
        z, y, x = (
            slice(start, min(start + edge, length))
            for start, edge, length in zip(self.start, self.shape, shape, strict=True)
        )
        return (z, y, x)

    def weights(self) -> NDArray[np.float32]:
        """Return the weight of each voxel (z, y, x)."""
        z, y, x = self.axis_weights
        product_of_axes: NDArray[np.float32] = z[:, None, None] * y[:, None] * x
        return product_of_axes


def tiles_of(
    shape: tuple[int, int, int], largest: int = LARGEST_EDGE, overlap: int = OVERLAP, margin: int = MARGIN
) -> Iterator[Tile]:
    """Yield the tiles that cover a volume (z, y, x). The arguments are as in ``AxisTiles.of``."""
    axes = [AxisTiles.of(length, largest, overlap, margin) for length in shape]
    for numbers in product(*(range(len(axis.starts)) for axis in axes)):
        chosen = list(zip(axes, numbers, strict=True))
        z, y, x = ((axis.starts[number], axis.edge, axis.weights(number)) for axis, number in chosen)
        yield Tile((z[0], y[0], x[0]), (z[1], y[1], x[1]), (z[2], y[2], x[2]))
