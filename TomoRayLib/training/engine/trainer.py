"""The training loop: one process or many through Lightning Fabric, CPU or GPU, within a budget of minutes or steps.

A run is a folder: ``config.json``, ``log.csv``, ``validation.csv``, ``last.ckpt`` (everything to go on from), and
averaged weights alone in ``best.ckpt`` and ``kept``. A killed run goes on from its last checkpoint with
``resume=True``, and with the samples that it would have seen. The learning rate follows the share of the budget that is
spent, so a run on any machine ends at a rate of zero.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from TomoRayLib.base.allocator import keep_freed_memory
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.networks.precision import fast_autocast
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.licences import WATCHED, SourceUse, merged, recorded_sources, to_record, uses_of
from TomoRayLib.training.data.samples import Sample, StreamConfig
from TomoRayLib.training.data.stream import SampleStream
from TomoRayLib.training.engine.adversary import Adversary
from TomoRayLib.training.engine.checkpoints import Kept, restore, save_checkpoint, start_from
from TomoRayLib.training.engine.interruption import stop_asked, until
from TomoRayLib.training.engine.losses import level_losses, pooled
from TomoRayLib.training.engine.models import Model, build_model, coarsest_edge, parameters_to_train
from TomoRayLib.training.engine.processes import cores_of_process, launched_fabric, workers_for
from TomoRayLib.training.engine.progress import Progress
from TomoRayLib.training.engine.run_log import RunLog
from TomoRayLib.training.engine.snapshots import (
    BEST,
    PEOPLE,
    best_merit,
    mean_over_people,
    merit,
    save_snapshot,
    snapshot_path,
)
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.engine.trouble import clip_gradient, explained, finite
from TomoRayLib.training.engine.validation import ValidationCase, score_case

CHECKPOINT = "last.ckpt"
CHECKPOINT_SECONDS = 120.0
TOLD_SECONDS = 60.0
WARM_UP_SHARE = 0.03


def train(
    config: TrainingConfig,
    stream: StreamConfig,
    anatomy: Anatomy,
    validation: list[ValidationCase],
    out: Path,
    resume: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train one stage within its budget.

    Args:
        config: The stage's settings.
        stream: How its samples are drawn.
        anatomy: What they are made of.
        validation: Cases to score every ``config.validate_every_steps`` steps and at the end.
        out: Folder of the stage.
        resume: Go on from the checkpoint in ``out``, if there is one.
        report: Receives a line on progress every minute, and the scores.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: The folder already holds a run (without ``resume``), a checkpoint is of another architecture, a loss
            is not a number (the last checkpoint stays as it was), or memory is exhausted.
    """
    _check_stage(config, stream, out, resume)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer.setup(config, stream, anatomy, validation, out, report)
    if trainer.share_spent >= 1:
        report(f"Already finished after {trainer.progress.steps} steps; nothing to do.")
        return trainer.kept.path
    trainer.run(anatomy)
    return trainer.kept.path


def _check_stage(config: TrainingConfig, stream: StreamConfig, out: Path, resume: bool) -> None:
    if (out / CHECKPOINT).exists() and not resume:
        raise InputError(f"{out} already holds a run. Resume it or choose another folder.", field="out")
    if config.last_trained_level is not None and config.start_from is None:
        raise InputError(
            "freeze_coarse and coarsest_level need start_from, the checkpoint of the coarse stage; got none."
        )
    if stream.size % config.volume_size:
        raise InputError(
            f"stream.size must be a multiple of the {config.volume_size} voxels that are predicted; got "
            f"{stream.size}. Set it to {config.volume_size} or twice that."
        )


