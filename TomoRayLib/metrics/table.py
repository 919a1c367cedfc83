"""All metrics of one case as a row, and the rows of one case as a table with its two baselines.

The baselines "blank" (all zeros) and "mean_atlas" are on the same grid and window: global SSIM and PSNR of a spine in
a mostly empty cube are high even for an empty volume.

Arrays are ``(z, y, x)``, volumes scaled to [0, 1] by the HU window, ``spacing_mm`` is ``(x, y, z)``.
Undefined values are NaN and perfect or missing ones infinite in Python and CSV; JSON has neither, so both are null,
and ``flags`` names those that are infinite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.text_formats import csv_text
from TomoRayLib.geometry.masks import Mask
from TomoRayLib.metrics import intensity, vertebra
from TomoRayLib.metrics.intensity import Voxels
from TomoRayLib.metrics.row import (
    MetricsRow,
    Prediction,
    TruthReference,
    json_number,
    prepare_truth,
    row_to_json,
    score,
    score_all,
)
from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.shift import Shift
from TomoRayLib.metrics.surface import Vector3
from TomoRayLib.metrics.vertebra import Labels, VertebraRow

BLANK, MEAN_ATLAS = "blank", "mean_atlas"

GreyAndMask = tuple[Voxels, Mask]  # grey values in [0, 1] and bone mask


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

    def to_json_dict(self) -> dict[str, Any]:
        """The settings by name, for ``json.dump``."""
        values = asdict(self).items()
        return {key: list(value) if isinstance(value, tuple) else json_number(value) for key, value in values}


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

    def vertebrae_of(self, name: str) -> dict[int, VertebraRow]:
        """The vertebrae of a row by VerSe number, from cranial to caudal; none of a row that there is not."""
        return {one.label: one for one in self[name].per_vertebra} if name in self.names else {}

    def to_json_dict(self) -> dict[str, Any]:
        """``rows``, ``shifts``, ``per_vertebra``, ``flags`` and ``settings`` for ``json.dump``; NaN and infinity become
        None.

        ``flags[name]["infinite"]`` lists the metrics whose None stands for infinity.
        """
        rows = {name: row_to_json(row) for name, row in self.rows}
        return {
            "rows": {name: row["row"] for name, row in rows.items()},
            "shifts": {name: row["shift"] for name, row in rows.items()},
            "per_vertebra": {name: row["per_vertebra"] for name, row in rows.items()},
            "flags": {name: row["flags"] for name, row in rows.items()},
            "settings": self.settings.to_json_dict(),
        }

    @classmethod
    def from_json_dict(cls, values: Mapping[str, Any]) -> MetricsTable:
        """Back from ``to_json_dict``."""
        rows = []
        for name, row in values["rows"].items():
            infinite = set(values["flags"][name]["infinite"])
            numbers = {key: _number(value, key in infinite) for key, value in row.items()}
            vertebrae = tuple(VertebraRow(**_vertebra(one)) for one in values["per_vertebra"].get(name, ()))
            empty, moved = bool(values["flags"][name]["prediction_is_empty"]), values.get("shifts", {}).get(name)
            shift = None if moved is None else Shift.from_json_dict(moved)
            one = MetricsRow(**numbers, per_vertebra=vertebrae, prediction_is_empty=empty, shift=shift)
            rows.append((name, one))
        settings: dict[str, Any] = {
            key: tuple(one) if isinstance(one, list) else one for key, one in values["settings"].items()
        }
        return cls(tuple(rows), MetricsSettings(**settings))

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
    return score(reference, Prediction(prediction, prediction_mask), window_width_hu)


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
    check_names(predictions)
    reference = prepare_truth(truth, truth_labels, spacing_mm)
    return table_of(reference, predictions, window_width_hu=window_width_hu, lookup_table=lookup_table)


def table_of(
    reference: TruthReference,
    predictions: Mapping[str, GreyAndMask],
    *,
    window_width_hu: float = BONE_WINDOW.width_hu,
    lookup_table: str = "linear",
) -> MetricsTable:
    """Compute the table of one case as ``evaluate_table``, against a prepared truth.

    Args:
        reference: The truth, from ``prepare_truth``.
        predictions: Grey values and mask by name.
        window_width_hu: Width of the HU window that [0, 1] stands for.
        lookup_table: The name of the lookup table, recorded in the settings.

    Returns:
        The models' rows, then "blank", which is made here, then "mean_atlas" if given.

    Raises:
        ValueError: As ``evaluate_table``.
    """
    check_names(predictions)
    shape = reference.volume.shape
    ordered = {name: pair for name, pair in predictions.items() if name != MEAN_ATLAS}
    ordered[BLANK] = blank_prediction(shape)
    if MEAN_ATLAS in predictions:
        ordered[MEAN_ATLAS] = predictions[MEAN_ATLAS]
    rows = score_all(reference, [Prediction(*pair) for pair in ordered.values()], window_width_hu)
    x, y, z = reference.spacing_mm
    depth, height, width = shape
    settings = MetricsSettings(
        window_width_hu, (x, y, z), (x * width, y * height, z * depth), lookup_table=lookup_table
    )
    return MetricsTable(tuple(zip(ordered, rows, strict=True)), settings)


def blank_prediction(shape: tuple[int, ...]) -> GreyAndMask:
    """Return grey values and mask of an empty volume ``(z, y, x)``, which take no memory and cannot be written."""
    return np.broadcast_to(np.float32(0), shape), np.broadcast_to(np.bool_(False), shape)


def check_names(predictions: Mapping[str, GreyAndMask]) -> None:
    """Raise ValueError if a prediction has the name of the row that the table makes itself."""
    if BLANK in predictions:
        raise ValueError(f"The row {BLANK!r} is made by the table itself; give your prediction another name.")


def _number(value: float | None, is_infinite: bool = False) -> float:
    if value is None:
        return math.inf if is_infinite else math.nan
    return float(value)


def _vertebra(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ``VertebraRow``: without any predicted voxel distances are infinite and errors undefined. Fields
    of earlier versions alone are left out."""
    missing, known = values["centroid_error_mm"] is None, {field.name for field in fields(VertebraRow)}
    return {
        key: _number(value, missing and key in ("hd95_mm", "assd_mm")) if value is None else value
        for key, value in values.items()
        if key in known
    }
