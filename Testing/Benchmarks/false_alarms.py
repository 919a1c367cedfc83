"""How often each plausibility check of the readers speaks up on data of people, where it should stay silent.

Every volume and radiograph below the given folders is a subject of the checks that a run makes of its kind. A volume
counts as a CT if its values reach from air to bone, as a mask if its name says so, and as a pair of both where the
cohort finder pairs them. What a check says is an alarm unless the file earns it: each is printed, to be looked at.
The guesses about a pair of radiographs and the judgement of a result are counted by ``result_checks``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.checks import check_ct, check_radiograph
from TomoRayLib.images.cohort_finder import CohortCase, find_cases
from TomoRayLib.images.ct_plausibility import ct_warnings
from TomoRayLib.images.files import read_radiograph, read_volume
from TomoRayLib.images.masks.checks import placed_mask
from TomoRayLib.images.masks.plausibility import check_mask_in_ct
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.stated_geometry import stated_geometry

AIR_HU, BONE_HU = -500.0, 300.0
MASK_NAME = re.compile(r"(^|[-_.])(seg|msk|mask|labels?|segmentation)([-_.]|$)")
IMAGE_NAME = re.compile(r"_(ct|t1w|t2w)\.")
VOLUME_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".mha")
RADIOGRAPHY = ("CR", "DX", "XA", "RF", "RTIMAGE")


@dataclass
class Tally:
    """The subjects of one check, and its alarms: (subject, sentence)."""

    check: str
    subjects: int = 0
    alarms: list[tuple[str, str]] = field(default_factory=list)

    def add(self, subject: str, check: Callable[[], Iterable[str]]) -> None:
        """Count a subject, and what the check says of it or refuses it for."""
        self.subjects += 1
        try:
            self.alarms += [(subject, sentence) for sentence in check()]
        except InputError as error:
            self.alarms.append((subject, f"refused: {error}"))

    def __str__(self) -> str:
        alarmed = len({subject for subject, _ in self.alarms})
        lines = [f"{self.check}: {alarmed} of {self.subjects}"]
        return "\n".join([*lines, *(f"    {subject}: {sentence}" for subject, sentence in self.alarms)])


def counted(folders: list[Path]) -> str:
    """Count the alarms of every check, one paragraph each."""
    tallies = {
        name: Tally(name)
        for name in (
            "CT: values (check_ct)",
            "CT: plausibility (ct_warnings)",
            "CT: header",
            "mask: numbering and header",
            "mask in its CT",
            "radiograph: header and geometry",
        )
    }
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            name = path.name.lower()
            if name.endswith(VOLUME_ENDINGS) and is_mask_name(name):
                tallies["mask: numbering and header"].add(str(path), lambda path=path: read_segmentation(path).warnings)
            elif name.endswith(VOLUME_ENDINGS) or holds_ct_slices(path):
                count_ct(path, tallies)
            elif is_radiograph(path):
                tallies["radiograph: header and geometry"].add(str(path), lambda path=path: said_of_radiograph(path))
        for case in cases_in(folder):
            tallies["mask in its CT"].add(f"{folder.name}/{case.name}", lambda case=case: said_of_mask_in_ct(case))
    return "\n\n".join(map(str, tallies.values()))


def is_mask_name(name: str) -> bool:
    """True for the name of a mask: it says so, and not that it is the image (``sub-1_label-22_ct.nii.gz``)."""
    return bool(MASK_NAME.search(name)) and not IMAGE_NAME.search(name)


def cases_in(folder: Path) -> tuple[CohortCase, ...]:
    """CTs with segmentations; none where the cohort finder refuses the folder."""
    try:
        return find_cases(folder).cases
    except InputError:
        return ()


def count_ct(path: Path, tallies: dict[str, Tally]) -> None:
    """Count a volume in the checks of a CT, if it is one."""
    try:
        volume = read_volume(path)
    except InputError:
        return
    if float(volume.voxels.min()) > AIR_HU or float(volume.voxels.max()) < BONE_HU:
        return

    def values() -> tuple[str, ...]:
        check_ct(volume)
        return ()

    tallies["CT: values (check_ct)"].add(str(path), values)
    tallies["CT: plausibility (ct_warnings)"].add(str(path), lambda: ct_warnings(volume))
    tallies["CT: header"].add(str(path), lambda: volume.warnings)


def said_of_mask_in_ct(case: CohortCase) -> tuple[str, ...]:
    """What is said of a mask that meets its CT."""
    ct = read_volume(case.ct)
    mask = placed_mask(read_segmentation(case.segmentation), ct)
    return (*mask.warnings, *check_mask_in_ct(mask, ct, case.segmentation.name))


def said_of_radiograph(path: Path) -> tuple[str, ...]:
    """What reading a radiograph and its geometry warns of."""
    radiograph = read_radiograph(path)
    check_radiograph(radiograph)
    return (*radiograph.header.warnings, *stated_geometry(radiograph, GeometryOptions()).warnings)


def holds_ct_slices(path: Path) -> bool:
    """True for a folder whose first DICOM file is a slice of a CT."""
    if not path.is_dir():
        return False
    header = next((h for h in map(header_of, sorted(p for p in path.iterdir() if p.is_file())[:3]) if h), None)
    return header is not None and header.get("Modality") == "CT"


def is_radiograph(path: Path) -> bool:
    """True for a single grey frame of radiography."""
    header = header_of(path) if path.is_file() else None
    if header is None or header.get("Modality") not in RADIOGRAPHY:
        return False
    return header.get("SamplesPerPixel") == 1 and str(header.get("NumberOfFrames") or 1) == "1"


def header_of(path: Path) -> Any:
    """The header of a DICOM image; None for anything else."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except Exception:  # of many kinds, on files that are no DICOM
        return None
    return header if "Rows" in header else None
