"""What TomoRay's readers do with real files, held against other libraries' readings of the same files.

    python Testing/Benchmarks/reader_survey.py FOLDER ... [--only TEXT] [--brief] [--alarms]

Each file below the folders is read by the reader of its kind: a volume by ``read_volume`` (a DICOM series by its
folder), a mask by ``read_labels``, anything flat by ``read_radiograph``. A line says accepted or refused (with the
sentence), then what was noted, warned of or printed by a library, and 'differs' with the reason where an independent
reading (``independent_readings``) disagrees: values, polarity, spacing, world positions. A crash is anything that is
not an InputError. ``--brief`` prints only crashes, differences, library messages and what no other library confirmed.

``--alarms`` counts instead how often each plausibility check speaks up on data of people (``false_alarms``).

nibabel, pynrrd, highdicom and imagecodecs are used if they are installed; without them their formats go unconfirmed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import false_alarms
import independent_readings as other
import numpy as np
import pydicom
from independent_readings import NoReadingError, Reading

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume
from TomoRayLib.images.types import Radiograph, Volume

VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
STACK_MODALITIES = ("CT", "MR", "PT", "NM")
PLACE_TOLERANCE_MM = 0.05
PROBES = 4000
LONGEST_S = 30


@dataclass
class Finding:
    """What became of one file; ``verdict`` is agrees, differs, or why no other reading confirms it."""

    path: Path
    kind: str
    outcome: str  # accepted, refused or crash
    text: str = ""
    notes: tuple[str, ...] = ()
    printed: str = ""
    seconds: float = 0.0
    verdict: str = ""
    details: list[str] = field(default_factory=list)

    @property
    def wants_a_look(self) -> bool:
        return self.outcome == "crash" or bool(self.printed) or self.verdict not in ("agrees", "")


def survey(folders: list[Path], only: str) -> Iterator[Finding]:
    """One finding for each image file and each folder of DICOM slices."""
    stacks: dict[tuple[Path, str], list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        kind = kind_of(path)
        if kind == "slice":
            series = str(pydicom.dcmread(path, stop_before_pixels=True, force=True).get("SeriesInstanceUID"))
            stacks.setdefault((path.parent, series), []).append(path)
        elif kind is not None and only in str(path):
            yield find(path, kind, [])
    for (folder, series), files in stacks.items():
        if only not in str(folder):
            continue
        yield find(files[0], "radiograph", [])  # one slice, which is none
        if len(files) > 1:
            with tempfile.TemporaryDirectory() as place:  # a folder may hold several series
                for file in files:
                    (Path(place) / file.name).symlink_to(file.resolve())
                finding = find(Path(place), "series", files)
            finding.path, finding.text = folder / f"*{series[-8:]}", finding.text.replace(place, folder.name)
            yield finding


def kind_of(path: Path) -> str | None:
    """Which reader a file is for; "slice" for a single DICOM slice, None for a file that is no image."""
    name = path.name.lower()
    if name.endswith(VOLUME_ENDINGS):
        return "labels" if false_alarms.is_mask_name(name) else "volume"
    if name.endswith(PICTURE_ENDINGS):
        return "radiograph"
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except Exception:  # of many kinds, on files that are no DICOM
        return None
    if "Rows" not in header or "SOPClassUID" not in header:
        return None
    if header.get("Modality") == "SEG":
        return "labels"
    if str(header.get("Modality")) in STACK_MODALITIES:
        return "volume" if str(header.get("NumberOfFrames") or 1) != "1" else "slice"
    return "radiograph"


def find(path: Path, kind: str, files: list[Path]) -> Finding:
    """Read and compare in a process of its own: damaged files end some libraries' whole process."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=lambda: sender.send(found(path, kind, files)), daemon=True
    )
    process.start()
    sender.close()
    try:
        if receiver.poll(LONGEST_S):
            return receiver.recv()
        process.kill()
        return Finding(path, kind, "crash", f"no end after {LONGEST_S} s")
    except EOFError:
        process.join()
        return Finding(path, kind, "crash", f"the process ended with code {process.exitcode}")
    finally:
        process.join()


