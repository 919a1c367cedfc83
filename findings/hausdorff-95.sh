#!/usr/bin/env bash
# Two libraries give 0 and 8 mm for the 95th percentile Hausdorff distance of the same pair of masks.
#
# Guess: HD95 is one number; libraries differ by half a voxel at most.
# What happens: for a vertebra whose spinous process was missed, surface-distance takes the 95th percentile in each
# direction and keeps the larger: 8 mm. MedPy throws the distances of both directions into one list before it takes the
# percentile: the process is then below 5 % of it, and the result is 0 mm, a perfect score.
# Why it matters: posterior elements are thin and are what a CT from two radiographs misses; figures of two papers are
# comparable only with the library named.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 surface-distance==0.1 medpy==0.5.2
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from medpy.metric import binary
from surface_distance import compute_robust_hausdorff, compute_surface_distances

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("MedPy", version("medpy"), "surface-distance", version("surface-distance"))
prediction = np.zeros((40, 60, 40), bool)
prediction[10:30, 10:30, 10:30] = True  # the body, voxels of 1 mm
truth = prediction.copy()
truth[18:22, 30:46, 18:22] = True  # and a process of 16 mm
distances = compute_surface_distances(truth, prediction, (1, 1, 1))
observe("surface-distance, HD95 in mm", float(compute_robust_hausdorff(distances, 95)), 8.0)
observe("MedPy, HD95 in mm", float(binary.hd95(prediction, truth)), 0.0)
observe("surface-distance, HD in mm", float(compute_robust_hausdorff(distances, 100)), 16.0)
observe("MedPy, HD in mm", float(binary.hd(prediction, truth)), 16.0)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
