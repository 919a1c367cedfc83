"""Processor time and wall time of a case's pictures and files: the demonstration case, drawn and written repeatedly.

    git worktree add --detach /path/to/before COMMIT
    python Testing/Benchmarks/drawing.py [--against /path/to/before] [--rounds 7] [--without-truth]

Each checkout synthesises the case in a process of its own, then they draw in turn; the order changes from round to
round. Quote the ratio of the medians and its spread over rounds, not the seconds. Any checkout from 63c38ef on will do:
one without ``TomoRayLib.jobs`` is drawn with ``results.write_results``, which makes the folder as well.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from TomoRayLib.jobs.demonstration import case_files, default_cache, fetch_demonstration  # noqa: E402

DRAWER = """
import resource, sys, time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
out, ct, labels, comparison = sys.argv[1:]
silent = lambda event: None
if find_spec("TomoRayLib.jobs"):
    from TomoRayLib.jobs.job import SynthesisJob
    from TomoRayLib.jobs.progress import Stages
    from TomoRayLib.jobs.results import draw_case, write_case
    from TomoRayLib.jobs.synthesis import SECONDS_FROM_CT, case_result
    try:
        from TomoRayLib.jobs.case import reprojected
    except ImportError:
        from TomoRayLib.jobs.synthesis import reprojected
    def draw(result):
        draw_case(Path(out), result, result.provenance())
        write_case(Path(out), result)
else:
    from TomoRayLib.case import SECONDS_FROM_CT, case_result
    from TomoRayLib.job import SynthesisJob
    from TomoRayLib.progress import Stages
    from TomoRayLib.results import write_results
    reprojected = lambda result: result
    draw = lambda result: write_results(result, Stages(SECONDS_FROM_CT, silent))
job = SynthesisJob(out=out, ct=ct, segmentation=labels, comparison=comparison == "True", title="Demonstration")
result = reprojected(case_result(job, Stages(SECONDS_FROM_CT, silent), silent))
print("ready", flush=True)
for _ in sys.stdin:
    fresh = replace(result)  # without what an earlier round made
    cpu, wall = time.process_time(), time.perf_counter()
    draw(fresh)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(time.process_time() - cpu, time.perf_counter() - wall, peak_mb, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="a checkout of the build of before")
    parser.add_argument("--rounds", type=int, default=7, help="drawings by each checkout, after one that warms up")
    parser.add_argument("--without-truth", action="store_true", help="as from two radiographs alone")
    arguments = parser.parse_args()
    checkouts = {"now": ROOT} | ({"before": arguments.against} if arguments.against else {})
    case = fetch_demonstration(default_cache(dict(os.environ)), report=print)
    with tempfile.TemporaryDirectory() as folder, case_files(case) as (ct, labels):
        drawers = {}
        for name, checkout in checkouts.items():
            (Path(folder) / name).mkdir()
            words = [str(Path(folder) / name), str(ct), str(labels), str(not arguments.without_truth)]
            drawers[name] = drawer_of(checkout, words)
        costs: dict[str, list[list[float]]] = {name: [] for name in drawers}
        for number in range(arguments.rounds + 1):
            for name in list(drawers)[:: 1 if number % 2 else -1]:
                cost = drawn(drawers[name])
                if number:
                    costs[name].append(cost)
        for name, drawer in drawers.items():
            drawer.stdin.close()
            drawer.wait()
            size_mb = sum(path.stat().st_size for path in (Path(folder) / name).rglob("*") if path.is_file()) / 1e6
            cpu, wall, peak_mb = (statistics.median(column) for column in zip(*costs[name], strict=True))
            print(f"{name}: CPU {cpu:.2f} s, wall {wall:.2f} s, peak {peak_mb:.0f} MB, files {size_mb:.2f} MB")
    if "before" in costs:
        for column, kind in enumerate(("CPU", "wall")):
            ratios = [now[column] / then[column] for now, then in zip(costs["now"], costs["before"], strict=True)]
            print(f"{kind}: ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def drawer_of(checkout: Path, words: list[str]) -> subprocess.Popen:
    """A process with the package of ``checkout`` that has the case ready."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, "-c", DRAWER, *words]
    process = subprocess.Popen(
        command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while process.stdout.readline().strip() != "ready":
        if process.poll() is not None:
            raise SystemExit(f"{checkout} could not synthesise the demonstration case.")
    return process


def drawn(drawer: subprocess.Popen) -> list[float]:
    """One drawing: seconds of processor and of wall, peak memory in MB."""
    drawer.stdin.write("draw\n")
    drawer.stdin.flush()
    return [float(value) for value in drawer.stdout.readline().split()]


if __name__ == "__main__":
    main()
