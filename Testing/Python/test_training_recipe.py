"""From the recipe to a published model: stages, mean atlas, lookup table, registry. No network, no shared data."""

from __future__ import annotations

import dataclasses
import itertools
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from test_training_anatomy import a_coarse_anatomy, a_spine, labels_of_a_column, one_thread  # noqa: F401

from TomoRayLib.cli_training import _watched
from TomoRayLib.errors import InputError
from TomoRayLib.geometry import Grid
from TomoRayLib.image_types import Volume
from TomoRayLib.images import write_volume
from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet
from TomoRayLib.training import publishing, recipe
from TomoRayLib.training.atlas import (
    MeanAtlas,
    atlas_tensors,
    bone_hu,
    fit_lookup_table,
    mean_atlas,
    mean_bone_grey,
)
from TomoRayLib.training.datasets import load_spines
from TomoRayLib.training.loop import TrainingConfig
from TomoRayLib.training.sources import (
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
from TomoRayLib.training.spines import Spine
from TomoRayLib.weights import (
    LOOKUP_NAME,
    REGISTRY_NAME,
    ModelEntry,
    find_model,
    load_atlas,
    load_equal_frequency_table,
    load_network,
    models_folder,
    read_registry,
    sha256_of_bytes,
)

FOV_MM = 256.0
VOXEL_MM = FOV_MM / 96


def a_block(width_mm: float, height_mm: float = 96.0, empty_above_mm: float = 0.0, shift_mm: float = 0.0) -> Spine:
    """A spine that is a block of bone, ``width_mm`` wide and 48 mm deep, far from the patient's origin."""
    step = 4.0
    grid = Grid((40, 24, round((height_mm + empty_above_mm) / step) + 4), (step,) * 3, (200.0 + shift_mm, -90.0, 700.0))
    occupancy = np.zeros(grid.shape, np.uint8)
    half = round(width_mm / step / 2)
    occupancy[2 : 2 + round(height_mm / step), 6:18, 20 - half : 20 + half] = 255
    return Spine("block", torch.from_numpy(occupancy), grid, np.zeros((grid.size[2], 2)), np.array([[20.5, 0.0]]))


def inside(atlas: MeanAtlas, x_mm: float, y_mm: float = 0.0, z_mm: float = 0.0) -> float:
    """Probability at a place in mm from the middle of the cube."""
    i, j, k = (round(48 + value / VOXEL_MM - 0.5) for value in (x_mm, y_mm, z_mm))
    return float(atlas.probability[k, j, i])


def test_the_mean_of_blocks_is_their_share_at_each_place() -> None:
    """Two narrow blocks and a wide one: bone in 3 of 3 in the middle, in 1 of 3 on the flanks, in none beyond."""
    atlas = mean_atlas([a_block(40.0), a_block(40.0), a_block(120.0)], 0.5, FOV_MM)
    assert atlas.stretches == 3
    for x_mm, share in ((0.0, 1.0), (8.0, 1.0), (-8.0, 1.0), (40.0, 1 / 3), (-40.0, 1 / 3), (75.0, 0.0), (-75.0, 0.0)):
        assert inside(atlas, x_mm) == pytest.approx(share, abs=1e-5)
    assert inside(atlas, 0.0, y_mm=40.0) == inside(atlas, 0.0, z_mm=60.0) == 0.0
    torch.testing.assert_close(atlas.grey, atlas.probability * 0.5)


def test_the_threshold_keeps_what_most_spines_have() -> None:
    """The narrow mask fits two of the three blocks exactly, the wide one fits only one."""
    atlas = mean_atlas([a_block(40.0), a_block(40.0), a_block(120.0)], 0.5, FOV_MM)
    assert atlas.threshold > 0.3
    assert bool(atlas.probability[48, 48, 48] > atlas.threshold)
    wide = mean_atlas([a_block(40.0), a_block(120.0), a_block(120.0)], 0.5, FOV_MM)
    assert bool(wide.probability[48, 48, 48 + 15] > wide.threshold)


def test_where_a_spine_lies_in_its_scan_does_not_matter() -> None:
    """Shifted sideways, or with empty slices above it: its bounding box is what is centred."""
    first, *others = (
        mean_atlas([block], 0.5, FOV_MM).probability
        for block in (a_block(40.0), a_block(40.0, shift_mm=33.0), a_block(40.0, empty_above_mm=80.0))
    )
    middle = first[48].flip(0) + first[48].flip(1)
    torch.testing.assert_close(middle, 2 * first[48], atol=1e-4, rtol=0)
    for other in others:
        torch.testing.assert_close(other, first, atol=1e-4, rtol=0)


def test_a_tall_spine_gives_a_stretch_every_64_mm() -> None:
    assert mean_atlas([a_block(40.0, height_mm=400.0)], 0.5, FOV_MM).stretches == 3
    assert mean_atlas([a_block(40.0, height_mm=200.0)], 0.5, FOV_MM).stretches == 1


def an_entry(folder: Path, **changes: Any) -> ModelEntry:
    values: dict[str, Any] = {
        "id": "tiny",
        "file": "tiny.safetensors",
        "sha256": "",
        "architecture": "geolift",
        "network": {},
        "grid": {"size": 96, "fov_mm": FOV_MM},
        "geometry_range": {},
        "licence": "test",
        "data": [],
        "training_command": "",
        "figures": {},
        "atlas_file": "atlas.safetensors",
        "atlas_sha256": "",
        "atlas_threshold": 0.4,
    }
    entry = ModelEntry(**{**values, **changes})
    listed = {key: value for key, value in asdict(entry).items() if key != "folder"}
    (folder / REGISTRY_NAME).write_text(json.dumps({"default": entry.id, "models": [listed]}))
    return find_model(None, folder)


def test_an_atlas_comes_back_from_the_registry_as_it_was_made(tmp_path: Path) -> None:
    atlas = mean_atlas([a_block(40.0), a_block(120.0)], 0.37, FOV_MM)
    content = save(atlas_tensors(atlas))
    (tmp_path / "atlas.safetensors").write_bytes(content)
    entry = an_entry(tmp_path, atlas_sha256=sha256_of_bytes(content), atlas_threshold=atlas.threshold)
    grey, mask = load_atlas(entry)
    np.testing.assert_allclose(grey, atlas.grey.numpy(), atol=0.37 / 255)
    unsure = np.abs(atlas.probability.numpy() - atlas.threshold) < 1 / 255
    np.testing.assert_array_equal(mask[~unsure], (atlas.probability.numpy() > atlas.threshold)[~unsure])


def test_a_damaged_atlas_is_refused(tmp_path: Path) -> None:
    (tmp_path / "atlas.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="SHA-256"):
        load_atlas(an_entry(tmp_path, atlas_sha256="0" * 64))


def a_labelled_ct(seed: int, middle_hu: float, size: int = 16) -> tuple[Volume, Volume]:
    grid = Grid((size, size, size), (2.0, 2.0, 2.0), (10.0, 20.0, 30.0))
    labels = np.zeros(grid.shape, np.int16)
    labels[3:13, 3:13, 3:13], labels[:3] = 20, 26
    hu = np.random.default_rng(seed).normal(middle_hu, 150.0, grid.shape)
    return Volume(np.round(np.where(labels == 20, hu, -2000)).astype(np.int16), grid), Volume(labels, grid)


def test_each_case_gives_as_many_bone_values_and_none_beside_bone() -> None:
    hu = bone_hu([a_labelled_ct(0, 100.0), a_labelled_ct(1, 500.0, size=20)])
    assert len(hu) == 2 * 20001
    assert hu.min() > -1000
    assert np.median(hu[:20001]) == pytest.approx(100, abs=15)
    assert np.median(hu[20001:]) == pytest.approx(500, abs=15)
    assert mean_bone_grey(np.array([400.0, 1050.0], np.float32)) == pytest.approx(0.75)


def test_the_lookup_table_holds_the_same_share_of_bone_at_each_level(tmp_path: Path) -> None:
    table = fit_lookup_table(np.linspace(-100.0, 900.0, 99_000, dtype=np.float32))
    grey = table.quantise(np.linspace(-99.9, 899.9, 99_000))
    counts = np.unique(np.round(grey * 99), return_counts=True)[1]
    assert len(counts) == 99  # level 0 is the background's
    np.testing.assert_allclose(counts, 1000, atol=15)
    (tmp_path / LOOKUP_NAME).write_text(json.dumps(table.to_dict()))
    assert load_equal_frequency_table(tmp_path) == table


def test_the_stages_spend_the_budget_and_their_targets_suit_their_levels() -> None:
    assert sum(share for _, share, _, _ in recipe.STAGES) == pytest.approx(1.0)
    levels = [int(str(changes["finest_level"])) for _, _, changes, _ in recipe.STAGES]
    assert levels == [2, 1, 0]
    for (name, _, _, size), level in zip(recipe.STAGES, levels, strict=True):
        assert int(name) == 192 >> level
        assert size % (192 >> level) == 0


def test_each_stage_starts_from_the_one_before_and_draws_phantoms_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[TrainingConfig, Any, Path, bool]] = []

    def keep(config: Any, stream: Any, anatomy: Any, cases: Any, out: Path, resume: bool, report: Any) -> Path:
        calls.append((config, stream, out, resume))
        return out / "last.ckpt"

    monkeypatch.setattr(recipe, "train", keep)
    monkeypatch.setattr(recipe, "load_anatomy", lambda data: a_coarse_anatomy())
    monkeypatch.setattr(recipe, "phantom_cases", lambda *_: [])
    (tmp_path / "48").mkdir()
    (tmp_path / "48" / "last.ckpt").touch()
    last = recipe.train_first_weights(tmp_path, tmp_path, 100.0, [], report=lambda line: None)
    assert last == tmp_path / "192" / "last.ckpt"
    assert [config.minutes for config, *_ in calls] == pytest.approx([60.0, 20.0, 20.0])
    starts = [None, str(tmp_path / "48" / "last.ckpt"), str(tmp_path / "96" / "last.ckpt")]
    assert [config.start_from for config, *_ in calls] == starts
    assert [resume for *_, resume in calls] == [True, False, False]
    assert len({stream.seed for _, stream, *_ in calls}) == 3
    assert [config.freeze_coarse for config, *_ in calls] == [False, True, True]


def test_a_watched_case_is_a_name_and_two_files() -> None:
    assert _watched("s0308=a/ct.nii.gz,b/labels.nii.gz") == ("s0308", Path("a/ct.nii.gz"), Path("b/labels.nii.gz"))


@pytest.mark.parametrize("case", ["", "ct.nii.gz,labels.nii.gz", "=a,b", "name=a", "name=a,b,c"])
def test_anything_else_to_watch_is_refused(case: str) -> None:
    with pytest.raises(InputError, match="NAME=CT,LABELS"):
        _watched(case)


@pytest.fixture
def a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An empty models folder, a checkpoint of a tiny network, and data with one labelled CT in VerSe's layout."""
    models, data = tmp_path / "Models", tmp_path / "data"
    models.mkdir()
    network = GeoLiftConfig((4, 4, 8, 8, 8), (4, 4, 4, 8, 8), (1, 1, 1, 1, 1), 32)
    state = GeoLiftUNet(network).state_dict()
    ema = {"n_averaged": torch.tensor(3)} | {f"module.{name}": value for name, value in state.items()}
    torch.save({"network": network.to_dict(), "ema": ema}, tmp_path / "last.ckpt")
    ct, labels = a_labelled_ct(0, 300.0)
    verse = data / "verse" / "dataset-01training"
    for folder, name, volume in (("rawdata", "sub-verse9_ct", ct), ("derivatives", "sub-verse9_seg-vert_msk", labels)):
        (verse / folder / "sub-verse9").mkdir(parents=True)
        write_volume(verse / folder / "sub-verse9" / f"{name}.nii.gz", volume)
    monkeypatch.setattr(publishing, "models_folder", lambda: models)
    monkeypatch.setattr(publishing, "load_spines", lambda data, permissive, myo_sim: a_coarse_anatomy().spines)
    figures = itertools.count(1)
    monkeypatch.setattr(publishing, "demonstration_figures", lambda model_id: {"n": next(figures), "id": model_id})
    return SimpleNamespace(models=models, data=data, checkpoint=tmp_path / "last.ckpt", state=state)


def record(checkpoint: Path, uses: tuple[SourceUse, ...]) -> None:
    torch.save({**torch.load(checkpoint, weights_only=True), "sources": to_record(uses)}, checkpoint)


def test_a_published_model_can_be_loaded_with_all_that_belongs_to_it(a_place: SimpleNamespace) -> None:
    lines: list[str] = []
    publishing.publish_model(a_place.checkpoint, a_place.data, "tomoray train", "tiny", lines.append)
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


def test_a_checkpoint_that_does_not_say_its_sources_is_published_as_non_commercial(a_place: SimpleNamespace) -> None:
    publishing.publish_model(a_place.checkpoint, a_place.data, "tomoray train", "tiny", lambda line: None)
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

    monkeypatch.setattr(publishing, "load_spines", spines)
    publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    assert asked == [(True, True)]
    entry = find_model(None, a_place.models)
    assert entry.licence == "CC-BY-SA-4.0"  # VerSe's grey values
    assert entry.data[-1] == {"name": "VerSe (sub-verse9)", "licence": "CC-BY-SA-4.0", "use": GREY}
    assert recorded_sources(entry.path) == recorded + uses_of(GREY, ["sub-verse9"])  # who goes on from it inherits them


def test_a_model_of_cases_that_allow_no_derivatives_is_not_published(a_place: SimpleNamespace) -> None:
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]) + uses_of(CASES, ["sub-gl003", "sub-verse9"]))
    with pytest.raises(ValueError, match=r"no derivatives \(ND\): sub-gl003\. Train without"):
        publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    assert list(a_place.models.iterdir()) == []


