"""The numbering that a mask's numbers are read in: the one that is stated, or the one that its numbers give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from TomoRayLib.anatomy.numberings import (
    AUTO,
    LABEL_CHOICES,
    NUMBERINGS,
    Part,
    Reading,
    order_problem,
    reading_in,
    readings_of,
)
from TomoRayLib.base.errors import InputError

FIELD = "labels"  # the setting of the jobs that states the numbering
FEW_ORGANS = 3  # if a reading needs fewer organs, those that need more of them are dropped
FITS_IN_SIZE = 9.0  # largest misfit of vertebrae that may be what they are called
WORSE = 5.0  # VerSe's reading gets a warning if its misfit is larger by this much than another's
# Misfit from which VerSe's reading is refused, or gets a warning if its vertebrae are small, as a child's are: 5.3 at
# most in 39 real masks, 23 to 67 in L1-L5 as C1-C5.
NO_SUCH_SIZE = 15.0
FAR_WORSE = 12.0  # a reading whose misfit is larger by this much than another's is dropped
SACRUM_TO_L5 = 1.7  # a lowest label so much larger than the next is a sacrum, not a vertebra
# TPTBox's and SPINEPS's labels of what vertebrae consist of: arch 41, processes 42-48, body 49 and 50.
ARCHES, REGIONS_OF_VERTEBRAE = 41, frozenset(range(41, 51))
SAME_PLACE_MM = 40.0  # the middles of such labels, each of them over the whole spine, lie as near as that
NECK = frozenset(range(11, 18))  # C1 to C7 of TotalSpineSeg; T4 to T10 of VerSe
# C2 has so many times the volume of C3, and of C1 and C3 on average: 1.29 and more in five real necks. Where three or
# more vertebrae begin further below, the second has less in all of 3000 runs of real ones.
LARGE_AXIS = 1.22


@dataclass(frozen=True)
class ChosenReading:
    """A reading, and a warning if it was recognised instead of stated or plain VerSe."""

    reading: Reading
    warning: str | None = None


def choose_reading(parts: Mapping[int, Part], labels: str = AUTO, name: str = "The mask") -> ChosenReading:
    """Read a mask's numbers as vertebrae.

    VerSe's numbering is taken if nothing speaks against it. Another is taken, with a warning, if it alone fits and
    something but the order shows it: numbers that VerSe does not have, levels that would be missing between
    neighbours, or a sacrum of its size.

    Args:
        parts: What is known of each label, by its number in the mask.
        labels: A key of ``NUMBERINGS``, or ``"auto"``.
        name: The name of the mask at the beginning of messages.

    Returns:
        The reading.

    Raises:
        InputError: If the numbers hold no vertebra, contradict the numbering stated, or can be read in several ways.
    """
    check_labels(labels)
    if labels != AUTO:
        return ChosenReading(_stated(parts, labels, name))
    _refuse_regions_of_vertebrae(parts, name)
    readings = readings_of(parts)
    plain = [reading for reading in readings if _is_plain(reading)]
    possible = [reading for reading in readings if reading.problem is None]
    rivals = _narrowed([reading for reading in possible if not _is_plain(reading)], parts)
    ours = next((reading for reading in plain if reading.problem is None), None)
    if ours is not None and not _explained_better(ours, rivals):
        return _against_rivals(ours, rivals, parts, name)
    if not rivals:
        raise _no_reading(parts, plain, name)
    problem = next((reading.problem for reading in plain if reading.problem), None)
    if len(rivals) == 1 and len(rivals[0].parts) > 1 and _evident(parts, plain, rivals[0]):
        why = problem or "they are not VerSe's"
        return ChosenReading(
            rivals[0],
            f"{name} is not in VerSe's numbering ({why}): taken as that of {rivals[0].text()}, and translated. Check "
            f"the names of the vertebrae.",
        )
    how = f"which VerSe's numbering does not explain ({problem})" if problem else "which it does not have"
    raise _ambiguous(parts, rivals, how, name)


def check_labels(labels: str) -> None:
    """Raise InputError for a numbering that is none of ``LABEL_CHOICES``."""
    if labels not in LABEL_CHOICES:
        raise InputError(
            f"Expected the numbering of the mask as one of {', '.join(LABEL_CHOICES)}; got {labels!r}.", FIELD
        )


def shown(numbers: Sequence[int]) -> str:
    """Numbers in order, runs of three or more joined: ``"1-5, 26"``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(texts[:12]) + (f", ... ({len(numbers)} labels)" if len(texts) > 12 else "")


