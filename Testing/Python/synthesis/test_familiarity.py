"""Whether radiographs are like those of a training: the Gaussian on features with known answers, and the
shipped file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.familiarity import Familiarity, load_familiarity, save_familiarity, unlike_training
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.settings import Exposure
from TomoRayLib.weights import find_model

AP_UNLIKE = "the AP radiograph is unlike those that the network was trained on"
LATERAL_UNLIKE = "the lateral radiograph is unlike those that the network was trained on"
Image = NDArray[np.float32]


def known_gaussians() -> Familiarity:
    """Three features: one main direction, (0.6, 0.8, 0) for AP and (0, 0, 1) for lateral, of variance 4 and 2; the rest
    has 0.5."""
    directions = np.array([[[0.6, 0.8, 0.0]], [[0.0, 0.0, 1.0]]], np.float32)
    return Familiarity(
        mean=np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0]], np.float32),
        scale=np.array([[1.0, 1.0, 2.0], [1.0, 4.0, 1.0]], np.float32),
        directions=directions,
        variances=np.array([[4.0, 0.5], [2.0, 0.5]], np.float32),
        largest=np.array([1.5, 1.0], np.float32),
    )


def test_distances_are_standard_deviations_along_and_across_the_main_direction() -> None:
    known = known_gaussians()
    assert known.distances(known.mean) == pytest.approx([0.0, 0.0])
    along = known.mean + np.array([[1.2, 1.6, 0.0], [0.0, 0.0, 2.0]], np.float32)  # 2 along: 2^2 / 4, 2^2 / 2
    assert known.distances(along) == pytest.approx(np.sqrt([1.0 / 3, 2.0 / 3]))
    across = known.mean + np.array([[0.8, -0.6, 4.0], [0.0, 4.0, 0.0]], np.float32)  # scaled: 1 and 2 across; 1 across
    assert known.distances(across) == pytest.approx(np.sqrt([10.0 / 3, 2.0 / 3]))


def test_the_view_that_is_too_far_is_named() -> None:
    known = known_gaussians()
    assert known.unlike(known.mean) == ()
    off = np.array([[0.8, -0.6, 4.0], [0.0, 4.0, 0.0]], np.float32)
    assert known.unlike(known.mean + off) == (AP_UNLIKE,)
    assert known.unlike(known.mean + off[::-1] * [[0.0, 0.0, 0.0], [2.0, 2.0, 1.0]]) == (LATERAL_UNLIKE,)


@pytest.fixture(scope="module")
def torso() -> tuple[Image, Image]:
    """The built-in phantom through the C-arm, with scatter and photon noise."""
    ct, labels = phantom_volumes()
    views = c_arm(vertebrae_center_mm(labels))
    images = render(ct, {"ap": views.ap, "lat": views.lateral}, Exposure(scatter_to_primary=0.5, photons=1e5))
    return images["ap"], images["lat"]


def noise(seed: int) -> Image:
    return np.random.default_rng(seed).normal(size=c_arm().ap.detector.shape).astype(np.float32)


def gradient(down: float, right: float) -> Image:
    rows, columns = np.indices(c_arm().ap.detector.shape)
    return (down * rows + right * columns).astype(np.float32)


def test_radiographs_of_a_torso_are_like_those_of_the_training(torso: tuple[Image, Image]) -> None:
    entry = find_model()
    assert unlike_training(*torso, c_arm(), entry) == ()
    gain, offset = 37.5, -1200.0
    assert unlike_training(*(gain * one + offset for one in torso), c_arm(), entry) == ()


def test_noise_and_gradients_are_not(torso: tuple[Image, Image]) -> None:
    ap, lateral = torso
    entry = find_model()
    assert unlike_training(noise(1), noise(2), c_arm(), entry) == (AP_UNLIKE, LATERAL_UNLIKE)
    assert unlike_training(gradient(1.0, 0.1), gradient(0.3, -1.0), c_arm(), entry) == (AP_UNLIKE, LATERAL_UNLIKE)
    assert unlike_training(ap, noise(2), c_arm(), entry) == (LATERAL_UNLIKE,)
    assert unlike_training(noise(1), lateral, c_arm(), entry) == (AP_UNLIKE,)


def test_a_model_without_such_a_file_says_nothing() -> None:
    entry = replace(find_model(), familiarity_file=None, familiarity_sha256=None)
    assert load_familiarity(entry) is None
    assert unlike_training(noise(1), noise(2), c_arm(), entry) == ()


def test_a_file_made_for_other_weights_is_refused(tmp_path: Path) -> None:
    entry = replace(find_model(), folder=tmp_path, familiarity_file="known.safetensors", sha256="ab" * 32)
    sha256 = save_familiarity(known_gaussians(), tmp_path / "known.safetensors", entry)
    entry = replace(entry, familiarity_sha256=sha256)
    back = load_familiarity(entry)
    assert back is not None
    assert all(np.array_equal(getattr(back, name), value) for name, value in vars(known_gaussians()).items())
    with pytest.raises(InputError, match=r"known.safetensors made for the weights of geolift-s, cdcdcd.*got .* abab"):
        load_familiarity(replace(entry, sha256="cd" * 32))
    assert save_familiarity(known_gaussians(), tmp_path / "again.safetensors", entry) == sha256


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    entry = replace(find_model(), folder=tmp_path, familiarity_file="known.safetensors")
    sha256 = save_familiarity(known_gaussians(), tmp_path / "known.safetensors", entry)
    content = (tmp_path / "known.safetensors").read_bytes()
    (tmp_path / "known.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"known.safetensors have the SHA-256 .* expected"):
        load_familiarity(replace(entry, familiarity_sha256=sha256))
