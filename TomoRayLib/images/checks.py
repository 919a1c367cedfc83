"""Guards on volumes and radiographs: InputError says what was expected, what was got and what to do.

The readers in ``images`` check that a file is what its format says. These check that it can be what it is used as:
a CT in HU, a vertebra mask of that CT, a radiograph.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.vertebrae import (
    COCCYX_LABEL,
    NAME_OF_LABEL,
    SACRUM_LABEL,
    WHOLE_SPINE_LABEL,
    vertebra_labels_in,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import labels_on_grid
from TomoRayLib.images.pair_checks import check_pair
from TomoRayLib.images.types import Radiograph, Volume, check_finite

__all__ = [
    "InputError",
    "MaskContent",
    "MaskDescription",
    "check_ct",
    "check_extent",
    "check_finite",
    "check_hounsfield",
    "check_pair",
    "check_radiograph",
    "describe_mask",
    "match_mask",
    "prepared_mask",
]

LEAST_EXTENT_MM = 40.0  # a lumbar vertebral body with its endplates is about 30 mm high and 50 mm wide
LEAST_SLICES = 8
LEAST_PIXELS = 64
TISSUE_HU = -200.0  # every CT of a body holds something darker: lung, bowel gas, the air around
BONE_HU = 100.0  # and something brighter
LARGEST_PERCENTILE_HU = 5000.0  # 99.9 % of the voxels lie below it; metal reaches 30000 in fewer
MEDIAN_HU = (-1100.0, 300.0)  # from mostly air to a close crop around dense bone
LEAST_OVERLAP = 0.1  # of the mask's vertebra voxels
TOTALSEGMENTATOR_VERTEBRAE = frozenset(range(29, 51))  # L3 to C1 there; no number of VerSe
MANY_OTHER_LABELS = 5  # that VerSe does not have; a mask of the whole body has up to 117
WHOLE_SPINE_MM = 60.0  # taller than any one vertebra with its processes


class MaskContent(str, Enum):
    """What a mask tells apart."""

    VERTEBRAE = "vertebrae"
    WHOLE_SPINE = "whole spine"


@dataclass(frozen=True)
class MaskDescription:
    """``labels``: vertebra labels from cranial to caudal (empty for a whole-spine mask, where all above 0 is spine)."""

    content: MaskContent
    labels: tuple[int, ...]
    note: str | None = None


def check_ct(volume: Volume, name: str = "The CT") -> None:
    """Raises InputError where a volume cannot be a CT of the spine in HU: not finite, too small, other values."""
    check_finite(volume.voxels, name)
    check_extent(volume.grid, name)
    check_hounsfield(volume.voxels, name)


def check_extent(grid: Grid, name: str = "The CT") -> None:
    """Raises InputError for a grid smaller than one vertebra: below 40 mm or below 8 voxels along any axis."""
    x_mm, y_mm, z_mm = grid.extent_mm
    if min(grid.extent_mm) < LEAST_EXTENT_MM or min(grid.size) < LEAST_SLICES:
        raise InputError(
            f"{name}: expected at least {LEAST_EXTENT_MM:g} mm and {LEAST_SLICES} voxels along each axis, "
            f"got {x_mm:.1f} x {y_mm:.1f} x {z_mm:.1f} mm and {grid.size} voxels; choose the whole series, and check "
            "the spacing in its header."
        )


def check_hounsfield(voxels: NDArray[np.generic], name: str = "The CT") -> None:
    """Raises InputError where the range of values is not that of a CT in HU, and says what it looks like instead."""
    low, high = float(voxels.min()), float(voxels.max())
    got = f"{name}: expected a CT in HU (air near -1000, bone above {BONE_HU:g}), got values from {low:g} to {high:g}"
    if low == high:
        raise InputError(f"{got}: every voxel is the same; choose another volume or export it again.")
    if low >= -1 and high <= 1:
        raise InputError(f"{got}: looks scaled to a unit range; give the CT before that step.")
    if low >= 0 and high <= 40 and np.array_equal(voxels, np.round(voxels)):
        raise InputError(f"{got}: looks like a label map; give it as the mask, and the CT as the CT.")
    if low >= 0 and high <= 255:
        raise InputError(f"{got}: looks like 8-bit grey values; export the CT with its original 12 or 16 bits.")
    if low >= 0:
        raise InputError(
            f"{got}: looks like stored values offset by 1024, or like an MR; for a CT subtract 1024 (apply Rescale "
            "Intercept (0028,1052)) or export it again."
        )
    if low >= TISSUE_HU:
        raise InputError(f"{got}: nothing as dark as air or lung; give the CT before windowing, in HU.")
    if high <= BONE_HU:
        raise InputError(f"{got}: nothing as bright as bone; give a CT that shows the spine, before windowing, in HU.")
    _refuse_other_scales(voxels, got)


def _refuse_other_scales(voxels: NDArray[np.generic], got: str) -> None:
    """Raises InputError where most values lie where no tissue does; padding and metal in few voxels pass."""
    step = max(1, voxels.size // 4_000_000) | 1  # odd, so that it does not follow the rows
    sample: NDArray[Any] = voxels.ravel()[::step]
    padding = float(sample.min())
    body = sample[sample > padding] if padding < MEDIAN_HU[0] else sample
    if len(body) == 0:
        body = sample
    middle, top = float(np.median(body)), float(np.percentile(body, 99.9))
    if padding < MEDIAN_HU[0] and float(body.min()) >= 0:
        raise InputError(
            f"{got}: apart from padding nothing below 0, as in stored values offset by 1024; subtract 1024 (apply "
            "Rescale Intercept (0028,1052)) or export it again."
        )
    if top > LARGEST_PERCENTILE_HU:
        raise InputError(
            f"{got}, 0.1 % of them above {top:.0f}: looks like stored values before Rescale Slope (0028,1053), or like "
            "a dose or other map; export the CT in HU."
        )
    if not MEDIAN_HU[0] <= middle <= MEDIAN_HU[1]:
        raise InputError(
            f"{got}, half of them above {middle:.0f}: a body with the air around it has a median from "
            f"{MEDIAN_HU[0]:g} to {MEDIAN_HU[1]:g}; apply Rescale Slope and Intercept (0028,1052) or export it again."
        )


def describe_mask(mask: Volume, name: str = "The mask") -> MaskDescription:
    """What the mask holds: vertebrae in VerSe numbering, or one label for the whole spine.

    A mask whose only label is 1 or 255 and that is taller than 60 mm is a binary spine mask: accepted with a note, as
    label 1 alone would be C1. Raises InputError for fractions, an empty mask, labels without any vertebra, and five or
    more labels above 28 (not 255): then 1-25 are organs.
    """
    voxels = mask.voxels
    if not np.issubdtype(voxels.dtype, np.integer) and voxels.dtype != np.bool_:
        raise InputError(
            f"{name}: expected a label map of whole numbers, got {voxels.dtype} values; read it with read_labels, or "
            "choose the mask instead of the CT."
        )
    found = tuple(int(label) for label in np.unique(voxels) if label != 0)
    if not found:
        raise InputError(f"{name}: expected vertebra labels, got an empty mask; choose another or leave it out.")
    if found in ((1,), (255,)) and labelled_height_mm(mask) > WHOLE_SPINE_MM:
        note = (
            f"{name} has the one label {found[0]}: taken as the whole spine. Numbers per vertebra need labels 1-25 "
            "(C1-L6) and 28 (T13)."
        )
        return MaskDescription(MaskContent.WHOLE_SPINE, (), note)
    others = tuple(label for label in found if label > max(NAME_OF_LABEL) and label != WHOLE_SPINE_LABEL)
    if len(others) >= MANY_OTHER_LABELS or set(others) & TOTALSEGMENTATOR_VERTEBRAE:
        raise InputError(
            f"{name}: expected vertebra labels in VerSe numbering, got labels like {_some(others)}, which "
            "looks like TotalSegmentator's numbering of the whole body (vertebrae 27-50 there): renumber L5..C1 = "
            "27..50 to 24..1, or export the vertebrae alone, as one label."
        )
    labels = vertebra_labels_in(found)
    if not labels:
        raise InputError(
            f"{name}: expected vertebra labels 1-25 (C1-L6) or 28 (T13) in VerSe numbering, got {_some(found)}; "
            "renumber the mask or choose another."
        )
    return MaskDescription(MaskContent.VERTEBRAE, labels, _note_on_others(found, name))


def labelled_height_mm(mask: Volume) -> float:
    """Extent of the labelled voxels along the patient's long axis, outer face to outer face."""
    axes = [np.flatnonzero(np.any(mask.voxels, axis=other)) for other in ((0, 1), (0, 2), (1, 2))]
    if not all(len(indices) for indices in axes):
        return 0.0
    spans_mm = [(indices[-1] - indices[0] + 1) * mm for indices, mm in zip(axes, mask.grid.spacing_mm, strict=True)]
    long_axis = int(np.argmax(np.abs(mask.grid.direction_matrix[2])))
    return float(spans_mm[long_axis])


