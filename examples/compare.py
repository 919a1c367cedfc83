"""Score a synthetic CT against the CT that its radiographs were rendered from.

python examples/compare.py [CT SEGMENTATION]; without files: the built-in analytical phantom.
"""

from __future__ import annotations

import sys

import torch

import TomoRayLib as tomoray
from TomoRayLib.anatomy import LookupTable
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes


def main(paths: list[str]) -> None:
    if paths:
        ct, labels = tomoray.read_volume(paths[0]), tomoray.read_labels(paths[1])
    else:
        ct, labels = phantom_volumes()

    views = tomoray.c_arm(ct.grid.center_mm)  # the command line takes the middle of the vertebrae
    attenuation_per_mm = tomoray.hu_to_attenuation(torch.as_tensor(ct.voxels, dtype=torch.float32))
    pair = (views.ap, views.lateral)
    ap, lateral = (tomoray.project(attenuation_per_mm, ct.grid, view).numpy() for view in pair)

    entry = tomoray.find_model()
    synthetic = tomoray.synthesize(ap, lateral, views, tomoray.load_network(entry), entry)
    truth = tomoray.ground_truth(ct, labels, synthetic.grid, LookupTable.linear())
    table = tomoray.compare(synthetic, truth, entry)  # rows: tomoray, blank (an empty volume), mean_atlas

    print(f"{'':20}" + "".join(f"{name:>12}" for name in table.names))
    for key in ("cosine_similarity", "psnr_3d_db", "dice", "hd95_mm", "nsd_2mm", "mae_in_mask_hu"):
        print(f"{key:20}" + "".join(f"{table[name][key]:12.3f}" for name in table.names))


if __name__ == "__main__":
    main(sys.argv[1:])
