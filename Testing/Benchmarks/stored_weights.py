"""What storing a network's weights in 8 bits changes in its scores at 192^3, on every labelled CT in a folder.

    python Testing/Benchmarks/stored_weights.py WEIGHTS --data DATA [--cases 3]

WEIGHTS is a checkpoint of a run, or published weights in half precision (.safetensors), as at first. DATA holds
verse/ and totalsegmentator/. Printed are both files' sizes, and for every CT the scores with the given weights, the
change in them, and the largest and the mean change of a voxel's grey value within either mask.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.networks.weight_storage import pack_state, unpack_state
from TomoRayLib.training.data.training_cases import find_labelled_cts
from TomoRayLib.training.engine.checkpoints import averaged_geolift
from TomoRayLib.training.engine.validation import scored_case, scores_of

SIZE = 192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=None, help="the first so many (default: all)")
    options = parser.parse_args()
    config, state = averaged_geolift(options.weights)
    packed = pack_state(state)
    half = {name: value.half() for name, value in state.items()}
    print(f"half precision {len(save(half)) / 1e6:.2f} MB, stored {len(save(packed)) / 1e6:.2f} MB")
    networks = [GeoLiftUNet(config).to_channels_last().eval() for _ in range(2)]
    for network, values in zip(networks, (state, unpack_state(packed)), strict=True):
        network.load_state_dict(values)
    found = [case for name in ("verse", "totalsegmentator") for case in find_labelled_cts(options.data / name)[0]]
    for case in found[: options.cases]:
        sample = scored_case(case, SIZE).sample
        outputs: list[tuple[Tensor, Tensor]] = []
        with torch.inference_mode():
            for network in networks:
                prediction = network(sample["radiographs"], sample["cube_to_pixel"], (0,))[0]
                outputs.append((prediction.masked, prediction.bone))
        before, after = (scores_of(*output, sample["target"], sample["occupancy"]) for output in outputs)
        inside = outputs[0][1] | outputs[1][1]
        change = (outputs[0][0] - outputs[1][0]).abs()[inside]
        scores = ", ".join(f"{key} {before[key]:.4f} ({after[key] - before[key]:+.5f})" for key in before)
        print(f"{case.name}: {scores}; grey value {float(change.max()):.4f}, mean {float(change.mean()):.5f}")


if __name__ == "__main__":
    main()
