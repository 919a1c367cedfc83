"""One synthesis, from its input files to its folder of results: read, project, synthesize, compare, draw, write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from TomoRayLib.anatomy.grey_levels import LookupTable, Quantisation
from TomoRayLib.anatomy.vertebra_decoding import UNSURE
from TomoRayLib.base.files import check_writable, staged_folder
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.jobs.events import Emit, Finished, tell
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.results import CaseResult, Judgement, cost_of, draw_case, write_case
from TomoRayLib.synthesis.comparison import compare_with_ct
from TomoRayLib.synthesis.familiarity import unlike_training
from TomoRayLib.synthesis.inputs import Inputs
from TomoRayLib.synthesis.model_run import LINEAR, ChosenModel, choose_model
from TomoRayLib.synthesis.own_labels import choose_segmenter, is_segmenter_there
from TomoRayLib.synthesis.radiograph_inputs import read_radiographs
from TomoRayLib.synthesis.reprojection import reproject
from TomoRayLib.synthesis.result_checks import EMPTY, ResultMeasures, doubtful, doubts, measured
from TomoRayLib.synthesis.source_inputs import read_source
from TomoRayLib.synthesis.spread import sureness_of
from TomoRayLib.synthesis.suggestions import CERTAINTY_TO_TRY, Suggestion, all_are_tried, suggest
from TomoRayLib.synthesis.trained_range import geometry_notes
from TomoRayLib.weights import load_equal_frequency_table

COUNT_UNSURE = (
    "Count unsure: vertebrae are told apart, but all their numbers may be too high or too low by one or more. Check "
    "them against the sacrum, the lowest ribs or the skull."
)
EXPECTED = (
    "By its own answers to variations, the bone mask has an expected Dice of {dice:.2f}, and {unsure:.0%} of it is "
    "unsure; where, uncertainty.nrrd and the report show. It says little about one person as a whole."
)
MORE_CERTAIN = "It gives a spine that the network is more certain of."
NEED_BYTES = 200 * 1024 * 1024
# Usual seconds of each stage on two cores.
SECONDS_FROM_CT = {
    "Reading": 5.0,
    "Segmenting": 12.0,
    "Projecting": 1.5,
    "Synthesizing": 4.0,
    "Varying": 4.0,
    "Comparing": 3.0,
    "Drawing": 8.0,
    "Writing": 3.0,
}
SECONDS_FROM_RADIOGRAPHS = {
    "Reading": 1.0,
    "Synthesizing": 4.0,
    "Varying": 4.0,
    "Judging": 4.0,
    "Drawing": 5.0,
    "Writing": 2.0,
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
    check_writable(job.out, NEED_BYTES)
    result = case_result(job, stages, emit)
    with staged_folder(job.out) as folder:
        with stages.stage("Drawing"):
            result = reprojected(result)
            provenance = result.provenance()
            draw_case(folder, result, {**provenance, **cost_of(stages)})
        with stages.stage("Writing"):
            write_case(folder, result)
        write_json(folder / "provenance.json", {**provenance, **cost_of(stages)})
    emit(_finished(result, stages))
    return Path(job.out)


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
    return job.has_ct and job.segmentation is None and job.segment and job.comparison and is_segmenter_there()


def case_result(job: SynthesisJob, stages: Stages, emit: Emit) -> CaseResult:
    """Run a synthesis up to its scores, without writing anything.

    Raises InputError for an input or a setting that cannot be used.
    """
    model = choose_model(job.model, job.device, job.precision)
    table, inputs = _read(job, stages)
    warnings = [*inputs.warnings, *geometry_notes(inputs.views, model.entry)]
    tell(emit, inputs.notes, warnings)
    with stages.stage("Synthesizing"):
        pair = inputs.for_network
        whole = model.synthesize(pair.ap, pair.lateral, pair.views)
        synthetic = whole.on_field_of_view(job.fov_mm)
    sureness = None
    if job.uncertainty:
        with stages.stage("Varying"):
            sureness = sureness_of(pair, synthetic, model)
        tell(emit, (EXPECTED.format(dice=sureness.expected_dice, unsure=sureness.unsure_share),), ())
    comparison, remarks, suggestion = None, [] if synthetic.mask.any() else [EMPTY], None
    if inputs.source is not None and job.comparison:
        with stages.stage("Comparing"):
            comparison = compare_with_ct(synthetic, inputs.source.ct, inputs.source.labels, table, model.entry)
        remarks += comparison.warnings
    if synthetic.spine is not None and synthetic.spine.vertebrae and synthetic.spine.numbering == UNSURE:
        remarks.append(COUNT_UNSURE)
    judgement = None
    if inputs.as_read is not None:
        measures = measured(whole.probability, model.entry.fov_mm)
        if job.tries_arrangements:
            with stages.stage("Judging"):
                suggestion = _suggested(measures, inputs, job, model)
        found, unlike = doubts(measures), unlike_training(pair, model.entry)
        judgement = Judgement(measures.certainty, (*found, *unlike), suggestion)
        if judgement.doubts and synthetic.mask.any():
            remarks.append(doubtful(found, unlike))
    tell(emit, (), remarks)
    asked = (f"{suggestion.question} {MORE_CERTAIN}",) if suggestion else ()  # told last, with ``Finished``
    told = (*warnings, *remarks, *asked)
    return CaseResult(job, model, inputs, synthetic, comparison, told, judgement, sureness=sureness)


def reprojected(result: CaseResult) -> CaseResult:
    """Return the result with its bone projected back onto the radiographs, which is then written with it."""
    pair, synthetic = result.inputs.for_network, result.synthetic
    shadows = (reproject(synthetic, pair.ap, pair.views.ap), reproject(synthetic, pair.lateral, pair.views.lateral))
    return replace(result, reprojections=shadows)


def _suggested(measures: ResultMeasures, inputs: Inputs, job: SynthesisJob, model: ChosenModel) -> Suggestion | None:
    """What was meant if the result is uncertain and another arrangement of the radiographs clearly better."""
    if inputs.as_read is None or (not doubts(measures) and measures.certainty >= CERTAINTY_TO_TRY):
        return None
    everything = all_are_tried(measures)
    return suggest(inputs.as_read, job.arrangement, model, everything=everything, as_seen=inputs.as_seen)


def _read(job: SynthesisJob, stages: Stages) -> tuple[LookupTable, Inputs]:
    """The lookup table, and both radiographs: read, the scouts of a CT, or rendered from one."""
    with stages.stage("Reading"):
        equal_frequency = job.quantisation == Quantisation.EQUAL_FREQUENCY.value
        table = load_equal_frequency_table() if equal_frequency else LINEAR
        if not job.has_ct:
            how = {"align": job.align, "clean": job.clean}
            return table, read_radiographs(str(job.ap), str(job.lateral), job.geometry, job.arrangement, **how)
        path = Path(str(job.ct if job.study is None else job.study))
        mask = None if job.segmentation is None else Path(job.segmentation)
        source = read_source(path, mask, job.labels, is_study=job.study is not None)
    if needs_own_labels(job):
        with stages.stage("Segmenting"):
            source = source.labelled_by(choose_segmenter(job.device, job.precision))
    with stages.stage("Projecting"):
        return table, source.radiographs(job.geometry)


def _finished(result: CaseResult, stages: Stages) -> Finished:
    folder = Path(result.job.out)
    return Finished(
        {
            "synthetic": True,
            "folder": str(folder),
            "files": sorted(path.name for path in folder.iterdir() if path.is_file() and path.name[0] != "."),
            **result.judgement_dict(),
            **result.sureness_dict(),
            **result.spine_dict(),
            "metrics": result.metrics_dict(),
            "seconds": stages.total_seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
    )
