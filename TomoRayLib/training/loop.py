"""The training loop: one process or many through Lightning Fabric, CPU or GPU, by a budget of minutes.

A run is a folder: ``config.json``, ``log.csv``, ``validation.csv``, ``last.ckpt`` (everything to go on from). A killed
run goes on from its last checkpoint with ``resume=True``. The learning rate follows the share of the budget that is
spent, so a run on any machine ends with its rate at zero.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from TomoRayLib.files import write_atomically
from TomoRayLib.networks.geolift import HEAD_LEVELS, GeoLiftConfig, GeoLiftUNet, Prediction
from TomoRayLib.training.datasets import Anatomy, PhantomStream, Sample, StreamConfig
from TomoRayLib.training.losses import LossWeights, reconstruction_loss
from TomoRayLib.training.sources import WATCHED, SourceUse, merged, recorded_sources, to_record, uses_of
from TomoRayLib.training.validation import ValidationCase, score_case

CHECKPOINT_SECONDS = 120.0
WARM_UP_SHARE = 0.03
COARSER_LEVEL_WEIGHT = 0.3


@dataclass(frozen=True)
class TrainingConfig:
    """One stage of training. ``finest_level`` 2 trains 48^3, 1 trains 96^3, 0 trains 192^3.

    ``freeze_coarse`` (with level 1 or 0) trains only what the finest level adds, on top of ``start_from``. The budget
    is ``minutes``, or ``steps`` where they are given.
    """

    minutes: float = 60.0
    steps: int | None = None
    finest_level: int = 1
    freeze_coarse: bool = False
    start_from: str | None = None
    batch_size: int = 2
    peak_lr: float = 2e-3
    weight_decay: float = 1e-2
    ema_decay: float = 0.995
    gradient_clip: float = 1.0
    precision: str = "bf16-mixed"
    workers: int = 1
    validate_every_steps: int = 200
    seed: int = 1
    network: GeoLiftConfig = field(default_factory=GeoLiftConfig)
    loss: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if self.finest_level not in range(HEAD_LEVELS):
            raise ValueError(f"finest_level must be 0 (192^3), 1 (96^3) or 2 (48^3); got {self.finest_level}.")
        if self.freeze_coarse and self.finest_level == HEAD_LEVELS - 1:
            raise ValueError(f"freeze_coarse needs finest_level 0 or 1; got {self.finest_level}, the coarsest.")
        if self.batch_size < 1 or self.minutes <= 0 or (self.steps is not None and self.steps < 1):
            raise ValueError(
                f"batch_size and steps must be at least 1 and minutes above 0; got batch_size {self.batch_size}, steps "
                f"{self.steps}, minutes {self.minutes}."
            )

    def spent(self, steps: int, seconds: float) -> float:
        """Share of the budget that is spent; 1 and above ends the run."""
        return steps / self.steps if self.steps is not None else seconds / (self.minutes * 60)


def train(
    config: TrainingConfig,
    stream_config: StreamConfig,
    anatomy: Anatomy,
    validation: list[ValidationCase],
    out: Path,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train within the budget and return the checkpoint's path.

    Raises ValueError for a folder that already holds a run (without ``resume``), a checkpoint of another
    architecture, a loss that is not a number (the last checkpoint stays as it was), or too little memory.
    """
    checkpoint = out / "last.ckpt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"{out} already holds a run. Go on with it (--resume) or choose another folder.")
    if config.freeze_coarse and config.start_from is None:
        raise ValueError("freeze_coarse needs start_from, the checkpoint of the coarse stage; got none.")
    out.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(accelerator="auto", devices="auto", precision=config.precision)
    fabric.launch()
    fabric.seed_everything(config.seed)
    model = GeoLiftUNet(config.network).to_channels_last()
    trained = _parameters_to_train(model, config)
    optimizer = torch.optim.AdamW(trained, lr=config.peak_lr, weight_decay=config.weight_decay, betas=(0.9, 0.98))
    progress: dict[str, Any] = {"steps": 0, "seconds": 0.0}
    ema = AveragedModel(model, multi_avg_fn=moving_average(config.ema_decay)).to(fabric.device)
    network = model
    model, optimizer = fabric.setup(model, optimizer)
    sources = _sources(config, checkpoint, anatomy, validation)
    if checkpoint.exists():  # after the setup: the optimizer's state goes where its parameters are
        progress = _restore(checkpoint, network, ema, optimizer)
    elif config.start_from is not None:
        _start_from(Path(config.start_from), network, ema)
    loader = _loader(anatomy, stream_config, config, skip=progress["steps"], rank=fabric.global_rank)
    loader = fabric.setup_dataloaders(loader)
    if fabric.is_global_zero:
        settings = {"training": asdict(config), "stream": asdict(stream_config), "sources": to_record(sources)}
        _write_json(out / "config.json", settings)
    log = _Log(out, fabric.is_global_zero)
    saved_at = time.monotonic()
    started_at = saved_at - progress["seconds"]
    for sample in loader:
        share = config.spent(progress["steps"], progress["seconds"])
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = config.peak_lr * schedule(share)
        try:
            terms = _step(fabric, model, optimizer, sample, config)
        except RuntimeError as error:
            _explain_out_of_memory(error, config)
            raise
        ema.update_parameters(model)
        # The first process keeps the time: all must stop after the same step.
        progress = fabric.broadcast({"steps": progress["steps"] + 1, "seconds": time.monotonic() - started_at})
        log.training(progress, terms)
        if progress["steps"] % config.validate_every_steps == 0:
            report(log.validation(progress, _validate(ema, validation, config)))
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            _save(fabric, checkpoint, model, ema, optimizer, progress, config, sources)
            saved_at = time.monotonic()
    _save(fabric, checkpoint, model, ema, optimizer, progress, config, sources)
    report(log.validation(progress, _validate(ema, validation, config)))
    return checkpoint


