"""From a checkpoint to a published model: licence, atlas, lookup table, registry entry. No network, no shared data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from support.anatomies import a_spine, labels_of_a_column
from support.publishing_places import NETWORK, publish, record
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration import built_in_phantom
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.training import baseline, publishing
from TomoRayLib.training.atlas import MeanAtlas, mean_atlas
from TomoRayLib.training.data.anatomy import load_spines
from TomoRayLib.training.data.augmentation import GeometryRanges
from TomoRayLib.training.data.licences import (
    BODIES,
    CASES,
    EARLIER,
    GREY,
    NOT_RECORDED,
    SHAPES,
    WATCHED,
    SourceUse,
    commercial_use_allowed,
    from_record,
    recorded_sources,
    to_record,
    uses_of,
)
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.weights import (
    LOOKUP_NAME,
    find_model,
    load_atlas,
    load_equal_frequency_table,
    load_network,
    models_folder,
    read_registry,
    save_weights,
)

DEMONSTRATION_CASE = publishing.demonstration_case  # the fixture puts another in its place


def test_a_published_model_can_be_loaded_with_all_that_belongs_to_it(a_place: SimpleNamespace) -> None:
    lines: list[str] = []
    publish(a_place, report=lines.append)
    entry = find_model(None, a_place.models)
    assert (entry.id, entry.size, entry.fov_mm, entry.figures) == ("tiny", 32, 256.0, {"n": 1, "id": "tiny"})
    loaded = load_network(entry).state_dict()
    for name, value in a_place.state.items():
        torch.testing.assert_close(loaded[name], value, atol=1e-3, rtol=1e-3)
    grey, mask = load_atlas(entry)
    assert grey.shape == mask.shape == (32, 32, 32)
    assert 0 < grey.max() <= 1
    assert mask.any()
    assert load_equal_frequency_table(a_place.models).levels == 100
    assert any("MB" in line for line in lines)


def test_the_cube_and_the_geometry_are_those_of_the_training(a_place: SimpleNamespace) -> None:
    content = torch.load(a_place.checkpoint, weights_only=True)
    stream = StreamConfig(fov_mm=192.0, geometry=GeometryRanges((700.0, 900.0), parallel_share=0.0, slot_share=0.1))
    torch.save({**content, "stream": dataclasses.asdict(stream)}, a_place.checkpoint)
    publish(a_place)
    entry = find_model(None, a_place.models)
    assert entry.fov_mm == 192.0
    assert entry.geometry_range == {
        "sad_mm": [700.0, 900.0],
        "parallel": False,
        "slot_sad_mm": [540.0, 1100.0],
        "angle_sd_deg": 3.0,
    }
    other = a_place.checkpoint.with_name("other.ckpt")
    torch.save(content, other)
    with pytest.raises(ValueError, match="one cube and geometry"):
        publishing.imaging_of([a_place.checkpoint, other])


def test_a_run_on_labelled_cts_alone_has_the_atlas_of_their_masks(
    a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_label_maps(*_: object) -> tuple[Spine, ...]:
        raise AssertionError("the label maps were not trained on")

    monkeypatch.setattr(baseline, "load_spines", no_label_maps)
    record(a_place.checkpoint, uses_of(CASES, ["sub-verse9"]))
    publish(a_place)
    entry = find_model(None, a_place.models)
    assert entry.licence == "CC-BY-SA-4.0"
    assert [item["name"] for item in entry.data] == ["VerSe (sub-verse9)"] * 2  # trained on; grey values of bone
    assert load_atlas(entry)[1].any()
    record(a_place.checkpoint, uses_of(CASES, ["sub-verse10"]))
    with pytest.raises(ValueError, match=r"the labelled CTs that were trained on \(sub-verse10\) below"):
        publish(a_place)


def test_without_the_demonstration_case_nothing_is_written(
    a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "fetch_demonstration", lambda cache: built_in_phantom())
    monkeypatch.setattr(publishing, "demonstration_case", DEMONSTRATION_CASE)
    with pytest.raises(ValueError, match="connect to the network"):
        publish(a_place)
    assert not list(a_place.models.iterdir())


def test_a_checkpoint_that_does_not_say_its_sources_is_published_as_non_commercial(a_place: SimpleNamespace) -> None:
    publish(a_place)
    entry = find_model(None, a_place.models)
    assert entry.licence == "CC-BY-NC-SA-4.0"
    assert {(item["name"], item["use"]) for item in entry.data} == {
        ("not recorded", EARLIER),
        ("not known (column)", SHAPES),
        ("VerSe (sub-verse9)", GREY),
    }


def test_a_permissive_checkpoint_is_published_with_its_own_licence_and_permissive_data_alone(
    a_place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = uses_of(SHAPES, ["myo_sim"]) + uses_of(BODIES, ["tcga_de_a4ma_torso"]) + uses_of(WATCHED, ["elsewhere"])
    record(a_place.checkpoint, recorded)
    asked: list[tuple[bool, bool]] = []

    def spines(data: Path, permissive: bool, myo_sim: bool) -> tuple[Spine, ...]:
        asked.append((permissive, myo_sim))
        return (dataclasses.replace(a_spine(4.0), name="myo_sim"),)

    monkeypatch.setattr(baseline, "load_spines", spines)
    publish(a_place)
    assert asked == [(True, True)]
    entry = find_model(None, a_place.models)
    assert entry.licence == "CC-BY-SA-4.0"  # VerSe's grey values
    assert entry.data[-1] == {"name": "VerSe (sub-verse9)", "licence": "CC-BY-SA-4.0", "use": GREY}
    assert recorded_sources(entry.path) == recorded + uses_of(GREY, ["sub-verse9"])  # who goes on from it inherits them


def test_a_model_of_cases_that_allow_no_derivatives_is_not_published(a_place: SimpleNamespace) -> None:
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]) + uses_of(CASES, ["sub-gl003", "sub-verse9"]))
    with pytest.raises(ValueError, match=r"no derivatives \(ND\): sub-gl003\. Train without"):
        publish(a_place)
    assert list(a_place.models.iterdir()) == []


def test_the_table_is_made_of_cases_that_suit_every_model_and_were_not_watched(a_place: SimpleNamespace) -> None:
    verse = a_place.data / "verse" / "dataset-01training"
    for name in ("sub-verse024", "sub-verse8_dir-iso", "sub-gl003", "stranger"):
        for folder, ending in (("rawdata", "ct"), ("derivatives", "seg-vert_msk")):
            file = verse / folder / name / f"{name}_{ending}.nii.gz"
            file.parent.mkdir()
            file.write_bytes(b"reading this would fail")
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]) + uses_of(WATCHED, ["verse8"]))
    publish(a_place)
    table = json.loads((a_place.models / LOOKUP_NAME).read_text(encoding="utf-8"))
    assert table["sources"] == to_record(uses_of(GREY, ["sub-verse9"]))


def test_the_atlas_is_made_of_the_spines_that_were_trained_on(
    a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("verse018", "verse024", "verse041", "verse042")
    spines = [dataclasses.replace(a_spine(4.0), name=name) for name in names]
    monkeypatch.setattr(baseline, "load_spines", lambda *_: tuple(spines))
    publish(a_place)
    listed = [item["name"] for item in find_model(None, a_place.models).data]
    assert "VerSe label maps (verse018, verse041, verse042)" in listed  # of no record: all that are not held out
    record(a_place.checkpoint, uses_of(SHAPES, ["verse018", "verse041"]) + uses_of(WATCHED, ["sub-verse041"]))
    used: list[str] = []

    def atlas(chosen: tuple[Spine, ...], grey: float, fov_mm: float) -> MeanAtlas:
        used.extend(spine.name for spine in chosen)
        return mean_atlas(chosen, grey, fov_mm)

    monkeypatch.setattr(baseline, "mean_atlas", atlas)
    publish(a_place)
    assert used == ["verse018"]
    record(a_place.checkpoint, uses_of(SHAPES, ["elsewhere"]))
    with pytest.raises(ValueError, match=r"trained on \(elsewhere\) .* got none of 4"):
        publish(a_place)


def test_without_bodies_the_label_maps_are_enough(a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "load_spines", load_spines)
    labels, grid = labels_of_a_column()
    (a_place.data / "labelmaps").mkdir()
    write_volume(a_place.data / "labelmaps" / "column_seg.nii.gz", Volume(labels, grid))
    used = uses_of(SHAPES, ["column"]) + uses_of(BODIES, ["procedural_0"])
    record(a_place.checkpoint, used)
    publish(a_place)
    entry = find_model(None, a_place.models)
    assert [item["use"] for item in entry.data] == [SHAPES, BODIES, GREY]


def test_of_several_checkpoints_the_mean_is_published(a_place: SimpleNamespace, tmp_path: Path) -> None:
    content = torch.load(a_place.checkpoint, weights_only=True)
    doubled = {name: value * 3 if value.is_floating_point() else value for name, value in content["ema"].items()}
    torch.save({**content, "ema": doubled}, tmp_path / "other.ckpt")
    publish(a_place, [a_place.checkpoint, tmp_path / "other.ckpt"])
    loaded = load_network(find_model(None, a_place.models)).state_dict()
    for name, value in a_place.state.items():
        torch.testing.assert_close(loaded[name], 2 * value, atol=2e-3, rtol=1e-3)
    network = {**content["network"], "output_size": 64}
    torch.save({**content, "network": network}, tmp_path / "larger.ckpt")
    with pytest.raises(ValueError, match=r"another in .*larger"):
        publishing.mean_weights([a_place.checkpoint, tmp_path / "larger.ckpt"])
    with pytest.raises(ValueError, match="at least one"):
        publishing.mean_weights([])


def test_weights_of_before_the_head_that_counts_are_averaged_with_those_that_have_it(
    a_place: SimpleNamespace, tmp_path: Path
) -> None:
    plain = publish(a_place).path
    config = dataclasses.replace(NETWORK, counts=True)
    state = GeoLiftUNet(config).state_dict()
    ema = {"n_averaged": torch.tensor(3)} | {f"module.{name}": value for name, value in state.items()}
    torch.save({"network": dataclasses.asdict(config), "ema": ema}, tmp_path / "counting.ckpt")
    mean_config, mean = publishing.mean_weights([tmp_path / "counting.ckpt", plain, plain])
    assert mean_config == config
    assert mean.keys() == state.keys()
    for name, value in state.items():
        expected = (value + 2 * a_place.state[name]) / 3 if name in a_place.state else value
        torch.testing.assert_close(mean[name], expected, atol=2e-3, rtol=1e-3, msg=name)
    assert publishing.mean_weights([plain, tmp_path / "counting.ckpt"])[0] == config
    damaged = {name: value for name, value in state.items() if name != "decoder.0.norm.bias"}
    with pytest.raises(ValueError, match=r"got none of decoder\.0\.norm\.bias in number 2"):
        publishing.mean_state([state, damaged], ("counter.",))


def test_publishing_again_replaces_the_model_and_keeps_the_others_and_the_default(a_place: SimpleNamespace) -> None:
    for name in ("tiny", "other", "tiny"):
        publish(a_place, model=name)
    default, entries = read_registry(a_place.models)
    assert default == "tiny"
    assert list(entries) == ["tiny", "other"]
    assert entries["tiny"].figures["n"] == 3


def test_weights_too_large_for_the_extension_are_not_registered(
    a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "LIMIT_BYTES", 1000)
    with pytest.raises(ValueError, match="at most"):
        publish(a_place)
    assert list(a_place.models.iterdir()) == []


def test_publishing_needs_labelled_cts_or_the_table_of_an_earlier_time(
    a_place: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"labelled CTs .*got none of 0"):
        publish(a_place, data=tmp_path / "nowhere")
    publish(a_place)
    table, grey = (a_place.models / LOOKUP_NAME).read_bytes(), load_atlas(find_model(None, a_place.models))[0]
    lines: list[str] = []
    publish(a_place, data=tmp_path / "nowhere", report=lines.append)
    assert (a_place.models / LOOKUP_NAME).read_bytes() == table
    np.testing.assert_allclose(load_atlas(find_model(None, a_place.models))[0], grey, atol=5e-3)
    assert any("stays as it is" in line for line in lines)
    assert find_model(None, a_place.models).data[-1]["name"] == "VerSe (sub-verse9)"
    content = json.loads(table)
    del content["sources"]
    (a_place.models / LOOKUP_NAME).write_text(json.dumps(content))
    publish(a_place, data=tmp_path / "nowhere")
    assert {"name": "not recorded", "licence": NOT_RECORDED.licence, "use": GREY} in find_model(
        None, a_place.models
    ).data


def test_the_shipped_table_says_what_it_was_made_of() -> None:
    content = json.loads((models_folder() / LOOKUP_NAME).read_text(encoding="utf-8"))
    assert commercial_use_allowed(from_record(content["sources"]))
    assert load_equal_frequency_table().levels == 100


def test_what_is_no_checkpoint_is_refused_by_name(a_place: SimpleNamespace, tmp_path: Path) -> None:
    torch.save({"network": {}}, tmp_path / "bare.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    for name in ("bare.ckpt", "text.ckpt", "broken.safetensors", "absent.ckpt", "absent.safetensors"):
        with pytest.raises(ValueError, match=f"Expected a checkpoint of a run .*{name}"):
            publish(a_place, [a_place.checkpoint, tmp_path / name])
    assert list(a_place.models.iterdir()) == []


def published_weights(a_place: SimpleNamespace, uses: tuple[SourceUse, ...]) -> Path:
    """Published weights of the checkpoint's network that are five times its own."""
    path = a_place.models.parent / "before.safetensors"
    network = torch.load(a_place.checkpoint, weights_only=True)["network"]
    state = {name: 5 * value for name, value in a_place.state.items()}
    save_weights(state, path, {"network": json.dumps(network), "sources": json.dumps(to_record(uses))})
    return path


