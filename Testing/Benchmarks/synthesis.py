"""Time and memory of the network's forward pass: both views of one case, on the processor, in this process.

    python Testing/Benchmarks/synthesis.py [--precision bfloat16|float32] [--runs 5]

The bound: 117 GFLOP in the 3D decoder at 260-470 GFLOP/s (bfloat16, two AVX-512 cores) make 0.25-0.45 s; group norms,
lifting and upsampling are bound by memory (some 6 GB moved at 23 GB/s: 0.3 s). For comparison, the paper's network
(X2CT-GAN at 192^3, 116.6 M parameters, 850 GMAC) takes 104 s and 5.5 GB on two such cores.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.networks.precision import fast_precision
from TomoRayLib.networks.radiograph_input import network_input

X2CT_GAN_SECONDS, X2CT_GAN_GB = 104.0, 5.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=["bfloat16", "float32"])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    dtype = getattr(torch, arguments.precision) if arguments.precision else fast_precision(torch.device("cpu"))
    network = GeoLiftUNet().to_channels_last().eval()
    pair = c_arm()
    images = [torch.rand(pair.ap.detector.shape) for _ in range(2)]
    radiographs, matrices = network_input(images, [pair.ap, pair.lateral], Grid.cube((0, 0, 0), 256.0, 192))
    before = peak_memory_mb()
    seconds = []
    for _ in range(arguments.runs + 1):
        started = time.perf_counter()
        with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            network(radiographs, matrices)
        seconds.append(time.perf_counter() - started)
    first, later = seconds[0], statistics.median(seconds[1:])
    peak = peak_memory_mb()
    print(
        f"{dtype}, {torch.get_num_threads()} threads: first pass {first:.2f} s, "
        f"median of {arguments.runs} later {later:.2f} s"
    )
    print(f"peak memory of the process {peak} MB ({before} MB before the first pass)")
    print(
        f"X2CT-GAN at 192^3: {X2CT_GAN_SECONDS / later:.0f} times as long ({X2CT_GAN_SECONDS:.0f} s, {X2CT_GAN_GB} GB)"
    )


if __name__ == "__main__":
    main()