def _sources(
    config: TrainingConfig, checkpoint: Path, anatomy: Anatomy, validation: list[ValidationCase]
) -> tuple[SourceUse, ...]:
    """What the weights are made from: this run's data, and what the weights that it goes on from were made from."""
    before = checkpoint if checkpoint.exists() else Path(config.start_from) if config.start_from is not None else None
    earlier = recorded_sources(before) if before is not None else ()
    watched = uses_of(WATCHED, (case.name for case in validation if case.real))
    return merged([*anatomy.sources(), *earlier, *watched])


def schedule(share: float) -> float:
    """Learning rate over its peak after ``share`` of the budget: linear warm-up of 3 %, then a cosine down to 0."""
    if share < WARM_UP_SHARE:
        return max(share / WARM_UP_SHARE, 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (share - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))))


def moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """The exponential moving average that AveragedModel keeps, quicker at first: after n updates the decay is at most
    (1 + n) / (10 + n), so that a short run's average does not remember where it began."""

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        done = int(updates)
        torch._foreach_lerp_(averaged, current, 1.0 - min(decay, (1 + done) / (10 + done)))

    return update


def averaged_weights(checkpoint: Path) -> tuple[GeoLiftConfig, dict[str, Tensor]]:
    """The network's configuration and its averaged (EMA) weights from a checkpoint."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return GeoLiftConfig(**content["network"]), _ema_weights(content["ema"])


def _ema_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module."): value for name, value in state.items() if name.startswith("module.")}


def _step(
    fabric: Fabric,
    model: nn.Module,
    optimizer: Any,
    sample: Sample,
    config: TrainingConfig,
) -> dict[str, float]:
    levels = (config.finest_level,) if config.freeze_coarse else tuple(range(config.finest_level, HEAD_LEVELS))
    predictions = model(sample["radiographs"], sample["cube_to_pixel"], levels=levels)
    loss, terms = level_losses(
        predictions, sample["target"], sample["occupancy"], config.loss, levels, sample.get("geometry")
    )
    mean_loss = float(fabric.all_reduce(loss.detach()))  # one process in trouble stops all
    if not math.isfinite(mean_loss):
        raise ValueError(f"The loss is not a number ({terms}); the last checkpoint is kept. Try a lower peak_lr.")
    fabric.backward(loss)
    norm = fabric.clip_gradients(model, optimizer, max_norm=config.gradient_clip, error_if_nonfinite=False)
    if norm is not None and not math.isfinite(float(norm)):  # one step would make every weight not a number
        raise ValueError(f"The gradient is not a number ({terms}); the last checkpoint is kept. Try a lower peak_lr.")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"loss": mean_loss, **terms}


def _explain_out_of_memory(error: RuntimeError, config: TrainingConfig) -> None:
    """Raises ValueError that says what to try where ``error`` is about memory; else returns."""
    text = str(error)
    if not (isinstance(error, torch.OutOfMemoryError) or "allocate memory" in text or "out of memory" in text):
        return
    advice = (
        f"Try batch_size {config.batch_size // 2}"
        if config.batch_size > 1
        else f"Train a coarser level (finest_level above {config.finest_level}) or a narrower network"
    )
    raise ValueError(
        f"Too little memory for a step of batch_size {config.batch_size} at finest_level {config.finest_level}; the "
        f"last checkpoint is kept. {advice}, and go on from the checkpoint."
    ) from error


def level_losses(
    predictions: dict[int, Prediction],
    target: Tensor,
    occupancy: Tensor,
    weights: LossWeights,
    levels: tuple[int, ...],
    geometry: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Loss of the finest level plus 0.3 of each coarser one; the terms reported are those of the finest."""
    total = torch.zeros((), device=target.device)
    reported: dict[str, float] = {}
    for level in levels:
        factor = target.shape[-1] // predictions[level].intensity.shape[-1]
        truth, bone = (F.avg_pool3d(volume, factor) if factor > 1 else volume for volume in (target, occupancy))
        loss, terms = reconstruction_loss(predictions[level], truth, bone, weights, geometry)
        total = total + loss * (1.0 if level == levels[0] else COARSER_LEVEL_WEIGHT)
        reported = reported or terms
    return total, reported


