"""One case from its files to the rows of its table, through stages that are computed once."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.memory import is_out_of_memory, peak_memory_mb
from TomoRayLib.evaluation.code_version import code_version
from TomoRayLib.evaluation.limited_threads import limited_threads
from TomoRayLib.evaluation.measured import measured_pairs
from TomoRayLib.evaluation.prediction_files import Predicted, read_prediction
from TomoRayLib.evaluation.predictions import PredictionFolder
from TomoRayLib.evaluation.prepared import CaseFiles, CaseSettings, PreparedCase, label_names, prepare, prepared_key
from TomoRayLib.evaluation.rows import blank_row, counting_of, reference_of, scored_row, settings_of, truth_sha256
from TomoRayLib.evaluation.stage_store import Stage, StageStore, stage_key
from TomoRayLib.evaluation.synthetic import KeptSynthesis, synthesis_key, synthesized
from TomoRayLib.images.data_files import sha256_of_image
from TomoRayLib.measures.spine import MeasuredSpine
from TomoRayLib.metrics.row import TruthReference
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.networks.weight_files import checked_content
from TomoRayLib.report.methods_picture import GreyAndMask, methods_picture
from TomoRayLib.synthesis.comparison import placed_atlas
from TomoRayLib.synthesis.measured_case import measured_truth
from TomoRayLib.synthesis.model_run import LINEAR, MASK_THRESHOLD, ChosenModel, choose_model
from TomoRayLib.weights import find_model


@dataclass(frozen=True)
class ScoredModel:
    """A model of the registry, the name of its row, and the SHA-256 of the weights that are meant."""

    row: str
    model: str
    sha256: str


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
        atlas: Id of the model whose mean atlas is the baseline, which every worker must have as well.
        atlas_sha256: SHA-256 of that atlas.
        precision_name: Precision that the models run in, "float32" or "bfloat16".
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
    atlas_sha256: str
    precision_name: str
    store: StageStore
    threads: int = 1


def score_case(task: CaseTask) -> dict[str, Any]:
    """Score one case.

    Args:
        task: The case, the methods and the settings.

    Returns:
        The case's record, JSON-like: ``case``, ``subject``, ``metrics`` (rows of all methods that could be scored, then
        ``blank`` and ``mean_atlas``), ``failed`` (method: reason), ``facts``, ``picture``, ``truth_sha256``, ``notes``,
        ``warnings``, ``stages`` (kept or made), ``seconds`` and ``peak_memory_mb``.

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
    run = _CaseRun(task, case)
    stages = {"prepared": "kept" if was_kept else "made"}
    rows: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    for name, make in run.makers():
        try:
            rows[name], stages[name] = make()
        except InputError as error:
            if name in (BLANK, MEAN_ATLAS):  # no figure without what an empty volume and a mean atlas score
                raise
            failed[name] = str(error)
        except Exception as error:  # a damaged file of one method must not cost the others the case
            if name in (BLANK, MEAN_ATLAS) or is_out_of_memory(error):
                raise
            failed[name] = f"Internal error ({type(error).__name__}: {error}): {traceback.format_exc(limit=-2)}"
    if not set(rows) - {BLANK, MEAN_ATLAS}:
        raise InputError(" ".join(f"{name}: {reason}" for name, reason in failed.items()))
    picture_key = run.draw()
    return {
        "case": task.name,
        "subject": task.subject,
        "metrics": {
            "rows": {name: row["row"] for name, row in rows.items()},
            "shifts": {name: row["shift"] for name, row in rows.items()},
            "per_vertebra": {name: row["per_vertebra"] for name, row in rows.items()},
            "flags": {name: row["flags"] for name, row in rows.items()},
            "settings": settings_of(case.truth),
            "labels_by": case.values["labels_by"],
            "countings": {name: row["counting"] for name, row in rows.items() if row.get("counting") is not None},
            "measures": {name: row["measures"] for name, row in rows.items() if row.get("measures") is not None},
        },
        "failed": failed,
        "facts": case.values["facts"],
        "picture": case.values["picture"],
        "truth_sha256": truth_sha256(case.truth),
        "notes": case.values["notes"],
        "warnings": [*case.values["warnings"], *(text for row in rows.values() for text in row.get("warnings", ()))],
        "stages": stages,
        "picture_key": picture_key,
        "made_from": {"prepared": key, "rows": {name: run.keys[name] for name in rows}},
    }