def prepared_mask(mask: Volume, ct: Volume, name: str = "The mask") -> tuple[Volume, tuple[str, ...]]:
    """The mask as the program uses it, on the CT's grid, and notes on what was done.

    A whole-spine mask becomes uint8 with ``WHOLE_SPINE_LABEL``; in a mask of vertebrae that label means nothing and is
    taken out. Raises InputError as ``describe_mask`` and ``match_mask`` do.
    """
    description = describe_mask(mask, name)
    if description.content is MaskContent.WHOLE_SPINE:
        mask = Volume(np.where(mask.voxels != 0, WHOLE_SPINE_LABEL, 0).astype(np.uint8), mask.grid)
    elif bool(np.any(mask.voxels == WHOLE_SPINE_LABEL)):
        mask = Volume(np.where(mask.voxels == WHOLE_SPINE_LABEL, 0, mask.voxels).astype(mask.voxels.dtype), mask.grid)
    matched, resampled = match_mask(mask, ct)
    return matched, tuple(note for note in (description.note, resampled) if note)


def match_mask(mask: Volume, ct: Volume) -> tuple[Volume, str | None]:
    """The mask on the CT's grid, and a note where it had to be resampled (nearest neighbour).

    Raises InputError where less than 10 % of the mask's vertebra voxels (``target.vertebra_mask``) lie inside the CT,
    or where none is left after resampling.
    """
    if mask.grid.same_as(ct.grid):
        return mask, None
    inside = share_inside(mask, ct.grid)
    if inside < LEAST_OVERLAP:
        same_size = mask.grid.size == ct.grid.size
        hint = " Both have the same size: has one of them lost its header?" if same_size else ""
        raise InputError(
            f"Mask and CT: expected a mask that lies in the CT, got {inside:.0%} of its vertebra voxels inside "
            f"(mask {_place(mask.grid)}; CT {_place(ct.grid)}); choose the mask made from this CT.{hint}"
        )
    note = (
        f"The mask's grid differs from the CT's and was resampled by nearest neighbour; {inside:.0%} of its vertebra "
        "voxels lie inside the CT."
    )
    matched = labels_on_grid(mask, ct.grid)
    if not vertebra_mask(matched.voxels).any():
        raise InputError(
            f"Mask and CT: expected vertebrae in the CT, got no voxel of any after resampling (mask "
            f"{_place(mask.grid)}; CT {_place(ct.grid)}); choose the mask made from this CT, and check both spacings."
        )
    return matched, note


