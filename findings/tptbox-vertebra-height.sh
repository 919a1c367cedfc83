#!/usr/bin/env bash
# TPTBox measures another height of one and the same vertebra in another place of the image.
#
# Guess: the heights that TPTBox gives of a vertebral body depend on the body and on its landmarks, not on where the image
# begins; a box that is 24 mm high is 24 mm high.
# What happens: of three equal bodies, one above the other, it gives three central heights between 27 and 47 mm, and other
# ones again if empty slices are added in front. The landmarks that it finds are right, to a degree. The upward direction is
# made of the place of the lower landmark with its sign turned, and of the centre, taken off: so it points to where the
# vertebra lies in the image, and rays along it cross the body at a slant. Depth and width, whose directions are differences
# of two places, are right to half a millimetre.
# Why it matters: heights of vertebral bodies are what a fracture is told by, and cohorts are measured with this function.
# Its depths, widths and angles can be compared with ours, its heights of vertebrae cannot.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check TPTBox==1.1.0 rtree==1.4.1 nibabel==5.4.2
cd "$work"
"$work/venv/bin/python" -W ignore -I - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import nibabel
import numpy as np
from TPTBox import NII, Location, calc_poi_from_subreg_vert
from TPTBox.spine.spinestats.measure_ivd_and_vertebra_geometry import measure_ivd_and_vertebra_geometry

print("TPTBox", version("TPTBox"))
LABELS, HIGH, DEEP, WIDE = (20, 21, 22), 24, 32, 42
CORPUS, ARCH, SPINOUS, LEFT, RIGHT = 49, 41, 42, 43, 44
changed = []


def drawn(before):
    """L1 to L3, equal, 34 mm apart, axes P, I, R of 1 mm; ``before`` empty slices above the first."""
    labels = np.zeros((110, before + 140, 110), np.uint16)
    regions, bodies = labels.copy(), labels.copy()
    for number, label in enumerate(LABELS):
        top = before + 20 + 34 * number
        for region, back, down, right in (
            (CORPUS, (10, 10 + DEEP), (0, HIGH), (34, 34 + WIDE)),
            (ARCH, (42, 56), (5, 17), (38, 46)),
            (ARCH, (42, 56), (5, 17), (64, 72)),
            (ARCH, (56, 64), (5, 17), (38, 72)),
            (SPINOUS, (64, 86), (6, 18), (51, 59)),
            (LEFT, (56, 64), (7, 15), (20, 38)),
            (RIGHT, (56, 64), (7, 15), (72, 90)),
        ):
            place = slice(*back), slice(top + down[0], top + down[1]), slice(*right)
            labels[place], regions[place] = label, region
            if region == CORPUS:
                bodies[place] = label
    return labels, regions, bodies


def image(voxels):
    affine = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])  # axes P, I, R
    return NII(nibabel.Nifti1Image(voxels, affine), True)


def measured(before, name):
    labels, regions, bodies = (image(voxels) for voxels in drawn(before))
    asked = ["Vertebra_Corpus", "Vertebra_Direction_Inferior", "Vertebra_Direction_Posterior", "Vertebra_Direction_Right"]
    with contextlib.redirect_stdout(io.StringIO()):
        points = calc_poi_from_subreg_vert(labels, regions, subreg_id=[Location[one] for one in asked])
        points.save(name)
        found = measure_ivd_and_vertebra_geometry(
            None, bodies, regions, buffer_poi=name, instance_labels=list(LABELS), structure_label=0
        )
    ways = [
        np.subtract(points[label, Location.Vertebra_Direction_Inferior], points[label, Location.Vertebra_Corpus])
        for label in LABELS
    ]
    tilt = max(np.degrees(np.arccos(abs(way[1]) / np.linalg.norm(way))) for way in ways)
    sizes = [[float(found[label][key]) for label in LABELS] for key in ("height_center", "width_sagittal_x6", "width_lateral_x5")]
    return tilt, *sizes


for before, recorded in ((0, (46, 32, 28)), (60, (28, 26, 26))):
    tilt, heights, depths, widths = measured(before, f"points_{before}.json")
    print(f"{before} empty slices: heights {heights} of bodies {HIGH} mm high, depths {depths}, widths {widths}, landmarks off by {tilt:.1f} degrees")
    if tilt > 2 or max(abs(one - DEEP) for one in depths) > 0.6 or max(abs(one - WIDE) for one in widths) > 0.6:
        changed.append(f"CHANGED: landmarks, depths or widths with {before} empty slices")
    if [round(one) for one in heights] != list(recorded):
        changed.append(f"CHANGED: recorded heights of about {recorded} mm with {before} empty slices, seen {heights}")
for line in changed:
    print(line)
raise SystemExit(bool(changed))
PYTHON
