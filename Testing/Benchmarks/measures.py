"""Errors of the measures of a model's synthetic CTs on real people, and the usual measures of other people.

    python Testing/Benchmarks/measures.py --data DATA --scout-labels LABELS [--model geolift-s] [--people NAME ...]
        [--out output/measures] [--write]
    python Testing/Benchmarks/measures.py --data DATA --usual [--write]

The people are those of held_out.py that the model was not trained on: their CTs as ``tomoray synthesize --ct`` runs
them, the scouts as ``--study``. True and synthetic vertebrae are paired by place. Prints the table of the model's card,
writes pairs.csv and errors.json to OUT and, with ``--write``, the errors into Resources/Models/measure_errors.json.

``--usual`` measures the label maps of DATA/labelmaps, one of each person, and of VerSe's people in DATA/verse that
nobody is scored on, and writes Resources/Models/usual_measures.json: means and SDs by level, and nothing of a person.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from held_out_people import Person, find_people, read_person

from TomoRayLib.base.text_formats import csv_text, write_json
from TomoRayLib.evaluation.measured import measured_pairs
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.subjects import is_of_subjects, subject_of
from TomoRayLib.measures.agreement import Pair
from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.measures.known_errors import KnownError, known_error
from TomoRayLib.measures.spine import MeasuredSpine, measure_spine
from TomoRayLib.measures.usual import UsualMeasures, usual_measures, usual_to_json
from TomoRayLib.synthesis.measured_case import measured_truth
from TomoRayLib.synthesis.model_run import LINEAR, choose_model
from TomoRayLib.synthesis.truth import ground_truth
from TomoRayLib.training.data.held_out import VALIDATION_PEOPLE, is_held_out_for_ever
from TomoRayLib.training.data.licences import recorded_sources
from TomoRayLib.training.data.roles import Role, role_of, uses_in_registry
from TomoRayLib.weights import MEASURE_ERRORS_NAME, USUAL_MEASURES_NAME, find_model, load_known_measures, models_folder


def say(text: str) -> None:
    """Progress goes to the error stream."""
    print(text, file=sys.stderr, flush=True)


def pairs_of(person: Person, model_id: str | None) -> list[dict[str, object]]:
    """The measures of a person's synthetic CT beside the true ones, on its grid."""
    case = read_person(person)
    model = choose_model(model_id, "cpu", "auto")
    synthetic = model.synthesize(case.ap, case.lateral, case.views)
    truth = ground_truth(case.ct, case.labels, synthetic.grid, LINEAR)
    labels = truth.vertebrae().voxels
    measured = measured_truth(labels, synthetic.grid, case.cut)
    if synthetic.spine is None:
        raise SystemExit(f"Expected a model that tells vertebrae apart, got {model.entry.id}; choose another one.")
    spine = synthetic.spine
    return measured_pairs(spine.labels, labels, measured, synthetic.grid, case.cut, spine.to_json_dict()) or []


def usual_of(data: Path) -> UsualMeasures:
    """Usual measures of the label maps, several maps of one person put together."""
    measured: dict[str, list[MeasuredSpine]] = {}
    paths = sorted((data / "labelmaps").glob("*_seg.nii.gz"))
    paths += [path for path in sorted((data / "verse").rglob("*_msk.nii.gz")) if not is_scored(path.name)]
    for path in paths:
        volume = read_labels(path)
        spine = measure_spine(volume.voxels, volume.grid)
        measured.setdefault(subject_of(path.name), []).append(spine)
        say(f"{path.name}: {sum(one.value is not None for one in spine.measures)} measures")
    return usual_measures(measured.values())


def is_scored(name: str) -> bool:
    """True for a person whose synthetic CT is measured here."""
    return is_of_subjects(name, VALIDATION_PEOPLE) or is_held_out_for_ever(name)


