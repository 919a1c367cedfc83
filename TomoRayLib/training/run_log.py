"""What a run writes down as it goes on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

EVERY_STEPS = 10


class RunLog:
    """``log.csv`` (every tenth step) and ``validation.csv`` of a run's folder, which grow as it goes on.

    ``active`` is false for all but the first of several processes.
    """

    def __init__(self, out: Path, active: bool) -> None:
        self.out, self.active = out, active

    def training(self, progress: dict[str, Any], terms: dict[str, float]) -> None:
        if self.active and progress["steps"] % EVERY_STEPS == 0:
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
