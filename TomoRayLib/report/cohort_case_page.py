"""The page of one case of a cohort: its picture, every row's scores, vertebra by vertebra, remarks, facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.report.drawing import data_uri
from TomoRayLib.report.markup import escape
from TomoRayLib.report.page import html_page
from TomoRayLib.report.tables import provenance_table, scores_section

PICTURE = "Sagittal and coronal slice in the bone window; everything but the truth is synthetic."


def case_page(record: Mapping[str, Any], png: bytes | None) -> str:
    """Render the page of a case.

    Args:
        record: As ``evaluation.case_scoring.score_case`` gives it.
        png: The case's picture, if there is one.

    Returns:
        The page, self-contained.
    """
    table = MetricsTable.from_json_dict(record["metrics"])
    known = record.get("known")
    remarks = [f"Known: {known}." if known else "", *record["warnings"]]
    shown = "".join(f"<li>{escape(text)}</li>" for text in remarks if text)
    picture = ""
    if png is not None:
        picture = f'<figure><img src="{data_uri(png)}" alt="{PICTURE}" style="width: auto; max-width: 100%">'
        picture += f"<figcaption>{PICTURE}</figcaption></figure>"
    made = {
        "facts": record["facts"],
        "notes": record["notes"],
        "settings": record["metrics"]["settings"],
        "stages": record["stages"],
        "made_from": {"prepared": record["made_from"]["prepared"], **record["made_from"]["rows"]},
    }
    return html_page(
        f"{record['case']} \N{EN DASH} TomoRay, cohort",
        [
            f"<h1>{escape(record['case'])}</h1>"
            f'<p class="sub">Person {escape(record["subject"])}. <a href="../summary.html">All cases</a></p>',
            f'<div class="callout"><ul>{shown}</ul></div>' if shown else "",
            picture,
            scores_section(table),
            provenance_table(made),
        ],
    )
