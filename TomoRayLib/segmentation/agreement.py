"""How well the labels found in a CT agree with labels that somebody else gave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, vertebra_labels_in
from TomoRayLib.geometry.masks import bounding_box
from TomoRayLib.images.resampling import cropped, labels_on_grid
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.vertebra import dice
from TomoRayLib.metrics.vertebra_counts import VertebraCounts, count_vertebrae

END_MM = 2.0  # what comes as near to the CT's first or last slice along the body is cut


@dataclass(frozen=True)
class Agreement:
    """Scores of found labels against given ones.

    ``dice`` is that of all vertebrae together, ``dice_by_name`` of each given vertebra with what was found under its
    number; ``counts`` are 0 for a mask that does not tell vertebrae apart.
    """

    dice: float
    counts: VertebraCounts
    dice_by_name: dict[str, float]

    def to_json_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-like values."""
        shares = {name: round(value, 4) for name, value in self.dice_by_name.items()}
        return {"dice": round(self.dice, 4), **self.counts.to_json_dict(), "dice_by_name": shares}


def agreement(found: Volume, given: Volume) -> Agreement | None:
    """Compare the labels of a CT with given ones.

    Args:
        found: VerSe numbers on the CT's grid.
        given: VerSe numbers on the same grid.

    Returns:
        The scores; None if no vertebra is given.
    """
    cut = labels_at_ends(given)
    upright = given.grid if given.grid.is_upright else given.grid.upright(min(given.grid.spacing_mm))
    ours, theirs = (
        volume if volume.grid.same_as(upright) else labels_on_grid(volume, upright) for volume in (found, given)
    )
    box = bounding_box(vertebra_mask(ours.voxels) | vertebra_mask(theirs.voxels), margin=1)
    if box is None or not vertebra_mask(theirs.voxels[box]).any():
        return None
    ours, theirs = cropped(ours, box), cropped(theirs, box)
    return Agreement(
        dice=dice(vertebra_mask(ours.voxels), vertebra_mask(theirs.voxels)),
        counts=count_vertebrae(ours.voxels, theirs.voxels, upright.spacing_mm, cut),
        dice_by_name={
            NAME_OF_LABEL[label]: dice(ours.voxels == label, theirs.voxels == label)
            for label in vertebra_labels_in(np.unique(theirs.voxels))
        },
    )


def labels_at_ends(labels: Volume) -> frozenset[int]:
    """Return the labels within 2 mm of the volume's first and last slice along the body: what they mark is cut."""
    grid = labels.grid
    along = int(np.abs(grid.direction_matrix[2]).argmax())  # of (i, j, k)
    count = max(1, min(round(END_MM / grid.spacing_mm[along]), grid.size[along]))
    ends = (range(count), range(grid.size[along] - count, grid.size[along]))
    slices = (np.take(labels.voxels, place, axis=2 - along) for places in ends for place in places)
    return frozenset(int(label) for values in slices for label in np.unique(values) if label)
