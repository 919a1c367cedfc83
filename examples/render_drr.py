"""Render the AP and lateral radiographs (DRRs) of a CT, and an oblique view of your own.

python examples/render_drr.py [CT] [--out FOLDER]; without a CT: the built-in analytical phantom.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from TomoRayLib import c_arm, hu_to_attenuation, project, read_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.synthesis import write_radiograph


def main(ct_path: Path | None, out: Path) -> None:
    ct = read_volume(ct_path) if ct_path else phantom_volumes()[0]
    attenuation_per_mm = hu_to_attenuation(torch.as_tensor(ct.voxels, dtype=torch.float32))  # (z, y, x)

    pair = c_arm(ct.grid.center_mm)  # both views turn about the CT's centre
    oblique = replace(pair.ap, gantry_angle_deg=30.0, tilt_deg=20.0)

    out.mkdir(parents=True, exist_ok=True)
    for name, view in {"ap": pair.ap, "lat": pair.lateral, "oblique": oblique}.items():
        line_integrals = project(attenuation_per_mm, ct.grid, view)  # (rows, columns), row 0 at the top
        write_radiograph(out, name, line_integrals.numpy(), view)  # NRRD with its geometry, and PNG
        print(f"{out / name}.nrrd: {tuple(line_integrals.shape)}, up to {float(line_integrals.max()):.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("output/drr"))
    arguments = parser.parse_args()
    main(arguments.ct, arguments.out)
