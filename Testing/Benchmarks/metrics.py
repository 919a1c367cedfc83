"""Time of the metrics of one realistic case next to scikit-image and surface-distance, in one run.

    python Testing/Benchmarks/metrics.py [--size 192]

The case is a column of ten vertebra-like shapes in a 256 mm cube (2 to 3 % foreground). Ratios above 1 mean that
TomoRay is faster than the other library on the same task; the two libraries are what the results are tested against.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.metrics import evaluate_table, ssim_2d, surface_distances, surface_of

FOV_MM = 256.0
VERTEBRAE = 10
BUDGET_S = 8.0


def column_phantom(size: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Grey values in [0, 1] and labels T8..L5 (VerSe 15-24), both (z, y, x), of a curved column in a 256 mm cube."""
    axis = (np.arange(size) - (size - 1) / 2) * FOV_MM / size
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    labels = np.zeros((size,) * 3, dtype=np.uint8)
    pitch_mm = FOV_MM / VERTEBRAE
    for number in range(VERTEBRAE):
        level = z - (-FOV_MM / 2 + pitch_mm * (number + 0.5))
        back = y - 15 * np.sin((number - VERTEBRAE / 2) * 0.4)
        body = (np.abs(level) < 0.42 * pitch_mm) & ((x / 22) ** 2 + (back / 17) ** 2 < 1)
        ring = ((x / 20) ** 2 + ((back - 28) / 18) ** 2 < 1) & ((x / 10) ** 2 + ((back - 25) / 9) ** 2 > 1)
        arch = (np.abs(level) < 0.3 * pitch_mm) & ring
        spinous = (np.abs(level + 4) < 6) & (np.abs(x) < 4) & (back > 40) & (back < 65)
        transverse = (np.abs(level) < 5) & (np.abs(x) > 18) & (np.abs(x) < 38) & (np.abs(back - 25) < 6)
        labels[body | arch | spinous | transverse] = 24 - number
    noise = np.random.default_rng(seed).standard_normal(labels.shape).astype(np.float32)
    texture = ndimage.gaussian_filter(noise, 1.5)
    grey = np.clip(0.45 + 0.15 * texture / texture.std(), 0.05, 1.0)
    return np.where(labels > 0, grey, 0).astype(np.float32), labels


def seconds(task: Callable[[], Any], repeats: int = 3) -> float:
    """The fastest of ``repeats`` runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def skimage_ssim_2d(prediction: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """The oracle's SSIM2D: mean over the slices of each axis, then of the three axes."""
    from skimage.metrics import structural_similarity

    pairs = ([(prediction.take(i, axis), truth.take(i, axis)) for i in range(truth.shape[axis])] for axis in range(3))
    return float(np.mean([np.mean([structural_similarity(p, t, data_range=1.0) for p, t in axis]) for axis in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=192, help="voxels along each edge of the 256 mm cube")
    size = parser.parse_args().size
    truth, labels = column_phantom(size)
    spacing_mm = (FOV_MM / size,) * 3
    mask = labels > 0
    model = ndimage.gaussian_filter(np.roll(truth, (2, 1), (0, 2)), 1.0)
    atlas = np.clip(ndimage.gaussian_filter(truth, 8) + 0.001, 0, 1)
    predictions = {"tomoray": (model, model > 0.2), "mean_atlas": (atlas, atlas > 0.1)}
    print(f"{size}^3 voxels of {spacing_mm[0]:.3f} mm, {VERTEBRAE} vertebrae, {100 * mask.mean():.1f} % foreground")

    table_s = seconds(lambda: evaluate_table(predictions, truth, labels, spacing_mm))
    print(f"whole table, 3 rows       {table_s:6.2f} s   ({BUDGET_S / table_s:.1f} x faster than the budget of 8 s)")

    from surface_distance import compute_surface_distances

    for name, (grey, predicted) in predictions.items():
        own_s = seconds(lambda grey=grey: ssim_2d(grey, truth))
        other_s = seconds(lambda grey=grey: skimage_ssim_2d(grey, truth), 1)
        print(
            f"SSIM2D {name:11s}        {own_s:6.2f} s   scikit-image     {other_s:6.2f} s   ratio {other_s / own_s:.1f}"
        )
        own_s = seconds(
            lambda predicted=predicted: surface_distances(
                surface_of(mask, spacing_mm), surface_of(predicted, spacing_mm)
            )
        )
        other_s = seconds(lambda predicted=predicted: compute_surface_distances(mask, predicted, spacing_mm[::-1]))
        print(
            f"surfaces {name:11s}      {own_s:6.2f} s   surface-distance {other_s:6.2f} s   ratio {other_s / own_s:.1f}"
        )


if __name__ == "__main__":
    main()
