"""Whether training's compiled kernels serve a device: on a CPU, if numba loads."""

from __future__ import annotations

import torch

from TomoRayLib.projector.backends.choice import chosen_library


def has_kernels(device: torch.device | str) -> bool:
    """True on a CPU with numba, else stock operators serve."""
    is_cpu = torch.device(device).type == "cpu"
    return is_cpu and chosen_library("auto", "cpu", torch.float32, differentiable=False) == "numba"
