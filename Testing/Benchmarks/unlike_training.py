"""False alarms and detections of the verdict "unlike those that the network was trained on".

    python Testing/Benchmarks/unlike_training.py --data DATA [--model geolift-s] [--kept FILE] [--offline]

Inside: pairs rendered through the C-arm from every real CT in DATA (bodies/ at two heights of its spine, verse/ and
totalsegmentator/) and from LIDC-IDRI-0001, each as a line integral, with as much scatter as primary radiation and at
80 kV, both with photon noise; the real scouts of DATA/scouts/lumbar; and the built-in phantom. People are marked
trained on, chosen on or held out by the model's own records, as in held_out.py. A false alarm is a pair of which either
radiograph is told. Outside: the kinds of ``outside_pairs``. A detection is likewise a pair of which either is told.

Each distance is over the model's threshold: above 1 is told. ``--kept`` keeps them as JSON, so that a run can be
continued; they are made anew for another model or another file of it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from held_out_people import scout_radiographs
from outside_pairs import outside
from scouts_as_study import CT_NAME

from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.subjects import subject_of
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.familiarity import image_features, load_familiarity
from TomoRayLib.synthesis.inputs import read_ct
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.result_grid import model_grid
from TomoRayLib.synthesis.settings import Exposure
from TomoRayLib.training.data.held_out import DEMONSTRATION_CASE, SCOUT_CASE
from TomoRayLib.training.data.licences import recorded_sources
from TomoRayLib.training.data.roles import role_of, uses_in_registry
from TomoRayLib.training.data.scenes_of_cts import read_pair
from TomoRayLib.training.data.training_cases import find_labelled_cts
from TomoRayLib.training.familiarity import xrayed_ct
from TomoRayLib.training.phantoms.bodies import body_name
from TomoRayLib.weights import ModelEntry, find_model, load_network, models_folder

EXPOSURES = {
    "line integral": Exposure(),
    "scatter": Exposure(scatter_to_primary=1.0, photons=1e5),
    "80 kV": Exposure(kvp=80.0, photons=1e5),
}
PHANTOM, REAL = "built-in phantom", "real X-rays"
HEIGHTS = (0.3, 0.7)  # of a body, from its lower end
Distances = dict[str, list[float]]  # by "name | exposure" or "kind | name": of AP and lateral, over the threshold
Made = Callable[[], Pair]


def views_of(ct: Volume, place: Vector3) -> Iterator[tuple[str, Made]]:
    """Yield (exposure, pair) of a CT through the C-arm."""
    views = c_arm(place)

    def made(exposure: Exposure) -> Pair:
        images = render(ct, {"ap": views.ap, "lat": views.lateral}, exposure)
        return Pair(images["ap"], images["lat"], views)

    for name, exposure in EXPOSURES.items():
        yield name, lambda exposure=exposure: made(exposure)  # type: ignore[misc]


def inside(data: Path, offline: bool) -> Iterator[tuple[str, Callable[[], Iterator[tuple[str, Made]]]]]:
    """Yield (person, its pairs by exposure); nothing is read before these are asked for."""

    def of_body(path: Path, height: float) -> Iterator[tuple[str, Made]]:
        ct = read_volume(path)
        found = xrayed_ct(body_name(path), ct)
        index = round(height * (len(found.hu) - 1))
        x, y = found.course_mm[index]
        yield from views_of(ct, (float(x), float(y), found.grid.origin_mm[2] + index * found.grid.spacing_mm[2]))

    def of_volumes(ct: Volume, labels: Volume) -> Iterator[tuple[str, Made]]:
        yield from views_of(ct, vertebrae_center_mm(labels))

    for folder in ("verse", "totalsegmentator"):
        for case in find_labelled_cts(data / folder)[0]:
            yield case.name, lambda case=case: of_volumes(*read_pair(case))  # type: ignore[misc]
    for path in sorted((data / "bodies").glob("*.nii.gz")):
        for height in HEIGHTS:
            name = f"{body_name(path)}, {height:g}"
            yield name, lambda path=path, height=height: of_body(path, height)  # type: ignore[misc]
    shown = fetch_demonstration(default_cache(dict(os.environ)), offline)
    if shown.ct_path is not None and shown.labels_path is not None:
        source = read_ct(str(shown.ct_path), str(shown.labels_path))
        if source.labels is not None:
            yield DEMONSTRATION_CASE, lambda: of_volumes(source.ct, source.labels)  # type: ignore[arg-type]
    scouts = data / SCOUT_CASE
    yield SCOUT_CASE, lambda: iter([(REAL, lambda: _scouts(scouts))])
    yield PHANTOM, lambda: of_volumes(*phantom_volumes())


def _scouts(folder: Path) -> Pair:
    return Pair(*scout_radiographs(folder, read_ct(str(folder / CT_NAME), None)))


class Measure:
    """Distances of pairs from what a model was trained on, each view's over its threshold."""

    def __init__(self, entry: ModelEntry) -> None:
        known = load_familiarity(entry)
        if known is None:
            raise SystemExit(f"{entry.id} has no file to tell by; make it: python -m TomoRayLib.training.familiarity.")
        self.entry, self.known, self.network = entry, known, load_network(entry)
        self.seconds: list[float] = []

    def __call__(self, pair: Pair) -> list[float]:
        """Return both, of AP and lateral radiograph."""
        images = [torch.from_numpy(np.ascontiguousarray(one, dtype=np.float32)) for one in (pair.ap, pair.lateral)]
        cube = model_grid(self.entry, pair.views.isocenter_mm)
        radiographs, _ = network_input(images, [pair.views.ap, pair.views.lateral], cube)
        begun = time.process_time()
        shares = self.known.shares(image_features(radiographs[0], self.network))
        self.seconds.append(time.process_time() - begun)
        return [round(float(one), 3) for one in shares]