def found(path: Path, kind: str, files: list[Path]) -> Finding:
    """Read with TomoRay, then with another library, and compare."""
    reader: dict[str, Callable[[Path], Any]] = {
        "radiograph": read_radiograph,
        "labels": read_labels,
        "volume": read_volume,
        "series": read_volume,
    }
    finding, result = Finding(path, kind, "accepted"), None
    with captured() as printed:
        start = time.perf_counter()
        try:
            result = reader[kind](path)
        except InputError as error:
            finding.outcome, finding.text = "refused", str(error).replace(str(path), path.name)
        except Exception as error:
            finding.outcome, finding.text = "crash", f"{type(error).__name__}: {error}"
        finding.seconds = time.perf_counter() - start
    finding.printed = printed[0]
    if result is None:
        return finding
    finding.notes = notes_of(result)
    finding.text = described(result)
    try:
        with captured():
            reading = independent(path, kind, files)
    except NoReadingError as error:
        finding.verdict = f"unconfirmed: {error}"
        return finding
    except Exception as error:  # the other library's own limits
        finding.verdict = f"unconfirmed: {type(error).__name__}: {error}"[:160]
        return finding
    if isinstance(result, Volume):
        difference = compared_volume(result, reading, renumbered=kind == "labels")
    else:
        difference = compared_radiograph(result, reading)
    finding.verdict = f"differs from {reading.by}: {difference}" if difference else "agrees"
    return finding


def independent(path: Path, kind: str, files: list[Path]) -> Reading:
    """The reading of another library. Raises NoReadingError."""
    name = path.name.lower()
    if kind == "series":
        return other.dicom_stack(files)
    if name.endswith((".nii", ".nii.gz", ".hdr")):
        return other.nifti(path)
    if name.endswith((".nrrd", ".nhdr")):
        return other.nrrd(path)
    if name.endswith(".mha"):
        return other.metaimage(path)
    if name.endswith((".tif", ".tiff")):
        return other.tiff(path)
    if name.endswith(PICTURE_ENDINGS):
        return other.picture(path)
    if kind == "labels":
        return other.dicom_segmentation(path)
    return other.dicom_frames(path) if kind == "volume" else other.dicom_picture(path)


def compared_volume(volume: Volume, reading: Reading, renumbered: bool) -> str:
    """Say how voxels at random places and the corners differ between both readings; empty if they agree.

    Labels may be ``renumbered`` by their names, or left out, but one of ours has to be one of theirs.
    """
    assert reading.index_to_world is not None
    size = np.array(volume.grid.size)
    corners = np.array(np.meshgrid(*[[0, n - 1] for n in size])).reshape(3, -1).T
    probes = np.vstack([corners, np.random.default_rng(1).integers(0, size, (PROBES, 3))])
    world = np.c_[probes, np.ones(len(probes))] @ np.asarray(volume.grid.index_to_world).T
    index = (world @ np.linalg.inv(reading.index_to_world).T)[:, :3]
    nearest = np.rint(index).astype(int)
    off_mm = np.linalg.norm((index - nearest) @ reading.index_to_world[:3, :3].T, axis=1).max()
    shape = np.array(reading.values.shape[::-1])
    outside = int(np.any((nearest < 0) | (nearest >= shape), axis=1).sum())
    if off_mm > PLACE_TOLERANCE_MM or outside or sorted(shape) != sorted(size):
        first, last = volume.grid.index_to_world @ (0, 0, 0, 1), reading.index_to_world @ (0, 0, 0, 1)
        return (
            f"places: {outside} of {len(probes)} voxels outside, {off_mm:.2f} mm between the grids; spacing "
            f"{np.round(volume.grid.spacing_mm, 4)} against "
            f"{np.round(np.linalg.norm(reading.index_to_world[:3, :3], axis=0), 4)}, first voxel at "
            f"{np.round(first[:3], 2)} against {np.round(last[:3], 2)}"
        )
    ours = volume.voxels[probes[:, 2], probes[:, 1], probes[:, 0]].astype(float)
    theirs = reading.values[nearest[:, 2], nearest[:, 1], nearest[:, 0]].astype(float)
    if renumbered:
        label_of = {theirs[ours == label][0]: label for label in np.unique(ours) if label}
        theirs = np.array([label_of.get(number, 0) for number in theirs])
    wrong = ~np.isclose(ours, theirs, rtol=1e-4, atol=1e-3 * max(1.0, float(np.ptp(theirs)) / 1000))
    if wrong.any():
        return f"values of {wrong.sum()} of {len(probes)} voxels, such as {ours[wrong][0]:g} for {theirs[wrong][0]:g}"
    return ""


