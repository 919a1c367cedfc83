"""The chain of vertebrae in a row of candidates along a spine: which of them are vertebrae, and of which number.

Candidates lie along the spine's course from cranial to caudal, each with its strength and an estimate of its number. A
chain is judged by the strength of its members, their distances, which grow down the spine, and their estimates, which
weigh least: neighbours that stand at a vertebra's distance are neighbours whatever the estimates say. The best chain
is found exactly, by dynamic programming over candidates and numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_NUMBER, LAST_NUMBER = 1, 25  # C1 to L6
# Between the centroids of C1 and C2, C2 and C3, ... in adults: means of 31 spines. The last has no lower neighbour.
_OF_THE_NECK = (17.8, 18.5, 17.0, 16.5, 16.8, 18.3, 19.5)
_OF_THE_CHEST = (21.3, 22.0, 22.0, 22.8, 23.4, 24.1, 24.8, 25.1, 25.5, 27.7, 29.9, 31.0)
_OF_THE_LOIN = (32.3, 33.3, 33.1, 31.5, 31.5, 31.5)
DISTANCES_MM = np.array((*_OF_THE_NECK, *_OF_THE_CHEST, *_OF_THE_LOIN))
SCALES = (0.65, 0.8, 1.0, 1.2)  # of a patient's distances against these: from a child of five to a tall adult
SCALE_SD = 0.3  # of their logarithm, as of each distance's below
NEARER_SD, FARTHER_SD = 0.18, 0.25
LEAST_STRENGTH, LARGEST_STRENGTH = 0.4, 1.5
ESTIMATE_SD, ESTIMATE_LIMIT = 1.0, 0.4  # in vertebrae; the most that an estimate costs
MISSING_COST = 1.5  # of each vertebra that is left out between two others
LARGEST_STEP = 3
CUT_EASING = 0.25  # the centroid of what the grid's edge leaves of a vertebra is nearer to its neighbour's
_NUMBERS = np.arange(FIRST_NUMBER, LAST_NUMBER + 1)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Places where a vertebra may be, from cranial to caudal, each array (n,).

    Args:
        places_mm: Arc length along the spine's course, ascending.
        strengths: Density of the evidence over its mean nearby: 1 tells nothing, 1.5 or more a vertebra.
        numbers: Estimates of the VerSe numbers.
        cut: Whether the grid's edge cuts what is there.
    """

    places_mm: NDArray[np.float64]
    strengths: NDArray[np.float64]
    numbers: NDArray[np.float64]
    cut: NDArray[np.bool_]


def best_chain(candidates: Candidates) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the candidates that are vertebrae.

    Args:
        candidates: All places.

    Returns:
        Their indices, ascending, and a number for each, ascending from ``FIRST_NUMBER`` to ``LAST_NUMBER`` at most; a
        step of two or three where vertebrae are missing between them. Both are empty without a candidate.
    """
    if not len(candidates.places_mm):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    chains = [_best_of_scale(candidates, scale) for scale in SCALES]
    _, indices, numbers = max(chains, key=lambda chain: chain[0])
    return indices, numbers


def expected_distance_mm(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """The usual distances of vertebrae's centroids from the next lower one's, for numbers that need not be whole."""
    return np.asarray(np.interp(numbers, _NUMBERS, DISTANCES_MM))


def _best_of_scale(candidates: Candidates, scale: float) -> tuple[float, NDArray[np.intp], NDArray[np.intp]]:
    """The best chain's score, indices and numbers for a patient of one size."""
    own = _own_scores(candidates)
    scores, before, steps = own.copy(), np.full(own.shape, -1), np.zeros(own.shape, np.intp)
    for index in range(1, len(own)):
        for step in range(1, LARGEST_STEP + 1):
            earlier, links = _links(candidates, index, step, scale)
            if not len(earlier):
                continue
            reached = scores[earlier, :-step] + links
            best = reached.argmax(axis=0)
            gained = own[index, step:] + reached[best, np.arange(reached.shape[1])]
            better = gained > scores[index, step:]
            scores[index, step:][better] = gained[better]
            before[index, step:][better] = earlier[best][better]
            steps[index, step:][better] = step
    index, column = (int(place) for place in np.unravel_index(scores.argmax(), scores.shape))
    score = float(scores[index, column]) - 0.5 * (np.log(scale) / SCALE_SD) ** 2
    indices, columns = [], []
    while index >= 0:
        indices.append(index)
        columns.append(column)
        index, column = int(before[index, column]), column - int(steps[index, column])
    return score, np.array(indices[::-1], np.intp), _NUMBERS[np.array(columns[::-1], np.intp)]


def _own_scores(candidates: Candidates) -> NDArray[np.float64]:
    """(n, numbers): what each candidate is worth by itself as each vertebra."""
    off = (candidates.numbers[:, None] - _NUMBERS) / ESTIMATE_SD
    strengths = np.minimum(candidates.strengths, LARGEST_STRENGTH) - LEAST_STRENGTH
    worth: NDArray[np.float64] = strengths[:, None] - np.minimum(0.5 * off**2, ESTIMATE_LIMIT)
    return worth


def _links(candidates: Candidates, index: int, step: int, scale: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Earlier candidates (m,), and what a step from each to ``index`` costs by its lower number (m, numbers - step)."""
    usual = scale * np.convolve(DISTANCES_MM, np.ones(step), "valid")[: len(_NUMBERS) - step]
    distances = candidates.places_mm[index] - candidates.places_mm[:index]
    earlier = np.flatnonzero((distances > 0.3 * usual.min()) & (distances < 2.0 * usual.max()))
    off = np.log(distances[earlier, None] / usual)
    cost = 0.5 * (off / np.where(off < 0, NEARER_SD, FARTHER_SD)) ** 2
    may_be_cut = candidates.cut[earlier] | (earlier == 0) | candidates.cut[index] | (index == len(candidates.cut) - 1)
    eased = may_be_cut[:, None] & (off < 0)
    return earlier, -np.where(eased, CUT_EASING, 1.0) * cost - MISSING_COST * (step - 1)
