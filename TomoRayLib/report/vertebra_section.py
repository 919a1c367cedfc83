"""The vertebrae told apart: a report's section with their pictures and names, how sure the count is and what of it is
true, and the same over a cohort as a sentence."""

from __future__ import annotations

import math

from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine
from TomoRayLib.anatomy.vertebra_naming import SURE
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.metrics.table import MEAN_ATLAS
from TomoRayLib.metrics.vertebra import VertebraRow
from TomoRayLib.metrics.vertebra_counts import FOUND_WITHIN_MM
from TomoRayLib.metrics.vertebra_matches import MatchedSpine, VertebraMatch
from TomoRayLib.metrics.vertebra_pooling import PooledCounts
from TomoRayLib.report.content import ReportContent
from TomoRayLib.report.drawing import data_uri, png_bytes
from TomoRayLib.report.markup import escape
from TomoRayLib.report.shift_words import shift_phrase
from TomoRayLib.report.vertebra_strip import BAR_MM, HEIGHT_MM, WIDTH_MM, VertebraStrip, vertebra_strip

FLOORS_SENTENCE = "An empty volume finds none, and the mean atlas tells no vertebrae apart."


def vertebra_section(content: ReportContent) -> str:
    """The section as HTML; nothing if neither the truth nor the synthetic CT tells vertebrae apart."""
    strip = vertebra_strip(content, _measured_middles_mm(content))
    counted = _counted(content.spine)
    if not strip.pictures and not counted:
        return ""
    return f"<h2>Vertebra by vertebra</h2>{counted}{_strip(strip, content)}{_matches(content.matched)}"


def _measured_middles_mm(content: ReportContent) -> dict[int, Vector3]:
    """Middles of bodies by VerSe number, LPS mm, as far as they were measured: of the true vertebrae if there are some,
    else of the synthetic ones."""
    measured = (content.measures or {}).get("truth" if content.shown.is_scored else "synthetic")
    found = {}
    for one in measured["vertebrae"] if measured else ():
        if "center_mm" in one:
            x, y, z = (float(value) for value in one["center_mm"])
            found[int(one["number"])] = (x, y, z)
    return found


def _counted(spine: DecodedSpine | None) -> str:
    """The synthetic vertebrae by name and how sure the count is; nothing for a model that does not count them."""
    if spine is None or not spine.vertebrae:
        return ""
    names = ", ".join(vertebra.name if vertebra.whole else f"{vertebra.name} (cut)" for vertebra in spine.vertebrae)
    return f"<p>Told apart in the synthetic CT: {escape(names)}. <b>{_count_sentence(spine)}</b></p>"


def _count_sentence(spine: DecodedSpine) -> str:
    """How sure the numbers are, and by whom."""
    if spine.named is not None:
        was, certainty = NAME_OF_LABEL[spine.named.was], spine.named.certainty_before
        said = f"had called it {was}" if spine.named.number != spine.named.was else "said the same"
        return (
            f"Count named by you: {NAME_OF_LABEL[spine.named.number]}, from which all are counted; the network "
            f"{said} ({certainty:.0%} certain)."
        )
    if spine.numbering == SURE:
        return f"Count sure, as far as the network can tell ({spine.certainty:.0%} certain)."
    return f"Count unsure ({spine.certainty:.0%} certain)."


def _strip(strip: VertebraStrip, content: ReportContent) -> str:
    """The pictures of single vertebrae with what is known of each."""
    if not strip.pictures:
        return ""
    shown = content.shown
    compared = shown.is_scored
    table = content.metrics if compared else None
    scored = {} if table is None else table.vertebrae_of(table.names[0])
    atlas = {} if table is None else table.vertebrae_of(MEAN_ATLAS)
    matches = {} if content.matched is None else {one.label: one for one in content.matched.rows}
    doubt = content.names_doubt
    cards = ""
    for one in strip.pictures:
        text = f"<b>{one.name}{doubt}</b>"
        details = [] if one.label not in scored else [_score_text(scored[one.label], atlas.get(one.label))]
        if one.label in matches:
            details.append(_found_text(matches[one.label], content.synthetic_doubt))
        text += f" {escape('; '.join(details))}" if details else ""
        kind = "synthetic CT and truth" if compared else "synthetic CT"
        cards += (
            f'<figure><img src="{data_uri(png_bytes(one.picture))}" width="{one.picture.width}" '
            f'height="{one.picture.height}" alt="{one.name}{doubt}: sagittal and coronal cut, {kind}">'
            f"<figcaption>{text}</figcaption></figure>"
        )
    return f'<p class="caption">{_strip_caption(strip, content)}</p><div class="vertebrae">{cards}</div>'


