"""The surfaces of one case, each made once for its files and for all its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vtkmodules.vtkCommonDataModel import vtkPolyData

from TomoRayLib.base.notices import TRUTH_NOTICE
from TomoRayLib.images.surface_distance import SurfaceDistance
from TomoRayLib.images.surface_files import write_stl, write_vtp
from TomoRayLib.images.surfaces import is_empty, mask_field, surface_of_field, with_distance
from TomoRayLib.images.types import Volume


@dataclass(frozen=True, eq=False)
class CaseSurfaces:
    """The synthetic vertebrae, the true ones, and what is made of them when it is first asked for.

    Args:
        synthetic_mask: Non-zero is bone (z, y, x).
        truth_mask: Likewise, of the true vertebrae, on any grid; None without a truth.
    """

    synthetic_mask: Volume
    truth_mask: Volume | None = None

    @cached_property
    def synthetic_field(self) -> Volume | None:
        """``surfaces.mask_field`` of the synthetic mask; None if that is empty."""
        return mask_field(self.synthetic_mask)

    @cached_property
    def truth_field(self) -> Volume | None:
        """``surfaces.mask_field`` of the true mask; None without one, or if it is empty."""
        return None if self.truth_mask is None else mask_field(self.truth_mask)

    @cached_property
    def synthetic(self) -> vtkPolyData:
        """The synthetic surface in LPS mm."""
        return surface_of_field(self.synthetic_field)

    @cached_property
    def truth(self) -> vtkPolyData:
        """The true surface in LPS mm; empty without a truth."""
        return surface_of_field(self.truth_field)

    @cached_property
    def to_truth(self) -> SurfaceDistance:
        """Distances to the true surface."""
        return SurfaceDistance(self.truth)


def write_surfaces(folder: Path, surfaces: CaseSurfaces) -> None:
    """Write the surface of synthetic vertebrae as VTP and STL, and that of the true ones as VTP, in LPS mm.

    With true vertebrae, the synthetic surface carries its signed distance from theirs.
    """
    surface = surfaces.synthetic
    if surfaces.truth_mask is not None:
        write_vtp(folder / "truth_surface.vtp", surfaces.truth, marking=TRUTH_NOTICE)
        if not is_empty(surface):
            surface = with_distance(surface, surfaces.to_truth)
    write_vtp(folder / "synthetic_surface.vtp", surface)
    write_stl(folder / "synthetic_surface.stl", surface)
