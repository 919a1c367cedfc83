"""Errors that stop a run, and what to do about them: numbers that are not finite, and exhausted memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.memory import is_out_of_memory

WORKER_KILLED = "killed by signal: Killed"  # a process that makes samples, terminated by the operating system
FROM_WORKER = "in DataLoader worker process"


class NotANumberError(ValueError):
    """``what`` (the loss, a gradient) is not finite; ``terms`` are the loss's."""

    def __init__(self, what: str, terms: Mapping[str, float]) -> None:
        super().__init__(f"The {what} is not a number ({terms}).")
        self.what, self.terms = what, dict(terms)


def finite(what: str, value: Tensor, terms: Mapping[str, float]) -> float:
    """``value`` as a number. Raises NotANumberError if it is NaN or infinite."""
    number = float(value)
    if not math.isfinite(number):
        raise NotANumberError(what, terms)
    return number


def clip_gradient(
    fabric: Fabric, model: Any, optimizer: Any, max_norm: float, terms: Mapping[str, float], whose: str = ""
) -> None:
    """Scale the gradients of ``model`` (as Fabric set it up) down to ``max_norm``; infinity only looks at them.

    Raises NotANumberError, before anything is scaled, that names the first parameter whose gradient is not finite.
    """
    try:
        fabric.clip_gradients(model, optimizer, max_norm=max_norm, error_if_nonfinite=True)
    except RuntimeError as error:
        if "non-finite" not in str(error):
            raise
        name = first_without_a_finite_gradient(model.module)
        raise NotANumberError(f"{whose}gradient" + (f" of {name}" if name else "'s norm"), terms) from error


def first_without_a_finite_gradient(network: nn.Module) -> str | None:
    """Name of the first parameter whose gradient holds a number that is not finite; None if all are finite."""
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return name
    return None


@contextmanager
def explained(batch_size: int, finest_level: int, steps: Callable[[], int], kept: Callable[[], str]) -> Iterator[None]:
    """Turn an error of a sample, a step or a validation into an InputError that says where it happened and what to try;
    an OutputError also says which checkpoint there is.

    ``steps`` gives the number of steps taken, ``kept`` a sentence about the checkpoint that there is.
    """
    try:
        yield
    except NotANumberError as error:
        terms = ", ".join(f"{name} {value:.4g}" for name, value in error.terms.items())
        raise InputError(
            f"The {error.what} is not a number at step {steps() + 1} (terms of the loss: {terms}). {kept()} Try a "
            f"lower peak_lr."
        ) from error
    except OutputError as error:
        raise OutputError(f"{error} {kept()}") from error
    except (MemoryError, RuntimeError, ValueError) as error:
        if not is_about_memory(error):
            raise
        advice = (
            f"Try batch_size {batch_size // 2}, or a smaller stream.kept or fewer workers if samples take too much"
            if batch_size > 1
            else f"Train a coarser level (finest_level above {finest_level}) or a narrower network"
        )
        raise InputError(
            f"Too little memory for batch_size {batch_size} at finest_level {finest_level}, after {steps()} steps. "
            f"{kept()} {advice}."
        ) from error


def is_about_memory(error: BaseException | None) -> bool:
    """True if memory was exhausted here, in a process that makes samples, or as the cause of a ValueError.

    The error of such a process is of the class that it had there, and its text holds the whole trace.
    """
    if isinstance(error, ValueError):
        return (FROM_WORKER in str(error) and is_out_of_memory(error)) or is_about_memory(error.__cause__)
    if isinstance(error, RuntimeError):
        return is_out_of_memory(error) or WORKER_KILLED in str(error)
    return isinstance(error, MemoryError)
