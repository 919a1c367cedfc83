"""Where training data come from and under which licence: one table, from which a model's own licence follows.

A file is known by its name alone; what the table does not know counts as not for commercial use. A run writes what it
used into its checkpoints (``SourceUse``), one that starts from another's weights inherits what those were made from,
and publishing repeats it in the registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

SHAPES, BODIES, CASES = "shapes of the vertebrae", "bodies of the phantoms", "labelled CTs trained on"
GREY = "grey values of bone for the mean atlas and the equal-frequency table"
WATCHED = "scored during training, never trained on"
EARLIER = "an earlier training that this one goes on from"
_FEW_NAMES = 4


@dataclass(frozen=True)
class Source:
    """A data set. ``names`` are globs on names: a spine's, a body's or a case's (``kind``), not on whole paths."""

    name: str
    licence: str  # SPDX identifier, or words where there is none
    commercial_use: bool
    kind: str  # "spine", "body" or "case"
    names: tuple[str, ...]


# Terms as their publishers state them. The first that fits counts. VerSe's challenge layout (verse004.nii.gz) is left
# out on purpose: its names do not tell expert masks from predicted ones under other terms.
SOURCES: tuple[Source, ...] = (
    Source("VerSe label maps", "CC-BY-NC-SA-4.0", False, "spine", ("verse*",)),
    Source("MyoSim torso", "Apache-2.0", True, "spine", ("myo_sim",)),
    Source(
        "TCIA torso CTs",
        "CC-BY-3.0 / CC-BY-4.0",
        True,
        "body",
        ("tcga_de_a4ma_torso", "cmb_crc_01068_chest", "acrin_flt_001_abdomen_pelvis"),
    ),
    Source("bodies made of formulas", "Apache-2.0", True, "body", ("procedural_*",)),
    Source("RICORD-1A", "CC-BY-NC-4.0", False, "body", ("ricord_1a_*",)),
    Source("VerSe sub-gl", "CC-BY-NC-ND-4.0", False, "case", ("sub-gl*",)),
    Source("VerSe", "CC-BY-SA-4.0", True, "case", ("sub-verse*",)),
    Source("TotalSegmentator", "CC-BY-4.0", True, "case", ("s[0-9][0-9][0-9][0-9]",)),
)
NOT_KNOWN = Source("not known", "not known: counts as non-commercial", False, "", ())
_KIND_OF_USE = {SHAPES: "spine", BODIES: "body"}


@dataclass(frozen=True)
class SourceUse:
    """A data set, what it was used for, and the names of its spines, bodies or cases that were used."""

    name: str
    licence: str
    commercial_use: bool
    use: str
    items: tuple[str, ...] = ()


NOT_RECORDED = SourceUse("not recorded", NOT_KNOWN.licence, False, EARLIER)


def source_of(kind: str, name: str) -> Source:
    """The data set that a spine, a body or a case (``kind``) of this name comes from; ``NOT_KNOWN`` where none fits."""
    for source in SOURCES:
        if source.kind == kind and any(fnmatchcase(name, pattern) for pattern in source.names):
            return source
    return NOT_KNOWN


def is_permissive(kind: str, name: str) -> bool:
    """True where the spine, body or case (``kind``) comes from a known data set that allows commercial use."""
    return source_of(kind, name).commercial_use


def uses_of(use: str, names: Iterable[str]) -> tuple[SourceUse, ...]:
    """The data sets that ``names``, all with the same use, come from."""
    found = [(source_of(_KIND_OF_USE.get(use, "case"), name), name) for name in sorted(names)]
    return merged(SourceUse(source.name, source.licence, source.commercial_use, use, (name,)) for source, name in found)


def merged(uses: Iterable[SourceUse]) -> tuple[SourceUse, ...]:
    """Each data set and use once, with all its items, in the order of first mention."""
    together: dict[tuple[str, str], SourceUse] = {}
    for one in uses:
        before = together.get((one.name, one.use))
        items = tuple(sorted({*(before.items if before else ()), *one.items}))
        together[one.name, one.use] = replace(one, items=items)
    return tuple(together.values())


def commercial_use_allowed(uses: Iterable[SourceUse]) -> bool:
    """True where everything that went into a model allows commercial use; what was only watched did not go in."""
    return all(one.commercial_use for one in uses if one.use != WATCHED)


def licence_of_model(uses: Iterable[SourceUse]) -> str:
    """The SPDX licence of a model made from ``uses``: the terms of all of them together.

    A source whose terms are not known counts as the strictest, non-commercial and share-alike.
    """
    used = [one for one in uses if one.use != WATCHED]
    unknown = any(not one.commercial_use and not one.licence.startswith("CC-") for one in used)
    share_alike = unknown or any("-SA-" in one.licence for one in used)
    if not commercial_use_allowed(used):
        return "CC-BY-NC-SA-4.0" if share_alike else "CC-BY-NC-4.0"
    if share_alike:
        return "CC-BY-SA-4.0"
    return "CC-BY-4.0" if any(one.licence.startswith("CC-BY") for one in used) else "Apache-2.0"


def data_of_model(uses: Iterable[SourceUse]) -> list[dict[str, str]]:
    """The data sets as the model registry lists them."""
    return [{"name": _title(one), "licence": one.licence, "use": one.use} for one in uses]


def to_record(uses: Iterable[SourceUse]) -> list[dict[str, Any]]:
    """Plain values, for a checkpoint or JSON."""
    return [{**asdict(one), "items": list(one.items)} for one in uses]


def from_record(record: Iterable[Mapping[str, Any]] | None) -> tuple[SourceUse, ...]:
    """What ``to_record`` gave; ``NOT_RECORDED`` where there is no record."""
    if record is None:
        return (NOT_RECORDED,)
    return tuple(SourceUse(**{**one, "items": tuple(one["items"])}) for one in record)


def recorded_sources(weights: Path) -> tuple[SourceUse, ...]:
    """What a checkpoint, or published weights (.safetensors), were made from; ``NOT_RECORDED`` in older ones."""
    if weights.suffix == ".safetensors":
        with safe_open(weights, framework="pt") as file:
            text = (file.metadata() or {}).get("sources")
        return from_record(None if text is None else json.loads(text))
    content = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
    return from_record(content.get("sources"))


def _title(use: SourceUse) -> str:
    if not use.items:
        return use.name
    return f"{use.name} ({', '.join(use.items) if len(use.items) <= _FEW_NAMES else len(use.items)})"
