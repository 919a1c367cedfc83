"""Real spine shapes: vertebra label maps, with their course and their levels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from TomoRayLib.anatomy.vertebrae import VERTEBRA_LABELS
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.resampling import labels_on_grid
from TomoRayLib.training.phantoms.vertebral_bodies import VertebralBody, details_of_labels

SPINE_SPACING_MM = 1.0
COURSE_SIGMA_MM = 20.0
SLICE_VOXELS = 30  # of vertebrae, for a slice to show where the spine runs


@dataclass(frozen=True)
class Spine:
    """One spine: ``occupancy`` (z, y, x) in 0..255, slightly smoothed, on an axis-aligned LPS grid of 1 mm.

    ``curve_mm`` (z, 2): its course (x, y in LPS mm) per slice. ``level_z_mm`` (n, 2): (level, z) of each vertebra's
    middle, level being its VerSe number + 0.5. ``bodies`` and ``detail`` say where endplates, discs and canal are, see
    vertebral_bodies.py; a spine without them (None) has plain bone in plain muscle. ``labels`` (uint8, on the same
    grid) are the VerSe numbers, None if its vertebrae are not told apart.
    """

    name: str
    occupancy: Tensor
    grid: Grid
    curve_mm: NDArray[np.float64]
    level_z_mm: NDArray[np.float64]
    bodies: tuple[VertebralBody, ...] = ()
    detail: Tensor | None = None
    labels: Tensor | None = None

    @property
    def z_range_mm(self) -> tuple[float, float]:
        low = self.grid.origin_mm[2]
        return low, low + (self.grid.size[2] - 1) * self.grid.spacing_mm[2]


def load_spine(path: Path) -> Spine:
    """Read a vertebra label map (VerSe numbers, any geometry) as a spine on a 1 mm LPS grid."""
    labels = read_labels(path)
    corners = labels.grid.corners_mm()
    low, high = corners.min(axis=0) - 2.0, corners.max(axis=0) + 2.0
    size = tuple(int(np.ceil((b - a) / SPINE_SPACING_MM)) for a, b in zip(low, high, strict=True))
    grid = Grid(size, (SPINE_SPACING_MM,) * 3, tuple(float(a) for a in low))  # type: ignore[arg-type]
    return detailed_spine(spine_name(path), labels_on_grid(labels, grid).voxels, grid)


def detailed_spine(name: str, labels: NDArray[np.integer], grid: Grid) -> Spine:
    """``spine_from_labels`` with its vertebral bodies and what lies between them: endplates, arches, discs, canal."""
    spine = spine_from_labels(name, labels, grid)
    details = details_of_labels(labels, grid)
    return replace(spine, bodies=details.bodies, detail=torch.from_numpy(details.detail))


def spine_name(path: Path) -> str:
    """The name of a label map's spine: ``verse018_seg.nii.gz`` is verse018."""
    return path.name.split(".")[0].removesuffix("_seg")


def spine_from_labels(name: str, labels: NDArray[np.integer], grid: Grid) -> Spine:
    """A spine from labels (z, y, x) on an axis-aligned grid. Raises InputError if no vertebra is labelled,
    or none well enough to see its course."""
    bone = np.isin(labels, VERTEBRA_LABELS)
    if not bone.any():
        raise InputError(f"{name} holds no vertebra label (1-25 or 28); got {np.unique(labels).tolist()}.")
    x0, y0, z0 = grid.origin_mm
    step = grid.spacing_mm[2]
    centroids = np.full((len(bone), 2), np.nan)
    for index, region in enumerate(bone):
        rows, columns = np.nonzero(region)
        if len(rows) >= SLICE_VOXELS:
            centroids[index] = x0 + columns.mean() * grid.spacing_mm[0], y0 + rows.mean() * grid.spacing_mm[1]
    known = np.isfinite(centroids[:, 0])
    if not known.any():
        most = int(bone.sum(axis=(1, 2)).max())
        raise InputError(
            f"Expected a slice of {name} with {SLICE_VOXELS} voxels of vertebrae at {step:g} mm, got {most} at most; "
            f"is the mask complete?"
        )
    filled = [np.interp(np.arange(len(bone)), np.flatnonzero(known), c[known]) for c in centroids.T]
    curve = np.stack([ndimage.gaussian_filter1d(c, COURSE_SIGMA_MM / step, mode="nearest") for c in filled], axis=1)
    levels = []
    for label in np.unique(labels[bone]):
        slices = np.nonzero(labels == label)[0]
        levels.append((19.99 if label == 28 else label + 0.5, z0 + slices.mean() * step))
    soft = ndimage.gaussian_filter(bone.astype(np.float32), 0.6)
    occupancy = torch.from_numpy(np.round(soft * 255).astype(np.uint8))
    numbers = torch.from_numpy(np.where(bone, labels, 0).astype(np.uint8))
    return Spine(name, occupancy, grid, curve, np.array(sorted(levels)), labels=numbers)
