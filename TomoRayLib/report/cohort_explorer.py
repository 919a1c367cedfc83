"""The interactive part of a cohort's page: a table of all cases that sorts and filters, and a plot of row against row.

Made by Bokeh, whose scripts are put into the page: it opens without a network. Without Bokeh the page has tables alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from TomoRayLib.metrics.scores import COLUMN_OF_KEY, MAIN_SCORES
from TomoRayLib.metrics.statistics import CaseScore, rows_of
from TomoRayLib.report.cohort_result import CohortResult, shown_row

WITHOUT_BOKEH = (
    '<p class="sub">The table of cases that sorts and filters needs the Python package bokeh: install '
    "tomoray[cluster] and run the same command with --resume. All cases are in cases.csv.</p>"
)
TABLE_HEIGHT_PX, TABLE_WIDTH_PX, PLOT_PX = 420, 1040, 420
LINE_PX, LETTER_PX = 25, 8
ANY = "all"
_FILTER = """
const text = words.value.toLowerCase();
const kept = [];
const data = source.data;
for (let i = 0; i < data.case.length; i++) {
    const named = data.case[i].toLowerCase().includes(text) || data.subject[i].toLowerCase().includes(text);
    const of_row = rows.value === any || data.row[i] === rows.value;
    const of_group = groups.value === any || data.groups[i].split("|").includes(groups.value);
    if (named && of_row && of_group) kept.push(i);
}
filter.indices = kept;
source.change.emit();
"""
_PLOT = """
const metric = metrics.value;
points.data.x = values[metric][across.value];
points.data.y = values[metric][up.value];
points.change.emit();
x_axis.axis_label = titles[metric] + ", " + across.value;
y_axis.axis_label = titles[metric] + ", " + up.value;
const finite = points.data.x.concat(points.data.y).filter(Number.isFinite);
if (finite.length) {
    const low = Math.min(...finite), high = Math.max(...finite), rim = 0.05 * (high - low) || 0.5;
    for (const range of [x_range, y_range]) { range.start = low - rim; range.end = high + rim; }
}
"""


def explorer(result: CohortResult) -> str:
    """Return the interactive part as HTML with its scripts; a sentence without Bokeh, nothing without scores."""
    if not result.scores:
        return ""
    try:
        from bokeh.embed import components
        from bokeh.resources import Resources
    except ImportError:
        return WITHOUT_BOKEH
    script, div = components(_layout(result))
    scripts = Resources(mode="inline", components=["bokeh", "bokeh-widgets", "bokeh-tables"]).render()
    return (
        "<h2>Case by case</h2><p>Click on a heading to sort, on a case for its own page; hold Shift or Ctrl to select "
        f"several. The plot shows every case in two rows: above the line, the row going up has the larger value.</p>"
        f"{scripts}{script}{div}"
    )


def _layout(result: CohortResult) -> Any:
    from bokeh.layouts import column, row
    from bokeh.models import CDSView, ColumnDataSource, CustomJS, IndexFilter, Select, TextInput

    source = ColumnDataSource(_lines(result), name="lines")
    names = [shown_row(name) for name in rows_of(result.scores)]
    groups = sorted({group for text in source.data["groups"] for group in text.split("|") if group})
    words = TextInput(name="words", title="Case or person contains", width=240)
    rows = Select(name="rows", title="Row", options=[ANY, *names], value=names[0], width=180)
    chosen = Select(name="groups", title="Group", options=[ANY, *groups], value=ANY, width=240)
    first = [place for place, name in enumerate(source.data["row"]) if name == names[0]]
    only = IndexFilter(first, name="shown")
    arguments = {"source": source, "filter": only, "words": words, "rows": rows, "groups": chosen, "any": ANY}
    callback = CustomJS(args=arguments, code=_FILTER)
    for control in (words, rows, chosen):
        control.js_on_change("value", callback)
    table = _table(source, CDSView(filter=only), result)
    return column(row(words, rows, chosen), table, _plot(result, names))


def _lines(result: CohortResult) -> dict[str, list[Any]]:
    """One line for each case and row: names, groups joined by |, and the main scores; undefined ones are NaN."""
    lines: dict[str, list[Any]] = {"case": [], "page": [], "subject": [], "row": [], "groups": [], "known": []}
    lines |= {key: [] for key in MAIN_SCORES}
    pages = result.pages or {}
    for score in result.scores:
        groups = "|".join((*score.regions, *(f"{fact}: {value}" for fact, value in score.facts.items())))
        for name in rows_of([score]):
            lines["case"].append(score.name)
            lines["page"].append(pages.get(score.name, ""))
            lines["subject"].append(score.subject)
            lines["row"].append(shown_row(name))
            lines["groups"].append(groups)
            lines["known"].append(score.known or "")
            for key in MAIN_SCORES:
                lines[key].append(score.rows[name][key])
    return lines


def _table(source: Any, view: Any, result: CohortResult) -> Any:
    from bokeh.models import DataTable, HTMLTemplateFormatter, NumberFormatter, TableColumn

    link = HTMLTemplateFormatter(
        template='<% if (page) { %><a href="<%- page %>"><%- value %></a><% } else { %><%- value %><% } %>'
    )
    columns = [
        TableColumn(field="case", title="Case", formatter=link, width=_width(source.data["case"], 60)),
        TableColumn(field="subject", title="Person", width=_width(source.data["subject"], 60)),
        TableColumn(field="row", title="Row", width=_width(source.data["row"], 90)),
    ]
    for key in MAIN_SCORES:
        column = COLUMN_OF_KEY[key]
        digits = "0." + "0" * column.decimals if column.decimals else "0"
        formatter = NumberFormatter(format=digits, text_align="right", nan_format="–")
        width = _width([column.heading], 60)
        columns.append(TableColumn(field=key, title=column.heading, formatter=formatter, width=width))
    if any(score.known for score in result.scores):
        columns.append(TableColumn(field="known", title="Known to", width=_width(source.data["known"], 160, 480)))
    return DataTable(
        source=source,
        view=view,
        columns=columns,
        width=TABLE_WIDTH_PX,
        height=min(TABLE_HEIGHT_PX, LINE_PX * (len(result.scores) + 3)),
        autosize_mode="none",  # columns keep their widths, and the table scrolls sideways
        index_position=None,
        selectable=True,
        sortable=True,
    )


def _width(texts: Sequence[str], least: int, most: int = 320) -> int:
    """The width in pixels that the longest of the texts needs, with room for the sign of sorting."""
    return max(least, min(most, 24 + LETTER_PX * max(map(len, texts), default=0)))


def _plot(result: CohortResult, names: Sequence[str]) -> Any:
    from bokeh.layouts import column, row
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, Select, Slope
    from bokeh.plotting import figure

    values = {
        key: {shown_row(name): _column(result.scores, name, key) for name in rows_of(result.scores)}
        for key in MAIN_SCORES
    }
    key = "dice"
    up, across = names[0], names[-1]
    points = ColumnDataSource(
        {"x": values[key][across], "y": values[key][up], "case": [score.name for score in result.scores]}, name="points"
    )
    rim = _range_of([*values[key][across], *values[key][up]])
    plot = figure(
        width=PLOT_PX + 60,
        height=PLOT_PX,
        tools="pan,wheel_zoom,box_zoom,reset,save",
        x_range=rim,
        y_range=rim,
    )
    plot.toolbar.logo = None
    plot.scatter("x", "y", source=points, size=7, alpha=0.6)
    plot.add_layout(Slope(gradient=1, y_intercept=0, line_color="#888888", line_dash="dashed"))
    plot.add_tools(HoverTool(tooltips=[("case", "@case"), ("across", "@x{0.000}"), ("up", "@y{0.000}")]))
    heading = COLUMN_OF_KEY[key].heading
    plot.xaxis.axis_label, plot.yaxis.axis_label = f"{heading}, {across}", f"{heading}, {up}"
    titles = {one: COLUMN_OF_KEY[one].heading for one in MAIN_SCORES}
    metrics = Select(
        name="metrics", title="Score", options=[(one, titles[one]) for one in MAIN_SCORES], value=key, width=200
    )
    going_up = Select(name="up", title="Row going up", options=list(names), value=up, width=200)
    going_across = Select(title="Row going across", options=list(names), value=across, width=200)
    arguments = {
        "metrics": metrics,
        "up": going_up,
        "across": going_across,
        "points": points,
        "values": values,
        "titles": titles,
        "x_axis": plot.xaxis[0],
        "y_axis": plot.yaxis[0],
        "x_range": plot.x_range,
        "y_range": plot.y_range,
    }
    callback = CustomJS(args=arguments, code=_PLOT)
    for control in (metrics, going_up, going_across):
        control.js_on_change("value", callback)
    return row(plot, column(metrics, going_up, going_across))


def _range_of(values: Sequence[float]) -> tuple[float, float]:
    """One range for both axes, so that the line where both rows are equal runs through the plot; as in ``_PLOT``."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    rim = 0.05 * (max(finite) - min(finite)) or 0.5
    return min(finite) - rim, max(finite) + rim


def _column(scores: Sequence[CaseScore], row: str, key: str) -> list[float]:
    """A score of every case in one row; NaN if the case has no such row or no finite value."""
    values = (score.rows[row][key] if row in score.rows else math.nan for score in scores)
    return [value if math.isfinite(value) else math.nan for value in values]
