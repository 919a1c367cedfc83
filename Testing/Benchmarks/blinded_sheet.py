"""A blinded picture sheet: truth and two or more models, person by person, in random order under letters.

    python Testing/Benchmarks/blinded_sheet.py --kept output/held_out --model geolift-s --model geolift-s-permissive
        [--people NAME ...] [--out output/blinded]

KEPT is the folder that held_out.py wrote; each model is named as there. OUT gets ``sheet-1.png`` and so on (four people
each, their mid-sagittal and coronal slice in the bone window, vertebrae alone), ``answers.csv`` to be filled in by the
reader, and apart from both ``key.json``: do not open it before. With ``--score OUT/answers.csv`` the filled-in file is
compared with the key: how often each was taken for the truth, and its mean rank in sharpness.
The order is drawn anew each time from the system's entropy, so that nobody knows it.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import secrets
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, vertebra_mask
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.report.content import Shown
from TomoRayLib.report.drawing import grey_picture, scaled, write_text
from TomoRayLib.report.slices import SliceChoice, choose_slices, cut, pixel_size_mm

TRUTH = "truth"
PEOPLE_A_SHEET = 4
PIXELS_PER_MM, GAP_PX, HEAD_PX = 2.0, 12, 34
ANSWER_COLUMNS = ("person", "letter", "is_the_truth", "sharpness_rank", "remark")


def order_for(names: Sequence[str], rng: random.Random) -> dict[str, str]:
    """Letter to name, the names in random order."""
    shuffled = list(names)
    rng.shuffle(shuffled)
    return dict(zip(string.ascii_uppercase, shuffled, strict=False))


def person_row(volumes: Mapping[str, NDArray[np.uint8]], order: Mapping[str, str], labels: NDArray[np.uint8],
               spacing_mm: Sequence[float], title: str) -> Image.Image:  # fmt: skip
    """One person: for each letter the sagittal and the coronal slice through the true spine's middle.

    ``volumes`` are grey values (z, y, x), 0 to 255 over the bone window, by name; all pictures show the same two
    slices in the same size, so that nothing but their content tells them apart.
    """
    pairs = [_pair(volumes[name], labels, spacing_mm) for name in order.values()]
    width = sum(pair.width + GAP_PX for pair in pairs) + GAP_PX
    row = Image.new("RGB", (width, pairs[0].height + 2 * HEAD_PX), (255, 255, 255))
    write_text(row, (GAP_PX, 4), title, size_px=20)
    left = GAP_PX
    for letter, pair in zip(order, pairs, strict=True):
        write_text(row, (left, HEAD_PX), letter, size_px=24)
        row.paste(pair, (left, 2 * HEAD_PX))
        left += pair.width + GAP_PX
    return row


def _pair(grey: NDArray[np.uint8], labels: NDArray[np.uint8], spacing_mm: Sequence[float]) -> Image.Image:
    """Sagittal and coronal slice side by side; the choice depends on the true labels alone."""
    x, y, z = (float(step) for step in spacing_mm)
    grid = Grid((grey.shape[2], grey.shape[1], grey.shape[0]), (x, y, z))
    nothing = np.zeros(grey.shape, bool)
    hu = BONE_WINDOW.low_hu + grey.astype(np.float32) / 255 * BONE_WINDOW.width_hu
    shown = Shown(grid, hu, nothing, hu, labels)
    pictures = [_picture(grey, grid, choice) for choice in choose_slices(shown)[:2]]
    pair = Image.new("RGB", (sum(p.width for p in pictures) + 4, pictures[0].height), (90, 90, 90))
    pair.paste(pictures[0], (0, 0))
    pair.paste(pictures[1], (pictures[0].width + 4, 0))
    return pair


def _picture(grey: NDArray[np.uint8], grid: Grid, choice: SliceChoice) -> Image.Image:
    return grey_picture(scaled(cut(grey, choice), pixel_size_mm(grid, choice.plane), PIXELS_PER_MM) / 255)


def sheets_of(rows: Sequence[Image.Image]) -> list[Image.Image]:
    """The rows on white pages, ``PEOPLE_A_SHEET`` each."""
    pages = []
    for start in range(0, len(rows), PEOPLE_A_SHEET):
        on_page = rows[start : start + PEOPLE_A_SHEET]
        page = Image.new("RGB", (max(r.width for r in on_page), sum(r.height + GAP_PX for r in on_page)), (255,) * 3)
        top = 0
        for row in on_page:
            page.paste(row, (0, top))
            top += row.height + GAP_PX
        pages.append(page)
    return pages


def scored(answers: Sequence[Mapping[str, str]], key: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """By name: ``shown``, ``taken_for_truth`` (counts) and ``sharpness_rank`` (mean of those given; 1 is sharpest)."""
    result: dict[str, dict[str, float]] = {}
    ranks: dict[str, list[float]] = {}
    for answer in answers:
        name = key[answer["person"]][answer["letter"]]
        one = result.setdefault(name, {"shown": 0, "taken_for_truth": 0})
        one["shown"] += 1
        one["taken_for_truth"] += answer["is_the_truth"].strip().lower() in ("1", "x", "y", "yes")
        if answer["sharpness_rank"].strip():
            ranks.setdefault(name, []).append(float(answer["sharpness_rank"]))
    for name, given in ranks.items():
        result[name]["sharpness_rank"] = float(np.mean(given))
    return result


def folder_of(kept: Path, model: str) -> Path:
    """The newest folder of a model's kept cases. Ends the program if there is none."""
    wanted = model.replace("/", "_")
    found = [p for p in (kept / "cases").glob(f"{wanted}-*") if p.name.rpartition("-")[0] == wanted]
    if not found:
        raise SystemExit(f"Expected cases of {model} below {kept}, found none; run held_out.py with it first.")
    return max(found, key=lambda path: path.stat().st_mtime)


