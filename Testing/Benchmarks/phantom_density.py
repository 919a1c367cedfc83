"""HU by depth below the surface of the vertebra mask, at 2 mm: of real CTs and of phantoms, as in docs/training.md.

    python Testing/Benchmarks/phantom_density.py --data DATA [--phantoms 24] [--spines 10] [--bodies 2] [--seed 3]

DATA holds verse/, totalsegmentator/, labelmaps/ and bodies/. Printed are median (5th to 95th percentile): of each real
CT, of the phantoms (mean over them), and the range of the phantoms' medians. Phantoms are drawn from the training's own
ranges, less screws, cages and cement. Spines and bodies are the first so many by name, less those of the validation; of
bodies only those of known levels, those with most of them first, since depth in a vertebra hardly depends on them. CTs
that are held out are left out.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebrae import VERTEBRA_LABELS
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.resampling import cropped, labels_on_grid, resample
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.training.data.held_out import VALIDATION_SUBJECTS, is_held_out_for_ever
from TomoRayLib.training.data.scenes_of_cts import read_pair
from TomoRayLib.training.data.training_cases import find_labelled_cts
from TomoRayLib.training.phantoms.bodies import load_body
from TomoRayLib.training.phantoms.body_levels import LEVELS_OF_BODY
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import SceneSize, body_fits, compose_scene
from TomoRayLib.training.phantoms.spines import load_spine

SPACING_MM = 2.0
DEPTHS_MM = ((0, 2), (2, 4), (4, 6), (6, 9), (9, 99))
FEWEST_VOXELS = 20


def hu_by_depth(share: NDArray[np.floating], hu: NDArray[np.floating]) -> NDArray[np.float64]:
    """(5, 3): 5th, 50th and 95th percentile of HU (z, y, x) at 2 mm by depth below the surface of what is more than
    half bone; NaN where there are few voxels."""
    bone = share > 0.5
    depth_mm = ndimage.distance_transform_edt(np.pad(bone, 1))[1:-1, 1:-1, 1:-1] * SPACING_MM - SPACING_MM / 2
    rows = np.full((len(DEPTHS_MM), 3), np.nan)
    for row, (low, high) in zip(rows, DEPTHS_MM, strict=True):
        values = hu[bone & (depth_mm >= low) & (depth_mm < high)]
        if len(values) > FEWEST_VOXELS:
            row[:] = np.percentile(values, (5, 50, 95))
    return rows


def of_real_ct(case: CohortCase) -> NDArray[np.float64]:
    """``hu_by_depth`` of one labelled CT, whose voxels of 1 mm are averaged by eight."""
    ct, mask = read_pair(case)
    places = np.argwhere(np.isin(mask.voxels, VERTEBRA_LABELS))
    low, high = places.min(axis=0), places.max(axis=0) + 1
    margin = np.ceil(6.0 / np.array(mask.grid.spacing_mm)[::-1]).astype(int)
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, mask.voxels.shape)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    ct, mask = cropped(ct, box), cropped(mask, box)
    corners = mask.grid.corners_mm()
    size = tuple(int(edge) // 2 * 2 for edge in np.ptp(corners, axis=0))
    fine = Grid(size, (1.0,) * 3, tuple(float(a) + 0.5 for a in corners.min(axis=0)))  # type: ignore[arg-type]
    bone = np.isin(labels_on_grid(mask, fine).voxels, VERTEBRA_LABELS).astype(np.float32)
    return hu_by_depth(_halved(bone), _halved(resample(ct, fine).voxels.astype(np.float32)))


def of_phantoms(data: Path, options: argparse.Namespace) -> NDArray[np.float64]:
    """(n, 5, 3): ``hu_by_depth`` of so many phantoms."""
    ranges = dataclasses.replace(PhantomRanges(), implant_share=0.0, cage_share=0.0, cement_share=0.0)
    maps = [path for path in sorted((data / "labelmaps").glob("*.nii.gz")) if _is_free(path.name.split(".")[0])]
    known = sorted((name for name in LEVELS_OF_BODY if _is_free(name)), key=lambda name: -len(LEVELS_OF_BODY[name]))
    spines = [load_spine(path) for path in maps[: options.spines]]
    bodies = [load_body(data / "bodies" / f"{name}.nii.gz") for name in known[: options.bodies]]
    pairs = [(spine, body) for spine in spines for body in bodies if body_fits(spine, body)]
    rng = np.random.default_rng(options.seed)
    rows = []
    for _ in range(options.phantoms):
        scene = compose_scene(*pairs[int(rng.integers(len(pairs)))], rng, SceneSize(spacing_mm=SPACING_MM), ranges)
        rows.append(hu_by_depth(scene.occupancy.numpy() / 255.0, scene.hu.numpy().astype(np.float32)))
    return np.array(rows)


def _is_free(name: str) -> bool:
    return not is_held_out_for_ever(name) and not is_of_subjects(name, VALIDATION_SUBJECTS)


def _halved(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    z, y, x = (n // 2 for n in volume.shape)
    return np.asarray(volume.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5)))


def _print(name: str, rows: NDArray[np.float64]) -> None:
    cells = ["-" if np.isnan(row).any() else f"{row[1]:.0f} ({row[0]:.0f}-{row[2]:.0f})" for row in rows]
    print(f"{name}: {' | '.join(cells)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=24)
    parser.add_argument("--spines", type=int, default=10)
    parser.add_argument("--bodies", type=int, default=2)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("depth, mm: " + " | ".join(f"{low}-{high}" if high < 99 else f"> {low}" for low, high in DEPTHS_MM))
    for folder in ("totalsegmentator", "verse"):
        for case in find_labelled_cts(options.data / folder)[0]:
            if _is_free(case.name):
                _print(case.name, of_real_ct(case))
    rows = of_phantoms(options.data, options)
    _print("phantoms", np.nanmean(rows, axis=0))
    medians = rows[..., 1]
    print("their medians: " + " | ".join(f"{low:.0f} to {high:.0f}" for low, high in _ranges(medians)))


def _ranges(medians: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(float(np.nanmin(column)), float(np.nanmax(column))) for column in medians.T]


if __name__ == "__main__":
    main()
