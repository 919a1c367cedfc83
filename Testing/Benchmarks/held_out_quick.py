"""Checkpoints on the validation people at the level that they have reached: what a training scores while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from held_out_people import is_validation
from held_out_scores import Contestant
from held_out_tables import markdown

from TomoRayLib.metrics.statistics import statistic
from TomoRayLib.training.data.training_cases import find_labelled_cts
from TomoRayLib.training.engine.validation import ValidationCase, score_case, scored_case

SCORES = {"cosine_similarity": "cosine", "dice": "Dice", "gain_db": "dB over blank"}


def validation_cases(data: Path, size: int, kept: Path) -> list[ValidationCase]:
    """The validation people at ``size``^3, from ``kept`` or made and kept there; delete it if the rendering changes."""
    found = [case for folder in ("verse", "totalsegmentator") for case in find_labelled_cts(data / folder)[0]]
    kept.mkdir(parents=True, exist_ok=True)
    cases = []
    for files in (case for case in found if is_validation(case.name)):
        path = kept / f"{files.name}-{size}.pt"
        if path.exists():
            sample = torch.load(path, weights_only=True)
        else:
            sample = scored_case(files, size).sample
            torch.save(sample, path)
        cases.append(ValidationCase(files.name, sample, real=True))
    return cases


def quick_table(data: Path, contestants: Sequence[Contestant], kept: Path) -> str:
    """Markdown: a line a model, mean ± SD over the validation people, then each person (cosine / Dice / dB)."""
    lines: list[list[str]] = []
    for one in contestants:
        size = one.network.config.output_size >> one.level
        cases = validation_cases(data, size, kept)
        with torch.inference_mode():
            scores = [score_case(one.network, case, one.level) for case in cases]
        if not lines:
            lines = [["model", "level", *SCORES.values(), *(case.name for case in cases)]]
            lines.append(["---"] * len(lines[0]))
        summary = [
            statistic((score[key], case.name) for score, case in zip(scores, cases, strict=True)) for key in SCORES
        ]
        each = [
            " / ".join((f"{s['cosine_similarity']:.3f}", f"{s['dice']:.3f}", f"{s['gain_db']:.2f}")) for s in scores
        ]
        lines.append([one.name, f"{size}^3", *(f"{s.mean:.3f} ± {s.sd:.3f}" for s in summary), *each])
    return markdown(lines)
