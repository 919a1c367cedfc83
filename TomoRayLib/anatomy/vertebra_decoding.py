"""Vertebrae told apart: a bone mask and its vertebra field decoded into VerSe numbers.

Every bone voxel votes for the centre of its vertebra. Along the spine's course the votes heap up at the vertebrae;
``spine_chain`` chooses among the heaps, each is a centre at the densest place of its votes, and every voxel belongs to
the centre nearest to its vote. The levels that the field states give one number to the whole chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from TomoRayLib.anatomy.spine_chain import FIRST_NUMBER, LAST_NUMBER, Candidates, best_chain, expected_distance_mm
from TomoRayLib.anatomy.spine_course import places_along_course
from TomoRayLib.anatomy.vertebra_field import FIELD_CHANNELS, LEVEL_MIDDLE, LEVEL_UNIT, OFFSET_UNIT_MM
from TomoRayLib.anatomy.vertebra_islands import without_islands
from TomoRayLib.anatomy.vertebra_naming import SURE, UNSURE, Naming
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.masks import bounding_box

BONE = 0.5
MOST_VOTES = 30_000  # that place the centres; every voxel is given to one of them
# SDs of the density of votes along the course and of its mean nearby, and the density's step, in vertebrae
HEAP, SURROUNDINGS, BIN = 0.16, 1.25, 0.04
BETWEEN = 3  # steps from one place to the next
OUTSIDE_SHARE = 0.01  # of the votes, at either end, that may lie beyond the spine
LEVELS_MM = 20.0  # SD that stated levels are averaged with along the course
WEAKEST_HEAP = 0.4
MODE_MM, MODE_ROUNDS = 7.0, 6
AGREEMENT_MM = 8.0
LARGEST_MISS_MM = 20.0  # of a vote from its centre
# A whole chain of levels may be off by one: the SD of that error has a part that no spread shows, and the spread.
HIDDEN_SD, LEAST_CERTAINTY = 0.25, 0.9
SIXTH_LUMBAR_LOG = -2.5  # one spine in twelve has an L6
MAD_OF_SD = 0.6745  # of a normal distribution

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DecodedVertebra:
    """One vertebra.

    Args:
        number: VerSe number, 1 (C1) to 25 (L6); 28 (T13) only if a person named it so.
        center_mm: LPS mm (x, y, z), where its voxels' votes are densest; outside the grid for some that are cut.
        volume_mm3: Volume of its voxels.
        whole: False if the first or the last slice of the grid along the patient's z cuts it.
        agreement: Share of its voxels whose votes lie within ``AGREEMENT_MM`` of its centre.
    """

    number: int
    center_mm: Vector3
    volume_mm3: float
    whole: bool
    agreement: float

    @property
    def name(self) -> str:
        """``"T12"``."""
        return NAME_OF_LABEL[self.number]

    def to_json_dict(self) -> dict[str, Any]:
        """Number, name, centre, whether it is whole, and how far its voxels agree."""
        center_mm = [round(value, 1) for value in self.center_mm]
        known = {"number": self.number, "name": self.name, "center_mm": center_mm, "whole": self.whole}
        return {**known, "agreement": round(self.agreement, 3)}


@dataclass(frozen=True, eq=False)
class DecodedSpine:
    """The vertebrae of a mask.

    Args:
        labels: VerSe numbers (z, y, x), uint8; 0 where no bone is, and on islands of bone that are no vertebra's.
        vertebrae: From cranial to caudal.
        certainty: Probability, 0 to 1, that the numbers are right as far as the stated levels show; 1 if named.
        named: The vertebra that a person named, from which all are numbered; None: the network's own numbers.
    """

    labels: NDArray[np.uint8]
    vertebrae: tuple[DecodedVertebra, ...]
    certainty: float
    named: Naming | None = None

    @property
    def numbering(self) -> str:
        """``SURE``, or ``UNSURE`` if all numbers may be too high or too low by one or more."""
        return SURE if self.certainty >= LEAST_CERTAINTY else UNSURE

    def on_grid(self, labels: NDArray[np.uint8], grid: Grid) -> DecodedSpine:
        """Return the same vertebrae as ``labels`` (z, y, x) hold them on another grid; those not in it are left out."""
        axis, voxel_mm3 = _axis_of_z(grid), float(np.prod(grid.spacing_mm))
        boxes = dict(enumerate(ndimage.find_objects(labels), start=1))
        held = []
        for vertebra in self.vertebrae:
            box = boxes.get(vertebra.number)
            if box is not None:
                whole = vertebra.whole and box[axis].start > 0 and box[axis].stop < labels.shape[axis]
                volume_mm3 = np.count_nonzero(labels[box] == vertebra.number) * voxel_mm3
                held.append(replace(vertebra, volume_mm3=volume_mm3, whole=whole))
        return DecodedSpine(labels, tuple(held), self.certainty, self.named)

    def to_json_dict(self) -> dict[str, Any]:
        """``vertebrae``, ``numbering``, ``numbering_certainty`` and ``named_by_you`` for ``json.dump``."""
        return {
            "vertebrae": [vertebra.to_json_dict() for vertebra in self.vertebrae],
            "numbering": self.numbering,
            "numbering_certainty": round(self.certainty, 3),
            "named_by_you": self.named.to_json_dict() if self.named is not None else None,
        }


@dataclass(frozen=True, eq=False)
class _Votes:
    """Votes of voxels: the centres voted for in LPS mm (n, 3), weights, VerSe numbers stated, and whether the voxel
    lies in the grid's first or last slice."""

    centers_mm: Floats
    weights: Floats
    numbers: Floats
    at_edge: NDArray[np.bool_]