def _parameters_to_train(model: GeoLiftUNet, config: TrainingConfig) -> list[nn.Parameter]:
    """What the optimizer holds. Levels that are not trained yet stay in it, without gradients (several processes
    wait for a gradient of everything that asks for one)."""
    if config.freeze_coarse:
        model.requires_grad_(False)
        for part in _parts_of_level(model, config.finest_level):
            part.requires_grad_(True)
        return [parameter for parameter in model.parameters() if parameter.requires_grad]
    for level in range(config.finest_level):
        for part in _parts_of_level(model, level):
            part.requires_grad_(False)
    return list(model.parameters())


def _parts_of_level(model: GeoLiftUNet, level: int) -> tuple[nn.Module, ...]:
    """What one level adds to the coarser ones (the encoder's levels serve all of them)."""
    ap, lateral = (reducers[level] for reducers in model.reducers)  # type: ignore[index]
    return model.decoder[level], model.heads[level], ap, lateral


def _loader(anatomy: Anatomy, stream: StreamConfig, config: TrainingConfig, skip: int, rank: int) -> DataLoader[Sample]:
    """Samples from worker processes. A resumed run draws new phantoms: the seed moves on with the steps done."""
    seeded = replace(stream, seed=stream.seed + 7919 * skip)
    return DataLoader(
        PhantomStream(anatomy, seeded, rank),
        batch_size=config.batch_size,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
        worker_init_fn=_one_thread,
        persistent_workers=config.workers > 0,
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def _validate(ema: AveragedModel, cases: list[ValidationCase], config: TrainingConfig) -> dict[str, dict[str, float]]:
    network: GeoLiftUNet = ema.module  # type: ignore[assignment]
    network.eval()
    with torch.inference_mode(), torch.autocast(next(network.parameters()).device.type, torch.bfloat16):
        return {case.name: score_case(network, case, config.finest_level) for case in cases}


def _save(
    fabric: Fabric,
    path: Path,
    model: Any,
    ema: AveragedModel,
    optimizer: Any,
    progress: dict[str, Any],
    config: TrainingConfig,
    sources: tuple[SourceUse, ...],
) -> None:
    if not fabric.is_global_zero:
        return
    content = {
        "network": config.network.to_dict(),
        "model": model.module.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": progress,
        "torch_rng": torch.get_rng_state(),
        "sources": to_record(sources),
    }
    with write_atomically(path) as partial:
        torch.save(content, partial)


def _restore(path: Path, model: GeoLiftUNet, ema: AveragedModel, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    content = torch.load(path, map_location="cpu", weights_only=True)
    _check_same_network(path, content, model)
    model.load_state_dict(content["model"])
    ema.load_state_dict(content["ema"])
    optimizer.load_state_dict(content["optimizer"])
    torch.set_rng_state(content["torch_rng"])
    return dict(content["progress"])


def _start_from(path: Path, model: GeoLiftUNet, ema: AveragedModel) -> None:
    if path.suffix == ".safetensors":  # published weights, of the network that the registry describes
        weights = {name: value.float() for name, value in load_file(path).items()}
    else:
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check_same_network(path, content, model)
        weights = _ema_weights(content["ema"])
    try:
        model.load_state_dict(weights)
        ema.module.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"The weights {path} belong to a network of another shape ({reason}).") from None


def _check_same_network(path: Path, content: Mapping[str, Any], model: GeoLiftUNet) -> None:
    if GeoLiftConfig(**content["network"]) != model.config:
        raise ValueError(
            f"The checkpoint {path} holds a network of another shape: expected {model.config.to_dict()}, got "
            f"{content['network']}. Train with its own configuration or start a new run."
        )


class _Log:
    """CSV files that grow as the run goes on."""

    def __init__(self, out: Path, active: bool) -> None:
        self.out, self.active = out, active

    def training(self, progress: dict[str, Any], terms: dict[str, float]) -> None:
        if self.active and progress["steps"] % 10 == 0:
            self._append("log.csv", {"step": progress["steps"], "seconds": round(progress["seconds"], 1), **terms})

    def validation(self, progress: dict[str, Any], scores: dict[str, dict[str, float]]) -> str:
        words = [f"step {progress['steps']}, {progress['seconds'] / 60:.1f} min"]
        for name, score in scores.items():
            row = {"step": progress["steps"], "minutes": round(progress["seconds"] / 60, 2), "case": name, **score}
            if self.active:
                self._append("validation.csv", row)
            words.append(f"{name} CS {score['cosine_similarity']:.3f} Dice {score['dice']:.3f}")
        return "; ".join(words)

    def _append(self, name: str, row: dict[str, Any]) -> None:
        path = self.out / name
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def _write_json(path: Path, content: Any) -> None:
    with write_atomically(path) as partial:
        Path(partial).write_text(json.dumps(content, indent=2) + "\n")
