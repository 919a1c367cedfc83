"""From a checkpoint to a model that users get: weights, mean atlas, lookup table, registry entry, figures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.held_folders import private_folder
from TomoRayLib.base.mappings import dataclass_from_mapping
from TomoRayLib.jobs.demonstration import DemonstrationCase, default_cache, fetch_demonstration
from TomoRayLib.jobs.events import Event, Finished
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis
from TomoRayLib.metrics.scores import MAIN_SCORES
from TomoRayLib.networks.geolift import GeoLiftConfig
from TomoRayLib.networks.weight_files import Base
from TomoRayLib.training.baseline import Baseline, kept_baseline, new_baseline
from TomoRayLib.training.data.augmentation import GeometryRanges
from TomoRayLib.training.data.licences import (
    SourceUse,
    data_of_model,
    licence_of_model,
    merged,
    recorded_sources,
    to_record,
)
from TomoRayLib.training.data.roles import people_of
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.engine.checkpoints import ADDED_PARTS, averaged_geolift
from TomoRayLib.training.registering import (
    check_derivatives,
    check_size,
    figures_of_people,
    kept_description,
    register_model,
    write_file,
)
from TomoRayLib.weights import ModelEntry, check_description, find_model, models_folder, save_weights

LIMIT_BYTES = 16 * 1000 * 1000


@dataclass(frozen=True)
class Publication:
    """How a model is published.

    Attributes:
        model: Its id.
        command: The training command, for the registry.
        keep_atlas: Keep mean atlas and lookup table of the model of this id that is there.
        based_on: Id of a published model, whose weights stay in its own file alone where the new ones are the same; it
            lends its mean atlas too.
        people: A held_out.json of Testing/Benchmarks/held_out.py that has the model, or its checkpoint under its id.
        described_as: A few words for who chooses a model; None keeps those of the model of this id that is there.
    """

    model: str
    command: str = ""
    keep_atlas: bool = False
    based_on: str | None = None
    people: Path | None = None
    described_as: str | None = None


def publish_model(
    checkpoint: Path | Sequence[Path], data: Path | None, wanted: Publication, report: Callable[[str], None] = print
) -> ModelEntry:
    """Write weights, atlas, table and entry into ``Resources/Models``, then the figures on the demonstration case.

    Of several checkpoints of one network the mean is published; published weights (.safetensors) may be among them, and
    what is named twice counts twice. Its licence and its data follow from what all of them, and the model that it is
    based on, say they were made from (``data.licences``). The table is shared by all models, so it is always made from
    labelled CTs that allow commercial use; without any in ``data`` the table that is there stays. The atlas is made of
    the spines that were trained on, to weights for commercial use of such spines alone.

    Raises InputError for weights that must not be published, and for missing data.
    """
    check_description(wanted.described_as)
    folder = models_folder()
    checkpoints = [checkpoint] if isinstance(checkpoint, Path) else list(checkpoint)
    base = _base_of(wanted, folder)
    earlier = [base.path] if base is not None else []
    recorded = merged(use for path in [*checkpoints, *earlier] for use in recorded_sources(path))
    config, state = mean_weights(checkpoints)
    fov_mm, geometry = imaging_of(checkpoints)
    weights_name = f"{wanted.model}.safetensors"
    check_size(state, LIMIT_BYTES)
    check_derivatives(recorded)
    figures = {} if wanted.people is None else {"people": figures_of_people(wanted.people, wanted.model)}
    demonstration = demonstration_case()
    baseline = _baseline_of(wanted, base, data, recorded, fov_mm, report)
    sources = merged([*recorded, *baseline.sources])
    licence = licence_of_model(sources)
    report(f"Licence {licence}, from: {'; '.join(item['name'] for item in data_of_model(sources))}")
    metadata = {"model": wanted.model, "licence": licence, "notice": "research use only"}
    metadata |= {"network": json.dumps(asdict(config)), "sources": json.dumps(to_record(sources))}
    beside = None if base is None else Base(base.id, base.file, base.sha256)
    sha256 = save_weights(state, folder / weights_name, metadata, beside)
    report(f"{weights_name}: {(folder / weights_name).stat().st_size / 1e6:.2f} MB")
    for name, content in baseline.files.items():
        write_file(folder / name, content)
    entry = ModelEntry(
        id=wanted.model,
        file=weights_name,
        sha256=sha256,
        architecture="geolift",
        network=asdict(config),
        grid={"size": config.output_size, "fov_mm": fov_mm},
        geometry_range={
            "sad_mm": list(geometry.sad_mm),
            "parallel": geometry.parallel_share > 0,
            "slot_sad_mm": list(geometry.slot_sad_mm) if geometry.slot_share > 0 else None,
            "angle_sd_deg": geometry.angle_sd_deg if geometry.angled_share > 0 else 0.0,
        },
        licence=licence,
        data=data_of_model(sources),
        training_command=wanted.command,
        figures=figures,
        atlas_file=baseline.atlas_file,
        atlas_sha256=baseline.atlas_sha256,
        atlas_threshold=baseline.atlas_threshold,
        based_on=None if base is None else {"model": base.id, "sha256": base.sha256},
        described_as=wanted.described_as or kept_description(folder, wanted.model),
        people=people_of(recorded).to_json_dict(),
        folder=folder,
    )
    for left_behind in register_model(folder, entry):
        report(f"{left_behind} adds to the {entry.id} of before and cannot be loaded: publish it again.")
    entry = replace(entry, figures={**demonstration_figures(entry.id, demonstration), **figures})
    register_model(folder, entry)
    report(json.dumps(entry.figures, indent=2))
    return entry


def _base_of(wanted: Publication, folder: Path) -> ModelEntry | None:
    if wanted.based_on is None:
        return None
    if wanted.based_on == wanted.model:
        raise InputError(
            f"Expected another model to base {wanted.model} on, got itself; name another, or give it an id."
        )
    return find_model(wanted.based_on, folder)


def _baseline_of(
    wanted: Publication,
    base: ModelEntry | None,
    data: Path | None,
    recorded: Iterable[SourceUse],
    fov_mm: float,
    report: Callable[[str], None],
) -> Baseline:
    """The base's atlas, that of the model which is there, or a new one."""
    if base is not None:
        return kept_baseline(base, recorded, fov_mm)
    folder = models_folder()
    if wanted.keep_atlas:
        return kept_baseline(find_model(wanted.model, folder), recorded, fov_mm)
    if data is None:
        raise InputError(
            "Expected the data that was trained on, for the mean atlas, got none; give its folder, or keep the atlas "
            "that is there.",
            field="data",
        )
    return new_baseline(data, recorded, wanted.model, fov_mm, folder, report)


