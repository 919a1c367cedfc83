"""Losses and weights of a network that tells vertebrae apart."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from support.training_runs import ANATOMY, STREAM, TINY, a_config, rows_of, run
from TomoRayLib.networks.geolift import GeoLiftUNet, Prediction
from TomoRayLib.training.engine.checkpoints import averaged_weights
from TomoRayLib.training.engine.losses import LossWeights, count_loss, gap_loss, level_losses
from TomoRayLib.training.engine.models import build_model, parameters_to_train
from TomoRayLib.training.engine.trainer import train
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.weights import save_weights

COUNTING = dataclasses.replace(TINY, counts=True)
COUNTED = LossWeights(count=0.3, gaps=0.2)


def for_steps(steps: int, **changes: Any) -> TrainingConfig:
    return dataclasses.replace(a_config(steps, minutes=1e9, **changes), steps=steps)


def two_vertebrae() -> tuple[torch.Tensor, torch.Tensor]:
    """(occupancy, gaps) (1, 1, 16, 16, 16): two blocks with a disc of two slices, and where both are near."""
    occupancy = torch.zeros(1, 1, 16, 16, 16)
    occupancy[..., 2:7, 5:11, 4:10] = 1.0
    occupancy[..., 9:14, 5:11, 4:10] = 1.0
    gaps = torch.zeros_like(occupancy)
    gaps[..., 6:10, 5:11, 4:10] = 1.0
    return occupancy, gaps


def test_the_gap_term_pushes_a_bridge_apart_and_keeps_the_endplates() -> None:
    occupancy, gaps = two_vertebrae()
    logit = torch.full_like(occupancy, -4.0)
    logit[..., 2:14, 5:11, 4:10] = 4.0  # one bone, its disc bridged
    logit[..., 6, 5:11, 4:10] = -1.0  # and an endplate that is nearly missing
    logit.requires_grad_()
    gap_loss(logit, occupancy, gaps).backward()
    assert logit.grad is not None
    bridge, endplate = logit.grad[..., 7:9, 5:11, 4:10], logit.grad[..., 6, 5:11, 4:10]
    assert float(bridge.min()) > 0  # down a step against the gradient
    assert float(endplate.max()) < 0
    assert not logit.grad[gaps == 0].any()
    assert float(bridge.mean()) == pytest.approx(0.982 / float(gaps.sum()), rel=1e-3)  # sigmoid(4) for each voxel


def test_bone_without_gaps_costs_nothing_in_the_gap_term() -> None:
    occupancy, gaps = two_vertebrae()
    assert float(gap_loss(torch.zeros_like(occupancy), occupancy, torch.zeros_like(gaps))) == 0.0


def test_the_field_costs_what_arithmetic_says_inside_known_vertebrae_alone() -> None:
    truth = torch.rand(2, 4, 6, 5, 4)
    known = torch.zeros(2, 1, 6, 5, 4)
    known[0, :, 1:3, 2:4, 1] = 1.0
    wrong = truth + 5.0 * (1 - known)
    assert float(count_loss(wrong, truth, known)) == 0.0
    wrong[:, 3] += 0.35  # two levels: 0.35 - beta / 2
    assert float(count_loss(wrong, truth, known)) == pytest.approx(0.30, rel=1e-4)
    wrong[:, 1] -= 0.65  # 21 mm in one of three directions
    assert float(count_loss(wrong, truth, known)) == pytest.approx(0.30 + 0.60 / 3, rel=1e-4)
    assert float(count_loss(wrong, truth, torch.zeros_like(known))) == 0.0


def test_the_field_is_judged_once_whatever_the_levels() -> None:
    volume = torch.rand(1, 1, 16, 16, 16)
    field = torch.rand(1, 4, 4, 4, 4)
    sample = {"target": volume, "occupancy": volume, "gaps": volume, "field": field + 0.55}
    sample["known"] = torch.ones(1, 1, 4, 4, 4)
    predictions = {
        level: Prediction(torch.rand(1, 1, size, size, size), torch.rand(1, 1, size, size, size), field)
        for level, size in ((0, 16), (1, 8), (2, 4))
    }
    for levels in ((0, 1, 2), (2,)):
        with_field, terms = level_losses(predictions, sample, LossWeights(count=2.0), levels)
        without, _ = level_losses(predictions, sample, LossWeights(), levels)
        assert terms["count"] == pytest.approx(1.0, rel=1e-4)
        assert float(with_field - without) == pytest.approx(2.0, rel=1e-4)
    assert "count" not in level_losses(predictions, sample, LossWeights(count=2.0), (0,))[1]


def test_a_count_loss_needs_a_network_that_counts() -> None:
    with pytest.raises(ValueError, match=r"loss.count needs network.counts = true; got loss.count 0.3"):
        TrainingConfig(loss=LossWeights(count=0.3))
    volume = torch.rand(1, 1, 8, 8, 8)
    sample = {"target": volume, "occupancy": volume}
    with pytest.raises(ValueError, match="needs a network that counts"):
        level_losses({2: Prediction(volume, volume)}, sample, LossWeights(count=0.3), (2,))


@pytest.mark.parametrize("counting", [True, False])
def test_the_head_asks_for_a_gradient_only_if_a_loss_gives_it_one(counting: bool) -> None:
    network = build_model(COUNTING)
    parameters_to_train(network, 1, counting=counting)
    asked = {name for name, one in network.named_parameters() if one.requires_grad and name.startswith("counter.")}
    assert asked == ({"counter.weight", "counter.bias"} if counting else set())


@pytest.fixture(scope="module")
def a_plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(for_steps(2), tmp_path_factory.mktemp("plain") / "run")


@pytest.mark.parametrize("published", [False, True])
def test_weights_without_the_head_start_a_network_that_counts(
    a_plain_run: Path, tmp_path: Path, published: bool
) -> None:
    """The rest goes on from what it was, the head from what is drawn."""
    start = a_plain_run
    _, before = averaged_weights(start)
    if published:
        start = tmp_path / "published.safetensors"
        save_weights(before, start, {})
    config = for_steps(10, network=COUNTING, start_from=str(start), peak_lr=1e-12, loss=COUNTED)
    checkpoint = train(config, STREAM, ANATOMY, [], tmp_path / "run")
    found, state = averaged_weights(checkpoint)
    assert found == COUNTING
    torch.manual_seed(config.seed)
    drawn = GeoLiftUNet(COUNTING).state_dict()
    for name, value in state.items():
        expected = drawn[name] if name.startswith("counter.") else before[name]
        torch.testing.assert_close(value, expected, atol=2e-3, rtol=2e-3, msg=name)
    assert {"count", "gaps"} < set(rows_of(tmp_path / "run" / "log.csv")[0])
    with pytest.raises(ValueError, match="expected counts False, got counts True"):
        run(a_config(1, start_from=str(checkpoint)), tmp_path / "back")
