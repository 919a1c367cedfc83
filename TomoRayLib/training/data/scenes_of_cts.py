"""Real labelled CTs: read, checked, and deformed into scenes as phantoms are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.checks import check_ct
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.masks.checks import placed_mask
from TomoRayLib.images.masks.plausibility import check_mask_in_ct
from TomoRayLib.images.resampling import labels_on_grid, resample
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.types import Volume
from TomoRayLib.training.phantoms.deformation import deformed_points
from TomoRayLib.training.phantoms.places import Places, box_of
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.sampling import course_at
from TomoRayLib.training.phantoms.scene import Scene, SceneSize
from TomoRayLib.training.phantoms.spines import Spine, spine_from_labels
from TomoRayLib.training.phantoms.tissue import vary_tissue

CASE_SPACING_MM = 1.5


@dataclass(frozen=True)
class LabelledCT:
    """A CT and its vertebrae on one axis-aligned LPS grid of 1.5 mm: ``hu`` int16, and the labelled spine."""

    name: str
    hu: Tensor
    spine: Spine


def read_pair(case: CohortCase) -> tuple[Volume, Volume]:
    """(CT in HU, mask on its grid) of one labelled CT, whether it is trained on or scored.

    Raises InputError for a file that is not a CT or not a vertebra mask, and for the mask of another CT.
    """
    ct, mask = read_volume(case.ct), read_segmentation(case.segmentation)
    check_ct(ct, case.ct.name)
    mask = placed_mask(mask, ct)
    check_mask_in_ct(mask, ct, case.segmentation.name)
    return ct, mask


def load_labelled_ct(case: CohortCase) -> LabelledCT:
    """One labelled CT to train on. Raises InputError as ``read_pair`` does, and for a mask that does not tell vertebrae
    apart."""
    return labelled_ct(case.name, *read_pair(case))


def labelled_ct(name: str, ct: Volume, labels: Volume) -> LabelledCT:
    """A labelled CT in any geometry on the common grid."""
    corners = ct.grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = tuple(max(2, int((b - a) // CASE_SPACING_MM)) for a, b in zip(low, high, strict=True))
    origin = tuple(float(a) + CASE_SPACING_MM / 2 for a in low)
    grid = Grid(size, (CASE_SPACING_MM,) * 3, origin)  # type: ignore[arg-type]
    hu = torch.from_numpy(resample(ct, grid).voxels.round().clip(-1024, 3071).astype(np.int16))
    return LabelledCT(name, hu, spine_from_labels(name, labels_on_grid(labels, grid).voxels, grid))


def scene_of_case(
    case: LabelledCT,
    rng: np.random.Generator,
    size: SceneSize,
    ranges: PhantomRanges,
    device: torch.device | str = "cpu",
) -> Scene:
    """A real CT deformed as a phantom is: scaled, turned, bent, stretched by an elastic field, mirrored half of the
    time, its tissue a little lighter or denser. Beyond the scan is air."""
    grid, spine = size.grid(), case.spine
    scale = float(rng.uniform(*ranges.spine_scale))
    width = scale * float(rng.uniform(*ranges.spine_width_scale))
    center_z = _height_in_case(spine, rng)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    points = deformed_points(grid, rng, ranges, device)
    x0, y0 = course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(center_z, device=device))
    x, y, z = (mirror * points[..., 0] / width + x0, points[..., 1] / scale + y0, points[..., 2] / scale + center_z)
    places = Places.of(x, y, z, grid.shape)
    hu = vary_tissue(places.sampled(case.hu, spine.grid, outside=AIR_HU), rng, ranges)
    share = places.sampled(spine.occupancy, spine.grid, outside=0.0).round_().to(torch.uint8)
    labels = None
    if spine.labels is not None:
        box = box_of(share > 0, margin=1)
        labels = torch.zeros_like(share)
        labels[box] = places.labels(spine.labels, spine.grid, box)
    hu = hu.round_().clamp_(-1024, 3071).to(torch.int16)
    return Scene(hu, share, grid, case.name, case.name, labels)


def _height_in_case(spine: Spine, rng: np.random.Generator) -> float:
    """Spine z at the middle of the scene: anywhere in the middle half of the labelled vertebrae."""
    z_mm = spine.level_z_mm[:, 1]
    low, high = float(z_mm.min()), float(z_mm.max())
    return float(rng.uniform(low + (high - low) / 4, high - (high - low) / 4))