def test_the_table_is_made_of_cases_that_suit_every_model_and_were_not_watched(a_place: SimpleNamespace) -> None:
    verse = a_place.data / "verse" / "dataset-01training"
    for name in ("sub-verse024", "sub-verse8_dir-iso", "sub-gl003", "stranger"):
        for folder, ending in (("rawdata", "ct"), ("derivatives", "seg-vert_msk")):
            file = verse / folder / name / f"{name}_{ending}.nii.gz"
            file.parent.mkdir()
            file.write_bytes(b"reading this would fail")
    record(a_place.checkpoint, uses_of(SHAPES, ["column"]) + uses_of(WATCHED, ["verse8"]))
    publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    table = json.loads((a_place.models / LOOKUP_NAME).read_text())
    assert table["sources"] == to_record(uses_of(GREY, ["sub-verse9"]))


def test_the_atlas_is_made_of_the_spines_that_were_trained_on(
    a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("verse018", "verse024", "verse041", "verse042")
    spines = [dataclasses.replace(a_spine(4.0), name=name) for name in names]
    monkeypatch.setattr(publishing, "load_spines", lambda *_: tuple(spines))
    publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    listed = [item["name"] for item in find_model(None, a_place.models).data]
    assert "VerSe label maps (verse018, verse041, verse042)" in listed  # of no record: all that are not held out
    record(a_place.checkpoint, uses_of(SHAPES, ["verse018", "verse041"]) + uses_of(WATCHED, ["sub-verse041"]))
    used: list[str] = []

    def atlas(chosen: tuple[Spine, ...], grey: float, fov_mm: float) -> MeanAtlas:
        used.extend(spine.name for spine in chosen)
        return mean_atlas(chosen, grey, fov_mm)

    monkeypatch.setattr(publishing, "mean_atlas", atlas)
    publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    assert used == ["verse018"]
    record(a_place.checkpoint, uses_of(SHAPES, ["elsewhere"]))
    with pytest.raises(ValueError, match=r"trained on \(elsewhere\) .* got none of 4"):
        publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)


