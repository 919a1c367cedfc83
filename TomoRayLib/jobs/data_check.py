"""A look at the data of a cohort before it is scored: headers of all cases in seconds, or their voxels too."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import check_writable, staged_folder, write_text
from TomoRayLib.base.text_formats import csv_text
from TomoRayLib.images.case_headers import CaseHeaders, check_headers
from TomoRayLib.images.cohort_finder import Cohort, CohortCase, UnlabelledCase, counted_reasons, find_cases, source_of
from TomoRayLib.images.study_finder import find_studies
from TomoRayLib.jobs.data_check_job import DataCheckJob
from TomoRayLib.jobs.events import Emit, Finished, Note, StageBegun, Warned
from TomoRayLib.jobs.shared_texts import without_folders

THREADS = 4  # reading headers waits for the disk
SHOWN = 20  # findings in the terminal; the table has all
FILES = ("cases.csv", "findings.csv", "left_out.csv")


def run_data_check(job: DataCheckJob, emit: Emit) -> None:
    """Check a cohort's data.

    Args:
        job: The folder and the settings.
        emit: Receives the findings as warnings, and ``Finished``.

    Raises:
        InputError: If the folder holds no case.
        OutputError: If the tables cannot be written.
    """
    begun = time.monotonic()
    if job.out is not None:
        check_writable(job.out)
    studies = find_studies(Path(job.folder), include_unlabelled=True)
    cohort = studies if studies is not None else find_cases(Path(job.folder), job.include_gl, include_unlabelled=True)
    cases: tuple[CohortCase | UnlabelledCase, ...] = (*cohort.cases, *cohort.unlabelled)
    emit(Note(f"{len(cohort.cases)} CTs with a segmentation, {len(cohort.unlabelled)} without."))
    if cohort.left_out:
        emit(Note(f"Left out{counted_reasons(cohort)}."))
    with ThreadPoolExecutor(THREADS) as pool:
        headers = list(pool.map(check_headers, cases))
    findings = [(one.name, sentence) for one in headers for sentence in one.findings]
    if job.voxels:
        findings += _voxel_findings(job, cases, {one.name for one in headers if one.grid is None}, emit)
    for name, sentence in findings[:SHOWN]:
        emit(Warned(f"{name}: {sentence}"))
    if len(findings) > SHOWN:
        emit(Warned(f"And {len(findings) - SHOWN} more findings; write the tables to see all."))
    if job.out is not None:
        _write(Path(job.out), cohort, headers, without_folders(findings, job))
    odd = Counter(name for name, _ in findings)
    emit(Note(f"{len(cases) - len(odd)} of {len(cases)} cases without a finding."))
    values = {
        "files": list(FILES) if job.out is not None else [],
        "cases": len(cases),
        "cases_with_findings": len(odd),
        "left_out": len(cohort.left_out),
        "incomplete": bool(job.strict and (findings or cohort.left_out)),
        "seconds": round(time.monotonic() - begun, 3),
    }
    emit(Finished({"folder": job.out, **values} if job.out is not None else values))


def _voxel_findings(
    job: DataCheckJob, cases: Sequence[CohortCase | UnlabelledCase], without_grid: set[str], emit: Emit
) -> list[tuple[str, str]]:
    """What reading a case says of it: the same checks and sentences as before it is scored."""
    from TomoRayLib.synthesis.source_inputs import read_source  # not above: headers need neither it nor torch

    found: list[tuple[str, str]] = []
    unread = 0
    for number, case in enumerate(cases, 1):
        emit(StageBegun(case.name, number, len(cases)))
        if case.name in without_grid or not isinstance(case, CohortCase):
            unread += 1
            continue
        try:
            source = read_source(case.ct, case.segmentation, job.labels)
        except InputError as error:
            found.append((case.name, str(error)))
            continue
        found += [(case.name, warning) for warning in source.ct.warnings]
    if unread:
        emit(Note(f"Voxels of {unread} cases were not read: without a segmentation, damaged, or DICOM."))
    return found


def _write(out: Path, cohort: Cohort, headers: Sequence[CaseHeaders], findings: Sequence[tuple[str, str]]) -> None:
    cases: dict[str, CohortCase | UnlabelledCase] = {case.name: case for case in cohort.cases}
    cases |= {case.name: case for case in cohort.unlabelled}
    lines = []
    for one in headers:
        case = cases[one.name]
        grid = one.grid
        lines.append(
            (
                one.name,
                case.subject,
                source_of(case.ct.relative_to(cohort.folder)),
                isinstance(case, CohortCase),
                *(grid.size if grid is not None else ("", "", "")),
                *(grid.spacing_mm if grid is not None else ("", "", "")),
                len(one.findings),
            )
        )
    head = ("case", "subject", "source", "has_segmentation", "i", "j", "k", "i_mm", "j_mm", "k_mm", "findings")
    tables = (
        csv_text(head, lines),
        csv_text(("case", "finding"), findings),
        csv_text(("file", "reason"), [(cohort.relative(item.path), item.reason) for item in cohort.left_out]),
    )
    with staged_folder(out) as folder:
        for name, text in zip(FILES, tables, strict=True):
            write_text(folder / name, text)
