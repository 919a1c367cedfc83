"""The devices that a run can be given: the CPU with its usual time, and each NVIDIA GPU with its free memory.

Nothing here imports torch: the worker does, in its own process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from slicer.i18n import tr as _

from TomoRayLib.slicer.worker.process import windows_tool

PROBE_S = 3.0
CPU_SECONDS = 22.0  # a synthesis with comparison and report, on two cores
CPU_SHARE_PARALLEL = 0.4  # of it gets faster with more cores


@dataclass(frozen=True)
class DeviceChoice:
    """A device for the network: ``name`` as the job takes it, ``label`` for the panel."""

    name: str
    label: str


def devices(measured_cpu_seconds: float | None = None) -> list[DeviceChoice]:
    """The automatic choice, each GPU with its free memory, and the CPU with the time of a synthesis."""
    gpus = [
        DeviceChoice(
            f"cuda:{number}", _("GPU {number}: {name}, {free:.1f} GB free").format(number=number, name=name, free=free)
        )
        for number, name, free in nvidia_gpus()
    ]
    return [DeviceChoice("auto", _("Automatic")), *gpus, DeviceChoice("cpu", _cpu_label(measured_cpu_seconds))]


def nvidia_gpus() -> list[tuple[int, str, float]]:
    """(number, name, free GB) of each NVIDIA GPU, from the driver's own tool; empty if there is none."""
    tool = windows_tool("nvidia-smi") if sys.platform == "win32" else "nvidia-smi"
    command = [tool, "--query-gpu=index,name,memory.free", "--format=csv,noheader,nounits"]
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) if sys.platform == "win32" else 0
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_S, check=True, creationflags=flags
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_gpus(result.stdout)


def parse_gpus(printed: str) -> list[tuple[int, str, float]]:
    """The lines of ``nvidia-smi``: "0, NVIDIA RTX A4000, 15360" (MiB). Other lines are ignored."""
    found = []
    for line in printed.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[0].isdecimal() and parts[2].isdecimal():
            found.append((int(parts[0]), parts[1], int(parts[2]) / 1024))
    return found


def cpu_seconds(cores: int) -> float:
    """Estimated time of a synthesis on this many cores."""
    return CPU_SECONDS * ((1 - CPU_SHARE_PARALLEL) + CPU_SHARE_PARALLEL * 2 / max(cores, 1))


def _cpu_label(measured_s: float | None) -> str:
    if measured_s is not None:
        return _("CPU: {seconds:.0f} s, as last time").format(seconds=measured_s)
    cores = os.cpu_count() or 1
    return _("CPU: about {seconds:.0f} s on {cores} cores").format(seconds=cpu_seconds(cores), cores=cores)
