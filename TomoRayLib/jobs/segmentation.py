"""One segmentation: the vertebrae of a CT found and named by the network, written as labels, a list and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from TomoRayLib.base.files import check_writable, staged_folder, write_bytes
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.base.notices import LABELS_NOTICE
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.events import Emit, Finished, Warned, tell
from TomoRayLib.jobs.input_paths import check_can_begin
from TomoRayLib.jobs.job import SegmentationJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.provenance import made_by, named_inputs
from TomoRayLib.jobs.shared_texts import without_folders
from TomoRayLib.report.labels_picture import labels_picture
from TomoRayLib.segmentation.agreement import Agreement, agreement
from TomoRayLib.segmentation.ct_vertebrae import LABELS_BY_TOMORAY, SegmentedCT
from TomoRayLib.synthesis.inputs import SourceCT, read_ct
from TomoRayLib.synthesis.own_labels import choose_segmenter, labels_marking, remarks_on
from TomoRayLib.synthesis.unusable_gpu import device_warnings

NEED_BYTES = 50 * 1024 * 1024
STAGE_SECONDS = {"Reading": 5.0, "Segmenting": 12.0, "Writing": 4.0}  # on two cores
FILES = ("vertebrae.nrrd", "vertebrae.json", "vertebrae.png", "provenance.json")


def run_segmentation(job: SegmentationJob, emit: Emit) -> Path:
    """Find the vertebrae of a CT and write them.

    Args:
        job: The CT, labels to compare with if there are any, and the output folder.
        emit: Receives the events: stages, notes, warnings and ``Finished``.

    Returns:
        The output folder. All files appear in it at once; after an error there are none.

    Raises:
        InputError: For an input or a setting that cannot be used, and if there is no network to segment with.
        OutputError: If the output folder cannot be written.
    """
    stages = Stages(STAGE_SECONDS, emit)
    check_can_begin(job)
    check_writable(job.out, NEED_BYTES)
    segmenter = choose_segmenter(job.device, job.precision)
    for warning in device_warnings(job.device):
        emit(Warned(warning, "device"))
    with stages.stage("Reading"):
        source = read_ct(job.ct, job.segmentation, job.labels)
        tell(emit, source.notes, source.warnings)
    with stages.stage("Segmenting"):
        found = segmenter.segment(source.ct)
        scores = agreement(found.labels, source.labels) if source.labels is not None else None
        remarks = remarks_on(found)
        tell(emit, (), remarks)
    with stages.stage("Writing"), staged_folder(job.out) as folder:
        _write(folder, job, source, found, scores)
        made = {
            **made_by(LABELS_NOTICE),
            **segmenter.provenance(),
            "inputs": named_inputs(job, "ct", "segmentation"),
            "empty": found.is_empty,
            "notes": without_folders([*source.warnings, *remarks, *source.notes], job),
        }
        write_json(
            folder / "provenance.json", {**made, "seconds": dict(stages.seconds), "peak_memory_mb": peak_memory_mb()}
        )
    emit(_finished(job, found, scores, stages))
    return Path(job.out)


def _write(folder: Path, job: SegmentationJob, source: SourceCT, found: SegmentedCT, scores: Agreement | None) -> None:
    """Write the labels, the list and the picture."""
    write_volume(folder / "vertebrae.nrrd", found.labels, labels_marking())
    write_json(folder / "vertebrae.json", {"notice": LABELS_NOTICE, **described(found, scores)})
    picture = labels_picture(source.ct, found.labels, Path(job.ct).name, LABELS_NOTICE)
    write_bytes(folder / "vertebrae.png", picture)


def described(found: SegmentedCT, scores: Agreement | None) -> dict[str, Any]:
    """Return the vertebrae, how certain they are, and what a comparison gave, as JSON-like values."""
    return {
        "labels": LABELS_BY_TOMORAY,
        "numbering": found.numbering,
        "certainty": round(found.certainty, 3),
        "vertebrae": [
            {
                "name": vertebra.name,
                "number": vertebra.number,
                "center_mm": [round(value, 1) for value in vertebra.center_mm],
                "volume_ml": round(vertebra.volume_mm3 / 1000, 2),
                "whole": vertebra.whole,
                "agreement": round(vertebra.agreement, 3),
            }
            for vertebra in found.vertebrae
        ],
        "comparison": scores.to_json_dict() if scores else None,
    }


def _finished(job: SegmentationJob, found: SegmentedCT, scores: Agreement | None, stages: Stages) -> Finished:
    return Finished(
        {
            "folder": job.out,
            "files": list(FILES),
            "metrics": None,
            "empty": found.is_empty,
            **described(found, scores),
            "seconds": stages.total_seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
    )
