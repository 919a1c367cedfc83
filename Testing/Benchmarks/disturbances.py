"""What hospitals do to a pair of radiographs: what each disturbance costs, and whether TomoRay says a word.

    python Testing/Benchmarks/disturbances.py [--ct CT --segmentation LABELS] [--model ID] [--only WORDS ...]
        [--out output/disturbances] [--against output/before/disturbances.json]

Each pair is rendered from a CT (LIDC-IDRI-0001, downloaded once, as for ``tomoray demo``; its end slices repeated, so
that where the CT ends is no help in placing the views), disturbed
(disturbance_kinds.py), written as two DICOM files of class DX, and read and synthesized as by ``tomoray synthesize``.
Scores are against the CT's vertebrae on the cube about the middle of these, where the undisturbed pair has its
isocentre: cosine similarity, Dice, Dice after the best rigid motion of the whole result (up to 40 mm, and 6 degrees
about an axis from side to side or from front to back: the same spine elsewhere in the room), and the bone's volume over
the true one. "Said" are warnings that the undisturbed pair does not
have; notes that TomoRay corrected something stand behind them in brackets. ``--against`` shows the Dice of another
run beside.

The last lines name the rows that lose more than .05 Dice in silence, and apart from them those whose result is the same
spine elsewhere (less than .05 is lost after the best rigid motion): how a patient stood in the room two radiographs do
not tell. They also give the rank correlation of Dice with the agreement and the certainty of each result.
OUT gets disturbances.md and disturbances.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from disturbance_kinds import KINDS, Film, Kind, stated_pair
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy import ndimage, signal
from scipy.stats import spearmanr

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.case import reprojected
from TomoRayLib.jobs.demonstration import case_files, default_cache, fetch_demonstration
from TomoRayLib.jobs.events import Event, Note, Warned
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.synthesis import case_result, expected_seconds
from TomoRayLib.metrics.intensity import cosine_similarity
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.inputs import SourceCT, read_ct
from TomoRayLib.synthesis.model_run import LINEAR, SyntheticCT
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.truth import GroundTruth, ground_truth

DX_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"
FRAME = generate_uid()
LARGEST_SHIFT_MM = 40.0
ROTATIONS_DEG = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
SILENT_LOSS = 0.05
MISTAKES = "mistakes"  # the group in which likely mistakes are tried after the run; elsewhere that would only cost time
ORIENTATIONS = {"ap": ["L", "F"], "lateral": ["P", "F"]}


@dataclass(frozen=True)
class Row:
    """What one disturbed pair gave; ``refused`` is the sentence of an InputError in place of scores."""

    name: str
    group: str
    cosine: float = 0.0
    dice: float = 0.0
    shifted_dice: float = 0.0
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    volume_share: float = 0.0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str | None = None
    seconds: float = 0.0
    agreement: float | None = None
    certainty: float | None = None


def read_source(ct: Path | None, labels: Path | None) -> SourceCT:
    """The CT and its vertebrae, of the demonstration if none is given."""
    if ct is not None:
        return read_ct(str(ct), str(labels))
    case = fetch_demonstration(default_cache(dict(os.environ)), False, lambda text: print(text, file=sys.stderr))
    if case.ct_path is None:
        raise SystemExit("The demonstration's CT cannot be downloaded; give --ct and --segmentation.")
    with case_files(case) as (ct_file, label_file):
        return read_ct(str(ct_file), str(label_file))


def continued(ct: Volume, by_mm: float = 150.0) -> Volume:
    """The CT with its first and last slice along the body repeated: its ends are no edges to place the views by."""
    axis = int(np.argmax(np.abs(ct.grid.direction_matrix[2])))  # of (x, y, z)
    count = round(by_mm / ct.grid.spacing_mm[axis])
    width = [(0, 0)] * 3
    width[2 - axis] = (count, count)
    step_mm = ct.grid.direction_matrix[:, axis] * ct.grid.spacing_mm[axis]
    x, y, z = (np.asarray(ct.grid.origin_mm) - count * step_mm).tolist()
    size = list(ct.grid.size)
    size[axis] += 2 * count
    grid = Grid((size[0], size[1], size[2]), ct.grid.spacing_mm, (x, y, z), ct.grid.direction)
    return Volume(np.pad(ct.voxels, width, mode="edge"), grid)


def films(source: SourceCT, kind: Kind, center_mm: tuple[float, float, float]) -> tuple[Film, Film]:
    """Both films of a kind, on the detectors that their headers state."""
    stated = stated_pair(center_mm)
    true = kind.taken(stated)
    body = continued(source.ct)
    ap = render(body, {"ap": true.ap}, kind.exposure)["ap"]
    other = turned_about(body, center_mm) if kind.stranger else body
    lateral = render(other, {"lateral": true.lateral}, kind.exposure)["lateral"]
    pair = Film(ap, header_of(stated.ap, "ap")), Film(lateral, header_of(stated.lateral, "lateral"))
    pair = kind.changed(*pair)
    return (pair[1], pair[0]) if kind.swapped else pair


def turned_about(ct: Volume, center_mm: tuple[float, float, float]) -> Volume:
    """Another patient: the CT a tenth shorter, its spine bent the other way, one level further down."""
    grid = ct.grid
    spacing = (grid.spacing_mm[0], grid.spacing_mm[1], grid.spacing_mm[2] * 0.85)
    origin = tuple(c + (o - c) * (0.85 if axis == 2 else 1.0) for axis, (o, c) in
                   enumerate(zip(grid.origin_mm, center_mm, strict=True)))  # fmt: skip
    moved = (origin[0], origin[1] - 18.0, origin[2] - 14.0)
    return Volume(ct.voxels, Grid(grid.size, spacing, moved, grid.direction))


def header_of(view: View, name: str) -> dict[str, Any]:
    """What a digital X-ray's header states of a view (PS3.3 C.8.11.7, C.8.7.2)."""
    assert isinstance(view.beam, ConeBeam)
    return {
        "ImagerPixelSpacing": list(view.detector.pixel_spacing_mm),
        "DistanceSourceToDetector": view.beam.sid_mm,
        "DistanceSourceToPatient": view.beam.sad_mm,
        "PatientOrientation": ORIENTATIONS[name],
    }


