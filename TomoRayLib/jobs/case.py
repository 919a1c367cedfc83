"""A case whose radiographs are there: synthesized, compared and judged, drawn and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.base.files import staged_folder
from TomoRayLib.base.memory import give_back_freed_memory, peak_memory_mb
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.base.threads import in_threads
from TomoRayLib.images.dicom.writing.names import CT_FOLDER
from TomoRayLib.jobs.case_result import CaseResult, Judgement, cost_of
from TomoRayLib.jobs.events import Emit, Finished, tell
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.naming import as_named, check_place
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.provenance import DICOM_FOLDER, dicom_of
from TomoRayLib.jobs.shared_texts import without_folders
from TomoRayLib.synthesis.comparison import compare_with_truth
from TomoRayLib.synthesis.familiarity import unlike_training
from TomoRayLib.synthesis.inputs import Inputs
from TomoRayLib.synthesis.model_run import ChosenModel
from TomoRayLib.synthesis.reprojection import reproject
from TomoRayLib.synthesis.result_checks import EMPTY, ResultMeasures, doubtful, doubts, measured
from TomoRayLib.synthesis.result_grid import model_grid
from TomoRayLib.synthesis.settings import Arrangement
from TomoRayLib.synthesis.spread import sureness_of
from TomoRayLib.synthesis.suggestions import CERTAINTY_TO_TRY, Suggestion, all_are_tried, suggest
from TomoRayLib.synthesis.trained_range import geometry_notes
from TomoRayLib.synthesis.true_case import TrueCase
from TomoRayLib.weights import load_known_measures

if TYPE_CHECKING:
    from TomoRayLib.synthesis.measured_case import CaseMeasures

COUNT_UNSURE = (
    "Count unsure: vertebrae are told apart, but all their numbers may be too high or too low by one or more. Check "
    "them against the sacrum, the lowest ribs or the skull, and name one of them: all others are counted from it."
)
EXPECTED = (
    "By its own answers to variations, the bone mask has an expected Dice of {dice:.2f}, and {unsure:.0%} of it is "
    "unsure; where, uncertainty.nrrd and the report show. It says little about one person as a whole."
)
MORE_CERTAIN = "It gives a spine that the network is more certain of."


def case_result(
    job: SynthesisJob, model: ChosenModel, inputs: Inputs, true: TrueCase | None, stages: Stages, emit: Emit
) -> CaseResult:
    """Run a synthesis up to its scores, without writing anything.

    Args:
        job: The settings.
        model: The network, its device and precision.
        inputs: Both radiographs.
        true: What the result is compared with, if there is a CT.
        stages: Receives the stages from "Synthesizing" on.
        emit: Receives notes and warnings.

    Returns:
        The result, not yet reprojected.

    Raises:
        InputError: For an input that cannot be used.
    """
    warnings = [*inputs.warnings, *geometry_notes(inputs.views, model.entry)]
    tell(emit, inputs.notes, warnings)
    give_back_freed_memory()
    pair = inputs.for_network
    check_place(job, model_grid(model.entry, pair.views.isocenter_mm))
    with stages.stage("Synthesizing"):
        whole = as_named(job, model.synthesize(pair.ap, pair.lateral, pair.views))
        synthetic = whole.on_field_of_view(job.fov_mm)
    give_back_freed_memory()
    sureness = None
    if job.uncertainty:
        with stages.stage("Varying"):
            sureness = sureness_of(pair, synthetic, model)
        tell(emit, (EXPECTED.format(dice=sureness.expected_dice, unsure=sureness.unsure_share),), ())
    comparison, remarks, suggestion = None, [] if synthetic.mask.any() else [EMPTY], None
    if true is not None:
        with stages.stage("Comparing"):
            comparison = compare_with_truth(synthetic, true, model.entry)
        remarks += comparison.warnings
    if synthetic.spine is not None and synthetic.spine.vertebrae and synthetic.spine.numbering == UNSURE:
        remarks.append(COUNT_UNSURE)
    judgement = None
    if inputs.as_read is not None:
        measures = measured(whole.probability, model.entry.fov_mm)
        if tries_arrangements(job, inputs):
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


def tries_arrangements(job: SynthesisJob, inputs: Inputs) -> bool:
    """Return whether likely mistakes with two radiographs are tried: not if their files hold the views that TomoRay
    rendered them with, and nothing is done to them."""
    return job.tries_arrangements and not (inputs.state_their_views and job.arrangement == Arrangement())


def reprojected(result: CaseResult) -> CaseResult:
    """Return the result with its bone projected back onto the radiographs, which is then written with it."""
    pair, synthetic = result.inputs.for_network, result.synthetic
    shadows = (reproject(synthetic, pair.ap, pair.views.ap), reproject(synthetic, pair.lateral, pair.views.lateral))
    return replace(result, reprojections=shadows)


def write_result(result: CaseResult, stages: Stages) -> Finished:
    """Draw and write a result into the folder of its job, whole or not at all; return what is to be told at the end.

    Raises OutputError if the folder cannot be written.
    """
    from TomoRayLib.jobs.results import draw_case, write_case  # loaded beside the network's run

    give_back_freed_memory()
    with staged_folder(result.job.out) as folder:
        with stages.stage("Drawing"):
            result = replace(_drawable(result), warnings=without_folders(result.warnings, result.job))
            provenance = without_folders(result.provenance(), result.job)
            draw_case(folder, result, {**provenance, **cost_of(stages)})
        with stages.stage("Writing"):
            write_case(folder, result)
            if result.job.dicom:
                from TomoRayLib.jobs.dicom_output import write_dicom_of

                write_dicom_of(result, folder, provenance)
        write_json(folder / "provenance.json", {**provenance, **cost_of(stages)})
        files = _named_files(folder)
    return _finished(result, files, stages)


def _named_files(folder: Path) -> list[str]:
    """The files in a folder, relative to it; of a DICOM series its folder alone."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    series = Path(DICOM_FOLDER, CT_FOLDER)
    return sorted({(series if series in path.parents else path).as_posix() for path in files})


