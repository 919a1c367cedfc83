"""Score every CT of a folder and print the means next to those of the mean atlas.

python examples/evaluate_folder.py [FOLDER] [--out FOLDER]; without a folder: the built-in phantom alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from TomoRayLib import write_volume
from TomoRayLib.jobs import EvaluationJob, run_evaluation
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes


def phantom_cohort(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ct, labels = phantom_volumes()
    write_volume(folder / "phantom_ct.nrrd", ct)
    write_volume(folder / "phantom_seg.nrrd", labels)  # VerSe numbers: 8-19 T1-T12, 20-25 L1-L6
    return folder


def main(folder: Path | None, out: Path) -> None:
    cohort = folder or phantom_cohort(out.with_name(f"{out.name}_cases"))
    run_evaluation(EvaluationJob(folder=str(cohort), out=str(out)), lambda event: None)
    rows = json.loads((out / "summary.json").read_text(encoding="utf-8"))["statistics"]["all"]
    for key in ("cosine_similarity", "psnr_3d_db", "dice", "nsd_2mm", "mae_in_mask_hu"):
        tomoray, atlas = rows["tomoray"][key], rows["mean_atlas"][key]
        print(f"{key:20} {tomoray['mean']:8.3f}, mean atlas {atlas['mean']:8.3f}, n = {tomoray['n']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("output/evaluation"))
    arguments = parser.parse_args()
    main(arguments.folder, arguments.out)