def draw(kept: Path, models: Sequence[str], people: Sequence[str] | None, out: Path, rng: random.Random) -> None:
    """Write the sheets, the empty answers and the key."""
    folders = {model: folder_of(kept, model) for model in models}
    there = [{path.stem for path in folder.glob("*.npz")} for folder in folders.values()]
    names = sorted(set.intersection(*there) if people is None else {name.replace("/", "_") for name in people})
    rng.shuffle(names)
    out.mkdir(parents=True, exist_ok=True)
    rows, key, answers = [], {}, []
    for number, name in enumerate(names, 1):
        volumes = {}
        for model, folder in folders.items():
            with np.load(folder / f"{name}.npz") as case:
                volumes[model], labels, spacing_mm = case["synthetic"], case["labels"], case["spacing_mm"]
                volumes[TRUTH] = np.where(vertebra_mask(labels), case["truth"], 0).astype(np.uint8)
        order = order_for(sorted(volumes), rng)
        rows.append(person_row(volumes, order, labels, spacing_mm, f"Person {number}"))
        key[str(number)] = {"person": name, **order}
        answers += [(number, letter, "", "", "") for letter in order]
    for number, page in enumerate(sheets_of(rows), 1):
        page.save(out / f"sheet-{number}.png")
    with (out / "answers.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([ANSWER_COLUMNS, *answers])
    (out / "key.json").write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=Path, default=Path("output/held_out"))
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--people", nargs="+", metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("output/blinded"))
    parser.add_argument("--score", type=Path, metavar="ANSWERS", help="compare a filled-in answers.csv with its key")
    options = parser.parse_args()
    if options.score:
        key = json.loads((options.score.parent / "key.json").read_text(encoding="utf-8"))
        with options.score.open(newline="", encoding="utf-8") as file:
            print(json.dumps(scored(list(csv.DictReader(file)), key), indent=1))
        return
    if not options.model:
        parser.error("give at least one --model, as held_out.py names it")
    draw(options.kept, options.model, options.people, options.out, random.Random(secrets.randbits(64)))
    print(
        f"The sheets and answers.csv are in {options.out}; the key is beside them: do not open it before the answers."
    )


if __name__ == "__main__":
    main()
