"""Checkpoints: everything a run goes on from, written whole or not at all, and refused by another network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from TomoRayLib.files import write_atomically
from TomoRayLib.networks.geolift import HEAD_LEVELS, GeoLiftConfig, GeoLiftUNet
from TomoRayLib.training.adversary import Adversary
from TomoRayLib.training.models import Model, NetworkConfig, describe_network, network_of


def save_checkpoint(
    path: Path,
    model: Model,
    ema: AveragedModel,
    optimizer: Any,
    adversary: Adversary | None,
    progress: dict[str, Any],
    sources: list[dict[str, Any]],
) -> None:
    """Weights, averaged weights, optimizer, adversary, progress, what it was made from, and the state of torch's
    generator."""
    content = {
        "network": describe_network(model.config),
        "model": model.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "adversary": adversary.state_dict() if adversary else None,
        "progress": progress,
        "torch_rng": torch.get_rng_state(),
        "sources": sources,
    }
    with write_atomically(path) as partial:
        torch.save(content, partial)


def restore(
    path: Path, model: Model, ema: AveragedModel, optimizer: torch.optim.Optimizer, adversary: Adversary | None
) -> dict[str, Any]:
    """Put a checkpoint back into its objects; returns its progress. Raises ValueError for one of another network."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if network_of(content["network"]) != model.config:
        raise _another_network(path, content, model)
    model.load_state_dict(content["model"])
    ema.load_state_dict(content["ema"])
    optimizer.load_state_dict(content["optimizer"])
    if adversary is not None and content.get("adversary"):
        adversary.load_state_dict(content["adversary"])
    torch.set_rng_state(content["torch_rng"])
    return dict(content["progress"])


def start_from(path: Path, model: Model, ema: AveragedModel, adversary: Adversary | None) -> None:
    """Begin with the averaged weights of a checkpoint (and its adversary), or with published weights (.safetensors).

    Weights of a network without residual heads may start one with them: its finer heads then begin with nothing to add.
    Raises ValueError for those of another network.
    """
    were_residual = None
    if path.suffix == ".safetensors":
        weights, were_residual = _published(path)
    else:
        content = torch.load(path, map_location="cpu", weights_only=True)
        config = network_of(content["network"])
        if isinstance(config, GeoLiftConfig) and isinstance(model.config, GeoLiftConfig):
            were_residual = config.residual_heads
            config = replace(config, residual_heads=model.config.residual_heads)
        if config != model.config:
            raise _another_network(path, content, model)
        weights = _ema_weights(content["ema"])
        if adversary is not None and content.get("adversary"):
            adversary.load_state_dict(content["adversary"])
    try:
        model.load_state_dict(weights)
        ema.module.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"The weights {path} belong to a network of another shape ({reason}).") from None
    if isinstance(model, GeoLiftUNet) and model.config.residual_heads and not were_residual:
        for network in (model, ema.module):
            for level in range(HEAD_LEVELS - 1):
                network.reset_head(level)  # type: ignore[operator]


def _published(path: Path) -> tuple[dict[str, Tensor], bool]:
    """The weights of a .safetensors file, and whether their heads are residual, which its metadata say."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
    return weights, bool(json.loads(metadata.get("network", "{}")).get("residual_heads", False))


def averaged_weights(checkpoint: Path) -> tuple[NetworkConfig, dict[str, Tensor]]:
    """The network's configuration and its averaged (EMA) weights from a checkpoint."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return network_of(content["network"]), _ema_weights(content["ema"])


def averaged_geolift(checkpoint: Path) -> tuple[GeoLiftConfig, dict[str, Tensor]]:
    """``averaged_weights`` of a network that TomoRay can run. Raises ValueError for another architecture."""
    config, weights = averaged_weights(checkpoint)
    if not isinstance(config, GeoLiftConfig):
        raise ValueError(
            f"Expected a checkpoint of GeoLift-UNet, the network that TomoRay runs; got X2CT-GAN in {checkpoint}, "
            f"which is trained to be compared with only."
        )
    return config, weights


def _ema_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module."): value for name, value in state.items() if name.startswith("module.")}


def _another_network(path: Path, content: Mapping[str, Any], model: Model) -> ValueError:
    return ValueError(
        f"The checkpoint {path} holds a network of another shape: expected {describe_network(model.config)}, got "
        f"{content['network']}. Train with its own configuration or start a new run."
    )