def decode_vertebrae(mask: NDArray[Any], field: NDArray[Any], grid: Grid) -> DecodedSpine:
    """Tell the vertebrae of a bone mask apart and number them.

    Args:
        mask: Bone (z, y, x), boolean or as a probability, of which more than ``BONE`` counts.
        field: Vertebra field (4, z, y, x) as ``vertebra_field`` states, on ``grid`` or on a grid with the same outer
            faces whose voxels are a whole number of times as large. Only its values on bone matter.
        grid: Grid of the mask, in any position.

    Returns:
        The vertebrae; none for an empty mask.

    Raises:
        ValueError: If the shapes do not fit.
    """
    factors = _factors(mask, field, grid)
    bone = mask if mask.dtype == np.bool_ else mask > BONE
    if not bone.any():
        return DecodedSpine(np.zeros(grid.shape, np.uint8), (), 0.0)
    field_grid = _coarser(grid, factors)
    occupied = _block_means(bone, factors)
    votes = _votes(occupied, field, field_grid)
    centers_mm, steps = _centers(votes)
    own = _votes_of_voxels(bone, occupied, field, field_grid, factors)
    if not len(centers_mm):
        return DecodedSpine(np.zeros(grid.shape, np.uint8), (), 0.0)
    numbers, certainty = _numbered(votes, centers_mm, steps)
    misses_mm, nearest = cKDTree(centers_mm).query(own, distance_upper_bound=LARGEST_MISS_MM)
    labels = np.zeros(grid.shape, np.uint8)
    labels[bone] = np.append(numbers, 0)[nearest]
    agreed = np.zeros(grid.shape, bool)
    agreed[bone] = misses_mm <= AGREEMENT_MM
    box = bounding_box(bone)
    assert box is not None
    labels[box] = without_islands(labels[box], bone[box], grid.spacing_mm)
    return _described(labels, agreed, dict(zip(numbers.tolist(), centers_mm, strict=True)), certainty, grid)


