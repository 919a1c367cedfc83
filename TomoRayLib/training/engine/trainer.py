"""The training loop: one process or many through Lightning Fabric, CPU or GPU, by a budget of minutes.

A run is a folder: ``config.json``, ``log.csv``, ``validation.csv``, ``last.ckpt`` (everything to go on from). A killed
run goes on from its last checkpoint with ``resume=True``, and with the samples that it would have seen. The learning
rate follows the share of the budget that is spent, so a run on any machine ends with its rate at zero.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import write_atomically
from TomoRayLib.networks.geolift import HEAD_LEVELS, GeoLiftConfig, GeoLiftUNet, Prediction
from TomoRayLib.networks.x2ct import X2CTConfig
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.licences import WATCHED, SourceUse, merged, recorded_sources, to_record, uses_of
from TomoRayLib.training.data.samples import Sample, StreamConfig
from TomoRayLib.training.data.stream import SampleStream
from TomoRayLib.training.engine.adversary import Adversary, AdversaryConfig
from TomoRayLib.training.engine.checkpoints import Kept, restore, save_checkpoint, start_from
from TomoRayLib.training.engine.interruption import stop_asked
from TomoRayLib.training.engine.losses import LossWeights, reconstruction_loss
from TomoRayLib.training.engine.models import ARCHITECTURES, Model, NetworkConfig, Unmasked, build_model
from TomoRayLib.training.engine.processes import PRECISIONS, cores_of_process, launched_fabric, workers_for
from TomoRayLib.training.engine.run_log import RunLog
from TomoRayLib.training.engine.trouble import clip_gradient, explained, finite
from TomoRayLib.training.engine.validation import ValidationCase, score_case

CHECKPOINT_SECONDS = 120.0
TOLD_SECONDS = 60.0
WARM_UP_SHARE = 0.03
COARSER_LEVEL_WEIGHT = 0.3


@dataclass(frozen=True)
class TrainingConfig:
    """One stage of training. ``finest_level`` 2 trains 48^3, 1 trains 96^3, 0 trains 192^3.

    ``freeze_coarse`` (with level 1 or 0) trains only what the finest level adds, on top of ``start_from``. The budget
    is ``minutes``, or ``steps`` where they are given.

    ``architecture`` "geolift" trains ``network``; "x2ct" trains ``x2ct``, which has no levels and no mask: leave
    ``finest_level`` at 0 and set ``loss.mask`` to 0.

    ``workers`` processes make samples on the CPU; 0 makes them in the training process, on its GPU where it has one.
    Left out: ``processes.workers_for``.
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
    workers: int | None = None
    validate_every_steps: int = 200
    seed: int = 1
    betas: tuple[float, float] = (0.9, 0.98)
    architecture: str = "geolift"
    network: GeoLiftConfig = field(default_factory=GeoLiftConfig)
    x2ct: X2CTConfig = field(default_factory=X2CTConfig)
    loss: LossWeights = field(default_factory=LossWeights)
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)

    def __post_init__(self) -> None:
        if self.finest_level not in range(HEAD_LEVELS):
            raise InputError(f"finest_level must be 0 (192^3), 1 (96^3) or 2 (48^3); got {self.finest_level}.")
        if self.freeze_coarse and self.finest_level == HEAD_LEVELS - 1:
            raise InputError(f"freeze_coarse needs finest_level 0 or 1; got {self.finest_level}, the coarsest.")
        if self.batch_size < 1 or self.minutes <= 0 or (self.steps is not None and self.steps < 1):
            raise InputError(
                f"batch_size and steps must be at least 1 and minutes above 0; got batch_size {self.batch_size}, steps "
                f"{self.steps}, minutes {self.minutes}."
            )
        if self.precision not in PRECISIONS:
            raise InputError(f"precision must be one of {PRECISIONS}; got {self.precision!r}.")
        workers = self.workers or 0
        if min(self.validate_every_steps, self.gradient_clip) <= 0 or workers < 0 or not 0 <= self.ema_decay < 1:
            raise InputError(
                f"validate_every_steps and gradient_clip must be above 0, workers 0 or above, and ema_decay in [0, 1); "
                f"got {self.validate_every_steps}, {self.gradient_clip}, {self.workers} and {self.ema_decay}."
            )
        if self.architecture not in ARCHITECTURES:
            raise InputError(f"architecture must be one of {ARCHITECTURES}; got {self.architecture!r}.")
        if self.architecture == "x2ct" and (self.finest_level or self.loss.mask or self.loss.rays):
            raise InputError(
                f"X2CT-GAN has one level and no mask: finest_level, loss.mask and loss.rays must be 0; got "
                f"{self.finest_level}, {self.loss.mask} and {self.loss.rays}. docs/configurations/x2ct-gan.toml has "
                f"all that it needs."
            )

    @property
    def trained_network(self) -> NetworkConfig:
        """The configuration of the architecture that is trained."""
        return self.network if self.architecture == "geolift" else self.x2ct

    @property
    def volume_size(self) -> int:
        """Edge in voxels of the finest volume that is predicted in training."""
        return self.x2ct.size if self.architecture == "x2ct" else self.network.output_size >> self.finest_level

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels that predict in training, finest first."""
        if self.architecture == "x2ct" or self.freeze_coarse:
            return (self.finest_level,)
        return tuple(range(self.finest_level, HEAD_LEVELS))

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

    Raises InputError for a folder that already holds a run (without ``resume``), a checkpoint of another
    architecture, a loss that is not a number (the last checkpoint stays as it was), or too little memory.
    """
    checkpoint = out / "last.ckpt"
    if checkpoint.exists() and not resume:
        raise InputError(f"{out} already holds a run. Go on with it (--resume) or choose another folder.")
    if config.freeze_coarse and config.start_from is None:
        raise InputError("freeze_coarse needs start_from, the checkpoint of the coarse stage; got none.")
    if stream_config.size % config.volume_size:
        raise InputError(
            f"stream.size must be a multiple of the {config.volume_size} voxels that are predicted; got "
            f"{stream_config.size}. Set it to {config.volume_size} or twice that."
        )
    out.mkdir(parents=True, exist_ok=True)
    fabric = launched_fabric(config.precision, os.environ)
    cores = cores_of_process(os.environ, fabric.world_size)
    asked_for = config.workers if config.workers is not None else _workers_before(out)
    config = replace(config, workers=workers_for(asked_for, fabric.device, stream_config.size, cores))
    fabric.seed_everything(config.seed)
    network = build_model(config.trained_network, fabric.device.type)
    trained = _parameters_to_train(network, config)
    optimizer = torch.optim.AdamW(trained, lr=config.peak_lr, weight_decay=config.weight_decay, betas=config.betas)
    progress: dict[str, Any] = {"steps": 0, "seconds": 0.0}
    ema = AveragedModel(network, multi_avg_fn=moving_average(config.ema_decay)).to(fabric.device)
    model, optimizer = fabric.setup(network, optimizer)
    adversary = Adversary(fabric, config.adversary) if config.adversary.weight > 0 else None
    sources = _sources(config, checkpoint, anatomy, validation)
    if checkpoint.exists():  # after the setup: the optimizer's state goes where its parameters are
        progress = restore(checkpoint, network, ema, optimizer, adversary)
    elif config.start_from is not None:
        start_from(Path(config.start_from), network, ema, adversary)
    if config.spent(progress["steps"], progress["seconds"]) >= 1:
        report(f"Finished before, after {progress['steps']} steps: it stays as it is.")
        return checkpoint
    if progress["steps"]:
        report(f"Going on from step {progress['steps']}, {progress['seconds'] / 60:.1f} minutes.")
    kept = Kept(checkpoint, progress["steps"], progress["seconds"])
    loader = _loader(anatomy, stream_config, config, progress["steps"], fabric)
    loader = fabric.setup_dataloaders(loader)
    if fabric.is_global_zero:
        settings = {"training": asdict(config), "stream": asdict(stream_config), "sources": to_record(sources)}
        _write_json(out / "config.json", settings)
    log = RunLog(out, fabric.is_global_zero, progress["steps"])

    def save(progress: dict[str, Any]) -> None:
        if fabric.is_global_zero:
            save_checkpoint(
                checkpoint, network, ema, optimizer, adversary, progress, to_record(sources), asdict(stream_config)
            )
        fabric.barrier()  # the next stage reads it in every process
        kept.steps, kept.seconds = progress["steps"], progress["seconds"]

    validated_at, told_seconds = -1, -math.inf  # the first step is told at once
    started_at = time.monotonic() - progress["seconds"]
    trouble = explained(config.batch_size, config.finest_level, lambda: progress["steps"], kept.described)
    with trouble, stop_asked(fabric.world_size) as asked:
        for sample in _until(asked, loader):
            share = config.spent(progress["steps"], progress["seconds"])
            if share >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = config.peak_lr * schedule(share)
            terms = _step(fabric, model, optimizer, sample, config, adversary, schedule(share))
            ema.update_parameters(model)
            # The first process keeps the time: all must save, validate and stop after the same step.
            progress = fabric.broadcast({"steps": progress["steps"] + 1, "seconds": time.monotonic() - started_at})
            log.training(progress, terms)
            if asked() or progress["seconds"] - kept.seconds > CHECKPOINT_SECONDS:
                save(progress)
            if asked():
                raise KeyboardInterrupt
            if progress["seconds"] - told_seconds > TOLD_SECONDS:
                told_seconds = progress["seconds"]
                report(_told(progress, config, terms["loss"]))
            if progress["steps"] % config.validate_every_steps == 0:
                validated_at = progress["steps"]
                report(log.validation(progress, _validate(ema, validation, config)))
        save(progress)
        if validated_at != progress["steps"]:
            report(log.validation(progress, _validate(ema, validation, config)))
    return checkpoint


