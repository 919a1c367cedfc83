"""Measures of true label maps beside those of TPTBox, an independent measurer of spines (Apache-2.0).

    pip install TPTBox==1.1.0 rtree
    python Testing/Benchmarks/measures_tptbox.py MASK.nii.gz [MASK.nii.gz ...]

TPTBox wants the body of each vertebra marked; it gets ours: the voxels in front of the back wall and between the sides.
It finds landmarks and directions itself, and measures depth and width of bodies along rays through a mesh, the Cobb
angle, kyphosis and lordosis from directions of vertebrae. Its heights of vertebrae are left out: they depend on where
the vertebra lies in the image (findings/tptbox-vertebra-height.sh). Prints median and 90th percentile of the absolute
differences, and every person's angles.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_labels
from TomoRayLib.measures.spine import MeasuredSpine, measure_spine
from TomoRayLib.measures.vertebral_body import VertebralBody

BEYOND_MM = 2.0  # behind the back wall and at the sides that still counts as body
CORPUS, ARCH = 49, 41
TOLERANCES = {"depth, mm": 1.0, "thoracic_kyphosis_deg": 5.0}  # of the median, what both define alike
ANGLES = {
    "thoracic_kyphosis": ("thoracic_kyphosis_deg", "T4-T12"),
    "lumbar_lordosis": ("lumbar_lordosis_deg", "L1-L5"),
}


def bodies_of(labels: NDArray[np.uint8], grid: Grid, measured: MeasuredSpine) -> NDArray[np.uint8]:
    """VerSe numbers of the voxels (z, y, x) that belong to a measured body."""
    bodies = np.zeros_like(labels)
    k, j, i = np.nonzero(labels)
    matrix = grid.index_to_world
    points = np.stack([i, j, k], axis=1) @ matrix[:3, :3].T + matrix[:3, 3]
    for label, body in measured.bodies.items():
        if isinstance(body, VertebralBody):
            own = labels[k, j, i] == label
            local = (points[own] - body.frame.middle_mm) @ body.frame.axes
            inside = (local[:, 1] <= body.depth_mm / 2 + BEYOND_MM) & (
                np.abs(local[:, 0]) <= body.width_mm / 2 + BEYOND_MM
            )
            bodies[k[own][inside], j[own][inside], i[own][inside]] = label
    return bodies


def by_tptbox(labels: NDArray[np.uint8], bodies: NDArray[np.uint8], grid: Grid) -> dict[str, Any]:
    """Depths and widths by label, kyphosis, lordosis, and the largest Cobb angle, as TPTBox finds them."""
    from TPTBox import NII, Location, calc_poi_from_subreg_vert
    from TPTBox.spine.spinestats.angles import compute_lordosis_and_kyphosis, compute_max_cobb_angle
    from TPTBox.spine.spinestats.measure_ivd_and_vertebra_geometry import measure_ivd_and_vertebra_geometry

    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.index_to_world

    def image(voxels: NDArray[np.uint8]) -> Any:
        return NII(nib.Nifti1Image(voxels.transpose(2, 1, 0).astype(np.uint16), to_ras), True).reorient(("P", "I", "R"))

    vertebrae, body_image = image(labels), image(bodies)
    regions = image(np.where(bodies > 0, CORPUS, np.where(labels > 0, ARCH, 0)).astype(np.uint8))
    wanted = [
        Location.Vertebra_Corpus,
        Location.Vertebra_Direction_Posterior,
        Location.Vertebra_Direction_Right,
        Location.Vertebra_Direction_Inferior,
        Location.Additional_Vertebral_Body_Middle_Inferior_Median,
        Location.Additional_Vertebral_Body_Middle_Superior_Median,
    ]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        points = calc_poi_from_subreg_vert(vertebrae, regions, subreg_id=wanted)
        points.save(f"{folder}/points.json")
        numbers = [int(value) for value in np.unique(bodies) if value]
        shapes = measure_ivd_and_vertebra_geometry(
            None, body_image, regions, f"{folder}/points.json", instance_labels=numbers, structure_label=0
        )
        curves = compute_lordosis_and_kyphosis(points.copy())
        cobb = compute_max_cobb_angle(points.copy())[0]
    return {"shapes": shapes, "cobb": cobb, **curves}


def main() -> None:
    warnings.filterwarnings("ignore")
    paths = [Path(text) for text in sys.argv[1:]]
    if not paths:
        raise SystemExit(__doc__)
    differences: dict[str, list[float]] = {}
    for path in paths:
        volume = read_labels(path)
        labels = volume.voxels.astype(np.uint8)
        ours = measure_spine(labels, volume.grid)
        theirs = by_tptbox(labels, bodies_of(labels, volume.grid, ours), volume.grid)
        for label, body in ours.bodies.items():
            shape = theirs["shapes"].get(label)
            if isinstance(body, VertebralBody) and shape is not None and not shape.get("error"):
                differences.setdefault("depth, mm", []).append(body.depth_mm - float(shape["width_sagittal_x6"]))
        said = []
        pairs = [(key, subject, theirs.get(name)) for name, (key, subject) in ANGLES.items()]
        cobb = next(one for one in ours.measures if one.key == "cobb_deg")
        for key, subject, other in (*pairs, ("cobb_deg", cobb.subject, theirs["cobb"])):
            own = ours.of(key, subject)
            if own is not None and own.value is not None and other is not None:
                differences.setdefault(key, []).append(own.value - float(other))
                said.append(f"{key} {own.value:.1f} (TPTBox {float(other):.1f})")
        print(f"{path.name}: {', '.join(said)}", flush=True)
    beyond = []
    for name, found in differences.items():
        size = np.abs(found)
        if np.median(size) > TOLERANCES.get(name, np.inf):
            beyond.append(name)
        print(
            f"{name}: n = {len(found)}, mean difference {np.mean(found):+.2f}, absolute: median {np.median(size):.2f}, "
            f"90 % below {np.percentile(size, 90):.2f}"
        )
    if beyond:
        raise SystemExit(f"Expected medians within {TOLERANCES}; beyond: {', '.join(beyond)}.")


if __name__ == "__main__":
    main()
