"""The vertebrae told apart: a report's section with their names, how sure the count is and what of it is true, and
the same over a cohort as a sentence."""

from __future__ import annotations

from html import escape

from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine
from TomoRayLib.anatomy.vertebra_naming import SURE
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.metrics.vertebra_counts import FOUND_WITHIN_MM
from TomoRayLib.metrics.vertebra_matches import MatchedSpine, VertebraMatch
from TomoRayLib.metrics.vertebra_pooling import PooledCounts

FLOORS_SENTENCE = "An empty volume finds none, and the mean atlas tells no vertebrae apart."


def vertebra_section(spine: DecodedSpine | None, matched: MatchedSpine | None) -> str:
    """The section as HTML; nothing for a model that does not count vertebrae.

    Args:
        spine: The vertebrae of the synthetic CT.
        matched: The true vertebrae and what was found of them, None without a truth that tells them apart.
    """
    if spine is None or not spine.vertebrae:
        return ""
    names = ", ".join(vertebra.name if vertebra.whole else f"{vertebra.name} (cut)" for vertebra in spine.vertebrae)
    return f"<h2>Vertebrae told apart</h2><p>{escape(names)}. <b>{_count_sentence(spine)}</b></p>{_matches(matched)}"


def _count_sentence(spine: DecodedSpine) -> str:
    """How sure the numbers are, and by whom."""
    if spine.named is not None:
        was, certainty = NAME_OF_LABEL[spine.named.was], spine.named.certainty_before
        before = f"called it {was}" if spine.named.number != spine.named.was else "did so too"
        return (
            f"Count named by you: {NAME_OF_LABEL[spine.named.number]}, from which all are counted; the network had "
            f"{before} ({certainty:.0%} certain)."
        )
    if spine.numbering == SURE:
        return f"Count sure, as far as the network can tell ({spine.certainty:.0%} certain)."
    return f"Count unsure ({spine.certainty:.0%} certain)."


def pooled_sentences(pooled: PooledCounts) -> str:
    """What was found and named over all cases together, and what an empty volume and the mean atlas find."""
    of_cases = _count(pooled.cases, "case")
    unsure = "" if pooled.cases_unsure is None else f"; numbering unsure in {pooled.cases_unsure} of {of_cases}"
    left_out = (
        f" Not counted: {_count(pooled.cases_not_counted, 'case')} without vertebrae told apart."
        if pooled.cases_not_counted
        else ""
    )
    if not pooled.whole:
        return f"Whole vertebrae in view: none in {of_cases}{unsure}.{left_out}"
    found = f"{pooled.found} ({_percent(pooled.found_share)})"
    named = f"{pooled.named} ({_percent(pooled.named_share)})"
    shifted = f"{pooled.named_up_to_shift} ({_percent(pooled.named_up_to_shift_share)})"
    return (
        f"Whole vertebrae in view: {pooled.whole} in {of_cases}; found within {FOUND_WITHIN_MM:g} mm {found}, "
        f"named right {named}, up to a common shift {shifted}{unsure}.{left_out} {FLOORS_SENTENCE}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _matches(matched: MatchedSpine | None) -> str:
    if matched is None:
        return ""
    counts = matched.counts
    shift = (
        f" (all numbers are {abs(counts.shift)} too {'high' if counts.shift > 0 else 'low'})" if counts.shift else ""
    )
    caption = (
        f"Of {counts.whole} whole vertebrae of the CT, {counts.found} were found with their centroid within "
        f"{FOUND_WITHIN_MM:g} mm, {counts.named} of them under their own name, {counts.named_up_to_shift} up to a "
        f"common shift{shift}; {counts.extra} others are none of the CT."
    )
    heads = "".join(f"<th>{text}</th>" for text in ("Found as", "Distance (mm) ↓", "Named right", "Up to a shift"))
    lines = "".join(_line(row) for row in matched.rows)
    return (
        f'<table class="levels"><caption>{caption}</caption><thead><tr><th>Vertebra</th>{heads}<th class="text"></th>'
        f"</tr></thead><tbody>{lines}</tbody></table>"
    )


def _line(row: VertebraMatch) -> str:
    found = "not found" if row.found_as is None else NAME_OF_LABEL[row.found_as]
    distance = "–" if row.distance_mm is None else f"{row.distance_mm:.1f}"
    marks = ["yes" if value else "no" for value in (row.named, row.named_up_to_shift)]
    cells = "".join(f"<td>{text}</td>" for text in (found, distance, *marks))
    return f'<tr><th scope="row">{row.name}</th>{cells}<td class="text">{"" if row.whole else "cut"}</td></tr>'
