"""From click to result in the panel against the command line, and the application's memory over many syntheses.

    python Testing/Benchmarks/panel.py [--pairs 5] [--runs 50] [--out FOLDER]

The same case goes through both: the demonstration CT with its vertebrae (the built-in phantom without network), report
and comparison included. The panel is timed from the click on Synthesize to the sentence "Done" with the views drawn,
the command line from its start to its end. They run in turn: quote the ratio, not the seconds (bound: 1.2). The panel
runs in the tests' stand-in for Slicer's application, with Slicer's real scene and views.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

TESTING = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTING), str(TESTING / "Python")]

from support import panel_driver as drive  # noqa: E402
from TomoRayLib.base.text_formats import csv_text  # noqa: E402
from TomoRayLib.images.writing import write_volume  # noqa: E402
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration  # noqa: E402

FIRST_RUNS = 5  # caches of VTK and Qt fill meanwhile; growth is measured after them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="runs of panel and command line, in turn")
    parser.add_argument("--runs", type=int, default=50, help="syntheses in one session of the application")
    parser.add_argument("--out", type=Path, help="folder for memory.csv")
    arguments = parser.parse_args()
    host = drive.host()
    host.window.show()
    panel = host.open_module("TomoRay")
    drive.click(panel.ui.sampleButton)
    print(drive.wait_for_end(panel, 600))
    if arguments.pairs:
        compare_with_command_line(panel, arguments.pairs)
    if arguments.runs:
        measure_memory(panel, arguments.runs, arguments.out)
    host.close_module("TomoRay")


def compare_with_command_line(panel, pairs: int) -> None:
    """Print seconds of both, and their ratio pair by pair."""
    with tempfile.TemporaryDirectory() as folder:
        case = fetch_demonstration(default_cache(dict(os.environ)))
        files = {"ct": case.ct_path, "segmentation": case.labels_path}
        for name, volume in (("ct", case.ct), ("segmentation", case.labels)):
            if files[name] is None:  # the phantom has no files
                files[name] = Path(folder) / f"{name}.nrrd"
                write_volume(files[name], volume)
        rows = []
        print(f"{'panel, s':>10} {'command line, s':>16} {'ratio':>7}")
        for number in range(pairs + 1):
            seconds = click_to_result(panel), command_line(Path(folder) / "out", files)
            if number:  # the first pair warms the disk cache
                rows.append((*seconds, seconds[0] / seconds[1]))
                print("{:10.1f} {:16.1f} {:7.2f}".format(*rows[-1]))
        print(
            "{:10.1f} {:16.1f} {:7.2f}  median".format(
                *(statistics.median(column) for column in zip(*rows, strict=True))
            )
        )


def click_to_result(panel) -> float:
    started = time.perf_counter()
    drive.click(panel.ui.synthesizeButton)
    said = drive.wait_for_end(panel, 600)
    seconds = time.perf_counter() - started
    if not said.startswith("Done"):
        raise SystemExit(said)
    return seconds


def command_line(out: Path, files: dict[str, Path]) -> float:
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "TomoRayLib.cli", "synthesize", "--out", str(out)]
    for name, path in files.items():
        command += [f"--{name}", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTING.parent)}
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - started


def measure_memory(panel, runs: int, out: Path | None) -> None:
    """Print memory, nodes and open files of this process after each synthesis, and what grew after the first few."""
    import slicer

    process = psutil.Process()
    rows = []
    print(f"{'run':>4} {'resident, MB':>13} {'nodes':>6} {'open files':>11} {'threads':>8}")
    for number in range(1, runs + 1):
        click_to_result(panel)
        memory_mb = process.memory_info().rss / 2**20
        rows.append((number, memory_mb, slicer.mrmlScene.GetNumberOfNodes(), process.num_fds(), process.num_threads()))
        print("{:4d} {:13.0f} {:6d} {:11d} {:8d}".format(*rows[-1]), flush=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        header = ("run", "resident_mb", "nodes", "open_files", "threads")
        (out / "memory.csv").write_text(csv_text(header, rows), encoding="utf-8")
    later = rows[FIRST_RUNS:]
    if len(later) > 1:
        per_run = statistics.linear_regression([row[0] for row in later], [row[1] for row in later]).slope
        print(f"after run {FIRST_RUNS}: {per_run:+.2f} MB a run; nodes {later[0][2]} to {later[-1][2]}")


if __name__ == "__main__":
    main()
