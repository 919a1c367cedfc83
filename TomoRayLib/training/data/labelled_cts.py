"""Real labelled CTs: found in a folder, paired, checked, and set into scenes as phantoms are.

Three layouts are told by their file names, anywhere below the folder:

* VerSe, subject based: ``rawdata/sub-x/sub-x_ct.nii.gz`` and ``derivatives/sub-x/sub-x_seg-vert_msk.nii.gz``
* VerSe (challenge) and CTSpine1K: ``x.nii.gz`` and ``x_seg.nii.gz``, in one folder or in two
* TotalSegmentator, exported: ``ct.nii.gz`` beside ``labels.nii.gz`` (VerSe numbers)
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.checks import check_ct
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.mask_checks import prepared_mask
from TomoRayLib.images.resampling import labels_on_grid, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.training.data.held_out import (
    DEMONSTRATION_CASE,
    VALIDATION_SPINES,
    is_demonstration_case,
    is_of_subjects,
)
from TomoRayLib.training.data.licences import is_permissive
from TomoRayLib.training.phantoms.deformation import deformed_points
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.sampling import course_at, sample_at
from TomoRayLib.training.phantoms.scene import Scene, SceneSize
from TomoRayLib.training.phantoms.spines import Spine, spine_from_labels
from TomoRayLib.training.phantoms.tissue import vary_tissue

LEAST_CONTRAST_HU = 40.0
AROUND_MM = (6.0, 14.0)
CASE_SPACING_MM = 1.5
CASES_AT_HAND = 8  # 100 MB each
LABEL_ENDINGS = ("_seg-vert_msk", "_seg")
NIFTI_ENDINGS = (".nii.gz", ".nii")
TOTALSEGMENTATOR_PAIR = ("ct", "labels")
MOST_LISTED = 20
NOT_PERMISSIVE = "not known to allow commercial use, as permissive = true asks for (training/sources.py)"
FIGURES_ARE_MEASURED_ON_IT = f"{DEMONSTRATION_CASE} is held out for ever: published figures are measured on it"
SUBJECT_HELD_OUT = "the same subject is held out (training/held_out.py)"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaseFiles:
    """Where one labelled CT lies."""

    name: str
    ct: Path
    labels: Path


@dataclass(frozen=True)
class FoundCases:
    """The pairs in a folder, and what could not be paired: (file, reason)."""

    cases: tuple[CaseFiles, ...]
    left_out: tuple[tuple[str, str], ...]


def find_cases(folder: Path) -> FoundCases:
    """All CTs with vertebra labels below ``folder``, by name. Raises InputError where there is none, and says why."""
    if not folder.is_dir():
        raise InputError(
            f"Expected a folder of labelled CTs, got {folder}, which is none; correct the path. In a configuration it "
            f"is relative to --data, else to the configuration's own folder."
        )
    files = sorted(path for path in folder.rglob("*") if path.name.endswith(NIFTI_ENDINGS) and path.is_file())
    masks = [path for path in files if _is_mask(path)]
    cts: dict[str, list[Path]] = {}
    for path in files:
        if path not in masks:
            cts.setdefault(_subject(path), []).append(path)
    cases, left_out, used = [], [], set()
    for mask in masks:
        candidates = _nearest(cts.get(_subject(mask), []), mask)
        if len(candidates) == 1:
            cases.append(CaseFiles(_subject(mask), candidates[0], mask))
            used.add(candidates[0])
        else:
            left_out.append((str(mask.relative_to(folder)), "no CT of this name" if not candidates else "several CTs"))
    unused = [path for paths in cts.values() for path in paths if path not in used]
    left_out += [(str(path.relative_to(folder)), "no vertebra mask of this name") for path in sorted(unused)]
    if not cases:
        raise InputError(
            f"Expected CTs with vertebra masks in {folder} (x_ct.nii.gz with x_seg-vert_msk.nii.gz, x.nii.gz with "
            f"x_seg.nii.gz, or ct.nii.gz beside labels.nii.gz), got no pair among {len(files)} NIfTI files."
            + (" " + describe_left_out(left_out) if left_out else "")
        )
    return FoundCases(tuple(cases), tuple(left_out))


def describe_left_out(left_out: Iterable[tuple[str, str]]) -> str:
    """Each reason with its count, then the files, at most twenty: what a log or an error says. Empty for none."""
    listed = list(left_out)
    if not listed:
        return ""
    counts = "; ".join(f"{count} x {reason}" for reason, count in Counter(reason for _, reason in listed).most_common())
    names = [f"{name}: {reason}" for name, reason in listed[:MOST_LISTED]]
    more = [f"and {len(listed) - MOST_LISTED} more"] if len(listed) > MOST_LISTED else []
    return f"Left out: {counts}.\n  " + "\n  ".join([*names, *more])


@dataclass(frozen=True)
class LabelledCT:
    """A CT and its vertebrae on one axis-aligned LPS grid of 1.5 mm: ``hu`` int16, and the labelled spine."""

    name: str
    hu: Tensor
    spine: Spine


def read_case(files: CaseFiles) -> tuple[Volume, Volume]:
    """(CT in HU, mask on its grid) of one labelled CT, whether it is trained on or scored.

    Raises InputError for what is no CT, no vertebra mask, or a mask of another CT.
    """
    ct, mask = read_volume(files.ct), read_labels(files.labels)
    check_ct(ct, files.ct.name)
    mask, _ = prepared_mask(mask, ct, files.labels.name)
    check_denser_than_around(ct, mask, files.labels.name)
    return ct, mask


def check_denser_than_around(ct: Volume, mask: Volume, name: str) -> None:
    """Raises InputError where the vertebrae of ``mask``, on the grid of ``ct``, are hardly denser than what lies 6 to
    14 mm from them, as those of another CT, or of this one moved aside, are. Medians, on voxels of about 3 mm.

    Three real CTs differ by 134 to 314 HU, their masks moved aside by 40 mm mostly by less than 40. Along the spine a
    mask can be moved unseen.
    """
    steps = tuple(slice(None, None, max(1, round(3.0 / spacing))) for spacing in ct.grid.spacing_mm[::-1])
    spacing_mm = [mm * step.step for mm, step in zip(ct.grid.spacing_mm[::-1], steps, strict=True)]
    hu, bone = ct.voxels[steps], mask.voxels[steps] > 0
    away_mm = ndimage.distance_transform_edt(~bone, sampling=spacing_mm)
    around = (away_mm > AROUND_MM[0]) & (away_mm < AROUND_MM[1])
    if not bone.any() or not around.any():
        return
    inside_hu, around_hu = float(np.median(hu[bone])), float(np.median(hu[around]))
    if inside_hu - around_hu < LEAST_CONTRAST_HU:
        raise InputError(
            f"Expected the vertebrae of {name} to be at least {LEAST_CONTRAST_HU:.0f} HU denser than their "
            f"surroundings, got {inside_hu:.0f} HU inside and {around_hu:.0f} HU around them; is it the mask "
            f"of another CT?"
        )


def load_case(files: CaseFiles) -> LabelledCT:
    """One labelled CT to train on. Raises InputError as ``read_case`` does, and where the mask does not tell vertebrae
    apart."""
    return labelled_ct(files.name, *read_case(files))


def labelled_ct(name: str, ct: Volume, labels: Volume) -> LabelledCT:
    """A labelled CT in any geometry on the common grid."""
    corners = ct.grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = tuple(max(2, int((b - a) // CASE_SPACING_MM)) for a, b in zip(low, high, strict=True))
    origin = tuple(float(a) + CASE_SPACING_MM / 2 for a in low)
    grid = Grid(size, (CASE_SPACING_MM,) * 3, origin)  # type: ignore[arg-type]
    hu = torch.from_numpy(resample(ct, grid).voxels.round().clip(-1024, 3071).astype(np.int16))
    return LabelledCT(name, hu, spine_from_labels(name, labels_on_grid(labels, grid).voxels, grid))


def scene_of_case(
    case: LabelledCT,
    rng: np.random.Generator,
    size: SceneSize,
    ranges: PhantomRanges,
    device: torch.device | str = "cpu",
) -> Scene:
    """A real CT deformed as a phantom is: scaled, turned, bent, stretched by an elastic field, mirrored half of the
    time, its tissue a little lighter or denser. What the scan does not reach is air."""
    grid, spine = size.grid(), case.spine
    scale = float(rng.uniform(*ranges.spine_scale))
    width = scale * float(rng.uniform(*ranges.spine_width_scale))
    center_z = _height_in_case(spine, rng)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    points = deformed_points(grid, rng, ranges, device)
    x0, y0 = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(center_z, device=device))
    places = (mirror * points[..., 0] / width + x0, points[..., 1] / scale + y0, points[..., 2] / scale + center_z)
    hu = sample_at(case.hu, spine.grid, *places, outside=AIR_HU)
    occupancy = sample_at(spine.occupancy, spine.grid, *places, outside=0.0) / 255.0
    hu = vary_tissue(hu, rng, ranges)
    return Scene(
        hu.round().clamp(-1024, 3071).to(torch.int16),
        (occupancy * 255).round().to(torch.uint8),
        grid,
        case.name,
        case.name,
    )


def _height_in_case(spine: Spine, rng: np.random.Generator) -> float:
    """Spine z at the middle of the scene: anywhere in the middle half of the labelled vertebrae."""
    z_mm = spine.level_z_mm[:, 1]
    low, high = float(z_mm.min()), float(z_mm.max())
    return float(rng.uniform(low + (high - low) / 4, high - (high - low) / 4))


@dataclass
class Cohort:
    """Labelled CTs, read when they are drawn, the last few kept.

    A case that turns out to be unusable is left out from then on, with its reason in ``left_out`` and in the log. What
    is drawn depends on the generator alone, not on what was drawn before.
    """

    cases: list[CaseFiles]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    at_hand: int = CASES_AT_HAND
    _kept: OrderedDict[str, LabelledCT] = field(default_factory=OrderedDict, repr=False)
    _unusable: set[str] = field(default_factory=set, repr=False)

    def draw(self, rng: np.random.Generator) -> LabelledCT:
        """A random usable case. Raises InputError, each reason counted and listed, where none is left."""
        return self._first_usable(self.cases[int(index)] for index in rng.permutation(len(self.cases)))

    def check_usable(self) -> None:
        """Read cases in their order until one is usable, and keep what that tells.

        To be called before a training, whose worker processes each begin with a copy. Raises InputError as ``draw``.
        """
        self._first_usable(self.cases)

    def _first_usable(self, cases: Iterable[CaseFiles]) -> LabelledCT:
        for files in cases:
            if (case := self._case(files)) is not None:
                return case
        raise InputError(
            "Expected at least one usable labelled CT to train on, got none; mend the files, or hold out fewer. "
            + describe_left_out(self.left_out)
        )

    def _case(self, files: CaseFiles) -> LabelledCT | None:
        """The case, read or kept; None where it is unusable, which is noted the first time."""
        key = str(files.labels)
        if key in self._unusable:
            return None
        try:
            if key not in self._kept:
                self._kept[key] = load_case(files)
        except InputError as error:
            self._unusable.add(key)
            self.left_out.append((files.name, str(error)))
            log.warning("Left out %s: %s", files.name, error)
            return None
        self._kept.move_to_end(key)
        while len(self._kept) > self.at_hand:
            self._kept.popitem(last=False)
        return self._kept[key]


def find_cohort(
    folders: Iterable[Path], held_out: Iterable[str] = (), permissive: bool = False
) -> tuple[Cohort, list[CaseFiles]]:
    """(training cases, cases held out by name) of all folders. Raises InputError for a name that there is not.

    Neither holds LIDC-IDRI-0001. ``permissive`` leaves out every case whose source is not known to allow commercial use
    (``training.sources``). Other scans of a held-out case's subject, and those of the subjects that phantoms are scored
    on (``VALIDATION_SPINES``), are not trained on either. What is left out is listed with its reason.
    """
    found = [find_cases(folder) for folder in folders]
    left_out = [reason for one in found for reason in one.left_out]
    names = set(held_out)
    usable: list[CaseFiles] = []
    refused: dict[str, str] = {}
    for case in (case for one in found for case in one.cases):
        reason = reason_against(case, permissive)
        if reason is None:
            usable.append(case)
        else:
            left_out.append((case.name, reason))
            refused[case.name] = reason
    unknown = sorted(names - {case.name for case in usable})
    if unknown:
        raise InputError(_no_case_of_name(unknown, usable, refused))
    training: list[CaseFiles] = []
    for case in usable:
        if case.name in names:
            continue
        if is_of_subjects(case.name, (*VALIDATION_SPINES, *names)):
            left_out.append((case.name, SUBJECT_HELD_OUT))
        else:
            training.append(case)
    return Cohort(training, left_out), [case for case in usable if case.name in names]


def reason_against(case: CaseFiles, permissive: bool = False) -> str | None:
    """Why a case is neither trained on nor scored; None where it may be. Nothing is read."""
    if is_demonstration_case(case.name, str(case.ct), str(case.labels)):
        return FIGURES_ARE_MEASURED_ON_IT
    return NOT_PERMISSIVE if permissive and not is_permissive("case", case.name) else None


def _no_case_of_name(unknown: list[str], usable: list[CaseFiles], refused: dict[str, str]) -> str:
    some = ", ".join(case.name for case in usable[:MOST_LISTED])
    there = describe_left_out((name, refused[name]) for name in unknown if name in refused)
    return (
        f"Expected the names of cases to hold out, got {unknown}, which are none of {some or 'those left'}. "
        f"{there or 'Correct the names.'}"
    )


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _is_mask(path: Path) -> bool:
    return _stem(path).endswith(LABEL_ENDINGS) or _stem(path) == TOTALSEGMENTATOR_PAIR[1]


def _subject(path: Path) -> str:
    """The name that a CT and its mask share."""
    stem = _stem(path)
    if stem in TOTALSEGMENTATOR_PAIR:
        return path.parent.name
    for ending in (*LABEL_ENDINGS, "_ct"):
        stem = stem.removesuffix(ending)
    return stem


def _nearest(candidates: list[Path], mask: Path) -> list[Path]:
    """Of CTs of one name those whose path has the most folders in common with the mask's."""
    if len(candidates) < 2:
        return candidates
    shared = [len(set(path.parts[:-1]) & set(mask.parts[:-1])) for path in candidates]
    return [path for path, count in zip(candidates, shared, strict=True) if count == max(shared)]
