"""What every campaign of faults gives: how many trials of a kind there were, and what each one that failed lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

HEAD = "| what was done | what must survive | tried | survived | lost | measured |\n|---|---|---|---|---|---|\n"


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
    return HEAD + "".join(
        f"| {row.kind} | {row.expected} | {row.tried:,} | {row.survived:,} | {len(row.lost)} | {row.figure} |\n"
        for row in results
    )


def write_results(folder: Path, results: Mapping[str, Sequence[Result]]) -> None:
    """Write ``faults.md`` and ``faults.json`` into ``folder``: the rows of each campaign."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for part in results.values() for row in part]
    (folder / "faults.md").write_text(table(rows), encoding="utf-8")
    by_name = {name: [asdict(row) for row in part] for name, part in results.items()}
    (folder / "faults.json").write_text(json.dumps(by_name, indent=1), encoding="utf-8")


def write_table(page: Path, results: Mapping[str, Sequence[Result]], names: Sequence[str]) -> None:
    """Replace in ``page`` the table of each campaign in ``results``, which stands between two comments.

    A campaign whose comments the page lacks is an error: nothing would be said of it.
    """
    text = page.read_text(encoding="utf-8")
    for name in (name for name in names if name in results):
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        rows = table(results[name])
        text, count = between.subn(lambda found, rows=rows: f"{found[1]}\n{rows}\n{found[2]}", text)
        if count != 1:
            raise ValueError(f"Expected the comments of {name} once in {page.name}, got them {count} times.")
    page.write_text(text, encoding="utf-8")