def compared_radiograph(radiograph: Radiograph, reading: Reading) -> str:
    """Say how pixels, polarity or spacing differ between both readings; empty if they agree."""
    ours, theirs = radiograph.pixels.astype(np.float64), reading.values.astype(np.float64)
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} against {theirs.shape}"
    differences = []
    spacing = radiograph.pixel_spacing_mm
    if spacing and reading.spacing_mm and not np.allclose(spacing, reading.spacing_mm, rtol=1e-3):
        differences.append(f"spacing {spacing} against {reading.spacing_mm}")
    if np.ptp(ours) and np.ptp(theirs):
        correlation = float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])
        if correlation < 0.999:
            differences.append(f"correlation {correlation:+.3f}{_fitting_turn(ours, theirs)}")
    levels = len(np.unique(theirs)), len(np.unique(ours))
    if levels[1] < levels[0]:
        differences.append(f"{levels[1]} of {levels[0]} grey levels")
    return "; ".join(differences)


def _fitting_turn(ours, theirs) -> str:
    """Name the turn of the picture that would agree, if one does."""
    for transposed in (False, True):
        for rows in (1, -1):
            for columns in (1, -1):
                turned = (theirs.T if transposed else theirs)[::rows, ::columns]
                if turned.shape == ours.shape and abs(np.corrcoef(ours.ravel(), turned.ravel())[0, 1]) > 0.999:
                    return f" (fits if transposed {transposed}, rows {rows:+d}, columns {columns:+d})"
    return ""


def notes_of(result: Any) -> tuple[str, ...]:
    """Notes and warnings that the reader left with its result."""
    found: list[str] = []
    for holder in (result, getattr(result, "header", None)):
        for name in ("notes", "warnings"):
            found.extend(f"{name[:-1]}: {text}" for text in getattr(holder, name, ()) or ())
    return tuple(found)


def described(result: Any) -> str:
    if isinstance(result, Volume):
        grid = result.grid
        values = f"{result.voxels.min():g} to {result.voxels.max():g}"
        return f"{grid.size} voxels of {tuple(round(mm, 4) for mm in grid.spacing_mm)} mm, values {values}"
    pixels = result.pixels
    spacing = result.pixel_spacing_mm
    return f"{pixels.shape} pixels, spacing {spacing}, values {pixels.min():g} to {pixels.max():g}"


@contextmanager
def captured() -> Iterator[list[str]]:
    """Collect what libraries write to stdout and stderr (also from C++) and Python's warnings, as one text."""
    texts = [""]
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("always")
        kept = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield texts
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            file.seek(0)
            texts[0] = file.read().decode("utf-8", "replace").strip()


def report(finding: Finding) -> str:
    """The finding in lines, the file first."""
    lines = [f"{finding.path} [{finding.kind}] {finding.outcome} ({finding.seconds:.2f} s): {finding.text}"]
    lines += [f"    {note}" for note in finding.notes]
    if finding.verdict:
        lines.append(f"    {finding.verdict}")
    if finding.printed:
        lines.append(f"    printed by a library: {finding.printed[:300]!r}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--only", default="", help="only paths that hold this text")
    parser.add_argument("--brief", action="store_true", help="only what wants a look")
    parser.add_argument("--alarms", action="store_true", help="count the alarms of the plausibility checks instead")
    options = parser.parse_args()
    if options.alarms:
        print(false_alarms.counted(options.folders))
        return
    totals: Counter[str] = Counter()
    for finding in survey(options.folders, options.only):
        totals[f"{finding.outcome}{', ' + finding.verdict.split(' ')[0].rstrip(':') if finding.verdict else ''}"] += 1
        if finding.wants_a_look or not options.brief:
            print(report(finding), flush=True)
    print("\n" + "\n".join(f"{count:5d} {outcome}" for outcome, count in sorted(totals.items())))


if __name__ == "__main__":
    main()
