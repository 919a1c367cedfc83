"""What every campaign of faults gives: how many trials of a kind there were, and what each one that failed lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """Trials of one kind.

    Args:
        kind: What was done to the product, in words: "SIGKILL at each file operation of a synthesis".
        expected: What survives such a trial: "the earlier result or the new one, whole".
        tried: Number of trials.
        lost: A sentence for each trial that did not end as expected.
        figure: What was measured beside that, in words: "slowest 1.2 s, most memory 0.4 GB".
    """

    kind: str
    expected: str
    tried: int
    lost: list[str] = field(default_factory=list)
    figure: str = ""

    @property
    def survived(self) -> int:
        return self.tried - len(self.lost)


def table(results: Iterable[Result]) -> str:
    """The results as a Markdown table: tried, survived, lost."""
    lines = ["| what was done | what must survive | tried | survived | lost | measured |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.kind} | {row.expected} | {row.tried} | {row.survived} | {len(row.lost)} | {row.figure} |"
        for row in results
    ]
    return "\n".join(lines) + "\n"


def write_results(folder: Path, results: list[Result]) -> None:
    """Write ``faults.md`` and ``faults.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.md").write_text(table(results), encoding="utf-8")
    (folder / "faults.json").write_text(json.dumps([asdict(row) for row in results], indent=1), encoding="utf-8")
