"""The campaign of faults: kills, full disks, damaged and hostile files, marked patients, many runs in one process.

    python Testing/Faults/run.py [--short] [--only kills,fuzz] [--out output/faults] [--write]

Each module of ``CAMPAIGNS`` has a function ``results(full, folder)`` that yields a ``Result`` for each kind of fault.
Seeds are fixed: two runs try the same. Exits with 1 if anything was lost. ``--write`` puts the table of a full run into
docs/reliability.md; rows of campaigns that were not chosen stay as they are.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from campaign import Result, table, write_results, write_table

CAMPAIGNS = ("kills", "disks", "fuzz", "bombs", "markers", "training", "repeats")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def main() -> int:
    parser = argparse.ArgumentParser(description="Try what a hospital's machines and files do to TomoRay.")
    parser.add_argument("--short", action="store_true", help="the part that continuous integration runs")
    parser.add_argument("--only", default=",".join(CAMPAIGNS), help=f"some of {', '.join(CAMPAIGNS)}")
    parser.add_argument("--out", type=Path, default=Path("output/faults"), help="folder for faults.md and faults.json")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args()
    chosen = [name.strip() for name in options.only.split(",")]
    unknown = set(chosen) - set(CAMPAIGNS)
    if unknown:
        parser.error(f"expected some of {', '.join(CAMPAIGNS)}, got {', '.join(sorted(unknown))}")
    if options.write and options.short:
        parser.error("docs/reliability.md tells of full runs: leave out --short or --write")
    results: dict[str, list[Result]] = {}
    for name in chosen:
        results[name] = run(name, full=not options.short)
        write_results(options.out, results)
    if options.write:
        write_table(PAGE, results, CAMPAIGNS)
    rows = [row for part in results.values() for row in part]
    print(table(rows))
    lost = [sentence for row in rows for sentence in row.lost]
    for sentence in lost:
        print(f"lost: {sentence}")
    return 1 if lost else 0


def run(name: str, full: bool) -> list[Result]:
    """The results of one campaign, which works in a temporary folder of its own."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{name}-"))
    results = []
    try:
        for row in importlib.import_module(name).results(full, folder):
            print(f"{name}: {row.kind}: {row.survived} of {row.tried} survived", flush=True)
            results.append(row)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    return results


if __name__ == "__main__":
    sys.exit(main())
