#!/usr/bin/env bash
# Mixed precision on a processor without AVX-512 makes PyTorch's convolutions many times slower, without a word.
#
# Guess: torch.autocast("cpu", torch.bfloat16) is at worst as slow as float32: where the processor does not multiply
# bfloat16, the library converts and goes on as fast as before.
# What happens: oneDNN refuses bfloat16 below AVX-512, and PyTorch falls back to its own loops. A 2D convolution takes
# more than ten times, a 3D one more than twice the time of float32; no warning is given. Recent desktop processors
# are among those (Intel Core of the 12th to 14th generation, AMD up to Zen 3).
# Why it matters: 3D networks for CTs are commonly run and trained with autocast on the CPU. The same command that
# takes an hour on one machine takes a day on another.
#
# On processors with AVX-512 the script asks oneDNN to leave it out, so that it sees the same everywhere.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 torch==2.13.0
cd "$work"
export ONEDNN_MAX_CPU_ISA=AVX2 CUDA_VISIBLE_DEVICES=
"$work/venv/bin/python" -I - <<'PYTHON'
import time
import warnings

import torch

torch.set_num_threads(1)
warnings.simplefilter("error")  # a word from PyTorch would end the script
print("torch", torch.__version__, "under ONEDNN_MAX_CPU_ISA=AVX2")


def seconds(run, times):
    run()
    began = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - began) / times


changed = []
layers = {
    "2D": (torch.nn.Conv2d(16, 16, 3, padding=1), torch.randn(1, 16, 160, 160), 10),
    "3D": (torch.nn.Conv3d(16, 16, 3, padding=1), torch.randn(1, 16, 24, 24, 24), 2),
}
with torch.inference_mode():
    for name, (layer, image, least) in layers.items():
        plain = seconds(lambda: layer(image), 20)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = seconds(lambda: layer(image), 3)
        print(f"{name} convolution: float32 {plain * 1e3:.1f} ms, bfloat16 {mixed * 1e3:.1f} ms, {mixed / plain:.1f} times")
        if mixed < least * plain:
            changed.append(f"CHANGED: {name}: recorded at least {least} times the time of float32")

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
