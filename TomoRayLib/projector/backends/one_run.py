"""Which backend projects in a process that projects a few images and ends."""

from __future__ import annotations

from typing import Literal

VOXELS_WORTH_COMPILING = 1 << 26


def backend_of_one_run(voxels: int) -> Literal["torch", "auto"]:
    """Return the projector's backend for a few images of a volume of so many voxels.

    numba's kernel is faster, but loading numba takes half a second, in which PyTorch has projected a usual CT. It
    depends on the size alone, so that the same volume gives the same image to the last digit.
    """
    return "torch" if voxels < VOXELS_WORTH_COMPILING else "auto"
