"""The projector beside ``plastimatch drr`` (exact) on the demonstration CT: error, correlation and time per view.

    python Testing/Benchmarks/projector.py

The CT is resampled to 256^3 voxels of 1 mm with one voxel of air all round (plastimatch drops the layer at the exit
face). SAD 1000, SID 1536 mm. plastimatch's time is what it reports for ray tracing alone, without reading and HU
conversion; ours is the median of five calls after the first, which builds the tables and is shown too.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from TomoRayLib.demonstration import default_cache, fetch_demonstration
from TomoRayLib.geometry import ConeBeam, Detector, Grid, View, c_arm
from TomoRayLib.images import Volume, resample, write_volume
from TomoRayLib.projector import hu_to_attenuation, project


def padded_ct() -> Volume:
    """The demonstration CT on 256^3 voxels of 1 mm about its middle, its outermost voxels air."""
    ct = fetch_demonstration(default_cache(dict(os.environ))).ct
    cube = Grid.cube(ct.grid.center_mm, 256.0, 256)
    voxels = resample(ct, cube).voxels
    for axis in range(3):
        np.moveaxis(voxels, axis, 0)[[0, -1]] = -1000.0
    return Volume(voxels, cube)


def plastimatch_image(path: Path, view: View, size: int, pixel_mm: float) -> tuple[np.ndarray, float]:
    """Line integrals (rows, columns) and seconds of ray tracing."""
    beam = view.beam
    assert isinstance(beam, ConeBeam)
    prefix = path.parent / f"{size}-{view.gantry_angle_deg:.0f}-"
    numbers = lambda values: " ".join(f"{value:.10g}" for value in values)  # noqa: E731
    command = ["plastimatch", "drr", "-i", "exact", "-t", "raw", "-O", str(prefix), "--nrm", numbers(view.to_source)]
    command += ["--sad", str(beam.sad_mm), "--sid", str(beam.sid_mm), "-r", f"{size} {size}"]
    command += ["-z", f"{size * pixel_mm} {size * pixel_mm}", "-o", numbers(view.isocenter_mm), str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (raw,) = path.parent.glob(f"{prefix.name}*.raw")
    found = re.search(r"Total time:\s*([0-9.]+)", printed)
    image = np.fromfile(raw, dtype="<f4").reshape(size, size) * 10.0  # its scale is a tenth of the integral
    return image, float(found.group(1)) if found else float("nan")


def main() -> None:
    if shutil.which("plastimatch") is None:
        sys.exit("plastimatch is not installed; apt install plastimatch.")
    ct = padded_ct()
    attenuation = hu_to_attenuation(torch.from_numpy(ct.voxels))
    pair = c_arm(ct.grid.center_mm)
    print("view     detector  rel. RMSE %  correlation   ours s (first)   plastimatch s   ratio")
    with tempfile.TemporaryDirectory(prefix="tomoray-") as folder:
        path = Path(folder) / "ct.mha"
        write_volume(path, ct)
        for size, pixel_mm in ((256, 1.0), (1024, 0.4)):
            for name, nominal in (("AP", pair.ap), ("lateral", pair.lateral)):
                detector = Detector(size, size, (pixel_mm, pixel_mm))
                view = View(
                    ConeBeam(1000.0, 1536.0), detector, nominal.gantry_angle_deg, isocenter_mm=pair.isocenter_mm
                )
                seconds = []
                for _ in range(6):
                    started = time.perf_counter()
                    image = project(attenuation, ct.grid, view).numpy()
                    seconds.append(time.perf_counter() - started)
                expected, its_seconds = plastimatch_image(path, view, size, pixel_mm)
                rmse = 100 * np.sqrt(((image - expected) ** 2).mean() / (expected**2).mean())
                correlation = np.corrcoef(image.ravel(), expected.ravel())[0, 1]
                ours = statistics.median(seconds[1:])
                print(
                    f"{name:8} {size:5}^2   {rmse:10.4f}  {correlation:11.8f}   {ours:6.3f} ({seconds[0]:.3f})   "
                    f"{its_seconds:13.3f}   {ours / its_seconds:5.2f}"
                )


if __name__ == "__main__":
    main()
