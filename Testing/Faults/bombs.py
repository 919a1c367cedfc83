"""Small files that declare or hold far more than they should, and paths that never end, through the command itself.

Each is one command in a process of its own, whose memory and time are measured. It must end in a sentence (exit code 2,
or 3 if memory is too small for what is declared), or do its work without the file.
"""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bomb_files as files
from bomb_files import nrrd_header
from campaign import Result

HERE = Path(__file__).resolve().parent
MOST_MB, MOST_CPU_S, MOST_WALL_S = 2000.0, 20.0, 120.0
LEVELS = 100_000
FROM_CT = ("project", "{file}", "--out", "{out}")
FROM_IMAGES = ("synthesize", "--ap", "{file}", "--lateral", "{file}", "--out", "{out}")
CHECK = ("data", "check", "{folder}")
SENTENCE = "it ends in a sentence with exit code 2 or 3"


@dataclass(frozen=True)
class Bomb:
    """One hostile input.

    Args:
        name: What it is.
        make: Makes it in an empty folder and returns the file to name.
        words: The command's, or "worker" for the worker.
        codes: Exit codes that are right.
        in_short: Whether the short part tries it.
    """

    name: str
    make: Callable[[Path], Path]
    words: tuple[str, ...] = FROM_CT
    codes: tuple[int, ...] = (2, 3)
    in_short: bool = False


@dataclass(frozen=True)
class _Group:
    kind: str
    bombs: tuple[Bomb, ...]


def results(full: bool, folder: Path) -> Iterator[Result]:
    """Try every bomb, or those of the short part; a row for each group."""
    for place, group in enumerate(_groups()):
        chosen = [bomb for bomb in group.bombs if full or bomb.in_short]
        if not chosen:
            continue
        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(_tried, chosen, [folder / f"{place}-{number}" for number in range(len(chosen))]))
        lost = [f"{bomb.name}: {end.wrong}" for bomb, end in zip(chosen, ends, strict=True) if end.wrong]
        mb, cpu = max(end.mb for end in ends), max(end.cpu for end in ends)
        figure = f"most memory {mb:.0f} MB, most of a processor {cpu:.1f} s with the command's start"
        yield Result(group.kind, SENTENCE, len(chosen), lost, figure)


@dataclass(frozen=True)
class _End:
    wrong: str
    mb: float
    cpu: float


