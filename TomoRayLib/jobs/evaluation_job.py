"""The scoring of a cohort as a value, as options of the command line, and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.settings import same_setting, setting, settings
from TomoRayLib.jobs.job import SynthesisJob, Written
from TomoRayLib.synthesis.settings import GeometryOptions


@dataclass(frozen=True)
class EvaluationJob(Written):
    """A cohort to be scored.

    Args:
        folder: The cases, in any layout that ``images.find_cases`` knows, or folders of DICOM studies with scouts, as
            ``images.study_finder`` has them. All paths are text.
        out: Folder for the tables.
        cases: Text file of case names, one a line (a split); None: all cases.
        model: Ids of the models to run; none: the default one, or, with predictions, no model.
        predictions: Folders of predictions by other methods, each with ``predictions.toml``.
        against: Results of an earlier run, whose methods are compared case by case.
        resume: Use what an earlier run computed of the same files with the same model, settings and code.
        stages: Folder in which every computed stage is kept and looked for; None: ``stages`` in ``out``, looked for
            with ``resume`` alone.
        include_seen: Score the cases that a model was trained, tuned or chosen on, too; they are marked, and in no mean
            as soon as there are others.
        strict: End with the exit code 5 if any case has no score.
        workers: Processes on this machine; None: as many as cores and memory allow.
        memory_gb: The most that each of them may use; None: an equal share.
        scheduler: Address of a Dask scheduler whose workers to use instead.
        segment: Score CTs without a segmentation against labels by TomoRay; these scores are marked, and in no mean
            as soon as there are others.
        include_gl: Take in VerSe's ``sub-gl`` images.
        labels: Numbering of all label maps; see ``SynthesisJob``.
        geometry: Geometry of the radiographs that are rendered from each CT.
        device: See ``SynthesisJob``.
        precision: See ``SynthesisJob``.
        fov_mm: See ``SynthesisJob``.
        quantisation: See ``SynthesisJob``.

    Raises:
        InputError: For settings that make no sense, and for ``out`` the same as ``folder``.
    """

    kind: ClassVar[str] = "evaluation"

    folder: str = setting(
        help="Cases: VerSe, CTSpine1K or TotalSegmentator layout, pairs of CT and segmentation, or DICOM studies with "
        "scouts, a folder each.",
        is_path=True,
        is_argument=True,
    )
    out: str = setting(help="Folder for the tables.", is_path=True)
    cases: str | None = setting(None, help="Text file of case names, one a line: only these.", is_path=True)
    model: tuple[str, ...] = setting((), help="Model id, once for each model; see 'tomoray models'.")
    predictions: tuple[str, ...] = setting(
        (), help="Folder of another method's volumes, with predictions.toml; once for each method.", is_path=True
    )
    against: str | None = setting(
        None, help="Results of an earlier run on these cases, to compare with case by case.", is_path=True
    )
    resume: bool = setting(False, help="Use what an earlier run in the folder computed, as far as nothing changed.")
    stages: str | None = setting(
        None, help="Folder of computed stages that all runs share; implies --resume.", is_path=True
    )
    include_seen: bool = setting(
        False, help="Score the people that a model was trained, tuned or chosen on, too; they are marked."
    )
    strict: bool = setting(False, help="End with exit code 5 if any case has no score.")
    workers: int | None = setting(None, help="Processes on this machine, by default one for each core.")
    memory_gb: float | None = setting(None, help="The most memory of each of them, in GB.", name="--memory")
    scheduler: str | None = setting(None, help="Address of a Dask scheduler, whose workers to use instead.")
    segment: bool = setting(
        True,
        help="Let TomoRay label CTs without a segmentation, to score against; these scores are marked.",
        name="--segment/--no-segment",
    )
    include_gl: bool = setting(False, help="Also VerSe's sub-gl images, which are CC BY-NC-ND.")
    labels: str = same_setting(SynthesisJob, "labels")
    geometry: GeometryOptions = settings(GeometryOptions, "preset")
    device: str = same_setting(SynthesisJob, "device")
    precision: str = same_setting(SynthesisJob, "precision")
    fov_mm: float = same_setting(SynthesisJob, "fov_mm")
    quantisation: str = same_setting(SynthesisJob, "quantisation")

    def __post_init__(self) -> None:
        self._check_case_settings()
        if Path(self.out).resolve() == Path(self.folder).resolve():
            raise InputError(
                f"Expected an output folder other than that of the cases, got {self.out}, which holds the cases.", "out"
            )
        if self.workers is not None and self.workers < 1:
            raise InputError(f"Expected at least one worker, got {self.workers}.", "workers")
        if self.scheduler is not None and (self.workers is not None or self.memory_gb is not None):
            raise InputError(
                "Expected workers of this machine or those of a scheduler, got both; leave one out.", "scheduler"
            )
        if self.memory_gb is not None and self.memory_gb <= 0:
            raise InputError(f"Expected memory above 0 GB for each worker, got {self.memory_gb:g}.", "memory_gb")
        if len(set(self.model)) < len(self.model):
            raise InputError(f"Expected different models, got {', '.join(self.model)}.", "model")

    def _check_case_settings(self) -> None:
        """Refuse settings that a synthesis refuses."""
        SynthesisJob(
            out=self.out,
            ct="ct",
            segmentation="segmentation",
            labels=self.labels,
            geometry=self.geometry,
            device=self.device,
            precision=self.precision,
            fov_mm=self.fov_mm,
            quantisation=self.quantisation,
        )
