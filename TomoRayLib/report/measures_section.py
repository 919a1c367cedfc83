"""The measures of a case: a report's section with the values, the true ones, and the error that each is known to have.

It shows the content of ``measures.json``: ``rows`` of single vertebrae, of levels and of the spine as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from TomoRayLib.report.markup import escape
from TomoRayLib.report.measure_words import (
    Row,
    difference_text,
    error_text,
    has_value,
    in_unit,
    is_usable,
    named,
    place_of,
    reason_of,
    usual_text,
    value_text,
    why_missing,
)

LARGE = (
    "cobb_deg",
    "coronal_centroid_angle_deg",
    "thoracic_kyphosis_deg",
    "lumbar_lordosis_deg",
    "sagittal_centroid_angle_deg",
)  # in large figures, beside the lowest wedge ratio
WEDGE = "wedge_ratio"
OF_VERTEBRA = ("height_anterior_mm", "height_middle_mm", "height_posterior_mm", WEDGE, "rotation_deg")
OF_LEVEL = ("disc_height_mm", "segmental_angle_deg", "slip_mm")
FRACTURES = "<b>A plausible healthy vertebra may stand in the place of a fractured one.</b>"
HEALTHY = (
    f"{FRACTURES} Whatever the two radiographs do "
    "not show was filled in with the usual shape of spines, so a normal height here does not exclude a fracture."
)
NO_GRADE = (
    "No Genant grade is given: its grades begin at a loss of 20 to 25 % of a height, and {because}. The wedge ratio "
    "and its error stand in its place."
)


BEYOND = "†"
BEYOND_WORDS = "Beyond the levels at which the expected error is known."


def measures_section(measures: Mapping[str, Any] | None, doubt: str = "") -> str:
    """The section as HTML; nothing without measures.

    Args:
        measures: What ``measures.json`` holds.
        doubt: What stands behind the names of vertebrae, a question mark if their count is unsure.
    """
    if measures is None or not measures["rows"]:
        return ""
    rows = [dict(row) for row in measures["rows"]]
    for row in rows:
        row["place"] = named(str(row["subject"]), doubt)
    of_vertebra = [row for row in rows if row["key"] in OF_VERTEBRA]
    of_level = [row for row in rows if row["key"] in OF_LEVEL]
    of_spine = [row for row in rows if row["key"] not in (*OF_VERTEBRA, *OF_LEVEL)]
    compared = measures.get("truth") is not None
    return (
        f'<h2>Measures</h2><p class="caption">{_caption(compared)}</p>'
        f"<p>{FRACTURES}</p>{_tiles(rows)}"
        f"<h3>The spine as a whole</h3>{_spine_table(of_spine, compared, measures['definitions'])}"
        f"{_group('Bodies: heights and rotation', of_vertebra, OF_VERTEBRA, compared, _heights_notice(rows))}"
        f"{_group('Levels: discs and slip', of_level, OF_LEVEL, compared)}"
        f"{_unusable(rows)}{_definitions(measures['definitions'], rows)}"
    )


def _caption(compared: bool) -> str:
    said = "Measured on the synthetic vertebrae, research use only; nothing here is measured on the patient. "
    said += (
        "<i>Expected error</i> is that of people whom the network was not trained on, synthetic minus true: its mean, "
        "and from where to where 95 % of it lies (limits of agreement)."
    )
    return said + (
        " In brackets: synthetic minus true."
        if compared
        else " <i>Usual</i>: mean and SD of other people at this level, which one would guess without any picture."
    )


def _tiles(rows: Sequence[Row]) -> str:
    """Cobb angle, kyphosis, lordosis and the lowest wedge ratio in large figures, each with its truth and error."""
    tiles = []
    for key in LARGE:
        row = next((row for row in rows if row["key"] == key), None)
        if row is not None:
            tiles.append(_tile(f"{row['title']}, {row['place']}", row))
    wedges = [row for row in rows if row["key"] == WEDGE and row["synthetic"] is not None]
    if wedges:
        lowest = min(wedges, key=lambda row: float(row["synthetic"]))
        true = [row for row in rows if row["key"] == WEDGE and row["truth"] is not None]
        truly = min(true, key=lambda row: float(row["truth"]), default=None)
        elsewhere = ""
        if truly is not None and truly["subject"] != lowest["subject"]:
            elsewhere = f"Lowest of the truth: {value_text(truly, 'truth')} at {escape(truly['place'])}"
        tiles.append(_tile(f"Lowest wedge ratio, {lowest['place']}", lowest, elsewhere))
    return f'<div class="tiles measures">{"".join(tiles)}</div>' if tiles else ""


def _tile(title: str, row: Row, more: str = "") -> str:
    lines = []
    if row["synthetic"] is None:
        lines.append(escape(reason_of(row, "synthetic")))
    if row["truth"] is not None:
        apart = "" if row["difference"] is None else f" (difference {difference_text(row)})"
        lines.append(f"Truth: {value_text(row, 'truth', unit=True)}{apart}")
    lines += [more] if more else []
    usual = usual_text(row) if row["truth"] is None and row["synthetic"] is not None else ""
    lines += [usual.capitalize()] if usual else []
    if row["synthetic"] is not None:
        lines.append(f"Expected error: {error_text(row)}")
    spans = "".join(f"<span>{line}</span>" for line in lines)
    if row["synthetic"] is not None:
        spans += _doubtful(row, "Too uncertain to be of use")
    return (
        f'<div class="tile"><span>{escape(title)}</span><b>{value_text(row, "synthetic", unit=True)}</b>{spans}</div>'
    )


def _doubtful(row: Row, text: str) -> str:
    """The text, if the known error makes the measure useless or is not known."""
    return "" if is_usable(row) else f'<span class="doubtful">{text}</span>'


def _spine_table(rows: Sequence[Row], compared: bool, definitions: Mapping[str, Any]) -> str:
    """Measures of stretches, one a line, with what each is of use for."""
    if not rows:
        return "<p>None.</p>"
    heads = ["Synthetic", *(["Truth", "Difference"] if compared else []), "Expected error"]
    lines = ""
    for row in rows:
        values = [value_text(row, "synthetic", unit=True)]
        values += [value_text(row, "truth", unit=True), difference_text(row)] if compared else []
        why = "; ".join(
            dict.fromkeys(filter(None, (why_missing(row, "synthetic"), why_missing(row, "truth") if compared else "")))
        )
        cells = "".join(f"<td>{value}</td>" for value in values)
        of_use = f"tells {escape(definitions[row['key']]['useful_for'])}"
        note = escape(why) or (of_use if is_usable(row) else "too uncertain to be of use")
        lines += (
            f'<tr><th scope="row">{escape(row["title"])}, {escape(row["place"])}</th>{cells}<td>{error_text(row)}</td>'
            f'<td class="text">{note}</td></tr>'
        )
    head = "".join(f"<th>{text}</th>" for text in heads)
    return (
        f'<table class="levels measured"><thead><tr><th>Measure</th>{head}<th class="text"></th></tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def _group(title: str, rows: Sequence[Row], keys: Sequence[str], compared: bool, notice: str = "") -> str:
    """Measures of single vertebrae or levels: a line for each, a column for each kind, below the kinds' errors."""
    if not rows:
        return ""
    of = {(row["subject"], row["key"]): row for row in rows}
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    used = [key for key in keys if any(row["key"] == key for row in rows)]
    shown = [one for one in subjects if any(has_value(of.get((one, key))) for key in used)]
    first = {key: _known_row(rows, key) for key in used}
    head = "".join(f"<th>{escape(row['title'])}{in_unit(row)}</th>" for row in first.values())
    lines = "".join(
        f'<tr><th scope="row">{escape(place_of(rows, subject))}</th>'
        f"{''.join(_cell(of.get((subject, key)), compared, first[key]) for key in used)}</tr>"
        for subject in shown
    )
    errors = "".join(f"<td>{error_text(row)}{_doubtful(row, 'too uncertain')}</td>" for row in first.values())
    table = (
        f'<table class="levels measured"><thead><tr><th></th>{head}</tr></thead><tbody>{lines}</tbody>'
        f'<tfoot><tr><th scope="row">Expected error</th>{errors}</tr></tfoot></table>'
        if shown
        else ""
    )
    notes = f'<p class="note">{BEYOND} {BEYOND_WORDS}</p>' if BEYOND in table else ""
    return f"<h3>{title}</h3>{notice}{table}{notes}{_reasons(rows, compared)}"


