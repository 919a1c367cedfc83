"""One cohort on one process, on local workers, and on a Dask cluster of separate processes of which one is killed.

    python Testing/Benchmarks/cohort_workers.py --data DATA [--workers 1 2 4] [--out output/cohort_workers]

DATA is any cohort for ``tomoray evaluate``; every way starts from nothing. Prints the time of each, its ratio to one
process, the largest memory of a case's process, and whether all tables are the same to the last digit. Needs an idle
machine. Cases that the model knows are scored as well: here their scores mean nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.dask_clusters import a_cluster


def evaluate(data: Path, out: Path, more: list[str]) -> tuple[float, subprocess.Popen[str]]:
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "TomoRayLib.cli",
        "evaluate",
        str(data),
        "--out",
        str(out),
        "--include-seen",
        *more,
    ]
    begun = time.monotonic()
    return begun, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finished(begun: float, process: subprocess.Popen[str], name: str) -> float:
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{name} ended with {process.returncode}:\n{errors}")
    return time.monotonic() - begun


def tables(out: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(out.glob("*.csv"))}


def peak_gb(out: Path) -> float:
    records = [json.loads(path.read_text()) for path in (out / "cases").glob("*.json")]
    return max(float(record["peak_memory_mb"] or 0) for record in records) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--out", type=Path, default=Path("output/cohort_workers"))
    options = parser.parse_args()
    rows: list[tuple[str, float, Path]] = []
    for count in options.workers:
        out = options.out / f"workers-{count}"
        begun, process = evaluate(options.data, out, ["--workers", str(count)])
        rows.append(
            (f"{count} local {'process' if count == 1 else 'workers'}", finished(begun, process, str(count)), out)
        )
    out = options.out / "cluster"
    options.out.mkdir(parents=True, exist_ok=True)
    with a_cluster(options.out.absolute(), workers=2) as running:
        begun, process = evaluate(options.data, out, ["--scheduler", running.address])
        while not list((out / "stages").glob("*/*.npz")) and process.poll() is None:
            time.sleep(0.1)
        running.workers[0].kill()
        rows.append(("cluster of 2, one killed in its first case", finished(begun, process, "cluster"), out))
    first = tables(rows[0][2])
    print(f"{len(list((rows[0][2] / 'cases').glob('*.json')))} cases")
    print("| where | s | ratio | GB of a worker | same tables |\n|---|---|---|---|---|")
    for name, seconds, out in rows:
        same = "yes" if tables(out) == first else "NO"
        print(f"| {name} | {seconds:.1f} | {rows[0][1] / seconds:.2f} | {peak_gb(out):.2f} | {same} |")


if __name__ == "__main__":
    main()
