"""One case from its input files to its folder of results: what the worker and the command line both run."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import TomoRayLib
from TomoRayLib.acquisition import (
    VIEW_KEY,
    GeometryOptions,
    oriented,
    radiograph_views,
    rendering_views,
    views_to_dict,
)
from TomoRayLib.checks import (
    MaskContent,
    check_ct,
    check_pair,
    check_radiograph,
    describe_mask,
    match_mask,
)
from TomoRayLib.comparison import LINEAR, GroundTruth, compare, ground_truth
from TomoRayLib.errors import InputError
from TomoRayLib.figures import overview_figure
from TomoRayLib.files import check_writable, staged_folder
from TomoRayLib.geometry import Biplanar, View, view_to_dict
from TomoRayLib.image_types import Volume
from TomoRayLib.images import (
    read_labels,
    read_radiograph,
    read_volume,
    resample,
    write_image_2d,
    write_png,
    write_volume,
)
from TomoRayLib.job import SynthesisJob
from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.progress import Emit, Stages, peak_memory_mb
from TomoRayLib.report import ReportContent, write_report
from TomoRayLib.surfaces import TRUTH_MARKING, is_empty, make_surface, with_distance, write_stl, write_vtp
from TomoRayLib.synthesis import (
    SyntheticCT,
    choose_device,
    render_radiographs,
    synthesize,
    vertebrae_center_mm,
)
from TomoRayLib.target import BONE_WINDOW, LookupTable, Quantisation
from TomoRayLib.weights import ModelEntry, find_model, load_equal_frequency_table, load_network

NO_SEGMENTATION = (
    "No metrics: they compare vertebrae, which needs a vertebra segmentation of the CT. truth_ct.nrrd holds the CT "
    "itself, windowed, on the grid of the synthetic one."
)
NEED_BYTES = 200 * 1024 * 1024
# Usual seconds of each stage on two cores.
SECONDS_FROM_CT = {
    "Reading": 5.0,
    "Projecting": 1.5,
    "Synthesizing": 4.0,
    "Comparing": 3.0,
    "Drawing": 8.0,
    "Writing": 3.0,
}
SECONDS_FROM_RADIOGRAPHS = {"Reading": 1.0, "Synthesizing": 4.0, "Drawing": 5.0, "Writing": 2.0}


@dataclass(frozen=True)
class Inputs:
    """What was read, checked, and put in order. ``ct`` and ``labels`` are None where radiographs were given."""

    ap: NDArray[np.float32]
    lateral: NDArray[np.float32]
    views: Biplanar
    ct: Volume | None
    labels: Volume | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CaseResult:
    """All that a case gives, before it is written."""

    inputs: Inputs
    synthetic: SyntheticCT
    table: LookupTable
    truth: GroundTruth | None
    metrics: MetricsTable | None
    notes: tuple[str, ...]


def run_synthesis(job: SynthesisJob, emit: Emit) -> Path:
    """Run one job and return its folder. Results appear there whole, or not at all.

    Raises InputError and OutputError with a sentence for the user.
    """
    stages = Stages(SECONDS_FROM_CT if job.ct else SECONDS_FROM_RADIOGRAPHS, emit)
    check_writable(job.out, NEED_BYTES)
    entry = find_model(job.model)
    device = choose_device(job.device)
    with stages.stage("Reading"):
        table = _lookup_table(job)
        sources = _read_ct(job) if job.ct else None
        inputs = _read_radiographs(job) if sources is None else None
    if sources is not None:
        with stages.stage("Projecting"):
            inputs = _projected(job, *sources)
    assert inputs is not None
    for note in inputs.notes:
        emit({"event": "note", "text": note})
    with stages.stage("Synthesizing"):
        network = load_network(entry, device)
        precision = torch.float32 if job.precision == "float32" else None
        synthetic = synthesize(inputs.ap, inputs.lateral, inputs.views, network, entry, precision)
        synthetic = synthetic.on_field_of_view(job.fov_mm)
    del network
    truth, metrics, notes = None, None, list(inputs.notes)
    if not synthetic.mask.any():
        notes.append("No vertebra was found in these radiographs: the synthetic CT is empty. Check views and geometry.")
    if inputs.ct is not None:
        with stages.stage("Comparing"):
            truth, metrics, remarks = _compared(inputs, synthetic, table, entry)
            notes += remarks
    for note in notes[len(inputs.notes) :]:
        emit({"event": "note", "text": note})
    result = CaseResult(inputs, synthetic, table, truth, metrics, tuple(notes))
    folder = _write(job, entry, device, result, stages)
    emit(
        {
            "event": "result",
            "folder": str(folder),
            "files": sorted(path.name for path in folder.iterdir() if path.is_file() and path.name[0] != "."),
            "metrics": metrics.to_json_dict() if metrics else None,
            "seconds": stages.total_seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
    )
    return folder


def run_projection(ct_path: str, out: str, options: GeometryOptions, views: tuple[str, ...], emit: Emit) -> Path:
    """Render radiographs of a CT: ``ap.nrrd`` and ``lat.nrrd`` (line integrals, dimensionless) with their PNGs."""
    stages = Stages({"Reading": 5.0, "Projecting": 1.5, "Writing": 0.5}, emit)
    check_writable(out)
    with stages.stage("Reading"):
        ct = read_volume(ct_path)
        check_ct(ct, Path(ct_path).name)
    with stages.stage("Projecting"):
        pair = rendering_views(options, ct.grid.center_mm)
        ap, lateral = render_radiographs(ct, pair)
    with stages.stage("Writing"), staged_folder(out) as folder:
        for name, image, view in (("ap", ap, pair.ap), ("lat", lateral, pair.lateral)):
            if name in views:
                write_radiograph(folder, name, image, view)
    files = [f"{name}.{ending}" for name in views for ending in ("nrrd", "png")]
    emit({"event": "result", "folder": out, "files": files, "metrics": None, "seconds": stages.total_seconds})
    return Path(out)


def write_radiograph(folder: Path, name: str, image: NDArray[np.float32], view: View) -> None:
    """One radiograph as NRRD, with its view inside, and as PNG for the eye."""
    fields = {VIEW_KEY: json.dumps(view_to_dict(view))}
    write_image_2d(folder / f"{name}.nrrd", image, view.detector.pixel_spacing_mm, fields)
    low, high = (float(value) for value in np.percentile(image, (0.5, 99.8)))
    write_png(folder / f"{name}.png", image, (low, high if high > low else low + 1.0))


def _lookup_table(job: SynthesisJob) -> LookupTable:
    return load_equal_frequency_table() if job.quantisation == Quantisation.EQUAL_FREQUENCY.value else LINEAR


def _read_radiographs(job: SynthesisJob) -> Inputs:
    ap, lateral = (read_radiograph(str(path)) for path in (job.ap, job.lateral))
    check_radiograph(ap, "AP radiograph")
    check_radiograph(lateral, "Lateral radiograph")
    views, origins = radiograph_views(ap, lateral, job.geometry)
    notes = (*origins, *ap.header.notes, *lateral.header.notes, *check_pair(ap, lateral, views))
    return Inputs(
        oriented(ap.pixels, job.flip_ap, job.invert),
        oriented(lateral.pixels, job.flip_lateral, job.invert),
        views,
        None,
        None,
        tuple(dict.fromkeys(notes)),
    )


def _read_ct(job: SynthesisJob) -> tuple[Volume, Volume | None, tuple[str, ...]]:
    name = Path(str(job.ct)).name
    ct = read_volume(str(job.ct))
    check_ct(ct, name)
    if job.segmentation is None:
        return ct, None, ()
    labels = read_labels(job.segmentation)
    description = describe_mask(labels, Path(job.segmentation).name)
    labels, resampled = match_mask(labels, ct)
    if description.content is MaskContent.WHOLE_SPINE:
        labels = Volume((labels.voxels > 0).astype(np.uint8), labels.grid)
    return ct, labels, tuple(note for note in (description.note, resampled) if note)


def _projected(job: SynthesisJob, ct: Volume, labels: Volume | None, notes: tuple[str, ...]) -> Inputs:
    center_mm = ct.grid.center_mm if labels is None else vertebrae_center_mm(labels)
    views = rendering_views(job.geometry, center_mm)
    ap, lateral = render_radiographs(ct, views)
    for name, image in (("AP", ap), ("lateral", lateral)):
        if not np.any(image > 0):
            raise InputError(
                f"The {name} view misses the CT: every ray passes beside it (isocentre {views.isocenter_mm}, CT centre "
                f"{ct.grid.center_mm}). Check --isocenter and the geometry."
            )
    return Inputs(ap, lateral, views, ct, labels, notes)


def _compared(
    inputs: Inputs, synthetic: SyntheticCT, table: LookupTable, entry: ModelEntry
) -> tuple[GroundTruth | None, MetricsTable | None, list[str]]:
    assert inputs.ct is not None
    if inputs.labels is None:
        return None, None, [NO_SEGMENTATION]
    truth = ground_truth(inputs.ct, inputs.labels, synthetic.grid, table)
    if truth.is_empty:
        remark = "No metrics: no labelled vertebra lies in the field of view. Check --isocenter."
        return None, None, [remark]
    return truth, compare(synthetic, truth, entry), []


def _write(job: SynthesisJob, entry: ModelEntry, device: str, result: CaseResult, stages: Stages) -> Path:
    """All files of one case, published together."""
    inputs, synthetic, truth = result.inputs, result.synthetic, result.truth
    with staged_folder(job.out) as folder:
        with stages.stage("Drawing"):
            synthetic_hu, vertebrae = synthetic.hu(result.table), synthetic.vertebrae()
            _write_surfaces(folder, vertebrae, truth)
            truth_hu = _truth_hu(result)
            content = ReportContent(
                title=job.title or Path(job.ct or job.ap or "").name.split(".")[0],
                views=inputs.views,
                ap=inputs.ap,
                lateral=inputs.lateral,
                synthetic=synthetic_hu,
                synthetic_mask=vertebrae,
                truth=truth.hu() if truth else None,
                truth_labels=truth.vertebrae() if truth else None,
                metrics=result.metrics,
                provenance=_provenance(job, entry, device, result, stages),
                notes=result.notes,
                demonstration_note=job.demonstration_note,
            )
            if job.report:
                write_report(folder / "report.html", content)
                (folder / "overview.png").write_bytes(overview_figure(content))
        with stages.stage("Writing"):
            write_volume(folder / "synthetic_ct.nrrd", synthetic_hu)
            write_volume(folder / "synthetic_vertebrae.nrrd", vertebrae)
            write_radiograph(folder, "ap", inputs.ap, inputs.views.ap)
            write_radiograph(folder, "lat", inputs.lateral, inputs.views.lateral)
            if truth_hu is not None:
                write_volume(folder / "truth_ct.nrrd", truth_hu)
            if truth is not None:
                write_volume(folder / "truth_vertebrae.nrrd", truth.vertebrae())
            if result.metrics is not None:
                (folder / "metrics.csv").write_text(result.metrics.to_csv(), encoding="utf-8")
                text = json.dumps(result.metrics.to_json_dict(), indent=2, allow_nan=False)
                (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
        provenance = _provenance(job, entry, device, result, stages)
        text = json.dumps(provenance, indent=2, allow_nan=False)
        (folder / "provenance.json").write_text(text + "\n", encoding="utf-8")
    return Path(job.out)


def _write_surfaces(folder: Path, vertebrae: Volume, truth: GroundTruth | None) -> None:
    """Both surfaces in LPS mm; the synthetic one carries its signed distance from the truth."""
    surface = make_surface(vertebrae)
    if truth is not None:
        truth_surface = make_surface(truth.vertebrae())
        write_vtp(folder / "truth_surface.vtp", truth_surface, marking=TRUTH_MARKING)
        if not is_empty(surface):
            surface = with_distance(surface, truth_surface)
    write_vtp(folder / "synthetic_surface.vtp", surface)
    write_stl(folder / "synthetic_surface.stl", surface)


def _truth_hu(result: CaseResult) -> Volume | None:
    """The ground truth in HU; without a segmentation the windowed CT itself, on the grid of the synthetic one."""
    if result.truth is not None:
        return result.truth.hu()
    if result.inputs.ct is None:
        return None
    on_grid = resample(result.inputs.ct, result.synthetic.grid).voxels
    windowed = np.clip(np.round(on_grid), BONE_WINDOW.low_hu, BONE_WINDOW.high_hu)
    return Volume(windowed.astype(np.int16), result.synthetic.grid)


def _provenance(
    job: SynthesisJob, entry: ModelEntry, device: str, result: CaseResult, stages: Stages
) -> dict[str, Any]:
    """Everything needed to make the same result again, and what it cost."""
    files = {name: getattr(job, name) for name in ("ap", "lateral", "ct", "segmentation") if getattr(job, name)}
    grid = result.synthetic.grid
    return {
        "notice": "SYNTHETIC CT - research use only, not for diagnosis or treatment",
        "tomoray": TomoRayLib.__version__,
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": device,
        "precision": job.precision,
        "model": {"id": entry.id, "weights_sha256": entry.sha256, "licence": entry.licence},
        "views": views_to_dict(result.inputs.views),
        "grid": {**asdict(grid), "fov_mm": job.fov_mm},
        "window_hu": {"center": BONE_WINDOW.center_hu, "width": BONE_WINDOW.width_hu},
        "quantisation": job.quantisation,
        "flips": {"ap": job.flip_ap, "lateral": job.flip_lateral, "invert": job.invert},
        "inputs": {name: {"name": Path(path).name, "sha256": sha256_of(Path(path))} for name, path in files.items()},
        "notes": list(result.notes),
        "seconds": dict(stages.seconds),
        "peak_memory_mb": peak_memory_mb(),
    }


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder in the order of their names."""
    digest = hashlib.sha256()
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    for item in files:
        with item.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
