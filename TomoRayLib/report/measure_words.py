"""The rows of ``measures.json`` in words: values, differences, errors, reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from TomoRayLib.report.markup import escape

Row = Mapping[str, Any]

NOT_KNOWN = "not known"
DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def named(subject: str, doubt: str) -> str:
    """A subject with the doubt behind each vertebra's name: ``"T5?-T12?"``; the spine has none."""
    if not doubt or subject == "spine":
        return subject
    for sign in ("/", "-"):
        if sign in subject:
            return sign.join(part + doubt for part in subject.split(sign))
    return subject + doubt


def place_of(rows: Iterable[Row], subject: str) -> str:
    return next(str(row["place"]) for row in rows if row["subject"] == subject)


def has_value(row: Row | None) -> bool:
    return row is not None and (row["synthetic"] is not None or row["truth"] is not None)


def is_usable(row: Row) -> bool:
    return row["error"] is not None and bool(row["error"]["usable"])


def value_text(row: Row, which: str, unit: bool = False) -> str:
    number = row[which]
    return DASH if number is None else _number(float(number), row["unit"], unit)


def difference_text(row: Row) -> str:
    return DASH if row["difference"] is None else _number(float(row["difference"]), row["unit"], signed=True)


def error_text(row: Row) -> str:
    """Bias and limits of agreement: ``"−0.8 (−4.1 to +2.5), n = 57"``."""
    error = row["error"]
    if error is None:
        return NOT_KNOWN
    bias, low, high = (_number(float(error[key]), row["unit"], signed=True) for key in ("bias", "low", "high"))
    return f"{bias} ({low} to {high}), n{SPACE}={SPACE}{error['n']}"


def usual_text(row: Row) -> str:
    """What is usual of other people at this level: ``"usual 23.1 ± 1.9"``; nothing if it is not known."""
    usual = row.get("usual")
    if usual is None:
        return ""
    mean, sd = (_number(float(usual[key]), row["unit"]) for key in ("mean", "sd"))
    return f"usual {mean} ± {sd}"


def _number(value: float, unit: str, with_unit: bool = False, signed: bool = False) -> str:
    """A value with one decimal, a ratio with two: as they are known, and no more."""
    digits = 1 if unit else 2
    text = f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}".replace("-", MINUS)  # no minus zero
    if not with_unit or not unit:
        return text
    return f"{text}{unit}" if unit == "°" else f"{text} {unit}"


def in_unit(row: Row) -> str:
    return f" ({escape(row['unit'])})" if row["unit"] else ""


def why_missing(row: Row, which: str) -> str:
    """Why a value is missing, as a whole phrase; nothing if it is there."""
    return "" if row[which] is not None else reason_of(row, which)


def reason_of(row: Row, which: str) -> str:
    return str(row.get(f"{which}_reason") or "not measurable")
