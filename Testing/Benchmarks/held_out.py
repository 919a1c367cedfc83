"""Models on all public real people, next to an empty volume and the mean atlas, with measures that see sharpness.

    python Testing/Benchmarks/held_out.py --data DATA [--model geolift-s] [--model ...] [--checkpoint run/last.ckpt]
        [--scout-labels LABELS] [--people NAME ...] [--out output/held_out] [--readme]
    python Testing/Benchmarks/held_out.py --data DATA --quick --checkpoint run/a.ckpt --checkpoint run/b.ckpt

DATA holds verse/, totalsegmentator/ and scouts/; LIDC-IDRI-0001 is downloaded once, as for ``tomoray demo``. Each
person is run as ``tomoray synthesize --ct`` runs a CT (C-arm, isocentre at the middle of the labelled vertebrae), the
scouts from their real X-rays. Every person is marked trained on, chosen on or held out for each model, by the model's
own records. Scores are kept case by case in OUT/cases and made anew only if files, weights or definitions changed;
OUT also gets held_out.md and held_out.json. ``--readme`` prints the README's table and nothing else.

``--quick`` scores the validation people alone, at the level that a checkpoint has reached: seconds each, the same three
scores that a training writes while it runs. Checkpoints are chosen by it; nothing else should be. The level is
that of config.json beside the checkpoint, or ``--level`` (2: 48^3, 1: 96^3, 0: 192^3). In the full tables a coarser
level is enlarged to the model's grid.
Phantoms of held-out spines are scored by held_out_phantoms.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from held_out_people import Person, PersonCase, find_people, read_person
from held_out_quick import quick_table
from held_out_scores import Contestant, kept_rows, made_with, of_checkpoint, published, score
from held_out_tables import PersonScores, full_text, readme_text, to_json

from TomoRayLib.base.errors import InputError
from TomoRayLib.training.data.roles import role_of


def say(text: str) -> None:
    """Progress goes to the error stream, so that the table alone can be piped."""
    print(text, file=sys.stderr, flush=True)


def scores_of(person: Person, contestants: Sequence[Contestant], out: Path) -> PersonScores:
    """A person's rows for every model: kept ones, else new ones. Raises InputError for files that cannot be scored."""
    inputs = person.inputs_sha256()
    case: PersonCase | None = None
    rows = {}
    for one in contestants:
        path = out / "cases" / one.folder / f"{person.name.replace('/', '_')}.json"
        wanted = made_with(inputs, one)
        kept = kept_rows(path, wanted)
        if kept is None:
            case = case or read_person(person)
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = score(case, one, wanted, path)
            say(f"{person.name}, {one.name}: cosine {kept['tomoray']['cosine_similarity']:.3f}, "
                f"Dice {kept['tomoray']['dice']:.3f}")  # fmt: skip
        rows[one.name] = kept
    return PersonScores(
        person.name, person.title, rows, {one.name: role_of((person.name,), one.uses) for one in contestants}
    )


def named_path(text: str) -> tuple[str | None, Path]:
    """``NAME=PATH`` or a path alone: under the id that it will be published by, a checkpoint's scores fit its entry."""
    name, found, path = text.partition("=")
    return (name, Path(path)) if found and not Path(text).exists() else (None, Path(text))


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[], help="id in the registry, once for each model")
    parser.add_argument(
        "--checkpoint", action="append", default=[], help="last.ckpt of a run, or NAME=last.ckpt; repeatable"
    )
    parser.add_argument(
        "--level", type=int, choices=range(3), help="finest level to look at: 0 is 192^3, 2 is 48^3 (of each)"
    )
    parser.add_argument("--scout-labels", type=Path, help="vertebra labels of the CT of scouts/lumbar")
    parser.add_argument("--people", nargs="+", metavar="NAME", help="these alone")
    parser.add_argument("--out", type=Path, default=Path("output/held_out"))
    parser.add_argument("--readme", action="store_true", help="print the README's table instead of all tables")
    parser.add_argument("--quick", action="store_true", help="validation people alone, at the checkpoint's level")
    parser.add_argument("--offline", action="store_true", help="do not download LIDC-IDRI-0001")
    return parser.parse_args()


def main() -> None:
    options = options_of()
    contestants = [published(model, options.level or 0) for model in options.model]
    contestants += [of_checkpoint(path, options.level, name) for name, path in map(named_path, options.checkpoint)]
    contestants = contestants or [published(None, options.level or 0)]
    if options.quick:
        print(quick_table(options.data, contestants, options.out / "quick"))
        return
    people = find_people(options.data, options.scout_labels, options.offline, say)
    if options.people:
        unknown = sorted(set(options.people) - {person.name for person in people})
        if unknown:
            raise SystemExit(f"No person of this name: {unknown}; there are {[person.name for person in people]}.")
        people = [person for person in people if person.name in options.people]
    scores = []
    for person in people:
        try:
            scores.append(scores_of(person, contestants, options.out))
        except InputError as error:
            say(f"{person.name} is left out: {error}")
    if not scores:
        raise SystemExit("No person could be scored.")
    text = full_text(scores)
    (options.out / "held_out.md").write_text(text, encoding="utf-8")
    (options.out / "held_out.json").write_text(json.dumps(to_json(scores), indent=1) + "\n", encoding="utf-8")
    print(readme_text(scores) if options.readme else text, end="")


if __name__ == "__main__":
    main()
