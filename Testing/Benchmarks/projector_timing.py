"""Clocks on a device: series of calls, and how fast its memory is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol


class Renderer(Protocol):
    def prepare(self, request: dict[str, Any]) -> None: ...

    def render(self, count: int) -> Any: ...


def seconds_per_call(call: Callable[[], object], calls: int, device: str) -> float:
    """Of ``calls`` in a row, the device waited for before and after."""
    import torch

    wait = getattr(getattr(torch, torch.device(device).type), "synchronize", lambda device: None)
    wait(device)
    started = time.perf_counter()
    for _ in range(calls):
        call()
    wait(device)
    return (time.perf_counter() - started) / calls


def series(peer: Renderer, request: dict[str, Any], device: str) -> dict[str, Any]:
    """Seconds of each of ``repeats`` series of ``calls`` for ``batch`` images, those of the first call, and the memory
    in MB that a call takes for a time, by the device's own count if it has one. The last image goes to ``save``."""
    import numpy as np
    import torch

    def call() -> None:
        peer.render(request["batch"])

    peer.prepare(request)
    first = seconds_per_call(call, 1, device)
    module, peak_mb = getattr(torch, torch.device(device).type), math.nan
    if hasattr(module, "max_memory_allocated"):
        before = module.memory_allocated(device)
        module.reset_peak_memory_stats(device)
        seconds_per_call(call, 1, device)
        peak_mb = (module.max_memory_allocated(device) - before) / 2**20
    if request["save"]:
        np.save(request["save"], peer.render(request["batch"])[-1].detach().cpu().numpy())
    seconds = [seconds_per_call(call, request["calls"], device) for _ in range(request["repeats"])]
    return {"first": first, "peak_mb": peak_mb, "seconds": seconds}


def bytes_per_second(device: str, megabytes: int = 256, repeats: int = 9) -> float:
    """Bytes read and written each second by the fastest of some copies within the device's memory."""
    import torch

    source = torch.ones(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    fastest = min(seconds_per_call(lambda: target.copy_(source), 5, device) for _ in range(repeats))
    return 2 * source.numel() * source.element_size() / fastest
