"""From a checkpoint of the CT segmenter to weights that users get, with their registry entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_formats import csv_records
from TomoRayLib.networks.ct_segmenter import CTSegmenterConfig
from TomoRayLib.training.data.licences import (
    WATCHED,
    data_of_model,
    licence_of_model,
    merged,
    recorded_sources,
    to_record,
    uses_of,
)
from TomoRayLib.training.publishing import mean_state
from TomoRayLib.training.registering import check_derivatives, check_size, register_segmenter
from TomoRayLib.weights import SegmenterEntry, load_segmenter, models_folder, save_weights

SEGMENTER = "ct-segmenter"
LIMIT_BYTES = 8 * 1000 * 1000
VALIDATION = "validation.csv"
SCORES = ("dice", "centroid_mm", "level")


def publish_segmenter(
    checkpoint: Path | Sequence[Path],
    command: str,
    segmenter_id: str = SEGMENTER,
    report: Callable[[str], None] = print,
) -> SegmenterEntry:
    """Write weights and entry of a network that finds vertebrae in a CT into ``Resources/Models``.

    Args:
        checkpoint: The last.ckpt of a run (``training.segmenter``); of several of one network, the mean of their
            averaged weights.
        command: The training command.
        segmenter_id: Its id in the registry.
        report: Receives lines.

    Returns:
        The entry. Licence and data follow from what the checkpoints record, and those who were scored beside them were
        watched; its figures are the last scores beside a single checkpoint (validation.csv), for people that were
        never trained on. The mean of several was not scored and has none.

    Raises:
        InputError: A file is no checkpoint of a segmenter, the networks differ, or the weights must not be published.
    """
    folder = models_folder()
    checkpoints = [checkpoint] if isinstance(checkpoint, Path) else list(checkpoint)
    if not checkpoints:
        raise InputError("Expected at least one checkpoint to publish, got none.")
    recorded = [use for path in checkpoints for use in recorded_sources(path)]
    scored = [_figures(path.parent / VALIDATION).get("cases", {}) for path in checkpoints]
    sources = merged([*recorded, *uses_of(WATCHED, {name for cases in scored for name in cases})])
    contents = [_content(path) for path in checkpoints]
    config = _config(contents[0], checkpoints[0])
    for path, content in zip(checkpoints, contents, strict=True):
        if _config(content, path) != config:
            raise InputError(f"Expected checkpoints of one network, got another in {path}; publish them one by one.")
    state = mean_state([content["ema"] for content in contents])
    check_size(state, LIMIT_BYTES)
    check_derivatives(sources)
    licence = licence_of_model(sources)
    report(f"Licence {licence}, from: {'; '.join(item['name'] for item in data_of_model(sources))}")
    metadata = {"model": segmenter_id, "licence": licence, "notice": "research use only"}
    metadata |= {"network": json.dumps(asdict(config)), "sources": json.dumps(to_record(sources))}
    name = f"{segmenter_id}.safetensors"
    sha256 = save_weights(state, folder / name, metadata)
    entry = SegmenterEntry(
        id=segmenter_id,
        file=name,
        sha256=sha256,
        network=asdict(config),
        licence=licence,
        data=data_of_model(sources),
        training_command=command,
        figures=_figures(checkpoints[0].parent / VALIDATION) if len(set(checkpoints)) == 1 else {},
        folder=folder,
    )
    load_segmenter(entry=entry)  # refuses weights that are not the network's
    register_segmenter(folder, entry)
    report(f"{name}: {(folder / name).stat().st_size / 1e6:.2f} MB")
    report(json.dumps(entry.figures, indent=2))
    return entry


def _content(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if "segmenter" not in content or "ema" not in content:
        raise InputError(
            f"Expected a checkpoint of the CT segmenter (last.ckpt), got one of another network in {path}."
        )
    return content


def _config(content: dict[str, Any], path: Path) -> CTSegmenterConfig:
    try:
        return CTSegmenterConfig(**content["segmenter"])
    except TypeError as error:
        raise InputError(f"Expected a checkpoint of this version's CT segmenter, got {path} ({error}).") from None


def _figures(path: Path) -> dict[str, Any]:
    """The scores of the last step in a run's table; none without one."""
    if not path.exists():
        return {}
    rows = csv_records(path)
    cases = {
        row["case"]: {key: round(float(row[key]), 4) for key in SCORES}
        for row in rows
        if row["step"] == rows[-1]["step"]
    }
    return {"command": "the training's own scores, at 2 mm, of people that were not trained on", "cases": cases}
