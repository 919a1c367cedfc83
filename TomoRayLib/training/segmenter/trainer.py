"""The training of the CT segmenter: one process on a CPU or a GPU, within a budget of minutes, resumable.

A run is a folder: ``config.json``, ``log.csv``, ``validation.csv`` and ``last.ckpt``. The same call goes on from the
checkpoint with the crops that the stopped run would have seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import check_writable
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.networks.ct_segmenter import CTSegmenter, CTSegmenterConfig
from TomoRayLib.networks.precision import fast_autocast
from TomoRayLib.networks.weight_files import read_weights
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.licences import WATCHED, SourceUse, merged, recorded_sources, to_record, uses_of
from TomoRayLib.training.engine.interruption import stop_asked, until
from TomoRayLib.training.engine.progress import Progress
from TomoRayLib.training.engine.run_files import write_checkpoint
from TomoRayLib.training.engine.trainer import CHECKPOINT, moving_average, schedule
from TomoRayLib.training.segmenter.crops import Crop, CropConfig, CropStream
from TomoRayLib.training.segmenter.losses import segmenter_loss
from TomoRayLib.training.segmenter.validation import SegmenterCase, SegmenterLog, score_of

CHECKPOINT_SECONDS = 120.0
TOLD_STEPS = 50
MOST_SKIPPED = 20


@dataclass(frozen=True)
class SegmenterTraining:
    """Settings of a run. ``minutes`` is its whole budget, or ``steps`` if they are given; the learning rate ends at 0
    with it."""

    minutes: float = 120.0
    steps: int | None = None
    batch_size: int = 2
    peak_lr: float = 2e-3
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.98)
    gradient_clip: float = 1.0
    ema_decay: float = 0.998
    validate_every_steps: int = 300
    workers: int = 1
    seed: int = 1
    start_from: str | None = None
    network: CTSegmenterConfig = field(default_factory=CTSegmenterConfig)

    def __post_init__(self) -> None:
        budget = self.minutes if self.steps is None else self.steps
        if min(budget, self.batch_size, self.validate_every_steps) <= 0 or self.workers not in (0, 1):
            raise InputError(
                f"minutes or steps, batch_size and validate_every_steps must be above 0, workers 0 or 1; got {budget}, "
                f"{self.batch_size}, {self.validate_every_steps}, {self.workers}."
            )

    def spent(self, progress: Progress) -> float:
        """Share of the budget that is spent; the run ends at 1."""
        if self.steps is not None:
            return progress.steps / self.steps
        return progress.seconds / (self.minutes * 60)


def train_segmenter(
    config: SegmenterTraining,
    crops: CropConfig,
    anatomy: Anatomy,
    validation: list[SegmenterCase],
    out: Path,
    report: Callable[[str], None] = print,
) -> Path:
    """Train the CT segmenter within its budget, going on from ``out`` if it holds a run.

    Args:
        config: The settings.
        crops: How its crops are drawn.
        anatomy: What they are made of.
        validation: Real CTs that are scored and never trained on.
        out: Folder of the run.
        report: Receives lines on progress and scores.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: A checkpoint is of another network, the loss is not a number, or the gradient never is.
        OutputError: ``out`` cannot be written.
    """
    check_writable(out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    run = _Run.setup(config, anatomy, validation, out)
    write_json(out / "config.json", {"training": asdict(config), "crops": asdict(crops), "sources": run.record})
    loader = _loader(anatomy, crops, config, run.progress.steps)
    log = SegmenterLog(out, True, run.progress.steps)
    began = time.monotonic() - run.progress.seconds
    saved = time.monotonic()
    with stop_asked(1) as asked:
        for crop in until(asked, loader):
            if config.spent(run.progress) >= 1 or asked():
                break
            terms = run.step(crop)
            run.progress = Progress(run.progress.steps + 1, time.monotonic() - began)
            log.training(run.progress, terms)
            if run.progress.steps % TOLD_STEPS == 1:
                report(f"{run.progress}; " + ", ".join(f"{name} {value:.3f}" for name, value in terms.items()))
            if asked():
                break
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                run.save()
                saved = time.monotonic()
            if run.progress.steps % config.validate_every_steps == 0:
                report(log.validation(run.progress, score_of(run.averaged, validation)))
        run.save()
        asked.end()
    report(log.validation(run.progress, score_of(run.averaged, validation)))
    return out / CHECKPOINT


@dataclass
class _Run:
    config: SegmenterTraining
    path: Path
    network: CTSegmenter
    ema: AveragedModel
    optimizer: torch.optim.Optimizer
    progress: Progress
    record: list[dict[str, Any]]
    device: torch.device
    skipped: int = 0  # steps in a row without a gradient

    @classmethod
    def setup(cls, config: SegmenterTraining, anatomy: Anatomy, validation: list[SegmenterCase], out: Path) -> _Run:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = CTSegmenter(config.network).to(device)
        if device.type == "cpu":
            network.to_channels_last()
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.peak_lr, weight_decay=config.weight_decay, betas=config.betas
        )
        ema = AveragedModel(network, multi_avg_fn=moving_average(config.ema_decay))
        progress, path = Progress(), out / CHECKPOINT
        earlier: tuple[SourceUse, ...] = ()
        if path.exists():
            content = _content(path, config.network)
            network.load_state_dict(content["network"])
            ema.load_state_dict(content["average"])
            optimizer.load_state_dict(content["optimizer"])
            progress = Progress(**content["progress"])
            earlier = recorded_sources(path)
        elif config.start_from is not None:
            weights = _weights_to_start_from(Path(config.start_from), config.network)
            network.load_state_dict(weights)
            ema.module.load_state_dict(weights)
            earlier = recorded_sources(Path(config.start_from))
        watched = uses_of(WATCHED, (case.name for case in validation))
        record = to_record(merged([*anatomy.sources(), *watched, *earlier]))
        return cls(config, path, network, ema, optimizer, progress, record, device)

    @property
    def averaged(self) -> nn.Module:
        return self.ema.module

    def step(self, crop: Crop) -> dict[str, float]:
        rate = schedule(self.config.spent(self.progress))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.peak_lr * rate
        crop = {name: value.to(self.device) for name, value in crop.items()}
        hu = crop["hu"].to(memory_format=torch.channels_last_3d)
        self.network.train()
        with fast_autocast(self.device, min(hu.shape[2:]) // self.network.coarsest_step):
            output = self.network(hu)
        loss, terms = segmenter_loss(output, crop)
        if not bool(torch.isfinite(loss)):
            raise InputError(f"The loss became {float(loss)} at step {self.progress.steps}; lower peak_lr and go on.")
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        if bool(torch.isfinite(norm)):  # a crop of one grey has no deviation to divide by
            self.optimizer.step()
            self.ema.update_parameters(self.network)
            self.skipped = 0
        else:
            self.skipped += 1
            if self.skipped == MOST_SKIPPED:
                raise InputError(
                    f"The gradient was not a number in each of the last {MOST_SKIPPED} steps, up to step "
                    f"{self.progress.steps + 1}, so that nothing was learned; lower peak_lr, or look for crops of one "
                    f"grey, and go on."
                )
        self.optimizer.zero_grad(set_to_none=True)
        return {**terms, "gradient": float(norm)}

    def save(self) -> None:
        content = {
            "segmenter": asdict(self.config.network),
            "network": self.network.state_dict(),
            "average": self.ema.state_dict(),
            "ema": self.ema.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "sources": self.record,
        }
        write_checkpoint(self.path, content)


def _content(path: Path, network: CTSegmenterConfig) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    _check_network(content.get("segmenter"), network, path)
    return content


def _weights_to_start_from(path: Path, network: CTSegmenterConfig) -> dict[str, Tensor]:
    """The averaged weights of a run's checkpoint, or published ones (.safetensors)."""
    if path.suffix != ".safetensors":
        averaged: dict[str, Tensor] = _content(path, network)["ema"]
        return averaged
    weights, metadata = read_weights(path)
    _check_network(json.loads(metadata.get("network", "null")), network, path)
    return weights


def _check_network(found: Any, network: CTSegmenterConfig, path: Path) -> None:
    if not isinstance(found, dict) or set(found) != {"widths"} or CTSegmenterConfig(**found) != network:
        raise InputError(
            f"Expected a CT segmenter's checkpoint with {network}, got {found} in {path}. Choose another folder or "
            f"start, or set the widths of that checkpoint."
        )


def _loader(anatomy: Anatomy, crops: CropConfig, config: SegmenterTraining, steps_done: int) -> DataLoader[Crop]:
    stream = CropStream(anatomy, crops, steps_done * config.batch_size)
    return DataLoader(stream, batch_size=config.batch_size, num_workers=config.workers)
