"""What publishing shares: the checks before it, the registry's entries, and the figures that stand in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.metrics.scores import MAIN_SCORES
from TomoRayLib.networks.weight_storage import pack_state
from TomoRayLib.training.data.licences import SourceUse, without_derivatives
from TomoRayLib.weights import REGISTRY_NAME, ModelEntry, SegmenterEntry

SCORES_OF_PEOPLE = (*MAIN_SCORES, "gain_db", "found", "named", "named_up_to_shift")
ROWS_OF_PEOPLE = ("tomoray", "blank", "mean_atlas")


def check_size(state: Mapping[str, Tensor], limit_bytes: int) -> None:
    """Raises InputError for weights that take more than ``limit_bytes`` as they are stored."""
    size = sum(value.numel() * value.element_size() for value in pack_state(state).values())
    if size > limit_bytes:
        raise InputError(f"The weights take {size / 1e6:.1f} MB; at most {limit_bytes / 1e6:.0f} MB fit the extension.")


def check_derivatives(recorded: Iterable[SourceUse]) -> None:
    """Raises InputError for weights made from data that must not be passed on."""
    refused = without_derivatives(recorded)
    if refused:
        raise InputError(
            f"Expected weights made from data that may be passed on, got cases that allow no derivatives (ND): "
            f"{', '.join(refused)}. Train without these cases."
        )


def figures_of_people(path: Path, model: str) -> dict[str, Any]:
    """A model's scores on people, as ``ModelEntry.figures`` holds them under "people".

    Args:
        path: A held_out.json of Testing/Benchmarks/held_out.py.
        model: The model's id in it.

    Returns:
        {"command": ..., "cases": [{"case": name, "role": what the person was to the model, "rows": {"tomoray": {score:
        value}, "blank": ..., "mean_atlas": ...}}, ...]}: the main scores and those of vertebrae told apart, rounded to
        four digits, None where a row does not have one.

    Raises:
        InputError: The file cannot be read, or does not have the model.
    """
    try:
        people = json.loads(path.read_text(encoding="utf-8"))["people"]
        having = [one for one in people if model in one["rows"]]
        if not having:
            known = sorted({name for one in people for name in one["rows"]})
            raise InputError(f"Expected figures of {model} in {path}, got those of {known}; measure that model.")
        cases = [
            {"case": one["name"], "role": one["roles"][model], "rows": _rows(one["rows"][model])} for one in having
        ]
    except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"Expected a held_out.json of Testing/Benchmarks/held_out.py in {path}, got a file that cannot be read as "
            f"one ({error})."
        ) from None
    return {"command": f"python Testing/Benchmarks/held_out.py --data DATA --model {model}", "cases": cases}


def _rows(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    return {
        name: {key: _rounded(rows[name][key]) for key in SCORES_OF_PEOPLE if key in rows[name]}
        for name in ROWS_OF_PEOPLE
        if name in rows
    }


def _rounded(value: Any) -> float | None:
    """JSON has neither NaN nor infinity: the scores that are there as words are not numbers."""
    return round(float(value), 4) if isinstance(value, int | float) else None


def register_model(folder: Path, entry: ModelEntry) -> list[str]:
    """Put the entry into the registry, in the place of an earlier one of its id: lists of models keep their order.

    Returns the ids of models whose files add to an earlier version of this one, and cannot be loaded any more.
    """
    content = _content(folder)
    content.setdefault("default", entry.id)
    values = _plain(entry)
    for name in ("based_on", "described_as", "familiarity_file", "familiarity_sha256"):
        if values[name] is None:
            del values[name]
    content["models"] = _with(content.get("models", []), values)
    _write_registry(folder, content)
    bases = {item["id"]: item["based_on"] for item in content["models"] if "based_on" in item}
    return [name for name, base in bases.items() if base["model"] == entry.id and base["sha256"] != entry.sha256]


def kept_description(folder: Path, model: str) -> str | None:
    """The words that the registry already describes the model with, None if it has none or is not there."""
    for item in _content(folder).get("models", []):
        if item["id"] == model:
            words: str | None = item.get("described_as")
            return words
    return None


def register_segmenter(folder: Path, entry: SegmenterEntry) -> None:
    """Put a segmenter's entry into the registry, in the place of an earlier one of its id."""
    content = _content(folder)
    content["segmenters"] = _with(content.get("segmenters", []), _plain(entry))
    content.setdefault("default_segmenter", entry.id)
    _write_registry(folder, content)


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with write_atomically(path) as partial:
        Path(partial).write_bytes(content)


def _with(entries: list[dict[str, Any]], values: dict[str, Any]) -> list[dict[str, Any]]:
    return list(({item["id"]: item for item in entries} | {values["id"]: values}).values())


def _plain(entry: ModelEntry | SegmenterEntry) -> dict[str, Any]:
    values = asdict(entry)
    del values["folder"]
    return values


def _content(folder: Path) -> dict[str, Any]:
    path = folder / REGISTRY_NAME
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def _write_registry(folder: Path, content: dict[str, Any]) -> None:
    write_file(folder / REGISTRY_NAME, (json.dumps(content, indent=2) + "\n").encode())
