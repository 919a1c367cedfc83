"""How much of a volume or batch one operation of stock torch takes on, by device."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from TomoRayLib.projector.crossings import MOST_SUB_SLICES

TRANSPOSED_BYTES = 64 * 2**20  # of the kept copy for views along x, whose voxels are not contiguous across


@dataclass(frozen=True)
class WorkLimits:
    """How much one operation takes on at most.

    ``slices`` of one volume, then more ``volumes`` of a batch, as long as each of the two or three arrays between the
    products takes no more than ``block_bytes``. ``layers_per_sum`` are the sub-slices of one weighted sum; longer sums
    are computed in parts, in parallel.
    """

    slices: int
    volumes: int
    block_bytes: int
    layers_per_sum: int


# Measured at 256^3: 8 slices at a time are fastest for 256^2 pixels, 4 for 1024^2, since more leave the cache. So do
# more volumes: 2 to 4 of 128^3 together take 1.4 times as long as one by one.
CPU = WorkLimits(slices=8, volumes=1, block_bytes=4 * 2**20, layers_per_sum=8 * MOST_SUB_SLICES)
# Measured on an H100 at 256^3 and 256^2: 16 to 128 MB take as long, 8 MB twice as long from the front; with the
# transposed copy 32 MB stay below 150 MB. One thread computes one sum: many short ones keep all threads busy.
GPU = WorkLimits(slices=2**16, volumes=2**16, block_bytes=32 * 2**20, layers_per_sum=8)


def limits_of(device: str) -> WorkLimits:
    """The limits that suit a device, named as torch names it."""
    return CPU if torch.device(device).type == "cpu" else GPU
