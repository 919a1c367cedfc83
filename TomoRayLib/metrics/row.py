"""All metrics of one prediction as a row, as far as the prediction says anything of grey values, bone and surface.

Arrays are ``(z, y, x)``, volumes scaled to [0, 1] by the HU window, ``spacing_mm`` is ``(x, y, z)``.
Undefined values are NaN, perfect or missing ones infinite; JSON has neither, so both are null, and ``flags`` names
those that are infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, vertebra_mask
from TomoRayLib.base.threads import in_threads
from TomoRayLib.geometry.masks import NO_BOX, Box, Mask, Support, bounding_box, support_of
from TomoRayLib.metrics import intensity, surface, vertebra
from TomoRayLib.metrics.intensity import PlaneValues, Voxels
from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.shift import Shift, shift_between
from TomoRayLib.metrics.surface import Surface, Vector3
from TomoRayLib.metrics.vertebra import Labels, NearestVertebra, TruthVertebra, VertebraRow

RANGE_TOLERANCE = 1e-3  # how far a volume may leave [0, 1] by rounding


@dataclass(frozen=True)
class MetricsRow:
    """All metrics of one prediction. ``row["dice"]`` and ``row.dice`` are the same; ``METRIC_COLUMNS`` explains them.

    ``prediction_is_empty``: the predicted grey values are all zero, so the cosine similarity of 0 means "undefined".
    ``shift`` is that of the whole mask; None without a mask, and in results of earlier versions.
    """

    psnr_3d_db: float
    psnr_3d_db_axial: float
    psnr_3d_db_coronal: float
    psnr_3d_db_sagittal: float
    ssim_2d: float
    ssim_2d_axial: float
    ssim_2d_coronal: float
    ssim_2d_sagittal: float
    cosine_similarity: float
    psnr_in_mask_db: float
    ssim_in_mask: float
    mae_in_mask_hu: float
    dice: float
    hd95_mm: float
    assd_mm: float
    nsd_1mm: float
    nsd_2mm: float
    per_vertebra: tuple[VertebraRow, ...] = ()
    prediction_is_empty: bool = False
    shift: Shift | None = None

    def __getitem__(self, key: str) -> float:
        if key not in METRIC_KEYS:
            raise KeyError(f"{key!r} is not a metric; expected one of {', '.join(METRIC_KEYS)}.")
        return float(getattr(self, key))

    def __iter__(self) -> Iterator[str]:
        return iter(METRIC_KEYS)

    def keys(self) -> tuple[str, ...]:
        return METRIC_KEYS

    def items(self) -> tuple[tuple[str, float], ...]:
        return tuple((key, self[key]) for key in METRIC_KEYS)


@dataclass(frozen=True, eq=False)
class TruthReference:
    """The truth of one case with everything that does not depend on a prediction, computed once for all rows.

    ``support`` is where the truth's grey values are not 0, ``bone_box`` lies around ``mask`` and ``near_bone_box``
    around ``dilated_mask``; of an empty mask they are empty.
    """

    volume: Voxels
    mask: Mask
    dilated_mask: Mask
    spacing_mm: Vector3
    surface: Surface
    vertebrae: tuple[TruthVertebra, ...]
    nearest: NearestVertebra
    support: Support
    bone_box: Box
    near_bone_box: Box


def prepare_truth(truth: Voxels, truth_labels: Labels, spacing_mm: Vector3) -> TruthReference:
    """Check the truth and compute its masks and surfaces.

    Args:
        truth: Grey values ``(z, y, x)`` in [0, 1].
        truth_labels: VerSe numbers ``(z, y, x)``, or 255 for a spine whose vertebrae are not told apart, which then has
            no row per vertebra. Voxels that are not vertebrae (sacrum, ribs) are not part of the bone mask.
        spacing_mm: Voxel spacing (x, y, z) in mm.

    Returns:
        Everything about the truth that does not depend on a prediction.

    Raises:
        ValueError: If the shapes differ, values lie outside [0, 1], labels are not whole numbers, or a spacing is not
            above 0.
    """
    spacing = surface.checked_spacing_mm(spacing_mm)
    if truth.ndim != 3:
        raise ValueError(
            f"The truth must be one volume (z, y, x); got shape {truth.shape}. Drop batch and channel axes."
        )
    _check_shape("truth_labels", truth_labels, truth.shape)
    _check_range("truth", truth)
    if not np.issubdtype(truth_labels.dtype, np.integer):
        raise ValueError(
            f"truth_labels must hold whole numbers (VerSe: 1-25, 28); got {truth_labels.dtype}. "
            f"Give the label volume, not its mask."
        )
    mask = vertebra_mask(truth_labels)
    parts: list[Callable[[], Any]] = [
        partial(vertebra.nearest_vertebra, truth_labels, spacing),
        partial(intensity.dilated, mask),
        partial(surface.surface_of, mask, spacing),
        partial(vertebra.truth_vertebrae, truth_labels, spacing),
    ]
    nearest, dilated_mask, whole, vertebrae = in_threads(parts)
    return TruthReference(
        volume=truth,
        mask=mask,
        dilated_mask=dilated_mask,
        spacing_mm=spacing,
        surface=whole,
        vertebrae=vertebrae,
        nearest=nearest,
        support=support_of(truth),
        bone_box=bounding_box(mask) or NO_BOX,
        near_bone_box=bounding_box(dilated_mask) or NO_BOX,
    )


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method says of a case, on the truth's grid; None of what it does not say.

    Args:
        grey: Grey values ``(z, y, x)`` in [0, 1].
        mask: Bone, boolean ``(z, y, x)``.
        surface: Points on the bone's surface in place of a mask's: together they weigh as much as the true surface,
            so that their number does not matter.
    """

    grey: Voxels | None = None
    mask: Mask | None = None
    surface: Surface | None = None

    def __post_init__(self) -> None:
        if self.grey is None and self.mask is None and self.surface is None:
            raise ValueError("A prediction needs grey values, a mask or a surface; got none of them.")


