"""Time of the metrics of one realistic case next to scikit-image and surface-distance, in one run.

    python Testing/Benchmarks/metrics.py [--size 192]

    git worktree add --detach /path/to/before COMMIT
    python Testing/Benchmarks/metrics.py --against /path/to/before [--real] [--rounds 9]

The case is a column of ten vertebra-like shapes in a 256 mm cube (2 to 3 % foreground). Ratios above 1 mean that
TomoRay is faster than the other library on the same task; the two libraries are what the results are tested against.

With ``--against`` two processes are open, one with each checkout's package. In each round both score all rows of the
same case, one after the other; the order changes from round to round. Printed is the time of this checkout over that
of the other one, pair by pair, on the wall and of the processor: below 1 this checkout is faster. The run fails (exit
status 1) if a digit that TomoRay prints of any score differs. With ``--real`` the case is the demonstration's CT and a
synthesis of it, made once before, and truth, its HU and the atlas are made in the time as well; the other checkout's
atlas serves both.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.metrics import METRIC_COLUMNS, evaluate_table, ssim_2d, surface_distances, surface_of

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = "geolift-s"
FOV_MM = 256.0
VERTEBRAE = 10
BUDGET_S = 8.0
VERTEBRA_DECIMALS = {"dice": 3, "hd95_mm": 1, "assd_mm": 2, "nsd_1mm": 3, "nsd_2mm": 3}

# A process that scores a case each time it reads a line. It runs with either checkout's package, which may be older.
SCORER = """
import json, sys, time
from pathlib import Path
import numpy as np
from TomoRayLib.metrics import evaluate_table
case, models, model = np.load(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if "ct" in case:
    from TomoRayLib.weights import find_model
    try:
        from TomoRayLib.geometry.grid import Grid
        from TomoRayLib.images.types import Volume
        from TomoRayLib.synthesis.comparison import compare
        from TomoRayLib.synthesis.model_run import LINEAR, SyntheticCT
        from TomoRayLib.synthesis.truth import ground_truth
    except ImportError:  # before the package had rooms
        from TomoRayLib.comparison import compare, ground_truth
        from TomoRayLib.geometry import Grid
        from TomoRayLib.image_types import Volume
        from TomoRayLib.synthesis import LINEAR, SyntheticCT
    def grid_of(name):
        size, spacing, origin, direction = (case[f"{name}_{part}"].tolist() for part in PARTS)
        return Grid(tuple(size), tuple(spacing), tuple(origin), tuple(direction))
    PARTS = ("size", "spacing", "origin", "direction")
    ct, labels = (Volume(case[name], grid_of("ct")) for name in ("ct", "labels"))
    synthetic = SyntheticCT(case["grey"], case["probability"], grid_of("grey"), model)
    entry = find_model(model, models)
    def scored():
        truth = ground_truth(ct, labels, synthetic.grid, LINEAR)
        truth.hu()
        return compare(synthetic, truth, entry)
else:
    truth, labels, spacing_mm = case["truth"], case["labels"], tuple(case["spacing_mm"].tolist())
    predictions = {name: (case[name], case[name] > limit) for name, limit in (("tomoray", 0.2), ("mean_atlas", 0.1))}
    def scored():
        return evaluate_table(predictions, truth, labels, spacing_mm)
scored()
print("ready", flush=True)
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    table = scored()
    seconds = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "table": table.to_json_dict()}), flush=True)
"""


def column_phantom(size: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Grey values in [0, 1] and labels T8..L5 (VerSe 15-24), both (z, y, x), of a curved column in a 256 mm cube."""
    axis = (np.arange(size) - (size - 1) / 2) * FOV_MM / size
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    labels = np.zeros((size,) * 3, dtype=np.uint8)
    pitch_mm = FOV_MM / VERTEBRAE
    for number in range(VERTEBRAE):
        level = z - (-FOV_MM / 2 + pitch_mm * (number + 0.5))
        back = y - 15 * np.sin((number - VERTEBRAE / 2) * 0.4)
        body = (np.abs(level) < 0.42 * pitch_mm) & ((x / 22) ** 2 + (back / 17) ** 2 < 1)
        ring = ((x / 20) ** 2 + ((back - 28) / 18) ** 2 < 1) & ((x / 10) ** 2 + ((back - 25) / 9) ** 2 > 1)
        arch = (np.abs(level) < 0.3 * pitch_mm) & ring
        spinous = (np.abs(level + 4) < 6) & (np.abs(x) < 4) & (back > 40) & (back < 65)
        transverse = (np.abs(level) < 5) & (np.abs(x) > 18) & (np.abs(x) < 38) & (np.abs(back - 25) < 6)
        labels[body | arch | spinous | transverse] = 24 - number
    noise = np.random.default_rng(seed).standard_normal(labels.shape).astype(np.float32)
    texture = ndimage.gaussian_filter(noise, 1.5)
    grey = np.clip(0.45 + 0.15 * texture / texture.std(), 0.05, 1.0)
    return np.where(labels > 0, grey, 0).astype(np.float32), labels


