"""The public real people that models are scored on, read into the two radiographs and the truth of one case each.

A person is a labelled CT below ``verse/`` and ``totalsegmentator/``, LIDC-IDRI-0001 from the demonstration's download,
or ``scouts/lumbar``: two real radiographs (slot scans of a CT scanner) with the CT of the same spine, whose labels come
from a file, because the CT has none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import vertebra_labels_in
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration
from TomoRayLib.jobs.provenance import sha256_of_input
from TomoRayLib.metrics.vertebra_counts import labels_cut_by_ends
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.inputs import SourceCT, project_ct, read_ct
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.training.data.held_out import (
    DEMONSTRATION_CASE,
    SCOUT_CASE,
    VALIDATION_PEOPLE,
    is_held_out_for_ever,
    is_of_subjects,
)
from TomoRayLib.training.data.training_cases import find_labelled_cts

SCOUT_CT = "ct_sagittal_2mm.nii.gz"
SCOUT_EDGE_MM = 320.0  # of the square cut out of a scout, as the preset "parallel" has it
SCOUT_PADDING = -2048
TITLES = {
    "totalsegmentator_example": "TotalSegmentator example",
    "s0308": "TotalSegmentator s0308",
    SCOUT_CASE: "scouts/lumbar (real X-rays)",
}

Report = Callable[[str], None]


@dataclass(frozen=True)
class Person:
    """One person's files; ``radiographs`` is a folder of real ones."""

    name: str
    ct: Path
    segmentation: Path
    radiographs: Path | None = None

    @property
    def title(self) -> str:
        return TITLES.get(self.name, self.name)

    def inputs_sha256(self) -> dict[str, str]:
        """What the scores depend on."""
        files = {"ct": self.ct, "segmentation": self.segmentation}
        if self.radiographs is not None:
            files |= {name: self.radiographs / f"{name}.npy" for name in ("ap", "lateral")}
        return {name: sha256_of_input(path) for name, path in files.items()}


@dataclass(frozen=True, eq=False)
class PersonCase:
    """Both radiographs (rows, columns) on the detectors of ``views``, the CT in HU and its labels in VerSe numbers.

    ``cut`` are the numbers of vertebrae that the CT's first or last slice cuts.
    """

    person: Person
    ap: NDArray[np.float32]
    lateral: NDArray[np.float32]
    views: Biplanar
    ct: Volume
    labels: Volume
    cut: frozenset[int]


def is_validation(name: str) -> bool:
    """True for a person that models are chosen on, by the mean over all of these."""
    return is_of_subjects(name, VALIDATION_PEOPLE)


def is_test(name: str) -> bool:
    """True for a person that nothing is ever trained, tuned or chosen on."""
    return is_held_out_for_ever(name)


def find_people(data: Path, scout_labels: Path | None, offline: bool, report: Report) -> list[Person]:
    """All people of ``data`` and LIDC-IDRI-0001, from the cache or downloaded; ``report`` says who is left out."""
    people = []
    for folder in ("verse", "totalsegmentator"):
        cases, _ = find_labelled_cts(data / folder)
        people += [Person(case.name, case.ct, case.segmentation) for case in cases]
    demonstration = fetch_demonstration(default_cache(dict(os.environ)), offline, report)
    if demonstration.ct_path is not None and demonstration.labels_path is not None:
        people.append(Person(DEMONSTRATION_CASE, demonstration.ct_path, demonstration.labels_path))
    else:
        report(f"{DEMONSTRATION_CASE} is left out: a phantom in its place would be no person.")
    scouts = data / SCOUT_CASE
    if scout_labels is None:
        report(f"{SCOUT_CASE} is left out: its CT has no labels; give those of tomoray segment (--scout-labels).")
    elif (scouts / SCOUT_CT).is_file():
        people.append(Person(SCOUT_CASE, scouts / SCOUT_CT, scout_labels, scouts))
    return people