def _known_row(rows: Sequence[Row], key: str) -> Row:
    """A row of a kind, one whose error is known if there is any: it stands for all of them."""
    of_kind = [row for row in rows if row["key"] == key]
    return next((row for row in of_kind if row["error"] is not None), of_kind[0])


def _cell(row: Row | None, compared: bool, kind: Row) -> str:
    """A value; below it the true one, or without a truth what is usual at this level. ``kind`` has the kind's error."""
    if row is None:
        return "<td></td>"
    beyond = BEYOND if row["error"] is None and kind["error"] is not None and row["synthetic"] is not None else ""
    below = usual_text(row)
    if compared:
        if row["truth"] is None:
            below = ""
        elif row["synthetic"] is None:
            return f'<td class="alone">truth {value_text(row, "truth")}</td>'
        else:
            below = f"truth {value_text(row, 'truth')} ({difference_text(row)})"
    return f"<td>{value_text(row, 'synthetic')}{beyond}{f'<span>{below}</span>' if below else ''}</td>"


def _reasons(rows: Sequence[Row], compared: bool) -> str:
    """What cannot be measured and why, each reason once with the vertebrae that it concerns."""
    parts = (("synthetic", ""), ("truth", "truth: ")) if compared else (("synthetic", ""),)
    concerned: dict[str, dict[str, list[str]]] = {}
    for which, before in parts:
        for row in rows:
            reason = why_missing(row, which)
            if reason:
                titles = concerned.setdefault(before + reason, {}).setdefault(row["place"], [])
                titles.append(str(row["title"]).lower())
    if not concerned:
        return ""
    kinds = len({row["key"] for row in rows})
    items = "".join(
        f"<li>{escape(', '.join(_concerned(place, titles, kinds) for place, titles in places.items()))}: "
        f"{escape(reason)}.</li>"
        for reason, places in concerned.items()
    )
    return f'<ul class="reasons">{items}</ul>'


