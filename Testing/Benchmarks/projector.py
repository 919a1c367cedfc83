"""The projector next to its peers on one machine: time, memory, error. ``make bench-projector``, or

    python Testing/Benchmarks/projector.py --out output/bench-projector

The demonstration CT is resampled to a cube of voxels with one of air all round (plastimatch drops the layer at the
exit face) and turned into attenuation once, for all. SAD 1000, SID 1536 mm, orthogonal pair and an oblique view. Each
projector runs in a process of its own on as many threads; the calls of one view go round all of them in turn, so that
load meets all alike, and ratios to plastimatch are of neighbours. plastimatch's time is what it reports for ray tracing
alone, its memory that of the whole program.

The peers come from the package index into an environment next to the results, which sees this project's torch; those
that do not install are left out with a note. Numbers of a busy machine are of no use: the load is printed with them.

``--device cuda`` measures on that device instead, next to the time that its memory needs (``projector_device.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from TomoRayLib.base.files import write_atomically
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.projector import hu_to_attenuation
from TomoRayLib.projector.lattice import ray_lattice

PACKAGES = {  # what a peer needs from the package index
    "plastimatch": "plastimatch",
    "itk-rtk": "itk-rtk",
    "diffdrr siddon": "diffdrr",
    "diffdrr trilinear": "diffdrr",
    "nanodrr": "nanodrr",
    "flashdrr": "flashdrr",
}
IMPORTS = {"itk-rtk": "from itk import RTK"}  # imports that are not named like their package
OURS = ("tomoray", "tomoray, stock operators", "tomoray rays")
REFERENCE = "plastimatch"
POSES = {"AP": (0.0, 0.0), "lateral": (90.0, 0.0), "oblique 30+10": (30.0, 10.0)}
PIXEL_MM = {256: 1.0, 1024: 0.4}
SLOW_SECONDS = 5.0  # a call that takes longer is not repeated
WORKER = Path(__file__).with_name("projector_peers.py")
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Figures:
    """The figures of one projector on one view. Times in seconds, memory in MB."""

    seconds: list[float] = field(default_factory=list)
    first: float = float("nan")
    peak_mb: float = float("nan")
    rmse_percent: float = float("nan")
    correlation: float = float("nan")
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else self.first


class Worker:
    """One projector's process."""

    def __init__(self, name: str, python: str, volume: Path, threads: int, device: str = "cpu") -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
        for variable, first in (("PYTHONPATH", ROOT), ("PATH", Path(python).parent)):
            environment[variable] = os.pathsep.join([str(first), *filter(None, [os.environ.get(variable)])])
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
            environment[variable] = str(threads)
        command = [python, str(WORKER), name, str(volume), device]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, text=True
        )

    @cached_property
    def ready(self) -> bool:
        """Whether it answers; waits for that, so that all of them start at once."""
        return "ready" in self._answer()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries greet on standard output too
                return json.loads(line)
        return {"error": f"its process ended with code {self.process.wait()}"}

    def ask(self, request: dict) -> dict:
        assert self.process.stdin is not None
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return {"error": f"its process ended with code {self.process.wait()}"}
        return self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def peers_environment(folder: Path, packages: set[str]) -> tuple[str, dict[str, str]]:
    """Python of an environment with the packages that install, and what went wrong with the others."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
        found = subprocess.run([str(python), "-c", query], check=True, capture_output=True, text=True)
        site = Path(found.stdout.strip())
        (site / "project.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # its torch, the same for all
    failures = {}
    for package in sorted(packages):
        statement = IMPORTS.get(package, f"import {package}")
        if not subprocess.run([str(python), "-c", statement], capture_output=True, check=False).returncode:
            continue
        print(f"installing {package} ...", flush=True)
        result = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", package], capture_output=True, text=True, check=False
        )
        if result.returncode:
            failures[package] = result.stderr.strip().splitlines()[-1][:200] if result.stderr.strip() else "pip failed"
    return str(python), failures


def padded_ct(voxels: int) -> Volume:
    """The demonstration CT, or the phantom in its place, on a cube of 256 mm, its outermost voxels air."""
    case = fetch_demonstration(default_cache(dict(os.environ)))
    ct = phantom_volumes()[0] if case.is_phantom else case.ct
    cube = Grid.cube(ct.grid.center_mm, 256.0, voxels)
    values = resample(ct, cube).voxels
    for axis in range(3):
        np.moveaxis(values, axis, 0)[[0, -1]] = -1000.0
    return Volume(values, cube)


def request_of(view: View) -> dict:
    lattice = ray_lattice(view)
    vectors = ("first_pixel_mm", "row_step_mm", "column_step_mm")
    beam = view.beam
    assert isinstance(beam, ConeBeam)
    return {
        **{name: getattr(lattice, name).tolist() for name in vectors},
        "source_mm": lattice.first_source_mm.tolist(),
        "sad_mm": beam.sad_mm,
        "rows": lattice.rows,
        "columns": lattice.columns,
    }


def measure(workers: dict[str, Worker], view: View, repeats: int, longest: dict[str, float]) -> dict[str, Figures]:
    """Calls in turn, round by round; images compared after the first. ``longest`` is each one's time expected, where
    it is so long that it is left out."""
    figures = {name: Figures() for name in workers}
    with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
        images = {name: Path(folder) / f"{number}.npy" for number, name in enumerate(workers)}
        for turn in range(repeats + 1):
            for name, worker in workers.items():
                result = figures[name]
                if name in longest:
                    result.note = f"left out, some {longest[name]:.0f} s"
                if result.note or (turn and result.first > SLOW_SECONDS):
                    continue
                answer = worker.ask({**request_of(view), "save": None if turn else str(images[name])})
                if "error" in answer:
                    result.note = answer["error"][:120]
                elif turn:
                    result.seconds.append(answer["seconds"])
                else:
                    result.first, result.peak_mb = answer["seconds"], answer["peak_mb"]
        compare(figures, images)
    return figures


def compare(figures: dict[str, Figures], images: dict[str, Path]) -> None:
    """Error and correlation against plastimatch or, if it is missing, this project's own exact trace."""
    known = [name for name in (REFERENCE, "tomoray rays", "tomoray") if name in images and images[name].exists()]
    if not known:
        return
    expected = np.load(images[known[0]]).astype(np.float64)
    for name, path in images.items():
        if path.exists():
            image = np.load(path)
            figures[name].rmse_percent = 100 * float(np.sqrt(((image - expected) ** 2).mean() / (expected**2).mean()))
            figures[name].correlation = float(np.corrcoef(image.ravel(), expected.ravel())[0, 1])


