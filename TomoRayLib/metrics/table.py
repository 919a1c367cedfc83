"""All metrics of one case as a row, and the rows of one case as a table with its two baselines.

The baselines "blank" (all zeros) and "mean_atlas" are on the same grid and window: global SSIM and PSNR of a spine in
a mostly empty cube are high even for an empty volume.

Arrays are ``(z, y, x)``, volumes scaled to [0, 1] by the HU window, ``spacing_mm`` is ``(x, y, z)``.
Undefined values are NaN and perfect or missing ones infinite in Python and CSV; JSON has neither, so both are null,
and ``flags`` names those that are infinite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, vertebra_mask
from TomoRayLib.base.text_formats import csv_text
from TomoRayLib.metrics import intensity, surface, vertebra
from TomoRayLib.metrics.intensity import Mask, Voxels
from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.surface import Surface, Vector3
from TomoRayLib.metrics.vertebra import Labels, NearestVertebra, TruthVertebra, VertebraRow

RANGE_TOLERANCE = 1e-3  # how far a volume may leave [0, 1] by rounding
BLANK, MEAN_ATLAS = "blank", "mean_atlas"

GreyAndMask = tuple[Voxels, Mask]  # grey values in [0, 1] and bone mask


@dataclass(frozen=True)
class MetricsRow:
    """All metrics of one prediction. ``row["dice"]`` and ``row.dice`` are the same; ``METRIC_COLUMNS`` explains them.

    ``prediction_is_empty``: the predicted grey values are all zero, so the cosine similarity of 0 means "undefined".
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


@dataclass(frozen=True)
class MetricsSettings:
    """The settings that every score of a table depends on and that must be printed with it."""

    window_width_hu: float
    spacing_mm: Vector3
    fov_mm: Vector3
    n: int = 1
    data_range: float = 1.0
    lookup_table: str = "linear"
    mask_dilation_voxels: int = intensity.MASK_DILATION_VOXELS
    assignment_limit_mm: float = vertebra.ASSIGNMENT_LIMIT_MM