def _concerned(place: str, titles: Sequence[str], kinds: int) -> str:
    return place if len(titles) == kinds else f"{place} ({', '.join(titles)})"


def _heights_notice(rows: Sequence[Row]) -> str:
    """The warning that belongs to heights, and why there is no Genant grade."""
    wedge = next((row for row in rows if row["key"] == WEDGE and row["error"] is not None), None)
    because = "the error of a height measured here is not known"
    if wedge is not None:
        enough = "enough to turn one grade into another" if is_usable(wedge) else "more than a grade"
        because = f"the error expected of the wedge ratio, {error_text(wedge)}, is {enough}"
    return f'<div class="callout"><p>{HEALTHY}</p><p>{NO_GRADE.format(because=because)}</p></div>'


def _unusable(rows: Sequence[Row]) -> str:
    """The errors of what is not of use, in words."""
    known = {row["title"]: row for row in rows if row["error"] is not None}
    said = {title: row["error"]["sentence"] for title, row in known.items() if not is_usable(row)}
    unknown = [title for title in dict.fromkeys(row["title"] for row in rows) if title not in known]
    items = "".join(f"<li><b>{escape(title)}.</b> {escape(text)}</li>" for title, text in said.items())
    if unknown:
        items += f"<li><b>{escape(', '.join(unknown))}.</b> The error is not known: do not rely on the value.</li>"
    return f'<h3>Too uncertain to be of use</h3><ul class="reasons">{items}</ul>' if items else ""


def _definitions(definitions: Mapping[str, Mapping[str, str]], rows: Sequence[Row]) -> str:
    """What each measure is and where the definition comes from: folded on the screen, open on paper."""
    items = "".join(
        f"<dt>{escape(one['title'])}{in_unit(one)}</dt>"
        f"<dd>{escape(one['definition'])} <i>{escape(one['source'])}.</i></dd>"
        for key, one in definitions.items()
        if any(row["key"] == key for row in rows)
    )
    content = f'<dl class="definitions">{items}</dl>'
    title = "How each is measured"
    return (
        f"<details><summary>{title}</summary>{content}</details>"
        f'<div class="paper-only"><h3>{title}</h3>{content}</div>'  # paper cannot unfold
    )
