"""The sources of training data and their licences: one table, from which a model's own licence follows.

A file is known by its name alone; a name that the table does not know counts as not for commercial use. A run records
its sources in its checkpoints (``SourceUse``), one that starts from another's weights inherits theirs, and publishing
repeats them in the registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from TomoRayLib.base.errors import InputError

SHAPES, BODIES, CASES = "shapes of the vertebrae", "bodies of the phantoms", "labelled CTs trained on"
LABELLED_BODIES = "CTs trained on with labels by TomoRay, their levels read by eye"
GREY = "grey values of bone for the mean atlas and the equal-frequency table"
WATCHED = "scored during training, never trained on"
EARLIER = "an earlier training that this one goes on from"
_FEW_NAMES = 4
_NO_DERIVATIVES = "-ND"
_EXAMPLE_TERMS = "not stated for the image (its repository: Apache-2.0)"


@dataclass(frozen=True)
class Source:
    """A data set. ``names`` are globs on names: a spine's, a body's or a case's (``kind``), not on whole paths."""

    name: str
    licence: str  # SPDX identifier, or words if there is none
    commercial_use: bool
    kind: str  # "spine", "body" or "case"
    names: tuple[str, ...]


# Terms as their publishers state them. The first that fits counts. VerSe's challenge layout (verse004.nii.gz) is left
# out on purpose: its names do not tell expert masks from predicted ones under other terms. What is not confirmed at its
# source counts as not known.
SOURCES: tuple[Source, ...] = (
    Source("VerSe expert label maps", "CC-BY-SA-4.0", True, "spine", ("verse004", "verse009")),
    Source("VerSe label maps", "CC-BY-NC-SA-4.0", False, "spine", ("verse*",)),
    Source("MyoSim torso", "Apache-2.0", True, "spine", ("myo_sim",)),
    Source(
        "TCIA torso CTs",
        "CC-BY-3.0 / CC-BY-4.0",
        True,
        "body",
        (
            "tcga_de_a4ma_torso",
            "cmb_crc_01068_chest",
            "acrin_flt_001_*",
            "acrin_flt_013_lower_chest",
            "acrin_nsclc_042_torso",
            "lidc_idri_0314_chest",
            "nlst_chest",
        ),
    ),
    Source("CPTAC", "not confirmed (reported as CC-BY-4.0)", False, "body", ("cptac_c3l00189_lower_chest",)),
    Source("TotalSegmentator example", _EXAMPLE_TERMS, False, "body", ("totalsegmentator_example_abdomen_pelvis",)),
    Source("analytical bodies", "Apache-2.0", True, "body", ("procedural_*",)),
    Source("RICORD-1A", "CC-BY-NC-4.0", False, "body", ("ricord_1a_*",)),
    Source("VerSe sub-gl", "CC-BY-NC-ND-4.0", False, "case", ("sub-gl*",)),
    Source("VerSe", "CC-BY-SA-4.0", True, "case", ("sub-verse*",)),
    Source("TotalSegmentator example", _EXAMPLE_TERMS, False, "case", ("totalsegmentator_example",)),
    Source("TotalSegmentator", "CC-BY-4.0", True, "case", ("s[0-9][0-9][0-9][0-9]",)),
)
NOT_KNOWN = Source("not known", "not known: counts as non-commercial", False, "", ())
_KIND_OF_USE = {SHAPES: "spine", BODIES: "body", LABELLED_BODIES: "body"}


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
    """The data set that a spine, a body or a case (``kind``) of this name comes from; ``NOT_KNOWN`` if none fits."""
    for source in SOURCES:
        if source.kind == kind and any(fnmatchcase(name, pattern) for pattern in source.names):
            return source
    return NOT_KNOWN


def is_permissive(kind: str, name: str) -> bool:
    """True if the spine, body or case (``kind``) comes from a known data set that allows commercial use."""
    return source_of(kind, name).commercial_use


def uses_of(use: str, names: Iterable[str]) -> tuple[SourceUse, ...]:
    """The data sets that ``names``, all with the same use, come from."""
    found = [(source_of(_KIND_OF_USE.get(use, "case"), name), name) for name in sorted(names)]
    return merged(SourceUse(source.name, source.licence, source.commercial_use, use, (name,)) for source, name in found)


def merged(uses: Iterable[SourceUse]) -> tuple[SourceUse, ...]:
    """Each data set and use once, with all its items, in the order of first mention.

    If one was recorded under several terms, the stricter ones hold, and all of them if none includes the others.
    """
    together: dict[tuple[str, str], SourceUse] = {}
    for one in uses:
        before = together.get((one.name, one.use), one)
        together[one.name, one.use] = replace(
            one,
            licence=_stricter(before, one),
            commercial_use=before.commercial_use and one.commercial_use,
            items=tuple(sorted({*before.items, *one.items})),
        )
    return tuple(together.values())


