"""Detections and false alarms of what judges a result: suggestions, doubts, and the guesses before the run.

    python Testing/Benchmarks/result_checks.py --data DATA [--quick] [--phantoms 30] [--kept FOLDER] [--only NAME ...]

Each pair of radiographs is rendered through the C-arm from the CTs in DATA (bodies/ about the course of their spine,
verse/ and totalsegmentator/ about their labels) or is a phantom of the training with its own geometry and appearance.
It is given as it is, and with one mistake after another; the program prints how often the right thing was suggested,
something else, and nothing, and what was doubted. ``--kept`` keeps the figures of each pair as JSON, so that a run can
be continued. ``--demo`` adds the demonstration case, on which nothing may be tuned: its figures are shown apart.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.pair_checks import check_pair
from TomoRayLib.images.types import Radiograph, Volume
from TomoRayLib.jobs.demonstration import case_files, default_cache, fetch_demonstration
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.inputs import read_ct
from TomoRayLib.synthesis.model_run import ChosenModel, choose_model, coarse_probability
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.result_checks import doubts, measured
from TomoRayLib.synthesis.settings import Arrangement
from TomoRayLib.synthesis.suggestions import CERTAINTY_TO_TRY, COMMONEST, MISTAKES, all_are_tried, what_was_meant
from TomoRayLib.training.data.anatomy import load_anatomy
from TomoRayLib.training.data.augmentation import random_appearance, random_attenuation, random_views
from TomoRayLib.training.data.samples import StreamConfig, random_isocenter
from TomoRayLib.training.data.scenes_of_cts import read_pair
from TomoRayLib.training.data.training_cases import find_training_cases
from TomoRayLib.training.phantoms.bodies import load_body
from TomoRayLib.training.phantoms.scene import compose_scene
from TomoRayLib.weights import load_network

# What a user gives by mistake, and what is to be suggested then (a mirrored AP: nothing can be).
MADE = {
    "nothing wrong": (Arrangement(), None),
    "views swapped": (Arrangement(swapped=True), "the two radiographs the other way round"),
    "lateral mirrored": (Arrangement(flip_lateral=True), "the lateral radiograph mirrored"),
    "AP mirrored": (Arrangement(flip_ap=True), None),
    "both inverted": (
        Arrangement(invert_ap=True, invert_lateral=True),
        "both radiographs with dark and bright exchanged",
    ),
    "AP inverted": (Arrangement(invert_ap=True), "the AP radiograph with dark and bright exchanged"),
    "lateral inverted": (Arrangement(invert_lateral=True), "the lateral radiograph with dark and bright exchanged"),
    "both upside down": (Arrangement(turn_ap=180, turn_lateral=180), "both radiographs turned upside down"),
    "AP upside down": (Arrangement(turn_ap=180), "the AP radiograph turned upside down"),
    "lateral upside down": (Arrangement(turn_lateral=180), "the lateral radiograph turned upside down"),
    "AP turned by 90": (Arrangement(turn_ap=90), "the AP radiograph turned by 90 degrees anticlockwise"),
    "lateral turned by 90": (Arrangement(turn_lateral=270), "the lateral radiograph turned by 90 degrees clockwise"),
}
BODY_LENGTH_MM = 300.0  # of a body that shows two stretches of spine

Figures = dict[str, dict[str, Any]]


def rendered(ct: Volume, isocenter_mm: tuple[float, float, float]) -> Pair:
    views = c_arm(isocenter_mm)
    images = render(ct, {"ap": views.ap, "lat": views.lateral})
    return Pair(images["ap"], images["lat"], views)


def of_bodies(data: Path) -> Iterator[tuple[str, Any]]:
    """Pairs about the course of the spine of CTs without labels, one or two of each."""
    for path in sorted((data / "bodies").glob("*.nii.gz")):

        def made(path: Path = path, part: int = 0) -> Pair:
            body = load_body(path)
            low, high = body.z_range_mm
            ends = (low + 100.0, high - 100.0) if high - low > BODY_LENGTH_MM else ((low + high) / 2,) * 2
            index = int((ends[part] - low) / body.grid.spacing_mm[2])
            x, y = np.median(body.curve_mm[max(0, index - 10) : index + 10], axis=0)
            return rendered(read_volume(path), (float(x), float(y), float(ends[part])))

        yield f"{path.name.split('.')[0]}, lower", made
        yield f"{path.name.split('.')[0]}, upper", lambda path=path, made=made: made(path, 1)


def of_labels(data: Path) -> Iterator[tuple[str, Any]]:
    """Pairs about the vertebrae of labelled CTs."""

    def made(case: CohortCase) -> Pair:
        ct, labels = read_pair(case)
        return rendered(ct, vertebrae_center_mm(labels))

    cohort, _ = find_training_cases([data / "verse", data / "totalsegmentator"])
    for case in cohort.cases:
        yield case.name, lambda case=case: made(case)


def of_phantoms(data: Path, count: int) -> Iterator[tuple[str, Any]]:
    """Phantoms of all spines, in any geometry and appearance of the training."""
    anatomy = load_anatomy(data) if count else None
    config = StreamConfig()

    def made(seed: int) -> Pair:
        assert anatomy is not None
        rng = np.random.default_rng((4242, seed))
        scene = compose_scene(*anatomy.draw(rng), rng, config.scene, config.phantom)
        views = random_views(rng, config.geometry).moved_to(random_isocenter(rng, config.isocenter))
        attenuation = random_attenuation(scene.hu, rng, config.appearance)
        ap, lateral = (
            random_appearance(project(attenuation, scene.grid, view), rng, config.appearance).numpy()
            for view in (views.ap, views.lateral)
        )
        return Pair(ap, lateral, views)

    for number in range(count):
        yield f"phantom {number}", lambda number=number: made(number)


def demonstration() -> Pair:
    case = fetch_demonstration(default_cache(dict(os.environ)), True, print)
    with case_files(case) as (ct, labels):
        source = read_ct(str(ct), str(labels))
    assert source.labels is not None
    return rendered(source.ct, vertebrae_center_mm(source.labels))


def figures_of(right: Pair, model: ChosenModel, quick: bool) -> Figures:
    """What is said of a pair given with each mistake.

    ``quick`` tries everything with the right pair, and with a mistake the commonest and what undoes it.
    """
    network, known = load_network(model.entry, model.device), {}

    def measures(pair: Pair) -> Any:
        key = (pair.ap.tobytes(), pair.lateral.tobytes(), pair.views)
        if hash(key) not in known:
            probability = coarse_probability(pair.ap, pair.lateral, pair.views, network, model.entry, model.precision)
            known[hash(key)] = measured(probability, model.entry.fov_mm)
        return known[hash(key)]

    result: Figures = {}
    for name, (mistake, wanted) in MADE.items():
        given = right.arranged(mistake)
        found = measures(given)
        suggestion = None
        if doubts(found) or found.certainty < CERTAINTY_TO_TRY:
            words = MISTAKES if not quick or mistake == Arrangement() else (*COMMONEST, *([wanted] if wanted else ()))
            suggestion = what_was_meant(
                lambda arrangements, given=given: [measures(given.arranged(how)).certainty for how in arrangements],
                Arrangement(),
                tuple(dict.fromkeys(words)),
                everything=all_are_tried(found),
            )
        result[name] = {
            "certainty": found.certainty,
            "suggested": suggestion.question.removeprefix("Did you mean ").rstrip("?").split(", or ")
            if suggestion
            else [],
            "doubts": list(doubts(found)),
            "guesses": guesses(given),
        }
    return result


def guesses(pair: Pair) -> list[str]:
    """What is warned of before the run, for images without any header."""
    spacings = [view.detector.pixel_spacing_mm for view in (pair.views.ap, pair.views.lateral)]
    ap, lateral = (Radiograph(image, mm) for image, mm in zip((pair.ap, pair.lateral), spacings, strict=True))
    nominal = (replace(pair.views.ap, gantry_angle_deg=0.0), replace(pair.views.lateral, gantry_angle_deg=90.0))
    return check_pair(ap, lateral, Biplanar(*nominal))


def show(kept: dict[str, Figures]) -> None:
    """The table: of how many pairs the right, another or no suggestion was made, and what was doubted or guessed."""
    print(f"| given ({len(kept)} pairs) | right suggestion | other suggestion | none | doubted | warned before |")
    print("|---|---|---|---|---|---|")
    for name, (_, wanted) in MADE.items():
        rows = [figures[name] for figures in kept.values()]
        right = sum(wanted in row["suggested"] for row in rows)
        none = sum(not row["suggested"] for row in rows)
        doubted, warned = sum(bool(row["doubts"]) for row in rows), sum(bool(row["guesses"]) for row in rows)
        print(f"| {name} | {right} | {len(rows) - right - none} | {none} | {doubted} | {warned} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=30)
    parser.add_argument("--kept", type=Path, default=None)
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--quick", action="store_true", help="with a mistake, try the commonest and what undoes it")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--model", default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = choose_model(options.model, "cpu", "auto")
    pairs = [*of_labels(options.data), *of_bodies(options.data), *of_phantoms(options.data, options.phantoms)]
    if options.demo:
        pairs = [("LIDC-IDRI-0001", demonstration)]
    kept: dict[str, Figures] = {}
    for name, made in pairs:
        if options.only and not any(part in name for part in options.only):
            continue
        path = options.kept / f"{name}.json" if options.kept else None
        if path is not None and path.exists():
            kept[name] = json.loads(path.read_text())
            continue
        kept[name] = figures_of(made(), model, options.quick)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(kept[name], indent=1))
        print(name, {key: value["suggested"] for key, value in kept[name].items()}, flush=True)
    show(kept)


if __name__ == "__main__":
    main()
