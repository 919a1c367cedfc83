"""The judgement of a synthetic CT by itself: whether the bone in it can be one spine, and how certain the network is.

No truth is needed. The thresholds are set on DRRs of the real CTs and the phantoms of ``Testing/Benchmarks/
result_checks.py``, which counts false alarms and detections.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

COARSE_SIZE = 48  # the edge in voxels at which a volume is judged: finer ones are averaged
DOUBTFUL = "The result is doubtful: {found}. Check views and geometry, and look at the result."
EMPTY = "No vertebra was found in these radiographs: the synthetic CT is empty. Check views and geometry."

BONE = 0.5
LEAST_PART_ML = 2.0
LEAST_SLICE_CM2 = 1.5  # of bone, for a slice to be one of the spine's; a vertebra has 8 to 20
CERTAINTY_POWER = 8
CERTAINTY_FLOOR_ML = 3.0  # added to all bone, so that a few certain voxels are no spine

LEAST_HEIGHT_MM = 45.0  # two lumbar vertebrae are whole spines of some CTs
LARGEST_PARTS = 2
LARGEST_JUMP_MM = 30.0  # between slices 5.3 mm apart; an arch that begins or ends moves the centre by 20
LEAST_VOLUME_ML = 40.0
LEAST_CERTAINTY = 0.14


@dataclass(frozen=True)
class ResultMeasures:
    """What is measured on a synthetic spine.

    Args:
        certainty: 0 (nothing, or nothing certain) to 1: the mean of p^7 over all bone, each voxel counted with its
            probability of bone p. The right arrangement of two radiographs has nearly always the highest.
        volume_ml: Volume of the bone.
        height_mm: Height of all slices that hold bone.
        parts: Number of connected parts of at least 2 ml.
        jump_mm: Largest step of the bone's centre from one slice to the next.
    """

    certainty: float
    volume_ml: float
    height_mm: float
    parts: int
    jump_mm: float


def measured(probability: NDArray[np.float32], fov_mm: float) -> ResultMeasures:
    """Measure a synthetic spine.

    Args:
        probability: Probability of bone (z, y, x) on a cube; finer cubes are averaged to 48^3 first.
        fov_mm: Edge of the cube.

    Returns:
        The measures.
    """
    coarse = _pooled(probability)
    edge_mm = fov_mm / len(coarse)
    voxel_ml = edge_mm**3 / 1000.0
    bone = coarse > BONE
    parts, _ = ndimage.label(bone, np.ones((3, 3, 3)))
    volumes_ml = np.bincount(parts.ravel())[1:] * voxel_ml
    heights = np.flatnonzero(bone.sum(axis=(1, 2)) * edge_mm**2 / 100.0 >= LEAST_SLICE_CM2)
    return ResultMeasures(
        certainty=_certainty(coarse, CERTAINTY_FLOOR_ML / voxel_ml),
        volume_ml=float(bone.sum() * voxel_ml),
        height_mm=len(heights) * edge_mm,
        parts=int((volumes_ml >= LEAST_PART_ML).sum()),
        jump_mm=_largest_jump(bone, heights) * edge_mm,
    )


def doubts(measures: ResultMeasures) -> tuple[str, ...]:
    """Return what speaks against a synthetic spine, a few words each; nothing if it can be one."""
    found = []
    if measures.volume_ml < LEAST_VOLUME_ML:
        found.append(f"{measures.volume_ml:.0f} ml of bone")
    if measures.height_mm < LEAST_HEIGHT_MM:
        found.append(f"bone over {measures.height_mm:.0f} mm of height only")
    if measures.parts > LARGEST_PARTS:
        found.append(f"bone in {measures.parts} separate parts")
    if measures.jump_mm > LARGEST_JUMP_MM:
        found.append(f"a spine that jumps sideways by {measures.jump_mm:.0f} mm")
    if measures.certainty < LEAST_CERTAINTY:
        found.append(f"a certainty of {measures.certainty:.2f}, where nine in ten right pairs have 0.23 or more")
    return tuple(found)


def doubtful(found: tuple[str, ...], unlike: tuple[str, ...] = ()) -> str:
    """Return the warning of a doubtful result.

    Args:
        found: What speaks against the synthetic spine, from ``doubts``.
        unlike: Which radiographs are unlike those of the training, from ``familiarity.unlike_training``.

    Returns:
        One or two sentences; either argument may be empty, not both.
    """
    clauses = [f"it has {', '.join(found)}"] if found else []
    return DOUBTFUL.format(found="; ".join([*clauses, *unlike]))


def _pooled(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    factor = max(1, len(probability) // COARSE_SIZE)
    size = len(probability) // factor
    kept = probability[: size * factor, : size * factor, : size * factor]
    blocks = kept.reshape(size, factor, size, factor, size, factor)
    pooled: NDArray[np.float32] = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    return pooled


def _certainty(coarse: NDArray[np.float32], floor: float) -> float:
    p = coarse.astype(np.float64)
    return float((p**CERTAINTY_POWER).sum() / (p.sum() + floor))


def _largest_jump(bone: NDArray[np.bool_], heights: NDArray[np.intp]) -> float:
    """Largest distance in voxels between the centres of two neighbouring slices."""
    centers = {int(z): np.argwhere(bone[z]).mean(axis=0) for z in heights}
    steps = [float(np.hypot(*(centers[b] - centers[a]))) for a, b in pairwise(sorted(centers)) if b == a + 1]
    return max(steps, default=0.0)