def false_alarms(found: Distances, entry: ModelEntry) -> str:
    """The table of real people, by their part in the model's making."""
    uses = (*uses_in_registry(entry.data), *recorded_sources(entry.path))
    rows: dict[tuple[str, str], list[list[float]]] = {}
    names: dict[tuple[str, str], set[str]] = {}
    for key, both in found.items():
        name, _, exposure = key.partition(" | ")
        role = PHANTOM if name == PHANTOM else role_of((name.partition(",")[0],), uses).value
        rows.setdefault((role, exposure), []).append(both)
        names.setdefault((role, exposure), set()).add(subject_of(name.partition(",")[0]))
    text = "| who | exposure | people | pairs | told | largest AP | largest lateral |\n|---|---|---|---|---|---|---|\n"
    for (role, exposure), pairs in sorted(rows.items()):
        told = sum(max(both) > 1.0 for both in pairs)
        largest = np.max(pairs, axis=0)
        text += f"| {role} | {exposure} | {len(names[role, exposure])} | {len(pairs)} | **{told}** "
        text += "".join(f"| {one:.2f} " for one in largest) + "|\n"
    return text


def detections(found: Distances) -> str:
    """The table of outside inputs, by kind."""
    kinds: dict[str, list[list[float]]] = {}
    for key, both in found.items():
        kinds.setdefault(key.partition(" | ")[0], []).append(both)
    text = "| what | pairs | told | AP | lateral |\n|---|---|---|---|---|\n"
    for kind, pairs in kinds.items():
        told = sum(max(both) > 1.0 for both in pairs)
        ranges = [f"{min(one):.2f} to {max(one):.2f}" for one in np.transpose(pairs)]
        text += f"| {kind} | {len(pairs)} | **{told}** | {ranges[0]} | {ranges[1]} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=None)
    parser.add_argument("--kept", type=Path, default=None)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    entry = find_model(options.model)
    measure = Measure(entry)
    kept = {"made_with": entry.familiarity_sha256, "inside": {}, "outside": {}}
    if options.kept is not None and options.kept.is_file():
        earlier = json.loads(options.kept.read_text(encoding="utf-8"))
        kept = earlier if earlier["made_with"] == entry.familiarity_sha256 else kept

    def keep(part: str, key: str, made: Made) -> None:
        if key not in kept[part]:
            kept[part][key] = measure(made())
            print(part, key, kept[part][key], flush=True)
            if options.kept is not None:
                options.kept.write_text(json.dumps(kept, indent=1), encoding="utf-8")

    for name, pairs in inside(options.data, options.offline):
        if not any(key.startswith(f"{name} | ") for key in kept["inside"]):
            for exposure, made in pairs():
                keep("inside", f"{name} | {exposure}", made)
    for kind, name, made in outside(options.data, models_folder().parent / "Screenshots"):
        keep("outside", f"{kind} | {name}", made)
    print(f"\n## False alarms\n\n{false_alarms(kept['inside'], entry)}")
    print(f"## Outside\n\n{detections(kept['outside'])}")
    if measure.seconds:
        print(f"Features and distances: {np.median(measure.seconds):.2f} s of one core a pair (median).")


if __name__ == "__main__":
    main()