def _workers_before(out: Path) -> int | None:
    """How many processes made the samples of the run that is gone on with: their order depends on it. None without."""
    if not (out / "last.ckpt").exists() or not (out / "config.json").exists():
        return None
    workers: int | None = json.loads((out / "config.json").read_text())["training"].get("workers")
    return workers


def _told(progress: dict[str, Any], config: TrainingConfig, loss: float) -> str:
    share = min(1.0, config.spent(progress["steps"], progress["seconds"]))
    return f"step {progress['steps']}, {progress['seconds'] / 60:.1f} min, {share:.0%} done; loss {loss:.3g}"


def _until(asked: Callable[[], bool], loader: Iterable[Sample]) -> Iterator[Sample]:
    """The samples. Raises KeyboardInterrupt for a process that makes them and has ended because it was asked to."""
    try:
        yield from loader
    except RuntimeError:
        if asked():
            raise KeyboardInterrupt from None
        raise


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


def _step(
    fabric: Fabric,
    model: nn.Module,
    optimizer: Any,
    sample: Sample,
    config: TrainingConfig,
    adversary: Adversary | None,
    rate: float,
) -> dict[str, float]:
    """One step of the network, then one of the adversary where there is one; the terms of their losses."""
    predictions = model(sample["radiographs"], sample["cube_to_pixel"], levels=config.levels)
    loss, terms = level_losses(
        predictions, sample["target"], sample["occupancy"], config.loss, config.levels, sample.get("geometry")
    )
    if adversary is not None:
        finest = predictions[config.levels[0]].masked
        made, real = adversary.beside(finest, pooled(sample["target"], finest.shape[-1]), sample)
        judged = adversary.judged(made)
        loss, terms = loss + config.adversary.weight * judged, {**terms, "adversarial": float(judged.detach())}
    mean_loss = finite("loss", fabric.all_reduce(loss.detach()), terms)  # one process in trouble stops all
    fabric.backward(loss)
    clip_gradient(fabric, model, optimizer, config.gradient_clip, terms)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if adversary is not None:
        terms["discriminator"] = adversary.learn(made, real, rate, terms)
    return {"loss": mean_loss, **terms}


