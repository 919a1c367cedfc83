"""Comparison of a synthetic CT with the real one: the metrics, with both baselines."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import LookupTable, Quantisation, vertebra_mask
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import Interpolation, resample, resample_sparse
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.row import MetricsRow, TruthReference, prepare_truth
from TomoRayLib.metrics.table import MetricsTable, table_of
from TomoRayLib.metrics.vertebra_matches import MatchedSpine, match_vertebrae
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.model_run import LINEAR, MASK_THRESHOLD, SyntheticCT
from TomoRayLib.synthesis.true_case import TrueCase
from TomoRayLib.synthesis.truth import GroundTruth
from TomoRayLib.weights import ModelEntry, load_atlas


@dataclass(frozen=True)
class Comparison:
    """A synthetic CT next to the real one: the true CT in HU on the same grid, truth and scores if there are vertebrae.

    ``matched`` says which vertebrae a model that counts them found, and ``warnings`` why there are no scores.
    """

    true_hu: Volume
    truth: GroundTruth | None = None
    metrics: MetricsTable | None = None
    matched: MatchedSpine | None = None
    warnings: tuple[str, ...] = ()


def compare_with_truth(synthetic: SyntheticCT, true: TrueCase, entry: ModelEntry) -> Comparison:
    """Compare a synthetic CT with the true case on its grid; without vertebrae in it nothing is scored."""
    if true.vertebrae is None:
        return Comparison(true.hu, warnings=(str(true.remark),))
    truth, reference = true.vertebrae.truth, true.vertebrae.reference
    matched = matched_vertebrae(synthetic, truth, true.vertebrae.cut)
    return Comparison(true.hu, truth, _scored(synthetic, truth, reference, entry), matched)


def matched_vertebrae(synthetic: SyntheticCT, truth: GroundTruth, cut: frozenset[int]) -> MatchedSpine | None:
    """Match the vertebrae of a synthetic CT with the true ones on its grid; None if it tells none apart.

    ``cut`` are the labels that the CT's own ends cut, in the middle of the field of view or not.
    """
    if synthetic.spine is None:
        return None
    return match_vertebrae(synthetic.spine.labels, truth.vertebrae().voxels, synthetic.grid.spacing_mm, cut)


def compare(synthetic: SyntheticCT, truth: GroundTruth, entry: ModelEntry) -> MetricsTable:
    """Score the synthetic CT, an empty volume and the model's mean atlas against the truth.

    The atlas was averaged over spines that were each centred on their vertebrae's bounding box, so it is placed on the
    middle of the true vertebrae in view: a strong baseline, which does not depend on where the isocentre lies.

    Args:
        synthetic: The synthetic CT.
        truth: The ground truth on the grid of ``synthetic``.
        entry: The model whose mean atlas is scored.

    Returns:
        All metrics, one row for each of ``tomoray``, ``blank`` and ``mean_atlas``.
    """
    reference = prepare_truth(truth.grey, truth.vertebrae().voxels, synthetic.grid.spacing_mm)
    return _scored(synthetic, truth, reference, entry)


def _scored(synthetic: SyntheticCT, truth: GroundTruth, reference: TruthReference, entry: ModelEntry) -> MetricsTable:
    volumes = {"tomoray": synthetic, "mean_atlas": placed_atlas(entry, truth)}
    predictions = {
        name: (in_table(volume.grey, truth.table), volume.probability > MASK_THRESHOLD)
        for name, volume in volumes.items()
    }
    table = table_of(reference, predictions, lookup_table=truth.table.quantisation.value)
    if truth.table.quantisation is Quantisation.LINEAR:
        return table
    greys = {name: grey for name, (grey, _) in predictions.items()}
    rows = tuple((name, with_hu_error(row, greys.get(name), truth)) for name, row in table.rows)
    return replace(table, rows=rows)


def placed_atlas(entry: ModelEntry, truth: GroundTruth) -> SyntheticCT:
    """Return the mean atlas, its middle on that of the true vertebrae's bounding box, on the truth's grid."""
    grey, mask = load_atlas(entry)
    middle_mm = vertebrae_center_mm(truth.vertebrae())
    cube = Grid.cube(middle_mm, entry.fov_mm, entry.size)
    # Half-way between two voxels the last bit depends on the grid's first place, so that grey values are not cut out.
    on_grid = resample(Volume(grey, cube), truth.grid, Interpolation.LINEAR, fill=0.0).voxels
    bone = resample_sparse(Volume(mask.astype(np.float32), cube), truth.grid).voxels
    return SyntheticCT(on_grid, bone, truth.grid, "mean_atlas")


def in_table(grey: NDArray[np.float32], table: LookupTable) -> NDArray[np.float32]:
    """Return the network's grey values, which are linear in HU, as grey values of another lookup table."""
    if table.quantisation is Quantisation.LINEAR:
        within = grey.min() >= 0.0 and grey.max() <= 1.0  # then there is nothing to clip, and no copy to make
        return grey if within else np.clip(grey, 0.0, 1.0)
    hu = LINEAR.dequantise(grey)
    numbers = np.linspace(0.0, 1.0, table.levels)
    return np.interp(hu, table.level_hu, numbers).astype(np.float32)


def with_hu_error(row: MetricsRow, grey: NDArray[np.float32] | None, truth: GroundTruth) -> MetricsRow:
    """Return the row with the mean absolute error in the table's own HU, whose grey levels are not evenly spread.

    ``grey`` (z, y, x) is in the table's grey values; None is an empty volume.
    """
    mask = vertebra_mask(truth.labels)
    values = np.zeros_like(truth.grey) if grey is None else grey
    error = np.abs(truth.table.dequantise(values[mask]) - truth.table.dequantise(truth.grey[mask]))
    return replace(row, mae_in_mask_hu=float(error.mean()))
