"""Finding the cases of a cohort: which CT belongs to which vertebra segmentation, and why a file is left out.

One resolver, keyed on file names, for the layouts in circulation (docs/evaluation.md):

==================  ============================================  ===========================================
layout              CT                                            segmentation
==================  ============================================  ===========================================
VerSe, BIDS         rawdata/sub-x/sub-x[_...]_ct.nii.gz           derivatives/sub-x/sub-x[_...]_seg-vert_msk.nii.gz
CTSpine1K           data/<source>/<stem>.nii.gz (and variants)    label/<source>/<stem>_seg.nii.gz (and variants)
TotalSegmentator    <case>/ct.nii.gz                              <case>/labels.nii.gz, or a folder of
                                                                  vertebrae_*.nii.gz: <case>/segmentations/ or another
flat                <stem>.nii.gz or <stem>_ct.nii.gz             <stem>_seg.nii.gz, .seg.nrrd, _mask, ..., or a folder
                                                                  <stem>/ or <stem>_seg/ of vertebrae_*.nii.gz
==================  ============================================  ===========================================

Only names are read here.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from TomoRayLib.anatomy.vertebrae import label_of_structure
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import MANIFEST_NAME
from TomoRayLib.images.folder_walk import walked

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
STRUCTURES_FOLDER = "segmentations"  # TotalSegmentator: one binary mask per structure
BARE_SEGMENTATIONS = frozenset({"labels", "label", "seg", "segmentation", "mask", "msk", "vertebrae"})
LARGEST_EXAMPLES = 3

_SEGMENTATION = re.compile(
    r"^(?P<key>.+?)[._-](?:seg-vert_msk|seg|segmentation|labels?|mask|msk|vertebrae)$", re.IGNORECASE
)
_MODALITY = re.compile(r"_mod-[a-z0-9]+$", re.IGNORECASE)  # SPINEPS: sub-x_mod-ct_seg-vert_msk for sub-x_ct
_STRUCTURE = re.compile(r"^vertebrae?[_ -]", re.IGNORECASE)  # TotalSegmentator: vertebrae_L3
_CT_ENDING = re.compile(r"[_-]ct$", re.IGNORECASE)
_SUBJECT = re.compile(r"^(sub-[a-z0-9]+|verse\d+|gl\d+)", re.IGNORECASE)
_VERSE = re.compile(r"^(sub-)?verse\d+", re.IGNORECASE)
_NO_DERIVATIVES = re.compile(r"^(sub-)?gl\d+", re.IGNORECASE)

_TOTALSEGMENTATOR = re.compile(r"^s\d{4}$")
_SOURCES = (
    (re.compile(r"^(sub-)?verse\d+", re.IGNORECASE), "VerSe"),
    (re.compile(r"^(sub-)?gl\d+", re.IGNORECASE), "VerSe (gl)"),
    (re.compile(r"^1\.3\.6\.1\.4\.1\.9328\.50\.4\."), "CTSpine1K, COLONOG"),
    (re.compile(r"^CTC-\d+", re.IGNORECASE), "CTSpine1K, COLONOG"),
    (re.compile(r"^HN_", re.IGNORECASE), "CTSpine1K, HNSCC"),
    (re.compile(r"^liver_\d+", re.IGNORECASE), "CTSpine1K, liver"),
    (re.compile(r"^volume-covid19", re.IGNORECASE), "CTSpine1K, COVID-19"),
)

NO_SEGMENTATION = "CT without a segmentation"
NO_CT = "segmentation without a CT"
SEVERAL_SEGMENTATIONS = "CT with several segmentations of its name"
ONE_SEGMENTATION_FOR_SEVERAL = "CT whose segmentation is that of another CT of its name too"
SECOND_COPY = "VerSe case that was already found (VerSe19 and VerSe20 overlap)"
NO_DERIVATIVES = "VerSe image under CC BY-NC-ND (sub-gl), which is included only on request"
VERSE_IN_CTSPINE1K = "VerSe image inside CTSpine1K, which a model may have been trained on"
EMPTY_FOLDER = "empty folder"
NO_FILE = "device, pipe or socket"
OWN_RESULTS = "folder of TomoRay's own results"


@dataclass(frozen=True)
class CohortCase:
    """One CT with its segmentation, a label map or a folder of TotalSegmentator's structures.

    ``name`` is unique in the cohort; cases of one ``subject`` belong together in every statistic.
    """

    name: str
    subject: str
    ct: Path
    segmentation: Path


@dataclass(frozen=True)
class UnlabelledCase:
    """One CT that has no segmentation; ``name`` and ``subject`` as in ``CohortCase``."""

    name: str
    subject: str
    ct: Path


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not a case, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Cohort:
    """The usable cases below ``folder``, in the order of their names, and what was left out.

    ``unlabelled`` are CTs without a segmentation, if these were asked for; else they are left out.
    """

    folder: Path
    cases: tuple[CohortCase, ...]
    left_out: tuple[LeftOut, ...]
    unlabelled: tuple[UnlabelledCase, ...] = ()

    def relative(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


@dataclass(frozen=True)
class _File:
    path: Path
    stem: str

    is_structures: bool = False  # a folder of one binary mask for each structure
    place: Path = Path()  # the folder whose CT it belongs to if it names none

    @property
    def segmentation_key(self) -> str | None:
        """The key of the CT that a segmentation names; "" if it names none; None for a file that is not a mask."""
        if self.stem.lower() in BARE_SEGMENTATIONS or self.stem == STRUCTURES_FOLDER:
            return ""
        found = _SEGMENTATION.match(self.stem)
        if found:
            key = _MODALITY.sub("", found["key"])
            return "" if key.lower() in BARE_SEGMENTATIONS else key  # Segmentation.seg.nrrd
        return self.stem if self.is_structures else None

    @property
    def ct_keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.stem, _CT_ENDING.sub("", self.stem))))


@dataclass(frozen=True)
class _Index:
    """Segmentations by the CT they name, those that name none by folder, and how many CTs a folder has."""

    named: dict[str, list[_File]]
    bare_in: dict[Path, list[_File]]
    images_in: Counter[Path]

    @classmethod
    def of(cls, masks: list[_File], images: list[_File]) -> _Index:
        named: dict[str, list[_File]] = {}
        bare_in: dict[Path, list[_File]] = {}
        for mask in masks:
            if mask.segmentation_key:
                named.setdefault(mask.segmentation_key, []).append(mask)
            if not mask.segmentation_key or mask.is_structures:
                bare_in.setdefault(mask.place, []).append(mask)
        return cls(named, bare_in, Counter(image.path.parent for image in images))


def find_cases(
    folder: Path, include_gl: bool = False, include_verse_in_ctspine1k: bool = False, include_unlabelled: bool = False
) -> Cohort:
    """Find every CT with a vertebra segmentation below a folder. Only names are read.

    Args:
        folder: The top folder of a data set, or any folder above several; links to folders are followed.
        include_gl: Also take VerSe's ``sub-gl`` images, whose licence allows no derivatives (CC BY-NC-ND).
        include_verse_in_ctspine1k: Also take the VerSe images that CTSpine1K repeats.
        include_unlabelled: Also return CTs without a segmentation, as ``Cohort.unlabelled``.

    Returns:
        The cases in the order of their names, and every file left out with the reason.

    Raises:
        InputError: The folder does not exist or holds no usable case; the message counts the reasons.
    """
    if not folder.is_dir():
        raise InputError(f"Expected a folder of CTs with segmentations, got {folder}, which is not a folder.")
    folder = folder.absolute()
    files, left_out = _volume_files(folder)
    masks = [file for file in files if file.segmentation_key is not None]
    images = [file for file in files if file.segmentation_key is None]
    index = _Index.of(masks, images)
    cases: dict[str, CohortCase] = {}
    unlabelled: list[_File] = []
    found_of = {image.path: _segmentations_of(image, index) for image in images}
    used = {mask.path for found in found_of.values() for mask in found}
    shared = _shared(found_of)
    for image in images:
        found = found_of[image.path]
        reason = _reason_against(image, found, include_gl, include_verse_in_ctspine1k)
        if reason is None and image.path in shared:
            reason = ONE_SEGMENTATION_FOR_SEVERAL
        if reason is None:
            case = _case(folder, image, found[0], cases)
            reason = SECOND_COPY if case is None else None
            if case is not None:
                cases[case.name] = case
        if reason == NO_SEGMENTATION and include_unlabelled:
            reason = _reason_against(image, [image], include_gl, include_verse_in_ctspine1k)
            unlabelled += [image] if reason is None else []
        if reason is not None:
            left_out.append(LeftOut(image.path, reason))
    left_out += [LeftOut(mask.path, NO_CT) for mask in masks if mask.path not in used]
    alone = _unlabelled_cases(folder, unlabelled, set(cases))
    cohort = Cohort(folder, tuple(cases[name] for name in sorted(cases)), tuple(left_out), alone)
    if not cohort.cases and not alone:
        raise InputError(
            f"Expected a CT with a vertebra segmentation in {folder}, found none"
            f"{counted_reasons(cohort) or ' (no volume at all)'}. The layouts are in docs/evaluation.md."
        )
    return cohort


def counted_reasons(cohort: Cohort) -> str:
    """``": 29 x segmentation without a CT (a.nii.gz, b.nii.gz, ...); ..."``, empty if nothing was left out."""
    counts = Counter(item.reason for item in cohort.left_out)
    parts = []
    for reason, count in counts.most_common():
        names = [cohort.relative(item.path) for item in cohort.left_out if item.reason == reason]
        more = ", ..." if count > LARGEST_EXAMPLES else ""
        parts.append(f"{count} x {reason} ({', '.join(names[:LARGEST_EXAMPLES])}{more})")
    return f": {'; '.join(parts)}" if parts else ""


def only_named(cohort: Cohort, names: Sequence[str]) -> Cohort:
    """Only the cases of these names. Raises InputError for names that the cohort does not have."""
    known = {case.name for case in cohort.cases} | {case.name for case in cohort.unlabelled}
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown or not names:
        shown = ", ".join(unknown[:10]) + (", ..." if len(unknown) > 10 else "")
        raise InputError(
            f"Expected names of cases in {cohort.folder}, got "
            f"{f'{len(unknown)} not among its {len(known)}: {shown}' if unknown else 'no name'}; its names look "
            f"like {', '.join(sorted(known)[:LARGEST_EXAMPLES])}."
        )
    wanted = set(names)
    cases = tuple(case for case in cohort.cases if case.name in wanted)
    unlabelled = tuple(case for case in cohort.unlabelled if case.name in wanted)
    return Cohort(cohort.folder, cases, cohort.left_out, unlabelled)


def source_of(path: Path) -> str:
    """Return the data set that a CT is from, by its name; else the first folder of its path, or "other".

    ``path`` is relative to the cohort's folder. CTSpine1K keeps the names of the sets that it was made from.
    """
    stem = stem_of(path) or path.name
    for pattern, source in _SOURCES:
        if pattern.search(stem):
            return source
    if any(_TOTALSEGMENTATOR.match(part) for part in path.parts):
        return "TotalSegmentator"
    return path.parts[0] if len(path.parts) > 1 else "other"


def names_its_ct(segmentation: Path) -> bool:
    """True if the file name of a segmentation holds that of its CT, unlike ``labels.nii.gz`` or a folder's."""
    return bool(_File(segmentation, stem_of(segmentation) or segmentation.name).segmentation_key)


