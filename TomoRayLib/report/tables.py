"""The tables of the report as HTML: scores next to their two baselines, scores per vertebra, provenance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from TomoRayLib.metrics.scores import COLUMN_OF_KEY, GLANCE_SCORES, METRIC_COLUMNS, MetricColumn
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS, MetricsTable
from TomoRayLib.report.markup import escape
from TomoRayLib.report.shift_words import shift_sentences
from TomoRayLib.report.vertebra_scores import against_atlas_sentence, vertebra_table

NAME_OF_ROW = {"tomoray": "TomoRay", BLANK: "Blank volume", MEAN_ATLAS: "Mean atlas"}
_TILE_COLUMNS = "grid-template-columns: repeat(auto-fit, minmax(124px, 1fr))"  # all in one row if there is room
LONGEST_LIST = 8  # longer lists of numbers are summed up
_UNIT_ENDINGS = {"_mm": "mm", "_hu": "HU", "_deg": "°", "_s": "s", "_px": "pixels", "_mb": "MB"}
_WORDS = {
    "ap": "AP",
    "ct": "CT",
    "fov": "FOV",
    "sha256": "SHA-256",
    "sad": "SAD",
    "sid": "SID",
    "hu": "HU",
    "url": "URL",
    "tomoray": "TomoRay",
}


def at_a_glance(table: MetricsTable) -> str:
    """Five scores of the first row in large figures, each with that of the mean atlas (or the blank volume); below, the
    vertebrae in which the atlas is ahead."""
    other = MEAN_ATLAS if MEAN_ATLAS in table.names else BLANK
    name = table.names[0]
    tiles = []
    for key in GLANCE_SCORES:
        column = COLUMN_OF_KEY[key]
        unit = f" {column.unit}" if column.unit else ""
        value = column.format(table[name][key])
        compared = "" if other not in table.names else f"{_row_name(other)}: {column.format(table[other][key])}{unit}"
        tiles.append(
            f'<div class="tile"><span>{escape(column.title)} {_arrow(column)}</span><b>{value}{unit}</b>'
            f"<span>{compared}</span></div>"
        )
    ahead = against_atlas_sentence(table, _row_name(name))
    said = f"<p>{escape(ahead)}</p>" if ahead else ""
    return f'<div class="tiles" style="{_TILE_COLUMNS}">{"".join(tiles)}</div>{said}'


def scores_section(table: MetricsTable) -> str:
    """The entire table, the meaning of its baselines, and the scores per vertebra."""
    heads = "".join(f"<th>{escape(_row_name(name))}</th>" for name in table.names)
    body = "".join(_score_line(column, table) for column in METRIC_COLUMNS)
    settings = table.settings
    spacing = " × ".join(f"{value:.3g}" for value in settings.spacing_mm)
    field = " × ".join(f"{value:.0f}" for value in settings.fov_mm)
    caption = (
        f"↑ higher is better, ↓ lower is better. Bold: best of its row. Voxels of {spacing} mm over {field} mm; HU "
        f"window {settings.window_width_hu:g} wide, scaled to [0, 1]; lookup table {settings.lookup_table}; "
        f"n = {settings.n}."
    )
    return (
        "<h2>Scores</h2>"
        "<p>Every score is shown next to two baselines that use no radiograph. The <b>blank volume</b> has no bone. "
        "The <b>mean atlas</b> is the average of the training spines, the same for every patient. Most of the volume "
        "is empty, so even the blank one reaches a high SSIM and PSNR: a score counts only as far as it is "
        f"better than both.{_verdict(table)}</p>"
        f'<table><caption>{escape(caption)}</caption><thead><tr><th>Score</th>{heads}<th class="text">Meaning</th>'
        f"</tr></thead><tbody>{body}</tbody></table>{_per_vertebra(table)}"
    )


def best_of_row(column: MetricColumn, table: MetricsTable) -> str | None:
    """The name of the row with the best score; None if two are equal as printed, or fewer than two are defined."""
    values = {name: table[name][column.key] for name in table.names}
    comparable = {name: value for name, value in values.items() if not math.isnan(value)}
    if len(comparable) < 2:
        return None
    order = sorted(comparable, key=lambda name: comparable[name], reverse=column.higher_is_better)
    first, second = order[0], order[1]
    return None if column.format(comparable[first]) == column.format(comparable[second]) else first


def provenance_table(provenance: Mapping[str, Any]) -> str:
    """The JSON-like provenance as a table of two columns; nested parts are groups, long lists are summed up.

    Parts that say nothing are left out: empty ones, and directions along the axes of LPS.
    """
    provenance = _telling(provenance)
    if not provenance:
        return ""
    single = {key: value for key, value in provenance.items() if not isinstance(value, Mapping)}
    groups = {key: value for key, value in provenance.items() if isinstance(value, Mapping)}
    tables = [_made_table("General", single.items())] if single else []
    for key, values in groups.items():
        suffix = "_s" if str(key).startswith("seconds") else ""  # {"seconds": {"project": 3.2}}
        tables.append(_made_table(_label(key), [(name + suffix, value) for name, value in _flat(values)]))
    return f'<h2>How it was made</h2><div class="made">{"".join(tables)}</div>'


def _telling(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without empty groups and lists, and without a direction that is the identity."""
    kept = {key: _telling(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    return {key: value for key, value in kept.items() if not _says_nothing(key, value)}


def _says_nothing(key: str, value: Any) -> bool:
    if not isinstance(value, (Mapping, list, tuple)):
        return False
    is_direction = key == "direction" and not isinstance(value, Mapping)
    return len(value) == 0 or (is_direction and tuple(value) == (1, 0, 0, 0, 1, 0, 0, 0, 1))


def _made_table(title: str, lines: Iterable[tuple[str, Any]]) -> str:
    body = "".join(_made_line(key, value) for key, value in lines)
    return (
        f'<table class="made"><thead><tr><th colspan="2">{escape(title)}</th></tr></thead><tbody>{body}</tbody></table>'
    )


def _score_line(column: MetricColumn, table: MetricsTable) -> str:
    best = best_of_row(column, table)
    cells = ""
    for name in table.names:
        value = column.format(table[name][column.key])
        cells += f"<td>{f'<b>{value}</b>' if name == best else value}</td>"
    heading = f"{escape(column.heading)} {_arrow(column)}"
    meaning = f'<td class="text">{escape(column.meaning)}</td>'
    kind = "part" if column.is_of_one_plane else "whole"
    return f'<tr class="{kind}"><th scope="row">{heading}</th>{cells}{meaning}</tr>'


def _verdict(table: MetricsTable) -> str:
    """In how many scores the first row is better than every other one, as a sentence."""
    name = table.names[0]
    if len(table.names) < 2:
        return ""
    whole = [column for column in METRIC_COLUMNS if not column.is_of_one_plane]
    won = sum(best_of_row(column, table) == name for column in whole)
    losses = "; the table shows which it loses" if won < len(whole) else ""
    return (
        f" Here {escape(_row_name(name))} is better than all others in {won} of {len(whole)} scores, single planes not "
        f"counted{losses}. One case says little about the next."
    )


def _per_vertebra(table: MetricsTable) -> str:
    name = _row_name(table.names[0])
    content = vertebra_table(table, name)
    if not content:
        return ""
    told = filter(None, (against_atlas_sentence(table, name), shift_sentences(table[table.names[0]])))
    return f"<h3>Scores of single vertebrae</h3>{''.join(f'<p>{escape(text)}</p>' for text in told)}{content}"


def _arrow(column: MetricColumn) -> str:
    return "↑" if column.higher_is_better else "↓"


def _row_name(name: str) -> str:
    return NAME_OF_ROW.get(name, name)


def _made_line(key: str, value: Any) -> str:
    text = escape(_value_text(key, value))
    code = any(word in key.lower() for word in ("sha", "hash", "command", "file", "path"))
    return f"<tr><th>{escape(_label(key))}</th><td>{f'<code>{text}</code>' if code else text}</td></tr>"


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key} / ")
        else:
            yield f"{before}{key}", value


def _label(key: str) -> str:
    """A key as words, its unit left to the value: ``pixel_spacing_mm`` -> Pixel spacing, ``ap / sad_mm`` -> AP, SAD."""
    parts = []
    for part in str(key).split(" / "):
        for ending in (*_UNIT_ENDINGS, "_bytes"):
            part = part.removesuffix(ending)
        parts.append(" ".join(_WORDS.get(word.lower(), word) for word in part.split("_")))
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]


def _value_text(key: str, value: Any) -> str:
    if key.endswith("_bytes") and isinstance(value, (int, float)):
        return f"{value / 2**30:.2f} GiB" if value >= 2**29 else f"{value / 2**20:.1f} MiB"
    unit = next((unit for ending, unit in _UNIT_ENDINGS.items() if key.endswith(ending)), "")
    text = _plain(value)
    if not unit or isinstance(value, bool) or not isinstance(value, (int, float, list, tuple)):
        return text
    return f"{text}{unit}" if unit == "°" else f"{text} {unit}"


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        if len(value) > LONGEST_LIST:
            return f"{len(value)} values, {_plain(value[0])} to {_plain(value[-1])}"
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    return str(value)
