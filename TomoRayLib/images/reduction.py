"""Films of many more pixels than any step needs, averaged to fewer that cover the same field."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from TomoRayLib.geometry.views import View

MOST_PIXELS = 32_000_000  # a full EOS scan has 16 million, a flat detector 10 to 18


def is_large(pixels: NDArray[np.float32]) -> bool:
    """Return whether an image has more pixels than are carried through a run."""
    return pixels.size > MOST_PIXELS


def reduced(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image averaged to at most ``MOST_PIXELS``, of the same field.

    A new pixel is the mean of exactly the area that it covers, parts of old pixels by their share, so that the middle
    and the edges of the image stay where they were.

    Args:
        pixels: (rows, columns).
    """
    shape = reduced_shape((pixels.shape[0], pixels.shape[1]))
    down, across = (_shares(old, new) for old, new in zip(pixels.shape, shape, strict=True))
    result = down @ pixels
    return np.ascontiguousarray((across @ result.T).T, dtype=np.float32)


def reduced_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return (rows, columns) after ``reduced``; the shape itself if it is small enough."""
    factor = math.sqrt(shape[0] * shape[1] / MOST_PIXELS)
    if factor <= 1.0:
        return shape
    return max(1, math.floor(shape[0] / factor)), max(1, math.floor(shape[1] / factor))


def reduced_view(view: View) -> View:
    """Return the view of the reduced image: its detector has fewer, larger pixels on the same field."""
    detector = view.detector
    shape = reduced_shape(detector.shape)
    spacing_mm = reduced_spacing_mm(detector.pixel_spacing_mm, detector.shape)
    return replace(view, detector=replace(detector, rows=shape[0], columns=shape[1], pixel_spacing_mm=spacing_mm))


def reduced_spacing_mm(spacing_mm: tuple[float, float], shape: tuple[int, int]) -> tuple[float, float]:
    """Return the (row, column) spacing of an image of this (rows, columns) after ``reduced``."""
    rows, columns = reduced_shape(shape)
    return (spacing_mm[0] * shape[0] / rows, spacing_mm[1] * shape[1] / columns)


def _shares(old: int, new: int) -> sparse.csr_matrix:
    """(new, old): how much of each old pixel a new one covers, in rows that sum to 1."""
    edges = np.linspace(0.0, old, new + 1)
    first, last = np.floor(edges[:-1]).astype(int), np.minimum(np.ceil(edges[1:]).astype(int), old)
    counts = last - first
    rows = np.repeat(np.arange(new), counts)
    columns = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    covered = np.minimum(columns + 1.0, edges[rows + 1]) - np.maximum(columns, edges[rows])
    return sparse.csr_matrix(((covered * new / old).astype(np.float32), (rows, columns)), shape=(new, old))
