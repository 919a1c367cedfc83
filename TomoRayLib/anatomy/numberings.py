"""Numberings of the vertebrae that tools and data sets use, and which of them a mask's numbers can be read in.

The tables are those of TotalSegmentator 2.18.0 (``map_to_binary.py``), TotalSpineSeg 20260807 (``inference.py``),
TPTBox 1.1.0 (``core/vert_constants.py``) and SPIDER (https://doi.org/10.5281/zenodo.8009680). Numbers alone do not tell
them apart: 18 to 22 are T11 to L3 in one and L5 to L1 in another. Their order along the body, the numbers that lie
between or beside them and the distances between neighbours do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import dist, log
from statistics import median

from TomoRayLib.anatomy.vertebrae import (
    COCCYX_LABEL,
    CRANIOCAUDAL_ORDER,
    LABEL_OF_NAME,
    NAME_OF_LABEL,
    SACRUM_LABEL,
    T13_LABEL,
    VERTEBRA_LABELS,
)

AUTO, WHOLE_SPINE = "auto", "whole-spine"

# Medians of 31 VerSe label maps, C1 to L6: mm from the middle of a vertebra to that of the next below; volume in cm3.
_NEXT_BELOW_MM = (
    18,
    19,
    16,
    16.5,
    17,
    18,
    20,
    22,
    22.5,
    22.5,
    23,
    24,
    24.5,
    25,
    25,
    25.5,
    28,
    30,
    31,
    32,
    34,
    34,
    31,
    32,
)
_VOLUME_CM3 = (15, 21, 14, 13, 13, 14, 20, 24, 24, 24, 24, 25, 28, 31, 34, 35, 39, 44, 48, 51, 58, 64, 66, 66, 78)
SPACING_SD, VOLUME_SD = 0.12, 0.3  # standard deviations of a person's natural logarithm of the ratio to these medians
LEAST_RATIO = 1e-3
SACRUM_ABOVE = 50.0  # misfit of a reading whose sacrum does not lie below
CLOSE_LEVELS = 0.6  # levels are skipped if neighbours lie nearer than this share of what the skipped ones would take
LEAST_SKIPPED = 2  # a spine without T12 skips one
SLIVER_SHARE = 0.1  # of the median volume: a vertebra cut off by the scan, whose middle tells nothing
MANY_ORGANS = 5  # numbers that a table has for what is no part of the spine


@dataclass(frozen=True)
class Numbering:
    """One table: ``vertebrae`` from its numbers to VerSe's; ``spine`` and ``organs`` are its other numbers.

    ``title`` names it in messages, ``sacrum`` is its number for the sacrum (in ``spine`` too).
    """

    name: str
    title: str
    vertebrae: Mapping[int, int]
    spine: frozenset[int] = frozenset()
    organs: frozenset[int] = frozenset()
    sacrum: int | None = None


@dataclass(frozen=True)
class Part:
    """The voxels of one label: their middle in LPS mm and their volume."""

    middle_mm: tuple[float, float, float]
    volume_cm3: float

    @property
    def height_mm(self) -> float:
        """How far the middle lies towards the head."""
        return self.middle_mm[2]


@dataclass(frozen=True)
class Reading:
    """A mask's numbers in one numbering: ``parts`` by VerSe label, and the numbers that are no vertebra there."""

    numbering: Numbering
    parts: Mapping[int, Part]
    others: tuple[int, ...] = ()
    problem: str | None = None  # what speaks against it
    size_misfit: float = 0.0  # squared standard deviations from the usual distances and volumes; 0 fits
    is_larger: bool = False  # than usual, in distances and volumes alike

    @property
    def unknown(self) -> tuple[int, ...]:
        """The numbers that the numbering has for nothing of the spine."""
        return tuple(number for number in self.others if number not in self.numbering.spine)

    def text(self) -> str:
        """The numbering and its vertebrae: ``VerSe (T11 to L3)``."""
        names = [NAME_OF_LABEL[label] for label in CRANIOCAUDAL_ORDER if label in self.parts]
        span = f"{names[0]} to {names[-1]}" if len(names) > 1 else "".join(names)
        return f"{self.numbering.title} ({span})"


