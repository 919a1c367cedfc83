"""The last step of every backend: from the sums over all slices to the radiograph."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Finish:
    """Path lengths, and the resampling of a virtual detector if there is one."""

    path_mm: Tensor  # (rows, columns), through one sub-slice
    transposed: bool  # the radiograph's rows run along b
    resampling: Tensor | None  # (1, rows, columns, 2) for grid_sample on the (b, a) virtual detector
    pixels_miss: bool = False  # no pixel's ray meets the volume, though the virtual detector's margin may

    @property
    def nbytes(self) -> int:
        kept = [self.path_mm] if self.resampling is None else [self.path_mm, self.resampling]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept)

    def images(self, sums: Tensor) -> Tensor:
        """(n, rows, columns) line integrals from the sums (n, b, a)."""
        if self.resampling is None:
            across = sums.transpose(1, 2) if self.transposed else sums
            return (across * self.path_mm).contiguous()
        # volumes as channels: positions and weights are computed once for all
        sampled = F.grid_sample(sums[None], self.resampling, mode="bicubic", padding_mode="zeros", align_corners=True)
        return sampled[0] * self.path_mm