@dataclass
class Trainer:
    """One stage under way: networks and optimizer, its progress, and the folder it writes to."""

    config: TrainingConfig
    stream: StreamConfig
    validation: list[ValidationCase]
    sources: tuple[SourceUse, ...]
    out: Path
    report: Callable[[str], None]
    fabric: Fabric
    network: Model
    model: Any  # the network as Fabric wraps it
    ema: AveragedModel
    optimizer: Any
    adversary: Adversary | None
    progress: Progress
    kept: Kept
    validated_at: int = -1
    told_seconds: float = -math.inf  # the first step is reported at once

    @classmethod
    def setup(
        cls,
        config: TrainingConfig,
        stream: StreamConfig,
        anatomy: Anatomy,
        validation: list[ValidationCase],
        out: Path,
        report: Callable[[str], None],
    ) -> Trainer:
        """Networks, optimizer and progress: new, from the weights to start from, or from the run's own checkpoint."""
        checkpoint = out / CHECKPOINT
        fabric = launched_fabric(config.precision, os.environ, coarsest_edge(config.trained_network))
        if fabric.device.type == "cpu":
            keep_freed_memory()  # processes that make samples are forked from this one and inherit it
        cores = cores_of_process(os.environ, fabric.world_size)
        asked_for = config.workers if config.workers is not None else _workers_before(out)
        config = replace(config, workers=workers_for(asked_for, fabric.device, stream.size, cores))
        fabric.seed_everything(config.seed)
        network = build_model(config.trained_network, fabric.device.type)
        asked = {"counting": config.loss.count > 0, "imaging": config.loss.image > 0}
        trained = parameters_to_train(network, config.finest_level, config.last_trained_level, **asked)
        optimizer = torch.optim.AdamW(
            trained,
            lr=config.peak_lr,
            weight_decay=config.weight_decay,
            betas=config.betas,
            fused=fabric.device.type == "cpu",
        )
        ema = AveragedModel(network, multi_avg_fn=moving_average(config.ema_decay)).to(fabric.device)
        model, optimizer = fabric.setup(network, optimizer)
        adversary = Adversary(fabric, config.adversary) if config.adversary.weight > 0 else None
        sources = _sources(config, checkpoint, anatomy, validation)
        progress = Progress()
        if checkpoint.exists():  # after the setup: the optimizer's state goes where its parameters are
            progress = restore(checkpoint, network, ema, optimizer, adversary)
        elif config.start_from is not None:
            start_from(Path(config.start_from), network, ema, adversary)
        kept = Kept(checkpoint, progress.steps, progress.seconds)
        return cls(
            config=config,
            stream=stream,
            validation=validation,
            sources=sources,
            out=out,
            report=report,
            fabric=fabric,
            network=network,
            model=model,
            ema=ema,
            optimizer=optimizer,
            adversary=adversary,
            progress=progress,
            kept=kept,
        )

    @property
    def share_spent(self) -> float:
        """Share of the budget that is spent."""
        return self.config.spent(self.progress.steps, self.progress.seconds)

    def run(self, anatomy: Anatomy) -> None:
        """Train until the budget is spent, saving and validating as it goes and at the end."""
        if self.progress.steps:
            self.report(f"Going on from step {self.progress.steps}, {self.progress.seconds / 60:.1f} minutes.")
        loader = _loader(anatomy, self.stream, self.config, self.progress.steps, self.fabric)
        loader = self.fabric.setup_dataloaders(loader)
        if self.fabric.is_global_zero:
            write_json(self.out / "config.json", self._settings())
        log = RunLog(self.out, self.fabric.is_global_zero, self.progress.steps)
        started_at = time.monotonic() - self.progress.seconds
        with self._errors_explained(), stop_asked(self.fabric.world_size) as asked:
            for sample in until(asked, loader):
                if self.share_spent >= 1 or asked():
                    break
                terms = self.step(sample, started_at)
                log.training(self.progress, terms)
                if asked():
                    break
                if self.progress.seconds - self.kept.seconds > CHECKPOINT_SECONDS:
                    self.save()
                if self.config.keep_every_steps and self.progress.steps % self.config.keep_every_steps == 0:
                    self._snapshot(snapshot_path(self.out, self.progress.steps))
                self._tell(terms["loss"])
                if self.progress.steps % self.config.validate_every_steps == 0:
                    self.validate(log)
            if not asked() or self.kept.steps < self.progress.steps:
                self.save()
            asked.end()
            if self.validated_at != self.progress.steps:
                self.validate(log)

    def step(self, sample: Sample, started_at: float) -> dict[str, float]:
        """One step of all networks on a batch; the terms of their losses."""
        rate = schedule(self.share_spent)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.peak_lr * rate
        terms = _step(self.fabric, self.model, self.optimizer, sample, self.config, self.adversary, rate)
        self.ema.update_parameters(self.model)
        # The first process keeps the time: all must save, validate and stop after the same step.
        self.progress = self.fabric.broadcast(Progress(self.progress.steps + 1, time.monotonic() - started_at))
        return terms

    def save(self) -> None:
        """Write the checkpoint that a killed or stopped run goes on from."""
        if self.fabric.is_global_zero:
            save_checkpoint(
                self.kept.path,
                self.network,
                self.ema,
                self.optimizer,
                self.adversary,
                self.progress,
                to_record(self.sources),
                asdict(self.stream),
            )
        self.fabric.barrier()  # the next stage reads it in every process
        self.kept.steps, self.kept.seconds = self.progress.steps, self.progress.seconds

    def validate(self, log: RunLog) -> None:
        """Score the averaged weights on all cases, report and log the scores, and keep the best on real people."""
        self.validated_at = self.progress.steps
        scores = _validate(self.ema, self.validation, self.config)
        people = mean_over_people(scores, self.validation)
        self.report(log.validation(self.progress, scores if people is None else {**scores, PEOPLE: people}))
        if people is not None and self.fabric.is_global_zero and merit(people) > best_merit(self.out):
            self._snapshot(self.out / BEST, people)

    def _snapshot(self, path: Path, people: Mapping[str, float] | None = None) -> None:
        if self.fabric.is_global_zero:
            record = (to_record(self.sources), asdict(self.stream))
            save_snapshot(path, self.network, self.ema, self.progress, *record, people)

    def _tell(self, loss: float) -> None:
        if self.progress.seconds - self.told_seconds > TOLD_SECONDS:
            self.told_seconds = self.progress.seconds
            self.report(f"{self.progress}, {min(1.0, self.share_spent):.0%} done; loss {loss:.3g}")

    def _settings(self) -> dict[str, Any]:
        return {"training": asdict(self.config), "stream": asdict(self.stream), "sources": to_record(self.sources)}

    def _errors_explained(self) -> AbstractContextManager[None]:
        return explained(
            self.config.batch_size, self.config.finest_level, lambda: self.progress.steps, self.kept.described
        )


