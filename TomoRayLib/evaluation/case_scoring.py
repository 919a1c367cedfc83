"""One case from its files to the rows of its table, through stages that are computed once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.evaluation.code_version import code_version
from TomoRayLib.evaluation.limited_threads import limited_threads
from TomoRayLib.evaluation.prediction_files import Predicted, read_prediction
from TomoRayLib.evaluation.predictions import PredictionFolder
from TomoRayLib.evaluation.prepared import CaseFiles, CaseSettings, PreparedCase, prepare, prepared_key
from TomoRayLib.evaluation.rows import blank_row, counting_of, reference_of, scored_row, settings_of
from TomoRayLib.evaluation.stage_store import Stage, StageStore, stage_key
from TomoRayLib.evaluation.synthetic import synthesis_key, synthesized
from TomoRayLib.images.data_files import sha256_of_image
from TomoRayLib.metrics.row import TruthReference
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.report.methods_picture import GreyAndMask, methods_picture
from TomoRayLib.synthesis.comparison import placed_atlas
from TomoRayLib.synthesis.model_run import LINEAR, MASK_THRESHOLD, ChosenModel, choose_model
from TomoRayLib.weights import find_model


@dataclass(frozen=True)
class ScoredModel:
    """A model of the registry and the name of its row."""

    row: str
    model: str


@dataclass(frozen=True)
class CaseTask:
    """A case to be scored, as a value that is sent to a worker.

    Args:
        name: Name of the case.
        subject: The person's.
        files: Its files.
        settings: What radiographs and truth depend on.
        models: Models to run.
        predictions: Folders of other methods.
        atlas: Id of the model whose mean atlas is the baseline.
        store: Where stages are kept.
        threads: How many threads the case runs on.
    """

    name: str
    subject: str
    files: CaseFiles
    settings: CaseSettings
    models: tuple[ScoredModel, ...]
    predictions: tuple[PredictionFolder, ...]
    atlas: str
    store: StageStore
    threads: int = 1


@dataclass(frozen=True, eq=False)
class _Row:
    """A row of the table: the key that it is kept under, and how it is made."""

    name: str
    key: str
    make: Callable[[], dict[str, Any]]


def score_case(task: CaseTask) -> dict[str, Any]:
    """Score one case.

    Args:
        task: The case, the methods and the settings.

    Returns:
        The case's record, JSON-like: ``case``, ``subject``, ``metrics`` (rows of all methods that could be scored, then
        ``blank`` and ``mean_atlas``), ``failed`` (method: reason), ``facts``, ``picture``, ``notes``, ``warnings``,
        ``stages`` (kept or made), ``seconds`` and ``peak_memory_mb``.

    Raises:
        InputError: For files that cannot be used, and if not one method could be scored.
    """
    begun = time.monotonic()
    with limited_threads(task.threads):
        record = _scored(task)
    return {**record, "seconds": round(time.monotonic() - begun, 3), "peak_memory_mb": peak_memory_mb()}


def _scored(task: CaseTask) -> dict[str, Any]:
    key = prepared_key(task.files, task.settings)
    case, was_kept = prepare(task.files, task.settings, task.store, key)
    stages = {"prepared": _said(was_kept)}
    run = _CaseRun(task, case)
    rows: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    warnings: list[str] = []
    for row in run.rows():
        try:
            stage, kept = task.store.made(row.key, lambda row=row: Stage({}, row.make()))  # type: ignore[misc]
        except InputError as error:
            failed[row.name] = str(error)
            continue
        stages[row.name] = _said(kept)
        rows[row.name] = dict(stage.values)
        warnings += rows[row.name].pop("warnings", [])
    if not set(rows) - {BLANK, MEAN_ATLAS}:
        raise InputError(" ".join(f"{name}: {reason}" for name, reason in failed.items()))
    run.draw()
    countings = {name: row["counting"] for name, row in rows.items() if row.get("counting") is not None}
    return {
        "case": task.name,
        "subject": task.subject,
        "metrics": {
            "rows": {name: row["row"] for name, row in rows.items()},
            "per_vertebra": {name: row["per_vertebra"] for name, row in rows.items()},
            "flags": {name: row["flags"] for name, row in rows.items()},
            "settings": settings_of(case.truth),
            "labels_by": case.values["labels_by"],
            "countings": countings,
        },
        "failed": failed,
        "facts": case.values["facts"],
        "picture": case.values["picture"],
        "notes": case.values["notes"],
        "warnings": [*case.values["warnings"], *warnings],
        "stages": stages,
        "picture_key": run.picture_key,
        "made_from": {"prepared": key, "rows": {row.name: row.key for row in run.rows() if row.name in rows}},
    }


class _CaseRun:
    """The rows of a prepared case. The truth's surfaces are computed with the first row that needs them."""

    def __init__(self, task: CaseTask, case: PreparedCase) -> None:
        self.task, self.case = task, case
        self._reference: TruthReference | None = None
        self._rows: list[_Row] | None = None

    @property
    def reference(self) -> TruthReference:
        if self._reference is None:
            self._reference = reference_of(self.case.truth)
        return self._reference

    def rows(self) -> list[_Row]:
        """All rows in printing order."""
        if self._rows is None:
            task = self.task
            self._rows = [self._of_model(one) for one in task.models]
            self._rows += [self._of_predictions(one) for one in task.predictions]
            self._rows += [self._blank(), self._atlas()]
        return self._rows

    @property
    def picture_key(self) -> str:
        """The key of the case's picture."""
        rows = [row.key for row in self.rows()]
        return stage_key("picture", code=code_version("picture"), prepared=self.case.key, rows=rows)

    def draw(self) -> None:
        """Keep a picture of the truth and all methods that have volumes, if there is none yet."""
        self.task.store.made(self.picture_key, self._picture)

    def _picture(self) -> Stage:
        task, case = self.task, self.case
        drawn: dict[str, GreyAndMask] = {}
        for one in task.models:
            model = choose_model(one.model, task.settings.device, task.settings.precision)
            synthetic, _ = synthesized(case, model, task.store, synthesis_key(case.key, model, task.threads))
            drawn[one.row] = (LINEAR.dequantise(synthetic.grey), synthetic.mask)
        for folder in task.predictions:
            try:
                found = read_prediction(folder, (task.name, task.subject), case)
            except InputError:
                continue
            if found.mask is not None or found.grey is not None:
                grey = None if found.grey is None else LINEAR.dequantise(found.grey)
                mask = found.mask if found.mask is not None else np.zeros(case.truth.grey.shape, dtype=bool)
                drawn[folder.name] = (grey, mask)
        if not drawn:
            return Stage({}, {})
        truth_hu = case.truth.table.dequantise(case.truth.grey)
        png = methods_picture(truth_hu, case.truth.vertebrae().voxels, case.grid, drawn)
        return Stage({"png": np.frombuffer(png, np.uint8)}, {})

    def _key(self, **made_from: Any) -> str:
        return stage_key("row", code=code_version("row"), prepared=self.case.key, **made_from)

    def _of_model(self, one: ScoredModel) -> _Row:
        task = self.task
        model = choose_model(one.model, task.settings.device, task.settings.precision)
        key = synthesis_key(self.case.key, model, task.threads)

        def make() -> dict[str, Any]:
            return self._model_row(model, key)

        return _Row(one.row, self._key(synthesis=key), make)

    def _model_row(self, model: ChosenModel, key: str) -> dict[str, Any]:
        synthetic, _ = synthesized(self.case, model, self.task.store, key)
        row = scored_row(self.case.truth, self.reference, synthetic.grey, synthetic.mask)
        counting = counting_of(synthetic.labels, self.case.truth, self.case.cut, synthetic.spine)
        return {**row, "counting": counting}

    def _of_predictions(self, folder: PredictionFolder) -> _Row:
        names = (self.task.name, self.task.subject)
        files = [folder.file_of(*names), folder.mask_of(*names)]
        hashes = [_sha256_or_none(file) for file in files]
        key = self._key(prediction=hashes, code_of_reading=code_version("prediction"), read_as=folder.to_json_dict())

        def make() -> dict[str, Any]:
            return self._prediction_row(read_prediction(folder, names, self.case), folder.name)

        return _Row(folder.name, key, make)

    def _prediction_row(self, found: Predicted, method: str) -> dict[str, Any]:
        row = scored_row(self.case.truth, self.reference, found.grey, found.mask, found.points_mm)
        counting = counting_of(found.labels, self.case.truth, self.case.cut, None)
        return {**row, "counting": counting, "warnings": [f"{method}: {warning}" for warning in found.warnings]}

    def _blank(self) -> _Row:
        return _Row(BLANK, self._key(baseline=BLANK), lambda: blank_row(self.case.truth, self.reference))

    def _atlas(self) -> _Row:
        entry = find_model(self.task.atlas)

        def make() -> dict[str, Any]:
            atlas = placed_atlas(entry, self.case.truth)
            return scored_row(self.case.truth, self.reference, atlas.grey, atlas.probability > MASK_THRESHOLD)

        key = self._key(baseline=MEAN_ATLAS, atlas=entry.atlas_sha256, threshold=entry.atlas_threshold)
        return _Row(MEAN_ATLAS, key, make)


def _said(was_kept: bool) -> str:
    return "kept" if was_kept else "made"


def _sha256_or_none(file: Path | None) -> str | None:
    """The hash of a file; None without a file: reading it says why."""
    return sha256_of_image(file) if file is not None and file.exists() else None
