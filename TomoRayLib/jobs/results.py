"""What one case gives, and writing it: all files of the output folder, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.files import staged_folder
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.base.notices import NOTICE, TRUTH_NOTICE
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.files import write_volume
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.surfaces import is_empty, make_surface, with_distance, write_stl, write_vtp
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.provenance import provenance_of
from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.networks.registry import ModelEntry
from TomoRayLib.report.case_page import write_report
from TomoRayLib.report.content import ReportContent
from TomoRayLib.report.figures import overview_figure
from TomoRayLib.synthesis.comparison import GroundTruth
from TomoRayLib.synthesis.model_run import SyntheticCT
from TomoRayLib.synthesis.rendering import write_radiograph


@dataclass(frozen=True)
class Inputs:
    """What was read, checked, and put in order. ``ct`` and ``labels`` are None where radiographs were given."""

    ap: NDArray[np.float32]
    lateral: NDArray[np.float32]
    views: Biplanar
    ct: Volume | None
    labels: Volume | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaseResult:
    """All that a case gives, before it is written, and how it was made."""

    job: SynthesisJob
    model: ModelEntry
    device: str
    precision: str
    inputs: Inputs
    synthetic: SyntheticCT
    truth: GroundTruth | None
    metrics: MetricsTable | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def write_results(result: CaseResult, stages: Stages) -> Path:
    """All files of one case, published together in the job's folder, which is returned."""
    job, inputs, synthetic, truth = result.job, result.inputs, result.synthetic, result.truth
    with staged_folder(job.out) as folder:
        with stages.stage("Drawing"):
            synthetic_hu, vertebrae, truth_hu = synthetic.hu(), synthetic.vertebrae(), _truth_hu(result)
            provenance = _provenance(result)
            _write_surfaces(folder, vertebrae, truth)
            content = ReportContent(
                title=job.title or _title(job),
                views=inputs.views,
                ap=inputs.ap,
                lateral=inputs.lateral,
                synthetic=synthetic_hu,
                synthetic_mask=vertebrae,
                truth=truth_hu,
                truth_labels=truth.vertebrae() if truth else None,
                metrics=result.metrics,
                provenance={**provenance, **_cost(stages)},
                notes=result.warnings,
                demonstration_note=job.demonstration_note,
            )
            if job.report:
                write_report(folder / "report.html", content)
                (folder / "overview.png").write_bytes(overview_figure(content))
        with stages.stage("Writing"):
            write_volume(folder / "synthetic_ct.nrrd", synthetic_hu, {"TomoRay.notice": NOTICE})
            write_volume(folder / "synthetic_vertebrae.nrrd", vertebrae, {"TomoRay.notice": NOTICE})
            write_radiograph(folder, "ap", inputs.ap, inputs.views.ap)
            write_radiograph(folder, "lat", inputs.lateral, inputs.views.lateral)
            if truth_hu is not None:
                write_volume(folder / "truth_ct.nrrd", truth_hu)
            if truth is not None:
                write_volume(folder / "truth_vertebrae.nrrd", truth.vertebrae())
            if result.metrics is not None:
                (folder / "metrics.csv").write_text(result.metrics.to_csv(), encoding="utf-8")
                per_vertebra = result.metrics.per_vertebra_to_csv()
                (folder / "metrics_per_vertebra.csv").write_text(per_vertebra, encoding="utf-8")
                _write_json(folder / "metrics.json", result.metrics.to_json_dict())
        _write_json(folder / "provenance.json", {**provenance, **_cost(stages)})
    return Path(job.out)


def _title(job: SynthesisJob) -> str:
    names = [Path(path).name.split(".")[0] for path in (job.ct, job.ap, job.lateral) if path]
    return " and ".join(names)


def _provenance(result: CaseResult) -> dict[str, Any]:
    grid, views = result.synthetic.grid, result.inputs.views
    return provenance_of(
        result.job, result.model, result.device, result.precision, views, grid, (*result.warnings, *result.notes)
    )


def _cost(stages: Stages) -> dict[str, Any]:
    return {"seconds": dict(stages.seconds), "peak_memory_mb": peak_memory_mb()}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _write_surfaces(folder: Path, vertebrae: Volume, truth: GroundTruth | None) -> None:
    """Both surfaces in LPS mm; the synthetic one carries its signed distance from the truth."""
    surface = make_surface(vertebrae)
    if truth is not None:
        truth_surface = make_surface(truth.vertebrae())
        write_vtp(folder / "truth_surface.vtp", truth_surface, marking=TRUTH_NOTICE)
        if not is_empty(surface):
            surface = with_distance(surface, truth_surface)
    write_vtp(folder / "synthetic_surface.vtp", surface)
    write_stl(folder / "synthetic_surface.stl", surface)


def _truth_hu(result: CaseResult) -> Volume | None:
    """The ground truth in HU; without a segmentation the windowed CT itself, on the grid of the synthetic one."""
    if result.truth is not None:
        return result.truth.hu()
    if result.inputs.ct is None or not result.job.comparison:
        return None
    on_grid = resample(result.inputs.ct, result.synthetic.grid).voxels
    windowed = np.clip(np.round(on_grid), BONE_WINDOW.low_hu, BONE_WINDOW.high_hu)
    return Volume(windowed.astype(np.int16), result.synthetic.grid)