def segmentation_key_of(path: Path) -> str | None:
    """Return the name of the CT that a segmentation's file or folder name holds; "" if none; None for no segmentation.

    A file without a volume's ending is none.
    """
    stem = path.name if path.is_dir() else stem_of(path)
    return None if stem is None else _File(path, stem).segmentation_key


def stem_of(path: Path) -> str | None:
    """The file name without a volume's ending; None if it has none."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    return path.name[: -len(ending)] if ending else None


def _volume_files(folder: Path) -> tuple[list[_File], list[LeftOut]]:
    """Volumes by name, a folder of structures counting as one, and the folders that are skipped."""
    files: list[_File] = []
    left_out: list[LeftOut] = []
    for found in walked(folder):
        place, below, names = found.path, found.below, found.names
        left_out += [LeftOut(place / name, NO_FILE) for name in found.odd if stem_of(Path(name))]
        if MANIFEST_NAME in names:
            below.clear()
            left_out.append(LeftOut(place, OWN_RESULTS))
            continue
        if STRUCTURES_FOLDER in below:
            below.remove(STRUCTURES_FOLDER)
            files.append(_File(place / STRUCTURES_FOLDER, STRUCTURES_FOLDER, True, place))
        visible = [name for name in names if not name.startswith(".")]
        if not visible and not below and place != folder:
            left_out.append(LeftOut(place, EMPTY_FOLDER))
        if any(_is_structure(name) for name in visible):
            visible = [name for name in visible if _is_plain_ct(name)]
            files.append(_File(place, place.name, True, place if visible or place == folder else place.parent))
        files += [_File(place / name, stem, False, place) for name in visible if (stem := stem_of(Path(name)))]
    return files, left_out


def _is_structure(name: str) -> bool:
    """True for the mask of one vertebra, ``vertebrae_L3.nii.gz``, but not for a case ``vertebra_003.nii.gz``."""
    stem = stem_of(Path(name)) or ""
    return _STRUCTURE.match(stem) is not None and label_of_structure(stem) is not None


def _is_plain_ct(name: str) -> bool:
    """True for the CT among the structures that were made from it: ``ct.nii.gz``, ``s0308_ct.nii.gz``."""
    stem = stem_of(Path(name)) or ""
    return stem.lower() == "ct" or _CT_ENDING.search(stem) is not None


def _segmentations_of(image: _File, index: _Index) -> list[_File]:
    """The segmentations that name this CT, of these the nearest in the tree; without any, a bare one in its folder."""
    named = [mask for key in image.ct_keys for mask in index.named.get(key, ())]
    if named:
        nearness = [_nearness(image, mask) for mask in named]
        return [mask for mask, near in zip(named, nearness, strict=True) if near == max(nearness)]
    alone = index.images_in[image.path.parent] == 1
    if not alone and image.stem.lower() != "ct":
        return []
    bare = index.bare_in.get(image.path.parent, [])
    return [mask for mask in bare if not mask.is_structures] or bare  # a label map is preferred to single structures


def _nearness(image: _File, mask: _File) -> tuple[bool, int, bool]:
    """How near CT and segmentation lie: in one folder, else by the folders they share, else in folders of one name."""
    return (
        mask.place == image.path.parent,
        len(Path(os.path.commonpath([mask.place, image.path.parent])).parts),
        mask.place.name == image.path.parent.name,
    )


def _shared(found_of: dict[Path, list[_File]]) -> set[Path]:
    """The CTs whose one segmentation lies as near, or nearer, to another CT that it names."""
    takers: dict[Path, list[tuple[tuple[bool, int, bool], Path]]] = {}
    for image, found in found_of.items():
        if len(found) == 1:
            takers.setdefault(found[0].path, []).append((_nearness(_File(image, ""), found[0]), image))
    shared: set[Path] = set()
    for images in takers.values():
        best = max(near for near, _ in images)
        nearest = [image for near, image in images if near == best]
        shared |= {image for _, image in images if len(images) > 1 and (len(nearest) > 1 or image not in nearest)}
    return shared


def _reason_against(
    image: _File, segmentations: list[_File], include_gl: bool, include_verse_in_ctspine1k: bool
) -> str | None:
    if not segmentations:
        return NO_SEGMENTATION
    if len(segmentations) > 1:
        return SEVERAL_SEGMENTATIONS
    if _NO_DERIVATIVES.match(image.stem) and not include_gl:
        return NO_DERIVATIVES
    source, above = image.path.parent.name.lower(), image.path.parent.parent.name.lower()
    if source == "verse" and above in ("data", "volumes") and not include_verse_in_ctspine1k:
        return VERSE_IN_CTSPINE1K
    return None


def _unlabelled_cases(folder: Path, images: list[_File], taken: set[str]) -> tuple[UnlabelledCase, ...]:
    """CTs without a segmentation under names of their own, in the order of these."""
    found: dict[str, UnlabelledCase] = {}
    for image in images:
        place = image.path.parent.relative_to(folder).parts
        name = ("__".join(place) or folder.resolve().name) if image.stem.lower() == "ct" else image.ct_keys[-1]
        if name in taken or name in found:
            name = "__".join([*place, image.stem])
        subject = _SUBJECT.match(name)
        found[name] = UnlabelledCase(name, subject[0] if subject else name, image.path)
    return tuple(found[name] for name in sorted(found))


def _case(folder: Path, image: _File, segmentation: _File, known: dict[str, CohortCase]) -> CohortCase | None:
    """The case under a name that is still free; None for a second copy of a VerSe case."""
    key = segmentation.segmentation_key
    if not key or key.lower() == "ct" or (segmentation.is_structures and key not in image.ct_keys):
        place = image.path.parent.relative_to(folder)
        key = "__".join(place.parts) or folder.resolve().name
    if key in known:
        if _VERSE.match(key):
            return None
        key = "__".join([*image.path.parent.relative_to(folder).parts, image.stem])
    subject = _SUBJECT.match(key)
    return CohortCase(key, subject[0] if subject else key, image.path, segmentation.path)
