"""The tables that a run writes as it goes on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.text_formats import csv_cell
from TomoRayLib.training.engine.progress import Progress

EVERY_STEPS = 10


class RunLog:
    """``log.csv`` (every tenth step) and ``validation.csv`` of a run's folder, which grow as it goes on.

    ``active`` is false for all but the first of several processes. Rows of steps after ``steps_done``, which a killed
    run had taken beyond its last checkpoint, are dropped: they come again.
    """

    def __init__(self, out: Path, active: bool, steps_done: int = 0) -> None:
        self.out, self.active = out, active
        for name in ("log.csv", "validation.csv") if active else ():
            if (out / name).exists():
                _keep_until(out / name, steps_done)

    def training(self, progress: Progress, terms: dict[str, float]) -> None:
        if self.active and progress.steps % EVERY_STEPS == 0:
            self._append("log.csv", {"step": progress.steps, "seconds": round(progress.seconds, 1), **terms})

    def validation(self, progress: Progress, scores: dict[str, dict[str, float]]) -> str:
        words = [str(progress)]
        columns = dict.fromkeys(column for score in scores.values() for column in score)  # a case may lack some
        for name, score in scores.items():
            own = {column: score.get(column, "") for column in columns}
            row = {"step": progress.steps, "minutes": round(progress.seconds / 60, 2), "case": name, **own}
            if self.active:
                self._append("validation.csv", row)
            words.append(f"{name} CS {score['cosine_similarity']:.3f} Dice {score['dice']:.3f}")
        return "; ".join(words)

    def _append(self, name: str, row: dict[str, Any]) -> None:
        path = self.out / name
        header = _rows(path)[0] if path.exists() else None
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=header or list(row), extrasaction="ignore")
            if header is None:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else csv_cell(v) for k, v in row.items()})


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _keep_until(path: Path, steps_done: int) -> None:
    if not (found := _rows(path)):  # killed before the header was written
        path.unlink()
        return
    header, *rows = found
    step = header.index("step")
    kept = [row for row in rows if len(row) == len(header) and int(row[step]) <= steps_done]  # a torn row is shorter
    if len(kept) < len(rows):
        with write_atomically(path) as partial, Path(partial).open("w", newline="") as file:
            csv.writer(file).writerows([header, *kept])
