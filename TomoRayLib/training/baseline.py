"""The mean atlas and the lookup table that go with a model's weights: made of what it was trained on, or kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors.torch import save

from TomoRayLib.anatomy.grey_levels import LookupTable
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.training.atlas import atlas_tensors, bone_hu, fit_lookup_table, mean_atlas, mean_bone_grey
from TomoRayLib.training.data.anatomy import load_spines
from TomoRayLib.training.data.held_out import VALIDATION_SUBJECTS
from TomoRayLib.training.data.licences import (
    CASES,
    GREY,
    NOT_RECORDED,
    SHAPES,
    WATCHED,
    SourceUse,
    commercial_use_allowed,
    from_record,
    licence_of_model,
    merged,
    recorded_sources,
    to_record,
    uses_of,
)
from TomoRayLib.training.data.training_cases import find_labelled_cts, reason_against
from TomoRayLib.training.phantoms.myo_sim import MYO_SIM_SPINE
from TomoRayLib.training.phantoms.spines import Spine, load_spine
from TomoRayLib.weights import LOOKUP_NAME, ModelEntry, load_atlas


@dataclass(frozen=True)
class Baseline:
    """A mean atlas as the registry names it, what it was made from, and the files that are still to be written."""

    atlas_file: str
    atlas_sha256: str
    atlas_threshold: float
    sources: tuple[SourceUse, ...]
    files: dict[str, bytes] = field(default_factory=dict)


def new_baseline(
    data: Path, recorded: Iterable[SourceUse], model: str, fov_mm: float, folder: Path, report: Callable[[str], None]
) -> Baseline:
    """The atlas of the spines that ``recorded`` names, and the table of the labelled CTs in ``data``.

    Raises InputError for missing data.
    """
    recorded = list(recorded)
    watched = _watched(recorded)
    bone = _bone_of(data, watched, folder / LOOKUP_NAME, report)
    spines = _spines_trained_on(data, recorded, watched)
    shapes = {spine.name for spine in spines} - _named(recorded, CASES)
    sources = merged([*uses_of(SHAPES, sorted(shapes)), *bone.sources])
    files = {}
    if bone.table is not None:
        table = json.dumps({**bone.table.to_dict(), "sources": to_record(bone.sources)})
        files[LOOKUP_NAME] = (table + "\n").encode()
    atlas = mean_atlas(spines, bone.mean_grey, fov_mm)
    name = f"{model}-mean-atlas.safetensors"
    files[name] = save(atlas_tensors(atlas), {"licence": licence_of_model(merged([*recorded, *sources]))})
    report(f"{name}: mean of {atlas.stretches} stretches, mask above {atlas.threshold:.3f}")
    return Baseline(name, sha256_of_bytes(files[name]), atlas.threshold, sources, files)


def kept_baseline(entry: ModelEntry, recorded: Iterable[SourceUse], fov_mm: float) -> Baseline:
    """The atlas of a published model, for one of the same cube; the lookup table stays as it is.

    Raises InputError for an atlas of another cube, a damaged one, or one of people that are held out, or that
    ``recorded`` says were scored.
    """
    if entry.fov_mm != fov_mm:
        raise InputError(
            f"Expected to keep an atlas of the training's cube of {fov_mm:g} mm, got that of {entry.id}, of "
            f"{entry.fov_mm:g} mm; have it made anew."
        )
    load_atlas(entry)  # refuses a damaged one
    uses = recorded_sources(entry.path)
    made_of = {GREY, SHAPES if _named(uses, SHAPES) else CASES}
    sources = tuple(use for use in uses if use.use in made_of) or (NOT_RECORDED,)
    held_out = (*VALIDATION_SUBJECTS, *_watched(recorded))
    hidden = sorted({item for use in sources for item in use.items if is_of_subjects(item, held_out)})
    if hidden:
        raise InputError(
            f"Expected an atlas without people that are held out or were scored during training, got that of "
            f"{entry.id}, made of {', '.join(hidden)} too; have it made anew."
        )
    return Baseline(entry.atlas_file, entry.atlas_sha256, entry.atlas_threshold, sources)


def _watched(recorded: Iterable[SourceUse]) -> set[str]:
    return _named(recorded, WATCHED)


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
    held_out = (*VALIDATION_SUBJECTS, *watched)
    training = (spine for spine in spines if not is_of_subjects(spine.name, held_out))  # whatever body they stood in
    chosen = tuple(spine for spine in training if not named or spine.name in named)
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
