"""Whether radiographs are like those of a training: the Gaussian on features with known answers, and the
shipped file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from support.phantom_pairs import rendered_phantom
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.familiarity import (
    Familiarity,
    Gaussian,
    ImageFeatures,
    in_eight_bits,
    load_familiarity,
    save_familiarity,
    unlike_training,
)
from TomoRayLib.synthesis.settings import Exposure
from TomoRayLib.weights import find_model

AP_UNLIKE = "the AP radiograph is unlike those that the network was trained on"
LATERAL_UNLIKE = "the lateral radiograph is unlike those that the network was trained on"
Image = NDArray[np.float32]


def known_gaussian() -> Gaussian:
    """Three features: one main direction, (0.6, 0.8, 0) for AP and (0, 0, 1) for lateral, of variance 4 and 2; the rest
    has 0.5."""
    return Gaussian(
        mean=np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 5.0]], np.float32),
        scale=np.array([[1.0, 1.0, 2.0], [1.0, 4.0, 1.0]], np.float32),
        directions=np.array([[[0.6, 0.8, 0.0]], [[0.0, 0.0, 1.0]]], np.float32),
        variances=np.array([[4.0, 0.5], [2.0, 0.5]], np.float32),
        largest=np.array([1.5, 1.0], np.float32),
    )


def test_distances_are_standard_deviations_along_and_across_the_main_direction() -> None:
    known = known_gaussian()
    assert known.distances(known.mean) == pytest.approx([0.0, 0.0])
    along = known.mean + np.array([[1.2, 1.6, 0.0], [0.0, 0.0, 2.0]], np.float32)  # 2 along: 2^2 / 4, 2^2 / 2
    assert known.distances(along) == pytest.approx(np.sqrt([1.0 / 3, 2.0 / 3]), rel=1e-5)
    across = known.mean + np.array([[0.8, -0.6, 4.0], [0.0, 4.0, 0.0]], np.float32)  # scaled: 1 and 2 across; 1 across
    assert known.distances(across) == pytest.approx(np.sqrt([10.0 / 3, 2.0 / 3]), rel=1e-5)


def test_the_view_that_is_too_far_in_texture_or_layout_is_named() -> None:
    gaussian = known_gaussian()
    known = Familiarity(gaussian, gaussian)
    usual, off_ap, off_lateral = gaussian.mean, gaussian.mean.copy(), gaussian.mean.copy()
    off_ap[0] += (0.8, -0.6, 4.0)  # 1.83 of at most 1.5
    off_lateral[1] += (1.5, 0.0, 0.0)  # 1.22 of at most 1
    assert known.unlike(ImageFeatures(usual, usual)) == ()
    assert known.unlike(ImageFeatures(off_ap, usual)) == (AP_UNLIKE,)
    assert known.unlike(ImageFeatures(usual, off_lateral)) == (LATERAL_UNLIKE,)
    assert known.unlike(ImageFeatures(off_lateral, off_ap)) == (AP_UNLIKE, LATERAL_UNLIKE)
    shares = known.shares(ImageFeatures(off_lateral, off_ap))
    assert shares == pytest.approx([np.sqrt(10.0 / 3) / 1.5, np.sqrt(4.5 / 3)], rel=1e-5)


@pytest.fixture(scope="module")
def torso() -> Pair:
    """The built-in phantom through the C-arm, with scatter and photon noise."""
    return rendered_phantom(Exposure(scatter_to_primary=0.5, photons=1e5))


def a_pair(ap: Image, lateral: Image) -> Pair:
    return Pair(ap, lateral, c_arm())


def noise(seed: int) -> Image:
    return np.random.default_rng(seed).normal(size=c_arm().ap.detector.shape).astype(np.float32)


def gradient(down: float, right: float) -> Image:
    rows, columns = np.indices(c_arm().ap.detector.shape)
    return (down * rows + right * columns).astype(np.float32)


def test_radiographs_of_a_torso_are_like_those_of_the_training(torso: Pair) -> None:
    entry = find_model()
    assert unlike_training(torso, entry) == ()
    gain, offset = 37.5, -1200.0
    assert unlike_training(replace(torso, ap=gain * torso.ap + offset), entry) == ()


def test_noise_and_gradients_are_not(torso: Pair) -> None:
    entry = find_model()
    assert unlike_training(a_pair(noise(1), noise(2)), entry) == (AP_UNLIKE, LATERAL_UNLIKE)
    assert unlike_training(a_pair(gradient(1.0, 0.1), gradient(0.3, -1.0)), entry) == (AP_UNLIKE, LATERAL_UNLIKE)
    assert unlike_training(replace(torso, lateral=noise(2)), entry) == (LATERAL_UNLIKE,)
    assert unlike_training(replace(torso, ap=noise(1)), entry) == (AP_UNLIKE,)


def test_a_model_without_such_a_file_says_nothing() -> None:
    entry = replace(find_model(), familiarity_file=None, familiarity_sha256=None)
    assert load_familiarity(entry) is None
    assert unlike_training(a_pair(noise(1), noise(2)), entry) == ()


def as_stored(seed: int) -> Familiarity:
    """Gaussians of other sizes for texture and layout, their directions in eight bits."""
    rng = np.random.default_rng(seed)

    def part(count: int, size: int) -> Gaussian:
        whole, steps = in_eight_bits(rng.normal(size=(2, count, size)))
        shapes = {"mean": (2, size), "scale": (2, size), "variances": (2, count + 1), "largest": (2,)}
        others = {name: rng.random(shape).astype(np.float32) for name, shape in shapes.items()}
        return Gaussian(directions=whole.astype(np.float32) * steps, **others)

    return Familiarity(part(3, 7), part(2, 12))


def test_directions_in_eight_bits_are_nearly_the_same() -> None:
    directions = np.random.default_rng(1).normal(size=(2, 4, 50)) * [[[1.0], [0.01], [3.0], [20.0]]]
    whole, steps = in_eight_bits(directions)
    assert whole.dtype == np.int8
    assert np.abs(whole).max(axis=2).tolist() == [[127] * 4] * 2
    assert np.abs(whole * steps - directions).max() <= steps.max() * 0.501
    assert (np.abs(whole * steps - directions) <= steps * 0.501).all()


def test_a_file_comes_back_as_it_was_and_is_refused_with_other_weights(tmp_path: Path) -> None:
    known = as_stored(4)
    entry = replace(find_model(), folder=tmp_path, familiarity_file="known.safetensors", sha256="ab" * 32)
    sha256 = save_familiarity(known, tmp_path / "known.safetensors", entry)
    entry = replace(entry, familiarity_sha256=sha256)
    back = load_familiarity(entry)
    assert back is not None
    for found, wanted in ((back.texture, known.texture), (back.layout, known.layout)):
        for name, value in vars(wanted).items():
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6)
    with pytest.raises(InputError, match=r"known.safetensors made for the weights of geolift-s, cdcdcd.*got .* abab"):
        load_familiarity(replace(entry, sha256="cd" * 32))
    assert save_familiarity(known, tmp_path / "again.safetensors", entry) == sha256


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    entry = replace(find_model(), folder=tmp_path, familiarity_file="known.safetensors")
    sha256 = save_familiarity(as_stored(5), tmp_path / "known.safetensors", entry)
    content = (tmp_path / "known.safetensors").read_bytes()
    (tmp_path / "known.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"known.safetensors have the SHA-256 .* expected"):
        load_familiarity(replace(entry, familiarity_sha256=sha256))
