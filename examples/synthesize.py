"""Make a synthetic CT from two radiographs.

python examples/synthesize.py AP LATERAL [--out FOLDER]; render_drr.py and `make demo` write such files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from TomoRayLib import find_model, load_network, read_radiograph, synthesize, write_volume
from TomoRayLib.synthesis import GeometryOptions, radiograph_views


def main(ap_path: Path, lateral_path: Path, out: Path) -> None:
    ap, lateral = read_radiograph(ap_path), read_radiograph(lateral_path)
    views, notes = radiograph_views(ap, lateral, GeometryOptions())  # from the files, else a preset
    print(*notes, sep="\n")

    entry = find_model()  # the default model of the registry
    synthetic = synthesize(ap.pixels, lateral.pixels, views, load_network(entry), entry)

    out.mkdir(parents=True, exist_ok=True)
    write_volume(out / "synthetic_ct.nrrd", synthetic.hu())
    write_volume(out / "synthetic_vertebrae.nrrd", synthetic.vertebrae())
    print(f"{synthetic.grid.size} voxels, {int(synthetic.mask.sum())} of them bone: {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("ap", type=Path)
    parser.add_argument("lateral", type=Path)
    parser.add_argument("--out", type=Path, default=Path("output/synthesis"))
    arguments = parser.parse_args()
    main(arguments.ap, arguments.lateral, arguments.out)
