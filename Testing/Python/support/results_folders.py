"""A results folder with real scores that needs no network."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from support.stacked_boxes import BoxVertebra, grid_around, label_volume
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine, DecodedVertebra
from TomoRayLib.anatomy.vertebra_field import centroids_of_labels
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.surface_distance import SurfaceDistance
from TomoRayLib.images.surface_files import write_vtp
from TomoRayLib.images.surfaces import make_surface, with_distance
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_image_2d, write_volume
from TomoRayLib.measures.comparison import KnownMeasures, measure_rows, measures_dict
from TomoRayLib.measures.known_errors import KnownError
from TomoRayLib.measures.spine import measure_spine
from TomoRayLib.measures.usual import Usual
from TomoRayLib.metrics import evaluate_table
from TomoRayLib.metrics.vertebra_matches import match_vertebrae

SIZE = 40
KNOWN_MEASURES = KnownMeasures(
    {
        "height_anterior_mm": KnownError(
            "height_anterior_mm", 21, 6, 1.04, -5.71, 7.79, 2.6, 0.8, "T10", "L5", guess=3.3
        ),
        "spine_length_mm": KnownError("spine_length_mm", 8, 8, 0.19, -3.5, 3.9, 1.2, 0.9, "T10", "L5", guess=9.0),
    },
    {("height_anterior_mm", "L2"): Usual(28.104, 2.249, 26)},
)


def write_results(folder: Path) -> Path:
    """A results folder as a case leaves it, of a small lopsided pair of volumes, with real scores."""
    folder.mkdir()
    grid = Grid.cube((31.0, -47.0, 260.0), 160.0, SIZE)
    k, j, i = np.indices(grid.shape)
    truth_mask = (abs(i - 14) < 4) & (abs(j - 22) < 6) & (k > 5) & (k < 33)
    synthetic_mask = (abs(i - 15) < 4) & (abs(j - 22) < 6) & (k > 7) & (k < 33)
    labels = np.where(truth_mask, np.where(k < 18, 21, 20), 0).astype(np.uint8)
    truth = np.where(truth_mask, 400 + 10 * k, -250).astype(np.int16)
    synthetic = np.where(synthetic_mask, 350 + 8 * j, -250).astype(np.int16)
    write_volume(folder / "synthetic_ct.nrrd", Volume(synthetic, grid))
    write_volume(folder / "truth_ct.nrrd", Volume(truth, grid))
    vertebrae = Volume(synthetic_mask.astype(np.uint8), grid)
    write_volume(folder / "synthetic_vertebrae.nrrd", vertebrae)
    write_volume(folder / "truth_vertebrae.nrrd", Volume(labels, grid))
    truth_surface = make_surface(Volume(labels, grid))
    write_vtp(folder / "truth_surface.vtp", truth_surface)
    to_truth = SurfaceDistance(truth_surface)
    write_vtp(folder / "synthetic_surface.vtp", with_distance(make_surface(vertebrae), to_truth))
    for name, step in (("ap", 1.0), ("lat", 2.0)):
        pixels = (np.arange(66 * 70, dtype=np.float32) * step).reshape(66, 70)
        write_image_2d(folder / f"{name}.nrrd", pixels, (1.25, 1.5), {"TomoRay.view": "{}"})
    scaled = {"tomoray": ((synthetic + 250) / 1300, synthetic_mask), "mean_atlas": ((truth + 250) / 2600, truth_mask)}
    predictions = {name: (np.clip(grey, 0, 1).astype(np.float32), mask) for name, (grey, mask) in scaled.items()}
    table = evaluate_table(predictions, ((truth + 250) / 1300).astype(np.float32).clip(0, 1), labels, grid.spacing_mm)
    (folder / "metrics.json").write_text(json.dumps(table.to_json_dict()), encoding="utf-8")
    (folder / "report.html").write_text("<html><body>Bericht: ä ∞</body></html>", encoding="utf-8")
    provenance = {
        "notice": NOTICE,
        "tomoray": "0.1",
        "made_at": "2026-01-01T00:00:00+00:00",
        "device": "cpu",
        "precision": "bfloat16",
        "model": {"id": "geolift-s", "weights_sha256": "ab" * 32, "licence": "CC BY-NC-SA 4.0"},
        "views": {"ap": {}},
        "inputs": {"ct": {"name": "ct.nrrd"}},
    }
    (folder / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    return folder


def write_counted_results(results: Path, folder: Path, certainty: float = 0.41) -> Path:
    """The same results as a model leaves them that counts: T11 to L1 where the truth has L1 and L2, so one too many
    and one too high, with an unsure count."""
    shutil.copytree(results, folder)
    bone = read_volume(folder / "synthetic_vertebrae.nrrd")
    k = np.indices(bone.grid.shape)[0]
    numbers = np.where(k >= 25, 18, np.where(k >= 18, 19, 20)).astype(np.uint8)
    labels = Volume(bone.voxels * numbers, bone.grid)
    write_volume(folder / "synthetic_vertebrae.nrrd", labels)
    places = centroids_of_labels(labels.voxels, labels.grid)
    found = tuple(DecodedVertebra(number, tuple(place), 1.0, True, 1.0) for number, place in places.items())
    spine = DecodedSpine(labels.voxels, found, certainty).to_json_dict()
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    (folder / "provenance.json").write_text(json.dumps({**provenance, **spine}), encoding="utf-8")
    matched = match_vertebrae(labels.voxels, read_volume(folder / "truth_vertebrae.nrrd").voxels, bone.grid.spacing_mm)
    assert matched is not None
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics["counting"] = {**matched.to_json_dict(), **spine}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return folder


def write_measured_results(results: Path, folder: Path, *, compared: bool = True) -> Path:
    """The same results as of a lopsided spine of boxes, T12 to L4, that was measured.

    If ``compared``, it lies in the place of the true L1 to L5, 2 mm to the patient's left of it, and is lower in front.
    """
    shutil.copytree(results, folder)
    boxes = [
        BoxVertebra(
            19 + number,
            (31.0 + 3.0 * number**1.5, -47.0 + 4.0 * number, 330.0 - 36.0 * number),
            anterior_mm=24.0,
            pitch_deg=-18.0 + 8.0 * number,
            roll_deg=6.0 * number,
            yaw_deg=7.0,
        )
        for number in range(5)
    ]
    truth = [replace(box, label=box.label + 1, middle_mm=(box.middle_mm[0] - 2.0, *box.middle_mm[1:])) for box in boxes]
    truth = [replace(box, anterior_mm=26.0) for box in truth]
    grid = grid_around([*boxes, *truth], (1.4, 1.4, 1.4))
    synthetic = measure_spine(label_volume(boxes, grid), grid)
    true = measure_spine(label_volume(truth, grid), grid) if compared else None
    rows = measure_rows(synthetic, KNOWN_MEASURES, true, {box.label + 1: box.label for box in boxes})
    measures = {"notice": NOTICE, "numbering": "unsure", **measures_dict(rows, synthetic, true)}
    (folder / "measures.json").write_text(json.dumps(measures), encoding="utf-8")
    found = tuple(DecodedVertebra(box.label, box.middle_mm, 1.0, True, 1.0) for box in boxes)
    spine = DecodedSpine(np.zeros((1, 1, 1), np.uint8), found, 0.41).to_json_dict()
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    (folder / "provenance.json").write_text(json.dumps({**provenance, **spine}), encoding="utf-8")
    return folder
