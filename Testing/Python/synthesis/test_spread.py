"""How sure a result is said to be, by the weights that users have, on the built-in phantom and on made-up answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.phantom_pairs import rendered_phantom
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.networks.radiograph_input import NETWORK_PIXEL_MM, NETWORK_PIXELS, cube_to_pixel, network_view
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import LINEAR, choose_model
from TomoRayLib.synthesis.spread import VARIATIONS, Spread, Variation, spread, sureness, varied
from TomoRayLib.synthesis.truth import ground_truth
from TomoRayLib.weights import load_network

CENTER_MM = (11.0, -7.0, 23.0)
FINE = Grid.cube(CENTER_MM, 256.0, 32)
COARSE = Grid.cube(CENTER_MM, 256.0, 8)
OBLIQUE = View(
    ConeBeam(1000.0, 1500.0),
    Detector(300, 280, (1.1, 1.3), (7.0, -12.0)),
    gantry_angle_deg=8.0,
    tilt_deg=-4.0,
    roll_deg=3.0,
    isocenter_mm=CENTER_MM,
)


def lopsided(seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(NETWORK_PIXELS, NETWORK_PIXELS, generator=generator)


def pixel_of(matrix: np.ndarray, point: tuple[float, float, float]) -> tuple[float, float]:
    column, row, across, along = matrix @ (*point, 1.0)
    return column / across, row / along


def test_each_variation_but_the_first_two_has_its_opposite() -> None:
    """So that the mean answer is not moved or enlarged against the pair as it is stated."""
    shifts = np.array([one.shifts_mm for one in VARIATIONS])
    scales = np.array([one.scales for one in VARIATIONS])
    assert VARIATIONS[0] == Variation()
    assert np.allclose(shifts.sum(axis=0), 0.0)
    assert np.allclose(scales.mean(axis=0), 1.0)
    assert np.abs(shifts).max() <= 2.5


def test_a_mirrored_pair_shows_each_point_where_its_mirror_image_was() -> None:
    """The point (x, y, z) of the mirrored patient is (-x, y, z) of the patient: AP column 223 - c, lateral column c."""
    matrices = [cube_to_pixel(network_view(OBLIQUE, CENTER_MM), FINE)] * 2
    radiographs, changed = varied([lopsided(), lopsided(4)], matrices, Variation(mirrored=True))
    plain, _ = varied([lopsided(), lopsided(4)], matrices, Variation())
    for point in ((0.3, -0.2, 0.7), (-0.8, 0.5, -0.1)):
        x, y, z = point
        column, row = pixel_of(matrices[0], point)
        mirrored_ap = pixel_of(changed[0, 0].double().numpy(), (-x, y, z))
        mirrored_lateral = pixel_of(changed[0, 1].double().numpy(), (-x, y, z))
        assert mirrored_ap == pytest.approx((NETWORK_PIXELS - 1 - column, row), abs=1e-3)
        assert mirrored_lateral == pytest.approx((column, row), abs=1e-3)
    assert torch.allclose(radiographs[0, 0], plain[0, 0].flip(-1), atol=1e-4)
    assert torch.equal(radiographs[0, 1], plain[0, 1])


def test_a_shift_is_in_millimetres_right_and_down_in_the_plane_of_the_isocentre() -> None:
    matrices = [cube_to_pixel(network_view(OBLIQUE, CENTER_MM), FINE)] * 2
    _, changed = varied([lopsided(), lopsided(4)], matrices, Variation(((4.0, -2.0), (0.0, 0.0))))
    before, after = (pixel_of(np.asarray(m, dtype=np.float64), (0.1, 0.4, -0.6)) for m in (matrices[0], changed[0, 0]))
    assert np.subtract(after, before) * NETWORK_PIXEL_MM == pytest.approx((4.0, -2.0), abs=1e-3)
    assert np.allclose(changed[0, 1], matrices[1], atol=1e-4)


def test_the_expected_dice_is_that_of_many_truths_drawn_from_the_probabilities() -> None:
    rng = np.random.default_rng(5)
    bone = np.where(rng.random(COARSE.shape) < 0.2, rng.random(COARSE.shape), 0.02).astype(np.float32)
    stated = sureness(Spread(bone, np.zeros_like(bone), COARSE), bone > 0.5, COARSE)
    mask = bone > 0.5
    truths = rng.random((400, *COARSE.shape)) < bone
    dice = 2 * (truths & mask).sum(axis=(1, 2, 3)) / (truths.sum(axis=(1, 2, 3)) + mask.sum())
    assert stated.expected_dice == pytest.approx(dice.mean(), abs=0.01)
    assert stated.wrong[mask] == pytest.approx(1.0 - bone[mask])
    assert stated.wrong[~mask] == pytest.approx(bone[~mask])


def test_on_a_finer_grid_each_coarse_value_lies_at_the_middle_of_its_block() -> None:
    """A ramp along x has its own value at every fine voxel that lies between coarse centres."""
    x_of = (np.arange(8) + 0.5) / 8
    bone = np.broadcast_to(x_of.astype(np.float32), COARSE.shape).copy()
    fine = sureness(Spread(bone, np.zeros_like(bone), COARSE), np.zeros(FINE.shape, bool), FINE).wrong
    assert fine[3, 9, 2:30] == pytest.approx(((np.arange(32) + 0.5) / 32)[2:30], abs=1e-6)
    part = Grid.cube(CENTER_MM, 192.0, 32)
    smaller = sureness(Spread(bone, np.zeros_like(bone), COARSE), np.zeros(part.shape, bool), part).wrong
    assert smaller[20, 4] == pytest.approx(0.125 + 0.75 * (np.arange(32) + 0.5) / 32, abs=1e-5)


def test_an_empty_mask_has_an_expected_dice_of_nothing() -> None:
    bone = np.full(COARSE.shape, 0.1, np.float32)
    stated = sureness(Spread(bone, bone, COARSE), np.zeros(COARSE.shape, bool), COARSE)
    assert (stated.expected_dice, stated.unsure_share, stated.deviation_in_bone) == (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def phantom_pair() -> Pair:
    return rendered_phantom()


@pytest.fixture(scope="module")
def phantom_spread(phantom_pair: Pair) -> Spread:
    model = choose_model(None, "cpu", "float32")
    return spread(phantom_pair, load_network(model.entry), model.entry, model.precision)


def test_where_the_shipped_weights_say_that_they_are_unsure_they_are_wrong_more_often(phantom_spread: Spread) -> None:
    mask = phantom_spread.bone > 0.5
    stated = sureness(phantom_spread, mask, phantom_spread.grid)
    truth = ground_truth(*phantom_volumes(), phantom_spread.grid, LINEAR).labels > 0
    error = truth != mask
    shares = [error[(stated.wrong >= low) & (stated.wrong < high)].mean() for low, high in ((0, 0.05), (0.05, 0.2))]
    unsure = error[stated.wrong >= 0.2].mean()
    assert shares[0] < 0.01 < shares[1] < unsure
    dice = 2 * (truth & mask).sum() / (truth.sum() + mask.sum())
    assert stated.expected_dice == pytest.approx(dice, abs=0.15)


def test_the_answer_to_the_same_pair_is_the_same(phantom_pair: Pair, phantom_spread: Spread) -> None:
    model = choose_model(None, "cpu", "float32")
    brighter = replace(phantom_pair, ap=phantom_pair.ap * 3.0 + 5.0)
    again = spread(brighter, load_network(model.entry), model.entry, model.precision)
    assert np.abs(again.bone - phantom_spread.bone).max() < 1e-3
    assert phantom_spread.deviation.max() > 0.05
