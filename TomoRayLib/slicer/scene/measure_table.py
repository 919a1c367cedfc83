"""The measures of a case as a table node: synthetic beside true ones, what is usual, and the error known of each kind.

The node keeps ``measures.json`` whole: for the CSV file, for the panel's list, and to rename the vertebrae.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import vtk
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.slicer.scene.vertebra_names import UNSURE_MARK

MEASURES_KEY = "TomoRay.Measures"  # node attribute: measures.json as text
Row = Mapping[str, Any]


def fill_measure_table(node: Any, measures: Mapping[str, Any]) -> None:
    """Fill a table node from the content of ``measures.json``: one line per measure, the unit in a column of its own.

    A measure that neither side has is listed too, with the reason.
    """
    compared = measures["truth"] is not None
    columns = [
        (_("Measure"), lambda row: row["title"]),
        (_("Of"), lambda row: shown_subject(measures, row)),
        (_("Unit"), lambda row: row["unit"]),
        (_("Synthetic"), lambda row: number_text(row, "synthetic")),
        *([(_("True"), lambda row: number_text(row, "truth"))] if compared else []),
        *([(_("Difference"), difference_text)] if compared else []),
        (_("Usual"), usual_text),
        (_("Known error: mean (95 % of it)"), known_error_text),
        (_("Not measurable"), reason_text),
    ]
    was_modifying = node.StartModify()
    node.RemoveAllColumns()
    for heading, text in columns:
        column = vtk.vtkStringArray()
        column.SetName(heading)
        for row in measures["rows"]:
            column.InsertNextValue(text(row))
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    node.SetAttribute(MEASURES_KEY, json.dumps(measures))
    node.EndModify(was_modifying)


def measures_of(node: Any) -> dict[str, Any]:
    """The content of ``measures.json`` that a table node was filled from."""
    content: dict[str, Any] = json.loads(node.GetAttribute(MEASURES_KEY))
    return content


def measures_csv(node: Any) -> str:
    """The measures as CSV in full precision, as ``measures.csv`` of a results folder."""
    from TomoRayLib.base.text_formats import csv_text
    from TomoRayLib.measures.comparison import COLUMNS, csv_cells

    return csv_text(COLUMNS, [csv_cells(row) for row in measures_of(node)["rows"]])


def export_measures(node: Any, path: Path) -> None:
    """Write the measures as CSV atomically. Raises OutputError if the file cannot be written."""
    from TomoRayLib.base.files import write_atomically

    with write_atomically(path) as partial:
        partial.write_text(measures_csv(node), encoding="utf-8")


def shown_subject(measures: Mapping[str, Any], row: Row) -> str:
    """What a row measures: with a truth by its names; otherwise with a question mark if the count is unsure."""
    return str(row["subject"]) if measures["truth"] is not None else doubted(measures, row["subject"])


def doubted(measures: Mapping[str, Any], subject: str) -> str:
    """A subject in the synthetic CT's own names, with a question mark behind each if the count is unsure."""
    from TomoRayLib.report.measure_words import named

    return named(subject, UNSURE_MARK if measures["numbering"] == UNSURE else "")


def number_text(row: Row, which: str, unit: bool = False) -> str:
    """A value ("synthetic" or "truth") with the decimals that are of use; a dash if there is none."""
    from TomoRayLib.report.measure_words import value_text

    return value_text(row, which, unit)


def difference_text(row: Row) -> str:
    """Synthetic minus true with its sign; a dash without one of them."""
    from TomoRayLib.report.measure_words import difference_text as text

    return text(row)


def usual_text(row: Row) -> str:
    """Mean and SD of other people's; a dash if they are not known."""
    usual, digits = row.get("usual"), 1 if row["unit"] else 2
    if usual is None:
        return "\N{EN DASH}"
    return f"{usual['mean']:.{digits}f} ± {usual['sd']:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def known_error_text(row: Row) -> str:
    """The known error, with "not of use" in front if it is too wide."""
    from TomoRayLib.report.measure_words import error_text

    if row["error"] is None:
        return _("not known")
    text = error_text(row)
    return text if row["error"]["usable"] else _("not of use: {error}").format(error=text)


def limits_text(row: Row) -> str:
    """Between what 95 % of the errors lay: ``"−5.7 to +7.8"``."""
    digits = 1 if row["unit"] else 2
    low, high = (f"{row['error'][key]:+.{digits}f}".replace("-", "\N{MINUS SIGN}") for key in ("low", "high"))
    return _("{low} to {high}").format(low=low, high=high)


def reason_text(row: Row) -> str:
    """Why a value is missing, of the synthetic CT and of the true one; empty if none is."""
    said = [_reason(row["synthetic_reason"], "")]
    said.append(_reason(row["truth_reason"], _("truth: ")))
    return "; ".join(filter(None, said))


def _reason(reason: str | None, before: str) -> str:
    return "" if not reason else before + reason.removeprefix("not measurable, because ")


def kinds_of_use(rows: Iterable[Row]) -> Sequence[str]:
    """Titles of the kinds of measures that were taken and whose known error is small enough, each once."""
    taken = (row for row in rows if row["synthetic"] is not None and row["error"] is not None)
    return list(dict.fromkeys(str(row["title"]) for row in taken if row["error"]["usable"]))
