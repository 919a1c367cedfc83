"""A cohort of a thousand small cases: time of each, memory, and how long the page takes to open.

    python Testing/Benchmarks/cohort_scale.py [--cases 1000] [--workers 2] [--out output/cohort_scale]

Cases are one small labelled CT with bone drawn at random, each another file; the network is the tests' own small one
(48^3), because it is the machinery around the network that is looked at: 192^3 takes some 8 s a case on one core.
Prints seconds a case for each tenth of the run, the memory of this process as it goes, the size of the tables, and, if
Chromium is installed, the time until the page's table is drawn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.labelled_cts import a_labelled_ct
from support.tiny_model import write_tiny_model
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume


def write_cases(folder: Path, count: int) -> None:
    """Cases of one anatomy with noise of their own, and vertebrae of which each voxel is there by chance: no copies."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    ct, labels = a_labelled_ct()
    for number in range(count):
        blocks = rng.random([-(-size // 4) for size in labels.voxels.shape]) < 0.75
        kept = np.kron(blocks, np.ones((4, 4, 4), bool))[tuple(slice(0, size) for size in labels.voxels.shape)]
        mask = np.where(kept, labels.voxels, 0).astype(np.int16)
        hu = np.where(mask > 0, 700, ct.voxels) + rng.integers(-20, 20, ct.voxels.shape)
        write_volume(folder / f"c{number:04d}_ct.nii.gz", Volume(hu.astype(np.int16), ct.grid))
        write_volume(folder / f"c{number:04d}_seg.nii.gz", Volume(mask, labels.grid))


def memory_mb(pid: int) -> float:
    """Resident memory of a process, without its children."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def run(cases: Path, out: Path, workers: int, models: Path) -> tuple[list[float], list[float]]:
    """Times at which cases were done, and the client's memory at each."""
    environment = {**os.environ, "TOMORAY_MODELS": str(models)}
    command = [sys.executable, "-m", "TomoRayLib.cli", "evaluate", str(cases), "--out", str(out), "--json"]
    command += ["--workers", str(workers), "--no-segment", "--labels", "verse", "--precision", "float32"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    errors: list[str] = []
    assert process.stderr is not None
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or []))
    reader.start()
    times, memory = [], []
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "stage":
            times.append(time.monotonic())
            memory.append(memory_mb(process.pid))
        last = event
    if process.wait():
        raise SystemExit(f"evaluate ended with {process.returncode}: {last} {''.join(errors)[-2000:]}")
    times.append(time.monotonic())
    memory.append(memory_mb(process.pid) or memory[-1])
    return times, memory


def seconds_to_open(page: Path) -> float | None:
    """How long Chromium takes from its start to the drawn table; None without Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return None
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += [
            "--disable-sync",
            "--disable-component-update",
            f"--user-data-dir={profile}",
            "--window-size=1280,2400",
        ]
        took = []
        for address in ("about:blank", page.absolute().as_uri()):
            begun = time.monotonic()
            subprocess.run([chromium, *options, "--dump-dom", address], capture_output=True, check=True, timeout=120)
            took.append(time.monotonic() - begun)
    return took[1] - took[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("output/cohort_scale"))
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    write_tiny_model(options.out / "models")
    write_cases(options.out / "cohort", options.cases)
    print(f"{options.cases} cases written.", flush=True)
    times, memory = run(options.out / "cohort", options.out / "result", options.workers, options.out / "models")
    tenth = max(1, (len(times) - 1) // 10)
    print("| cases done | s a case | MB of the client |\n|---|---|---|")
    for start in range(0, len(times) - tenth, tenth):
        pace = (times[start + tenth] - times[start]) / tenth
        print(f"| {start + tenth} | {pace:.3f} | {memory[start + tenth]:.0f} |")
    out = options.out / "result"
    stages_mb = sum(path.stat().st_size for path in (out / "stages").rglob("*.npz")) / 1e6
    records_mb = sum(path.stat().st_size for path in (out / "cases").glob("*")) / 1e6
    print(f"stages {stages_mb:.0f} MB, records and pages of cases {records_mb:.0f} MB, ", end="")
    print(f"summary.html {(out / 'summary.html').stat().st_size / 1e6:.1f} MB")
    opened = seconds_to_open(out / "summary.html")
    print(
        "Chromium is not installed." if opened is None else f"The page opens in {opened:.2f} s more than an empty one."
    )


if __name__ == "__main__":
    main()