def commercial_use_allowed(uses: Iterable[SourceUse]) -> bool:
    """True if everything that went into a model allows commercial use; watched cases did not go in.

    If nothing is recorded, nothing is known: False.
    """
    return all(one.commercial_use for one in _gone_in(uses))


def without_derivatives(uses: Iterable[SourceUse]) -> list[str]:
    """The cases that went into a model although their licence allows no derivatives (-ND): it must not be published."""
    return [item for one in _gone_in(uses) if _NO_DERIVATIVES in one.licence for item in one.items or (one.name,)]


def licence_of_model(uses: Iterable[SourceUse]) -> str:
    """The SPDX licence of a model made from ``uses``: the terms of all of them together.

    A source whose terms are not known counts as the strictest, non-commercial and share-alike; so does no source at
    all. One with ``-ND`` in it says that the model must not be passed on, see ``without_derivatives``.
    """
    used = _gone_in(uses)
    unknown = any(_is_unknown(one) for one in used)
    share_alike = unknown or any("-SA-" in one.licence for one in used)
    if without_derivatives(used):
        return "CC-BY-ND-4.0" if commercial_use_allowed(used) else "CC-BY-NC-ND-4.0"
    if not commercial_use_allowed(used):
        return "CC-BY-NC-SA-4.0" if share_alike else "CC-BY-NC-4.0"
    if share_alike:
        return "CC-BY-SA-4.0"
    return "CC-BY-4.0" if any(one.licence.startswith("CC-BY") for one in used) else "Apache-2.0"


def data_of_model(uses: Iterable[SourceUse]) -> list[dict[str, str]]:
    """The data sets as the model registry lists them. Who was only watched by an earlier training, and trained on
    since, is not listed as never trained on."""
    uses = list(uses)
    gone_in = {(one.name, item) for one in uses if one.use not in (WATCHED, GREY) for item in one.items or ("",)}
    listed = []
    for one in uses:
        if one.use == WATCHED:
            left = tuple(item for item in one.items or ("",) if (one.name, item) not in gone_in)
            if not left:
                continue
            one = replace(one, items=left if one.items else ())
        listed.append({"name": _title(one), "licence": one.licence, "use": one.use})
    return listed


def to_record(uses: Iterable[SourceUse]) -> list[dict[str, Any]]:
    """Plain values, for a checkpoint or JSON."""
    return [{**asdict(one), "items": list(one.items)} for one in uses]


def from_record(record: Iterable[Mapping[str, Any]] | None) -> tuple[SourceUse, ...]:
    """The uses that ``to_record`` wrote; ``NOT_RECORDED`` if there is no record, or nothing in it."""
    return tuple(SourceUse(**{**one, "items": tuple(one["items"])}) for one in record or ()) or (NOT_RECORDED,)


def recorded_sources(weights: Path) -> tuple[SourceUse, ...]:
    """The sources of a checkpoint or of published weights (.safetensors); ``NOT_RECORDED`` in older ones.

    Raises InputError for a file that is missing or is neither of the two.
    """
    try:
        if weights.suffix == ".safetensors":
            with safe_open(weights, framework="pt") as file:
                text = (file.metadata() or {}).get("sources")
            return from_record(None if text is None else json.loads(text))
        content = torch.load(weights, map_location="cpu", weights_only=True, mmap=True)
        if not isinstance(content, Mapping) or "network" not in content:
            raise InputError("it holds no network")
        return from_record(content.get("sources"))
    except (
        OSError,
        RuntimeError,
        UnpicklingError,
        EOFError,
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
    ) as error:
        reason = "there is none" if isinstance(error, FileNotFoundError) else str(error).partition("\n")[0]
        raise InputError(
            f"Expected a checkpoint of a run (last.ckpt) or published weights (.safetensors) in {weights}, got a file "
            f"that cannot be read ({reason}); correct the path, or copy the file again."
        ) from None


def _gone_in(uses: Iterable[SourceUse]) -> list[SourceUse]:
    """The sources that a model was made from; ``NOT_RECORDED`` if there are none."""
    return [one for one in uses if one.use != WATCHED] or [NOT_RECORDED]


def _is_unknown(use: SourceUse) -> bool:
    return not use.commercial_use and not use.licence.startswith("CC-")


def _stricter(first: SourceUse, second: SourceUse) -> str:
    """The licence of the two that includes the other's terms; both if neither does."""
    terms, others = _terms(first), _terms(second)
    if first.licence == second.licence or terms >= others:
        return first.licence
    return second.licence if others > terms else f"{first.licence} / {second.licence}"


def _terms(use: SourceUse) -> set[str]:
    terms = {term for term in ("BY", "NC", "SA", "ND") if f"-{term}" in use.licence}
    return terms | {"BY", "NC", "SA", "unknown"} if _is_unknown(use) else terms


def _title(use: SourceUse) -> str:
    if not use.items:
        return use.name
    return f"{use.name} ({', '.join(use.items) if len(use.items) <= _FEW_NAMES else len(use.items)})"
