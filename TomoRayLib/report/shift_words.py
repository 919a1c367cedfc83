"""How much of an error is a shift, in a patient's words: "8.0 mm too far forward"."""

from __future__ import annotations

import math
from collections.abc import Sequence

from TomoRayLib.metrics.row import MetricsRow
from TomoRayLib.metrics.shift import LARGEST_SHIFT_MM, Shift
from TomoRayLib.metrics.vertebra import VertebraRow

LEAST_MM = 2.0  # of a part of a shift that is worth a word
LEAST_SHARE = 0.3  # of the longest part
# Words for a positive and a negative part of a shift, along the patient's left, posterior and superior.
_SHORT = (("left", "right"), ("back", "forward"), ("up", "down"))
_LONG = (
    ("too far to the patient's left", "too far to the patient's right"),
    ("too far back", "too far forward"),
    ("too high", "too low"),
)
HOW = (
    f"The shift is the move, up to {LARGEST_SHIFT_MM:g} mm, to the nearest place where the synthetic bone overlaps the "
    "true one well. Where neighbouring vertebrae run into each other, nothing holds it along the spine: do not rely on "
    "up and down there."
)


def shift_cell(shift: Shift) -> str:
    """The parts of a shift for a table: ``"8 forward, 4 right"``; a dash if it is undefined, "none" within a voxel."""
    if math.isnan(shift.dice_moved):
        return "\N{EN DASH}"
    return ", ".join(f"{abs(mm):.0f} {word}" for mm, word in _parts(shift, _SHORT)) or "none"


def shift_phrase(shift: Shift) -> str:
    """The parts of a shift as words: ``"8.0 mm too far forward and 4.0 mm too high"``; "in place" within 2 mm."""
    words = [f"{abs(mm):.1f} mm {word}" for mm, word in _parts(shift, _LONG)]
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:]))) or "in place"


def shift_sentences(row: MetricsRow) -> str:
    """What a shift has to do with the error of the spine and of its whole vertebrae; nothing if that is not known."""
    shift = row.shift
    if shift is None or math.isnan(shift.dice_moved):
        return ""
    if shift.distance_mm < LEAST_MM:
        first = "As a whole the synthetic spine lies in place: no move by more than a voxel or two makes it better."
    else:
        far = " (no farther was looked)" if shift.distance_mm > LARGEST_SHIFT_MM - LEAST_MM else ""
        first = (
            f"As a whole the synthetic spine lies {shift_phrase(shift)}{far}. Moved back, its Dice would be "
            f"{shift.dice_moved:.3f} in place of {shift.dice:.3f}: {_percent(shift.share)} of what it lacks to 1 is "
            "this shift, the rest is shape, size and what differs from vertebra to vertebra."
        )
    return f"{first} {_of_vertebrae(row.per_vertebra)}".strip()


def _of_vertebrae(rows: Sequence[VertebraRow]) -> str:
    moved = [row.shift for row in rows if not row.touches_edge and not math.isnan(row.dice_moved)]
    if len(moved) < 2:
        return ""
    before, after = (sum(values) / len(moved) for values in ([s.dice for s in moved], [s.dice_moved for s in moved]))
    far_mm = sum(shift.distance_mm for shift in moved) / len(moved)
    share = (after - before) / (1 - before) if before < 1 else 0.0
    return (
        f"Its {len(moved)} whole vertebrae lie {far_mm:.1f} mm off on average{_common_way(moved)}; each moved back by "
        f"itself, their mean Dice would be {after:.3f} in place of {before:.3f}, {_percent(share)} of what they lack."
    )


def _common_way(shifts: Sequence[Shift]) -> str:
    """The direction that most vertebrae share: ``", 8 of 9 too far forward"``."""
    counts: dict[str, int] = {}
    for shift in shifts:
        for mm, word in _parts(shift, _LONG):
            if abs(mm) == max(abs(part) for part in _values(shift)):
                counts[word] = counts.get(word, 0) + 1
    if not counts:
        return ""
    word = max(counts, key=lambda one: counts[one])
    return f", {counts[word]} of {len(shifts)} {word}" if 2 * counts[word] > len(shifts) else ""


def _values(shift: Shift) -> tuple[float, float, float]:
    return (shift.left_mm, shift.posterior_mm, shift.superior_mm)


def _parts(shift: Shift, words: Sequence[tuple[str, str]]) -> list[tuple[float, str]]:
    """The parts that are worth a word, longest first."""
    longest = max(abs(mm) for mm in _values(shift))
    parts = [
        (mm, word[0] if mm > 0 else word[1])
        for mm, word in zip(_values(shift), words, strict=True)
        if abs(mm) >= max(LEAST_MM, LEAST_SHARE * longest)
    ]
    return sorted(parts, key=lambda part: -abs(part[0]))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
