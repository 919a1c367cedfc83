"""How well a method's measures agree with the true ones over a cohort: tables, and Bland-Altman plots as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from TomoRayLib.base.text_formats import csv_text
from TomoRayLib.measures.agreement import Agreement, Pair, agreement_of
from TomoRayLib.measures.definitions import DEFINITIONS, MeasureDefinition
from TomoRayLib.measures.known_errors import FEWEST, KnownError, known_error
from TomoRayLib.measures.usual import UsualMeasures
from TomoRayLib.metrics.statistics import CaseScore
from TomoRayLib.report.cohort_result import CohortResult, shown_row
from TomoRayLib.report.markup import escape

PAIR_COLUMNS = ("case", "subject", "row", "measure", "place", "unit", "truth", "synthetic", "difference", "reason")
AGREEMENT_COLUMNS = (
    "row", "measure", "unit", "true_values", "n", "people", "bias", "sd", "low", "high", "mean_absolute", "icc"
)  # fmt: skip
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 300.0, 190.0, 44.0, 52.0, 26.0, 34.0
# Okabe and Ito's colours, a dark grey first: one for each person, in turn
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555")


def measures_csv(scores: Sequence[CaseScore]) -> str:
    """One line per case, row and measure that the truth has; what the method lacks is empty, with the reason."""
    lines = []
    for score in scores:
        for row, found in score.measures.items():
            for one in found:
                values = one["truth"], one["synthetic"]
                difference = None if values[1] is None else round(values[1] - values[0], 4)
                unit = DEFINITIONS[one["key"]].unit
                place = (score.name, score.subject, row, one["key"], one["subject"], unit)
                lines.append((*place, *values, difference, one["reason"]))
    return csv_text(PAIR_COLUMNS, lines)


def agreement_csv(result: CohortResult) -> str:
    """One line per method and kind of measure: bias, limits of agreement, ICC."""
    lines = []
    for method in result.methods:
        there = _true_values(result, method)
        for key, agreement in agreements_of(result, method).items():
            values = agreement.to_json_dict()
            numbers = [values[name] for name in AGREEMENT_COLUMNS[4:]]
            lines.append((method, key, DEFINITIONS[key].unit, there[key], *numbers))
    return csv_text(AGREEMENT_COLUMNS, lines)


def agreements_of(result: CohortResult, method: str) -> dict[str, Agreement]:
    """Return the agreement of each kind of measure that the truth of the cohort has, none compared or many."""
    pairs = result.measured_of(method)
    return {key: agreement_of(pairs.get(key, ())) for key in _true_values(result, method)}


def measures_section(result: CohortResult) -> str:
    """Render tables and plots of all methods that tell vertebrae apart; nothing without any."""
    parts = []
    for method in result.methods:
        there = _true_values(result, method)
        if there:
            parts.append(_table(result, method, there) + _plots(result.measured_of(method)))
    if not parts:
        return ""
    return (
        "<h2>Measures</h2><p>Heights, discs and angles of the synthetic vertebrae against those of the true ones, "
        "paired by place. Bias is synthetic minus true; the limits of agreement are bias and 1.96 SD to either side, "
        "of variance within and between people, and themselves uncertain with few people. <i>A guess</i> takes the "
        "usual value of other people for each. Angles and lengths of stretches are over the vertebrae that both have: "
        "a true curve beyond them is not in it. ICC(A,1) is 1 for equal values and around 0 for values that do not "
        "follow the true ones; stretches of unlike lengths alone make it high. A volume without bone and the mean "
        "atlas have no vertebrae told "
        f"apart, and so no measures.</p>{''.join(parts)}"
    )


def _true_values(result: CohortResult, method: str) -> dict[str, int]:
    """How many true values of each kind there are in the cases that means are made of."""
    counts: dict[str, int] = {}
    for score in result.summarised:
        for one in score.measures.get(method, ()):
            counts[one["key"]] = counts.get(one["key"], 0) + 1
    return {key: counts[key] for key in DEFINITIONS if key in counts}


def _table(result: CohortResult, method: str, there: Mapping[str, int]) -> str:
    lines = ""
    measured, usual = result.measured_of(method), result.usual
    for key, agreement in agreements_of(result, method).items():
        definition, pairs = DEFINITIONS[key], measured.get(key, [])
        error = known_error(key, pairs, usual)
        limits = f"{_signed(agreement.low, definition)} to {_signed(agreement.high, definition)}"
        cells = (
            f"{agreement.n} of {there[key]}",
            str(agreement.people),
            _signed(agreement.bias, definition),
            limits if math.isfinite(agreement.low) else "\N{EN DASH}",
            _plain(agreement.mean_absolute, definition) if agreement.n else "\N{EN DASH}",
            _guess_errs(error, definition),
            "\N{EN DASH}" if math.isnan(agreement.icc) else f"{agreement.icc:.2f}",
            _verdict(key, pairs, usual),
        )
        texts = [
            f'<td class="text">{cell}</td>' if place == len(cells) - 1 else f"<td>{cell}</td>"
            for place, cell in enumerate(cells)
        ]
        unit = f" ({definition.unit})" if definition.unit else ""
        lines += f'<tr><th scope="row">{escape(definition.title)}{unit}</th>{"".join(texts)}</tr>'
    heads = ("Measured", "People", "Bias", "95 % limits", "Mean error", "A guess errs", "ICC")
    heading = "".join(f"<th>{head}</th>" for head in heads)
    return (
        f"<table><caption>{escape(shown_row(method))}: synthetic minus true</caption><thead><tr><th>Measure</th>"
        f'{heading}<th class="text">Of use for</th></tr></thead><tbody>{lines}</tbody></table>'
    )


def _guess_errs(error: KnownError | None, definition: MeasureDefinition) -> str:
    return "\N{EN DASH}" if error is None or error.guess is None else _plain(error.guess, definition)


def _verdict(key: str, pairs: Sequence[Pair], usual: UsualMeasures) -> str:
    """What the measure is of use for, as ``KnownError`` judges it."""
    error, useful_for = known_error(key, pairs, usual), escape(DEFINITIONS[key].useful_for)
    if error is None or min(error.n, error.people) < FEWEST:
        return "too few to tell"
    if error.usable:
        return useful_for
    if error.guess is None:
        return f"not known for {useful_for}: no usual value to compare with"
    return f"not for {useful_for}"


def _plots(pairs: Mapping[str, Sequence[Pair]]) -> str:
    plotted = [bland_altman_svg(DEFINITIONS[key], found) for key, found in pairs.items() if len(found) > 1]
    if not plotted:
        return ""
    shown = (
        '<p class="caption">Across: mean of true and synthetic; up: synthetic minus true. Solid: bias; dashed: limits '
        "of agreement; pale: no difference. One colour for each person, named if pointed at.</p>"
        f'<div class="plots">{"".join(plotted)}</div>'
    )
    return (
        f"<details><summary>Bland-Altman plots</summary>{shown}</details>"
        f'<div class="paper-only"><h3>Bland-Altman plots</h3>{shown}</div>'
    )


def bland_altman_svg(definition: MeasureDefinition, pairs: Sequence[Pair]) -> str:
    """Draw differences over means with bias and limits of agreement, as an SVG element."""
    agreement = agreement_of(pairs)
    means = [(pair.truth + pair.synthetic) / 2 for pair in pairs]
    differences = [pair.difference for pair in pairs]
    x_low, x_high = _widened(min(means), max(means))
    y_low, y_high = _widened(min(*differences, agreement.low, 0.0), max(*differences, agreement.high, 0.0))

    def x(value: float) -> float:
        return LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    people = {person: number for number, person in enumerate(sorted({pair.person for pair in pairs}))}
    marks = [
        f'<circle cx="{x(mean):.1f}" cy="{y(one):.1f}" r="3" fill="{COLORS[people[pair.person] % len(COLORS)]}" '
        f'fill-opacity="0.75"><title>{escape(pair.person)}, {escape(pair.subject)}: {_signed(one, definition)}</title>'
        "</circle>"
        for mean, one, pair in zip(means, differences, pairs, strict=True)
    ]
    lines = [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}" stroke="#bbb"/>']
    for value, dash in ((agreement.bias, ""), (agreement.low, "5 3"), (agreement.high, "5 3")):
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#222" '
            f'stroke-dasharray="{dash}"/><text x="{WIDTH - RIGHT + 4}" y="{y(value) + 4:.1f}">'
            f"{_signed(value, definition)}</text>"
        )
    ends = [
        f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="{anchor}">{_plain(value, definition)}</text>'
        for value, anchor in ((x_low, "start"), (x_high, "end"))
    ]
    unit = f" ({definition.unit})" if definition.unit else ""
    title = f"{definition.title}{unit}, n = {agreement.n} of {agreement.people} people"
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}" role="img" '
        f'aria-label="Bland-Altman plot: {escape(title)}" font-size="11" font-family="inherit" fill="#222">'
        f'<text x="{LEFT}" y="15" font-weight="bold">{escape(title)}</text>'
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" fill="none" '
        f'stroke="#ccc"/>{"".join(lines)}{"".join(marks)}{"".join(ends)}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">mean of both</text></svg>'
    )


def _widened(low: float, high: float) -> tuple[float, float]:
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _signed(value: float, definition: MeasureDefinition) -> str:
    if math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:+.{definition.decimals}f}".replace("-", "\N{MINUS SIGN}")


def _plain(value: float, definition: MeasureDefinition) -> str:
    return f"{value:.{definition.decimals}f}".replace("-", "\N{MINUS SIGN}")
