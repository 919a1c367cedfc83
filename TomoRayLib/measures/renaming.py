"""The content of ``measures.json`` once the synthetic vertebrae have other names, without measuring again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, LABEL_OF_NAME, NAME_OF_LABEL
from TomoRayLib.measures.comparison import KnownMeasures
from TomoRayLib.measures.curves import named_stretches
from TomoRayLib.measures.measure import NOT_MEASURABLE, Measure, subject_renamed
from TomoRayLib.measures.spine import WAS_NO_BODY
from TomoRayLib.measures.vertebral_body import NO_BODY, Endplate, NoBody

OF_NAMED_STRETCH = ("thoracic_kyphosis_deg", "lumbar_lordosis_deg")
BECAUSE = "no body measured, because "


@dataclass(frozen=True, eq=False)
class _Ends:
    """A body as ``measures.json`` has it."""

    upper: Endplate
    lower: Endplate
    depth_mm: float


def renamed_measures(content: Mapping[str, Any], numbers: Mapping[int, int], known: KnownMeasures) -> dict[str, Any]:
    """Rename the synthetic vertebrae of a case in its measures.

    Values stay, but for kyphoses and lordosis: their ends have fixed names, so they lie between other vertebrae now.

    Args:
        content: What ``measures.json`` holds, or what this function returned.
        numbers: New VerSe number by the old one, from cranial to caudal as before.
        known: Errors and usual measures, which depend on the names too.

    Returns:
        The new content. Beside a truth the rows keep its names and values; only what the synthetic CT itself calls
        their vertebrae changes.
    """
    names = {NAME_OF_LABEL[old]: NAME_OF_LABEL[new] for old, new in numbers.items()}
    spine = _renamed_spine(content["synthetic"], numbers, names)
    rows = (
        [_known_row(one, known) for one in spine["measures"]]
        if content["truth"] is None
        else [{**row, "synthetic_subject": _counted_as(row, names)} for row in content["rows"]]
    )
    return {**content, "synthetic": spine, "rows": rows}


def _counted_as(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    subject = str(row["synthetic_subject"])
    return subject if row["synthetic"] is None else subject_renamed(subject, names)


def _renamed_spine(spine: Mapping[str, Any], numbers: Mapping[int, int], names: Mapping[str, str]) -> dict[str, Any]:
    vertebrae = [_renamed_vertebra(one, numbers) for one in spine["vertebrae"]]
    measures: list[dict[str, Any]] = []
    for one in spine["measures"]:
        if one["key"] not in OF_NAMED_STRETCH:
            measures.append(_renamed_measure(one, names))
        elif not any(made["key"] in OF_NAMED_STRETCH for made in measures):
            measures += [again.to_json_dict() for again in named_stretches(_bodies(vertebrae))]
    return {"vertebrae": vertebrae, "measures": measures}


def _renamed_vertebra(one: Mapping[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    """A vertebra under its new number; C1 and C2 have no body to be measured, whatever they were before."""
    number = numbers.get(one["number"], one["number"])
    because = NO_BODY.get(number)
    if because is None and one.get("reason", "").removeprefix(BECAUSE) in NO_BODY.values():
        because = WAS_NO_BODY
    kept = {"reason": BECAUSE + because} if because is not None else one
    return {**kept, "number": number, "name": NAME_OF_LABEL[number]}


def _renamed_measure(one: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A measure of vertebrae under their new names, its reason too; none of C1 and C2."""
    subject = subject_renamed(one["subject"], names)
    renamed = {**one, "subject": subject, "reason": _renamed_reason(one["reason"], names)}
    parts = {part: NO_BODY.get(LABEL_OF_NAME.get(part, 0)) for part in re.split("[/-]", subject)}
    because = next((f"{part}: {why}" for part, why in parts.items() if why is not None), None)
    if because is None:
        return renamed
    return {**renamed, "value": None, "reason": NOT_MEASURABLE.format(because=because), "lines_mm": []}


def _renamed_reason(reason: str | None, names: Mapping[str, str]) -> str | None:
    """A reason with the vertebra that it speaks of under its new name; what held of C1 and C2 holds of no other."""
    if reason is None:
        return None
    if any(because in reason for because in NO_BODY.values()):
        return NOT_MEASURABLE.format(because=WAS_NO_BODY)
    return re.sub(r"(?<=because )[A-Z]\d+(?=: )", lambda found: names.get(found[0], found[0]), reason)


def _bodies(vertebrae: list[dict[str, Any]]) -> dict[int, _Ends | NoBody]:
    found = {one["number"]: one for one in vertebrae}
    bodies: dict[int, _Ends | NoBody] = {}
    for number in CRANIOCAUDAL_ORDER:
        one = found.get(number)
        if one is None:
            continue
        if "reason" in one:
            bodies[number] = NoBody(number, one["reason"].removeprefix(BECAUSE))
        else:
            upper, lower = (
                Endplate(np.array(one[name]["center_mm"], float), np.array(one[name]["normal"], float))
                for name in ("upper_endplate", "lower_endplate")
            )
            bodies[number] = _Ends(upper, lower, float(one["depth_mm"]))
    return bodies


def _known_row(one: Mapping[str, Any], known: KnownMeasures) -> dict[str, Any]:
    lines = tuple((np.array(start), np.array(end)) for start, end in one["lines_mm"])
    measure = Measure(one["key"], one["subject"], one["value"], one["reason"], lines)
    return known.row(measure.key, measure.subject, measure).to_json_dict()