def seconds(task: Callable[[], Any], repeats: int = 3) -> float:
    """The fastest of ``repeats`` runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def skimage_ssim_2d(prediction: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """The oracle's SSIM2D: mean over the slices of each axis, then of the three axes."""
    from skimage.metrics import structural_similarity

    pairs = ([(prediction.take(i, axis), truth.take(i, axis)) for i in range(truth.shape[axis])] for axis in range(3))
    return float(np.mean([np.mean([structural_similarity(p, t, data_range=1.0) for p, t in axis]) for axis in pairs]))


def phantom_case(size: int) -> dict[str, NDArray[Any]]:
    """Truth, labels and two predictions of the column phantom, (z, y, x), and the spacing (x, y, z) in mm."""
    truth, labels = column_phantom(size)
    model = ndimage.gaussian_filter(np.roll(truth, (2, 1), (0, 2)), 1.0)
    atlas = np.clip(ndimage.gaussian_filter(truth, 8) + 0.001, 0, 1)
    spacing_mm = np.full(3, FOV_MM / size)
    return {"truth": truth, "labels": labels, "tomoray": model, "mean_atlas": atlas, "spacing_mm": spacing_mm}


def real_case() -> dict[str, NDArray[Any]]:
    """The demonstration's CT (HU) and labels and a synthesis of it, (z, y, x), with both grids."""
    from TomoRayLib.jobs.demonstration import case_files, default_cache, fetch_demonstration
    from TomoRayLib.jobs.job import SynthesisJob
    from TomoRayLib.jobs.progress import Stages
    from TomoRayLib.jobs.synthesis import case_result, expected_seconds

    source = fetch_demonstration(default_cache(dict(os.environ)), report=print)
    with case_files(source) as (ct, labels):
        job = SynthesisJob(out="", ct=str(ct), segmentation=str(labels), model=MODEL, comparison=False)
        result = case_result(job, Stages(expected_seconds(job), lambda event: None), lambda event: None)
    synthetic = result.synthetic
    case = {"ct": source.ct.voxels, "labels": source.labels.voxels}
    case |= {"grey": synthetic.grey, "probability": synthetic.probability}
    for name, grid in (("ct", source.ct.grid), ("grey", synthetic.grid)):
        parts = {"size": grid.size, "spacing": grid.spacing_mm, "origin": grid.origin_mm, "direction": grid.direction}
        case |= {f"{name}_{part}": np.array(value) for part, value in parts.items()}
    return case


def against(other: Path, case: dict[str, NDArray[Any]], rounds: int) -> bool:
    """Score a case with both checkouts in turn, print how their times compare, and return whether the digits agree."""
    with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
        file = Path(folder) / "case.npz"
        np.savez(file, **case)
        scorers = {name: scorer_of(path, file, other) for name, path in {"before": other, "now": REPOSITORY}.items()}
        for scorer in scorers.values():
            answer_of(scorer)
        pairs = []
        for number in range(rounds):
            pair = {}
            for name in sorted(scorers, reverse=bool(number % 2)):
                print(number, file=scorers[name].stdin, flush=True)
                pair[name] = json.loads(answer_of(scorers[name]))
            pairs.append(pair)
        for scorer in scorers.values():
            scorer.stdin.close()
            scorer.wait()
    for place, kind in enumerate(("wall", "processor")):
        before, now = ([pair[name]["seconds"][place] for pair in pairs] for name in ("before", "now"))
        ratios = [new / old for new, old in zip(now, before, strict=True)]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        print(f"{kind}: median {np.median(before):.2f} s before, {np.median(now):.2f} s now")
        print(f"  now / before: {' '.join(f'{ratio:.3f}' for ratio in ratios)}")
        print(f"  median {middle:.3f}, quartiles {low:.3f} to {high:.3f}, range {min(ratios):.3f} to {max(ratios):.3f}")
    return digits_agree([pair["before"]["table"] for pair in pairs], [pair["now"]["table"] for pair in pairs])