def paired_ratio(ours: Figures, theirs: Figures) -> float:
    pairs = list(zip(ours.seconds, theirs.seconds, strict=False))
    return statistics.median(a / b for a, b in pairs) if pairs else float("nan")


def markdown(results: dict[tuple[str, int], dict[str, Figures]], heading: str) -> str:
    lines = [heading, ""]
    for (pose, size), figures in results.items():
        lines += [
            f"**{pose}, {size} x {size} pixels**",
            "",
            "| projector | median ms | first call ms | paired ratio to plastimatch | extra memory MB | rel. RMSE % | "
            "correlation |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, result in figures.items():
            if result.note:
                lines.append(f"| {name} | - | - | - | - | - | {result.note} |")
                continue
            ratio = paired_ratio(result, figures[REFERENCE]) if REFERENCE in figures else float("nan")
            lines.append(
                f"| {name} | {1e3 * result.median:.0f} (n={max(len(result.seconds), 1)}) | {1e3 * result.first:.0f} | "
                f"{ratio:.2f} | {result.peak_mb:.0f} | {result.rmse_percent:.4f} | {result.correlation:.7f} |"
            )
        lines.append("")
    return "\n".join(lines)


def plot(results: dict[tuple[str, int], dict[str, Figures]], heading: str) -> Image.Image:
    """Median times as bars on a logarithmic axis, one group for each view."""
    bar, gap, left, width, top = 22, 34, 190, 560, 84
    rows = sum(len(figures) for figures in results.values())
    picture = Image.new("RGB", (left + width + 120, top + rows * bar + len(results) * gap + 20), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    times = [1e3 * f.median for figures in results.values() for f in figures.values() if np.isfinite(f.median)]
    low, high = np.floor(np.log10(min(times))), np.ceil(np.log10(max(times)))
    place = lambda ms: left + width * (np.log10(ms) - low) / (high - low)  # noqa: E731
    draw.text((16, 12), "Time of one view, ms (logarithmic)", fill="black", font=ImageFont.load_default(18))
    draw.text((16, 38), heading, fill="#555555", font=ImageFont.load_default(12))
    for power in np.arange(low, high + 1):
        x = place(10.0**power)
        draw.line([(x, top), (x, picture.height - 20)], fill="#dddddd")
        draw.text((x, top - 18), f"{10.0**power:g}", fill="#555555", font=font, anchor="ma")
    y = top
    for (pose, size), figures in results.items():
        draw.text((16, y + 8), f"{pose}, {size} x {size}", fill="black", font=ImageFont.load_default(15))
        y += gap
        for name, result in figures.items():
            draw.text((left - 8, y + bar / 2), name, fill="black", font=font, anchor="rm")
            if np.isfinite(result.median):
                ms = 1e3 * result.median
                text = f"{ms:.0f}" if ms >= 10 else f"{ms:.1f}"
                draw.rectangle([left, y + 3, place(ms), y + bar - 3], fill="#0072B2" if name in OURS else "#999999")
                draw.text((place(ms) + 6, y + bar / 2), text, fill="black", font=font, anchor="lm")
            else:
                draw.text((left + 6, y + bar / 2), result.note[:60], fill="#999999", font=font, anchor="lm")
            y += bar
    return picture


def machine() -> str:
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    return f"{model or platform.machine()}, torch {torch.__version__}, {date.today().isoformat()}{load}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("output/bench-projector"), help="folder of table and plot")
    parser.add_argument("--environment", type=Path, help="environment of the peers; else in OUT")
    parser.add_argument("--peers", nargs="*", default=list(PACKAGES), help=f"of {list(PACKAGES)}")
    parser.add_argument("--sizes", nargs="*", type=int, default=[256, 1024], help="detector edges in pixels")
    parser.add_argument("--poses", nargs="*", default=list(POSES), help=f"of {list(POSES)}")
    parser.add_argument("--voxels", type=int, default=256, help="edge of the volume in voxels")
    parser.add_argument("--volume", type=Path, help="attenuation (.npz) to project; created there if missing")
    parser.add_argument("--repeats", type=int, default=9, help="calls after the first")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--longest", type=float, default=60.0, help="seconds; slower calls are left out")
    parser.add_argument("--device", help="measure on this device, as torch names it, next to the speed of its memory")
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8], help="volumes at a time, with --device")
    return parser.parse_args()


