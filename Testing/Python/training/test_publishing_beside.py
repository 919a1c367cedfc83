"""Models published beside others: those that add to another's weights, kept atlases, and figures of several people."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from support.publishing_places import publish, record, write_checkpoint
from TomoRayLib.networks.weight_files import read_weights
from TomoRayLib.training.data.licences import BODIES, CASES, GREY, SHAPES, WATCHED, uses_of
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.registering import figures_of_people
from TomoRayLib.weights import LOOKUP_NAME, find_model, load_atlas, load_network, models_folder, read_registry

FINE = ("decoder.0.", "heads.0.")


def sharper(place: SimpleNamespace, name: str = "sharper.ckpt") -> Path:
    """A run that started from the published model and trained its finest level alone."""
    start, _ = read_weights(find_model("tiny", place.models).path)
    changed = {key: value + 0.25 if key.startswith(FINE) else value for key, value in start.items()}
    return write_checkpoint(place.models.parent / name, changed)


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> set[str]:
    return {name for name in first if not torch.equal(first[name], second[name])}


def test_a_model_that_adds_to_another_holds_what_differs_and_lends_its_atlas(a_place: SimpleNamespace) -> None:
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]) + uses_of(WATCHED, ["s0308"]))
    base = publish(a_place)
    run = sharper(a_place)
    record(run, uses_of(CASES, ["sub-verse014"]))
    entry = publish(a_place, run, "tiny-gan", based_on="tiny", data=None)
    assert entry.based_on == {"model": "tiny", "sha256": base.sha256}
    assert find_model("tiny-gan", a_place.models).based_on == entry.based_on
    assert find_model("tiny", a_place.models).based_on is None
    assert (entry.atlas_file, entry.atlas_sha256) == (base.atlas_file, base.atlas_sha256)
    assert sorted(path.name for path in a_place.models.glob("*atlas*")) == [base.atlas_file]
    own, whole = load_network(entry).state_dict(), load_network(base).state_dict()
    assert {name for name in differing(own, whole) if not name.startswith(FINE)} == set()
    assert differing(own, whole) >= {"heads.0.weight", "decoder.0.body.0.weight"}
    torch.testing.assert_close(own["heads.0.weight"], whole["heads.0.weight"] + 0.25, atol=1e-3, rtol=1e-3)
    assert entry.path.stat().st_size < base.path.stat().st_size / 2


def test_a_model_that_adds_to_another_inherits_its_licence_and_data(a_place: SimpleNamespace) -> None:
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]) + uses_of(BODIES, ["ricord_1a_chest"]))
    base = publish(a_place)
    run = sharper(a_place)
    record(run, uses_of(CASES, ["sub-verse014"]))
    entry = publish(a_place, run, "tiny-gan", based_on="tiny", data=None)
    assert base.licence == entry.licence == "CC-BY-NC-SA-4.0"
    used = {(item["name"], item["use"]) for item in entry.data}
    assert {(item["name"], item["use"]) for item in base.data} < used
    assert ("VerSe (sub-verse014)", CASES) in used


def test_a_run_that_trained_everything_is_not_published_beside_another(a_place: SimpleNamespace) -> None:
    publish(a_place)
    moved = {name: value + 1 for name, value in a_place.state.items()}
    run = write_checkpoint(a_place.models.parent / "other.ckpt", moved)
    with pytest.raises(ValueError, match="none that is the same as stored; publish them without a base"):
        publish(a_place, run, "tiny-gan", based_on="tiny", data=None)
    with pytest.raises(ValueError, match="got itself"):
        publish(a_place, run, based_on="tiny")
    with pytest.raises(ValueError, match=r"one of the models \['tiny'\], got 'none'"):
        publish(a_place, run, "tiny-gan", based_on="none")
    assert list(read_registry(a_place.models)[1]) == ["tiny"]


def test_replacing_a_base_names_the_models_that_it_leaves_behind(a_place: SimpleNamespace) -> None:
    publish(a_place)
    entry = publish(a_place, sharper(a_place), "tiny-gan", based_on="tiny", data=None)
    lines: list[str] = []
    publish(a_place, report=lines.append)  # the same weights
    assert not any("publish it again" in line for line in lines)
    moved = write_checkpoint(a_place.models.parent / "m.ckpt", {n: v + 1 for n, v in a_place.state.items()})
    publish(a_place, moved, report=lines.append)
    assert "tiny-gan adds to the tiny of before and cannot be loaded: publish it again." in lines
    with pytest.raises(ValueError, match=r"holds only what differs from tiny.safetensors. .*SHA-256"):
        load_network(entry)
    publish(a_place, sharper(a_place, "again.ckpt"), "tiny-gan", based_on="tiny", data=None)
    load_network(find_model("tiny-gan", a_place.models))


def test_an_atlas_is_kept_with_its_table_and_its_sources(a_place: SimpleNamespace) -> None:
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]))
    before = publish(a_place)
    files = {name: (a_place.models / name).read_bytes() for name in (before.atlas_file, LOOKUP_NAME)}
    run = write_checkpoint(a_place.models.parent / "later.ckpt", {n: 2 * v for n, v in a_place.state.items()})
    record(run, uses_of(CASES, ["sub-verse230"]))
    entry = publish(a_place, run, keep_atlas=True, data=None)
    assert entry.sha256 != before.sha256
    assert (entry.atlas_sha256, entry.atlas_threshold) == (before.atlas_sha256, before.atlas_threshold)
    assert all((a_place.models / name).read_bytes() == content for name, content in files.items())
    assert [item["use"] for item in entry.data] == [CASES, SHAPES, GREY]
    again = publish(a_place, run, keep_atlas=True, data=None)
    assert again.data == entry.data


def test_an_atlas_that_does_not_fit_is_not_kept(a_place: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="model registry"):
        publish(a_place, keep_atlas=True, data=None)
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]))
    entry = publish(a_place)
    content = torch.load(a_place.checkpoint, weights_only=True)
    run = a_place.models.parent / "later.ckpt"
    torch.save({**content, "stream": {"fov_mm": 192.0, "geometry": {}}}, run)
    assert StreamConfig().fov_mm != 192.0
    with pytest.raises(ValueError, match=r"cube of 192 mm, got that of tiny, of 256 mm; have it made anew"):
        publish(a_place, run, keep_atlas=True)
    torch.save({**content, "sources": []}, run)
    record(run, uses_of(WATCHED, ["sub-verse9"]))
    with pytest.raises(ValueError, match=r"got that of tiny, made of sub-verse9 too"):
        publish(a_place, run, keep_atlas=True)
    (a_place.models / entry.atlas_file).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="SHA-256"):
        publish(a_place, keep_atlas=True)


def test_without_data_an_atlas_must_be_kept(a_place: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="or keep the atlas that is there"):
        publish(a_place, data=None)
    assert not list(a_place.models.iterdir())


def a_table_of_people(path: Path) -> Path:
    """As Testing/Benchmarks/held_out.py writes it: infinity and missing scores are words."""

    def rows(dice: float) -> dict[str, dict[str, Any]]:
        own = {"dice": dice, "hd95_mm": 12.345678, "named": "nan", "spectrum": 1.0}
        return {"tomoray": own, "blank": {"dice": 0.0, "hd95_mm": "inf"}, "mean_atlas": {"dice": 0.4}, "truth": {}}

    people = [
        {"name": "sub-verse005", "roles": {"tiny": "chosen on"}, "rows": {"tiny": rows(0.61), "other": rows(0.1)}},
        {"name": "LIDC-IDRI-0001", "roles": {"tiny": "held out"}, "rows": {"tiny": rows(0.58)}},
        {"name": "elsewhere", "roles": {"other": "held out"}, "rows": {"other": rows(0.2)}},
    ]
    path.write_text(json.dumps({"measures": {}, "groups": {}, "people": people}))
    return path


def test_figures_of_several_people_stand_beside_those_of_the_demonstration(
    a_place: SimpleNamespace, tmp_path: Path
) -> None:
    entry = publish(a_place, people=a_table_of_people(tmp_path / "held_out.json"))
    figures = find_model("tiny", a_place.models).figures
    assert figures == entry.figures
    assert {key: figures[key] for key in ("n", "id")} == {"n": 1, "id": "tiny"}
    cases = figures["people"]["cases"]
    assert [(case["case"], case["role"]) for case in cases] == [
        ("sub-verse005", "chosen on"),
        ("LIDC-IDRI-0001", "held out"),
    ]
    assert cases[0]["rows"]["tomoray"] == {"dice": 0.61, "hd95_mm": 12.3457, "named": None}
    assert cases[0]["rows"]["blank"] == {"dice": 0.0, "hd95_mm": None}
    assert "--model tiny" in figures["people"]["command"]


def test_a_table_without_the_model_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = a_table_of_people(tmp_path / "held_out.json")
    with pytest.raises(ValueError, match=r"figures of geolift-s in .*, got those of \['other', 'tiny'\]"):
        figures_of_people(path, "geolift-s")
    for content in ("no table", json.dumps({"rows": []}), json.dumps({"people": [{"name": 1}]})):
        path.write_text(content)
        with pytest.raises(ValueError, match="cannot be read as one"):
            figures_of_people(path, "tiny")


def test_the_shipped_registry_holds_together() -> None:
    """Every file that an entry names is there, and is the one that it names; so is what it adds to."""
    default, entries = read_registry()
    assert default in entries
    for entry in entries.values():
        load_network(entry)
        grey, mask = load_atlas(entry)
        assert grey.shape == mask.shape == (entry.size,) * 3
        if entry.based_on is not None:
            assert entry.based_on["sha256"] == entries[entry.based_on["model"]].sha256
        rows = entry.figures["rows"]
        assert not math.isnan(rows["tomoray"]["dice"])
    assert {entry.folder for entry in entries.values()} == {models_folder()}