def score(
    reference: TruthReference, prediction: Prediction, window_width_hu: float = BONE_WINDOW.width_hu
) -> MetricsRow:
    """Compute the metrics of one prediction against a prepared truth, as far as it says anything.

    Args:
        reference: The truth, from ``prepare_truth``.
        prediction: Grey values, mask or surface; metrics of what it does not give are NaN.
        window_width_hu: Width of the HU window that [0, 1] stands for.

    Returns:
        The metrics, of the spine and of each vertebra.

    Raises:
        ValueError: As ``evaluate_case``, and for a prediction of nothing.
    """
    return score_all(reference, [prediction], window_width_hu)[0]


def score_all(
    reference: TruthReference, predictions: Sequence[Prediction], window_width_hu: float = BONE_WINDOW.width_hu
) -> list[MetricsRow]:
    """Compute the metrics of several predictions as ``score`` does, in less time than one by one.

    Args:
        reference: The truth, from ``prepare_truth``.
        predictions: Grey values, mask or surface of each.
        window_width_hu: Width of the HU window that [0, 1] stands for.

    Returns:
        The metrics in the order of the predictions; the same for any number of threads.

    Raises:
        ValueError: As ``score``.
    """
    if not window_width_hu > 0:
        raise ValueError(f"window_width_hu must be above 0; got {window_width_hu}. Use 1300 for -250..1050 HU.")
    for prediction in predictions:
        _check_prediction(prediction, reference)
    greys = [prediction.grey for prediction in predictions if prediction.grey is not None]
    in_planes = intensity.ssims_2d(greys, reference.volume) if greys else []
    near_bone = intensity.ssims_in_mask(greys, reference.volume, reference.dilated_mask)
    ssims = iter(zip(in_planes, near_bone, strict=True))
    tasks: list[tuple[int, Callable[[], dict[str, Any]]]] = []
    for place, one in enumerate(predictions):
        tasks.append((place, partial(_of_surface, reference, one)))
        tasks.append((place, partial(_of_mask, reference, one.mask)))
        if one.grey is not None:
            tasks.append((place, partial(_of_grey, reference, one.grey, *next(ssims), window_width_hu)))
    rows: list[dict[str, Any]] = [dict.fromkeys(METRIC_KEYS, math.nan) for _ in predictions]
    for (place, _), found in zip(tasks, in_threads([task for _, task in tasks]), strict=True):
        rows[place] |= found
    return [MetricsRow(**row) for row in rows]