def _tried(bomb: Bomb, folder: Path) -> _End:
    folder.mkdir(parents=True)
    place = folder / "input"
    place.mkdir()
    file = bomb.make(place)
    values = {"file": str(file), "out": str(folder / "out"), "folder": str(place), "geometry": str(file)}
    words = [word.format(**values) for word in bomb.words]
    command = [sys.executable, "-m", "TomoRayLib.worker", str(file)] if words == ["worker"] else None
    command = command or [sys.executable, "-m", "TomoRayLib.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "COLUMNS": "400"}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        status, usage = _waited(process)
    text = (folder / "said").read_text(encoding="utf-8", errors="replace")
    mb, cpu = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    return _End(_wrong(bomb, status, text, mb, cpu), mb, cpu)


def _waited(process: subprocess.Popen[bytes]) -> tuple[int | None, Any]:
    """The exit code, None if it had to be ended, and what it used with its own children."""
    late = threading.Event()

    def end() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(MOST_WALL_S, end)
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return None if late.is_set() else process.returncode, usage


def _wrong(bomb: Bomb, status: int | None, text: str, mb: float, cpu: float) -> str:
    if status is None:
        return f"it did not end within {MOST_WALL_S:.0f} s"
    if status not in bomb.codes:
        return f"exit code {status}: {text.strip()[-300:]}"
    if "Traceback" in text or "Internal error" in text:
        return f"a traceback: {text.strip()[-300:]}"
    if mb > MOST_MB:
        return f"{mb:.0f} MB of memory"
    return f"{cpu:.0f} s of a processor" if cpu > MOST_CPU_S else ""


def _groups() -> Sequence[_Group]:
    side, packed = 4096, zlib.compress(bytes(1000))
    geometry = ("project", "{file}", "--out", "{out}", "--geometry", "{geometry}")
    beside_a_ct = ("project", "{folder}/ct.nii", "--out", "{out}", "--geometry", "{file}")
    cases = ("evaluate", "{folder}", "--out", "{out}", "--cases", "{file}")
    deep = ('{"ap":' * LEVELS + "}" * LEVELS).encode()
    return (
        _Group(
            "volumes of 137 GB in 2 kB, and streams of 2 GB in 2 MB",
            (
                Bomb("NRRD, raw", files.written("ct.nrrd", nrrd_header(side, "raw") + bytes(2000)), in_short=True),
                Bomb("NRRD, gzip", files.written("ct.nrrd", nrrd_header(side, "gzip") + gzip.compress(bytes(999)))),
                Bomb("NRRD, text", files.written("ct.nrrd", nrrd_header(side, "ascii") + b"1 2 3")),
                Bomb("NIfTI", files.written("ct.nii", files.nifti(4096) + bytes(2000))),
                Bomb(
                    "NIfTI, gzip",
                    files.written("ct.nii.gz", gzip.compress(files.nifti(4096) + bytes(2000))),
                    in_short=True,
                ),
                Bomb("MetaImage", files.written("ct.mha", files.meta(side, False, bytes(2000)))),
                Bomb("MetaImage, zlib", files.written("ct.mha", files.meta(side, True, packed))),
                Bomb(
                    "NRRD, stream longer than declared", lambda at: files.zeros(at / "ct.nrrd", nrrd_header(64, "gzip"))
                ),
                Bomb(
                    "NIfTI, stream longer than declared",
                    lambda at: files.zeros(at / "ct.nii.gz", b"", header=files.nifti(64)),
                ),
            ),
        ),
        _Group(
            "pictures of 65535 x 65535 pixels in 2 kB",
            (
                Bomb("PNG", files.written("ap.png", files.png(65535)), FROM_IMAGES, in_short=True),
                Bomb("PNG within the limit", files.written("ap.png", files.png(30000)), FROM_IMAGES),
                Bomb("TIFF", files.written("ap.tif", files.tiff(65535, 1)), FROM_IMAGES),
                Bomb("TIFF, LZW", files.written("ap.tif", files.tiff(30000, 5)), FROM_IMAGES),
                Bomb("TIFF, Deflate", files.written("ap.tif", files.tiff(30000, 8)), FROM_IMAGES),
                Bomb("JPEG", files.written("ap.jpg", files.jpeg(65500)), FROM_IMAGES),
                Bomb("JPEG within the limit", files.written("ap.jpg", files.jpeg(30000)), FROM_IMAGES),
            ),
        ),
        _Group(
            "DICOM: 65535 x 65535, two billion frames, deflated 2 GB, sequences 20,000 deep",
            (
                Bomb("native", files.dicom(Rows=65535, Columns=65535), FROM_IMAGES),
                *(
                    Bomb(name, files.dicom(name, Rows=rows, Columns=rows), FROM_IMAGES)
                    for name in ("RLE", "JPEG Lossless", "JPEG 2000", "JPEG-LS")
                    for rows in (65535, 30000)
                ),
                Bomb("frames", files.dicom(NumberOfFrames=2**31 - 1), FROM_IMAGES),
                Bomb("frames of a CT", files.dicom(Modality="CT", NumberOfFrames=2**31 - 1), in_short=True),
                Bomb("deflated", files.deflated_bomb, FROM_IMAGES, in_short=True),
                Bomb("nested", files.nested_sequences, FROM_IMAGES),
            ),
        ),
        _Group(
            "JSON and TOML of 100,000 levels, numbers of 5,000 digits",
            (
                Bomb("geometry, nested", files.written("views.json", deep), geometry, in_short=True),
                Bomb("geometry, digits", files.written("views.json", b'{"ap": ' + b"9" * 5000 + b"}"), geometry),
                Bomb("job, nested", files.written("job.json", deep), ("worker",), in_short=True),
                Bomb("job, digits", files.written("job.json", b'{"out": ' + b"9" * 5000 + b"}"), ("worker",)),
                Bomb("training, nested", files.written("run.toml", b"a = " + b"[" * LEVELS), ("train", "{file}")),
                Bomb("header of 5,000 digits", files.written("ct.nrrd", files.digits())),
            ),
        ),
        _Group(
            "pipes, sockets and devices in place of files",
            (
                Bomb("pipe as CT", files.pipe("ct.nrrd"), in_short=True),
                Bomb("pipe as radiograph", files.pipe("ap.png"), FROM_IMAGES),
                Bomb("pipe as job", files.pipe("job.json"), ("worker",)),
                Bomb("pipe as geometry", files.geometry_pipe, beside_a_ct),
                Bomb("pipe as list", files.pipe("list.txt"), cases),
                Bomb("socket as CT", files.socket),
                Bomb("device that never ends", files.link("ct.nii.gz", "/dev/zero")),
                Bomb("folder with pipes and devices", files.folder_of_odd_files, CHECK, (0, 2, 5), in_short=True),
            ),
        ),
        _Group(
            "detached headers that lead elsewhere, names of 250 bytes",
            (
                Bomb("above", files.escape("../other.raw"), in_short=True),
                Bomb("absolute", files.escape("{parent}/other.raw")),
                Bomb("device", files.escape("/dev/zero")),
                Bomb("link", files.escape("ct.raw", files.link("ct.raw", "../other.raw"))),
                Bomb("link to a device", files.escape("ct.raw", files.link("ct.raw", "/dev/zero"))),
                Bomb("pipe", files.escape("ct.raw", files.pipe("ct.raw"))),
                Bomb("list", files.escape("LIST\n../other.raw")),
                Bomb("pattern", files.escape("../other%d.raw 1 1 1")),
                Bomb("long name and value", files.long_name),
            ),
        ),
    )