def _upward(first: int, names: Iterable[int]) -> dict[int, int]:
    return {first + step: label for step, label in enumerate(names)}


_FROM_L5 = tuple(range(24, 0, -1))
_VERSE = {label: label for label in VERTEBRA_LABELS}
_PARTIAL = 100  # SPIDER: added to the number of a vertebra that is cut off

NUMBERINGS: dict[str, Numbering] = {
    table.name: table
    for table in (
        Numbering("verse", "VerSe", _VERSE, frozenset({SACRUM_LABEL, COCCYX_LABEL}), sacrum=SACRUM_LABEL),
        Numbering(
            "tptbox",
            "TPTBox and SPINEPS",
            _VERSE,
            frozenset({26, 27, *range(29, 34), *range(38, 54), *range(101, 134), *range(201, 234)}),
            sacrum=26,
        ),
        Numbering(
            "totalsegmentator",
            "TotalSegmentator (total, version 2)",
            _upward(27, _FROM_L5),
            frozenset({25, 26, 79}),
            frozenset(range(1, 118)) - {25, 26, 79, *range(27, 51)},
            sacrum=25,
        ),
        Numbering(
            "totalsegmentator-v1",
            "TotalSegmentator version 1",
            _upward(18, _FROM_L5),
            frozenset({92}),
            frozenset(range(1, 105)) - {92, *range(18, 42)},
            sacrum=92,
        ),
        Numbering("vertebrae-mr", "TotalSegmentator's vertebrae_mr", _upward(2, _FROM_L5), frozenset({1}), sacrum=1),
        Numbering(
            "totalspineseg",
            "TotalSpineSeg",
            {**_upward(11, range(1, 8)), **_upward(21, range(8, 20)), **_upward(41, range(20, 26))},
            frozenset({1, 2, 50, *range(63, 68), *range(71, 83), *range(91, 97), 100}),
            sacrum=50,
        ),
        Numbering("spider", "SPIDER", _upward(1, _FROM_L5), frozenset({100, *range(101, 126), *range(201, 226)})),
    )
}
LABEL_CHOICES: tuple[str, ...] = (AUTO, *NUMBERINGS, WHOLE_SPINE)


def readings_of(parts: Mapping[int, Part]) -> tuple[Reading, ...]:
    """Read a mask's numbers in every numbering that has a vertebra among them.

    Args:
        parts: What is known of each label, by its number in the mask.

    Returns:
        One reading for each numbering; those with ``problem`` None can be right.
    """
    found = (reading_in(numbering, parts) for numbering in NUMBERINGS.values())
    return tuple(reading for reading in found if reading.parts)


def reading_in(numbering: Numbering, parts: Mapping[int, Part]) -> Reading:
    """Read a mask's numbers in one numbering.

    Args:
        numbering: The table.
        parts: What is known of each label, by its number in the mask.

    Returns:
        The reading, with what speaks against it.
    """
    meant = {numbering.vertebrae[number]: part for number, part in parts.items() if number in numbering.vertebrae}
    others = tuple(sorted(number for number in parts if number not in numbering.vertebrae))
    problem = (
        _unknown_numbers(numbering, others) or _lonely_t13(meant) or order_problem(meant) or _skipped_levels(meant)
    )
    ratios = _size_ratios(meant)
    misfit = sum((log(max(ratio, LEAST_RATIO)) / sd) ** 2 for ratio, sd in ratios)
    sacrum = parts.get(numbering.sacrum) if numbering.sacrum is not None else None
    if sacrum is not None and order_problem({**meant, SACRUM_LABEL: sacrum}):
        misfit += SACRUM_ABOVE
    is_larger = all(ratio > 1 for ratio, _ in ratios)
    return Reading(numbering, meant, others, problem, misfit, is_larger)


def order_problem(parts: Mapping[int, Part]) -> str | None:
    """Say which vertebrae lie in the wrong order along the body.

    Args:
        parts: The vertebrae and perhaps the sacrum by VerSe label. Those of less than a tenth of the median volume
            are not looked at.

    Returns:
        A clause such as "L2 lies above L1"; None if every vertebra lies below the one before it.
    """
    labels = _whole(parts)
    wrong = [(a, b) for a, b in pairwise(labels) if parts[a].height_mm <= parts[b].height_mm]
    if not wrong:
        return None
    upper, lower = wrong[0]
    return f"{NAME_OF_LABEL.get(lower, 'the sacrum')} lies above {NAME_OF_LABEL[upper]}"


