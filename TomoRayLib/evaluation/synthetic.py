"""The synthetic CT of a model for a prepared case, as it is kept and scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.evaluation.code_version import code_version
from TomoRayLib.evaluation.prepared import PreparedCase
from TomoRayLib.evaluation.stage_store import Stage, StageStore, stage_key
from TomoRayLib.images.resampling import Interpolation, labels_on_grid, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.model_run import MASK_THRESHOLD, ChosenModel, SyntheticCT

GREY_LEVELS = 65535  # grey values are kept, and scored, in steps of one 65535th: 0.02 HU


@dataclass(frozen=True, eq=False)
class KeptSynthesis:
    """A synthetic CT on the cube that is scored: ``grey`` in [0, 1] (linear in HU), bone ``mask`` and, of a model that
    tells vertebrae apart, ``labels``, all (z, y, x); ``spine`` as ``DecodedSpine.to_json_dict``."""

    grey: NDArray[np.float32]
    mask: NDArray[np.bool_]
    labels: NDArray[np.uint8] | None
    spine: Mapping[str, Any] | None


def synthesis_key(prepared: str, model: ChosenModel, threads: int) -> str:
    """Return the key of a model's synthetic CT: the case, the weights, device, precision, threads (by their number the
    last digits differ) and code."""
    return stage_key(
        "synthesis",
        code=code_version("synthesis"),
        prepared=prepared,
        model=[model.entry.architecture, model.entry.network, model.entry.grid],
        weights=model.entry.sha256,
        device=model.device.partition(":")[0],
        precision=model.precision_name,
        threads=threads,
    )


def synthesized(case: PreparedCase, model: ChosenModel, store: StageStore, key: str) -> tuple[KeptSynthesis, bool]:
    """Run a model on a case, or take its result from the store; and whether it was there."""
    stage, was_kept = store.made(key, lambda: _synthesized(case, model))
    arrays = stage.arrays
    mask = np.unpackbits(arrays["mask"], count=case.truth.grey.size).astype(bool).reshape(case.truth.grey.shape)
    grey = arrays["grey"].astype(np.float32) / np.float32(GREY_LEVELS)
    return KeptSynthesis(grey, mask, arrays.get("labels"), stage.values["spine"]), was_kept


def _synthesized(case: PreparedCase, model: ChosenModel) -> Stage:
    synthetic = model.synthesize(case.ap, case.lateral, case.views).on_field_of_view(case.grid.extent_mm[0])
    grey, probability, labels = _on_cube(synthetic, case)
    arrays: dict[str, NDArray[Any]] = {
        "grey": np.round(np.clip(grey, 0, 1) * GREY_LEVELS).astype(np.uint16),
        "mask": np.packbits(probability > MASK_THRESHOLD),
    }
    if labels is not None:
        arrays["labels"] = labels
    return Stage(arrays, {"spine": None if synthetic.spine is None else synthetic.spine.to_json_dict()})


def _on_cube(
    synthetic: SyntheticCT, case: PreparedCase
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8] | None]:
    """Grey values, probability and labels on the cube that is scored, whose voxels may be others than the model's."""
    labels = None if synthetic.spine is None else synthetic.spine.labels
    if synthetic.grid == case.grid:
        return synthetic.grey, synthetic.probability, labels
    grey, probability = (
        resample(Volume(values, synthetic.grid), case.grid, Interpolation.LINEAR, fill=0.0).voxels
        for values in (synthetic.grey, synthetic.probability)
    )
    if labels is not None:
        labels = labels_on_grid(Volume(labels, synthetic.grid), case.grid).voxels
    return grey, probability, labels
