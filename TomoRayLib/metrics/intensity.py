"""Grey-value metrics of a synthetic CT against the truth: PSNR, SSIM, cosine similarity, error in HU.

Volumes are ``(z, y, x)`` on one grid, scaled to [0, 1] after the HU window; ``data_range`` is 1.0 unless said
otherwise and is never guessed from the data. Planes: axial = z slices, coronal = y slices, sagittal = x slices.
Sums run in float64. SSIM itself is in ``structural_similarity``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.geometry.masks import NO_BOX, Mask, Support, dilated_by, support_of
from TomoRayLib.metrics.structural_similarity import WINDOW, ssim_around, ssim_of_planes

Voxels = NDArray[Any]

MASK_DILATION_VOXELS = 3


@dataclass(frozen=True)
class PlaneValues:
    """One number per viewing plane: axial (z slices), coronal (y slices), sagittal (x slices)."""

    axial: float
    coronal: float
    sagittal: float

    @property
    def mean(self) -> float:
        """Mean of the three planes."""
        return (self.axial + self.coronal + self.sagittal) / 3


@dataclass(frozen=True, eq=False)
class ErrorSums:
    """Sums over the voxels of a prediction p and a truth t, in float64, from one pass over both.

    ``squared_errors`` has (p - t)^2 by z slice, by y slice and by x slice; ``product`` is the sum of p * t,
    ``prediction_energy`` that of p^2 and ``truth_energy`` that of t^2. ``shape`` is that of the volumes, and
    ``shown`` tells for each axis which slices have any truth.
    """

    shape: tuple[int, ...]
    squared_errors: tuple[Voxels, Voxels, Voxels]
    product: float
    prediction_energy: float
    truth_energy: float
    shown: tuple[Mask, Mask, Mask]

    def psnr_3d_db(self, data_range: float = 1.0) -> float:
        """As the function of this name."""
        return psnr_db(float(self.squared_errors[0].sum()) / math.prod(self.shape), data_range)

    def psnr_per_plane_db(self, data_range: float = 1.0) -> PlaneValues:
        """As the function of this name."""
        values = []
        for size, errors, shown in zip(self.shape, self.squared_errors, self.shown, strict=True):
            means = errors[shown] / (math.prod(self.shape) // size)
            values.append(float(np.mean([psnr_db(mean, data_range) for mean in means])) if len(means) else math.nan)
        return PlaneValues(*values)

    def cosine_similarity(self) -> float:
        """As the function of this name."""
        norm = math.sqrt(self.prediction_energy) * math.sqrt(self.truth_energy)
        return self.product / norm if norm > 0 else 0.0


def error_sums(prediction: Voxels, truth: Voxels, support: Support | None = None) -> ErrorSums:
    """Sum products and squared errors of two volumes in one pass.

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        support: Where the truth is not 0, if that is known already: elsewhere the error is the prediction.

    Returns:
        The sums.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_same_shape(prediction, truth)
    support = support_of(truth) if support is None else support
    depth, height, width = support.box or NO_BOX
    per_z, per_y, per_x = (np.zeros(size) for size in truth.shape)
    product = prediction_energy = truth_energy = 0.0
    for z, p_slice in enumerate(prediction):
        is_empty = not p_slice.any()
        y, x = (height, width) if is_empty else (slice(None), slice(None))
        squared = p_slice[y, x].astype(np.float64)
        p = (squared if is_empty else squared[height, width]).copy()
        squared *= squared
        prediction_energy += float(squared.sum())
        if depth.start <= z < depth.stop:
            t = truth[z, height, width].astype(np.float64)
            product += float(np.sum(p * t))  # np.vdot wakes BLAS threads per slice: 15 x slower or worse
            truth_energy += float(np.sum(t * t))
            p -= t
            np.multiply(p, p, out=squared if is_empty else squared[height, width])
        per_row = squared.sum(axis=1)
        per_z[z] = per_row.sum()
        per_y[y] += per_row
        per_x[x] += squared.sum(axis=0)
    return ErrorSums(truth.shape, (per_z, per_y, per_x), product, prediction_energy, truth_energy, support.slices)


def psnr_3d_db(prediction: Voxels, truth: Voxels, data_range: float = 1.0) -> float:
    """Peak signal-to-noise ratio from one mean squared error over the whole volume.

    ``10 log10(data_range^2 / mean((p - t)^2))``.

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        data_range: The range of possible grey values.

    Returns:
        PSNR in dB; infinity for identical volumes.

    Raises:
        ValueError: If the shapes differ or ``data_range`` is not above 0.
    """
    return error_sums(prediction, truth).psnr_3d_db(data_range)


def psnr_per_plane_db(prediction: Voxels, truth: Voxels, data_range: float = 1.0) -> PlaneValues:
    """Mean of the per-slice PSNRs along each plane, over the slices in which the truth is not empty.

    Slices without any bone are left out: an error-free empty slice would count as infinite. One error-free slice
    *with* bone makes its plane infinite; a truth without any bone gives NaN.

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        data_range: The range of possible grey values.

    Returns:
        PSNR in dB of axial, coronal and sagittal slices.

    Raises:
        ValueError: If the shapes differ or ``data_range`` is not above 0.
    """
    return error_sums(prediction, truth).psnr_per_plane_db(data_range)


