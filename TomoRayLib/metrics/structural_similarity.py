"""Structural similarity (SSIM) of volumes with one truth, summed in blocks that stay in the processor's cache.

SSIM follows Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861) with a 7-voxel uniform window, K1 = 0.01,
K2 = 0.03 and the sample covariance, which are scikit-image's defaults. Window sums run in float64.

Several predictions are summed together, because the sums over the truth's windows are then made once. Where one of the
two volumes is zero the formula has its sums alone, and where both are, SSIM is 1 and is counted, not computed. A
volume's values are scaled so that both constants of the formula become 1.

Volumes are ``(z, y, x)``. Planes: axial = z slices, coronal = y slices, sagittal = x slices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.threads import in_threads
from TomoRayLib.geometry.masks import Box, Mask, bounding_box

Voxels = NDArray[Any]
Floats = NDArray[np.float64]

WINDOW = 7  # voxels
K1, K2 = 0.01, 0.03
# Of the data range: windows of such values beside an empty truth are less than 1e-13 below an SSIM of 1.
NEGLIGIBLE = 3e-9
_LOST = WINDOW - 1
_BLOCK_SLICES, _BLOCK_ROWS = 12, 24  # with all columns of 192 and the reach of windows 0.8 MB: they stay in the cache


@dataclass(frozen=True)
class _Scale:
    """What scales values so that SSIM's constants are 1, for windows of ``count`` voxels.

    With sums over a window ``P`` of p and ``T`` of t times ``value``, and ``p * t`` or ``p * p`` times ``square``, the
    luminance terms are ``P * T`` and the covariances ``sum - ratio * P * T``.
    """

    value: float
    square: float
    ratio: float

    @classmethod
    def of(cls, count: int, data_range: float) -> _Scale:
        c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
        ratio = count / (count - 1) * c1 / c2
        return cls(1 / (count * math.sqrt(c1)), count * ratio, ratio)


def ssim_of_planes(
    predictions: Sequence[Voxels], truth: Voxels, data_range: float = 1.0
) -> list[tuple[float, float, float]]:
    """Mean SSIM over all complete 7 x 7 windows of the slices along each axis.

    Args:
        predictions: Grey values ``(z, y, x)``, at least 7 voxels along each axis.
        truth: Grey values ``(z, y, x)`` on the same grid.
        data_range: The range of possible grey values.

    Returns:
        SSIM of axial, coronal and sagittal slices of each prediction; the same for any number of threads.
    """
    slabs = [slice(start, start + _BLOCK_SLICES) for start in range(0, truth.shape[0], _BLOCK_SLICES)]
    losses = in_threads([partial(_losses_in_slab, predictions, truth, slab, data_range) for slab in slabs])
    depth, height, width = truth.shape
    counts = np.array(
        [
            depth * (height - _LOST) * (width - _LOST),
            (depth - _LOST) * height * (width - _LOST),
            (depth - _LOST) * (height - _LOST) * width,
        ]
    )
    means = (counts - np.sum(losses, axis=0)) / counts
    return [(float(axial), float(coronal), float(sagittal)) for axial, coronal, sagittal in means]


def ssim_around(predictions: Sequence[Voxels], truth: Voxels, mask: Mask, data_range: float = 1.0) -> list[float]:
    """Mean SSIM of the 7 x 7 x 7 windows around the voxels of a mask; beyond the volume they see it mirrored.

    Args:
        predictions: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        mask: Boolean ``(z, y, x)``.
        data_range: The range of possible grey values.

    Returns:
        SSIM of each prediction, NaN for an empty mask; the same for any number of threads.
    """
    box = bounding_box(mask)
    if box is None:
        return [math.nan] * len(predictions)
    blocks = [
        (slice(z, min(z + _BLOCK_SLICES, box[0].stop)), slice(y, min(y + _BLOCK_ROWS, box[1].stop)), box[2])
        for z in range(box[0].start, box[0].stop, _BLOCK_SLICES)
        for y in range(box[1].start, box[1].stop, _BLOCK_ROWS)
    ]
    sums = in_threads([partial(_sums_around, predictions, truth, mask, block, data_range) for block in blocks])
    count = int(np.count_nonzero(mask[box]))
    return [float(total) / count for total in np.sum(sums, axis=0)]


def _losses_in_slab(predictions: Sequence[Voxels], truth: Voxels, slab: slice, data_range: float) -> Floats:
    """(predictions, 3) sums of ``1 - SSIM`` over the windows that begin in z slices of ``slab``, by plane."""
    scale = _Scale.of(WINDOW**2, data_range)
    limit = NEGLIGIBLE * data_range
    losses = np.zeros((len(predictions), 3))
    depth = slice(slab.start, slab.stop + _LOST)
    t_peaks = _peaks(truth[depth])
    p_peaks = [_peaks(prediction[depth]) for prediction in predictions]
    size = (_BLOCK_SLICES, _BLOCK_ROWS)
    for start in range(0, truth.shape[1], _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS + _LOST)
        shown = _reached(t_peaks[rows], 0.0)
        block = None if shown is None else _TruthBlock(truth[depth, rows], size, shown, scale)
        for loss, prediction, peaks in zip(losses, predictions, p_peaks, strict=True):
            p = prediction[depth, rows]
            for part in _around_the(shown, _reached(peaks[rows], limit)):
                values = _scaled(p[..., _read(part)], scale)
                loss += _loss_beside_nothing(values, (*size, part.stop - part.start), scale)
            if block is not None:
                loss += block.loss_with(p)
    return losses


class _TruthBlock:
    """The columns of a block whose windows see the truth, with the truth's sums, made once for all predictions."""

    def __init__(self, truth: Voxels, size: tuple[int, int], columns: slice, scale: _Scale) -> None:
        self.columns, self.scale = columns, scale
        self.size = (*size, columns.stop - columns.start)
        self.values = _scaled(truth[..., _read(columns)], scale)
        self.squares = self.values * self.values
        self._sums: tuple[Floats, ...] | None = None
        self._loss: Floats | None = None

    def loss_with(self, prediction: Voxels) -> Floats:
        """(3,) sums of ``1 - SSIM`` by plane with a prediction's block."""
        p = prediction[..., _read(self.columns)]
        if not p.any():
            if self._loss is None:
                self._loss = _loss_beside_nothing(self.values, self.size, self.scale)
            return self._loss
        if self._sums is None:
            self._sums = _plane_sums(self.values, self.size)
        p = _scaled(p, self.scale)
        products = _plane_sums(p * self.values, self.size)
        squares = _plane_sums(p * p + self.squares, self.size)
        planes = zip(_plane_sums(p, self.size), self._sums, products, squares, strict=True)
        return np.array([sums[0].size - _ssim(*sums, self.scale).sum() for sums in planes])


