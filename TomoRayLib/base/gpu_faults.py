"""Errors of a GPU, told from their text, and whether a PyTorch build has code for a GPU at all.

Only the standard library is imported: Slicer reads this in its own process.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum


class GpuFault(Enum):
    """What is wrong with a GPU, apart from too little memory; the values are what events hold."""

    NO_KERNEL = "gpu-no-kernel"  # this PyTorch has no code for it
    DRIVER = "gpu-driver"  # the driver is missing, too old, or does not answer
    OTHER = "gpu-other"


# The first that fits counts.
_SAID: tuple[tuple[GpuFault, tuple[str, ...]], ...] = (
    (
        GpuFault.NO_KERNEL,
        (
            "no kernel image is available",
            "invalid device function",
            "not compatible with the current pytorch installation",
            "architecture_mismatch",  # CUDNN_STATUS_, CUBLAS_STATUS_
            "arch_mismatch",
            "unsupported ptx version",
            "ptx jit compiler library not found",
        ),
    ),
    (
        GpuFault.DRIVER,
        (
            "nvidia driver on your system is too old",
            "found no nvidia driver",
            "driver version is insufficient",
            "no cuda-capable device is detected",
            "no cuda gpus are available",
            "unsupported display driver",
            "cuda unknown error",
            "cuda driver error",
            "forward compatibility was attempted",
            "unable to determine the device handle",
            "not compiled with cuda enabled",
        ),
    ),
    (
        GpuFault.OTHER,
        (
            "cuda error",
            "cuda runtime error",
            "device-side assert",
            "cudnn",
            "cublas",
            "cufft",
            "cusolver",
            "cusparse",
            "curand",
            "nvrtc",
            "hip error",
            "hipblas",
            "miopen",
            "acceleratorerror",  # PyTorch's class for what a GPU reports
        ),
    ),
)


def gpu_fault(text: str) -> GpuFault | None:
    """Return the fault of a GPU that an error's class and text tell, None if it is none of a GPU."""
    lower = text.lower()
    return next((fault for fault, said in _SAID if any(words in lower for words in said)), None)


def has_code_for(capability: tuple[int, int], built_for: Sequence[str]) -> bool:
    """Return whether a PyTorch build can run on a GPU.

    Args:
        capability: The GPU's compute capability, (8, 6), as ``torch.cuda.get_device_capability`` gives it.
        built_for: What the build has code for, ``["sm_80", "sm_90", "compute_90"]``, as ``torch.cuda.get_arch_list``
            gives it; True if this is empty or of another maker's GPUs, for then it tells nothing.

    Binary code (sm) runs on GPUs of the same major and the same or a higher minor number, intermediate code (compute)
    on all of the same or a higher capability, code with a letter behind its number (sm_90a) on that very one.
    """
    known = [re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", name) for name in built_for]
    if not known or not all(known):
        return True
    for match in known:
        assert match is not None
        kind, letter, number = match[1], match[4], (int(match[2]), int(match[3]))
        if letter == "a":
            fits = number == capability
        elif kind == "sm" or letter:
            fits = number[0] == capability[0] and number[1] <= capability[1]
        else:
            fits = number <= capability
        if fits:
            return True
    return False