def write_dicom(path: Path, film: Film) -> None:
    """Write a film as 16-bit DX, presentation intent, bone bright unless its header says otherwise."""
    low, high = float(film.pixels.min()), float(film.pixels.max())
    stored = np.round((film.pixels - low) / max(high - low, 1e-9) * 65535).astype(np.uint16)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = DX_CLASS, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX_CLASS, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = FRAME
    dataset.Modality, dataset.PresentationIntentType = "DX", "FOR PRESENTATION"
    dataset.PatientID = dataset.PatientName = "benchmark"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()
    for keyword, value in film.header.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)


def run_kind(source: SourceCT, kind: Kind, model: str | None) -> Row:
    """Render, disturb, write, read, synthesize and score one kind."""
    assert source.labels is not None
    center_mm = vertebrae_center_mm(source.labels)
    begun, told = time.monotonic(), list[Event]()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.dcm" for name in ("ap", "lateral")]
        for path, film in zip(paths, films(source, kind, center_mm), strict=True):
            write_dicom(path, film)
        tried = kind.group == MISTAKES
        out = str(Path(folder) / "out")
        job = SynthesisJob(out, ap=str(paths[0]), lateral=str(paths[1]), model=model, suggest=tried)
        try:
            result = reprojected(case_result(job, Stages(expected_seconds(job), told.append), told.append))
        except InputError as error:
            return Row(kind.name, kind.group, refused=str(error), seconds=time.monotonic() - begun)
    synthetic = result.synthetic
    grid = Grid.cube(center_mm, synthetic.grid.extent_mm[0], synthetic.grid.size[0])  # headers' isocentre is (0, 0, 0)
    truth = ground_truth(source.ct, source.labels, grid, LINEAR)
    judged = result.judgement
    asked = (judged.suggestion.question,) if judged is not None and judged.suggestion is not None else ()
    warnings = (*(event.text for event in told if isinstance(event, Warned)), *asked)
    notes = tuple(event.text for event in told if isinstance(event, Note))
    row = scored(kind, synthetic, truth, warnings, notes, time.monotonic() - begun)
    agreements = [one for one in result.agreements if one is not None]
    certainty = judged.certainty if judged is not None else None
    return replace(row, agreement=float(np.mean(agreements)) if agreements else 0.0, certainty=certainty)


def scored(
    kind: Kind,
    synthetic: SyntheticCT,
    truth: GroundTruth,
    warnings: tuple[str, ...],
    notes: tuple[str, ...],
    seconds: float,
) -> Row:
    """The row of a result; the truth is on a grid of the same voxels."""
    bone, true = synthetic.mask, truth.vertebrae().voxels > 0
    dice, shifted, shift_mm = dices(bone, true, truth.grid.spacing_mm[0])
    return Row(
        kind.name,
        kind.group,
        cosine=float(cosine_similarity(synthetic.grey, truth.grey)),
        dice=dice,
        shifted_dice=shifted,
        shift_mm=shift_mm,
        volume_share=float(bone.sum() / true.sum()),
        warnings=warnings,
        notes=notes,
        seconds=seconds,
    )


def dices(
    bone: NDArray[np.bool_], true: NDArray[np.bool_], voxel_mm: float
) -> tuple[float, float, tuple[float, float, float]]:
    """(Dice, Dice after the best rigid motion, the shift of that as x, y, z in mm) of masks (z, y, x).

    Motions are looked for on masks of half as many voxels: rotations about the middle, each with every shift.
    """
    total = float(bone.sum() + true.sum())
    plain = 2.0 * float(np.count_nonzero(bone & true)) / total
    result, truth = (halved(mask.astype(np.float32)) for mask in (bone, true))
    best, best_mm = plain, (0.0, 0.0, 0.0)
    if not bone.any():
        return best, best, best_mm
    reach = round(LARGEST_SHIFT_MM / (2 * voxel_mm))
    for axes in ((0, 1), (0, 2)):  # the plane of z and y, that of z and x
        for degrees in ROTATIONS_DEG:
            turned = ndimage.rotate(result, degrees, axes, reshape=False, order=1) if degrees else result
            moved = (turned > 0.5).astype(np.float32)
            overlap = signal.fftconvolve(truth > 0.5, moved[::-1, ::-1, ::-1], mode="full")
            middle = [size - 1 for size in moved.shape]
            near = overlap[tuple(slice(m - reach, m + reach + 1) for m in middle)]
            dice = 2.0 * float(near.max()) / float(moved.sum() + (truth > 0.5).sum())
            if dice > best:
                z, y, x = np.unravel_index(int(np.argmax(near)), near.shape)
                shift = tuple(float((index - reach) * 2 * voxel_mm) for index in (x, y, z))
                best, best_mm = dice, (shift[0], shift[1], shift[2])
    return plain, best, best_mm


