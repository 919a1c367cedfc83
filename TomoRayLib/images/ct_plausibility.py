"""What makes a CT in HU unlikely: filled surroundings, clipped values, slices without content, shifted or scaled HU.

Thresholds were set on 20 CTs of 18 people (whole bodies, crops around the spine, metal, contrast, copies from 8 bits).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.images.types import Volume

DARK_HU = -300.0  # darker: air, lung, bowel gas, foam
BONE_HU = 150.0
FILL_HU = -300.0  # a larger constant region of a brighter value is no air
LEAST_FACE_SHARE = 0.02  # of one outer face; 0.007 is the largest in true CTs, whose HU were rounded to multiples of 8
LEAST_REGION_SHARE = 0.005  # of the volume
LEAST_BODY_SHARE = 0.02  # of a slice
LEAST_DARK_SHARE = 0.01  # 0.003 and less in crops inside the body, 0.05 and more where air is in view
SOFT_HU = 200.0  # soft tissue lies between this and its negative
DRAWN_SHARE = 0.4  # of soft tissue; 0.25 at most in true CTs, in one restored from 8 bits
CLIPPED_BONE_SHARE = 0.04  # of the voxels above 150 HU; 0.003 at most in true CTs, of which 0.05 and more exceed 500 HU
USUAL_CLIP_HU = 2900.0  # 12 bits end at 3071, on some scanners at 2976
CLIPPED_DARK_SHARE = 0.01
CLIPPED_DARK_HU = -900.0
AIR_MODE_HU = (-1150.0, -650.0)  # from padding of air to lung; -1000 to -800 in true CTs
LEAST_SOFT_SHARE = 0.03  # from -200 to 200 HU; 0.15 at least in true CTs
_SAMPLE = 500_000  # voxels for shares of values
_COARSE = 2_000_000  # voxels for regions
_THIN = 8  # every eighth row and column of a slice tells whether it is empty


def ct_warnings(volume: Volume, name: str = "The CT") -> tuple[str, ...]:
    """Say what makes a CT in HU unlikely.

    Args:
        volume: Voxels ``(z, y, x)`` that passed the checks of a CT.
        name: The name of the volume at the beginning of sentences.

    Returns:
        What the user should check; empty for a likely CT. Metal and contrast are likely.
    """
    step = max(1, volume.voxels.size // _SAMPLE) | 1  # odd, so that it does not follow the rows
    sample = volume.voxels.ravel()[::step]
    fills = {value for face in _faces(volume.voxels) for value in _constant_values(face)}
    drawn = _is_drawn(sample, fills)
    filled = _filled(volume.voxels, fills & {0.0} if drawn else fills)
    clipped = () if drawn else _clipped(sample)
    found = (filled or _empty_slices(volume.voxels), *clipped, _without_air(sample), _off(sample))
    return tuple(f"{name}: {text}" for text in found if text)


def _is_drawn(sample: NDArray[Any], fills: set[float]) -> bool:
    """True for a phantom without noise: one value beside fills, 0 and the ends holds a good part of the soft tissue."""
    soft = sample[np.abs(sample.astype(np.float32)) < SOFT_HU]
    soft = soft[~np.isin(soft, [0, sample.min(), sample.max(), *fills])]
    counts = np.unique(soft, return_counts=True)[1]
    return len(soft) == 0 or int(counts.max()) > DRAWN_SHARE * len(soft)


def _filled(voxels: NDArray[Any], values: set[float]) -> str | None:
    """A large region of one of ``values`` that touches the border."""
    if not values:
        return None
    step = max(1, round((voxels.size / _COARSE) ** (1 / 3)))
    coarse = voxels[::step, ::step, ::step]
    regions = {value: _share_at_border(coarse == value) for value in sorted(values)}
    value, share = max(regions.items(), key=lambda region: region[1])
    if share < LEAST_REGION_SHARE:
        return None
    like = "water" if abs(value) < 20 else "tissue" if value < BONE_HU else "bone"
    return (
        f"a region of exactly {value:g} HU at its border fills {share:.0%} of it, which reads as {like}: was it "
        f"rotated, resampled or masked with {value:g} as the fill value? Radiographs of it show the fill; use -1000 HU "
        "for it, as for air."
    )


def _faces(voxels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for axis in range(3):
        for end in (0, -1):
            yield np.take(voxels, end, axis=axis)


def _constant_values(face: NDArray[Any]) -> list[float]:
    """Values brighter than air that fill at least 2 % of a face in pieces larger than 2 x 2 pixels."""
    middle = face[1:-1, 1:-1]
    same = (middle > FILL_HU) & (middle == face[:-2, 1:-1]) & (middle == face[2:, 1:-1])
    same &= (middle == face[1:-1, :-2]) & (middle == face[1:-1, 2:])
    values, counts = np.unique(middle[same], return_counts=True)
    return [float(value) for value in values[counts >= LEAST_FACE_SHARE * face.size]]


def _share_at_border(region: NDArray[np.bool_]) -> float:
    """Share of the volume in those connected parts of ``region`` that touch the border and are large."""
    parts, _ = ndimage.label(region)
    at_border = np.unique(np.concatenate([face.ravel() for face in _faces(parts)]))
    sizes = np.bincount(parts.ravel())[at_border[at_border > 0]]
    return float(sizes[sizes >= LEAST_REGION_SHARE / 4 * region.size].sum() / region.size)


def _empty_slices(voxels: NDArray[Any]) -> str | None:
    """Slices of one value with body on both sides of them."""
    for axis, way in enumerate(("slices", "rows", "columns")):
        thin = voxels[tuple(slice(None, None, 1 if other == axis else _THIN) for other in range(3))]
        others = tuple(other for other in range(3) if other != axis)
        body = np.flatnonzero(np.mean(thin > DARK_HU, axis=others) > LEAST_BODY_SHARE)
        if not len(body):
            continue
        alike = np.flatnonzero(thin.min(axis=others) == thin.max(axis=others))
        between = [int(k) for k in alike if body[0] < k < body[-1]]
        empty = [k for k in between if np.ptp(np.take(voxels, k, axis=axis)) == 0]
        if empty:
            return (
                f"{len(empty)} {way} amid the body hold one value alone (the first is number {empty[0]}, counted from "
                "0): are they missing? Export the CT again."
            )
    return None


def _clipped(sample: NDArray[Any]) -> Iterator[str]:
    low, high = float(sample.min()), float(sample.max())
    bone = sample[sample > BONE_HU]
    share = np.count_nonzero(bone == high) / max(1, len(bone))
    if high < USUAL_CLIP_HU and share > CLIPPED_BONE_SHARE:
        yield (
            f"{share:.0%} of what is brighter than {BONE_HU:g} HU has the largest value, {high:g} HU: clipped, by a "
            "window or by 8 bits? Bone is then too dark in radiographs of it; use the CT before that step."
        )
    share = np.count_nonzero(sample == low) / len(sample)
    if low > CLIPPED_DARK_HU and share > CLIPPED_DARK_SHARE:
        yield (
            f"{share:.0%} of it has the smallest value, {low:g} HU: clipped, by a window or by 8 bits? Air is then too "
            "bright in radiographs of it; use the CT before that step."
        )


def _without_air(sample: NDArray[Any]) -> str | None:
    share = np.count_nonzero(sample < DARK_HU) / len(sample)
    if share >= LEAST_DARK_SHARE:
        return None
    return (
        f"only {share:.1%} of it is darker than {DARK_HU:g} HU: a crop inside the body, without the air around it? "
        "Radiographs of it lack what lies outside; use the whole field of view if there is one."
    )


def _off(sample: NDArray[Any]) -> str | None:
    """HU that are shifted or scaled: air or soft tissue is not where it should be."""
    low = float(sample.min())
    dark = sample[(sample < DARK_HU) & (sample > low if low < AIR_MODE_HU[0] else True)]
    if len(dark) > 0.05 * len(sample):
        counts, edges = np.histogram(dark, bins=np.arange(-4000.0, DARK_HU + 1, 50.0))
        mode = float(edges[int(np.argmax(counts))]) + 25
        if not AIR_MODE_HU[0] <= mode <= AIR_MODE_HU[1]:
            return (
                f"most of what should be air reads about {mode:.0f} HU, where -1000 is expected: shifted or scaled "
                "values? Check Rescale Slope and Intercept (0028,1052) or export it again."
            )
    soft = np.count_nonzero(np.abs(sample.astype(np.float32)) < SOFT_HU) / len(sample)
    if soft < LEAST_SOFT_SHARE:
        return (
            f"only {soft:.1%} of it lies between -200 and 200 HU, where soft tissue is: shifted or scaled values? "
            "Check Rescale Slope and Intercept (0028,1052) or export it again."
        )
    return None
