"""The projector's error on real CTs and on solid bodies of known chords, as a table in Markdown.

    python Testing/Benchmarks/projector_accuracy.py [CT ...]

CTs (any file that TomoRay reads; without one, the demonstration CT) are padded with a voxel of air all round, since
plastimatch drops the layer at the exit face, and projected at their own spacing; axes are swapped or turned round to
run along LPS, if that is all it takes. The truth is plastimatch's exact trace for such CTs, if it is installed.
If RTK is installed, its Joseph projection stands next to this project's; the environment that ``projector.py``
leaves has it:

    PYTHONPATH=. output/bench-projector/environment/bin/python Testing/Benchmarks/projector_accuracy.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk
import torch
from projector import request_of
from projector_peers import RtkJoseph
from scipy.ndimage import gaussian_filter

from TomoRayLib.geometry.beams import ConeBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.types import Volume, volume_from_sitk, volume_to_sitk
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration
from TomoRayLib.projector import hu_to_attenuation, project, rays_of, trace_rays

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from support.projector_reference import Cylinder, Sphere, rays_of_view, relative_rmse, share_of_voxels

DETECTOR = Detector(160, 160, (2.4, 2.4))
POSES = {
    "AP": (0.0, 0.0, 0.0),
    "lateral": (90.0, 0.0, 0.0),
    "AP, rolled by 1": (0.0, 0.0, 1.0),
    "oblique 30, tilt 10": (30.0, 10.0, 0.0),
    "oblique 45": (45.0, 0.0, 0.0),
    "tilt 60": (0.0, 60.0, 0.0),
}
TRACED = ("AP", "oblique 30, tilt 10")  # tracing every ray takes long


def padded(ct: Volume) -> Volume:
    """One voxel of air more on every side."""
    voxels = np.pad(np.asarray(ct.voxels, dtype=np.float32), 1, constant_values=-1000.0)
    grid = ct.grid
    x, y, z = (grid.index_to_world @ (-1, -1, -1, 1))[:3].tolist()
    size = (grid.size[0] + 2, grid.size[1] + 2, grid.size[2] + 2)
    return Volume(voxels, Grid(size, grid.spacing_mm, (x, y, z), grid.direction))


def along_lps(ct: Volume) -> Volume:
    """The same CT with its axes swapped and turned round so that they run along LPS, as far as that can be done without
    sampling it anew."""
    return volume_from_sitk(sitk.DICOMOrient(volume_to_sitk(ct), "LPS"))


def plastimatch_exact(path: Path, view: View) -> np.ndarray:
    """Line integrals (rows, columns)."""
    beam, detector = view.beam, view.detector
    assert isinstance(beam, ConeBeam)
    numbers = lambda values: " ".join(f"{value:.10g}" for value in values)  # noqa: E731
    size_mm = np.multiply(detector.shape, detector.pixel_spacing_mm)
    command = ["plastimatch", "drr", "-i", "exact", "-t", "raw", "-O", str(path.parent / "drr")]
    command += ["--nrm", numbers(view.to_source), "--vup", numbers(-view.down), "--sad", str(beam.sad_mm)]
    command += ["--sid", str(beam.sid_mm), "-r", numbers(detector.shape), "-z", numbers(size_mm)]
    command += ["-o", numbers(view.isocenter_mm), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    (raw,) = path.parent.glob("drr*.raw")
    return np.fromfile(raw, dtype="<f4").reshape(detector.shape) * 10.0  # it writes a tenth of the integral


def has_rtk() -> bool:
    try:
        from itk import RTK  # noqa: F401
    except ImportError:
        return False
    return True


def rtk_joseph(attenuation: torch.Tensor, grid: Grid, view: View) -> np.ndarray:
    """RTK's line integrals (rows, columns), interpolated between voxels, on a grid along LPS."""
    case = SimpleNamespace(
        attenuation=attenuation.numpy(), origin=np.array(grid.origin_mm), spacing=np.array(grid.spacing_mm)
    )
    rtk = RtkJoseph(case)
    rtk.prepare(request_of(view))
    return rtk.image()