def pooled(volume: Tensor, size: int) -> Tensor:
    """(n, c, z, y, x) averaged down to ``size`` voxels an edge."""
    factor = volume.shape[-1] // size
    return F.avg_pool3d(volume, factor) if factor > 1 else volume


def level_losses(
    predictions: Mapping[int, Prediction | Unmasked],
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
        size = predictions[level].intensity.shape[-1]
        truth, bone = pooled(target, size), pooled(occupancy, size)
        loss, terms = reconstruction_loss(predictions[level], truth, bone, weights, geometry)
        total = total + loss * (1.0 if level == levels[0] else COARSER_LEVEL_WEIGHT)
        reported = reported or terms
    return total, reported


def _parameters_to_train(model: Model, config: TrainingConfig) -> list[nn.Parameter]:
    """What the optimizer holds. Levels that are not trained yet stay in it, without gradients (several processes
    wait for a gradient of everything that asks for one)."""
    if not isinstance(model, GeoLiftUNet):
        return [parameter for parameter in model.parameters() if parameter.requires_grad]
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


def _loader(
    anatomy: Anatomy, stream: StreamConfig, config: TrainingConfig, steps_done: int, fabric: Fabric
) -> DataLoader[Sample]:
    """Batches from worker processes, or without any from this one, then made on its device (CUDA allows no forks).

    A resumed run goes on with the sample after its last.
    """
    workers = config.workers or 0
    device = "cpu" if workers else str(fabric.device)
    return DataLoader(
        SampleStream(anatomy, stream, fabric.global_rank, steps_done, config.batch_size, device),
        batch_size=config.batch_size,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        pin_memory=workers > 0 and fabric.device.type == "cuda",  # batches go there while the step before is computed
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # else a loader draws from the generator that a resumed run has just got back
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def _validate(ema: AveragedModel, cases: list[ValidationCase], config: TrainingConfig) -> dict[str, dict[str, float]]:
    network: Model = ema.module  # type: ignore[assignment]
    network.eval()
    with torch.inference_mode(), torch.autocast(next(network.parameters()).device.type, torch.bfloat16):
        return {case.name: score_case(network, case, config.finest_level) for case in cases}


def _write_json(path: Path, content: Any) -> None:
    with write_atomically(path) as partial:
        Path(partial).write_text(json.dumps(content, indent=2) + "\n")
