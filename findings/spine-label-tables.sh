#!/usr/bin/env bash
# The same label number is another vertebra in each table, within the same range.
#
# Guess: spine segmentation tools count from the head as VerSe does (1 to 24 = C1 to L5, 26 = sacrum), or use numbers that
# are visibly not VerSe's; and a tool keeps its own numbers.
# What happens: TotalSegmentator's MR task has VerSe's very range, 1 to 25, from below: 24 is C2 there and L5 in VerSe. Its
# CT task counts from below as well, 27 = L5 to 50 = C1; version 1 had 18 to 41. 26 is S1 in its CT table, L6 in the
# same package's table "total_v3", T9 in that of version 1, T6 for totalspineseg and the sacrum in VerSe.
# Why it matters: a label map under the wrong table is a set of valid vertebrae, upside down or some levels off, and no check
# of ranges finds it. Names must travel with the numbers.
# The packages are installed without what they depend on: their tables alone are looked at.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps totalsegmentator==2.18.0 totalspineseg==20260807 tptbox==1.1.0
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import ast
import runpy
from importlib.metadata import files, version

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


for package in ("totalsegmentator", "totalspineseg", "tptbox"):
    print(package, version(package))


def path_of(package, ending):
    (path,) = (file.locate() for file in files(package) if str(file).endswith(ending))
    return path


def nodes(path, kind):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind)]


(instances,) = (
    node for node in nodes(path_of("tptbox", "core/vert_constants.py"), ast.ClassDef) if node.name == "Vertebra_Instance"
)
verse = {}
for node in instances.body:
    if isinstance(node, ast.Assign):
        number = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
        verse[ast.literal_eval(number)] = node.targets[0].id
names_of_previews = next(
    node.value
    for node in nodes(path_of("totalspineseg", "totalspineseg/inference.py"), ast.keyword)
    if node.arg == "label_texts_right" and isinstance(node.value, ast.Dict)
)
total = runpy.run_path(str(path_of("totalsegmentator", "map_to_binary.py")))["class_map"]
tables = {
    "VerSe, as TPTBox has it": verse,
    "TotalSegmentator, CT": total["total"],
    "TotalSegmentator, total_v3": total["total_v3"],
    "TotalSegmentator, version 1": total["total_v1"],
    "TotalSegmentator, MR": total["vertebrae_mr"],
    "totalspineseg": ast.literal_eval(names_of_previews),
}
recorded = {
    "VerSe, as TPTBox has it": ("L5", "S1", "T13"),
    "TotalSegmentator, CT": (None, "S1", "L4"),
    "TotalSegmentator, total_v3": (None, "L6", "L4"),
    "TotalSegmentator, version 1": ("T11", "T9", "T7"),
    "TotalSegmentator, MR": ("C2", None, None),
    "totalspineseg": ("T4", "T6", "T8"),
}
for name, table in tables.items():
    vertebrae = {number: text.removeprefix("vertebrae_") for number, text in table.items() if len(text) < 14}
    seen = tuple(vertebrae.get(number) for number in (24, 26, 28))
    observe(f"24, 26 and 28 in {name}", seen, recorded[name])

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