def psnr_in_mask_db(prediction: Voxels, truth: Voxels, mask: Mask, data_range: float = 1.0) -> float:
    """Peak signal-to-noise ratio over the voxels of a mask, meant to be the dilated truth (``dilated``).

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        mask: Boolean ``(z, y, x)``.
        data_range: The range of possible grey values.

    Returns:
        PSNR in dB; NaN for an empty mask.

    Raises:
        ValueError: If the shapes differ or ``data_range`` is not above 0.
    """
    _check_same_shape(prediction, truth, mask)
    if not mask.any():
        return math.nan
    difference = prediction[mask].astype(np.float64) - truth[mask]
    return psnr_db(float(np.mean(difference**2)), data_range)


def mae_in_mask_hu(
    prediction: Voxels, truth: Voxels, mask: Mask, window_width_hu: float = BONE_WINDOW.width_hu
) -> float:
    """Mean absolute error over the truth's bone voxels: ``window_width_hu * mean(|p - t|)``.

    This undoes a *linear* window; values from another lookup table must be turned into HU first and be given with
    ``window_width_hu`` = 1.

    Args:
        prediction: Grey values ``(z, y, x)`` in [0, 1].
        truth: Grey values ``(z, y, x)`` on the same grid.
        mask: Boolean ``(z, y, x)``, the truth's bone.
        window_width_hu: Width of the HU window that [0, 1] stands for.

    Returns:
        The error in HU; NaN for an empty mask.

    Raises:
        ValueError: If the shapes differ.
    """
    _check_same_shape(prediction, truth, mask)
    if not mask.any():
        return math.nan
    return window_width_hu * float(np.mean(np.abs(prediction[mask].astype(np.float64) - truth[mask])))


def cosine_similarity(prediction: Voxels, truth: Voxels) -> float:
    """Cosine similarity ``<p, t> / (|p| |t|)`` over all voxels.

    It is 1 if the volumes differ only by a positive factor. If a volume is all zero it is undefined: 0.0 is returned,
    and ``MetricsRow.prediction_is_empty`` says so.

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.

    Returns:
        The similarity, -1 to 1.

    Raises:
        ValueError: If the shapes differ.
    """
    return error_sums(prediction, truth).cosine_similarity()


def ssim_2d(prediction: Voxels, truth: Voxels, data_range: float = 1.0) -> PlaneValues:
    """Mean slice-wise SSIM along each plane; equals scikit-image's mean over the slices of that axis.

    Only complete windows count (scikit-image leaves out the same 3-pixel margin). Windows that are zero in both volumes
    have SSIM 1 and are counted, not computed.

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        data_range: The range of possible grey values.

    Returns:
        SSIM of axial, coronal and sagittal slices.

    Raises:
        ValueError: If the shapes differ, or the volume has an edge below 7 voxels.
    """
    return ssims_2d([prediction], truth, data_range)[0]


def ssims_2d(predictions: Sequence[Voxels], truth: Voxels, data_range: float = 1.0) -> list[PlaneValues]:
    """``ssim_2d`` of several predictions in less time: the truth's window sums are made once.

    Raises ValueError as ``ssim_2d``.
    """
    for prediction in predictions:
        _check_same_shape(prediction, truth)
    if min(truth.shape) < WINDOW:
        raise ValueError(
            f"SSIM needs at least {WINDOW} voxels along each axis (its window); got shape {truth.shape}. "
            f"Pad the volume or use a finer grid."
        )
    return [PlaneValues(*planes) for planes in ssim_of_planes(predictions, truth, data_range)]


def ssim_in_mask(prediction: Voxels, truth: Voxels, mask: Mask, data_range: float = 1.0) -> float:
    """Mean of the full SSIM3D map (7 x 7 x 7 uniform window) over a mask, meant to be the dilated truth.

    The map equals scikit-image's ``full=True``: beyond the field of view the volumes are mirrored (edge repeated).

    Args:
        prediction: Grey values ``(z, y, x)``.
        truth: Grey values ``(z, y, x)`` on the same grid.
        mask: Boolean ``(z, y, x)``.
        data_range: The range of possible grey values.

    Returns:
        The mean SSIM; NaN for an empty mask.

    Raises:
        ValueError: If the shapes differ.
    """
    return ssims_in_mask([prediction], truth, mask, data_range)[0]


def ssims_in_mask(predictions: Sequence[Voxels], truth: Voxels, mask: Mask, data_range: float = 1.0) -> list[float]:
    """``ssim_in_mask`` of several predictions in less time: the truth's window sums are made once.

    Raises ValueError as ``ssim_in_mask``.
    """
    for prediction in predictions:
        _check_same_shape(prediction, truth, mask)
    return ssim_around(predictions, truth, mask, data_range)


def dilated(mask: Mask, voxels: float = MASK_DILATION_VOXELS) -> Mask:
    """Dilate a mask by a ball.

    Args:
        mask: Boolean ``(z, y, x)``.
        voxels: The ball's radius in voxels.

    Returns:
        True at all voxels whose centre lies within ``voxels`` of the centre of a mask voxel.
    """
    return dilated_by(mask, voxels)


def psnr_db(mean_squared_error: float, data_range: float = 1.0) -> float:
    """``10 log10(data_range^2 / mean_squared_error)`` in dB; infinity for an error of 0."""
    if not data_range > 0:
        raise ValueError(f"data_range must be above 0; got {data_range}. Use 1.0 for volumes scaled to [0, 1].")
    return 10 * math.log10(data_range**2 / mean_squared_error) if mean_squared_error > 0 else math.inf


def _check_same_shape(prediction: Voxels, truth: Voxels, mask: Mask | None = None) -> None:
    for name, array in (("prediction", prediction), ("mask", mask)):
        if array is not None and (array.shape != truth.shape or truth.ndim != 3):
            raise ValueError(
                f"The {name} must have the truth's shape (z, y, x) = {truth.shape}; got {array.shape}. "
                f"Resample it to the truth's grid first."
            )