def test_published_weights_join_the_mean_with_their_sources(a_place: SimpleNamespace) -> None:
    """One part of them to three of the run: (3 + 5) / 4 of the run's own."""
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]))
    before = published_weights(a_place, uses_of(SHAPES, ["column"]) + uses_of(CASES, ["sub-verse9"]))
    publish(a_place, [a_place.checkpoint] * 3 + [before])
    entry = find_model(None, a_place.models)
    loaded = load_network(entry).state_dict()
    for name, value in a_place.state.items():
        torch.testing.assert_close(loaded[name], 2 * value, atol=4e-3, rtol=2e-3)
    used = {(item["name"], item["use"]) for item in entry.data}
    assert used == {("not known (column)", SHAPES), ("VerSe (sub-verse9)", CASES), ("VerSe (sub-verse9)", GREY)}


def test_published_weights_alone_or_without_their_network_are_not_published(
    a_place: SimpleNamespace, tmp_path: Path
) -> None:
    before = published_weights(a_place, uses_of(SHAPES, ["column"]))
    with pytest.raises(ValueError, match=r"a run's checkpoint \(last.ckpt\) .* alone; name the run"):
        publish(a_place, [before, before])
    save_file(a_place.state, tmp_path / "old.safetensors")
    with pytest.raises(ValueError, match=r"name their network, got .*old.safetensors, which does not"):
        publishing.publish_model(
            [a_place.checkpoint, tmp_path / "old.safetensors"],
            a_place.data,
            publishing.Publication("tiny"),
            lambda line: None,
        )
    assert list(a_place.models.iterdir()) == []