def read_person(person: Person) -> PersonCase:
    """Read and check a person's files, and render the radiographs if there are no real ones.

    Raises InputError for files that ``tomoray synthesize --ct`` refuses.
    """
    source = read_ct(str(person.ct), str(person.segmentation))
    if source.labels is None or not vertebra_labels_in(np.unique(source.labels.voxels)):
        raise InputError(f"{person.name}: expected vertebrae told apart, got a mask of the whole spine; label them.")
    if person.radiographs is not None:
        ap, lateral, views = scout_radiographs(person.radiographs, vertebrae_center_mm(source.labels))
    else:
        inputs = project_ct(source, GeometryOptions())
        ap, lateral, views = inputs.ap, inputs.lateral, inputs.views
    return PersonCase(person, ap, lateral, views, source.ct, source.labels, _cut(source))


def scout_radiographs(folder: Path, isocenter_mm: Vector3) -> tuple[NDArray[np.float32], NDArray[np.float32], Biplanar]:
    """AP and lateral scout, a square about ``isocenter_mm`` (LPS) cut out of each, as parallel projections.

    A scout's pixels have their place in the patient; what the square shows beside the isocentre is told to the view as
    its detector's offset. A scout is parallel along the body and a fan across; the fan is ignored.
    """
    ap, ap_view = _scout(folder, "ap", 0.0, isocenter_mm)
    lateral, lateral_view = _scout(folder, "lateral", 90.0, isocenter_mm)
    return ap, lateral, Biplanar(ap_view, lateral_view)


def _scout(folder: Path, name: str, angle_deg: float, isocenter_mm: Vector3) -> tuple[NDArray[np.float32], View]:
    pixels = np.load(folder / f"{name}.npy").astype(np.float32)
    header: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    along_row, along_column = (np.array(header[f"{which}_direction_lps"]) for which in ("row", "column"))
    row_mm, column_mm = header["pixel_spacing_mm"]
    first = np.array(header["first_pixel_lps_mm"])
    if abs(along_row[2]) > 0.5:  # rows run along the body: exchange them with the columns
        pixels, along_row, along_column, row_mm, column_mm = pixels.T, along_column, along_row, column_mm, row_mm
    across = 0 if angle_deg == 0.0 else 1
    if along_column[2] > 0:  # head down
        pixels, first, along_column = pixels[::-1], first + (len(pixels) - 1) * row_mm * along_column, -along_column
    if along_row[across] < 0:  # patient's left, or back, at image left
        first = first + (pixels.shape[1] - 1) * column_mm * along_row
        pixels, along_row = pixels[:, ::-1], -along_row
    air = pixels[pixels > SCOUT_PADDING].min()
    pixels = np.where(pixels > SCOUT_PADDING, pixels, air)
    row = (first[2] - isocenter_mm[2]) / row_mm
    column = (isocenter_mm[across] - first[across]) / column_mm
    cut_rows, rows_off = _about(row, round(SCOUT_EDGE_MM / row_mm), pixels.shape[0])
    cut_columns, columns_off = _about(column, round(SCOUT_EDGE_MM / column_mm), pixels.shape[1])
    square = np.ascontiguousarray(pixels[cut_rows, cut_columns])
    offset_mm = (rows_off * row_mm, columns_off * column_mm)
    detector = Detector(*square.shape, (row_mm, column_mm), offset_mm)
    return square, View(ParallelBeam(), detector, gantry_angle_deg=angle_deg, isocenter_mm=isocenter_mm)


def _about(center: float, count: int, size: int) -> tuple[slice, float]:
    """(at most ``count`` indices about ``center``, how far their middle lies behind it)."""
    start = max(0, round(center - (count - 1) / 2))
    stop = min(size, round(center - (count - 1) / 2) + count)
    return slice(start, stop), (start + stop - 1) / 2 - center


def _cut(source: SourceCT) -> frozenset[int]:
    """VerSe numbers in the CT's first or last slice along the patient's z."""
    assert source.labels is not None
    axis = 2 - int(np.argmax(np.abs(source.labels.grid.direction_matrix[2])))
    return labels_cut_by_ends(np.moveaxis(source.labels.voxels, axis, 0))
