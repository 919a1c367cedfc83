"""From a checkpoint to a model that users get: weights, mean atlas, lookup table, registry entry, figures."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import LookupTable
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.base.mappings import dataclass_from_mapping
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.jobs.demonstration import DemonstrationCase, default_cache, fetch_demonstration
from TomoRayLib.jobs.events import Event, Finished
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.synthesis import run_synthesis
from TomoRayLib.metrics.scores import MAIN_SCORES
from TomoRayLib.networks.geolift import GeoLiftConfig
from TomoRayLib.training.atlas import atlas_tensors, bone_hu, fit_lookup_table, mean_atlas, mean_bone_grey
from TomoRayLib.training.data.anatomy import Anatomy, load_spines
from TomoRayLib.training.data.augmentation import GeometryRanges
from TomoRayLib.training.data.held_out import VALIDATION_SUBJECTS, is_of_subjects
from TomoRayLib.training.data.licences import (
    CASES,
    GREY,
    SHAPES,
    WATCHED,
    SourceUse,
    commercial_use_allowed,
    data_of_model,
    from_record,
    licence_of_model,
    merged,
    recorded_sources,
    to_record,
    uses_of,
    without_derivatives,
)
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.data.training_cases import find_labelled_cts, reason_against
from TomoRayLib.training.engine.checkpoints import averaged_geolift
from TomoRayLib.training.phantoms.myo_sim import MYO_SIM_SPINE
from TomoRayLib.training.phantoms.spines import Spine, load_spine
from TomoRayLib.weights import (
    LOOKUP_NAME,
    REGISTRY_NAME,
    ModelEntry,
    models_folder,
    save_weights,
)

LIMIT_BYTES = 16 * 1000 * 1000


def publish_model(
    checkpoint: Path | Sequence[Path], data: Path, command: str, model_id: str, report: Callable[[str], None] = print
) -> ModelEntry:
    """Write weights, atlas, table and entry into ``Resources/Models``, then the figures on the demonstration case.

    Of several checkpoints of one network the mean is published; published weights (.safetensors) may be among them, and
    what is named twice counts twice. Its licence and its data follow from what all of them say they were made from
    (``data.licences``). The table is shared by all models, so it is always made from labelled CTs that allow
    commercial use; without any in ``data`` the table that is there stays. The atlas is made of the spines that were
    trained on, to weights for commercial use of such spines alone.

    Raises InputError for weights that must not be published, and for missing data.
    """
    folder = models_folder()
    checkpoints = [checkpoint] if isinstance(checkpoint, Path) else list(checkpoint)
    recorded = merged(use for path in checkpoints for use in recorded_sources(path))
    config, state = mean_weights(checkpoints)
    fov_mm, geometry = imaging_of(checkpoints)
    weights_name, atlas_name = f"{model_id}.safetensors", f"{model_id}-mean-atlas.safetensors"
    size = 2 * sum(value.numel() for value in state.values())  # in half precision
    if size > LIMIT_BYTES:
        raise InputError(f"The weights take {size / 1e6:.1f} MB; at most {LIMIT_BYTES / 1e6:.0f} MB fit the extension.")
    _check_derivatives(recorded)
    demonstration = demonstration_case()
    watched = {item for use in recorded if use.use == WATCHED for item in use.items}
    bone = _bone_of(data, watched, folder / LOOKUP_NAME, report)
    spines = _spines_trained_on(data, recorded, watched)
    shapes = {spine.name for spine in spines} - _named(recorded, CASES)
    sources = merged([*recorded, *uses_of(SHAPES, sorted(shapes)), *bone.sources])
    licence = licence_of_model(sources)
    report(f"Licence {licence}, from: {'; '.join(item['name'] for item in data_of_model(sources))}")
    metadata = {"model": model_id, "licence": licence, "notice": "research use only"}
    metadata["network"] = json.dumps(asdict(config))
    record = json.dumps(to_record(sources))
    sha256 = save_weights(state, folder / weights_name, {**metadata, "sources": record})
    report(f"{weights_name}: {size / 1e6:.1f} MB")
    if bone.table is not None:
        table = json.dumps({**bone.table.to_dict(), "sources": to_record(bone.sources)})
        _write(folder / LOOKUP_NAME, (table + "\n").encode())
    atlas = mean_atlas(spines, bone.mean_grey, fov_mm)
    content = save(atlas_tensors(atlas), {"licence": licence})
    _write(folder / atlas_name, content)
    report(f"{atlas_name}: mean of {atlas.stretches} stretches, mask above {atlas.threshold:.3f}")
    entry = ModelEntry(
        id=model_id,
        file=weights_name,
        sha256=sha256,
        architecture="geolift",
        network=asdict(config),
        grid={"size": config.output_size, "fov_mm": fov_mm},
        geometry_range={
            "sad_mm": list(geometry.sad_mm),
            "parallel": geometry.parallel_share > 0,
            "angle_sd_deg": geometry.angle_sd_deg if geometry.angled_share > 0 else 0.0,
        },
        licence=licence,
        data=data_of_model(sources),
        training_command=command,
        figures={},
        atlas_file=atlas_name,
        atlas_sha256=sha256_of_bytes(content),
        atlas_threshold=atlas.threshold,
    )
    _register(folder, entry)
    entry = ModelEntry(**{**_plain(entry), "figures": demonstration_figures(model_id, demonstration), "folder": folder})
    _register(folder, entry)
    report(json.dumps(entry.figures, indent=2))
    return entry


def mean_weights(checkpoints: Sequence[Path]) -> tuple[GeoLiftConfig, dict[str, Tensor]]:
    """The network's configuration and the mean of the averaged weights of checkpoints and published weights.

    Raises InputError for no checkpoint, a file that is neither of the two, or networks of different shapes.
    """
    if not checkpoints:
        raise InputError("Expected at least one checkpoint to publish, got none.")
    loaded = [_averaged(path) for path in checkpoints]
    config, state = loaded[0]
    for path, (other, _) in zip(checkpoints, loaded, strict=True):
        if other != config:
            raise InputError(f"Expected checkpoints of one network, got another in {path}; publish them one by one.")
    return config, {name: torch.stack([one[name].float() for _, one in loaded]).mean(dim=0) for name in state}


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
    with tempfile.TemporaryDirectory(prefix="tomoray-") as out:
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


@dataclass(frozen=True)
class _Bone:
    """The mean grey value of real bone in [0, 1], its equal-frequency table if it is a new one, and their CTs."""

    table: LookupTable | None
    mean_grey: float
    sources: tuple[SourceUse, ...]


def _bone_of(data: Path, watched: Iterable[str], table_path: Path, report: Callable[[str], None]) -> _Bone:
    """From the labelled CTs in ``data``; without any, from the table that is there."""
    try:
        labelled = _labelled_cts(data, watched)
    except InputError as error:
        if not table_path.exists():
            raise
        content = json.loads(table_path.read_text(encoding="utf-8"))
        level_hu = LookupTable.from_dict(content).level_hu[1:]  # each of the same share of bone; 0 is the background
        report(f"{LOOKUP_NAME} stays as it is, and the atlas has its mean grey value. {error}")
        sources = tuple(replace(use, use=GREY) for use in from_record(content.get("sources")))
        return _Bone(None, mean_bone_grey(np.array(level_hu, np.float32)), sources)
    hu = bone_hu((read_volume(case.ct), read_segmentation(case.segmentation)) for case in labelled)
    return _Bone(fit_lookup_table(hu), mean_bone_grey(hu), uses_of(GREY, (case.name for case in labelled)))


def _labelled_cts(data: Path, watched: Iterable[str] = ()) -> list[CohortCase]:
    """The real labelled CTs in ``data`` that are known to allow commercial use, none of them of a subject that was
    watched or is held out. Raises InputError if there is none."""
    found = find_labelled_cts(data)[0] if data.is_dir() else []
    held_out = (*VALIDATION_SUBJECTS, *watched)
    allowed = [case for case in found if reason_against(case, permissive=True) is None]
    usable = [case for case in allowed if not is_of_subjects(case.name, held_out)]
    if not usable:
        raise InputError(
            f"Expected labelled CTs known to allow commercial use, and not held out, in {data}, got none of "
            f"{len(found)} ({len(allowed)} allow it); add some of the data sets in training/data/licences.py."
        )
    return usable


def _spines_trained_on(data: Path, recorded: Iterable[SourceUse], watched: Iterable[str]) -> tuple[Spine, ...]:
    """The spines in ``data`` that the checkpoints name, of label maps or else of labelled CTs; if they name neither,
    those that are not held out."""
    recorded = list(recorded)
    named = _named(recorded, SHAPES)
    if not named and (cases := _named(recorded, CASES)):
        return _spines_of_cases(data, cases)
    spines = load_spines(data, commercial_use_allowed(recorded), MYO_SIM_SPINE in named)
    training, _ = Anatomy(spines).split((*VALIDATION_SUBJECTS, *watched))
    chosen = tuple(spine for spine in training.spines if not named or spine.name in named)
    if not chosen:
        raise InputError(
            f"Expected the spines that were trained on ({', '.join(sorted(named)[:4]) or 'label maps'}) in "
            f"{data / 'labelmaps'}, for the mean atlas, got none of {len(spines)}; give the folder that "
            f"training had."
        )
    return chosen


def _named(recorded: Iterable[SourceUse], use: str) -> set[str]:
    return {item for one in recorded if one.use == use for item in one.items}


def _spines_of_cases(data: Path, names: Iterable[str]) -> tuple[Spine, ...]:
    """Of a run without phantoms: the masks of the labelled CTs that it learned from."""
    cases = [case for case in find_labelled_cts(data)[0] if case.name in names]
    if not cases:
        raise InputError(
            f"Expected the labelled CTs that were trained on ({', '.join(sorted(names)[:4])}) below {data}, for the "
            f"mean atlas, got none of them; give the folder that training had."
        )
    return tuple(replace(load_spine(case.segmentation), name=case.name) for case in cases)


def _check_derivatives(recorded: Iterable[SourceUse]) -> None:
    refused = without_derivatives(recorded)
    if refused:
        raise InputError(
            f"Expected weights made from data that may be passed on, got cases that allow no derivatives (ND): "
            f"{', '.join(refused)}. Train without these cases."
        )


def _plain(entry: ModelEntry) -> dict[str, Any]:
    values = asdict(entry)
    del values["folder"]
    return values


def _register(folder: Path, entry: ModelEntry) -> None:
    """Put the entry into the registry, in the place of an earlier one of its id: lists of models keep their order."""
    path = folder / REGISTRY_NAME
    content: dict[str, Any] = {"default": entry.id, "models": []}
    if path.exists():
        content = json.loads(path.read_text(encoding="utf-8"))
    models = {item["id"]: item for item in content["models"]} | {entry.id: _plain(entry)}
    content["models"] = list(models.values())
    _write(path, (json.dumps(content, indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    with write_atomically(path) as partial:
        Path(partial).write_bytes(content)