def table_of(errors: Mapping[str, KnownError], true_values: Mapping[str, int]) -> str:
    """The table of the model's card, as Markdown."""
    lines = [
        "| measure | measured | people | bias | 95 % limits | mean error | a guess errs | ICC | of use for |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, definition in DEFINITIONS.items():
        error = errors.get(key)
        title = f"{definition.title}, {definition.unit}" if definition.unit else definition.title
        if error is None:
            if true_values.get(key):
                lines.append(f"| {title} | too few of {true_values[key]} | | | | | | | |")
            continue
        digits = definition.decimals
        of_use = definition.useful_for if error.usable else f"**not** for {definition.useful_for}"
        numbers = (
            f"{error.n} of {true_values[key]}",
            str(error.people),
            f"{error.bias:+.{digits}f}",
            f"{error.low:+.{digits}f} to {error.high:+.{digits}f}",
            f"{error.mean_absolute:.{digits}f}",
            "" if error.guess is None else f"{error.guess:.{digits}f}",
            "" if error.icc is None else f"{error.icc:.2f}",
        )
        lines.append(f"| {title} | {' | '.join(numbers)} | {of_use} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scout-labels", type=Path, help="vertebra labels of the CT of scouts/lumbar")
    parser.add_argument("--model", help="id in the registry")
    parser.add_argument("--people", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--usual", action="store_true", help="the usual measures of other people instead")
    parser.add_argument("--out", type=Path, default=Path("output/measures"))
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--write", action="store_true", help="into Resources/Models")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.usual:
        usual = usual_of(options.data)
        people = max(one.n for one in usual.values())
        content = {
            "made_by": "Testing/Benchmarks/measures.py --usual",
            "people": people,
            "measures": usual_to_json(usual),
        }
        write_json(options.out / USUAL_MEASURES_NAME, content)
        if options.write:
            write_json(models_folder() / USUAL_MEASURES_NAME, content)
        print(f"{len(usual)} usual measures of up to {people} people")
        return
    entry = find_model(options.model)
    usual = load_known_measures(entry).usual
    uses = (*uses_in_registry(entry.data), *recorded_sources(entry.path))
    people = find_people(options.data, options.scout_labels, options.offline, say)
    people = [one for one in people if role_of((one.name,), uses) is not Role.TRAINED_ON]
    if options.people:
        people = [one for one in people if one.name in options.people]
    rows = []
    for person in people:
        found = pairs_of(person, options.model)
        rows += [
            (person.name, one["key"], one["subject"], one["truth"], one["synthetic"], one["reason"]) for one in found
        ]
        said = sum(one["synthetic"] is not None for one in found)
        say(f"{person.name}: {said} of {len(found)} measures")
    (options.out / "pairs.csv").write_text(
        csv_text(("person", "measure", "place", "truth", "synthetic", "reason"), rows), encoding="utf-8"
    )
    chosen_on = [one.name for one in people if role_of((one.name,), uses) is Role.CHOSEN_ON]
    errors, true_values = {}, {}
    for key in DEFINITIONS:
        of_kind = [row for row in rows if row[1] == key]
        true_values[key] = len(of_kind)
        pairs = [Pair(row[0], row[2], row[3], row[4]) for row in of_kind if row[4] is not None]
        error = known_error(key, pairs, usual, chosen_on)
        if error is not None:
            errors[key] = error
    names = [person.title for person in people]
    content = {
        "weights_sha256": entry.sha256,
        "made_by": "Testing/Benchmarks/measures.py",
        "people": names,
        "measures": {key: error.to_json_dict() for key, error in errors.items()},
    }
    write_json(options.out / MEASURE_ERRORS_NAME, content)
    if options.write:
        path = models_folder() / MEASURE_ERRORS_NAME
        known = json.loads(path.read_text(encoding="utf-8"))["models"] if path.is_file() else {}
        write_json(path, {"models": {**known, entry.id: content}})
    print(f"{entry.id} on {', '.join(names)}\n\n{table_of(errors, true_values)}")


if __name__ == "__main__":
    main()
