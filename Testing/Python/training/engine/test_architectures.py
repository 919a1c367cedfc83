"""Other trainings: the paper's baseline, and a small network for long enough that it must have learnt."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.training_runs import ANATOMY, STREAM, TINY, a_config, rows_of, run
from TomoRayLib.networks.geolift import GeoLiftConfig
from TomoRayLib.networks.x2ct import X2CTConfig
from TomoRayLib.training.engine.adversary import AdversaryConfig
from TomoRayLib.training.engine.checkpoints import averaged_geolift, averaged_weights
from TomoRayLib.training.engine.losses import LossWeights
from TomoRayLib.training.engine.models import NetworkConfig, build_model
from TomoRayLib.training.engine.trainer import train
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.engine.validation import phantom_cases

NETWORK = X2CTConfig(
    size=32,
    dense_layers=(2, 2, 2, 2),
    growth=8,
    volume_channels=(4, 4, 8, 8, 8),
    view_convolutions=(1, 1, 1, 1),
    fusion_convolutions=(1, 1, 1, 1),
)


@pytest.mark.parametrize("config", [NETWORK, TINY])
def test_whatever_asks_for_a_gradient_gets_one(config: NetworkConfig) -> None:
    """Several processes wait for a gradient of everything that asks for one."""
    network = build_model(config)
    levels = (0,) if isinstance(config, X2CTConfig) else (0, 1, 2)
    matrices = torch.eye(4).expand(1, 2, 4, 4).clone()
    matrices[..., 2, :] = matrices[..., 3, :]
    predictions = network(torch.rand(1, 2, 2, 224, 224), matrices, levels=levels)
    torch.stack([one.masked.sum() for one in predictions.values()]).sum().backward()
    without = [name for name, one in network.named_parameters() if one.requires_grad and one.grad is None]
    assert without == []


def test_x2ct_gan_is_trained_by_its_own_losses_and_scored_clamped(tmp_path: Path) -> None:
    config = a_config(
        1,
        architecture="x2ct",
        x2ct=NETWORK,
        finest_level=0,
        loss=LossWeights(0, 0, 0, 0, 0, mse=10.0, axis_mean=10.0),
        adversary=AdversaryConfig(weight=0.1, crop=0, replicate=True),
        peak_lr=2e-4,
        betas=(0.5, 0.99),
        weight_decay=0.0,
    )
    config = dataclasses.replace(config, minutes=1e9, steps=10)
    checkpoint = run(config, tmp_path / "run")
    assert averaged_weights(checkpoint)[0] == NETWORK
    (row,) = rows_of(tmp_path / "run" / "log.csv")
    assert {"mse", "axis_mean", "adversarial", "discriminator"} < set(row)
    assert rows_of(tmp_path / "run" / "validation.csv")
    with pytest.raises(ValueError, match="the network that TomoRay runs; got X2CT-GAN"):
        averaged_geolift(checkpoint)
    with pytest.raises(ValueError, match="network of another shape"):
        run(a_config(1), tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "unet"}, "architecture must be one of .* got 'unet'"),
        ({"architecture": "x2ct"}, "finest_level, loss.mask and loss.rays must be 0; got 1"),
    ],
)
def test_an_architecture_that_cannot_be_trained_so_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**change)


@pytest.mark.slow
def test_a_smoke_training_learns_to_find_bone_in_phantoms_it_has_not_seen(tmp_path: Path) -> None:
    """150 steps, some 35 s, or as many as TOMORAY_SMOKE_STEPS says (2400 take ten minutes): every phantom is new, and
    four others are scored."""
    network = GeoLiftConfig((8, 8, 16, 16, 16), (8, 8, 16, 16, 16), (1, 1, 1, 1, 1), 64)
    steps = int(os.environ.get("TOMORAY_SMOKE_STEPS", "150"))
    config = a_config(1, minutes=1e9, peak_lr=3e-3, network=network, ema_decay=0.98, validate_every_steps=10**9)
    config = dataclasses.replace(config, steps=steps)
    stream = dataclasses.replace(STREAM, uses=2, kept=4, shot_uses=2)
    train(config, stream, ANATOMY, phantom_cases(ANATOMY, stream, 4), tmp_path / "run")
    scores = [float(row["cosine_similarity"]) for row in rows_of(tmp_path / "run" / "validation.csv")]
    assert len(scores) == 4
    assert np.mean(scores) > 0.4  # untrained 0.2: a volume of even grey scores the root of bone's share
