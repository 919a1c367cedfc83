"""Which backend projects: the one that the caller names, or the fastest that has been measured."""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import Literal, get_args

import torch

from TomoRayLib.base.errors import InputError

Library = Literal["torch", "numba", "triton"]
Backend = Literal["auto", "torch", "numba", "triton"]
DEVICE_TYPE: dict[Library, str] = {"numba": "cpu", "triton": "cuda"}  # torch serves every device
DTYPES: dict[Library, tuple[torch.dtype, ...]] = {
    "numba": (torch.float32, torch.float64),
    "triton": (torch.float32,),
}
PACKAGE_HINT: dict[Library, str] = {
    "numba": "Install the package numba",
    "triton": "Install the package triton, which torch for Linux and CUDA includes",
}
log = logging.getLogger(__name__)


def chosen_library(backend: Backend, device: str, dtype: torch.dtype, *, differentiable: bool) -> Library:
    """The library that projects volumes of ``dtype`` on ``device``.

    "auto" is numba on the CPU if it loads and no derivative is needed, else torch. It never takes Triton, whose kernel
    has not run on a GPU yet.

    Raises:
        InputError: For an unknown name, and for a library that is not installed or does not serve the device, the
            number type or derivatives.
    """
    if backend not in get_args(Backend):
        raise InputError(f"backend must be one of {list(get_args(Backend))}; got {backend!r}.", field="backend")
    if backend == "auto":
        serves = not differentiable and torch.device(device).type == DEVICE_TYPE["numba"]
        return "numba" if serves and _loading_error("numba") is None else "torch"
    if backend != "torch":
        _check_serves(backend, device, dtype, differentiable)
    return backend


def _check_serves(library: Library, device: str, dtype: torch.dtype, differentiable: bool) -> None:
    if torch.device(device).type != DEVICE_TYPE[library]:
        raise InputError(
            f"The backend {library!r} serves volumes on the device {DEVICE_TYPE[library]!r}; got one on {device!r}. "
            f"Move the volume there, or use the backend 'auto'.",
            field="backend",
        )
    if dtype not in DTYPES[library]:
        names = " or ".join(str(one).removeprefix("torch.") for one in DTYPES[library])
        raise InputError(
            f"The backend {library!r} serves volumes of {names}; got {dtype}. Convert the volume, or use the backend "
            "'auto'.",
            field="backend",
        )
    if differentiable:
        raise InputError(
            f"The backend {library!r} computes no derivatives; got a volume that needs one. Call it under "
            "torch.no_grad(), or use the backend 'auto' or 'torch'.",
            field="backend",
        )
    error = _loading_error(library)
    if error is not None:
        raise InputError(
            f"The backend {library!r} cannot be loaded ({error}). {PACKAGE_HINT[library]}, or use the backend 'auto'.",
            field="backend",
        )


@cache
def _loading_error(library: Library) -> str | None:
    """Why a kernel does not load: no numba or triton, or a numba that does not fit numpy; None if it loads."""
    try:
        importlib.import_module(f"TomoRayLib.projector.backends.{library}_kernel")
    except ImportError as error:
        log.info("The projector's %s kernel is not used: %s", library, error)
        return str(error)
    except Exception as error:  # whatever a broken installation raises: stock torch serves
        log.warning("The projector's %s kernel is not used: %s: %s", library, type(error).__name__, error)
        return f"{type(error).__name__}: {error}"
    return None
