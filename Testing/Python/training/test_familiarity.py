"""What a training's radiographs look like: the Gaussians from features with known moments, and X-rays of a CT."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.training.familiarity import FAR, fitted, pairs_of, xrayed_ct
from TomoRayLib.training.registering import register_model
from TomoRayLib.weights import REGISTRY_NAME, find_model


def features(count: int, seed: int) -> np.ndarray:
    """(count, 2, 5): one factor of standard deviation 3 over three of them, noise of 1 in all, other means by view."""
    rng = np.random.default_rng(seed)
    factor = 3.0 * rng.normal(size=(count, 2, 1)) * np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    means = np.array([[10.0, 0.0, -5.0, 2.0, 0.0], [0.0, 7.0, 0.0, 0.0, 30.0]])
    return (means + factor + rng.normal(size=(count, 2, 5))).astype(np.float32)


def test_the_gaussians_have_the_moments_of_the_features() -> None:
    known = fitted(features(4000, 1), features(50, 2), count=1)
    assert known.mean == pytest.approx(features(4000, 1).mean(axis=0))
    scale = np.sqrt([10.0, 10.0, 10.0, 1.0, 1.0])
    assert known.scale == pytest.approx(np.stack([scale, scale]), rel=0.05)
    main = np.array([1.0, 1.0, 1.0, 0.0, 0.0]) / np.sqrt(3.0)
    assert np.abs(known.directions[:, 0] @ main) == pytest.approx([1.0, 1.0], abs=0.01)
    # Scaled, the three correlate by 0.9: variances 2.8, 0.1, 0.1, and 1 and 1 of the other two.
    assert known.variances == pytest.approx(np.array([[2.8, 0.55]] * 2), rel=0.05)
    own = [known.distances(one) for one in features(4000, 1)]
    assert np.mean(np.square(own), axis=0) == pytest.approx([1.0, 1.0], rel=0.01)


def test_the_largest_usual_distance_is_that_of_other_people_and_a_margin() -> None:
    others = features(50, 2)
    others[17, 1, 4] += 40.0
    known = fitted(features(4000, 1), others, count=1)
    distances = np.array([known.distances(one) for one in others])
    assert known.largest == pytest.approx(FAR * distances.max(axis=0))
    assert distances[:, 1].argmax() == 17


def test_a_ct_in_any_geometry_is_xrayed_about_its_spine() -> None:
    """The phantom on an oblique, anisotropic grid has the course of the straight one."""
    ct, labels = phantom_volumes()
    angle = np.deg2rad(8.0)
    turned = (np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle), 0.0, 0.0, 0.0, 1.0)
    middle = np.array(ct.grid.center_mm)
    half = np.array([130.0, 120.0, 150.0]) - 1.0
    origin = middle - np.array(turned).reshape(3, 3) @ half
    oblique = Grid((131, 81, 101), (2.0, 3.0, 3.0), tuple(origin.tolist()), turned)
    found = xrayed_ct("phantom", Volume(resample(ct, oblique, fill=-1000).voxels, oblique))
    places = ct.grid.index_to_world @ np.vstack(
        [np.argwhere(labels.voxels > 0)[:, ::-1].T, np.ones(labels.voxels.astype(bool).sum())]
    )
    x, y, z = places[:3]
    rng = np.random.default_rng(3)
    for _ in range(20):
        place = found.place(rng)
        near = np.abs(z - place[2]) < 12.0
        if near.sum() > 2000:
            assert abs(place[0] - x[near].mean()) < 4 * 12.0 + 10.0
            assert -(70.0 + 48.0 + 15.0) < place[1] - y[near].mean() < 48.0 + 15.0
    heights = found.grid.origin_mm[2] + 2.0 * np.arange(len(found.hu))
    for height in np.arange(z.min() + 30.0, z.max() - 30.0, 25.0):
        near = np.abs(z - height) < 12.0
        course = found.course_mm[np.abs(heights - height).argmin()]
        assert np.hypot(*(course - (x[near].mean(), y[near].mean()))) < 12.0
    pairs = list(pairs_of(found, np.random.default_rng(1), shots=1, looks=2))
    assert [tuple(pair.shape) for pair in pairs] == [(2, 2, 224, 224)] * 2
    assert not np.array_equal(pairs[0], pairs[1])
    again = next(iter(pairs_of(found, np.random.default_rng(1), shots=1, looks=2)))
    assert np.array_equal(pairs[0], again)


def test_the_registry_names_the_file_and_drops_it_with_new_weights(tmp_path: Path) -> None:
    entry = replace(find_model(), folder=tmp_path, familiarity_file="known.safetensors", familiarity_sha256="ab" * 32)
    register_model(tmp_path, entry)
    back = find_model(folder=tmp_path)
    assert (back.familiarity_file, back.familiarity_sha256) == ("known.safetensors", "ab" * 32)
    register_model(tmp_path, replace(entry, familiarity_file=None, familiarity_sha256=None))
    (content,) = json.loads((tmp_path / REGISTRY_NAME).read_text(encoding="utf-8"))["models"]
    assert "familiarity_file" not in content
    assert find_model(folder=tmp_path).familiarity_file is None