def _strip_caption(strip: VertebraStrip, content: ReportContent) -> str:
    shown = content.shown
    above = ""
    if shown.is_scored:
        above = " Above the truth, below the synthetic CT at the very same place."
    elif shown.truth_hu is not None:
        above = " Above the CT, below the synthetic CT at the very same place."
    apart = shown.synthetic_labels is not None
    own = "the synthetic vertebrae" if apart else "the synthetic bone"
    lines = f"Blue: the true vertebra. Amber: {own}." if shown.is_scored else "Amber: the synthetic vertebra."
    cut = f" Not shown, cut by the field of view: {', '.join(strip.cut)}." if strip.cut else ""
    return (
        f"Cuts through the middle of each body, all of {WIDTH_MM:g} × {HEIGHT_MM:g} mm, bars {BAR_MM:g} mm: sagittal "
        "on the left, anterior at image left; coronal on the right, the patient's right at image left."
        f"{above} {lines}{cut}"
    )


def _score_text(row: VertebraRow, atlas: VertebraRow | None) -> str:
    """Its Dice, that of the mean atlas, and where it lies."""
    beside = "" if atlas is None else f" (mean atlas {atlas.dice:.3f})"
    away = "" if math.isnan(row.dice_moved) else f", {shift_phrase(row.shift)}"
    return f"Dice {row.dice:.3f}{beside}{away}"


def _found_text(match: VertebraMatch, doubt: str) -> str:
    return "not found" if match.found_as is None else f"found as {NAME_OF_LABEL[match.found_as]}{doubt}"


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
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'e' if noun.endswith('a') else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _matches(matched: MatchedSpine | None) -> str:
    if matched is None:
        return ""
    counts = matched.counts
    shift = (
        f" (all numbers are {abs(counts.shift)} too {'high' if counts.shift > 0 else 'low'})" if counts.shift else ""
    )
    were, others = "was" if counts.found == 1 else "were", "other is" if counts.extra == 1 else "others are"
    caption = (
        f"Of {_count(counts.whole, 'whole vertebra')} of the CT, {counts.found} {were} found with the centroid within "
        f"{FOUND_WITHIN_MM:g} mm, {counts.named} of them under their own name, {counts.named_up_to_shift} up to a "
        f"common shift of all numbers{shift}; {counts.extra} {others} none of the CT."
    )
    heads = "".join(f"<th>{text}</th>" for text in ("Found as", "Distance (mm) ↓", "Named right", "Up to a shift"))
    lines = "".join(_line(row) for row in matched.rows)
    table = (
        f'<table class="levels"><thead><tr><th>Vertebra</th>{heads}<th class="text"></th></tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )
    return f"<p>{caption}</p><details><summary>One by one</summary>{table}</details>"  # on paper the pictures say it


def _line(row: VertebraMatch) -> str:
    found = "not found" if row.found_as is None else NAME_OF_LABEL[row.found_as]
    distance = "–" if row.distance_mm is None else f"{row.distance_mm:.1f}"
    marks = ["yes" if value else "no" for value in (row.named, row.named_up_to_shift)]
    cells = "".join(f"<td>{text}</td>" for text in (found, distance, *marks))
    return f'<tr><th scope="row">{row.name}</th>{cells}<td class="text">{"" if row.whole else "cut"}</td></tr>'
