"""The worth of each part of the method: short trainings that differ in one thing, all on the same number of samples.

    python Testing/Benchmarks/ablations.py --data DATA                     # every row
    python Testing/Benchmarks/ablations.py --data DATA --rows replicate    # one row

DATA holds labelmaps/, bodies/, verse/ and totalsegmentator/. The network is GeoLift-S made for 128^3, trained from
scratch to its second finest level, 64^3 (4 mm); CPU minutes are those of training and scoring together. Each row is
scored with its averaged weights on phantoms of held-out spines and on three real CTs, none of which any row has trained
on. Rows that are done (OUT/NAME/scores.json) are kept. Nothing here looks at LIDC-IDRI-0001.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from TomoRayLib.networks.geolift import GeoLiftConfig
from TomoRayLib.networks.x2ct import X2CTConfig
from TomoRayLib.training.data.anatomy import Anatomy, load_anatomy, with_procedural_bodies
from TomoRayLib.training.data.augmentation import AppearanceRanges, GeometryRanges
from TomoRayLib.training.data.samples import IsocenterRanges, StreamConfig
from TomoRayLib.training.data.training_cases import find_training_cases
from TomoRayLib.training.engine.adversary import AdversaryConfig
from TomoRayLib.training.engine.checkpoints import averaged_weights
from TomoRayLib.training.engine.losses import LossWeights
from TomoRayLib.training.engine.models import build_model
from TomoRayLib.training.engine.trainer import train
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.engine.validation import ValidationCase, phantom_cases, score_case, scored_case
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import SceneSize

SIZE = 64
PHANTOMS = 8
CRUDE_BODIES = 8
ADVERSARIAL_SHARE = 0.2  # of the samples, at the end, as the method advises
SCORES = ("cosine_similarity", "dice", "gain_db")
GEOLIFT_S = GeoLiftConfig(output_size=2 * SIZE)
BASE = TrainingConfig(
    finest_level=1, batch_size=1, peak_lr=1e-3, ema_decay=0.99, workers=0, validate_every_steps=10**9, network=GEOLIFT_S
)
STREAM = StreamConfig(size=SIZE, uses=4, kept=12, shot_uses=2, seed=5, scene=SceneSize(spacing_mm=3.0))
X2CT = replace(
    BASE,
    architecture="x2ct",
    x2ct=X2CTConfig(size=SIZE),
    finest_level=0,
    peak_lr=5e-5,  # the paper's; at X2CT-GAN's own 2e-4 its last ReLU died within 100 samples
    betas=(0.5, 0.99),
    weight_decay=0.0,
    loss=LossWeights(0, 0, 0, 0, 0, mse=10.0, axis_mean=10.0),
    adversary=AdversaryConfig(weight=0.1, crop=0, replicate=True),
)


@dataclass(frozen=True)
class Row:
    """One training: what differs, said in words, and the settings. ``stages`` are (share of the samples, settings)."""

    title: str
    stages: tuple[tuple[float, TrainingConfig], ...] = ((1.0, BASE),)
    stream: StreamConfig = STREAM
    crude_bodies: bool = False
    as_long_as_base: bool = False


def _loss(**changes: float) -> tuple[tuple[float, TrainingConfig], ...]:
    return ((1.0, replace(BASE, loss=replace(BASE.loss, **changes))),)


def _with_network(image: float = 0.0, **parts: bool) -> tuple[tuple[float, TrainingConfig], ...]:
    loss = replace(BASE.loss, image=image)
    return ((1.0, replace(BASE, network=replace(GEOLIFT_S, **parts), loss=loss)),)


def not_augmented() -> StreamConfig:
    """The stream without random shape, tissue, geometry and appearance: label maps in bodies, one fixed C-arm. What a
    label map lacks (texture, discs, endplates) and mirroring stay random."""
    still = dict.fromkeys(("spine_scale", "spine_width_scale", "body_stretch", "body_bone_contrast"), (1.0, 1.0))
    middle = {name: _middle(getattr(PhantomRanges(), name)) for name in _RANGES_OF_VALUES}
    shares = {name: 0.0 for name in asdict(PhantomRanges()) if name.endswith("_share")}
    zero = {"rotation_sd_deg": 0.0, "elastic_sd_mm": (0.0, 0.0), "bend_mm": (0.0, 0.0), "body_level_error_sd_mm": 0.0}
    phantom = replace(PhantomRanges(), **still, **middle, **shares, **zero, soft_tissue_shift_hu=(0.0, 0.0))
    geometry = GeometryRanges((1000.0, 1000.0), parallel_share=0.0, angled_share=0.0, unknown_shift_share=0.0)
    geometry = replace(geometry, unknown_scale_share=0.0, told_offset_share=0.0)
    appearance = AppearanceRanges(
        gamma=(1.0, 1.0),
        noise_sd=(0.0, 0.0),
        blur_sd_mm=(0.0, 0.0),
        **{name: 0.0 for name in asdict(AppearanceRanges()) if name.endswith("_share")},
    )
    isocenter = IsocenterRanges((0.0, 0.0, 0.0), anterior_share=0.0)
    return replace(STREAM, phantom=phantom, geometry=geometry, appearance=appearance, isocenter=isocenter)


_RANGES_OF_VALUES = ("cortical_hu", "trabecular_hu", "shell_power", "texture_sd_hu")


def _middle(bounds: tuple[float, float]) -> tuple[float, float]:
    return (sum(bounds) / 2, sum(bounds) / 2)


def rows() -> dict[str, Row]:
    """Every row by the name that ``--rows`` takes."""
    network_m = GeoLiftConfig((24, 48, 96, 160, 256), (12, 32, 64, 128, 192), output_size=2 * SIZE)
    adversarial = replace(BASE, peak_lr=5e-4, adversary=AdversaryConfig(weight=0.1, crop=0))
    return {
        "base": Row("GeoLift-S, all of it"),
        "replicate": Row(
            "features replicated along the axes, not lifted along the rays",
            ((1.0, replace(BASE, network=replace(GEOLIFT_S, lifting="replicate"))),),
        ),
        "no-augmentation": Row("no random shape, tissue, geometry or appearance", stream=not_augmented()),
        "crude-bodies": Row("procedural bodies in place of real ones", crude_bodies=True),
        "no-mask-loss": Row("no Dice and cross-entropy of the mask", _loss(mask=0.0)),
        "no-projection-loss": Row("no loss on projections", _loss(projection=0.0)),
        "absolute-error": Row("absolute error alone, no squared error", _loss(squared=0.0, intensity=1.0)),
        "rays": Row("projections along the true rays, not the axes", _loss(projection=0.0, rays=0.5)),
        "adversarial": Row(
            "adversarial for the last fifth", ((1 - ADVERSARIAL_SHARE, BASE), (ADVERSARIAL_SHARE, adversarial))
        ),
        "image-decoder": Row(
            "an image decoder, with a loss on bone images",
            _with_network(image=0.5, image_decoder=True),
        ),
        "row-exchange": Row("views that see each other's rows", _with_network(row_exchange=True)),
        "image-half": Row("both of them", _with_network(image=0.5, image_decoder=True, row_exchange=True)),
        "M": Row("GeoLift-M", ((1.0, replace(BASE, network=network_m)),)),
        "x2ct": Row("X2CT-GAN, its own losses and rates, as many samples", ((1.0, X2CT),)),
        "x2ct-same-time": Row(
            "X2CT-GAN, its own losses and rates, as much CPU time", ((1.0, X2CT),), as_long_as_base=True
        ),
    }


def run_row(row: Row, samples: int, anatomy: Anatomy, cases: list[ValidationCase], out: Path) -> dict[str, object]:
    """Train one row and score it; the scores are also written to ``out``."""
    began, previous, seen = time.process_time(), None, 0
    for number, (share, settings) in enumerate(row.stages):
        steps = max(1, round(samples * share / settings.batch_size))
        settings = replace(settings, steps=steps, start_from=previous)
        stream = replace(row.stream, seed=row.stream.seed + number)
        folder = out / str(number)
        previous = str(train(settings, stream, anatomy, [], folder, resume=(folder / "last.ckpt").exists()))
        seen += steps * settings.batch_size
    assert previous is not None
    config, weights = averaged_weights(Path(previous))
    network = build_model(config)
    network.load_state_dict(weights)
    network.eval()
    level = row.stages[-1][1].finest_level
    with torch.inference_mode():
        scores = {case.name: score_case(network, case, level) for case in cases}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    used = time.process_time() - began
    result: dict[str, object] = {
        "title": row.title,
        "samples": seen,
        "cpu_minutes": used / 60,
        "parameters": parameters,
        "scores": scores,
    }
    (out / "scores.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def table(results: dict[str, dict]) -> str:
    """Markdown: a line a row; phantoms as mean and SD, real CTs one by one."""
    real = [name for name in next(iter(results.values()))["scores"] if not name.startswith("phantom")]
    head = ["row", "what differs", "samples", "CPU min", "M parameters", f"phantoms (n = {PHANTOMS}): CS, Dice", *real]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for name, result in results.items():
        scores = result["scores"]
        phantoms = [score for case, score in scores.items() if case.startswith("phantom")]
        means = []
        for key in ("cosine_similarity", "dice"):
            values = torch.tensor([score[key] for score in phantoms])
            means.append(f"{values.mean():.3f} ± {values.std():.3f}")
        each = [" / ".join((f"{scores[c]['cosine_similarity']:.3f}", f"{scores[c]['dice']:.3f}",
                            f"{scores[c]['gain_db']:+.2f}")) for c in real]  # fmt: skip
        size = f"{result['parameters'] / 1e6:.1f}"
        cells = [name, result["title"], str(result["samples"]), f"{result['cpu_minutes']:.0f}", size]
        lines.append(" | ".join([*cells, ", ".join(means), *each]))
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def validation_cases(data: Path, held_out: Anatomy) -> list[ValidationCase]:
    """Phantoms of spines that no row trains on, and the real CTs of ``data``."""
    cohort, _ = find_training_cases([data / "verse", data / "totalsegmentator"])
    real = [scored_case(files, SIZE) for files in cohort.cases]
    return phantom_cases(held_out, STREAM, PHANTOMS) + real


def main(report: Callable[[str], None] = print) -> None:
    choices = rows()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("output/ablations"))
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", nargs="+", choices=list(choices), default=list(choices))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    real_anatomy, held_out = load_anatomy(options.data).split()
    cases = validation_cases(options.data, held_out)
    results: dict[str, dict] = {}
    for name in options.rows:
        row, out = choices[name], options.out / name
        if (out / "scores.json").exists():
            results[name] = json.loads((out / "scores.json").read_text())
            continue
        samples = options.samples
        if row.as_long_as_base:
            done = [options.out / one / "scores.json" for one in ("base", "x2ct")]
            if not all(path.exists() for path in done):
                parser.error(f"{name} needs the rows base and x2ct, which give its time; run these first.")
            base, same = (json.loads(path.read_text()) for path in done)
            samples = round(samples * base["cpu_minutes"] / same["cpu_minutes"])
        anatomy = with_procedural_bodies(real_anatomy, CRUDE_BODIES, only=True) if row.crude_bodies else real_anatomy
        results[name] = run_row(row, samples, anatomy, cases, out)
        report(f"{name}: {results[name]['cpu_minutes']:.1f} CPU minutes")
    text = table(results)
    (options.out / "table.md").write_text(text)
    report(text)


if __name__ == "__main__":
    main()