def _refuse_regions_of_vertebrae(parts: Mapping[int, Part], name: str) -> None:
    """Raise InputError for a mask that tells arches, processes and bodies apart, not one vertebra from another."""
    middles_mm = [parts[label].middle_mm[2] for label in REGIONS_OF_VERTEBRAE & parts.keys()]
    if ARCHES in parts and len(middles_mm) > 3 and max(middles_mm) - min(middles_mm) < SAME_PLACE_MM:
        raise InputError(
            f"{name}: expected one label for each vertebra, got labels of their arches, processes and bodies "
            f"({shown([*parts])}, as TPTBox and SPINEPS number them); choose the mask of whole vertebrae that was "
            "written with it (seg-vert).",
        )


def _stated(parts: Mapping[int, Part], labels: str, name: str) -> Reading:
    numbering = NUMBERINGS[labels]
    reading = reading_in(numbering, parts)
    if not reading.parts:
        raise InputError(
            f"{name}: expected vertebrae in the numbering of {numbering.title}, got the labels {shown([*parts])}, none "
            "of which is a vertebra there; state another numbering or choose another mask.",
            FIELD,
        )
    problem = order_problem(reading.parts)
    if problem is not None:
        raise InputError(
            f"{name}: expected its vertebrae from head to feet, got the labels {shown([*parts])}, of which in the "
            f"numbering of {numbering.title} {problem}; state another numbering, or correct the directions in the "
            "mask's header if it is upside down.",
            FIELD,
        )
    return reading


def _against_rivals(ours: Reading, rivals: list[Reading], parts: Mapping[int, Part], name: str) -> ChosenReading:
    """VerSe's reading, unless distances and volumes of the vertebrae speak for another."""
    gap = WORSE if NECK.issuperset(parts) else FAR_WORSE
    better = [reading for reading in rivals if reading.size_misfit < ours.size_misfit - gap]
    if (set(parts) == NECK and ours.size_misfit > FITS_IN_SIZE) or (
        NECK.issuperset(parts) and _has_axis(parts, min(NECK))
    ):
        better = rivals
    if not better or len(ours.parts) == 1:
        if len(ours.parts) > 1 and ours.size_misfit > NO_SUCH_SIZE and ours.is_larger:
            raise _too_large(ours, parts, name)
        return ChosenReading(ours, _drawn_in_order(ours, name) or _doubt(ours, rivals, name))
    raise _ambiguous(parts, [ours, *better], "whose distances or volumes are not those of VerSe's", name)


def _explained_better(ours: Reading, rivals: Sequence[Reading]) -> bool:
    """True if VerSe does not have some of the numbers, but another has all of them and more vertebrae among them."""
    return bool(ours.unknown) and any(
        not reading.unknown and len(reading.parts) > len(ours.parts) for reading in rivals
    )


def _drawn_in_order(ours: Reading, name: str) -> str | None:
    """A warning for vertebrae that begin at C1 by their numbers, but have no axis below it."""
    if _has_axis(ours.parts, 1) is not False:
        return None
    return (
        f"{name}: taken as {ours.text()}, but its second vertebra is no larger than those beside it, as C2 is. Were "
        "the vertebrae numbered in the order they were drawn, the first as 1? Check their names, and state the "
        "numbering if it is right."
    )


def _has_axis(parts: Mapping[int, Part], first: int) -> bool | None:
    """Whether the second vertebra is larger than those beside it, as C2 is; None without the first two.

    The lesser of two ratios counts, so that a first vertebra that is cut off by the scan tells nothing.
    """
    volumes_cm3 = [parts[label].volume_cm3 for label in (first, first + 1, first + 2) if label in parts]
    if not {first, first + 1} <= parts.keys():
        return None
    if len(volumes_cm3) == 2:
        return volumes_cm3[1] > LARGE_AXIS * volumes_cm3[0]
    above, here, below = volumes_cm3
    return here > LARGE_AXIS * max(below, sqrt(above * below))


