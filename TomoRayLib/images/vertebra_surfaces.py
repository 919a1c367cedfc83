"""The surface of each vertebra of a label map as files of their own, named as TotalSegmentator names structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from TomoRayLib.anatomy.vertebra_codes import totalsegmentator_name
from TomoRayLib.anatomy.vertebrae import vertebra_labels_in
from TomoRayLib.base.threads import in_threads
from TomoRayLib.images.surface_files import write_stl, write_vtp
from TomoRayLib.images.surfaces import make_surface
from TomoRayLib.images.types import Volume

FOLDER = "vertebrae"


def write_vertebra_surfaces(folder: Path, labels: Volume) -> None:
    """Write ``vertebrae/vertebrae_L1.vtp`` and ``.stl`` of each vertebra, closed, in LPS mm, with the research notice.

    Args:
        folder: The folder of results; ``vertebrae`` is made in it.
        labels: VerSe numbers (z, y, x) of the synthetic vertebrae, uint8, on any grid. Other numbers are passed over.

    Raises:
        OutputError: If a file cannot be written completely.
    """
    target = folder / FOLDER
    target.mkdir()
    boxes = dict(enumerate(ndimage.find_objects(labels.voxels), start=1))
    present = vertebra_labels_in(label for label, box in boxes.items() if box is not None)

    def writing(label: int) -> Callable[[], object]:
        box = boxes[label]
        low, high = [part.start for part in box[::-1]], [part.stop for part in box[::-1]]
        mask = Volume((labels.voxels[box] == label).astype(np.uint8), labels.grid.part(low, high))

        def write() -> None:
            surface, name = make_surface(mask), totalsegmentator_name(label)
            write_vtp(target / f"{name}.vtp", surface)
            write_stl(target / f"{name}.stl", surface)

        return write

    in_threads([writing(label) for label in present], most=2)