def test_without_bodies_the_label_maps_are_enough(a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "load_spines", load_spines)
    labels, grid = labels_of_a_column()
    (a_place.data / "labelmaps").mkdir()
    write_volume(a_place.data / "labelmaps" / "column_seg.nii.gz", Volume(labels, grid))
    used = uses_of(SHAPES, ["column"]) + uses_of(BODIES, ["procedural_0"])
    record(a_place.checkpoint, used)
    publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    entry = find_model(None, a_place.models)
    assert [item["use"] for item in entry.data] == [SHAPES, BODIES, GREY]


def test_of_several_checkpoints_the_mean_is_published(a_place: SimpleNamespace, tmp_path: Path) -> None:
    content = torch.load(a_place.checkpoint, weights_only=True)
    doubled = {name: value * 3 if value.is_floating_point() else value for name, value in content["ema"].items()}
    torch.save({**content, "ema": doubled}, tmp_path / "other.ckpt")
    publishing.publish_model([a_place.checkpoint, tmp_path / "other.ckpt"], a_place.data, "", "tiny", lambda line: None)
    loaded = load_network(find_model(None, a_place.models)).state_dict()
    for name, value in a_place.state.items():
        torch.testing.assert_close(loaded[name], 2 * value, atol=2e-3, rtol=1e-3)
    network = {**content["network"], "output_size": 64}
    torch.save({**content, "network": network}, tmp_path / "larger.ckpt")
    with pytest.raises(ValueError, match=r"another in .*larger"):
        publishing.mean_weights([a_place.checkpoint, tmp_path / "larger.ckpt"])
    with pytest.raises(ValueError, match="at least one"):
        publishing.mean_weights([])


