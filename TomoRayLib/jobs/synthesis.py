"""One synthesis, from its input files to its folder of results: read, project, synthesize, compare, draw, write.

What is slow to load, PyTorch above all, is loaded beside the reading; a job that cannot run ends before that.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from TomoRayLib.base.files import check_writable
from TomoRayLib.base.memory import give_back_freed_memory
from TomoRayLib.jobs.events import Emit, Warned
from TomoRayLib.jobs.input_paths import check_can_begin
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.preloading import open_libraries, preload
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.weights import ModelEntry, find_model, read_segmenters

if TYPE_CHECKING:
    from TomoRayLib.geometry.views import Biplanar
    from TomoRayLib.jobs.case_result import CaseResult
    from TomoRayLib.synthesis.inputs import Inputs, SourceCT
    from TomoRayLib.synthesis.true_case import TrueCase

NEED_BYTES = 200 * 1024 * 1024
# Usual seconds of each stage on two cores.
SECONDS_FROM_CT = {
    "Reading": 2.0,
    "Segmenting": 12.0,
    "Projecting": 0.5,
    "Synthesizing": 2.0,
    "Varying": 4.0,
    "Comparing": 1.0,
    "Drawing": 1.5,
    "Writing": 0.5,
}
SECONDS_FROM_RADIOGRAPHS = {
    "Reading": 1.0,
    "Synthesizing": 2.0,
    "Varying": 4.0,
    "Judging": 2.0,
    "Drawing": 1.0,
    "Writing": 0.5,
}


def run_synthesis(job: SynthesisJob, emit: Emit) -> Path:
    """Run a synthesis and write its results.

    Args:
        job: Input files, settings and output folder.
        emit: Receives the events: stages, notes, warnings and ``Finished``.

    Returns:
        The output folder. All results appear in it at once; after an error there are none.

    Raises:
        InputError: For an input or a setting that cannot be used.
        OutputError: If the output folder cannot be written.
    """
    stages = Stages(expected_seconds(job), emit)
    check_can_begin(job)
    check_writable(job.out, NEED_BYTES)
    open_libraries()
    result = case_result(job, stages, emit)
    from TomoRayLib.jobs.case import write_result

    emit(write_result(result, stages))
    return Path(job.out)


def case_result(job: SynthesisJob, stages: Stages, emit: Emit) -> CaseResult:
    """Run a synthesis up to its scores, without writing anything.

    Raises InputError for an input or a setting that cannot be used.
    """
    entry = find_model(job.model)
    inputs, true = _read(job, entry, stages)
    from TomoRayLib.jobs import case
    from TomoRayLib.synthesis.model_run import choose_model
    from TomoRayLib.synthesis.unusable_gpu import device_warnings

    model = choose_model(job.model, job.device, job.precision)
    for warning in device_warnings(job.device):
        emit(Warned(warning, "device"))
    return case.case_result(job, model, inputs, true, stages, emit)


def expected_seconds(job: SynthesisJob) -> dict[str, float]:
    """Return the stages that a job goes through, with their usual seconds on two cores."""
    expected = SECONDS_FROM_CT if job.has_ct else SECONDS_FROM_RADIOGRAPHS
    left_out = {
        "Judging": not job.tries_arrangements,
        "Segmenting": not needs_own_labels(job),
        "Varying": not job.uncertainty,
    }
    return {name: seconds for name, seconds in expected.items() if not left_out.get(name)}


def needs_own_labels(job: SynthesisJob) -> bool:
    """Return whether the CT is to be labelled by TomoRay: it has no segmentation, and is to be compared."""
    return job.has_ct and job.segmentation is None and job.segment and job.comparison and bool(read_segmenters()[1])


def _read(job: SynthesisJob, entry: ModelEntry, stages: Stages) -> tuple[Inputs, TrueCase | None]:
    """Both radiographs, and what the result is compared with if there is a CT."""
    if job.has_ct:
        return _read_source(job, entry, stages)
    with stages.stage("Reading"):
        from TomoRayLib.synthesis.radiograph_inputs import read_radiographs

        preload(job, entry)
        how = {"align": job.align, "clean": job.clean}
        return read_radiographs(str(job.ap), str(job.lateral), job.geometry, job.arrangement, **how), None


def _read_source(job: SynthesisJob, entry: ModelEntry, stages: Stages) -> tuple[Inputs, TrueCase | None]:
    """The scouts of a CT, or radiographs rendered from it, and what of it the result is compared with."""
    with stages.stage("Reading"):
        from TomoRayLib.synthesis.inputs import rendered, views_of_ct
        from TomoRayLib.synthesis.source_inputs import read_source

        preload(job, entry)
        path = Path(str(job.ct if job.study is None else job.study))
        mask = None if job.segmentation is None else Path(job.segmentation)
        source = read_source(path, mask, job.labels, is_study=job.study is not None)
    if needs_own_labels(job):
        with stages.stage("Segmenting"):
            from TomoRayLib.synthesis.own_labels import choose_segmenter

            source = source.labelled_by(choose_segmenter(job.device, job.precision))
    if source.study is not None:
        with stages.stage("Projecting"):
            inputs = source.radiographs(job.geometry)
        true = _true_case(job, entry, source.ct, inputs.views) if job.comparison else None
    else:
        views, ct = views_of_ct(source.ct, job.geometry), source.ct
        true = _true_case(job, entry, ct, views.views) if job.comparison else None  # while PyTorch is being loaded
        del source
        ct = replace(ct, labels=None)  # which are not needed any more; nor is the CT after this
        give_back_freed_memory()
        with stages.stage("Projecting"):
            inputs = rendered(ct, views, overwrite=True)
    assert inputs.source is not None
    return replace(inputs, source=inputs.source.without_voxels()), true


def _true_case(job: SynthesisJob, entry: ModelEntry, source: SourceCT, views: Biplanar) -> TrueCase:
    from TomoRayLib.anatomy.grey_levels import LookupTable, Quantisation
    from TomoRayLib.synthesis.result_grid import model_grid, with_field_of_view
    from TomoRayLib.synthesis.true_case import true_case
    from TomoRayLib.weights import load_equal_frequency_table

    equal_frequency = job.quantisation == Quantisation.EQUAL_FREQUENCY.value
    table = load_equal_frequency_table() if equal_frequency else LookupTable.linear()
    grid = with_field_of_view(model_grid(entry, views.isocenter_mm), job.fov_mm)
    return true_case(source.ct, source.labels, grid, table)