def _loss_beside_nothing(values: Floats, size: tuple[int, int, int], scale: _Scale) -> Floats:
    """(3,) sums of ``1 - SSIM`` by plane of a block with one that is zero."""
    sums = zip(_plane_sums(values, size), _plane_sums(values * values, size), strict=True)
    return np.array([found.size - _ssim_beside_nothing(found, squares, scale).sum() for found, squares in sums])


def _sums_around(predictions: Sequence[Voxels], truth: Voxels, mask: Mask, block: Box, data_range: float) -> Floats:
    """(predictions,) sums of SSIM over the mask's voxels in a block."""
    box = bounding_box(mask[block])
    if box is None:
        return np.zeros(len(predictions))
    z, y, x = (slice(part.start + b.start, part.start + b.stop) for part, b in zip(block, box, strict=True))
    inside, scale = mask[z, y, x], _Scale.of(WINDOW**3, data_range)
    t = _scaled(_with_mirrored_margin(truth, (z, y, x)), scale)
    squared, t_sums = t * t, _cube_sums(t)
    totals = []
    for prediction in predictions:
        p = _with_mirrored_margin(prediction, (z, y, x))
        if p.any():
            p = _scaled(p, scale)
            found = _ssim(_cube_sums(p), t_sums, _cube_sums(p * t), _cube_sums(p * p + squared), scale)
        else:
            found = _ssim_beside_nothing(t_sums, _cube_sums(squared), scale)
        totals.append(found[inside].sum())
    return np.array(totals)