def share_inside(mask: Volume, grid: Grid) -> float:
    """Share (0..1) of the mask's vertebra voxels whose centres lie inside ``grid``; 0 for a mask without any."""
    positions = np.argwhere(vertebra_mask(mask.voxels))
    if len(positions) == 0:
        return 0.0
    positions = positions[:: max(1, len(positions) // 200_000), ::-1]  # (n, 3) as (i, j, k); 200 000 tell enough
    mask_to_grid = grid.world_to_index @ mask.grid.index_to_world
    indices = positions @ mask_to_grid[:3, :3].T + mask_to_grid[:3, 3]
    return float(np.mean(np.all((indices >= -0.5) & (indices <= np.asarray(grid.size) - 0.5), axis=1)))


def check_radiograph(radiograph: Radiograph, name: str = "The radiograph") -> None:
    """Raises InputError for pixels that are not 2D or not finite, a constant image, or one below 64 x 64 pixels."""
    pixels = radiograph.pixels
    if pixels.ndim != 2:
        raise InputError(f"{name}: expected 2D pixels (row, column), got shape {pixels.shape}; choose a radiograph.")
    check_finite(pixels, name)
    if min(pixels.shape) < LEAST_PIXELS:
        raise InputError(
            f"{name}: expected at least {LEAST_PIXELS} x {LEAST_PIXELS} pixels, got {pixels.shape[0]} x "
            f"{pixels.shape[1]} (a thumbnail?); choose the original image."
        )
    if float(pixels.min()) == float(pixels.max()):
        raise InputError(
            f"{name}: expected an image, got the one value {float(pixels.flat[0]):g} everywhere; choose another image."
        )
    spacing = radiograph.pixel_spacing_mm
    if spacing is not None and not all(np.isfinite(mm) and mm > 0 for mm in spacing):
        raise InputError(
            f"{name}: expected pixel spacing (row, column) above 0 mm, got {spacing}; check Imager Pixel Spacing "
            "(0018,1164) or enter it by hand."
        )


def _note_on_others(found: tuple[int, ...], name: str) -> str | None:
    known = {*NAME_OF_LABEL, SACRUM_LABEL, COCCYX_LABEL}
    others = tuple(label for label in found if label not in known)
    return f"{name} also has the labels {_some(others)}, which are no vertebrae: left out." if others else None


def _some(labels: tuple[int, ...]) -> str:
    text = ", ".join(str(label) for label in labels[:20])
    return f"{text}, ... ({len(labels)} labels)" if len(labels) > 20 else text


def _place(grid: Grid) -> str:
    x_mm, y_mm, z_mm = grid.center_mm
    return f"{grid.size} voxels around ({x_mm:.0f}, {y_mm:.0f}, {z_mm:.0f}) mm"
