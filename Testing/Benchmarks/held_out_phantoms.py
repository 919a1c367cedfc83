"""The shipped weights on phantoms of spines that they were not trained on, at 192^3, next to the mean atlas.

An empty volume scores 0 in all three: cosine similarity, Dice, and PSNR over blank.

    python Testing/Benchmarks/held_out_phantoms.py --data DATA [--model geolift-s] [--phantoms 24] [--seed 777]

DATA holds labelmaps/ and bodies/. Phantoms are of the four spines that no training has seen, in the bodies that it
has. Printed are mean, standard deviation, median, quartiles and the 95 % confidence interval of the mean (bootstrap
over phantoms). Real people are scored by held_out.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from TomoRayLib.metrics.statistics import Statistic, statistic
from TomoRayLib.training.data.anatomy import load_anatomy
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.engine.validation import ValidationCase, phantom_cases, score_case, scores_of
from TomoRayLib.training.phantoms.scene import SceneSize
from TomoRayLib.weights import ModelEntry, find_model, load_atlas, load_network

SIZE = 192
KEYS = {"cosine_similarity": "cosine similarity", "dice": "Dice", "gain_db": "PSNR over blank, dB"}


def stream() -> StreamConfig:
    """The phantoms: the training's ranges, drawn for this script alone."""
    return StreamConfig(size=SIZE, scene=SceneSize(spacing_mm=1.6))


def atlas_about(target_mask: Tensor, entry: ModelEntry) -> tuple[Tensor, Tensor]:
    """Grey and mask of the mean atlas (1, 1, z, y, x), put on the middle of the true vertebrae's bounding box."""
    grey, mask = (torch.from_numpy(volume)[None, None] for volume in load_atlas(entry))
    places = torch.nonzero(target_mask[0, 0])
    offset = ((places.amin(0) + places.amax(0) + 1) / 2 - SIZE / 2).round().long().tolist()
    return shifted(grey, offset), shifted(mask.float(), offset) > 0.5


def shifted(volume: Tensor, offset: list[int]) -> Tensor:
    """(n, c, z, y, x) moved by whole voxels, 0 coming in."""
    result = torch.zeros_like(volume)
    target, source = [], []
    for size, step in zip(volume.shape[2:], offset, strict=True):
        target.append(slice(max(0, step), size + min(0, step)))
        source.append(slice(max(0, -step), size - max(0, step)))
    result[:, :, target[0], target[1], target[2]] = volume[:, :, source[0], source[1], source[2]]
    return result


def score(network: torch.nn.Module, entry: ModelEntry, case: ValidationCase) -> dict[str, dict[str, float]]:
    """Scores of the model and of the atlas; an empty volume scores 0 in each by definition."""
    target, occupancy = case.sample["target"], case.sample["occupancy"]
    grey, mask = atlas_about(occupancy > 0.5, entry)
    with torch.inference_mode():
        model = score_case(network, case, 0)  # type: ignore[arg-type]
    return {"model": model, "mean atlas": scores_of(grey, mask, target, occupancy)}


def described(s: Statistic) -> str:
    """A statistic as the model cards give it."""
    interval, spread = f"95 % CI {s.ci_low:.3f} to {s.ci_high:.3f}", f"IQR {s.q1:.3f} to {s.q3:.3f}"
    return f"mean {s.mean:.3f} ({interval}), SD {s.sd:.3f}, median {s.median:.3f} ({spread}), n {s.n}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default=None)
    parser.add_argument("--phantoms", type=int, default=24)
    parser.add_argument("--seed", type=int, default=777, help="of the phantoms; model cards may name those of a choice")
    options = parser.parse_args()
    entry = find_model(options.model)
    network = load_network(entry)
    _, held_out = load_anatomy(options.data).split()
    cases = phantom_cases(held_out, stream(), options.phantoms, options.seed)
    scores = [score(network, entry, case) for case in cases]
    print(f"{entry.id}, {options.phantoms} phantoms of held-out spines, seed {options.seed}, {SIZE}^3")
    for row in ("model", "mean atlas"):
        for key, words in KEYS.items():
            s = statistic((one[row][key], str(number)) for number, one in enumerate(scores))
            print(f"  {row:10s} {words:20s} {described(s)}")


if __name__ == "__main__":
    main()