def _workers_before(out: Path) -> int | None:
    """How many processes made the samples of the run that is resumed: their order depends on it. None for a new run."""
    if not (out / CHECKPOINT).exists() or not (out / "config.json").exists():
        return None
    workers: int | None = json.loads((out / "config.json").read_text(encoding="utf-8"))["training"].get("workers")
    return workers


def _sources(
    config: TrainingConfig, checkpoint: Path, anatomy: Anatomy, validation: list[ValidationCase]
) -> tuple[SourceUse, ...]:
    """The data that the weights are made from: this run's own, and those behind the weights that it goes on from."""
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
    """One step of the network, then one of the adversary if there is one; the terms of their losses."""
    predictions = model(sample["radiographs"], sample["cube_to_pixel"], levels=config.levels)
    loss, terms = level_losses(predictions, sample, config.loss, config.levels)
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


def _loader(
    anatomy: Anatomy, stream: StreamConfig, config: TrainingConfig, steps_done: int, fabric: Fabric
) -> DataLoader[Sample]:
    """Batches from worker processes or, without any, from this one and on its device (CUDA allows no forks).

    A resumed run goes on with the sample after its last.
    """
    workers = config.workers or 0
    device = "cpu" if workers else str(fabric.device)
    place = (fabric.global_rank, steps_done, config.batch_size)
    return DataLoader(
        SampleStream(anatomy, stream, *place, device, config.field_size, config.loss.image > 0),
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
    with torch.inference_mode(), fast_autocast(next(network.parameters()).device):
        return {case.name: score_case(network, case, config.finest_level) for case in cases}