@dataclass(frozen=True)
class MetricsTable:
    """The rows of one case, in printing order: the models, then "blank", then "mean_atlas" if there is one."""

    rows: tuple[tuple[str, MetricsRow], ...]
    settings: MetricsSettings

    def __getitem__(self, name: str) -> MetricsRow:
        for row_name, row in self.rows:
            if row_name == name:
                return row
        raise KeyError(f"The table has no row {name!r}; it has {', '.join(self.names)}.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.rows)

    def to_json_dict(self) -> dict[str, Any]:
        """``rows``, ``per_vertebra``, ``flags`` and ``settings`` for ``json.dump``; NaN and infinity become None.

        ``flags[name]["infinite"]`` lists the metrics whose None stands for infinity.
        """
        return {
            "rows": {name: {key: _json_number(value) for key, value in row.items()} for name, row in self.rows},
            "per_vertebra": {name: [_json_values(asdict(v)) for v in row.per_vertebra] for name, row in self.rows},
            "flags": {name: _flags(row) for name, row in self.rows},
            "settings": _json_values(asdict(self.settings)),
        }

    def to_csv(self) -> str:
        """One line per row, columns ``row`` and the metric keys, full precision; may hold ``inf`` and ``nan``."""
        return csv_text(
            ("row", *METRIC_KEYS), [(name, *(value for _, value in row.items())) for name, row in self.rows]
        )

    def per_vertebra_to_csv(self) -> str:
        """One line per row and vertebra, columns ``row`` and the fields of ``VertebraRow``."""
        keys = tuple(field.name for field in fields(VertebraRow))
        lines = [(name, *(getattr(v, key) for key in keys)) for name, row in self.rows for v in row.per_vertebra]
        return csv_text(("row", *keys), lines)


@dataclass(frozen=True, eq=False)
class TruthReference:
    """The truth of one case with everything that does not depend on a prediction, computed once for all rows."""

    volume: Voxels
    mask: Mask
    dilated_mask: Mask
    spacing_mm: Vector3
    surface: Surface
    vertebrae: tuple[TruthVertebra, ...]
    nearest: NearestVertebra


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
    return TruthReference(
        volume=truth,
        mask=mask,
        dilated_mask=intensity.dilated(mask),
        spacing_mm=spacing,
        surface=surface.surface_of(mask, spacing),
        vertebrae=vertebra.truth_vertebrae(truth_labels, spacing),
        nearest=vertebra.nearest_vertebra(truth_labels, spacing),
    )


def evaluate(
    reference: TruthReference,
    prediction: Voxels,
    prediction_mask: Mask,
    window_width_hu: float = BONE_WINDOW.width_hu,
) -> MetricsRow:
    """Compute all metrics of one prediction against a prepared truth.

    Args:
        reference: The truth, from ``prepare_truth``.
        prediction: Grey values ``(z, y, x)`` in [0, 1] on the truth's grid.
        prediction_mask: Boolean ``(z, y, x)``, the predicted bone.
        window_width_hu: Width of the HU window that [0, 1] stands for.

    Returns:
        The metrics, of the spine and of each vertebra.

    Raises:
        ValueError: As ``evaluate_case``.
    """
    truth = reference.volume
    _check_shape("prediction", prediction, truth.shape)
    _check_shape("prediction_mask", prediction_mask, truth.shape)
    _check_range("prediction", prediction)
    if prediction_mask.dtype != np.bool_:
        raise ValueError(f"prediction_mask must be boolean; got {prediction_mask.dtype}. Threshold it: mask > 0.5.")
    if not window_width_hu > 0:
        raise ValueError(f"window_width_hu must be above 0; got {window_width_hu}. Use 1300 for -250..1050 HU.")
    psnr = intensity.psnr_per_plane_db(prediction, truth)
    ssim = intensity.ssim_2d(prediction, truth)
    near_bone = reference.dilated_mask
    distances = surface.surface_distances(reference.surface, surface.surface_of(prediction_mask, reference.spacing_mm))
    return MetricsRow(
        psnr_3d_db=intensity.psnr_3d_db(prediction, truth),
        psnr_3d_db_axial=psnr.axial,
        psnr_3d_db_coronal=psnr.coronal,
        psnr_3d_db_sagittal=psnr.sagittal,
        ssim_2d=ssim.mean,
        ssim_2d_axial=ssim.axial,
        ssim_2d_coronal=ssim.coronal,
        ssim_2d_sagittal=ssim.sagittal,
        cosine_similarity=intensity.cosine_similarity(prediction, truth),
        psnr_in_mask_db=intensity.psnr_in_mask_db(prediction, truth, near_bone),
        ssim_in_mask=intensity.ssim_in_mask(prediction, truth, near_bone),
        mae_in_mask_hu=intensity.mae_in_mask_hu(prediction, truth, reference.mask, window_width_hu),
        dice=vertebra.dice(prediction_mask, reference.mask),
        hd95_mm=surface.hausdorff_mm(distances, 95),
        assd_mm=surface.average_symmetric_distance_mm(distances),
        nsd_1mm=surface.normalized_surface_dice(distances, 1.0),
        nsd_2mm=surface.normalized_surface_dice(distances, 2.0),
        per_vertebra=vertebra.vertebra_rows(
            prediction_mask, reference.vertebrae, reference.nearest, reference.spacing_mm
        ),
        prediction_is_empty=not np.any(prediction),
    )


def evaluate_case(
    prediction: Voxels,
    prediction_mask: Mask,
    truth: Voxels,
    truth_labels: Labels,
    spacing_mm: Vector3,
    window_width_hu: float = BONE_WINDOW.width_hu,
) -> MetricsRow:
    """Compute all metrics of one prediction.

    Args:
        prediction: Grey values ``(z, y, x)`` in [0, 1].
        prediction_mask: Boolean ``(z, y, x)``, the predicted bone.
        truth: Grey values ``(z, y, x)`` in [0, 1] on the same grid.
        truth_labels: VerSe numbers ``(z, y, x)``.
        spacing_mm: Voxel spacing (x, y, z) in mm.
        window_width_hu: Width of the HU window that [0, 1] stands for.

    Returns:
        The metrics, of the spine and of each vertebra.

    Raises:
        ValueError: If the shapes differ, values lie outside [0, 1], the mask is not boolean, or a spacing is not
            above 0.
    """
    return evaluate(prepare_truth(truth, truth_labels, spacing_mm), prediction, prediction_mask, window_width_hu)


def evaluate_table(
    predictions: Mapping[str, GreyAndMask],
    truth: Voxels,
    truth_labels: Labels,
    spacing_mm: Vector3,
    *,
    window_width_hu: float = BONE_WINDOW.width_hu,
    lookup_table: str = "linear",
) -> MetricsTable:
    """Compute the table of one case: the predictions and the blank volume against the truth.

    Args:
        predictions: Grey values and mask by name: ``{"tomoray": (volume, mask), "mean_atlas": (volume, mask)}``.
        truth: Grey values ``(z, y, x)`` in [0, 1] on the same grid.
        truth_labels: VerSe numbers ``(z, y, x)``.
        spacing_mm: Voxel spacing (x, y, z) in mm.
        window_width_hu: Width of the HU window that [0, 1] stands for.
        lookup_table: The name of the lookup table, recorded in the settings.

    Returns:
        The models' rows, then "blank", which is made here, then "mean_atlas" if given.

    Raises:
        ValueError: As ``evaluate_case``, and if a prediction is called "blank".
    """
    if BLANK in predictions:
        raise ValueError(f"The row {BLANK!r} is made by the table itself; give your prediction another name.")
    reference = prepare_truth(truth, truth_labels, spacing_mm)
    nothing = (np.zeros(truth.shape, dtype=np.float32), np.zeros(truth.shape, dtype=bool))
    ordered = {name: pair for name, pair in predictions.items() if name != MEAN_ATLAS}
    ordered[BLANK] = nothing
    if MEAN_ATLAS in predictions:
        ordered[MEAN_ATLAS] = predictions[MEAN_ATLAS]
    rows = tuple((name, evaluate(reference, *pair, window_width_hu)) for name, pair in ordered.items())
    x, y, z = reference.spacing_mm
    depth, height, width = truth.shape
    fov_mm = (x * width, y * height, z * depth)
    return MetricsTable(rows, MetricsSettings(window_width_hu, (x, y, z), fov_mm, lookup_table=lookup_table))


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


def _flags(row: MetricsRow) -> dict[str, Any]:
    infinite = [key for key, value in row.items() if value == math.inf]
    return {"prediction_is_empty": row.prediction_is_empty, "infinite": infinite}


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else _json_number(v) for key, v in values.items()}
