"""Labels of other methods: their numbers, judged by nothing else.

A wrong order or an impossible size is a fault to be scored in a prediction, and not, as in a truth, to be refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from TomoRayLib.anatomy.numbering_choice import shown
from TomoRayLib.anatomy.numberings import AUTO, NUMBERINGS, WHOLE_SPINE, reading_in
from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.masks.checks import in_verse_numbers, note_on_unknown
from TomoRayLib.images.masks.label_maps import renumbered
from TomoRayLib.images.masks.parts import parts_of
from TomoRayLib.images.types import Volume


def predicted_vertebrae(labels: Volume, name: str, numbering: str) -> Volume:
    """Give a method's labels VerSe's numbers.

    Args:
        labels: Whole numbers ``(z, y, x)`` on the grid where they lie.
        name: The name of the file at the beginning of messages.
        numbering: One of ``LABEL_CHOICES``. ``"auto"`` takes a single label as bone without a name, and several as a
            mask's own; of a stated numbering the numbers alone count.

    Returns:
        VerSe numbers, or ``WHOLE_SPINE_LABEL`` alone, with warnings on labels that are left out. Empty if ``labels``
        are: a method that found no bone.

    Raises:
        InputError: If no label is a vertebra of the numbering, or ``"auto"`` cannot tell it.
    """
    numbers = np.unique(labels.voxels)
    numbers = numbers[numbers != 0]
    if not len(numbers):
        return replace(labels, voxels=np.zeros(labels.voxels.shape, np.uint8))
    if numbering == WHOLE_SPINE or (numbering == AUTO and len(numbers) == 1):
        return replace(labels, voxels=np.where(labels.voxels != 0, WHOLE_SPINE_LABEL, 0).astype(np.uint8))
    if numbering == AUTO:
        try:
            return in_verse_numbers(labels, name)
        except InputError as error:
            raise InputError(
                f"{error} In predictions.toml this is numbering; of a stated one the numbers alone count, whatever "
                "their order.",
                error.field,
            ) from None
    table = NUMBERINGS[numbering]
    reading = reading_in(table, parts_of(labels))
    if not reading.parts:
        got = shown([int(number) for number in numbers])
        raise InputError(
            f"{name}: expected vertebrae in the numbering of {table.title}, got the labels {got}, none of which is a "
            "vertebra there; correct numbering in the description."
        )
    meaning = {number: label for number, label in table.vertebrae.items() if number in numbers}
    told = note_on_unknown(reading, name)
    warnings = (*labels.warnings, *((told,) if told else ()))
    return replace(labels, voxels=renumbered(labels.voxels, meaning), warnings=warnings)
