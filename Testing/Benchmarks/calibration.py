"""Whether a synthetic CT's stated uncertainty is true: how often the bone mask is wrong where it says so.

    python Testing/Benchmarks/calibration.py --data DATA [--scout-labels LABELS] [--model geolift-s] [--offline]
        [--people NAME ...] [--kept FOLDER]

People and their roles are those of held_out.py. Each is synthesized as ``tomoray synthesize --uncertainty`` does it and
compared with the truth at every second voxel along each axis, wherever the CT reaches. The tables sort the voxels by
the stated probability that the mask is wrong, and by the standard deviation over the variations alone; near: within
12 mm of true or synthetic bone. ECE is the expected calibration error, the mean distance between stated and found share
over the bins; the rank correlation is the mean over people. The last table has the stated and the true Dice of each
person. ``--kept`` keeps the figures of each person as JSON, so that a run can be continued.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from held_out_people import PersonCase, find_people, read_person
from numpy.typing import NDArray
from scipy import ndimage, stats

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import LINEAR, ChosenModel, choose_model, synthesize
from TomoRayLib.synthesis.spread import VARIATIONS, spread, sureness
from TomoRayLib.synthesis.truth import ground_truth
from TomoRayLib.training.data.licences import recorded_sources
from TomoRayLib.training.data.roles import Role, role_of, uses_in_registry
from TomoRayLib.weights import load_network

NEAR_MM = 12.0
EDGES = {
    "probability that the mask is wrong": (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 1.001),
    "standard deviation over the variations": (0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.501),
}
WRONG, DEVIATION = EDGES
NEAR, WHOLE = "near bone", "whole volume"
RANKED_VOXELS = 100_000  # a random sample of them is ranked

Figures = dict[str, Any]


def figures_of(case: PersonCase, model: ChosenModel) -> Figures:
    """Synthesize a person, state how sure it is, and count how often it is wrong in each bin of what is stated."""
    network = load_network(model.entry, model.device)
    made_by = (network, model.entry, model.precision)
    started = time.process_time()
    synthetic = synthesize(case.ap, case.lateral, case.views, *made_by)
    halfway = time.process_time()
    found = spread(Pair(case.ap, case.lateral, case.views), *made_by)
    sure = sureness(found, synthetic.mask, synthetic.grid)
    ended = time.process_time()
    grid = every_second(synthetic.grid)
    mask, wrong = synthetic.mask[::2, ::2, ::2], sure.wrong[::2, ::2, ::2]
    deviation = resample(Volume(found.deviation, found.grid), grid, Interpolation.LINEAR, fill=0.0).voxels
    truth = vertebra_mask(ground_truth(case.ct, case.labels, grid, LINEAR).labels)
    extent = Volume(np.ones(case.ct.voxels.shape, np.float32), case.ct.grid)
    inside = resample(extent, grid, Interpolation.LINEAR, fill=0.0).voxels > 0.5
    near = inside & (ndimage.distance_transform_edt(~(truth | mask), grid.spacing_mm) < NEAR_MM)
    error = truth != mask
    bone = np.where(mask, 1.0 - wrong, wrong)
    uses = (*uses_in_registry(model.entry.data), *recorded_sources(model.entry.path))
    return {
        "name": case.person.name,
        "role": role_of((case.person.name,), uses).value,
        "bins": {
            f"{name}, {region}": binned(values[where], error[where], EDGES[name])
            for name, values in ((WRONG, wrong), (DEVIATION, deviation))
            for region, where in ((NEAR, near), (WHOLE, inside))
        },
        "stated_dice": dice(float(bone[mask & inside].sum()), mask & inside, float(bone[inside].sum())),
        "true_dice": dice(float((truth & mask & inside).sum()), mask & inside, float((truth & inside).sum())),
        "cpu_seconds": [halfway - started, ended - halfway],
    }


def every_second(grid: Grid) -> Grid:
    """The grid of every second voxel along each axis, the first among them."""
    size = tuple((count + 1) // 2 for count in grid.size)
    spacing_mm = tuple(2.0 * step for step in grid.spacing_mm)
    return Grid(size, spacing_mm, grid.origin_mm, grid.direction)  # type: ignore[arg-type]


def dice(common: float, mask: NDArray[np.bool_], other: float) -> float:
    return 2.0 * common / (float(mask.sum()) + other)


def binned(values: NDArray[np.float32], error: NDArray[np.bool_], edges: Sequence[float]) -> Figures:
    """Of each bin the voxels, the sum of the stated values and the wrong ones; and the rank correlation with error."""
    place = np.digitize(values, edges) - 1
    counts, stated, wrong = (
        np.bincount(place, weights, len(edges) - 1).tolist() for weights in (None, values, error.astype(np.float64))
    )
    chosen = np.random.default_rng(1).permutation(len(values))[:RANKED_VOXELS]
    correlation = float(stats.spearmanr(values[chosen], error[chosen]).statistic)
    return {"voxels": counts, "stated": stated, "wrong": wrong, "correlation": correlation}


def show(title: str, people: Sequence[Figures]) -> None:
    """Print the tables of some people together."""
    if not people:
        return
    print(f"\n## {title} (n = {len(people)})")
    for key in people[0]["bins"]:
        of_each = [one["bins"][key] for one in people]
        voxels, stated, wrong = (
            np.sum([one[what] for one in of_each], axis=0) for what in ("voxels", "stated", "wrong")
        )
        correlation = float(np.mean([one["correlation"] for one in of_each]))
        print(f"\n{key}: rank correlation with error {correlation:.2f}", end="")
        print(f", ECE {np.abs(stated - wrong).sum() / voxels.sum():.4f}" if key.startswith(WRONG) else "")
        print("| stated | voxels | mean stated | wrong |\n|---|---|---|---|")
        edges = EDGES[key.partition(",")[0]]
        for number in np.flatnonzero(voxels):
            share, mean, found = (
                voxels[number] / voxels.sum(),
                stated[number] / voxels[number],
                wrong[number] / voxels[number],
            )
            print(f"| {edges[number]:g} to {edges[number + 1]:.3g} | {share:.2%} | {mean:.3f} | {found:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scout-labels", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--people", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--kept", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = choose_model(options.model, "cpu", "auto")
    people = []
    for person in find_people(options.data, options.scout_labels, options.offline, lambda text: print(text)):
        if options.people is not None and person.name not in options.people:
            continue
        name = f"{person.name.replace('/', '_')}-{model.entry.sha256[:8]}.json"
        path = options.kept / name if options.kept else None
        if path is not None and path.exists():
            people.append(json.loads(path.read_text()))
            continue
        people.append(figures_of(read_person(person), model))
        print(
            f"{person.name}: {people[-1]['stated_dice']:.3f} {people[-1]['true_dice']:.3f}", file=sys.stderr, flush=True
        )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(people[-1]))
    trained = Role.TRAINED_ON.value
    show("Not trained on", [one for one in people if one["role"] != trained])
    show("Trained on", [one for one in people if one["role"] == trained])
    print("\n| person | role | stated Dice | true Dice |\n|---|---|---|---|")
    for one in people:
        print(f"| {one['name']} | {one['role']} | {one['stated_dice']:.3f} | {one['true_dice']:.3f} |")
    stated, true = ([one[key] for one in people] for key in ("stated_dice", "true_dice"))
    if len(people) > 2:
        print(f"\nRank correlation of stated and true Dice over people: {stats.spearmanr(stated, true).statistic:.2f}")
    first, second = np.median([one["cpu_seconds"] for one in people], axis=0)
    print(f"A synthesis takes {first:.1f} s of one core, its {len(VARIATIONS)} variations {second:.1f} s (medians): "
          f"{(first + second) / first:.1f} times one in all.")  # fmt: skip


if __name__ == "__main__":
    main()
