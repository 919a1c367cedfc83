"""One synthesis, from its input files to its folder of results: read, project, synthesize, compare, draw, write.

What is slow to load, PyTorch above all, is loaded beside the reading; a job that cannot run ends before that.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from TomoRayLib.base.early_import import import_beside
from TomoRayLib.base.files import check_writable
from TomoRayLib.jobs.events import Emit
from TomoRayLib.jobs.input_paths import check_input_paths
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.weights import find_model, read_segmenters

if TYPE_CHECKING:
    from TomoRayLib.anatomy.grey_levels import LookupTable
    from TomoRayLib.jobs.results import CaseResult
    from TomoRayLib.synthesis.inputs import Inputs

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
    check_input_paths(job)
    check_writable(job.out, NEED_BYTES)
    result = case_result(job, stages, emit)
    from TomoRayLib.jobs.case import write_result

    emit(write_result(result, stages))
    return Path(job.out)


def case_result(job: SynthesisJob, stages: Stages, emit: Emit) -> CaseResult:
    """Run a synthesis up to its scores, without writing anything.

    Raises InputError for an input or a setting that cannot be used.
    """
    find_model(job.model)
    import_beside("torch")
    table, inputs = _read(job, stages)
    from TomoRayLib.jobs import case
    from TomoRayLib.synthesis.model_run import choose_model

    model = choose_model(job.model, job.device, job.precision)
    return case.case_result(job, model, table, inputs, stages, emit)


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


def _read(job: SynthesisJob, stages: Stages) -> tuple[LookupTable, Inputs]:
    """The lookup table, and both radiographs: read, the scouts of a CT, or rendered from one."""
    with stages.stage("Reading"):
        from TomoRayLib.anatomy.grey_levels import LookupTable, Quantisation
        from TomoRayLib.synthesis.radiograph_inputs import read_radiographs
        from TomoRayLib.synthesis.source_inputs import read_source
        from TomoRayLib.weights import load_equal_frequency_table

        equal_frequency = job.quantisation == Quantisation.EQUAL_FREQUENCY.value
        table = load_equal_frequency_table() if equal_frequency else LookupTable.linear()
        if not job.has_ct:
            how = {"align": job.align, "clean": job.clean}
            return table, read_radiographs(str(job.ap), str(job.lateral), job.geometry, job.arrangement, **how)
        path = Path(str(job.ct if job.study is None else job.study))
        mask = None if job.segmentation is None else Path(job.segmentation)
        source = read_source(path, mask, job.labels, is_study=job.study is not None)
    if needs_own_labels(job):
        with stages.stage("Segmenting"):
            from TomoRayLib.synthesis.own_labels import choose_segmenter

            source = source.labelled_by(choose_segmenter(job.device, job.precision))
    with stages.stage("Projecting"):
        return table, source.radiographs(job.geometry, once=True)
