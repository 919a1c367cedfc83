"""The scores of single vertebrae: where the mean atlas is ahead, how far each lies off, all of them in a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from TomoRayLib.metrics.table import MEAN_ATLAS, MetricsTable
from TomoRayLib.metrics.vertebra import VertebraRow
from TomoRayLib.report.markup import escape
from TomoRayLib.report.shift_words import HOW, shift_cell

WORDS = 5  # the column that says where a vertebra lies
DECIMALS = 3  # of a Dice; two that are equal as printed are equal


@dataclass(frozen=True)
class AgainstAtlas:
    """The names of whole vertebrae, from cranial to caudal, in which a row has a higher, a lower and the same Dice as
    the mean atlas has."""

    ahead: tuple[str, ...]
    behind: tuple[str, ...]
    equal: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.ahead) + len(self.behind) + len(self.equal)


def against_atlas(table: MetricsTable) -> AgainstAtlas | None:
    """Compare the first row with the mean atlas vertebra by vertebra; None without atlas or whole vertebrae."""
    if MEAN_ATLAS not in table.names or table.names[0] == MEAN_ATLAS:
        return None
    atlas_of = table.vertebrae_of(MEAN_ATLAS)
    names: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for row in table[table.names[0]].per_vertebra:
        if not row.touches_edge and row.label in atlas_of:
            names[_order(row, atlas_of[row.label])].append(row.name)
    found = AgainstAtlas(*(tuple(names[sign]) for sign in (1, -1, 0)))
    return found if found.count else None


def against_atlas_sentence(table: MetricsTable, name: str) -> str:
    """Which vertebrae are better than the mean atlas's, and which are not; nothing if that cannot be said.

    ``name`` is how the first row is called.
    """
    found = against_atlas(table)
    if found is None:
        return ""
    if found.count == 1:
        compared = "a higher Dice than" if found.ahead else "a lower Dice than" if found.behind else "the Dice of"
        return f"In the one whole vertebra in view {name} has {compared} the mean atlas."
    parts = [f"{name} has a higher Dice than the mean atlas in {_listed(found.ahead)}"]
    if found.behind:
        parts.append(f"the mean atlas is ahead in {_listed(found.behind)}")
    if found.equal:
        parts.append(f"both are equal in {_listed(found.equal)}")
    return f"Of {found.count} whole vertebrae in view {'; '.join(parts)}."


def _listed(names: tuple[str, ...]) -> str:
    return f"{len(names)} ({', '.join(names)})" if names else "none"


def vertebra_table(table: MetricsTable, name: str) -> str:
    """Scores of each vertebra of the first row, called ``name``, beside the mean atlas's; nothing without rows."""
    rows = table[table.names[0]].per_vertebra
    if not rows:
        return ""
    atlas_of = table.vertebrae_of(MEAN_ATLAS)
    heads = ["Dice ↑", "HD95 (mm) ↓", "ASSD (mm) ↓", "NSD 2 mm ↑", "Centroid error (mm) ↓", "Lies off by (mm)"]
    heads += ["Dice if moved"]
    own = len(heads)
    heads += ["Dice ↑", "ASSD (mm) ↓", "Higher Dice"] if atlas_of else []
    head = "".join(f"<th{_kind(place, own)}>{text}</th>" for place, text in enumerate(heads))
    groups = f'<th></th><th class="begin" colspan="{own}">{escape(name)}</th>'
    groups += '<th class="begin" colspan="3">Mean atlas</th>' if atlas_of else ""
    lines = "".join(_line(row, atlas_of.get(row.label), name, own) for row in rows)
    return (
        '<table class="levels"><caption>Each predicted voxel counts for the nearest true vertebra. The blank volume '
        f"has Dice and NSD 0 and infinite distances for every vertebra. {HOW} Cut: by the edge of the field of view, "
        "so its centroid means little, and its place is not looked for. Heights of bodies are among the measures."
        "</caption>"
        f'<thead><tr>{groups}<th></th></tr><tr><th>Vertebra</th>{head}<th class="text"></th></tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def _line(row: VertebraRow, atlas: VertebraRow | None, name: str, own: int) -> str:
    order = 0 if atlas is None else _order(row, atlas)
    values = [_bold(f"{row.dice:.{DECIMALS}f}", order > 0), _length(row.hd95_mm), _length(row.assd_mm, 2)]
    values += [f"{row.nsd_2mm:.3f}", _length(row.centroid_error_mm), shift_cell(row.shift), _share(row.dice_moved)]
    if atlas is not None:
        better = {1: escape(name), -1: "atlas", 0: "equal"}[order]
        values += [_bold(f"{atlas.dice:.{DECIMALS}f}", order < 0), _length(atlas.assd_mm, 2), better]
    cells = "".join(f"<td{_kind(place, own)}>{value}</td>" for place, value in enumerate(values))
    kind = ' class="behind"' if order < 0 else ""
    edge = "cut" if row.touches_edge else ""
    return f'<tr{kind}><th scope="row">{escape(row.name)}</th>{cells}<td class="text">{edge}</td></tr>'


def _order(row: VertebraRow, atlas: VertebraRow) -> int:
    """1 if the row's Dice is higher as printed, -1 if the atlas's is, 0 if they are equal."""
    ours, theirs = (round(one.dice, DECIMALS) for one in (row, atlas))
    return (ours > theirs) - (ours < theirs)


def _kind(place: int, own: int) -> str:
    """The class of a cell: the first column of a group (0 is the model's, ``own`` the mean atlas's), or the words."""
    return ' class="begin"' if place in (0, own) else ' class="words"' if place == WORDS else ""


def _bold(text: str, bold: bool) -> str:
    return f"<b>{text}</b>" if bold else text


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _length(value_mm: float, decimals: int = 1) -> str:
    if math.isnan(value_mm):
        return "–"
    return "not found" if math.isinf(value_mm) else f"{value_mm:.{decimals}f}"
