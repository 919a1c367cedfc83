"""The number type that a device runs networks fastest in."""

from __future__ import annotations

import torch

# Voxels or pixels of an edge, for 3 x 3 x 3 convolutions: of a smaller volume the gradient of their weights in bfloat16
# is wrong on CPUs with AVX-512 (torch 2.13 with oneDNN 3.12: findings/torch-bfloat16-tiny-volumes.sh).
SMALLEST_TRAINED_EDGE = 3


def fast_precision(device: torch.device, trained_edge: int | None = None) -> torch.dtype:
    """Choose the number type of the network's fastest run.

    Without instructions for it a processor convolves bfloat16 many times slower than float32 (torch 2.13, AVX2).

    Args:
        device: The device that the network runs on.
        trained_edge: The smallest edge, in voxels, of the volumes that it convolves, if it is trained; None if not.

    Returns:
        bfloat16 if the hardware multiplies it (AVX-512 BF16, AMX, CUDA from Ampere on) and, on a CPU, its gradients are
        right; else float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    if trained_edge is not None and trained_edge < SMALLEST_TRAINED_EDGE:
        return torch.float32
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if has_bfloat16() else torch.float32


def fast_autocast(device: torch.device, trained_edge: int | None = None) -> torch.autocast:
    """Return a context in which networks run in ``fast_precision``: mixed with float32, or float32 alone."""
    precision = fast_precision(device, trained_edge)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)
