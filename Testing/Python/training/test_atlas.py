"""The mean atlas and the lookup table, made and read back from the registry. No network, no shared data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from support.anatomies import a_spine
from support.recipe_data import a_labelled_ct
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.atlas import MeanAtlas, atlas_tensors, bone_hu, fit_lookup_table, mean_atlas, mean_bone_grey
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.weights import (
    LOOKUP_NAME,
    REGISTRY_NAME,
    ModelEntry,
    find_model,
    load_atlas,
    load_equal_frequency_table,
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


def test_an_atlas_with_a_volume_of_grey_values_as_in_earlier_files_is_read(tmp_path: Path) -> None:
    probability = torch.randint(0, 256, (96, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    content = save({"probability": probability, "grey": 255 - probability, "grey_maximum": torch.tensor([0.6])})
    (tmp_path / "atlas.safetensors").write_bytes(content)
    grey, mask = load_atlas(an_entry(tmp_path, atlas_sha256=sha256_of_bytes(content)))
    np.testing.assert_allclose(grey, 0.6 * (1 - probability.numpy() / 255), atol=1e-6)
    np.testing.assert_array_equal(mask, probability.numpy() > 102)


def test_a_damaged_atlas_is_refused(tmp_path: Path) -> None:
    (tmp_path / "atlas.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="SHA-256"):
        load_atlas(an_entry(tmp_path, atlas_sha256="0" * 64))


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


def test_the_atlas_of_the_hand_made_spine_lies_in_the_middle_of_the_cube() -> None:
    probability = mean_atlas([a_spine(4.0)], 0.5, FOV_MM).probability
    assert float(probability[40:56, 24:72, 24:72].sum()) == pytest.approx(float(probability[40:56].sum()), rel=1e-3)
