"""Checks that a vertebra mask can be right for its CT: density, order, size, pieces, and where the arches point.

Limits are far from what real masks give: 31 VerSe label maps and 8 masks with their CTs, fractured, cemented and
osteopenic spines among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.numberings import Part, expected_volume_cm3, missing_levels, order_problem
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME, NAME_OF_LABEL, vertebra_labels_in
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.masks.joined import joined_vertebrae
from TomoRayLib.images.masks.parts import parts_of
from TomoRayLib.images.masks.shift_in_ct import better_place
from TomoRayLib.images.types import Volume

THINNED_MM = 3.0  # every check is made on voxels of about this size
LEAST_CONTRAST_HU = 40.0  # eight real masks: 149 to 313, single vertebrae 134 and more
AROUND_MM = (6.0, 14.0)
LARGEST_VOLUMES = 4.0  # times the usual volume; measured: up to 1.6
SPECK_CM3 = 0.5
FAR_PIECE_MM, LARGE_PIECE = 80.0, 0.1  # measured: pieces of more than a tenth within 40 mm
ARCHES_IN_FRONT = -0.04  # measured: +0.07 to +0.16
FEWEST_FOR_FRONT = 2
CLOSE_STEP = 1.5  # T11 and L1 are neighbours, in a spine without T12, up to this ratio to the distance before


@dataclass(frozen=True, eq=False)
class _Thinned:
    """CT and mask on every n-th voxel: HU and labels ``(z, y, x)`` on one grid."""

    hu: NDArray[np.generic]
    mask: Volume


def check_mask_in_ct(mask: Volume, ct: Volume, name: str) -> tuple[str, ...]:
    """Check that a mask can be that of its CT.

    Args:
        mask: Labels in the program's own numbers on the grid of ``ct``.
        ct: The CT in HU.
        name: The name of the mask at the beginning of messages.

    Returns:
        Warnings of what the user should check: a mask aside of the bone, single vertebrae no denser than their
        surroundings, missing levels, two
        vertebrae in one label, specks.

    Raises:
        InputError: If the vertebrae are hardly denser than the tissue around them, in the wrong order along the body,
            mirrored front to back, several times too large, or one of them lies in two places.
    """
    thinned = _thinned(mask, ct)
    aside = _check_contrast(thinned, name)
    parts = {label: part for label, part in parts_of(thinned.mask).items() if label in NAME_OF_LABEL}
    if not parts:
        return aside
    _check_order(parts, name)
    _check_volumes(parts, name)
    boxes = _boxes(thinned.mask.voxels, parts)
    _check_pieces(thinned.mask, boxes, name)
    _check_front(thinned.mask, boxes, name)
    found = (
        _dark(thinned, boxes, name),
        _gaps(parts, name),
        joined_vertebrae(parts, name),
        _specks(parts_of(mask), name),
    )
    return (*aside, *(warning for warning in found if warning))


def _check_contrast(thinned: _Thinned, name: str) -> tuple[str, ...]:
    """Check the density of all vertebrae together: medians of HU inside, and 6 to 14 mm from them.

    A mask of another CT, or one moved aside or backwards by 25 mm, has mostly less than 40 HU: refused. One moved by
    less is denser than its surroundings, but not as dense as what lies 8 or 12 mm beside it: a warning. One moved by
    a whole vertebra or mirrored left to right lies on bone again and is not detected.
    """
    inside = vertebra_mask(thinned.mask.voxels)
    contrast = _contrast(thinned.hu, inside, thinned.mask.grid)
    if contrast is None:
        return ()
    inside_hu, around_hu = contrast
    if inside_hu - around_hu < LEAST_CONTRAST_HU:
        raise InputError(
            f"Expected the vertebrae of {name} to be at least {LEAST_CONTRAST_HU:.0f} HU denser than their "
            f"surroundings, got {inside_hu:.0f} HU inside and {around_hu:.0f} HU around them; is it the mask "
            f"of another CT, or does one of both headers state another place?"
        )
    better = better_place(thinned.hu, inside, thinned.mask.grid, around_hu)
    if better is None:
        return ()
    return (
        f"{name}: fits the CT better if moved {better.text()}: the bone is denser there than under its vertebrae. Does "
        "one of both headers state another place?",
    )


def _thinned(mask: Volume, ct: Volume) -> _Thinned:
    steps = [max(1, round(THINNED_MM / mm)) for mm in mask.grid.spacing_mm]  # i, j, k
    every = tuple(slice(None, None, step) for step in reversed(steps))
    voxels = mask.voxels[every]
    k, j, i = voxels.shape
    x_mm, y_mm, z_mm = (mm * step for mm, step in zip(mask.grid.spacing_mm, steps, strict=True))
    grid = Grid((i, j, k), (x_mm, y_mm, z_mm), mask.grid.origin_mm, mask.grid.direction)
    return _Thinned(ct.voxels[every], replace(mask, voxels=voxels, grid=grid, other_grid=None))


def _contrast(
    hu: NDArray[np.generic], inside: NDArray[np.bool_], grid: Grid, bone: NDArray[np.bool_] | None = None
) -> tuple[float, float] | None:
    """Median HU inside and around, where no other ``bone`` is; None if there is nothing inside or around."""
    boxes = ndimage.find_objects(inside.astype(np.uint8))
    if not boxes:
        return None
    spacing_mm = grid.spacing_mm[::-1]
    wide = _widened(boxes[0], spacing_mm)
    part = inside[wide]
    away_mm = ndimage.distance_transform_edt(~part, sampling=spacing_mm)
    around = (away_mm > AROUND_MM[0]) & (away_mm < AROUND_MM[1])
    if bone is not None:
        around &= ~bone[wide]
    if not around.any():
        return None
    values = hu[wide].astype(np.float32)
    return float(np.median(values[part])), float(np.median(values[around]))


def _widened(box: tuple[slice, ...], spacing_mm: Sequence[float]) -> tuple[slice, ...]:
    margins = [int(np.ceil(AROUND_MM[1] / mm)) for mm in spacing_mm]
    return tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margins, strict=True))


def _boxes(voxels: NDArray[np.integer], labels: Mapping[int, Part]) -> dict[int, tuple[slice, ...]]:
    found = ndimage.find_objects(voxels.astype(np.int32), max_label=max(labels))
    return {label: found[label - 1] for label in vertebra_labels_in(labels) if found[label - 1] is not None}


def _check_order(parts: Mapping[int, Part], name: str) -> None:
    problem = order_problem(parts)
    if problem is not None:
        raise InputError(
            f"{name}: expected its vertebrae from head to feet, but {problem}; is the mask upside down, or are its "
            "numbers those of another numbering? State its numbering, or correct the directions in its header.",
            "labels",
        )


def _check_volumes(parts: Mapping[int, Part], name: str) -> None:
    for label, part in parts.items():
        usual_cm3 = expected_volume_cm3(label)
        if part.volume_cm3 > LARGEST_VOLUMES * usual_cm3:
            raise InputError(
                f"{name}: expected {NAME_OF_LABEL[label]} to have about {usual_cm3:.0f} cm3, got "
                f"{part.volume_cm3:.0f}; is it another structure, or are several joined? State that it is the "
                "whole spine if it is, or correct the mask.",
                "labels",
            )


def _check_pieces(mask: Volume, boxes: Mapping[int, tuple[slice, ...]], name: str) -> None:
    """Raise InputError if a large part of one label lies far from the rest of it."""
    spacing_mm = np.array(mask.grid.spacing_mm[::-1])
    for label, box in boxes.items():
        extent_mm = np.array([s.stop - s.start for s in box]) * spacing_mm
        if np.linalg.norm(extent_mm) < FAR_PIECE_MM:
            continue
        pieces, count = ndimage.label(mask.voxels[box] == label, np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        order = np.argsort(-sizes)[: min(count, 2)]
        if len(order) < 2 or sizes[order[1]] < LARGE_PIECE * sizes.sum():
            continue
        middles = np.array(ndimage.center_of_mass(np.ones_like(pieces), pieces, order + 1)) * spacing_mm
        away_mm = float(np.linalg.norm(middles[0] - middles[1]))
        if away_mm > FAR_PIECE_MM:
            raise InputError(
                f"{name}: expected each vertebra in one place, got {NAME_OF_LABEL[label]} in two pieces "
                f"{away_mm:.0f} mm apart; correct the mask: two vertebrae may have one label."
            )


def _check_front(mask: Volume, boxes: Mapping[int, tuple[slice, ...]], name: str) -> None:
    """Raise InputError if most of the volume lies in the posterior half: the bodies are anterior."""
    towards_back = mask.grid.index_to_world[1, :3]  # mm of y for one step of i, j, k
    shares = []
    for label, box in boxes.items():
        k, j, i = np.nonzero(mask.voxels[box] == label)
        y_mm = towards_back @ np.stack([i, j, k])
        low, high = np.percentile(y_mm, (1, 99))
        if high > low:
            shares.append(((low + high) / 2 - y_mm.mean()) / (high - low))
    if len(shares) >= FEWEST_FOR_FRONT and np.median(shares) < ARCHES_IN_FRONT:
        raise InputError(
            f"{name}: expected vertebrae with their bodies in front and their arches behind, got them the other way "
            "round; is the mask mirrored front to back? Correct the directions in its header, or the CT's."
        )


def _dark(thinned: _Thinned, boxes: Mapping[int, tuple[slice, ...]], name: str) -> str | None:
    """A warning that names the vertebrae that are not denser than the tissue around them."""
    mask = thinned.mask
    bone = vertebra_mask(mask.voxels)
    dark = []
    for label, box in boxes.items():
        wide = _widened(box, mask.grid.spacing_mm[::-1])
        contrast = _contrast(thinned.hu[wide], mask.voxels[wide] == label, mask.grid, bone[wide])
        if contrast is not None and contrast[0] - contrast[1] < LEAST_CONTRAST_HU:
            dark.append(NAME_OF_LABEL[label])
    return f"{name}: not denser than their surroundings in the CT: {', '.join(dark)}. Check them." if dark else None


def _gaps(parts: Mapping[int, Part], name: str) -> str | None:
    missing = [label for label in missing_levels(parts) if not _has_no_t12(label, parts)]
    named = ", ".join(NAME_OF_LABEL[label] for label in missing)
    return f"{name}: {named} missing between its vertebrae. Check the names of the others." if missing else None


def _has_no_t12(label: int, parts: Mapping[int, Part]) -> bool:
    """True for T12 between T11 and L1 that are neighbours: VerSe's numbering of a spine with eleven ribs."""
    t10, t11, t12, l1 = (LABEL_OF_NAME[name] for name in ("T10", "T11", "T12", "L1"))
    if label != t12 or not {t10, t11, l1} <= set(parts):
        return False
    above_mm, here_mm = (parts[a].height_mm - parts[b].height_mm for a, b in pairwise((t10, t11, l1)))
    return here_mm < CLOSE_STEP * above_mm


def _specks(parts: Mapping[int, Part], name: str) -> str | None:
    small = [label for label, part in parts.items() if label in NAME_OF_LABEL and part.volume_cm3 < SPECK_CM3]
    named = ", ".join(f"{NAME_OF_LABEL[label]} ({parts[label].volume_cm3 * 1000:.0f} mm3)" for label in small)
    return f"{name}: only specks, no whole vertebrae: {named}. Check them." if small else None
