"""The tables that a run writes as it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.text_formats import csv_lines, csv_rows, csv_rows_of, csv_text
from TomoRayLib.training.engine.progress import Progress
from TomoRayLib.training.engine.run_files import append

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
        header = csv_rows(path)[0] if path.exists() and path.stat().st_size else None
        cells = {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()}
        columns = header or list(cells)
        line = [cells.get(column, "") for column in columns]
        append(path, csv_text(columns, [line]) if header is None else csv_lines([line]))


def _keep_until(path: Path, steps_done: int) -> None:
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]  # without a row that a killed run was writing
    header, *rows = csv_rows_of(whole.decode("utf-8")) or [[]]
    if not header:
        path.unlink()
        return
    step = header.index("step")
    kept = [row for row in rows if len(row) == len(header) and int(row[step]) <= steps_done]
    if len(kept) < len(rows) or len(whole) < len(content):
        with write_atomically(path) as partial:
            partial.write_text(csv_text(header, kept), encoding="utf-8")