def scorer_of(checkout: Path, case: Path, with_atlas: Path) -> subprocess.Popen[str]:
    """Start a process that scores a case with a checkout's package; the atlas is that of ``with_atlas``."""
    return subprocess.Popen(
        [sys.executable, "-c", SCORER, str(case), str(with_atlas / "Resources" / "Models"), MODEL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )


def answer_of(scorer: subprocess.Popen[str]) -> str:
    """Wait for a line of a process, or end with its exit status."""
    line = scorer.stdout.readline()
    if not line:
        raise SystemExit(f"A process that scores ended with status {scorer.wait()}; its error is above.")
    return line


def digits_agree(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> bool:
    """Print which scores differ in a printed digit and how far apart they are at most; return whether none does."""
    wrong: set[str] = set()
    farthest = 0.0
    for old, new in zip(before, now, strict=True):
        ours, theirs = scores_of(new), scores_of(old)
        wrong |= {name for name in {*ours, *theirs} if ours.get(name, [""])[0] != theirs.get(name, [""])[0]}
        pairs = [(ours[name][1], theirs[name][1]) for name in {*ours} & {*theirs}]
        shares = [abs(a - b) / max(abs(b), 1e-300) for a, b in pairs if a is not None and b is not None]
        farthest = max(farthest, *shares)
    print(f"{len(scores_of(now[0]))} scores, at most {farthest:.1e} apart (relative)")
    for name in sorted(wrong):
        print(
            f"DIFFERENT as printed: {name}: {scores_of(before[0]).get(name)} before, {scores_of(now[0]).get(name)} now"
        )
    return not wrong


def scores_of(table: dict[str, Any]) -> dict[str, tuple[str, float | None]]:
    """(as printed, value) of all scores of a table, of the spine and of each vertebra, by the name of row and score."""
    scores = {}
    for row, values in table["rows"].items():
        for column in METRIC_COLUMNS:
            value = values[column.key]
            scores[f"{row} {column.key}"] = (column.format(math.nan if value is None else value), value)
    for row, vertebrae in table["per_vertebra"].items():
        for values in vertebrae:
            for key, decimals in VERTEBRA_DECIMALS.items():
                value = values[key]
                text = "none" if value is None else f"{value:.{decimals}f}"
                scores[f"{row} {values['name']} {key}"] = (text, value)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=192, help="voxels along each edge of the 256 mm cube")
    parser.add_argument("--against", type=Path, help="a checkout of the build of before")
    parser.add_argument("--real", action="store_true", help="with --against: the demonstration's CT, not the column")
    parser.add_argument("--rounds", type=int, default=9, help="with --against: pairs, after one that warms up")
    arguments = parser.parse_args()
    if arguments.against is None:
        next_to_libraries(arguments.size)
        return
    case = real_case() if arguments.real else phantom_case(arguments.size)
    if not against(arguments.against.resolve(), case, arguments.rounds):
        raise SystemExit(1)


def next_to_libraries(size: int) -> None:
    """Print the times of the table and of its slowest parts next to those of the two libraries."""
    case = phantom_case(size)
    truth, labels, model, atlas = (case[name] for name in ("truth", "labels", "tomoray", "mean_atlas"))
    spacing_mm = (FOV_MM / size,) * 3
    mask = labels > 0
    predictions = {"tomoray": (model, model > 0.2), "mean_atlas": (atlas, atlas > 0.1)}
    print(f"{size}^3 voxels of {spacing_mm[0]:.3f} mm, {VERTEBRAE} vertebrae, {100 * mask.mean():.1f} % foreground")

    table_s = seconds(lambda: evaluate_table(predictions, truth, labels, spacing_mm))
    print(f"whole table, 3 rows       {table_s:6.2f} s   ({BUDGET_S / table_s:.1f} x faster than the budget of 8 s)")

    from surface_distance import compute_surface_distances

    for name, (grey, predicted) in predictions.items():
        own_s = seconds(lambda grey=grey: ssim_2d(grey, truth))
        other_s = seconds(lambda grey=grey: skimage_ssim_2d(grey, truth), 1)
        print(
            f"SSIM2D {name:11s}        {own_s:6.2f} s   scikit-image     {other_s:6.2f} s   ratio {other_s / own_s:.1f}"
        )
        own_s = seconds(
            lambda predicted=predicted: surface_distances(
                surface_of(mask, spacing_mm), surface_of(predicted, spacing_mm)
            )
        )
        other_s = seconds(lambda predicted=predicted: compute_surface_distances(mask, predicted, spacing_mm[::-1]))
        print(
            f"surfaces {name:11s}      {own_s:6.2f} s   surface-distance {other_s:6.2f} s   ratio {other_s / own_s:.1f}"
        )


if __name__ == "__main__":
    main()
