"""The labelled CTs of a training: those that ``find_cases`` gives, less the ones that are held out or not allowed."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort_finder import CohortCase, find_cases, names_its_ct, stem_of
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.training.data.held_out import DEMONSTRATION_CASE, SCOUT_CASE, VALIDATION_SUBJECTS, is_held_out_for_ever
from TomoRayLib.training.data.labelled_bodies import LabelledBody, load_labelled_body
from TomoRayLib.training.data.licences import is_permissive
from TomoRayLib.training.data.scenes_of_cts import LabelledCT, load_labelled_ct

CASES_AT_HAND = 8  # 100 MB each
MOST_LISTED = 20
NOT_PERMISSIVE = "not known to allow commercial use, as permissive = true asks for (training/data/licences.py)"
FIGURES_ARE_MEASURED_ON_IT = (
    f"{DEMONSTRATION_CASE} and {SCOUT_CASE} are held out for ever: published figures are measured on them"
)
_SAYS_NOTHING = ("example",)  # names of a case's folder that are no name without the folder above
SUBJECT_HELD_OUT = "the same subject is held out (training/data/held_out.py)"

log = logging.getLogger(__name__)

LeftOutCase = tuple[str, str]  # its name or file, and the reason


def find_labelled_cts(folder: Path) -> tuple[list[CohortCase], list[LeftOutCase]]:
    """(all labelled CTs below ``folder``, files that are not one with the reason).

    A case is named as its data set names it, because licences and held-out subjects go by that. Also those that may be
    trained on but not passed on (VerSe's sub-gl), and VerSe images inside CTSpine1K. Raises InputError as
    ``find_cases`` does.
    """
    found = find_cases(folder, include_gl=True, include_verse_in_ctspine1k=True)
    in_order = sorted(found.cases, key=lambda case: case.segmentation)
    cases = [replace(case, name=name_in_data_set(case)) for case in in_order]
    return cases, [(found.relative(item.path), item.reason) for item in found.left_out]


def name_in_data_set(case: CohortCase) -> str:
    """The CT's file name without its endings, or its folder's for ``s0308/ct.nii.gz`` with a mask that names no CT.

    ``totalsegmentator_example`` for ``totalsegmentator/example/ct.nii.gz``.
    """
    stem = stem_of(case.ct) or case.ct.name
    if stem.lower() == "ct" or not names_its_ct(case.segmentation):
        folder = case.ct.parent
        return f"{folder.parent.name}_{folder.name}" if folder.name.lower() in _SAYS_NOTHING else folder.name
    return stem.removesuffix("_ct")


def describe_left_out(left_out: Iterable[LeftOutCase]) -> str:
    """Each reason with its count, then at most twenty files, for a log or an error. Empty if nothing was left out."""
    listed = list(left_out)
    if not listed:
        return ""
    counts = "; ".join(f"{count} x {reason}" for reason, count in Counter(reason for _, reason in listed).most_common())
    names = [f"{name}: {reason}" for name, reason in listed[:MOST_LISTED]]
    more = [f"and {len(listed) - MOST_LISTED} more"] if len(listed) > MOST_LISTED else []
    return f"Left out: {counts}.\n  " + "\n  ".join([*names, *more])


@dataclass
class TrainingCases:
    """The labelled CTs of a training, read when they are drawn; the last few stay in memory.

    A case that turns out to be unusable is left out from then on, with its reason in ``left_out`` and in the log. A
    draw depends on the generator alone, not on earlier draws.
    """

    cases: list[CohortCase]
    left_out: list[tuple[str, str]] = field(default_factory=list)
    at_hand: int = CASES_AT_HAND
    _kept: OrderedDict[str, LabelledCT] = field(default_factory=OrderedDict, repr=False)
    _unusable: set[str] = field(default_factory=set, repr=False)

    def draw(self, rng: np.random.Generator) -> LabelledCT:
        """A random usable case. Raises InputError if none is left, with each reason counted and listed."""
        return self._first_usable(self.cases[int(index)] for index in rng.permutation(len(self.cases)))

    def check_usable(self) -> None:
        """Read cases in their order until one is usable, and remember the unusable ones.

        To be called before a training, whose worker processes each begin with a copy. Raises InputError as ``draw``.
        """
        self._first_usable(self.cases)

    def _first_usable(self, cases: Iterable[CohortCase]) -> LabelledCT:
        for one in cases:
            if (case := self._case(one)) is not None:
                return case
        raise InputError(
            "Expected at least one usable labelled CT to train on, got none; repair the files, or hold out fewer. "
            + describe_left_out(self.left_out)
        )

    def _case(self, case: CohortCase) -> LabelledCT | None:
        """The case, read or from memory; None if it is unusable, which is noted the first time."""
        key = str(case.segmentation)
        if key in self._unusable:
            return None
        try:
            if key not in self._kept:
                self._kept[key] = _read(case)
        except InputError as error:
            self._unusable.add(key)
            self.left_out.append((case.name, str(error)))
            log.warning("Left out %s: %s", case.name, error)
            return None
        self._kept.move_to_end(key)
        while len(self._kept) > self.at_hand:
            self._kept.popitem(last=False)
        return self._kept[key]


def _read(case: CohortCase) -> LabelledCT:
    return load_labelled_body(case) if isinstance(case, LabelledBody) else load_labelled_ct(case)


def find_training_cases(
    folders: Iterable[Path], held_out: Iterable[str] = (), permissive: bool = False, watched: Iterable[str] = ()
) -> tuple[TrainingCases, list[CohortCase]]:
    """(training cases, cases held out by name) of all folders. Raises InputError for a name that does not exist.

    Neither holds LIDC-IDRI-0001 or scouts/lumbar. ``permissive`` leaves out every case whose source is not known to
    allow commercial use (``data.licences``). Other scans of a held-out case's subject, and those of the subjects that
    trainings are chosen on (``VALIDATION_SUBJECTS``) or that are ``watched``, are not trained on either. Every case
    left out is listed with its reason.
    """
    found = [find_labelled_cts(folder) for folder in folders]
    left_out = [item for _, items in found for item in items]
    names, watched = set(held_out), tuple(watched)
    usable: list[CohortCase] = []
    refused: dict[str, str] = {}
    for case in (case for cases, _ in found for case in cases):
        reason = reason_against(case, permissive)
        if reason is None:
            usable.append(case)
        else:
            left_out.append((case.name, reason))
            refused[case.name] = reason
    unknown = sorted(names - {case.name for case in usable})
    if unknown:
        raise InputError(_no_case_of_name(unknown, usable, refused))
    training: list[CohortCase] = []
    for case in usable:
        if case.name in names:
            continue
        if is_of_subjects(case.name, (*VALIDATION_SUBJECTS, *names, *watched)):
            left_out.append((case.name, SUBJECT_HELD_OUT))
        else:
            training.append(case)
    return TrainingCases(training, left_out), [case for case in usable if case.name in names]


def reason_against(case: CohortCase, permissive: bool = False) -> str | None:
    """The reason why a case is neither trained on nor scored; None if it may be. Nothing is read."""
    if is_held_out_for_ever(case.name, str(case.ct), str(case.segmentation)):
        return FIGURES_ARE_MEASURED_ON_IT
    return NOT_PERMISSIVE if permissive and not is_permissive("case", case.name) else None


def _no_case_of_name(unknown: list[str], usable: list[CohortCase], refused: dict[str, str]) -> str:
    some = ", ".join(case.name for case in usable[:MOST_LISTED])
    there = describe_left_out((name, refused[name]) for name in unknown if name in refused)
    return (
        f"Expected the names of cases to hold out, got {unknown}, not among {some or 'the usable cases'}. "
        f"{there or 'Correct the names.'}"
    )
