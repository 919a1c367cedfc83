"""One case from its input files to its folder of results: what the worker and the command line both run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import LookupTable, Quantisation
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import check_writable, staged_folder
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.checks import check_ct, check_radiograph
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume
from TomoRayLib.images.mask_checks import prepared_mask
from TomoRayLib.images.pair_checks import check_pair
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.events import Emit, Finished, Note, Warned
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.results import CaseResult, Inputs, write_results
from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.networks.registry import ModelEntry, find_model, load_equal_frequency_table, load_network
from TomoRayLib.projector.projection import Method
from TomoRayLib.synthesis.acquisition import (
    GeometryOptions,
    geometry_notes,
    oriented,
    radiograph_views,
    rendering_views,
)
from TomoRayLib.synthesis.comparison import GroundTruth, compare, ground_truth
from TomoRayLib.synthesis.model_run import (
    LINEAR,
    SyntheticCT,
    choose_device,
    fast_precision,
    render_radiographs,
    synthesize,
    vertebrae_center_mm,
)
from TomoRayLib.synthesis.rendering import (
    Exposure,
    PoseOptions,
    cameras_of,
    render,
    scatter_spread_px,
    write_radiograph,
)

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


def run_synthesis(job: SynthesisJob, emit: Emit) -> Path:
    """Run one job and return its folder. Results appear there whole, or not at all.

    Raises InputError and OutputError with a sentence for the user.
    """
    stages = Stages(SECONDS_FROM_CT if job.ct else SECONDS_FROM_RADIOGRAPHS, emit)
    check_writable(job.out, NEED_BYTES)
    result = case_result(job, stages, emit)
    folder = write_results(result, stages)
    emit(
        Finished(
            {
                "synthetic": True,
                "folder": str(folder),
                "files": sorted(path.name for path in folder.iterdir() if path.is_file() and path.name[0] != "."),
                "metrics": result.metrics.to_json_dict() if result.metrics else None,
                "seconds": stages.total_seconds,
                "peak_memory_mb": peak_memory_mb(),
            }
        )
    )
    return folder


def case_result(job: SynthesisJob, stages: Stages, emit: Emit) -> CaseResult:
    """What one job gives, from reading its inputs to the scores, with nothing written: ``write_results`` does that.

    Raises InputError with a sentence for the user.
    """
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
    warnings = [*inputs.warnings, *geometry_notes(inputs.views, entry)]
    for text in inputs.notes:
        emit(Note(text))
    for text in warnings:
        emit(Warned(text))
    told = len(warnings)
    with stages.stage("Synthesizing"):
        network = load_network(entry, device)
        full = job.precision == "float32"
        precision = torch.float32 if full else fast_precision(torch.device(device))
        synthetic = synthesize(inputs.ap, inputs.lateral, inputs.views, network, entry, precision)
        synthetic = synthetic.on_field_of_view(job.fov_mm)
    del network
    truth, metrics = None, None
    if not synthetic.mask.any():
        warnings.append(
            "No vertebra was found in these radiographs: the synthetic CT is empty. Check views and geometry."
        )
    if inputs.ct is not None and job.comparison:
        with stages.stage("Comparing"):
            truth, metrics, remarks = _compared(inputs, synthetic, table, entry)
            warnings += remarks
    for text in warnings[told:]:
        emit(Warned(text))
    dtype = str(precision).removeprefix("torch.")
    return CaseResult(job, entry, device, dtype, inputs, synthetic, truth, metrics, inputs.notes, tuple(warnings))


def run_projection(
    ct_path: str,
    out: str,
    options: GeometryOptions,
    views: tuple[str, ...],
    emit: Emit,
    segmentation: str | None = None,
    poses: PoseOptions = PoseOptions(),  # noqa: B008 (frozen)
    exposure: Exposure = Exposure(),  # noqa: B008 (frozen)
    method: Method = "auto",
) -> Path:
    """Render radiographs of a CT as NRRD and PNG: ``ap`` and ``lat``, or the views of ``poses`` by their names.

    The isocentre is the options', else the middle of the vertebrae of ``segmentation``, else of the CT. The values are
    line integrals of attenuation, dimensionless, or what ``exposure`` makes of them.
    Raises InputError with a sentence for the user.
    """
    stages = Stages({"Reading": 5.0, "Projecting": 1.5, "Writing": 0.5}, emit)
    check_writable(out)
    with stages.stage("Reading"):
        ct = read_volume(ct_path)
        check_ct(ct, Path(ct_path).name)
    with stages.stage("Projecting"):
        center_mm = ct.grid.center_mm
        if segmentation is not None:
            labels, _ = prepared_mask(read_labels(segmentation), ct, Path(segmentation).name)
            center_mm = vertebrae_center_mm(labels)
        cameras = cameras_of(options, poses, views, center_mm)
        spread_px = scatter_spread_px(exposure, cameras, options.pixel_spacing_mm)
        images = render(ct, cameras, exposure, spread_px, method)
    with stages.stage("Writing"), staged_folder(out) as folder:
        for name, image in images.items():
            write_radiograph(folder, name, image, cameras[name], options.pixel_spacing_mm)
    files = [f"{name}.{ending}" for name in images for ending in ("nrrd", "png")]
    emit(Finished({"folder": out, "files": files, "metrics": None, "seconds": stages.total_seconds}))
    return Path(out)


def _lookup_table(job: SynthesisJob) -> LookupTable:
    return load_equal_frequency_table() if job.quantisation == Quantisation.EQUAL_FREQUENCY.value else LINEAR


def _read_radiographs(job: SynthesisJob) -> Inputs:
    ap, lateral = (read_radiograph(str(path)) for path in (job.ap, job.lateral))
    check_radiograph(ap, "AP radiograph")
    check_radiograph(lateral, "Lateral radiograph")
    views, origins = radiograph_views(ap, lateral, job.geometry)
    notes, warnings = list(origins), check_pair(ap, lateral, views, invert=job.invert)
    for name, radiograph, mirrored in (("AP", ap, job.flip_ap), ("Lateral", lateral, job.flip_lateral)):
        header = radiograph.header
        notes += [f"{name}: {note}" for note in header.notes]
        if header.modality is not None and header.patient_orientation is None:
            notes.append(
                f"{name}: its orientation is not stated; taken as the patient's left, or back, at image right."
            )
        if mirrored and header.patient_orientation is not None:
            warnings.append(f"{name}: mirrored as asked, although its header states the orientation.")
    ap_pixels, ap_view = oriented(ap.pixels, views.ap, job.flip_ap, job.invert)
    lateral_pixels, lateral_view = oriented(lateral.pixels, views.lateral, job.flip_lateral, job.invert)
    views = Biplanar(ap_view, lateral_view)
    return Inputs(ap_pixels, lateral_pixels, views, None, None, tuple(notes), tuple(warnings))


def _read_ct(job: SynthesisJob) -> tuple[Volume, Volume | None, tuple[str, ...]]:
    name = Path(str(job.ct)).name
    ct = read_volume(str(job.ct))
    check_ct(ct, name)
    if job.segmentation is None:
        return ct, None, ()
    labels = read_labels(job.segmentation)
    labels, notes = prepared_mask(labels, ct, Path(job.segmentation).name)
    return ct, labels, notes


def _projected(job: SynthesisJob, ct: Volume, labels: Volume | None, notes: tuple[str, ...]) -> Inputs:
    center_mm = ct.grid.center_mm if labels is None else vertebrae_center_mm(labels)
    views = rendering_views(job.geometry, center_mm)
    origin = "given or from the geometry file"
    if job.geometry.isocenter_mm is None and job.geometry.file is None:
        origin = "the CT's centre" if labels is None else "the middle of the labelled vertebrae"
    place = ", ".join(f"{value:.1f}" for value in views.isocenter_mm)
    notes = (*notes, f"Isocentre ({place}) mm: {origin}.")
    return Inputs(*_seen_radiographs(ct, views), views, ct, labels, notes)


def _seen_radiographs(
    ct: Volume, views: Biplanar, energy_kev: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """AP and lateral of a CT. Raises InputError for a view that misses it."""
    images = render_radiographs(ct, views, energy_kev)
    for name, image in zip(("AP", "lateral"), images, strict=True):
        if not np.any(image > 0):
            raise InputError(
                f"The {name} view misses the CT: every ray passes beside it (isocentre {views.isocenter_mm}, CT centre "
                f"{ct.grid.center_mm}). Check --isocenter and the geometry."
            )
    return images


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