def _of_grey(
    reference: TruthReference, grey: Voxels, ssim: PlaneValues, ssim_in_mask: float, window_width_hu: float
) -> dict[str, Any]:
    truth = reference.volume
    sums = intensity.error_sums(grey, truth, reference.support)
    psnr = sums.psnr_per_plane_db()
    near, bone = reference.near_bone_box, reference.bone_box
    return {
        "psnr_3d_db": sums.psnr_3d_db(),
        "psnr_3d_db_axial": psnr.axial,
        "psnr_3d_db_coronal": psnr.coronal,
        "psnr_3d_db_sagittal": psnr.sagittal,
        "ssim_2d": ssim.mean,
        "ssim_2d_axial": ssim.axial,
        "ssim_2d_coronal": ssim.coronal,
        "ssim_2d_sagittal": ssim.sagittal,
        "cosine_similarity": sums.cosine_similarity(),
        "psnr_in_mask_db": intensity.psnr_in_mask_db(grey[near], truth[near], reference.dilated_mask[near]),
        "ssim_in_mask": ssim_in_mask,
        "mae_in_mask_hu": intensity.mae_in_mask_hu(grey[bone], truth[bone], reference.mask[bone], window_width_hu),
        "prediction_is_empty": not np.any(grey),
    }


def _of_mask(reference: TruthReference, mask: Mask | None) -> dict[str, Any]:
    if mask is None:
        return {}
    return {
        "dice": vertebra.dice(mask, reference.mask),
        "shift": shift_between(mask, reference.mask, reference.spacing_mm),
        "per_vertebra": vertebra.vertebra_rows(mask, reference.vertebrae, reference.nearest, reference.spacing_mm),
    }


def _as_heavy(points: Surface, truth: Surface) -> Surface:
    """Points with areas that add up to the truth's."""
    if points.is_empty or truth.is_empty:
        return points
    return replace(points, areas_mm2=points.areas_mm2 * (truth.areas_mm2.sum() / points.areas_mm2.sum()))


def _of_surface(reference: TruthReference, prediction: Prediction) -> dict[str, Any]:
    if prediction.surface is not None:
        found = _as_heavy(prediction.surface, reference.surface)
    elif prediction.mask is not None:
        found = surface.surface_of(prediction.mask, reference.spacing_mm)
    else:
        return {}
    distances = surface.surface_distances(reference.surface, found, threads=1)  # rows share the threads
    return {
        "hd95_mm": surface.hausdorff_mm(distances, 95),
        "assd_mm": surface.average_symmetric_distance_mm(distances),
        "nsd_1mm": surface.normalized_surface_dice(distances, 1.0),
        "nsd_2mm": surface.normalized_surface_dice(distances, 2.0),
    }


def row_to_json(row: MetricsRow) -> dict[str, Any]:
    """``row``, ``shift``, ``per_vertebra`` and ``flags`` for ``json.dump``; NaN and infinity become None.

    ``flags["infinite"]`` lists the metrics whose None stands for infinity.
    """
    infinite = [key for key, value in row.items() if value == math.inf]
    return {
        "row": {key: json_number(value) for key, value in row.items()},
        "shift": None if row.shift is None else row.shift.to_json_dict(),
        "per_vertebra": [{key: json_number(value) for key, value in asdict(v).items()} for v in row.per_vertebra],
        "flags": {"prediction_is_empty": row.prediction_is_empty, "infinite": infinite},
    }


def json_number(value: Any) -> Any:
    """A value for JSON, which has neither NaN nor infinity: both become None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_prediction(prediction: Prediction, reference: TruthReference) -> None:
    if prediction.grey is not None:
        _check_shape("prediction", prediction.grey, reference.volume.shape)
        _check_range("prediction", prediction.grey)
    if prediction.mask is not None:
        _check_mask(prediction.mask, reference)


def _check_mask(mask: Mask, reference: TruthReference) -> None:
    _check_shape("prediction_mask", mask, reference.volume.shape)
    if mask.dtype != np.bool_:
        raise ValueError(f"prediction_mask must be boolean; got {mask.dtype}. Threshold it: mask > 0.5.")


def _check_shape(name: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ValueError(
            f"{name} must have the truth's shape (z, y, x) = {expected}; got {array.shape}. "
            f"Resample it to the truth's grid first, so that voxels are compared at the same place."
        )


def _check_range(name: str, volume: Voxels) -> None:
    low, high = float(volume.min()), float(volume.max())
    if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):  # also catches NaN
        raise ValueError(
            f"The {name} must be finite and scaled to [0, 1]; got values from {low:g} to {high:g}. "
            f"Apply the HU window (or clip the network's output) first."
        )
