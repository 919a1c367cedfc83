"""Draw the spines of all people that models were trained or chosen on, so that evaluation finds copies of them.

    python Testing/Benchmarks/known_people.py --data DATA [--labelled BODIES_LABELS] [--out FILE]

DATA holds labelmaps/ and any cohorts (verse/, totalsegmentator/) as for training; BODIES_LABELS what ``tomoray
segment`` made of its bodies. A picture is some 3 kB: the vertebrae in cubes of 4 mm (``evaluation.spine_shape``).
FILE is by default the one that comes with the models. Prints the likest two people, and who has no picture.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.evaluation.known_people import FILE
from TomoRayLib.evaluation.roles import People
from TomoRayLib.evaluation.spine_shape import COPY, Picture, likeness, spine_picture, to_text
from TomoRayLib.images.cohort_finder import find_cases, stem_of
from TomoRayLib.images.files import read_label_map
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.weights import models_folder, read_registry


def known_names() -> list[str]:
    """Every name that any model of the registry was trained or chosen on."""
    _, entries = read_registry()
    people = [People.from_json_dict(entry.people) for entry in entries.values()]
    return sorted({name for one in people for name in (*one.trained_on, *one.chosen_on)})


def segmentations(data: Path, labelled: Path | None) -> dict[str, Path]:
    """Label maps by the name of the person's file."""
    found = {(stem_of(path) or path.name).removesuffix("_seg"): path for path in sorted((data / "labelmaps").glob("*"))}
    for cohort in ("verse", "totalsegmentator"):
        if (data / cohort).is_dir():
            cases = find_cases(data / cohort).cases
            found |= {case.name if case.name != "example" else f"{cohort}_example": case.segmentation for case in cases}
    if labelled is not None:
        found |= {path.parent.name: path for path in sorted(labelled.glob("*/vertebrae.nrrd"))}
    return found


def picture_of(path: Path) -> Picture:
    """The picture of a label map; of labels by TomoRay, whose numbers may be in disorder, as they are."""
    try:
        return spine_picture(read_segmentation(path))
    except InputError:
        return spine_picture(read_label_map(path).volume)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labelled", type=Path, help="results of tomoray segment for the bodies, a folder each")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    names, files = known_names(), segmentations(options.data, options.labelled)
    pictures: dict[str, list[Picture]] = {}
    for name, path in files.items():
        if any(is_of_subjects(name, [known]) for known in names):
            pictures.setdefault(name, []).append(picture_of(path))
    out = options.out or models_folder() / FILE
    write_json(out, {"spines": {name: [to_text(one) for one in found] for name, found in sorted(pictures.items())}})
    without = [name for name in names if not any(is_of_subjects(name, [drawn]) for drawn in pictures)]
    size_kb = out.stat().st_size / 1000
    print(f"{len(pictures)} people in {out} ({size_kb:.1f} kB); without a picture: {without or 'none'}")
    pairs = [
        (likeness(one, other), first, second)
        for (first, drawn), (second, others) in combinations(pictures.items(), 2)
        if not is_of_subjects(first, [second])
        for one in drawn
        for other in others
    ]
    most = max(pairs)
    print(f"Likest two people: {most[0]:.3f} ({most[1]}, {most[2]}); a copy from {COPY} on.")
    print(json.dumps({"people": len(pictures), "likest": round(most[0], 4)}))


if __name__ == "__main__":
    main()
