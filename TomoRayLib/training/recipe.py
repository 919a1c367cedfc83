"""A recipe without a configuration: coarse to fine within one budget of minutes, on phantoms alone, on a CPU.

48^3 gets most of the time: a sample costs 0.7 s on two cores, one at 96^3 2.5 s, and enlarged to 192^3 both score
nearly the same while the coarse errors remain. 96^3 and 192^3 are added last, each refining the frozen rest's result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.cohort import CohortCase
from TomoRayLib.networks.geolift import GeoLiftConfig
from TomoRayLib.training.data.anatomy import load_anatomy
from TomoRayLib.training.data.held_out import VALIDATION_SPINES
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.engine.trainer import train
from TomoRayLib.training.engine.training_config import TrainingConfig
from TomoRayLib.training.engine.validation import check_may_be_scored, describe_held_out, phantom_cases, scored_case
from TomoRayLib.training.phantoms.scene import SceneSize

# (name, share of the minutes, changes to the training configuration, size of the targets)
STAGES: tuple[tuple[str, float, dict[str, object], int], ...] = (
    ("48", 0.60, {"finest_level": 2, "batch_size": 2, "peak_lr": 1e-3, "validate_every_steps": 150}, 96),
    ("96", 0.20, {"finest_level": 1, "batch_size": 2, "peak_lr": 1e-3, "freeze_coarse": True}, 96),
    ("192", 0.20, {"finest_level": 0, "batch_size": 1, "peak_lr": 1e-3, "freeze_coarse": True}, 192),
)
STAGE_NAMES = tuple(name for name, _, _, _ in STAGES)
PHANTOM_CASES = 6


def train_first_weights(
    data: Path,
    out: Path,
    minutes: float,
    real_cases: list[tuple[str, Path, Path]],
    seed: int = 1,
    report: Callable[[str], None] = print,
    start_from: Path | None = None,
    stages: tuple[str, ...] = STAGE_NAMES,
    workers: int | None = None,
) -> Path:
    """Train all stages into ``out/48``, ``out/96``, ``out/192`` and return the last checkpoint.

    A stage that has a checkpoint goes on from it, so the same command resumes a killed run. ``real_cases`` are (name,
    CT, label map) that are only ever looked at. ``start_from`` is the last checkpoint of an earlier run, or published
    weights (.safetensors), to go on from. ``stages`` leaves the other stages out; those named share all the minutes.
    ``workers`` processes make samples; 0 makes them in the training process itself. None: ``processes.workers_for``.
    Raises InputError for a stage that there is not, a case that cannot be scored, or spines that are all held out.
    """
    chosen = [stage for stage in STAGES if stage[0] in stages]
    unknown = sorted(set(stages) - set(STAGE_NAMES))
    if unknown or not chosen:
        raise InputError(f"Expected stages of {STAGE_NAMES}, got {list(stages)}; choose one or more of these.")
    total = sum(share for _, share, _, _ in chosen)
    watched = [CohortCase(case[0], case[0], *case[1:]) for case in real_cases]
    for case in watched:
        check_may_be_scored(case)
    anatomy, held_out = load_anatomy(data).split((*VALIDATION_SPINES, *(case.name for case in watched)))
    anatomy.check_trainable()
    report(f"{len(anatomy.spines)} spines and {len(anatomy.bodies)} bodies for phantoms")
    report(describe_held_out(held_out))
    previous = start_from
    for name, share, changes, size in chosen:
        number = STAGE_NAMES.index(name)
        stream = StreamConfig(size=size, seed=seed + 1_000_003 * number)  # no stage sees another's phantoms again
        if size == 192:
            stream = replace(stream, scene=SceneSize(spacing_mm=1.6), kept=12, uses=3, shot_uses=2)
        else:
            stream = replace(stream, scene=SceneSize(spacing_mm=2.5), uses=3, shot_uses=2)
        real = [scored_case(case, size) for case in watched]
        cases = phantom_cases(held_out, stream, PHANTOM_CASES if size < 192 else 2) + real
        config = TrainingConfig(
            minutes=minutes * share / total,
            start_from=str(previous) if previous else None,
            seed=seed,
            workers=workers,
            network=GeoLiftConfig(residual_heads=True),
        )
        config = replace(config, **changes)  # type: ignore[arg-type]
        report(f"Stage {name}: {config.minutes:.0f} minutes")
        resume = (out / name / "last.ckpt").exists()
        previous = train(config, stream, anatomy, cases, out / name, resume, report)
    assert previous is not None
    return previous