class _CaseRun:
    """The rows of a prepared case. What several of them need is computed once, with the first that needs it."""

    def __init__(self, task: CaseTask, case: PreparedCase) -> None:
        self.task, self.case = task, case
        self.keys: dict[str, str] = {}
        self.drawn: dict[str, GreyAndMask] = {}
        self._reference: TruthReference | None = None
        self._measured: MeasuredSpine | None = None

    @property
    def measured(self) -> MeasuredSpine:
        """The measures of the true vertebrae."""
        if self._measured is None:
            self._measured = measured_truth(self.case.truth.vertebrae().voxels, self.case.grid, self.case.cut)
        return self._measured

    def _measures(
        self, labels: NDArray[np.integer] | None, spine: Mapping[str, Any] | None
    ) -> list[dict[str, Any]] | None:
        """The measures of a labelled prediction beside the true ones; None if it tells no vertebrae apart."""
        if labels is None:
            return None
        true_labels = self.case.truth.vertebrae().voxels
        return measured_pairs(labels, true_labels, self.measured, self.case.grid, self.case.cut, spine)

    @property
    def reference(self) -> TruthReference:
        if self._reference is None:
            self._reference = reference_of(self.case.truth)
        return self._reference

    def makers(self) -> list[tuple[str, Callable[[], tuple[dict[str, Any], str]]]]:
        """All rows in printing order: their names, and what makes them."""
        task = self.task
        made: list[tuple[str, Callable[[], tuple[dict[str, Any], str]]]] = []
        made += [(one.row, lambda one=one: self._of_model(one)) for one in task.models]  # type: ignore[misc]
        made += [(one.name, lambda one=one: self._of_predictions(one)) for one in task.predictions]  # type: ignore[misc]
        return [*made, (BLANK, self._blank), (MEAN_ATLAS, self._atlas)]

    def draw(self) -> str:
        """Keep a picture of the truth and all methods that have volumes, if there is none yet; return its key."""
        key = stage_key("picture", code=code_version("picture"), prepared=self.case.key, rows=sorted(self.keys.items()))
        if self.task.store.find(key) is None:
            self.task.store.put(key, self._picture())
        return key

    def _picture(self) -> Stage:
        case = self.case
        for one in self.task.models:
            if one.row in self.keys and one.row not in self.drawn:  # its row was kept
                self._synthesis(one)
        for folder in self.task.predictions:
            if folder.name in self.keys and folder.name not in self.drawn:
                self._read(folder)
        if not self.drawn:
            return Stage({}, {})
        truth_hu = case.truth.table.dequantise(case.truth.grey)
        png = methods_picture(truth_hu, case.truth.vertebrae().voxels, case.grid, self.drawn)
        return Stage({"png": np.frombuffer(png, np.uint8)}, {})

    def _row(
        self, name: str, made_from: dict[str, Any], make: Callable[[], dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        self.keys[name] = key = stage_key("row", code=code_version("row"), prepared=self.case.key, **made_from)
        try:
            stage, was_kept = self.task.store.made(key, lambda: Stage({}, make()))
        except Exception:
            del self.keys[name]
            raise
        return dict(stage.values), "kept" if was_kept else "made"

    def _chosen(self, one: ScoredModel) -> ChosenModel:
        """The model as the task means it. Raises InputError if this machine's is another one."""
        settings = self.task.settings
        model = choose_model(one.model, settings.device, settings.precision)
        if model.entry.sha256 != one.sha256:
            raise InputError(
                f"Expected the weights of {one.model} with the SHA-256 {one.sha256[:12]}..., got "
                f"{model.entry.sha256[:12]}... on this machine; use the same registry on all of them (TOMORAY_MODELS)."
            )
        if model.precision_name != self.task.precision_name:
            raise InputError(
                f"Expected a processor that runs {one.model} in {self.task.precision_name}, got one for "
                f"{model.precision_name}; use workers of one kind, or the precision float32."
            )
        checked_content(model.entry.path, one.sha256)  # another file under the same name is another model
        return model

    def _synthesis(self, one: ScoredModel) -> KeptSynthesis:
        model = self._chosen(one)
        key = synthesis_key(self.case.key, model, self.task.threads)
        synthetic, _ = synthesized(self.case, model, self.task.store, key)
        self.drawn[one.row] = (LINEAR.dequantise(synthetic.grey), synthetic.mask)
        return synthetic

    def _of_model(self, one: ScoredModel) -> tuple[dict[str, Any], str]:
        def make() -> dict[str, Any]:
            synthetic = self._synthesis(one)
            row = scored_row(self.case.truth, self.reference, synthetic.grey, synthetic.mask)
            counting = counting_of(synthetic.labels, self.case.truth, self.case.cut, synthetic.spine)
            return {**row, "counting": counting, "measures": self._measures(synthetic.labels, synthetic.spine)}

        key = synthesis_key(self.case.key, self._chosen(one), self.task.threads)
        return self._row(one.row, {"synthesis": key}, make)

    def _read(self, folder: PredictionFolder) -> Predicted:
        found = read_prediction(folder, (self.task.name, self.task.subject), self.case)
        if found.mask is not None or found.grey is not None:
            grey = None if found.grey is None else LINEAR.dequantise(found.grey)
            mask = found.mask if found.mask is not None else np.zeros(self.case.truth.grey.shape, dtype=bool)
            self.drawn[folder.name] = (grey, mask)
        return found

    def _of_predictions(self, folder: PredictionFolder) -> tuple[dict[str, Any], str]:
        def make() -> dict[str, Any]:
            found = self._read(folder)
            row = scored_row(self.case.truth, self.reference, found.grey, found.mask, found.points_mm)
            counting = counting_of(found.labels, self.case.truth, self.case.cut, None)
            measures = self._measures(found.labels, None)
            return {
                **row,
                "counting": counting,
                "measures": measures,
                "warnings": [f"{folder.name}: {text}" for text in found.warnings],
            }

        names = (self.task.name, self.task.subject)
        files = [file for file in (folder.file_of(*names), folder.mask_of(*names)) if file is not None]
        made_from = {
            "prediction": [_state_of(file) for file in files],
            "code_of_reading": code_version("prediction"),
            "read_as": folder.to_json_dict(),
        }
        return self._row(folder.name, made_from, make)

    def _blank(self) -> tuple[dict[str, Any], str]:
        return self._row(BLANK, {"baseline": BLANK}, lambda: blank_row(self.case.truth, self.reference))

    def _atlas(self) -> tuple[dict[str, Any], str]:
        entry = find_model(self.task.atlas)
        if entry.atlas_sha256 != self.task.atlas_sha256:
            raise InputError(
                f"Expected the mean atlas of {entry.id} to be the same on all machines, got another one; use the same "
                "registry on all of them (TOMORAY_MODELS)."
            )

        checked_content(entry.folder / entry.atlas_file, entry.atlas_sha256)

        def make() -> dict[str, Any]:
            atlas = placed_atlas(entry, self.case.truth)
            return scored_row(self.case.truth, self.reference, atlas.grey, atlas.probability > MASK_THRESHOLD)

        made_from = {"baseline": MEAN_ATLAS, "atlas": entry.atlas_sha256, "threshold": entry.atlas_threshold}
        return self._row(MEAN_ATLAS, made_from, make)


def _state_of(file: Path) -> list[Any] | None:
    """The hash of a prediction's file and the names of its labels; None without a file: reading it says why."""
    return [sha256_of_image(file), label_names(file)] if file.exists() else None