def _factors(mask: NDArray[Any], field: NDArray[Any], grid: Grid) -> tuple[int, int, int]:
    """How many voxels of the mask one of the field holds along (z, y, x). Raises ValueError if shapes do not fit."""
    if mask.shape != grid.shape:
        raise ValueError(f"The mask must have the grid's shape (z, y, x) = {grid.shape}; got {mask.shape}.")
    fits = field.ndim == 4 and field.shape[0] == FIELD_CHANNELS
    if not fits or any(fine % coarse for fine, coarse in zip(mask.shape, field.shape[1:], strict=True)):
        raise ValueError(
            f"The field must be ({FIELD_CHANNELS}, z, y, x) with sizes that divide the mask's {mask.shape}; got "
            f"{field.shape}. Give both on the same cube."
        )
    z, y, x = (fine // coarse for fine, coarse in zip(mask.shape, field.shape[1:], strict=True))
    return (z, y, x)


def _coarser(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """The grid with the same outer faces and voxels larger by ``factors`` along (z, y, x)."""
    along = np.asarray(factors[::-1])
    first = grid.index_to_world @ np.append((along - 1) / 2, 1.0)
    i, j, k = (size // factor for size, factor in zip(grid.size, along, strict=True))
    x, y, z = (spacing * factor for spacing, factor in zip(grid.spacing_mm, along, strict=True))
    return Grid((int(i), int(j), int(k)), (x, y, z), (first[0], first[1], first[2]), grid.direction)


def _block_means(bone: NDArray[np.bool_], factors: tuple[int, int, int]) -> NDArray[np.float32]:
    """Share of bone in each voxel of the field."""
    if factors == (1, 1, 1):
        return bone.astype(np.float32)
    z, y, x = (size // factor for size, factor in zip(bone.shape, factors, strict=True))
    blocks = bone.reshape(z, factors[0], y, factors[1], x, factors[2])
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    return means


def _positions_mm(index: NDArray[np.intp], grid: Grid) -> Floats:
    """LPS mm (n, 3) of voxels (z, y, x) given as (3, n)."""
    scaled = grid.direction_matrix * np.asarray(grid.spacing_mm)
    positions: Floats = index[::-1].T @ scaled.T + np.asarray(grid.origin_mm)
    return positions


def _votes(occupied: NDArray[np.float32], field: NDArray[Any], grid: Grid) -> _Votes:
    """The votes of the field's own voxels, thinned out if there are more than are needed."""
    index = np.stack(np.nonzero(occupied > 0))
    index = index[:, :: max(1, -(-index.shape[1] // MOST_VOTES))]
    values = _at(field, index)
    axis = _axis_of_z(grid)
    slices = index[axis]
    return _Votes(
        centers_mm=_positions_mm(index, grid) + OFFSET_UNIT_MM * values[:3].T,
        weights=np.asarray(occupied[tuple(index)], np.float64),
        numbers=LEVEL_MIDDLE + LEVEL_UNIT * values[3] - 0.5,
        at_edge=(slices == 0) | (slices == grid.shape[axis] - 1),
    )


def _at(field: NDArray[Any], index: NDArray[np.intp]) -> Floats:
    """The field (4, n) at voxels (z, y, x) given as (3, n)."""
    z, y, x = index
    return np.asarray(field[:, z, y, x], np.float64)


def _axis_of_z(grid: Grid) -> int:
    """The axis of arrays (0 to 2) that runs along the patient's z, as nearly as any."""
    return 2 - int(np.abs(grid.direction_matrix[2]).argmax())


def _votes_of_voxels(
    bone: NDArray[np.bool_],
    occupied: NDArray[np.float32],
    field: NDArray[Any],
    field_grid: Grid,
    factors: tuple[int, int, int],
) -> Floats:
    """The centres (n, 3) that the mask's voxels vote for.

    Between the field's voxels the votes are interpolated, not the offsets: within a vertebra they are alike. Voxels of
    the field without bone have no say.
    """
    index = np.stack(np.nonzero(bone))
    if factors == (1, 1, 1):
        offsets = _at(field, index)[:3]
        return _positions_mm(index, field_grid) + OFFSET_UNIT_MM * offsets.T
    places = (index + 0.5) / np.asarray(factors)[:, None] - 0.5
    coarse = np.stack(np.nonzero(occupied > 0))
    votes = _positions_mm(coarse, field_grid) + OFFSET_UNIT_MM * _at(field, coarse)[:3].T
    weights = occupied[tuple(coarse)]
    middle = votes.mean(axis=0)
    sums = []
    for values in (np.ones(len(votes)), *(votes - middle).T):
        volume = np.zeros(occupied.shape, np.float32)
        volume[tuple(coarse)] = weights * values
        sums.append(ndimage.map_coordinates(volume, places, order=1, mode="nearest"))
    return np.stack(sums[1:], axis=-1) / np.maximum(sums[0], 1e-6)[:, None] + middle


def _centers(votes: _Votes) -> tuple[Floats, NDArray[np.intp]]:
    """Centres (n, 3) from cranial to caudal, and how many numbers each lies below the first."""
    places = places_along_course(votes.centers_mm, votes.weights)
    candidates = _candidates(votes, places)
    chosen, numbers = best_chain(candidates)
    if not len(chosen):
        return np.zeros((0, 3)), numbers
    at = candidates.places_mm[chosen]
    gaps_mm = np.concatenate([[np.inf], np.diff(at), [np.inf]])
    reach_mm = 0.5 * np.minimum(np.minimum(gaps_mm[:-1], gaps_mm[1:]), expected_distance_mm(numbers))
    near = [np.abs(places - place) <= reach for place, reach in zip(at, reach_mm, strict=True)]
    return np.stack([_mode(votes.centers_mm[those], votes.weights[those]) for those in near]), numbers - numbers[0]


def _candidates(votes: _Votes, places: Floats) -> Candidates:
    """Where along the course votes heap up: the peaks of their density, and places between, for heaps that merge.

    Densities are taken over the course measured in vertebrae, by the usual distance at the level that is stated there:
    heaps are as wide in the neck as in the loin.
    """
    counted, back = _in_vertebrae(votes, places)
    margin = 4 * HEAP
    first, count = counted.min() - margin, int(np.ceil((np.ptp(counted) + 2 * margin) / BIN)) + 1
    bins = np.rint((counted - first) / BIN).astype(np.intp)
    raw = np.stack(
        [
            np.bincount(bins, votes.weights * values, count)
            for values in (np.ones_like(places), votes.numbers, votes.at_edge.astype(np.float64))
        ]
    )
    narrow = ndimage.gaussian_filter1d(raw, HEAP / BIN, axis=1, mode="constant")
    support = np.cumsum(raw[0]) / raw[0].sum()
    within = ((support > OUTSIDE_SHARE) & (support < 1 - OUTSIDE_SHARE)).astype(np.float64)
    wide, covered = ndimage.gaussian_filter1d([raw[0], within], SURROUNDINGS / BIN, axis=1, mode="constant")
    strengths = narrow[0] * covered / np.maximum(wide, 1e-9)
    inner = narrow[0][1:-1]
    chosen = np.pad((inner > narrow[0][:-2]) & (inner >= narrow[0][2:]), 1)
    chosen[::BETWEEN] = True
    at = np.flatnonzero(chosen & (strengths > WEAKEST_HEAP))
    _, numbers, at_edge = narrow[:, at] / narrow[0, at]
    return Candidates(back(at * BIN + first), strengths[at], numbers, at_edge > 1e-3)


def _in_vertebrae(votes: _Votes, places: Floats) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Places counted in vertebrae instead of mm, and the way back."""
    margin = 5 * LEVELS_MM
    at = np.arange(places.min() - margin, places.max() + margin + 1.0)
    bins = np.rint(places - at[0]).astype(np.intp)
    sums = [np.bincount(bins, votes.weights * values, len(at)) for values in (np.ones_like(places), votes.numbers)]
    weights, numbers = ndimage.gaussian_filter1d(sums, LEVELS_MM, axis=1, mode="nearest", truncate=8.0)
    known = weights > 1e-9 * weights.max()
    levels = np.interp(at, at[known], numbers[known] / weights[known])
    counted = np.cumsum(1.0 / expected_distance_mm(levels))
    return np.interp(places, at, counted), lambda values: np.interp(values, counted, at)


def _mode(points_mm: Floats, weights: Floats) -> Floats:
    """The densest place of a heap: its mean, then the mean of what lies near, a few times over."""
    mode: Floats = np.average(points_mm, axis=0, weights=weights)
    for _ in range(MODE_ROUNDS):
        squared = ((points_mm - mode) ** 2).sum(axis=1)
        mode = np.average(points_mm, axis=0, weights=weights * np.exp(-0.5 * squared / MODE_MM**2) + 1e-12)
    return mode


def _numbered(votes: _Votes, centers_mm: Floats, steps: NDArray[np.intp]) -> tuple[NDArray[np.intp], float]:
    """The centres' numbers, and how certain they are.

    The mean of what a chain's levels say lies between two numbers; all of them may be wrong by the same amount. If
    that error is normal, with the SD of the levels about the chain and a part that does not show, the probability of
    each numbering follows.
    """
    misses_mm, nearest = cKDTree(centers_mm).query(votes.centers_mm)
    heard = misses_mm <= max(AGREEMENT_MM, float(misses_mm.min()))
    firsts = [votes.numbers[heard & (nearest == n)] - step for n, step in enumerate(steps)]  # the first centre's number
    firsts = [numbers for numbers in firsts if len(numbers)]
    middles = np.array([np.median(numbers) for numbers in firsts])
    within = np.median(np.abs(np.concatenate([numbers - np.median(numbers) for numbers in firsts]))) / MAD_OF_SD
    variance = float(middles.var() + within**2 + HIDDEN_SD**2)
    possible = np.arange(FIRST_NUMBER, LAST_NUMBER - steps[-1] + 1)
    logs = -0.5 * (middles.mean() - possible) ** 2 / variance
    logs += SIXTH_LUMBAR_LOG * (possible + steps[-1] == LAST_NUMBER)
    shares = np.exp(logs - logs.max())
    first = int(possible[shares.argmax()])
    return first + steps, float(shares.max() / shares.sum())


def _described(
    labels: NDArray[np.uint8], agreed: NDArray[np.bool_], centers_mm: dict[int, Floats], certainty: float, grid: Grid
) -> DecodedSpine:
    """The vertebrae that have voxels, from cranial to caudal."""
    counts, agreeing = np.bincount(labels[labels > 0]), np.bincount(labels[agreed])
    found = []
    for number, (x, y, z) in centers_mm.items():
        if number < len(counts) and counts[number]:
            share = float(agreeing[number] / counts[number]) if number < len(agreeing) else 0.0
            found.append(DecodedVertebra(number, (float(x), float(y), float(z)), 0.0, True, share))
    return DecodedSpine(labels, tuple(found), certainty).on_grid(labels, grid)
