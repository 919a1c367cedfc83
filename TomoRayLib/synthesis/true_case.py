"""What a synthetic CT is compared with, made of the CT before there is a synthetic one: the CT is then not needed."""

from __future__ import annotations

from dataclasses import dataclass

from TomoRayLib.anatomy.grey_levels import LookupTable
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.row import TruthReference, prepare_truth
from TomoRayLib.segmentation.agreement import labels_at_ends
from TomoRayLib.synthesis.truth import GroundTruth, ground_truth, windowed_ct

NO_SEGMENTATION = (
    "No metrics: they compare vertebrae, which needs a vertebra segmentation of the CT. truth_ct.nrrd holds the CT "
    "itself, windowed, on the grid of the synthetic one."
)
NOT_IN_VIEW = "No metrics: no labelled vertebra lies in the field of view. Check the isocentre."


@dataclass(frozen=True, eq=False)
class TrueVertebrae:
    """The truth of a case with labelled vertebrae in view, what of it all scores share, and the labels that the ends of
    the CT cut."""

    truth: GroundTruth
    reference: TruthReference
    cut: frozenset[int]


@dataclass(frozen=True, eq=False)
class TrueCase:
    """The true CT in HU (int16) on the grid of the synthetic one, and its vertebrae; or why there are no scores."""

    hu: Volume
    vertebrae: TrueVertebrae | None
    remark: str | None = None


def true_case(ct: Volume, labels: Volume | None, grid: Grid, table: LookupTable) -> TrueCase:
    """Prepare what a synthetic CT is compared with.

    Args:
        ct: CT in HU.
        labels: Its vertebrae in VerSe numbering; without them, or without one in view, nothing is scored.
        grid: Grid of the synthetic CT in LPS mm.
        table: Lookup table of the scores.

    Returns:
        The true case.
    """
    if labels is None:
        return TrueCase(windowed_ct(ct, grid), None, NO_SEGMENTATION)
    truth = ground_truth(ct, labels, grid, table)
    if truth.is_empty:
        return TrueCase(windowed_ct(ct, grid), None, NOT_IN_VIEW)
    reference = prepare_truth(truth.grey, truth.vertebrae().voxels, grid.spacing_mm)
    return TrueCase(truth.hu(), TrueVertebrae(truth, reference, labels_at_ends(labels)))
