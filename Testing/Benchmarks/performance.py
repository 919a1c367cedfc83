"""Every figure of docs/performance.md, by one command on an idle machine.

    python Testing/Benchmarks/performance.py [--runs 9] [--data DATA] [--out output/performance]

Runs the benchmarks of whole commands, metrics, training (with DATA: the folder of ``labelmaps`` and ``bodies``), panel
and large inputs one after another, each against the build of before where it was able to do the same. The exit code is
that of the worst of them: 1 if a mark is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from commands import BEFORE, checkout_of

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="pairs of each measurement")
    parser.add_argument("--data", type=Path, help="anatomy for training's samples; without it they are left out")
    parser.add_argument("--out", type=Path, default=Path("output/performance"))
    arguments = parser.parse_args()
    runs, worst = str(arguments.runs), 0
    with tempfile.TemporaryDirectory() as folder:
        before = str(checkout_of(BEFORE, Path(folder) / "before"))
        wanted = [
            ["commands.py", "--runs", runs, "--out", str(arguments.out)],
            ["metrics.py", "--real", "--against", before, "--rounds", runs],
            ["panel.py", "--pairs", str(min(arguments.runs, 5)), "--runs", "0"],
            ["large_inputs.py"],
        ]
        if arguments.data is not None:
            data = str(arguments.data.resolve())
            wanted.append(["training_steps.py", "--data", data, "--against", before, "--rounds", runs])
        for script, *words in wanted:
            print(f"\n{script} {' '.join(words)}", flush=True)
            worst = max(worst, subprocess.run([sys.executable, str(HERE / script), *words], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
