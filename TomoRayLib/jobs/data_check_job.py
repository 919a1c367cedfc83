"""The check of a cohort's data as a value, as options of the command line, and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from TomoRayLib.anatomy.numbering_choice import check_labels
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.settings import same_setting, setting
from TomoRayLib.jobs.job import SynthesisJob, Written


@dataclass(frozen=True)
class DataCheckJob(Written):
    """A folder of cases to be looked at.

    Args:
        folder: The cases, as for ``EvaluationJob``.
        out: Folder for the tables; None writes none.
        voxels: Read every CT and mask too, and check that labels lie on bone, in order and in one place each.
        include_gl: Take in VerSe's ``sub-gl`` images.
        labels: Numbering of all label maps.
        strict: End with the exit code 5 if anything is found.
    """

    kind: ClassVar[str] = "data_check"

    folder: str = setting(help="Cases, as for 'tomoray evaluate'.", is_path=True, is_argument=True)
    out: str | None = setting(None, help="Folder for tables of cases and findings.", is_path=True)
    voxels: bool = setting(False, help="Read the voxels too: labels on bone, in order, in one place (2 to 5 s a case).")
    include_gl: bool = setting(False, help="Also VerSe's sub-gl images, which are CC BY-NC-ND.")
    labels: str = same_setting(SynthesisJob, "labels")
    strict: bool = setting(False, help="End with exit code 5 if anything is found.")

    def __post_init__(self) -> None:
        check_labels(self.labels)
        if self.out is not None and Path(self.out).resolve() == Path(self.folder).resolve():
            raise InputError(f"Expected an output folder other than that of the cases, got {self.out}.", "out")
