"""Grey-value metrics of a synthetic CT against the truth: PSNR, SSIM, cosine similarity, error in HU.

Volumes are ``(z, y, x)`` on one grid, scaled to [0, 1] after the HU window; ``data_range`` is 1.0 unless said
otherwise and is never guessed from the data. Planes: axial = z slices, coronal = y slices, sagittal = x slices.
Sums run in float64.

SSIM follows Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861) with a 7 x 7 uniform window, K1 = 0.01,
K2 = 0.03 and the sample covariance, which are scikit-image's defaults.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW

Voxels = NDArray[Any]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]

SSIM_WINDOW = 7
SSIM_K1, SSIM_K2 = 0.01, 0.03
MASK_DILATION_VOXELS = 3
_SLICES_PER_CHUNK = 8  # 8 slices of 192 x 192 in float64 are 2.4 MB: larger chunks fall out of the cache


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
    sums = _squared_error_sums(prediction, truth)
    return psnr_db(float(sums[0].sum()) / truth.size, data_range)


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
    sums = _squared_error_sums(prediction, truth)
    values = []
    for axis, sum_per_slice in enumerate(sums):
        others = tuple(other for other in range(3) if other != axis)
        errors = sum_per_slice[np.any(truth, axis=others)] / (truth.size // truth.shape[axis])
        values.append(float(np.mean([psnr_db(error, data_range) for error in errors])) if len(errors) else math.nan)
    return PlaneValues(*values)


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
    _check_same_shape(prediction, truth)
    product = prediction_energy = truth_energy = 0.0
    for p_slice, t_slice in zip(prediction, truth, strict=True):
        p, t = p_slice.astype(np.float64), t_slice.astype(np.float64)
        product += float(np.sum(p * t))  # np.vdot wakes BLAS threads per slice: 15 x slower or worse
        prediction_energy += float(np.sum(p * p))
        truth_energy += float(np.sum(t * t))
    norm = math.sqrt(prediction_energy) * math.sqrt(truth_energy)
    return product / norm if norm > 0 else 0.0


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
    _check_same_shape(prediction, truth)
    if min(truth.shape) < SSIM_WINDOW:
        raise ValueError(
            f"SSIM needs at least {SSIM_WINDOW} voxels along each axis (its window); got shape {truth.shape}. "
            f"Pad the volume or use a finer grid."
        )
    box = _box_of_interest(prediction, truth)
    if box is None:
        return PlaneValues(1.0, 1.0, 1.0)
    p, t = prediction[box], truth[box]
    return PlaneValues(*(_plane_ssim(p, t, axis, truth.shape, data_range) for axis in range(3)))


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
    _check_same_shape(prediction, truth, mask)
    box = bounding_box(mask)
    if box is None:
        return math.nan
    margin = SSIM_WINDOW // 2
    p, t = (_cut_with_mirrored_margin(volume, box, margin) for volume in (prediction, truth))
    total = 0.0
    inside = mask[box]
    for start in range(0, len(inside), _SLICES_PER_CHUNK):
        rows = slice(start, start + _SLICES_PER_CHUNK)
        window_rows = slice(start, start + _SLICES_PER_CHUNK + 2 * margin)
        total += float(_ssim_map(p[window_rows], t[window_rows], (0, 1, 2), data_range)[inside[rows]].sum())
    return total / int(np.count_nonzero(inside))


def dilated(mask: Mask, voxels: float = MASK_DILATION_VOXELS) -> Mask:
    """Dilate a mask by a ball.

    Args:
        mask: Boolean ``(z, y, x)``.
        voxels: The ball's radius in voxels.

    Returns:
        True at all voxels whose centre lies within ``voxels`` of the centre of a mask voxel.
    """
    box = bounding_box(mask, margin=math.ceil(voxels))
    result = np.zeros_like(mask, dtype=bool)
    if box is not None:
        result[box] = ndimage.distance_transform_edt(~mask[box]) <= voxels
    return result


def bounding_box(mask: Mask, margin: int = 0) -> Box | None:
    """Slices ``(z, y, x)`` around the true voxels, widened by ``margin`` and clipped; None for an empty mask."""
    plane = np.any(mask, axis=0)
    profiles = (np.any(mask, axis=(1, 2)), np.any(plane, axis=1), np.any(plane, axis=0))
    if not profiles[0].any():
        return None
    found = [np.flatnonzero(profile) for profile in profiles]
    z, y, x = (
        slice(max(int(f[0]) - margin, 0), min(int(f[-1]) + 1 + margin, n))
        for f, n in zip(found, mask.shape, strict=True)
    )
    return (z, y, x)


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


def _squared_error_sums(prediction: Voxels, truth: Voxels) -> tuple[Voxels, Voxels, Voxels]:
    """Sums of (p - t)^2 per z slice, per y slice and per x slice, in float64."""
    _check_same_shape(prediction, truth)
    depth, height, width = truth.shape
    per_z, per_y, per_x = np.zeros(depth), np.zeros(height), np.zeros(width)
    for z, (p, t) in enumerate(zip(prediction, truth, strict=True)):
        squared = (p.astype(np.float64) - t) ** 2
        rows = squared.sum(axis=1)
        per_z[z] = rows.sum()
        per_y += rows
        per_x += squared.sum(axis=0)
    return per_z, per_y, per_x


def _box_of_interest(prediction: Voxels, truth: Voxels) -> Box | None:
    """The box outside which every SSIM window is zero in both volumes; never smaller than one window."""
    return bounding_box((prediction != 0) | (truth != 0), margin=SSIM_WINDOW - 1)


def _plane_ssim(p: Voxels, t: Voxels, axis: int, full_shape: tuple[int, ...], data_range: float) -> float:
    """Mean SSIM of the slices along ``axis``; ``p`` and ``t`` are the box, the windows outside it count as 1."""
    p, t = np.moveaxis(p, axis, 0), np.moveaxis(t, axis, 0)
    total = 0.0
    for start in range(0, len(p), _SLICES_PER_CHUNK):
        chunk = slice(start, start + _SLICES_PER_CHUNK)
        total += float(_ssim_map(p[chunk], t[chunk], (1, 2), data_range).sum())
    lost = SSIM_WINDOW - 1
    computed = len(p) * (p.shape[1] - lost) * (p.shape[2] - lost)
    window_counts = [size if other == axis else size - lost for other, size in enumerate(full_shape)]
    all_windows = math.prod(window_counts)
    return (total + all_windows - computed) / all_windows


def _ssim_map(p: Voxels, t: Voxels, axes: tuple[int, ...], data_range: float) -> Voxels:
    """SSIM of every complete window that spans ``axes`` (equation 13 of Wang et al. 2004), in float64."""
    p, t = (np.ascontiguousarray(volume, dtype=np.float64) for volume in (p, t))
    count = SSIM_WINDOW ** len(axes)
    sample = count / (count - 1)

    def mean(volume: Voxels) -> Voxels:
        return _window_sums(volume, axes) / count

    mean_p, mean_t = mean(p), mean(t)
    product = mean_p * mean_t
    squares = mean_p * mean_p + mean_t * mean_t
    covariance = sample * (mean(p * t) - product)
    variances = sample * (mean(p * p + t * t) - squares)
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    return ((2 * product + c1) * (2 * covariance + c2)) / ((squares + c1) * (variances + c2))


def _window_sums(volume: Voxels, axes: tuple[int, ...]) -> Voxels:
    """Sums over all complete 7-voxel windows along ``axes``, built from windows of 2 and 4 (4 adds, not 6)."""
    for axis in axes:
        view = np.moveaxis(volume, axis, 0)
        two = view[:-1] + view[1:]
        four = two[:-2] + two[2:]
        seven = four[:-3] + two[4:-1]
        seven += view[6:]
        volume = np.moveaxis(seven, 0, axis)
    return volume


def _cut_with_mirrored_margin(volume: Voxels, box: Box, margin: int) -> Voxels:
    """The box widened by ``margin`` on all sides, mirrored (edge repeated) beyond the volume."""
    wide = tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, n)) for s, n in zip(box, volume.shape, strict=True)
    )
    missing = [(w.start - (s.start - margin), (s.stop + margin) - w.stop) for s, w in zip(box, wide, strict=True)]
    return np.pad(volume[wide], missing, mode="symmetric")
