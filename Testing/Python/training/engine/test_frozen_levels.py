"""Stages that train some levels and leave the rest of the network as it was, so that two networks share it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from support.training_runs import ANATOMY, STREAM, TINY, a_config, content_of, rows_of
from TomoRayLib.training.config_file import read_config
from TomoRayLib.training.engine.adversary import AdversaryConfig
from TomoRayLib.training.engine.checkpoints import averaged_weights
from TomoRayLib.training.engine.losses import LossWeights
from TomoRayLib.training.engine.trainer import train
from TomoRayLib.training.engine.trainer_config import TrainingConfig

NETWORK = dataclasses.replace(TINY, output_size=64, counts=True, residual_heads=True)
SIZE_64 = dataclasses.replace(STREAM, size=64)
CONFIGURATIONS = Path(__file__).parents[4] / "docs" / "configurations"


def for_steps(steps: int, **changes: Any) -> TrainingConfig:
    count = 0.0 if changes.get("coarsest_level") in (0, 1) else 0.3
    config = a_config(steps, minutes=1e9, network=NETWORK, loss=LossWeights(count=count, gaps=0.2), **changes)
    return dataclasses.replace(config, steps=steps)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("start") / "run"
    return train(for_steps(2, finest_level=0), SIZE_64, ANATOMY, [], out)


@pytest.mark.parametrize(("finest", "coarsest"), [(0, 1), (1, 2), (0, 0)])
def test_only_the_levels_from_the_finest_to_the_coarsest_are_trained(
    start: Path, tmp_path: Path, finest: int, coarsest: int
) -> None:
    """Against an adversary, with weight decay: what is frozen stays to the last bit, also in the average."""
    config = for_steps(
        10,
        finest_level=finest,
        coarsest_level=coarsest,
        start_from=str(start),
        weight_decay=0.5,
        adversary=AdversaryConfig(weight=0.1, crop=32),
    )
    _, before = averaged_weights(start)
    checkpoint = train(config, SIZE_64, ANATOMY, [], tmp_path / "run")
    own = tuple(
        f"{part}.{level}."
        for level in range(finest, coarsest + 1)
        for part in ("decoder", "heads", "reducers.0", "reducers.1")
    )
    own += ("counter.",) if coarsest == 2 else ()
    for after in (averaged_weights(checkpoint)[1], content_of(checkpoint)["model"]):
        for name, value in before.items():
            if not name.startswith(own):
                assert torch.equal(after[name], value), name
        assert all(
            any(not torch.equal(after[name], before[name]) for name in before if name.startswith(one)) for one in own
        )
    assert {"adversarial", "discriminator"} < set(rows_of(tmp_path / "run" / "log.csv")[0])


@pytest.mark.parametrize(
    "change",
    [{"coarsest_level": 0}, {"coarsest_level": 3}, {"coarsest_level": 1, "freeze_coarse": True}],
)
def test_levels_that_cannot_be_trained_so_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match="coarsest_level must be a level from finest_level to 2, without freeze_coarse"
    ):
        TrainingConfig(finest_level=1, **change)


def test_frozen_levels_need_weights_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="coarsest_level need start_from"):
        train(for_steps(1, finest_level=0, coarsest_level=1), SIZE_64, ANATOMY, [], tmp_path / "run")


def test_the_next_configurations_of_geolift_s_hold_the_same_people_out_and_share_a_network() -> None:
    plain, gan = (read_config(CONFIGURATIONS / f"{name}.toml") for name in ("geolift-s", "geolift-s-gan"))
    assert plain.data.held_out == gan.data.held_out
    assert len(set(plain.data.held_out)) == 4
    assert plain.stages[-1].training.network == gan.stages[-1].training.network
    assert gan.stages[-1].training.levels == (1, 2)
    assert plain.stages[-1].training.field_size == 48
