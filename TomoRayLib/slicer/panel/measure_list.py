"""What the panel's list of measures shows: its lines, and what is said of a line that is chosen. Texts alone, no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

from TomoRayLib.measures.definitions import OF_CURVE, OF_LEVEL, OF_VERTEBRA
from TomoRayLib.slicer.scene.measure_table import (
    difference_text,
    doubted,
    kinds_of_use,
    limits_text,
    number_text,
    reason_text,
    shown_subject,
    usual_text,
)

Row = Mapping[str, Any]
HEIGHTS = ("height_anterior_mm", "height_middle_mm", "height_posterior_mm")
MAIN_CURVES = ("cobb_deg", "thoracic_kyphosis_deg", "lumbar_lordosis_deg")
DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Line:
    """One line: its four texts, the rows of ``measures.json`` whose markups it shows, and the lines inside it."""

    title: str
    synthetic: str
    truth: str
    error: str
    rows: tuple[Row, ...]
    of_use: bool
    inside: tuple[Line, ...] = ()


def lines_of(measures: Mapping[str, Any]) -> tuple[Line, ...]:
    """Cobb angle, kyphosis and lordosis, each vertebra of which anything was measured, each disc, the spine's rest."""
    rows = measures["rows"]
    of_curve = sorted((row for row in rows if row["key"] in OF_CURVE), key=lambda row: OF_CURVE.index(row["key"]))
    curve = [_line_of(measures, row) for row in of_curve if row["key"] in MAIN_CURVES]
    others = [_line_of(measures, row) for row in of_curve if row["key"] not in MAIN_CURVES]
    bodies = _groups(measures, OF_VERTEBRA, HEIGHTS, _("{of}, heights (mm)"))
    levels = _groups(measures, OF_LEVEL, OF_LEVEL[:1], _("{of}, disc (mm)"))
    return (*curve, *bodies, *levels, *others)


def headline(measures: Mapping[str, Any]) -> str:
    """Which measures are precise enough to be of use, in a sentence."""
    of_use = kinds_of_use(measures["rows"])
    said = _("Measured on SYNTHETIC vertebrae: research use only.") + " "
    if not any(row["synthetic"] is not None for row in measures["rows"]):
        return said + _("None could be measured: choose a line to read why.")
    if not of_use:
        return said + _(
            "No value below is precise enough to decide anything by. Choose a line to see it and to read why."
        )
    kinds = ", ".join(of_use).lower()
    return said + _(
        "Precise enough to be of use: {kinds}. The others are not: choose a line to see it and to read why."
    ).format(kinds=kinds)


def said_of(measures: Mapping[str, Any], line: Line, moved: str = "") -> str:
    """What is said of a chosen line: values, what is usual, and the error in words; ``moved`` is what markups show."""
    if len(line.rows) != 1:
        return _said_of_group(measures, line)
    (row,) = line.rows
    values = []
    if row["synthetic"] is not None:
        values.append(_("SYNTHETIC {value}").format(value=number_text(row, "synthetic", unit=True)))
    if row["truth"] is not None:
        values.append(_("true {value}").format(value=number_text(row, "truth", unit=True)))
    if row["difference"] is not None:
        values.append(_("difference {value}").format(value=difference_text(row)))
    if row.get("usual") is not None:
        values.append(_("usual in other people {value}").format(value=usual_text(row)))
    said = [_("{title}: {values}.").format(title=_titled(measures, row), values="; ".join(values) or DASH)]
    said += _counted(measures, row)
    if reason_text(row):
        said.append(_("Not measurable: {reason}.").format(reason=reason_text(row)))
    if row["synthetic"] is not None:
        said.append(row["error"]["sentence"] if row["error"] is not None else _unknown())
    if moved:
        said.append(moved)
    return "\n".join(said)


