"""How often the heights of two radiographs are found right from their rows, on pairs rendered from real CTs.

    python Testing/Benchmarks/heights.py --data DATA

Each CT of DATA (verse/ and totalsegmentator/ about their labels but for validation people, bodies/ about the course of
their spine, at one or two heights) is continued beyond its ends, so that these are no help, and rendered through a
C-arm with the lateral 55 and 30 mm lower, at the same height, and 12 and 30 mm higher. The profiles of
``images.height_match`` and the margins of ``synthesis.alignment`` were chosen on these pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from disturbances import continued

from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.height_match import HeightMatch
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.alignment import LARGEST_MOVED_MM, LEAST_SHIFT_MM, heights_of, margin_needed
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.training.data.scenes_of_cts import read_pair
from TomoRayLib.training.data.training_cases import find_training_cases
from TomoRayLib.training.phantoms.bodies import load_body

HIGHER_MM = (-55.0, -30.0, 0.0, 12.0, 30.0)
RIGHT_MM = 6.0
LONG_BODY_MM = 300.0  # shows two stretches of spine


def places(data: Path) -> Iterator[tuple[Volume, Vector3]]:
    """CTs and the middles of the pairs taken of them."""
    cohort, _ = find_training_cases([data / "verse", data / "totalsegmentator"])
    for case in cohort.cases:
        ct, labels = read_pair(case)
        yield ct, vertebrae_center_mm(labels)
    for path in sorted((data / "bodies").glob("*.nii.gz")):
        body, ct = load_body(path), read_volume(path)
        low, high = body.z_range_mm
        for z in (low + 100.0, high - 100.0) if high - low > LONG_BODY_MM else ((low + high) / 2,):
            index = int((z - low) / body.grid.spacing_mm[2])
            x, y = np.median(body.curve_mm[max(0, index - 10) : index + 10], axis=0)
            yield ct, (float(x), float(y), float(z))


def matches(ct: Volume, middle_mm: Vector3) -> Iterator[tuple[float, HeightMatch | None]]:
    """(true height, what is found) of the pairs of one CT."""
    views, (x, y, z) = c_arm(middle_mm), middle_mm
    laterals = {str(mm): views.lateral.moved_to((x, y, z + mm)) for mm in HIGHER_MM}
    images = render(continued(ct), {"ap": views.ap, **laterals})
    for mm in HIGHER_MM:
        yield mm, heights_of(Pair(images["ap"], images[str(mm)], Biplanar(views.ap, views.lateral)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [row for place in places(options.data) for row in matches(*place)]
    print("| lateral higher by, mm | pairs | right to 6 mm | moved | of these right to 6 mm |")
    print("|---|---|---|---|---|")
    for mm in (*HIGHER_MM, None):
        chosen = [(true, found) for true, found in rows if mm is None or true == mm]
        right = [found is not None and abs(found.higher_mm - true) <= RIGHT_MM for true, found in chosen]
        moved = [
            found is not None
            and LEAST_SHIFT_MM <= abs(found.higher_mm) <= LARGEST_MOVED_MM
            and found.margin >= margin_needed(found.common_mm)
            for _, found in chosen
        ]
        both = sum(a and b for a, b in zip(right, moved, strict=True))
        print(f"| {'all' if mm is None else f'{mm:g}'} | {len(chosen)} | {sum(right)} | {sum(moved)} | {both} |")


if __name__ == "__main__":
    main()
