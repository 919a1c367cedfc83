"""From a checkpoint of the CT segmenter to its weights and its entry."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from support.publishing_places import publish
from TomoRayLib.networks.ct_segmenter import CTSegmenter, CTSegmenterConfig
from TomoRayLib.training import publishing_segmenter
from TomoRayLib.training.data.licences import BODIES, CASES, SHAPES, WATCHED, SourceUse, to_record, uses_of
from TomoRayLib.training.data.roles import Role, role_of, uses_in_registry
from TomoRayLib.training.publishing_segmenter import publish_segmenter
from TomoRayLib.weights import REGISTRY_NAME, find_model, find_segmenter, load_segmenter, read_segmenters

NETWORK = CTSegmenterConfig((4, 8, 12, 16, 24))
SOURCES = (*uses_of(SHAPES, ["verse018"]), *uses_of(BODIES, ["tcga_de_a4ma_torso"]), *uses_of(CASES, ["sub-verse014"]))


def quiet(line: str) -> None:
    """Hear what publishing reports."""


def a_checkpoint(
    path: Path, seed: int = 0, network: CTSegmenterConfig = NETWORK, sources: tuple[SourceUse, ...] = SOURCES
) -> tuple[Path, dict[str, Tensor]]:
    torch.manual_seed(seed)
    state = CTSegmenter(network).state_dict()
    content = {"segmenter": dataclasses.asdict(network), "network": state, "ema": state, "progress": {"steps": 5}}
    torch.save({**content, "sources": to_record(sources)}, path)
    return path, state


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "Models"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(publishing_segmenter, "models_folder", lambda: folder)
    return folder


def test_a_published_segmenter_is_found_and_loaded(models: Path, tmp_path: Path) -> None:
    path, state = a_checkpoint(tmp_path / "last.ckpt")
    (tmp_path / "validation.csv").write_text(
        "step,minutes,case,dice,centroid_mm,level\n"
        "100,1.0,sub-verse005,0.5,9.0,2.0\n"
        "100,1.0,example,0.6,9.0,2.0\n"  # a case that was left out, or renamed, later
        "200,2.0,sub-verse005,0.87654,3.5,0.75\n"
        "200,2.0,sub-verse008,0.9,4.5,0.5\n"
    )
    publish_segmenter(path, "python -m train", report=quiet)
    entry = find_segmenter(folder=models)
    assert (entry.id, entry.training_command) == ("ct-segmenter", "python -m train")
    assert entry.licence == "CC-BY-NC-SA-4.0"
    assert {item["use"] for item in entry.data} == {SHAPES, BODIES, CASES, WATCHED}
    roles = [role_of([name], uses_in_registry(entry.data)) for name in ("sub-verse014", "sub-verse005", "sub-verse007")]
    assert roles == [Role.TRAINED_ON, Role.CHOSEN_ON, Role.HELD_OUT]
    assert entry.figures["cases"] == {
        "sub-verse005": {"dice": 0.8765, "centroid_mm": 3.5, "level": 0.75},
        "sub-verse008": {"dice": 0.9, "centroid_mm": 4.5, "level": 0.5},
    }
    loaded = load_segmenter(entry=entry)
    assert not loaded.training
    assert loaded.config == NETWORK
    for name, value in loaded.state_dict().items():
        assert (value - state[name]).norm() <= 0.012 * state[name].norm(), name
    hu = torch.randn(1, 1, 16, 32, 48, generator=torch.Generator().manual_seed(0))
    trained = CTSegmenter(NETWORK).eval()
    trained.load_state_dict(state)
    with torch.inference_mode():
        expected, got = trained(hu), loaded(hu)
    assert got.shape == (1, 5, 16, 32, 48)
    assert (got - expected).abs().max() < 0.05 * expected.std()


def test_of_several_checkpoints_the_mean_is_published(models: Path, tmp_path: Path) -> None:
    first, one = a_checkpoint(tmp_path / "a.ckpt", 0)
    second, other = a_checkpoint(tmp_path / "b.ckpt", 1)
    (tmp_path / "validation.csv").write_text(
        "step,minutes,case,dice,centroid_mm,level\n1,1.0,sub-verse005,0.5,9.0,2.0\n"
    )
    entry = publish_segmenter([first, second], "", report=quiet)
    assert entry.figures == {}  # the table is of the first alone
    for name, value in load_segmenter(entry=entry).state_dict().items():
        mean = (one[name] + other[name]) / 2
        assert (value - mean).norm() <= 0.012 * mean.norm(), name
    larger, _ = a_checkpoint(tmp_path / "c.ckpt", network=CTSegmenterConfig((8, 8, 12, 16, 24)))
    with pytest.raises(ValueError, match=r"got another in .*c\.ckpt"):
        publish_segmenter([first, larger], "", report=quiet)
    with pytest.raises(ValueError, match="at least one"):
        publish_segmenter([], "", report=quiet)


def test_segmenters_and_models_do_not_disturb_each_other(
    models: Path, tmp_path: Path, a_place: SimpleNamespace
) -> None:
    assert a_place.models == models
    path, _ = a_checkpoint(tmp_path / "segmenter.ckpt", sources=uses_of(CASES, ["sub-verse014"]))
    publish_segmenter(path, "", report=quiet)
    publish(a_place)
    publish_segmenter(path, "", "another", report=quiet)
    publish(a_place, model="other")
    default, entries = read_segmenters(models)
    assert (default, list(entries)) == ("ct-segmenter", ["ct-segmenter", "another"])
    assert entries["another"].licence == "CC-BY-SA-4.0"
    assert find_model(None, models).id == "tiny"
    with pytest.raises(ValueError, match=r"one of the segmenters \['another', 'ct-segmenter'\], got 'none'"):
        find_segmenter("none", models)


def test_what_must_not_be_published_is_refused(
    models: Path, tmp_path: Path, a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"CT segmenter .*another network"):
        publish_segmenter(a_place.checkpoint, "", report=quiet)
    path, _ = a_checkpoint(tmp_path / "nd.ckpt", sources=uses_of(CASES, ["sub-gl003"]) + uses_of(WATCHED, ["s0308"]))
    with pytest.raises(ValueError, match="no derivatives"):
        publish_segmenter(path, "", report=quiet)
    monkeypatch.setattr(publishing_segmenter, "LIMIT_BYTES", 1000)
    with pytest.raises(ValueError, match="at most"):
        publish_segmenter(a_checkpoint(tmp_path / "large.ckpt")[0], "", report=quiet)
    with pytest.raises(ValueError, match=r"Expected a checkpoint.*there is none"):
        publish_segmenter(tmp_path / "absent.ckpt", "", report=quiet)
    assert not list(models.iterdir())


def test_damaged_weights_and_those_of_another_network_are_refused(models: Path, tmp_path: Path) -> None:
    entry = publish_segmenter(a_checkpoint(tmp_path / "last.ckpt")[0], "", report=quiet)
    registry = json.loads((models / REGISTRY_NAME).read_text(encoding="utf-8"))
    registry["segmenters"][0]["network"]["widths"] = [8, 8, 12, 16, 24]
    (models / REGISTRY_NAME).write_text(json.dumps(registry))
    with pytest.raises(ValueError, match="another network than registry entry ct-segmenter"):
        load_segmenter(entry=find_segmenter(folder=models))
    content = bytearray(entry.path.read_bytes())
    content[-1] ^= 1
    entry.path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="SHA-256"):
        load_segmenter(entry=entry)


def test_a_registry_without_segmenters_says_so(tmp_path: Path) -> None:
    (tmp_path / REGISTRY_NAME).write_text(json.dumps({"default": "", "models": []}))
    assert read_segmenters(tmp_path) == ("", {})
    with pytest.raises(ValueError, match="comes without one"):
        find_segmenter(folder=tmp_path)
