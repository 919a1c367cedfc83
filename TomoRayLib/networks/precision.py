"""The number type that a device runs networks fastest in."""

from __future__ import annotations

import torch


def fast_precision(device: torch.device) -> torch.dtype:
    """Choose the number type of the network's fastest run.

    Without instructions for it a processor convolves bfloat16 many times slower than float32 (torch 2.13, AVX2).

    Args:
        device: The device that the network runs on.

    Returns:
        bfloat16 if the hardware multiplies it (AVX-512 BF16, AMX, CUDA from Ampere on), else float32.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.bfloat16 if has_bfloat16() else torch.float32


def fast_autocast(device: torch.device) -> torch.autocast:
    """Return a context in which networks run in ``fast_precision``: mixed with float32, or float32 alone."""
    precision = fast_precision(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)
