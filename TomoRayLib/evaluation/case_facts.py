"""Facts of a case by which a cohort is divided: how the CT was taken, what it covers, whether there is metal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume

SOURCE, PLANE, IMPLANT, FIELD, RADIOGRAPHS = "source", "plane", "implant", "field of view", "radiographs"
ISOTROPIC, AXIAL, CORONAL, SAGITTAL = "isotropic", "axial", "coronal", "sagittal"
COVERS, SHORTER = "covers the cube", "shorter than the cube"
PLANES = (SAGITTAL, CORONAL, AXIAL)  # whose normals are x, y, z
THICK = 1.5  # times the smallest spacing: below that a CT counts as isotropic
METAL_HU = 2000.0  # a heuristic (metrics reference): no data set labels implants
LEAST_METAL_CM3 = 0.5
NEAR_MM = 6.0
COVERED = 0.95  # of the cube's height
THINNED_MM = 2.0


def case_facts(ct: Volume, labels: Volume, cube: Grid, radiographs: str) -> dict[str, str]:
    """Return the facts of a case, by name: values of the same fact make subgroups.

    Args:
        ct: CT in HU.
        labels: Vertebra labels on the CT's grid.
        cube: Grid of the synthetic CT.
        radiographs: Where the radiographs come from, in a word or two.

    Returns:
        ``plane`` (of the CT's thick slices), ``implant`` (yes or no, by HU near the vertebrae), ``field of view``
        (whether the CT covers the cube from head to feet) and ``radiographs``.
    """
    return {
        PLANE: acquisition_plane(ct.grid),
        IMPLANT: "yes" if metal_cm3(ct, vertebra_mask(labels.voxels)) >= LEAST_METAL_CM3 else "no",
        FIELD: COVERS if covered_height(ct.grid, cube) >= COVERED else SHORTER,
        RADIOGRAPHS: radiographs,
    }


def acquisition_plane(grid: Grid) -> str:
    """Return the plane of the thick slices of a CT, or that it has none: its largest spacing is not above 1.5 times
    the smallest."""
    spacing_mm = np.array(grid.spacing_mm)
    thick = int(spacing_mm.argmax())
    if spacing_mm[thick] < THICK * spacing_mm.min():
        return ISOTROPIC
    return PLANES[int(np.abs(grid.direction_matrix[:, thick]).argmax())]


def covered_height(ct: Grid, cube: Grid) -> float:
    """Return the share of a cube's height, along z, that a CT covers, 0 to 1."""
    low, high = _heights(ct)
    cube_low, cube_high = _heights(cube)
    return max(0.0, min(high, cube_high) - max(low, cube_low)) / (cube_high - cube_low)


def metal_cm3(ct: Volume, vertebrae: NDArray[np.bool_]) -> float:
    """Return the volume above ``METAL_HU`` within ``NEAR_MM`` of the vertebrae, in cm3, by every voxel of about 2 mm.

    ``vertebrae`` is (z, y, x) on the CT's grid.
    """
    steps = [max(1, round(THINNED_MM / mm)) for mm in ct.grid.spacing_mm[::-1]]  # z, y, x
    every = tuple(slice(None, None, step) for step in steps)
    boxes = ndimage.find_objects(vertebrae[every].astype(np.uint8))
    if not boxes:
        return 0.0
    spacing_mm = [mm * step for mm, step in zip(ct.grid.spacing_mm[::-1], steps, strict=True)]
    margins = [int(np.ceil(NEAR_MM / mm)) for mm in spacing_mm]
    box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(boxes[0], margins, strict=True))
    bright = ct.voxels[every][box] > METAL_HU
    if not bright.any():
        return 0.0
    away_mm = ndimage.distance_transform_edt(~vertebrae[every][box], sampling=spacing_mm)
    return float(np.count_nonzero(bright & (away_mm <= NEAR_MM)) * np.prod(spacing_mm) / 1000)


def _heights(grid: Grid) -> tuple[float, float]:
    """The lowest and the highest z in mm of a grid's outer faces."""
    half = np.abs(grid.direction_matrix[2] * np.array(grid.spacing_mm) * np.array(grid.size)).sum() / 2
    return grid.center_mm[2] - float(half), grid.center_mm[2] + float(half)