def halved(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2 x 2 x 2 voxels."""
    z, y, x = (size // 2 for size in mask.shape)
    means: NDArray[np.float32] = mask[: 2 * z, : 2 * y, : 2 * x].reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5))
    return means


def new_sentences(row: Row, right: Row | None) -> tuple[list[str], list[str]]:
    """Warnings and notes that the undisturbed pair does not have, numbers aside."""

    def plain(text: str) -> str:
        return re.sub(r"[-\d.]+", "#", text)

    known = {plain(text) for text in (*(right.warnings if right else ()), *(right.notes if right else ()))}
    return (
        [text for text in row.warnings if plain(text) not in known],
        [text for text in row.notes if plain(text) not in known],
    )


def is_silent(row: Row, right: Row) -> bool:
    """True for a loss of more than .05 Dice without a word."""
    return row.refused is None and right.dice - row.dice > SILENT_LOSS and not new_sentences(row, right)[0]


def is_elsewhere(row: Row, right: Row) -> bool:
    """True for a result that is the right one in another place."""
    return right.shifted_dice - row.shifted_dice <= SILENT_LOSS


def table(rows: list[Row], before: dict[str, Row]) -> Iterator[str]:
    """The lines of the table and of its summary."""
    right = next((row for row in rows if row.name == KINDS[0].name), None)
    yield "| disturbance | cosine | Dice | before | after the best rigid motion (mm x, y, z) | bone volume | said |"
    yield "|---|---|---|---|---|---|---|"
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            yield f"| **{group}** | | | | | | |"
        old = f"{before[row.name].dice:.3f}" if row.name in before else ""
        if row.refused is not None:
            yield f"| {row.name} | | refused | {old} | | | {row.refused} |"
            continue
        warnings, notes = new_sentences(row, right)
        said = " ".join(warnings) + (f" [{' '.join(notes)}]" if notes else "")
        shift = ", ".join(f"{value:.0f}" for value in row.shift_mm)
        yield (
            f"| {row.name} | {row.cosine:.3f} | {row.dice:.3f} | {old} | {row.shifted_dice:.3f} ({shift}) | "
            f"{row.volume_share:.2f} | {said or '-'} |"
        )
    if right is not None:
        silent = [row for row in rows if is_silent(row, right)]
        lost = "; ".join(row.name for row in silent if not is_elsewhere(row, right)) or "none"
        moved = "; ".join(row.name for row in silent if is_elsewhere(row, right)) or "none"
        yield ""
        yield f"{len(rows)} pairs. In silence more than .05 Dice lose: {lost}. The same spine elsewhere: {moved}."
        judged = [row for row in rows if row.agreement is not None and row.certainty is not None]
        if len(judged) > 2:
            dice = [row.shifted_dice for row in judged]
            with_agreement, with_certainty = (
                float(spearmanr([getattr(row, name) for row in judged], dice)[0]) for name in ("agreement", "certainty")
            )
            yield (
                f"Rank correlation with Dice after the best rigid motion over {len(judged)} pairs: agreement "
                f"{with_agreement:.2f}, certainty {with_certainty:.2f}."
            )


def read_rows(path: Path) -> dict[str, Row]:
    return {row["name"]: Row(**{**row, **{key: tuple(row[key]) for key in ("shift_mm", "warnings", "notes")}})
            for row in json.loads(path.read_text(encoding="utf-8"))}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ct", type=Path)
    parser.add_argument("--segmentation", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--only", nargs="*", default=(), help="kinds or groups whose names hold one of these words")
    parser.add_argument("--against", type=Path, help="disturbances.json of another run")
    parser.add_argument("--out", type=Path, default=Path("output/disturbances"))
    options = parser.parse_args()
    source = read_source(options.ct, options.segmentation)
    rows = []
    for number, kind in enumerate(KINDS):
        if number and options.only and not any(word in f"{kind.name} {kind.group}" for word in options.only):
            continue
        row = run_kind(source, kind, options.model)
        rows.append(row)
        print(f"{row.name}: Dice {row.dice:.3f}, {row.seconds:.1f} s", file=sys.stderr, flush=True)
    before = read_rows(options.against) if options.against else {}
    text = "\n".join(table(rows, before)) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "disturbances.md").write_text(text, encoding="utf-8")
    values = [asdict(row) for row in rows]
    (options.out / "disturbances.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