def _doubt(ours: Reading, rivals: list[Reading], name: str) -> str | None:
    """A warning if little shows that VerSe's reading is right: a single vertebra, sizes of others, a better fit."""
    better = [reading for reading in rivals if reading.size_misfit < ours.size_misfit - WORSE]
    if better:
        return (
            f"{name}: taken as {ours.text()}, but its distances and volumes are rather those of {better[0].text()}. "
            "Check the names of the vertebrae."
        )
    if len(ours.parts) > 1 and ours.size_misfit > NO_SUCH_SIZE:
        return (
            f"{name}: taken as {ours.text()}, but the distances or volumes are not of such vertebrae, unless they "
            "are a child's. Check the names of the vertebrae."
        )
    if len(ours.parts) == 1 and rivals:
        return f"{name} has one vertebra: taken as {ours.text()}, which nothing else in the mask shows. Check its name."
    return None


def _narrowed(readings: list[Reading], parts: Mapping[int, Part]) -> list[Reading]:
    """Drop readings that need more organs, that fit far worse in size, or that miss a sacrum."""
    if not readings:
        return []
    needed = [len(reading.numbering.organs & set(reading.others)) for reading in readings]
    kept = [
        reading
        for reading, organs in zip(readings, needed, strict=True)
        if organs == min(needed) or min(needed) >= FEW_ORGANS
    ]
    if _has_sacrum(parts) and any(reading.numbering.name == "vertebrae-mr" for reading in kept):
        kept = [reading for reading in kept if reading.numbering.name != "spider"]
    best = min(reading.size_misfit for reading in kept)
    return [reading for reading in kept if best > FITS_IN_SIZE or reading.size_misfit < best + FAR_WORSE]


def _has_sacrum(parts: Mapping[int, Part]) -> bool:
    return 1 in parts and 2 in parts and parts[1].volume_cm3 > SACRUM_TO_L5 * parts[2].volume_cm3


def _evident(parts: Mapping[int, Part], plain: Sequence[Reading], chosen: Reading) -> bool:
    """True if something but the order along the body speaks against VerSe's numbering and for the chosen one."""
    verse = NUMBERINGS["verse"]
    foreign = any(number not in verse.vertebrae and number not in verse.spine for number in parts)
    turned = {label: Part((*part.middle_mm[:2], -part.height_mm), part.volume_cm3) for label, part in parts.items()}
    contradicted = all(reading_in(reading.numbering, turned).problem is not None for reading in plain)
    return foreign or contradicted or (chosen.numbering.name == "vertebrae-mr" and _has_sacrum(parts))


def _is_plain(reading: Reading) -> bool:
    return reading.numbering.name in ("verse", "tptbox")


def _no_reading(parts: Mapping[int, Part], plain: Sequence[Reading], name: str) -> InputError:
    if plain:
        return InputError(
            f"{name}: expected vertebra labels in VerSe numbering, got the labels {shown([*parts])}, which it does not "
            f"explain ({plain[0].problem}); no other numbering known fits. Correct the mask (is it upside "
            "down, shifted, or wrapped round?), or state its numbering if that is another one.",
            FIELD,
        )
    return InputError(
        f"{name}: expected vertebra labels 1-25 (C1-L6) or 28 (T13) in VerSe numbering, got {shown([*parts])}; "
        "renumber the mask, state its numbering or choose another.",
        FIELD,
    )


def _too_large(ours: Reading, parts: Mapping[int, Part], name: str) -> InputError:
    return InputError(
        f"{name}: expected vertebra labels in VerSe numbering, got the labels {shown([*parts])}, which would be "
        f"{ours.text()}, but they are too large and too far apart for these. Were the vertebrae numbered in the order "
        "they were drawn? Give them their names or VerSe's numbers, or state the numbering if it is right.",
        FIELD,
    )


def _ambiguous(parts: Mapping[int, Part], readings: Sequence[Reading], how: str, name: str) -> InputError:
    texts = [f"{reading.text()}: {reading.numbering.name}" for reading in readings]
    joined = "; or ".join(texts)
    flipped = "" if any(map(_is_plain, readings)) else "Look first whether the mask is upside down. If it is not: "
    return InputError(
        f"{name}: expected vertebra labels in VerSe numbering, got the labels {shown([*parts])}, {how}. {flipped}They "
        f"can be read as {joined}. State which it is.",
        FIELD,
    )
