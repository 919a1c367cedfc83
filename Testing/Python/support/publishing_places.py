"""A place to publish in: an empty models folder, a checkpoint of a tiny network, and data with one labelled CT."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from support.anatomies import a_coarse_anatomy
from support.recipe_data import a_labelled_ct
from TomoRayLib.images.writing import write_volume
from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet
from TomoRayLib.training import baseline, publishing
from TomoRayLib.training.data.licences import SourceUse, to_record
from TomoRayLib.weights import ModelEntry

NETWORK = GeoLiftConfig((4, 4, 8, 8, 8), (4, 4, 4, 8, 8), (1, 1, 1, 1, 1), 32)


def a_publishing_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The labelled CT lies in VerSe's layout. Figures are a count of how often they were asked for."""
    models, data = folder / "Models", folder / "data"
    models.mkdir(exist_ok=True)
    state = GeoLiftUNet(NETWORK).state_dict()
    write_checkpoint(folder / "last.ckpt", state)
    ct, labels = a_labelled_ct(0, 300.0)
    verse = data / "verse" / "dataset-01training"
    for part, name, volume in (("rawdata", "sub-verse9_ct", ct), ("derivatives", "sub-verse9_seg-vert_msk", labels)):
        (verse / part / "sub-verse9").mkdir(parents=True)
        write_volume(verse / part / "sub-verse9" / f"{name}.nii.gz", volume)
    monkeypatch.setattr(publishing, "models_folder", lambda: models)
    monkeypatch.setattr(baseline, "load_spines", lambda data, permissive, myo_sim: a_coarse_anatomy().spines)
    figures = itertools.count(1)
    monkeypatch.setattr(publishing, "demonstration_case", lambda: None)
    monkeypatch.setattr(
        publishing, "demonstration_figures", lambda model_id, case: {"n": next(figures), "id": model_id}
    )
    return SimpleNamespace(models=models, data=data, checkpoint=folder / "last.ckpt", state=state)


def write_checkpoint(path: Path, state: dict[str, Tensor]) -> Path:
    """A checkpoint of the tiny network as a run's, without what publishing does not read."""
    ema = {"n_averaged": torch.tensor(3)} | {f"module.{name}": value for name, value in state.items()}
    torch.save({"network": dataclasses.asdict(NETWORK), "ema": ema}, path)
    return path


def record(checkpoint: Path, uses: tuple[SourceUse, ...]) -> None:
    """Let a checkpoint say what it was made from."""
    torch.save({**torch.load(checkpoint, weights_only=True), "sources": to_record(uses)}, checkpoint)


def publish(
    place: SimpleNamespace,
    checkpoint: Path | Sequence[Path] | None = None,
    model: str = "tiny",
    report: Callable[[str], None] = lambda line: None,
    **changes: Any,
) -> ModelEntry:
    """Publish the place's checkpoint, or others, with its data or other data; ``changes`` are of ``Publication``."""
    data = changes.pop("data", place.data)
    wanted = publishing.Publication(model, "tomoray train", **changes)
    return publishing.publish_model(checkpoint or place.checkpoint, data, wanted, report)
