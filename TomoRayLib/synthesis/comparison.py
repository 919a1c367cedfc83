"""The synthetic CT beside the real one: the ground truth on the same grid, and the metrics with both floors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import LookupTable, Quantisation, make_target, vertebra_mask
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import Interpolation, labels_on_grid, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.table import MetricsRow, MetricsTable, evaluate_table
from TomoRayLib.networks.registry import ModelEntry, load_atlas
from TomoRayLib.synthesis.model_run import LINEAR, MASK_THRESHOLD, SyntheticCT, vertebrae_center_mm


@dataclass(frozen=True)
class GroundTruth:
    """The paper's target on one grid: ``grey`` in [0, 1], vertebra ``labels`` (VerSe numbers), both (z, y, x)."""

    grey: NDArray[np.float32]
    labels: NDArray[np.integer]
    grid: Grid
    table: LookupTable

    @property
    def is_empty(self) -> bool:
        return not vertebra_mask(self.labels).any()

    def hu(self) -> Volume:
        return Volume(np.round(self.table.dequantise(self.grey)).astype(np.int16), self.grid)

    def vertebrae(self) -> Volume:
        kept = np.where(vertebra_mask(self.labels), self.labels, 0)
        return Volume(kept.astype(np.uint8), self.grid)


def ground_truth(ct: Volume, labels: Volume, grid: Grid, table: LookupTable) -> GroundTruth:
    """The target made from a CT in HU and its vertebra labels, resampled onto ``grid``."""
    on_grid = labels_on_grid(labels, grid).voxels
    return GroundTruth(make_target(resample(ct, grid).voxels, on_grid, table), on_grid, grid, table)


def compare(synthetic: SyntheticCT, truth: GroundTruth, entry: ModelEntry) -> MetricsTable:
    """All metrics of the synthetic CT, an empty volume and the model's mean atlas against the truth.

    The atlas was averaged over spines that were each centred on their vertebrae's bounding box, so it is placed on the
    middle of the true vertebrae in view: a strong floor, which does not depend on where the isocentre happens to lie.
    """
    atlas = placed_atlas(entry, truth)
    volumes = {"tomoray": synthetic, "mean_atlas": atlas}
    predictions = {
        name: (in_table(volume.grey, truth.table), volume.probability > MASK_THRESHOLD)
        for name, volume in volumes.items()
    }
    kept = np.where(vertebra_mask(truth.labels), truth.labels, 0)
    quantisation = truth.table.quantisation.value
    table = evaluate_table(predictions, truth.grey, kept, synthetic.grid.spacing_mm, lookup_table=quantisation)
    if truth.table.quantisation is Quantisation.LINEAR:
        return table
    greys = {name: grey for name, (grey, _) in predictions.items()}
    rows = tuple((name, _with_hu_error(row, greys.get(name), truth)) for name, row in table.rows)
    return replace(table, rows=rows)


def placed_atlas(entry: ModelEntry, truth: GroundTruth) -> SyntheticCT:
    """The mean atlas with its middle on the middle of the true vertebrae's bounding box, on the truth's grid."""
    grey, mask = load_atlas(entry)
    middle_mm = vertebrae_center_mm(truth.vertebrae())
    cube = Grid.cube(middle_mm, entry.fov_mm, entry.size)
    on_grid = [
        resample(Volume(values, cube), truth.grid, Interpolation.LINEAR, fill=0.0).voxels
        for values in (grey, mask.astype(np.float32))
    ]
    return SyntheticCT(on_grid[0], on_grid[1], truth.grid, "mean_atlas")


def in_table(grey: NDArray[np.float32], table: LookupTable) -> NDArray[np.float32]:
    """The network's grey values, linear in HU, in another lookup table's grey values."""
    if table.quantisation is Quantisation.LINEAR:
        return np.clip(grey, 0.0, 1.0)
    hu = LINEAR.dequantise(grey)
    numbers = np.linspace(0.0, 1.0, table.levels)
    return np.interp(hu, table.level_hu, numbers).astype(np.float32)


def _with_hu_error(row: MetricsRow, grey: NDArray[np.float32] | None, truth: GroundTruth) -> MetricsRow:
    """The mean absolute error through the table's own HU: its grey levels are not evenly spread."""
    mask = vertebra_mask(truth.labels)
    values = np.zeros_like(truth.grey) if grey is None else grey
    error = np.abs(truth.table.dequantise(values[mask]) - truth.table.dequantise(truth.grey[mask]))
    return replace(row, mae_in_mask_hu=float(error.mean()))
