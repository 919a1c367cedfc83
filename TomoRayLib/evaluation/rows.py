"""The scores of one method on one case, as a row that is kept and as it goes into the case's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, Quantisation
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.metrics.row import Prediction, TruthReference, prepare_truth, row_to_json, score
from TomoRayLib.metrics.surface import Surface, points_surface
from TomoRayLib.metrics.table import MetricsSettings, blank_prediction
from TomoRayLib.metrics.vertebra_matches import match_vertebrae
from TomoRayLib.synthesis.comparison import in_table, with_hu_error
from TomoRayLib.synthesis.truth import GroundTruth


def reference_of(truth: GroundTruth) -> TruthReference:
    """Return the truth with everything that does not depend on a prediction, computed once for all methods."""
    return prepare_truth(truth.grey, truth.vertebrae().voxels, truth.grid.spacing_mm)


def scored_row(
    truth: GroundTruth,
    reference: TruthReference,
    grey: NDArray[np.float32] | None,
    mask: NDArray[np.bool_] | None,
    points_mm: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Score one prediction.

    Args:
        truth: The truth.
        reference: The same, from ``reference_of``.
        grey: Grey values (z, y, x) in [0, 1], linear in HU; None if the method gives none.
        mask: Bone (z, y, x); None likewise.
        points_mm: Points on the bone's surface (n, 3), (z, y, x) in mm from the first voxel, in place of both.

    Returns:
        ``row``, ``per_vertebra`` and ``flags`` as ``row_to_json``. Scores of what the method does not give are None.
    """
    in_levels = None if grey is None else in_table(grey, truth.table)
    surface: Surface | None = None if points_mm is None else points_surface(points_mm)
    row = score(reference, Prediction(in_levels, mask, surface))
    if in_levels is not None and truth.table.quantisation is not Quantisation.LINEAR:
        row = with_hu_error(row, in_levels, truth)
    return row_to_json(row)


def blank_row(truth: GroundTruth, reference: TruthReference) -> dict[str, Any]:
    """Return the scores of an empty volume."""
    return scored_row(truth, reference, *blank_prediction(truth.grey.shape))


def counting_of(
    labels: NDArray[np.integer] | None, truth: GroundTruth, cut: frozenset[int], spine: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Count the vertebrae that a labelled prediction found and named; None if it, or the truth, tells none apart.

    ``spine`` says how sure a model is of its numbers (``DecodedSpine.to_json_dict``); of others that is not known.
    """
    if labels is None:
        return None
    matched = match_vertebrae(labels, truth.vertebrae().voxels, truth.grid.spacing_mm, cut)
    if matched is None:
        return None
    said = spine or {"vertebrae": [], "numbering": None, "numbering_certainty": None}
    return {**matched.to_json_dict(), **said}


def truth_sha256(truth: GroundTruth) -> str:
    """Return the hash of a truth: two runs with the same one can be compared case by case."""
    return sha256_of_bytes(truth.grey.tobytes() + truth.labels.astype(np.uint8).tobytes())


def settings_of(truth: GroundTruth) -> dict[str, Any]:
    """Return the settings that every score depends on, as ``MetricsTable.to_json_dict`` has them."""
    x, y, z = truth.grid.extent_mm
    table = truth.table.quantisation.value
    return MetricsSettings(BONE_WINDOW.width_hu, truth.grid.spacing_mm, (x, y, z), lookup_table=table).to_json_dict()
