"""The public real people that models are scored on, read into the two radiographs and the truth of one case each.

A person is a labelled CT below ``verse/`` and ``totalsegmentator/``, LIDC-IDRI-0001 from the demonstration's download,
or ``scouts/lumbar``: two real radiographs (slot scans of a CT scanner) with the CT of the same spine, whose labels come
from a file, because the CT has none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scouts_as_study import CT_NAME, write_study

from TomoRayLib.anatomy.vertebrae import vertebra_labels_in
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.data_files import sha256_of_image
from TomoRayLib.images.dicom.scouts import read_scout_study
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration
from TomoRayLib.metrics.vertebra_counts import labels_cut_by_ends
from TomoRayLib.synthesis.inputs import SourceCT, project_ct, read_ct
from TomoRayLib.synthesis.scout_views import scout_inputs
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.training.data.held_out import DEMONSTRATION_CASE, SCOUT_CASE, VALIDATION_PEOPLE, is_held_out_for_ever
from TomoRayLib.training.data.training_cases import find_labelled_cts

SCOUTS_AS = "fans, tube side by the bone of the CT"  # scores kept from before, as parallel rays, are made again
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
        taken_as = {"scouts_as": SCOUTS_AS} if self.radiographs is not None else {}
        return {name: sha256_of_image(path) for name, path in files.items()} | taken_as


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
    elif (scouts / CT_NAME).is_file():
        people.append(Person(SCOUT_CASE, scouts / CT_NAME, scout_labels, scouts))
    return people


def read_person(person: Person) -> PersonCase:
    """Read and check a person's files, and render the radiographs if there are no real ones.

    Raises InputError for files that ``tomoray synthesize --ct`` refuses.
    """
    source = read_ct(str(person.ct), str(person.segmentation))
    if source.labels is None or not vertebra_labels_in(np.unique(source.labels.voxels)):
        raise InputError(f"{person.name}: expected vertebrae told apart, got a mask of the whole spine; label them.")
    if person.radiographs is not None:
        ap, lateral, views = scout_radiographs(person.radiographs, source)
    else:
        inputs = project_ct(source, GeometryOptions())
        ap, lateral, views = inputs.ap, inputs.lateral, inputs.views
    return PersonCase(person, ap, lateral, views, source.ct, source.labels, _cut(source))


def scout_radiographs(folder: Path, source: SourceCT) -> tuple[NDArray[np.float32], NDArray[np.float32], Biplanar]:
    """AP and lateral scout and their views, fans across and parallel along the body, as ``--study`` takes them.

    Raises InputError as ``tomoray synthesize --study`` does.
    """
    with TemporaryDirectory() as place:
        write_study(folder, Path(place) / "study")
        inputs = scout_inputs(read_scout_study(Path(place) / "study"), source, GeometryOptions())
    return inputs.ap, inputs.lateral, inputs.views


def _cut(source: SourceCT) -> frozenset[int]:
    """VerSe numbers in the CT's first or last slice along the patient's z."""
    assert source.labels is not None
    axis = 2 - int(np.argmax(np.abs(source.labels.grid.direction_matrix[2])))
    return labels_cut_by_ends(np.moveaxis(source.labels.voxels, axis, 0))