def test_publishing_again_replaces_the_model_and_keeps_the_others_and_the_default(a_place: SimpleNamespace) -> None:
    for name in ("tiny", "other", "tiny"):
        publishing.publish_model(a_place.checkpoint, a_place.data, "tomoray train", name, lambda line: None)
    default, entries = read_registry(a_place.models)
    assert default == "tiny"
    assert sorted(entries) == ["other", "tiny"]
    assert entries["tiny"].figures["n"] == 3


def test_weights_too_large_for_the_extension_are_not_registered(
    a_place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "LIMIT_BYTES", 1000)
    with pytest.raises(ValueError, match="at most"):
        publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    assert list(a_place.models.iterdir()) == []


def test_publishing_needs_labelled_cts_or_the_table_of_an_earlier_time(
    a_place: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"labelled CTs .*got none of 0"):
        publishing.publish_model(a_place.checkpoint, tmp_path / "nowhere", "", "tiny", lambda line: None)
    publishing.publish_model(a_place.checkpoint, a_place.data, "", "tiny", lambda line: None)
    table, grey = (a_place.models / LOOKUP_NAME).read_bytes(), load_atlas(find_model(None, a_place.models))[0]
    lines: list[str] = []
    publishing.publish_model(a_place.checkpoint, tmp_path / "nowhere", "", "tiny", lines.append)
    assert (a_place.models / LOOKUP_NAME).read_bytes() == table
    np.testing.assert_allclose(load_atlas(find_model(None, a_place.models))[0], grey, atol=5e-3)
    assert any("stays as it is" in line for line in lines)
    assert find_model(None, a_place.models).data[-1]["name"] == "VerSe (sub-verse9)"
    content = json.loads(table)
    del content["sources"]
    (a_place.models / LOOKUP_NAME).write_text(json.dumps(content))
    publishing.publish_model(a_place.checkpoint, tmp_path / "nowhere", "", "tiny", lambda line: None)
    assert {"name": "not recorded", "licence": NOT_RECORDED.licence, "use": GREY} in find_model(
        None, a_place.models
    ).data


def test_the_shipped_table_says_what_it_was_made_of() -> None:
    content = json.loads((models_folder() / LOOKUP_NAME).read_text(encoding="utf-8"))
    assert commercial_use_allowed(from_record(content["sources"]))
    assert load_equal_frequency_table().levels == 100


def test_what_is_no_checkpoint_is_refused_by_name(a_place: SimpleNamespace, tmp_path: Path) -> None:
    torch.save({"network": {}}, tmp_path / "bare.ckpt")
    save_file({"a": torch.zeros(2)}, tmp_path / "weights.safetensors")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for name in ("bare.ckpt", "weights.safetensors", "text.ckpt", "absent.ckpt"):
        with pytest.raises(ValueError, match=f"Expected a checkpoint of a run .*{name}"):
            publishing.publish_model(tmp_path / name, a_place.data, "", "tiny", lambda line: None)


def test_the_atlas_of_the_hand_made_spine_lies_in_the_middle_of_the_cube() -> None:
    probability = mean_atlas([a_spine(4.0)], 0.5, FOV_MM).probability
    assert float(probability[40:56, 24:72, 24:72].sum()) == pytest.approx(float(probability[40:56].sum()), rel=1e-3)