def _said_of_group(measures: Mapping[str, Any], line: Line) -> str:
    rows = [one.rows[0] for one in line.inside]
    kinds = (("synthetic", _("SYNTHETIC {values}")), ("truth", _("true {values}")))
    parts = [
        text.format(values=", ".join(_short_value(row, which) for row in rows if row[which] is not None))
        for which, text in kinds
        if any(row[which] is not None for row in rows)
    ]
    said = [_("{of}: {values}.").format(of=shown_subject(measures, rows[0]), values="; ".join(parts) or DASH)]
    said += _counted(measures, rows[0])
    if rows[0]["synthetic"] is None:
        said.append(_("Not measurable: {reason}.").format(reason=reason_text(rows[0])))
    elif not any(one.of_use for one in line.inside):
        said.append(_("None of these is precise enough to decide anything by: open the line, choose one to read why."))
    return "\n".join(said)


def _short_value(row: Row, which: str) -> str:
    return f"{row['title'].lower()} {number_text(row, which, unit=True)}"


def _counted(measures: Mapping[str, Any], row: Row) -> list[str]:
    """What the synthetic CT calls the subject, if it has another name for it."""
    if row["synthetic"] is None or row["synthetic_subject"] == row["subject"]:
        return []
    return [_("The synthetic CT counts it as {name}.").format(name=doubted(measures, row["synthetic_subject"]))]


def _titled(measures: Mapping[str, Any], row: Row) -> str:
    """ "Cobb angle, T10-L1"; without an end vertebra the title alone."""
    if row["subject"] == "spine":
        return str(row["title"])
    return _("{measure}, {of}").format(measure=row["title"], of=shown_subject(measures, row))


def _unknown() -> str:
    return _("Its error is not known, because it could not be compared on real CTs: do not rely on the value.")


def _line_of(measures: Mapping[str, Any], row: Row, inside: bool = False) -> Line:
    title = row["title"] if inside else _titled(measures, row)
    synthetic, truth = (number_text(row, which, unit=True) for which in ("synthetic", "truth"))
    return Line(title, synthetic, truth, _error_of(row), (row,), _is_of_use(row))


def _error_of(row: Row) -> str:
    if row["synthetic"] is None:
        return DASH
    if row["error"] is None:
        return _("not known")
    return limits_text(row) if row["error"]["usable"] else _("not of use")


def _is_of_use(row: Row) -> bool:
    return row["synthetic"] is not None and row["error"] is not None and bool(row["error"]["usable"])


def _groups(measures: Mapping[str, Any], keys: Sequence[str], main: Sequence[str], title: str) -> list[Line]:
    """A line for each vertebra or level with any value: the measures ``keys`` inside, those of ``main`` on it."""
    subjects = dict.fromkeys(row["subject"] for row in measures["rows"] if row["key"] in keys)
    lines = []
    for subject in subjects:
        rows = {row["key"]: row for row in measures["rows"] if row["subject"] == subject and row["key"] in keys}
        if all(row["synthetic"] is None and row["truth"] is None for row in rows.values()):
            continue
        first = tuple(rows[key] for key in main)
        inside = tuple(_line_of(measures, row, inside=True) for row in rows.values())
        synthetic, truth = (_in_short(first, which) for which in ("synthetic", "truth"))
        said, of_use = title.format(of=shown_subject(measures, first[0])), all(_is_of_use(row) for row in first)
        lines.append(Line(said, synthetic, truth, _error_of_group(first), first, of_use, inside))
    return lines


def _in_short(rows: Sequence[Row], which: str) -> str:
    """Several values in whole mm, one with its decimal; a dash if there is none."""
    if len(rows) == 1:
        return number_text(rows[0], which)
    if all(row[which] is None for row in rows):
        return DASH
    return " / ".join(DASH if row[which] is None else f"{row[which]:.0f}" for row in rows)


def _error_of_group(rows: Sequence[Row]) -> str:
    """The one error that all have, else that of the first which is not of use."""
    errors = [_error_of(row) for row in rows]
    return next((text for row, text in zip(rows, errors, strict=True) if not _is_of_use(row)), errors[0])
