"""Marked patients: what their files say of them is searched for in every byte that TomoRay writes or prints.

The commands run as a user types them, in a folder and with a home whose names are marks as well. Results are opened:
gzip, zlib, PNG, base64, ZIP and Parquet (``support/byte_search.py``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from campaign import Result
from marked_patient import (
    MEANT,
    words,
    write_cohort,
    write_ct,
    write_odd_cohort,
    write_predictions,
    write_radiographs,
    write_two_series,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.byte_search import words_below, words_in
from support.tiny_model import write_tiny_model

ROOT = Path(__file__).resolve().parents[2]
USER, PLACE = "userwqxhome", "placewqxdir"  # names of the home and of the folder that results are written below
LONGEST_S = 300.0


@dataclass(frozen=True)
class Run:
    """A command, and its exit code; ``allowed`` are attributes that its DICOM files may name."""

    name: str
    arguments: tuple[str, ...]
    code: int = 0
    allowed: tuple[str, ...] = ()
    writes: bool = True
    real_models: bool = False


@dataclass
class Found:
    """What a run gave away: sentences by what was looked for."""

    patient: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


def results(full: bool, folder: Path) -> Iterator[Result]:
    """Search the outputs of each command for the patient's marks, and for the names of the user and of his folders."""
    models = folder / "models"
    write_tiny_model(models, counts=True)
    runs = list(_runs(folder, full))
    lost_patient: list[str] = []
    lost_places: list[str] = []
    files = 0
    for number, run in enumerate(runs):
        place = folder / USER / PLACE / f"out{number}"
        found, count = searched(run, place, folder / USER, models)
        files += count
        lost_patient += found.patient
        lost_places += found.places
    marks = len(words())
    yield Result(
        f"{marks} marks of a patient in the headers of DICOM files, {len(runs)} commands",
        "none in any byte of results or output, but those asked for by --dicom-patient-from",
        marks * len(runs),
        lost_patient,
        f"{files} files searched",
    )
    yield Result(
        f"names of the user, of the home and of the working folder, {len(runs)} commands",
        "none in any byte of the results",
        2 * len(runs),
        lost_places,
        f"{files} files searched",
    )


def _runs(folder: Path, full: bool) -> Iterator[Run]:
    inputs = folder / USER / "inputs"
    pair = write_radiographs(inputs / "pair")
    given = ("--ap", str(pair["ap"]), "--lateral", str(pair["lateral"]))
    yield Run("synthesize radiographs", ("synthesize", *given, "--dicom"))
    named = (*given, "--dicom", "--dicom-patient-from", str(pair["ap"]))
    yield Run("synthesize for a named patient", ("synthesize", *named), allowed=MEANT)
    two = write_two_series(inputs / "two")
    yield Run("refuse two series", ("project", str(two)), code=2, writes=False)
    if not full:
        return
    ct, labels = write_ct(inputs / "case")
    case = ("--ct", str(ct), "--segmentation", str(labels))
    yield Run("synthesize a CT", ("synthesize", *case, "--figures", "--vertebra-surfaces"))
    yield Run("the same, as JSON", ("synthesize", *case, "--json", "--dicom"))
    yield Run("project a CT", ("project", str(ct)))
    yield Run("segment a CT", ("segment", str(ct)), real_models=True)
    yield Run(
        "refuse two series as a mask", ("synthesize", "--ct", str(ct), "--segmentation", str(two)), 2, writes=False
    )
    cohort = write_cohort(inputs / "cohort")
    scored = ("evaluate", str(cohort), "--labels", "whole-spine", "--no-segment", "--workers", "1")
    yield Run("evaluate studies", scored)
    odd = write_odd_cohort(inputs / "odd")
    theirs = write_predictions(inputs / "theirs")
    others = ("--predictions", str(theirs), "--workers", "2")
    yield Run("evaluate pairs with damaged ones", ("evaluate", str(odd), *others, "--model", "geolift-s"))
    yield Run("check damaged data", ("data", "check", str(odd), "--voxels"))
    yield Run("check data", ("data", "check", str(cohort), "--voxels", "--labels", "whole-spine"))


def searched(run: Run, place: Path, home: Path, models: Path) -> tuple[Found, int]:
    """Run a command and search all that it wrote and printed; also the number of files."""
    place.parent.mkdir(parents=True, exist_ok=True)
    (home / "tmp").mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "USER": USER,
        "LOGNAME": USER,
    }
    if not run.real_models:
        environment["TOMORAY_MODELS"] = str(models)
    command = [sys.executable, "-m", "TomoRayLib.cli", *run.arguments, "--out", str(place)]
    done = subprocess.run(
        command, cwd=place.parent, env=environment, capture_output=True, check=False, timeout=LONGEST_S
    )
    found, said = Found(), done.stdout + b"\n" + done.stderr
    if done.returncode != run.code or run.writes != place.is_dir():
        told = said.decode("utf-8", "replace")[-300:]
        found.patient.append(f"{run.name}: expected exit code {run.code}, got {done.returncode}: {told}")
    patient = [word for texts in words().values() for word in texts]
    meant = {word for keyword in run.allowed for word in words()[keyword]} | ({_uid_root()} if run.allowed else set())
    for word in words_in(said, patient):
        found.patient.append(f"{run.name} prints {word}")
    if place.is_dir():
        for name, held in words_below(place, patient).items():
            is_dicom = name.startswith("dicom/")
            found.patient += [f"{run.name}: {name} holds {word}" for word in held if not (is_dicom and word in meant)]
        if run.allowed:
            copied = {word for held in words_below(place / "dicom", sorted(meant)).values() for word in held}
            found.patient += [f"{run.name}: {word} was asked for and is not there" for word in sorted(meant - copied)]
        for name, held in words_below(place, (USER, PLACE)).items():
            found.places.append(f"{run.name}: {name} holds {', '.join(held)}")
    left = [path for path in (home / "tmp").rglob("*") if path.is_file() and path.stat().st_size]  # Dask leaves locks
    found.patient += [f"{run.name} leaves {path.name} in the temporary folder" for path in left]
    return found, len([path for path in place.rglob("*") if path.is_file()])


def _uid_root() -> str:
    return words()["UIDs"][0]