def _ssim(p: Floats, t: Floats, products: Floats, squares: Floats, scale: _Scale) -> Floats:
    """SSIM (equation 13 of Wang et al.) from scaled window sums of p, t, p * t and p * p + t * t.

    The last two are not scaled by ``scale.square`` yet, and are overwritten.
    """
    luminance = p * t
    luminance *= 2.0
    products *= 2.0 * scale.square
    products -= scale.ratio * luminance
    products += 1.0
    luminance += 1.0
    luminance *= products
    energy = p * p
    energy += np.multiply(t, t, out=products)
    squares *= scale.square
    squares -= np.multiply(energy, scale.ratio, out=products)
    squares += 1.0
    energy += 1.0
    energy *= squares
    luminance /= energy
    return luminance


def _ssim_beside_nothing(values: Floats, squares: Floats, scale: _Scale) -> Floats:
    """SSIM of scaled window sums of a volume and of its squares with a volume of zeros; ``squares`` is overwritten."""
    energy = values * values
    squares *= scale.square
    squares -= scale.ratio * energy
    squares += 1.0
    energy += 1.0
    energy *= squares
    return np.divide(1.0, energy, out=energy)


def _plane_sums(block: Floats, size: tuple[int, int, int]) -> tuple[Floats, Floats, Floats]:
    """Window sums in axial, coronal and sagittal slices; windows begin in the first ``size`` voxels of the block."""
    depth, height, width = size
    axial = _window_sums(_window_sums(block[:depth], 1), 2)
    along_z = _window_sums(block, 0)
    return axial, _window_sums(along_z[:, :height], 2), _window_sums(along_z[:, :, :width], 1)


def _cube_sums(block: Floats) -> Floats:
    return _window_sums(_window_sums(_window_sums(block, 0), 1), 2)


def _window_sums(block: Floats, axis: int) -> Floats:
    """Sums over all complete 7-voxel windows along an axis, built from windows of 2 and 4 (4 adds, not 6)."""
    view = block.swapaxes(0, axis)
    if len(view) < WINDOW:
        return view[:0].swapaxes(0, axis)
    two = view[:-1] + view[1:]
    seven = two[:-5] + two[2:-3]
    seven += two[4:-1]
    seven += view[6:]
    return seven.swapaxes(0, axis)


def _scaled(block: Voxels, scale: _Scale) -> Floats:
    return np.multiply(block, scale.value, dtype=np.float64)


def _peaks(slab: Voxels) -> Voxels:
    """(y, x) largest distance from 0 over the slices of a slab."""
    return np.maximum(slab.max(axis=0), -slab.min(axis=0).astype(np.float64))


def _reached(peaks: Voxels, limit: float) -> slice | None:
    """Columns at which a window may begin that sees a peak above ``limit``; None: nowhere."""
    above = ~(peaks.max(axis=0) <= limit)  # so that NaN is seen as well
    found = np.flatnonzero(above)
    return slice(max(int(found[0]) - _LOST, 0), int(found[-1]) + 1) if len(found) else None


def _read(columns: slice) -> slice:
    """The columns that windows see which begin in ``columns``."""
    return slice(columns.start, columns.stop + _LOST)


def _around_the(truth: slice | None, prediction: slice | None) -> list[slice]:
    """The prediction's columns that are not among the truth's."""
    if prediction is None or truth is None:
        return [] if prediction is None else [prediction]
    left = slice(prediction.start, min(prediction.stop, truth.start))
    right = slice(max(prediction.start, truth.stop), prediction.stop)
    return [part for part in (left, right) if part.start < part.stop]


def _with_mirrored_margin(volume: Voxels, box: Box) -> Voxels:
    """The box widened by half a window on all sides, mirrored (edge repeated) beyond the volume."""
    margin = WINDOW // 2
    wide = tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in zip(box, volume.shape, strict=True)
    )
    missing = [(w.start - (s.start - margin), (s.stop + margin) - w.stop) for s, w in zip(box, wide, strict=True)]
    return np.pad(volume[wide], missing, mode="symmetric") if np.any(missing) else volume[wide]
