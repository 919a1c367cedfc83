"""The interface that every backend of the slab algorithm fulfils."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from TomoRayLib.projector.finish import Finish


class Plan(Protocol):
    """The part that depends on grid and camera alone, computed once and kept for further volumes."""

    @property
    def misses(self) -> bool:
        """True if no ray meets the volume."""

    @property
    def finish(self) -> Finish:
        """From the sums over all slices to the radiograph."""

    @property
    def nbytes(self) -> int:
        """Memory that the plan takes, on its device."""

    def images(self, volumes: Tensor) -> Tensor:
        """(n, rows, columns) line integrals of the volumes (n, z, y, x)."""
