"""The vertebra that a job names: what of it can be told before the network runs, and the result named by it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from TomoRayLib.anatomy.vertebra_naming import FARTHEST_MM, FIELD, shown_place
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.weights import ModelEntry

if TYPE_CHECKING:
    from TomoRayLib.synthesis.model_run import SyntheticCT


def check_model_counts(job: SynthesisJob, entry: ModelEntry) -> None:
    """Raise InputError if the job asks for vertebrae one by one, of a model that does not tell them apart."""
    field = FIELD if job.anchor is not None else "vertebra_surfaces" if job.vertebra_surfaces else None
    if field is not None and not entry.network.get("counts"):
        raise InputError(
            f"Expected a model that tells vertebrae apart, got {entry.id}, which does not; choose another model, or "
            "leave this out.",
            field,
        )


def check_place(job: SynthesisJob, grid: Grid) -> None:
    """Raise InputError if the place that the job names lies too far outside the synthetic CT's ``grid``."""
    anchor = job.named_vertebra
    if anchor is None or anchor.place_mm is None:
        return
    index = (grid.world_to_index @ np.array([*anchor.place_mm, 1.0]))[:3]
    highest = np.asarray(grid.size) - 1
    outside_mm = np.linalg.norm((index - np.clip(index, 0, highest)) * np.asarray(grid.spacing_mm))
    if outside_mm > FARTHEST_MM:
        middle = grid.index_to_world @ np.array([*(highest / 2), 1.0])
        raise InputError(
            f"Expected a place in LPS mm in the synthetic CT, which is a cube about {shown_place(middle[:3])} with "
            f"edges of {grid.size[0] * grid.spacing_mm[0]:.0f} mm; got {shown_place(anchor.place_mm)}, "
            f"{outside_mm:.0f} mm outside it. Give a place inside a vertebra.",
            FIELD,
        )


def as_named(job: SynthesisJob, synthetic: SyntheticCT) -> SyntheticCT:
    """Return the synthetic CT with its vertebrae numbered from the one that the job names, if it names one.

    Raises InputError as ``anatomy.vertebra_renumbering.renumbered`` does.
    """
    anchor = job.named_vertebra
    if anchor is None or synthetic.spine is None:
        return synthetic
    from TomoRayLib.anatomy.vertebra_renumbering import renumbered

    return replace(synthetic, spine=renumbered(synthetic.spine, anchor, synthetic.grid))