def save_volume(path: Path, ct: Volume) -> None:
    """The CT as attenuation, as the workers read it."""
    attenuation = hu_to_attenuation(torch.from_numpy(ct.voxels)).numpy()
    origin_mm, spacing_mm = np.asarray(ct.grid.origin_mm), np.asarray(ct.grid.spacing_mm)
    with write_atomically(path) as partial, open(partial, "wb") as file:
        np.savez(file, attenuation=attenuation, origin_mm=origin_mm, spacing_mm=spacing_mm)


def volume_file(options: argparse.Namespace, folder: Path) -> tuple[Path, tuple[float, float, float]]:
    """The volume as the workers read it, ``--volume`` or a file in ``folder``, and its middle in LPS mm."""
    path = options.volume or folder / "volume.npz"
    if not path.exists():
        save_volume(path, padded_ct(options.voxels))
    with np.load(path) as content:
        size, origin, spacing = content["attenuation"].shape[::-1], content["origin_mm"], content["spacing_mm"]
    if size != (options.voxels,) * 3:
        raise SystemExit(f"Expected {options.voxels}^3 voxels in {path}, got {size}; name another file, or --voxels.")
    return path, Grid(size, tuple(spacing), tuple(origin)).center_mm


def view_of(pose: str, size: int, isocenter_mm: tuple[float, float, float]) -> View:
    pixel_mm = PIXEL_MM.get(size, 256.0 / size)
    detector = Detector(size, size, (pixel_mm, pixel_mm))
    return View(ConeBeam(1000.0, 1536.0), detector, *POSES[pose], isocenter_mm=isocenter_mm)


def main() -> None:
    options = arguments()
    if options.device:
        from projector_device import measure_device

        measure_device(options)
        return
    heading = f"{options.voxels}^3 voxels of {256 / options.voxels:g} mm, {options.threads} threads; {machine()}"
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = {PACKAGES[name] for name in options.peers}
    if shutil.which("plastimatch"):
        wanted.discard("plastimatch")
    python, failures = peers_environment(options.environment or options.out / "environment", wanted)
    results: dict[tuple[str, int], dict[str, Figures]] = {}
    with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
        volume, center_mm = volume_file(options, Path(folder))
        named = [*OURS, *(name for name in options.peers if PACKAGES[name] not in failures)]
        workers = {
            name: Worker(name, sys.executable if name in OURS else python, volume, options.threads) for name in named
        }
        failures |= {name: "does not start" for name, worker in workers.items() if not worker.ready}
        workers = {name: worker for name, worker in workers.items() if worker.ready}
        per_pixel: dict[str, float] = {}
        for size in options.sizes:
            for pose in options.poses:
                view = view_of(pose, size, center_mm)
                expected = {name: seconds * size**2 for name, seconds in per_pixel.items()}
                longest = {name: seconds for name, seconds in expected.items() if seconds > options.longest}
                print(f"{time.strftime('%H:%M:%S')} {pose}, {size}^2 ...", flush=True)
                results[(pose, size)] = measure(workers, view, options.repeats, longest)
                for name, result in results[(pose, size)].items():
                    if np.isfinite(result.median):
                        per_pixel[name] = result.median / size**2
        for worker in workers.values():
            worker.close()
    table = markdown(results, heading)
    if failures:
        table += "\nNot measured: " + "; ".join(f"{name} ({why})" for name, why in failures.items()) + "\n"
    print(table)
    (options.out / "table.md").write_text(table, encoding="utf-8")
    content = {f"{pose} {size}": {n: vars(f) for n, f in figures.items()} for (pose, size), figures in results.items()}
    (options.out / "results.json").write_text(json.dumps({"machine": heading, "views": content}, indent=1))
    plot(results, heading).save(options.out / "times.png")


if __name__ == "__main__":
    main()
