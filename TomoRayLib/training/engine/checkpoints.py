"""Checkpoints: everything that a run resumes from, written atomically, and refused by another network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from TomoRayLib.base.errors import InputError
from TomoRayLib.networks.geolift import HEAD_LEVELS, GeoLiftConfig, GeoLiftUNet
from TomoRayLib.training.engine.adversary import Adversary
from TomoRayLib.training.engine.models import Model, NetworkConfig, describe_network, network_of
from TomoRayLib.training.engine.progress import Progress
from TomoRayLib.training.engine.run_files import write_checkpoint
from TomoRayLib.weights import read_weights

ADDED_PARTS = {  # options of GeoLiftConfig, and how the names of their parameters begin
    "counts": ("counter.",),
    "image_decoder": ("image_decoder.", "bone_imager."),
    "row_exchange": ("row_exchange.",),
}
_ADDED_NAMES = tuple(prefix for prefixes in ADDED_PARTS.values() for prefix in prefixes)


@dataclass
class Kept:
    """The checkpoint that a run can resume from: ``steps`` and ``seconds`` of training when it was written, 0 before
    there is one."""

    path: Path
    steps: int
    seconds: float

    def described(self) -> str:
        """A sentence for someone whose run has just stopped."""
        if self.steps == 0:
            return "There is no checkpoint yet: the run starts from the beginning."
        return f"The checkpoint of step {self.steps} is kept ({self.path}); run the same command again to resume."


def save_checkpoint(
    path: Path,
    model: Model,
    ema: AveragedModel,
    optimizer: Any,
    adversary: Adversary | None,
    progress: Progress,
    sources: list[dict[str, Any]],
    stream: Mapping[str, Any],
) -> None:
    """Weights, averaged weights, optimizer, adversary, progress, what it was made from, how its samples were drawn
    (``StreamConfig`` as a mapping), and the state of torch's generator."""
    content = {
        "network": describe_network(model.config),
        "model": model.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "adversary": adversary.state_dict() if adversary else None,
        "progress": asdict(progress),
        "torch_rng": torch.get_rng_state(),
        "sources": sources,
        "stream": dict(stream),
    }
    write_checkpoint(path, content)


def restore(
    path: Path, model: Model, ema: AveragedModel, optimizer: torch.optim.Optimizer, adversary: Adversary | None
) -> Progress:
    """Put a checkpoint back into its objects; returns its progress. Raises InputError for one of another network."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if network_of(content["network"]) != model.config:
        raise _another_network(path, content["network"], model)
    model.load_state_dict(content["model"])
    ema.load_state_dict(content["ema"])
    optimizer.load_state_dict(content["optimizer"])
    if adversary is not None and content.get("adversary"):
        adversary.load_state_dict(content["adversary"])
    torch.set_rng_state(content["torch_rng"])
    return Progress(**content["progress"])


def start_from(path: Path, model: Model, ema: AveragedModel, adversary: Adversary | None) -> None:
    """Begin with the averaged weights of a checkpoint (and its adversary), or with published weights (.safetensors).

    Weights of a network without residual heads may start one with them: its finer heads then begin with nothing to add.
    Those of a network without a part of ``ADDED_PARTS`` may start one with it: it begins as it was drawn. Raises
    InputError for those of another network.
    """
    content: dict[str, Any] = {}
    network: dict[str, Any] | None
    if path.suffix == ".safetensors":
        weights, network = _published(path)
    else:
        content = torch.load(path, map_location="cpu", weights_only=True)
        weights, network = _ema_weights(content["ema"]), content["network"]
    begins_residual = network is None and getattr(model.config, "residual_heads", False)
    if network is not None:
        begins_residual = _begins_residual(path, network, model)
    if adversary is not None and content.get("adversary"):
        adversary.load_state_dict(content["adversary"])
    drawn = {name: value for name, value in model.state_dict().items() if name.startswith(_ADDED_NAMES)}
    try:
        for one in (model, ema.module):
            one.load_state_dict({**drawn, **weights})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"The weights {path} belong to a network of another shape ({reason}).") from None
    if isinstance(model, GeoLiftUNet) and begins_residual:
        for one in (model, ema.module):
            for level in range(HEAD_LEVELS - 1):
                one.reset_head(level)  # type: ignore[operator]


def _begins_residual(path: Path, network: dict[str, Any], model: Model) -> bool:
    """Whether the weights' network lacks the model's residual heads. Raises InputError for one that lacks, or has, more
    than these and the parts of ``ADDED_PARTS``."""
    config, wanted = network_of(network), model.config
    if isinstance(config, GeoLiftConfig) and isinstance(wanted, GeoLiftConfig):
        residual = wanted.residual_heads and not config.residual_heads
        parts = {name: getattr(config, name) or getattr(wanted, name) for name in ADDED_PARTS}
        added = replace(config, residual_heads=residual or config.residual_heads, **parts)
        if added == wanted:
            return residual
    elif config == wanted:
        return False
    raise _another_network(path, network, model)


def _published(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """The weights of a .safetensors file, and their network as its metadata say; None in files from before they did,
    which had no residual heads."""
    weights, metadata = read_weights(path)
    return weights, json.loads(metadata["network"]) if "network" in metadata else None


def averaged_weights(checkpoint: Path) -> tuple[NetworkConfig, dict[str, Tensor]]:
    """The network's configuration and its averaged (EMA) weights from a checkpoint, or published weights.

    Raises InputError for published weights of an old format, which does not name the network.
    """
    if checkpoint.suffix == ".safetensors":
        weights, network = _published(checkpoint)
        if network is None:
            raise InputError(
                f"Expected published weights that name their network, got {checkpoint}, which does not, as in an old "
                f"format; train from it (start_from) and publish that run's last.ckpt."
            )
        return network_of(network), weights
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return network_of(content["network"]), _ema_weights(content["ema"])


def averaged_geolift(checkpoint: Path) -> tuple[GeoLiftConfig, dict[str, Tensor]]:
    """``averaged_weights`` of a network that TomoRay can run. Raises InputError for another architecture."""
    config, weights = averaged_weights(checkpoint)
    if not isinstance(config, GeoLiftConfig):
        raise InputError(
            f"Expected a checkpoint of GeoLift-UNet, the network that TomoRay runs; got X2CT-GAN in {checkpoint}, "
            f"which is trained to be compared with only."
        )
    return config, weights


def _ema_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module."): value for name, value in state.items() if name.startswith("module.")}


def _another_network(path: Path, network: Mapping[str, Any], model: Model) -> InputError:
    expected, got = describe_network(model.config), describe_network(network_of(dict(network)))
    if expected["architecture"] != got["architecture"]:
        wanted, found = f"the architecture {expected['architecture']}", got["architecture"]
    else:
        differing = [key for key in expected if expected[key] != got[key]]
        wanted, found = (", ".join(f"{key} {one[key]}" for key in differing) for one in (expected, got))
    return InputError(
        f"The checkpoint {path} holds a network of another shape: expected {wanted}, got {found}. Train with its own "
        f"configuration or start a new run."
    )