def row(what: str, pose: str, image: np.ndarray, expected: np.ndarray, truth: str) -> str:
    correlation = np.corrcoef(image.ravel(), expected.ravel())[0, 1]
    return f"| {what} | {pose} | {truth} | {100 * relative_rmse(image, expected):.4f} | {correlation:.7f} |"


def rows_of_ct(name: str, ct: Volume, folder: Path) -> list[str]:
    """Every pose against plastimatch; the ray trace and Joseph's interpolation for AP and one oblique view."""
    ct = padded(along_lps(ct))
    attenuation = hu_to_attenuation(torch.from_numpy(ct.voxels))
    straight = np.abs(ct.grid.direction_matrix - np.eye(3)).max() < 1e-6
    has_plastimatch = shutil.which("plastimatch") is not None and straight
    path = folder / "ct.mha"
    write_volume(path, ct)
    lines = []
    for pose, angles in POSES.items():
        view = View(ConeBeam(1000.0, 1536.0), DETECTOR, *angles, isocenter_mm=ct.grid.center_mm)
        traced = None
        if not has_plastimatch or pose in TRACED:
            traced = project(attenuation, ct.grid, view, method="rays").numpy()
        expected = plastimatch_exact(path, view) if has_plastimatch else np.asarray(traced)
        truth = "plastimatch exact" if has_plastimatch else "own ray trace"
        lines.append(row(name, pose, project(attenuation, ct.grid, view).numpy(), expected, truth))
        if traced is not None and has_plastimatch:
            lines.append(row(f"{name}, rays", pose, traced, expected, truth))
        if pose in TRACED:
            joseph = trace_rays(attenuation, ct.grid, *rays_of(view), "linear").numpy()
            lines.append(row(f"{name}, rays, linear", pose, joseph, expected, truth))
            if straight and has_rtk():
                theirs = rtk_joseph(attenuation, ct.grid, view)
                lines.append(row(f"{name}, RTK's Joseph", pose, theirs, expected, truth))
                lines.append(row(f"{name}, rays, linear", pose, joseph, theirs, "RTK's Joseph"))
    return lines


def rows_of_bodies() -> list[str]:
    """A sphere and an inclined cylinder of 0.02 / mm, their images blurred by 2 pixels, against closed forms."""
    grid = Grid((110, 120, 90), (1.0, 0.9, 1.2), (-54.5, -53.5, -53.4))
    bodies = {
        "sphere of 40 mm": Sphere((3.0, -2.0, 1.0), 40.0),
        "inclined cylinder": Cylinder((-1.0, 2.0, 0.5), (0.35, -0.25, 0.9), 24.0, 80.0),
    }
    detector = Detector(160, 160, (1.3, 1.1), (3.0, -4.0))
    views = {pose: View(ConeBeam(1000.0, 1536.0), detector, *angles) for pose, angles in POSES.items()}
    views["slot scan, 30"] = View(SlotScan(1000.0, 1300.0), detector, 30.0)
    lines = []
    for name, body in bodies.items():
        volume = torch.from_numpy(0.02 * share_of_voxels(body, grid, 3)).float()
        for pose, view in views.items():
            expected = 0.02 * body.chord_mm(*rays_of_view(view))
            image = project(volume, grid, view).double().numpy()
            image, expected = gaussian_filter(image, 2.0), gaussian_filter(expected, 2.0)
            lines.append(row(name, pose, image, expected, "closed form"))
    return lines


def main() -> None:
    named = {Path(path).name.split(".")[0]: read_volume(path) for path in sys.argv[1:]}
    if not named:
        named = {"demonstration CT": fetch_demonstration(default_cache(dict(os.environ))).ct}
    print("| volume | view (degrees) | truth | rel. RMSE % | correlation |\n|---|---|---|---|---|")
    for name, ct in named.items():
        with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
            print("\n".join(rows_of_ct(name, ct, Path(folder))), flush=True)
    print("\n".join(rows_of_bodies()))


if __name__ == "__main__":
    main()