def mean_weights(checkpoints: Sequence[Path]) -> tuple[GeoLiftConfig, dict[str, Tensor]]:
    """The network's configuration and the mean of the averaged weights of checkpoints and published weights.

    Those from before the head that counts may be among others that have it, which alone make its mean.

    Raises InputError for no checkpoint, a file that is neither of the two, or networks of different shapes.
    """
    if not checkpoints:
        raise InputError("Expected at least one checkpoint to publish, got none.")
    loaded = [_averaged(path) for path in checkpoints]
    config = replace(loaded[0][0], counts=any(other.counts for other, _ in loaded))
    for path, (other, _) in zip(checkpoints, loaded, strict=True):
        if replace(other, counts=config.counts) != config:
            raise InputError(f"Expected checkpoints of one network, got another in {path}; publish them one by one.")
    return config, mean_state([state for _, state in loaded], ADDED_PARTS["counts"])


def mean_state(states: Sequence[Mapping[str, Tensor]], may_lack: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The mean of networks' states, in float32; of tensors named ``may_lack``..., over those with them.

    Raises InputError for a state that lacks another tensor.
    """
    names = list(dict.fromkeys(name for state in states for name in state))
    for number, state in enumerate(states, 1):
        missing = [name for name in names if name not in state and not name.startswith(may_lack)]
        if missing:
            raise InputError(
                f"Expected the same {len(names)} tensors in each of {len(states)} networks, got none of {missing[0]} "
                f"in number {number}; is its file damaged? Publish the others without it."
            )
    return {name: torch.stack([one[name].float() for one in states if name in one]).mean(dim=0) for name in names}


def imaging_of(checkpoints: Sequence[Path]) -> tuple[float, GeometryRanges]:
    """The edge of the cube in mm and the geometry that the checkpoints were trained with.

    Checkpoints from before they were recorded had 256 mm and the default ranges; published weights among them do not
    say, and count as trained like the others. Raises InputError if they differ.
    """
    found: list[tuple[float, GeometryRanges]] = []
    for path in checkpoints:
        if path.suffix == ".safetensors":
            continue
        stream = torch.load(path, map_location="cpu", weights_only=True).get("stream", {})
        default = StreamConfig()
        ranges = stream.get("geometry", asdict(default.geometry))
        geometry = dataclass_from_mapping(GeometryRanges, ranges, f"The geometry of {path}")
        found.append((float(stream.get("fov_mm", default.fov_mm)), geometry))
    if not found:
        raise InputError(
            "Expected a run's checkpoint (last.ckpt) among those to publish, got published weights (.safetensors) "
            "alone; name the run that started from them as well."
        )
    if any(one != found[0] for one in found):
        raise InputError(f"Expected checkpoints of one cube and geometry, got {found}; publish them one by one.")
    return found[0]


def _averaged(path: Path) -> tuple[GeoLiftConfig, dict[str, Tensor]]:
    try:
        return averaged_geolift(path)
    except (KeyError, TypeError, UnpicklingError, SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"Expected a checkpoint of a run (last.ckpt) or published weights (.safetensors) to publish, got "
            f"{path}, which is neither ({reason})."
        ) from None


def demonstration_case() -> DemonstrationCase:
    """LIDC-IDRI-0001, which ``publish_model`` fetches before it writes anything.

    Raises InputError if it cannot be downloaded.
    """
    case = fetch_demonstration(default_cache(dict(os.environ)))
    if case.is_phantom or case.ct_path is None:
        raise InputError(
            "Figures are published on the real demonstration case only; connect to the network and run again."
        )
    return case


def demonstration_figures(model_id: str, case: DemonstrationCase) -> dict[str, Any]:
    """The model's and both floors' scores on LIDC-IDRI-0001, which no model is trained or chosen on."""
    events: list[Event] = []
    with private_folder() as out:
        job = SynthesisJob(
            out=f"{out}/case", ct=str(case.ct_path), segmentation=str(case.labels_path), model=model_id, report=False
        )
        run_synthesis(job, events.append)
    rows = next(event for event in events if isinstance(event, Finished)).values["metrics"]["rows"]
    figures = {
        name: {key: round(row[key], 4) if row[key] is not None else None for key in MAIN_SCORES}
        for name, row in rows.items()
    }
    return {"case": "LIDC-IDRI-0001", "n": 1, "command": f"tomoray demo --model {model_id}", "rows": figures}