def measured_result(result: CaseResult) -> CaseMeasures | None:
    """Measure the vertebrae of a result; None of a model that does not tell them apart, and if it found none."""
    from TomoRayLib.synthesis.measured_case import case_measures

    synthetic, true = result.synthetic, result.true_vertebrae
    if synthetic.spine is None or not synthetic.spine.vertebrae:
        return None
    matched = result.comparison.matched if result.comparison else None
    known = load_known_measures(result.model.entry)
    return case_measures(synthetic.spine, synthetic.grid, known, true.voxels if true is not None else None, matched)


def _drawable(result: CaseResult) -> CaseResult:
    """The result reprojected and measured, with its surfaces made meanwhile."""

    from TomoRayLib.images.case_surfaces import CaseSurfaces
    from TomoRayLib.jobs.results import surfaces_of
    from TomoRayLib.synthesis.measured_case import CaseMeasures

    def make_surfaces() -> CaseSurfaces:
        made = surfaces_of(result)
        _ = made.synthetic, made.to_truth if made.truth_mask is not None else None
        return made

    seen, surfaces, measures = in_threads(
        [lambda: reprojected(result), make_surfaces, lambda: measured_result(result)], most=3
    )
    assert isinstance(seen, CaseResult)
    assert isinstance(surfaces, CaseSurfaces)
    assert measures is None or isinstance(measures, CaseMeasures)
    return replace(seen, surfaces=surfaces, measures=measures)


def _suggested(measures: ResultMeasures, inputs: Inputs, job: SynthesisJob, model: ChosenModel) -> Suggestion | None:
    """What was meant if the result is uncertain and another arrangement of the radiographs clearly better."""
    if inputs.as_read is None or (not doubts(measures) and measures.certainty >= CERTAINTY_TO_TRY):
        return None
    everything = all_are_tried(measures)
    return suggest(inputs.as_read, job.arrangement, model, everything=everything, as_seen=inputs.as_seen)


def _finished(result: CaseResult, files: list[str], stages: Stages) -> Finished:
    return Finished(
        {
            "synthetic": True,
            "folder": str(Path(result.job.out)),
            "files": files,
            **result.judgement_dict(),
            **result.sureness_dict(),
            **result.spine_dict(),
            **dicom_of(result.job),
            **result.measures_of_use(),
            "metrics": result.metrics_dict(),
            "seconds": stages.total_seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
    )
