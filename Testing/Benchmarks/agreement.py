"""Does the agreement of a result with its radiographs tell good results from bad ones, without a CT?

    python Testing/Benchmarks/agreement.py --data DATA [--model ID] [--scout-labels LABELS] [--out output/agreement]

Each person of held_out.py that the model was not trained on is synthesized from the right pair, and from pairs that
are wrong in a way that TomoRay is not told: the lateral taken 12 and 30 mm higher or 20 mm lower, turned by 8 degrees,
stated 10 % too small, both inverted, the lateral mirrored. Dice is that of the bone mask against the CT's vertebrae.
Printed are the rank correlations (Spearman) of Dice with the agreement of the reprojected bone
(``synthesis.reprojection``), with the certainty of the result (``synthesis.result_checks``), and with their product:
over all pairs, over the right pairs of all people alone, and within each person (mean).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from held_out_people import PersonCase, find_people, read_person
from scipy.stats import spearmanr

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.views import View
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import LINEAR, ChosenModel, choose_model, synthesize
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.reprojection import agreement
from TomoRayLib.synthesis.result_checks import measured
from TomoRayLib.synthesis.settings import Arrangement
from TomoRayLib.synthesis.truth import ground_truth
from TomoRayLib.training.data.licences import recorded_sources
from TomoRayLib.training.data.roles import Role, role_of, uses_in_registry
from TomoRayLib.weights import load_network


def pairs_of(case: PersonCase) -> Iterator[tuple[str, Pair]]:
    """The right pair and the wrong ones, each with the views that are told."""
    views, right = case.views, Pair(case.ap, case.lateral, case.views)
    yield "right", right
    for higher_mm in (12.0, 30.0, -20.0):
        yield f"lateral {higher_mm:g} mm higher", replace(right, lateral=lateral_of(case, higher_mm))
    turned = replace(views.lateral, gantry_angle_deg=views.lateral.gantry_angle_deg - 8.0)
    yield "lateral turned by 8 degrees", replace(right, views=replace(views, lateral=turned))
    yield "lateral stated 10 % too small", replace(right, views=replace(views, lateral=smaller(views.lateral, 0.9)))
    yield "both inverted", right.arranged(Arrangement(invert_ap=True, invert_lateral=True))
    yield "lateral mirrored", right.arranged(Arrangement(flip_lateral=True))


def lateral_of(case: PersonCase, higher_mm: float) -> Any:
    """The lateral taken higher: rendered anew, or what the real one shows there, moved."""
    x, y, z = case.views.lateral.isocenter_mm
    if case.person.radiographs is None:
        return render(case.ct, {"lateral": case.views.lateral.moved_to((x, y, z + higher_mm))})["lateral"]
    row_mm = case.views.lateral.detector.pixel_spacing_mm[0] / case.views.lateral.beam.magnifications[0]
    rows = round(higher_mm / row_mm)
    places = np.clip(np.arange(len(case.lateral)) - rows, 0, len(case.lateral) - 1)
    return case.lateral[places]


def smaller(view: View, factor: float) -> View:
    row_mm, column_mm = view.detector.pixel_spacing_mm
    return replace(view, detector=replace(view.detector, pixel_spacing_mm=(row_mm * factor, column_mm * factor)))


def rows_of(case: PersonCase, model: ChosenModel) -> Iterator[dict[str, Any]]:
    """One row for each pair of a person."""
    network = load_network(model.entry, model.device)
    for kind, pair in pairs_of(case):
        result = synthesize(pair.ap, pair.lateral, pair.views, network, model.entry, model.precision)
        truth = ground_truth(case.ct, case.labels, result.grid, LINEAR).vertebrae().voxels > 0
        bone = result.mask
        views = ((pair.ap, pair.views.ap), (pair.lateral, pair.views.lateral))
        agreements = [agreement(result, image, view) or 0.0 for image, view in views]
        yield {
            "person": case.person.name,
            "kind": kind,
            "dice": 2.0 * float((bone & truth).sum()) / float(bone.sum() + truth.sum()),
            "agreement": float(np.mean(agreements)),
            "ap": agreements[0],
            "lateral": agreements[1],
            "certainty": measured(result.probability, model.entry.fov_mm).certainty,
        }


def correlations(rows: list[dict[str, Any]], figure: Any) -> tuple[float, float, float]:
    """Spearman's rank correlation with Dice: over all rows, over right pairs, and the mean within people."""

    def rank(chosen: list[dict[str, Any]]) -> float:
        return float(spearmanr([figure(row) for row in chosen], [row["dice"] for row in chosen])[0])

    people = sorted({row["person"] for row in rows})
    within = [rank([row for row in rows if row["person"] == person]) for person in people]
    return rank(rows), rank([row for row in rows if row["kind"] == "right"]), float(np.mean(within))


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| kind | Dice | agreement | certainty |"
    yield "|---|---|---|---|"
    for kind in dict.fromkeys(row["kind"] for row in rows):
        chosen = [row for row in rows if row["kind"] == kind]
        figures = (f"{np.median([row[name] for row in chosen]):.2f}" for name in ("dice", "agreement", "certainty"))
        yield f"| {kind} ({len(chosen)} people, medians) | {' | '.join(figures)} |"
    yield ""
    yield f"| rank correlation with Dice | all {len(rows)} pairs | right pairs alone | within a person |"
    yield "|---|---|---|---|"
    for name, figure in (
        ("agreement with the radiographs", lambda row: row["agreement"]),
        ("certainty", lambda row: row["certainty"]),
        ("their product", lambda row: max(row["agreement"], 0.0) * row["certainty"]),
    ):
        yield f"| {name} | {' | '.join(f'{value:.2f}' for value in correlations(rows, figure))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--scout-labels", type=Path, help="vertebra labels of the CT of scouts/lumbar")
    parser.add_argument("--out", type=Path, default=Path("output/agreement"))
    options = parser.parse_args()
    model = choose_model(options.model, "auto", "auto")
    uses = (*uses_in_registry(model.entry.data), *recorded_sources(model.entry.path))
    rows: list[dict[str, Any]] = []
    for person in find_people(options.data, options.scout_labels, False, lambda text: print(text, file=sys.stderr)):
        if role_of((person.name,), uses) is Role.TRAINED_ON:
            continue
        try:
            rows += rows_of(read_person(person), model)
        except InputError as error:
            print(f"{person.name} is left out: {error}", file=sys.stderr)
            continue
        print(person.name, *(f"{row['dice']:.2f}/{row['agreement']:.2f}" for row in rows[-8:]), file=sys.stderr)
    text = "\n".join(table(rows)) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "agreement.md").write_text(text, encoding="utf-8")
    (options.out / "agreement.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
