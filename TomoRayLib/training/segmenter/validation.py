"""Real CTs that the segmenter never learns from, scored as it trains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.vertebra_field import LEVEL_UNIT, OFFSET_UNIT_MM, vertebra_field
from TomoRayLib.images.resampling import labels_on_grid, resample_averaged
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.ct_segmenter import EDGE_MULTIPLE, LOWEST, SPACING_MM, normalised_hu
from TomoRayLib.networks.precision import fast_autocast
from TomoRayLib.training.engine.progress import Progress
from TomoRayLib.training.engine.run_log import RunLog


@dataclass(frozen=True)
class SegmenterCase:
    """A CT at 2 mm: ``hu`` normalised (1, 1, z, y, x) with edges that the network takes, mask and field as in crops."""

    name: str
    hu: Tensor
    mask: Tensor
    field: Tensor
    inside: Tensor


def segmenter_case(name: str, ct: Volume, labels: Volume) -> SegmenterCase:
    """A labelled CT in any geometry on the network's grid, cut to the slices that have labels."""
    grid = ct.grid.upright(SPACING_MM)
    hu = torch.from_numpy(resample_averaged(ct, grid).voxels)
    numbers = labels_on_grid(labels, grid).voxels
    mask = vertebra_mask(numbers)
    field, inside = vertebra_field(numbers, grid)
    heights = np.flatnonzero(mask.any(axis=(1, 2)))
    rows = slice(int(heights[0]), int(heights[-1]) + 1)
    return SegmenterCase(
        name,
        normalised_hu(hu[rows])[None, None],
        torch.from_numpy(mask[rows])[None, None],
        torch.from_numpy(field[:, rows])[None],
        torch.from_numpy(inside[rows])[None, None],
    )


@torch.no_grad()
def score_of(network: nn.Module, cases: list[SegmenterCase]) -> dict[str, dict[str, float]]:
    """By case: Dice of the mask; median error of the centroid's place in mm, and of the level, inside vertebrae."""
    network.eval()
    scores = {}
    device = next(network.parameters()).device
    for case in cases:
        padding = [edge for n in reversed(case.hu.shape[2:]) for edge in (0, -n % EDGE_MULTIPLE)]
        hu = F.pad(case.hu, padding, value=LOWEST).to(device, memory_format=torch.channels_last_3d)
        with fast_autocast(device):
            output = network(hu).cpu()
        z, y, x = case.hu.shape[2:]
        output = output[:, :, :z, :y, :x]
        found = output[:, :1] > 0
        both = float((found & case.mask).sum())
        dice = 2 * both / max(float(found.sum() + case.mask.sum()), 1.0)
        off = (output[:, 1:4] - case.field[:, :3]).square().sum(dim=1, keepdim=True).sqrt()
        level = (output[:, 4:] - case.field[:, 3:]).abs()
        scores[case.name] = {
            "dice": dice,
            "centroid_mm": float(off[case.inside].median()) * OFFSET_UNIT_MM,
            "level": float(level[case.inside].median()) * LEVEL_UNIT,
        }
    return scores


class SegmenterLog(RunLog):
    """The tables of a run, with the scores of ``score_of``."""

    def validation(self, progress: Progress, scores: dict[str, dict[str, float]]) -> str:
        """Append the scores, and describe them in a line."""
        words = [str(progress)]
        for name, score in scores.items():
            row = {"step": progress.steps, "minutes": round(progress.seconds / 60, 2), "case": name, **score}
            self._append("validation.csv", row)
            words.append(f"{name} Dice {score['dice']:.3f}, {score['centroid_mm']:.1f} mm, {score['level']:.2f} levels")
        return "; ".join(words)