def missing_levels(labels: Iterable[int]) -> tuple[int, ...]:
    """Find the vertebrae missing between the uppermost and the lowest.

    Args:
        labels: VerSe labels.

    Returns:
        The labels missing, from cranial to caudal; T13 is never missing.
    """
    order = tuple(label for label in CRANIOCAUDAL_ORDER if label != T13_LABEL)
    places = [order.index(label) for label in set(labels) if label in order]
    between = order[min(places) : max(places)] if places else ()
    return tuple(label for label in between if label not in set(labels))


def expected_volume_cm3(label: int) -> float:
    """Return the usual volume of a vertebra with its arch, by VerSe label; T13 has that of T12."""
    return _VOLUME_CM3[(19 if label == T13_LABEL else label) - 1]


def expected_step_mm(upper: int, lower: int) -> float | None:
    """Return the usual distance between two vertebrae, by VerSe label; None if they are no neighbours."""
    return _NEXT_BELOW_MM[upper - 1] if lower == upper + 1 and upper <= len(_NEXT_BELOW_MM) else None


def _whole(parts: Mapping[int, Part]) -> list[int]:
    """Labels from cranial to caudal, without slivers."""
    if not parts:
        return []
    least = SLIVER_SHARE * median(part.volume_cm3 for part in parts.values())
    order = (*CRANIOCAUDAL_ORDER, SACRUM_LABEL)
    return [label for label in order if label in parts and parts[label].volume_cm3 >= least]


def _unknown_numbers(numbering: Numbering, others: tuple[int, ...]) -> str | None:
    unknown = [number for number in others if number not in numbering.spine | numbering.organs]
    is_plain = numbering.name in ("verse", "tptbox")  # a few numbers more are common there, and one in a whole body
    most = MANY_ORGANS - 1 if is_plain else len(others) // 20 if numbering.organs else 0
    if len(unknown) > most:
        return f"it has no {', '.join(map(str, unknown[:5]))}"
    return None


def _lonely_t13(parts: Mapping[int, Part]) -> str | None:
    lonely = T13_LABEL in parts and not {LABEL_OF_NAME["T12"], LABEL_OF_NAME["L1"]} & set(parts)
    return "T13 has neither T12 nor L1 next to it" if lonely else None


def _skipped_levels(parts: Mapping[int, Part]) -> str | None:
    """Neighbours too near each other for the levels that would be missing between them."""
    labels = _whole(parts)
    order = CRANIOCAUDAL_ORDER
    for upper, lower in pairwise(labels):
        steps = [label for label in order[order.index(upper) : order.index(lower)] if label != T13_LABEL]
        away_mm = dist(parts[upper].middle_mm, parts[lower].middle_mm)
        least_mm = CLOSE_LEVELS * sum(_NEXT_BELOW_MM[label - 1] for label in steps)
        if len(steps) > LEAST_SKIPPED and away_mm < least_mm:
            return (
                f"{NAME_OF_LABEL[upper]} and {NAME_OF_LABEL[lower]} lie {away_mm:.0f} mm apart with "
                f"{len(steps) - 1} vertebrae missing between them"
            )
    return None


def _size_ratios(parts: Mapping[int, Part]) -> list[tuple[float, float]]:
    """Medians of distances and of volumes as ratios to the usual ones, with the standard deviation of their logarithm.

    Those that cannot be measured are left out.
    """
    labels = _whole(parts)
    distances = [
        dist(parts[a].middle_mm, parts[b].middle_mm) / usual_mm
        for a, b in pairwise(labels)
        if (usual_mm := expected_step_mm(a, b)) is not None
    ]
    volumes = [parts[label].volume_cm3 / expected_volume_cm3(label) for label in labels]
    return [(median(ratios), sd) for ratios, sd in ((distances, SPACING_SD), (volumes, VOLUME_SD)) if ratios]
