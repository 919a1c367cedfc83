"""Label maps with names: the numbers of vertebrae become VerSe's by what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import (
    COCCYX_LABEL,
    NAME_OF_LABEL,
    SACRUM_LABEL,
    WHOLE_SPINE_LABEL,
    is_generic_name,
    label_of_structure,
    means_whole_spine,
    vertebra_labels_in,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.masks.label_names import LabelNames, NamedLabel
from TomoRayLib.images.masks.parts import labels_in
from TomoRayLib.images.types import Volume, volume_from_sitk

_BELOW = {"sacrum": SACRUM_LABEL, "coccyx": COCCYX_LABEL}  # kept, though they are no vertebrae


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map; ``is_named`` if its numbers are VerSe's by name, else they are those of the file.

    ``other_names`` are names found that mean no vertebra; ``only_order`` is True if the file's numbers merely count its
    segments, in the order in which they were made in 3D Slicer.
    """

    volume: Volume
    is_named: bool = False
    other_names: tuple[str, ...] = ()
    source: str = ""
    only_order: bool = False


def label_map_of(layers: Sequence[Volume], names: LabelNames | None, path: str) -> LabelMap:
    """Give a label map the numbers that its names mean.

    Args:
        layers: Labels ``(z, y, x)`` as stored; several only if the file has layers.
        names: The names of its numbers, if there are any.
        path: The file at the beginning of messages.

    Returns:
        The map in VerSe's numbers if a name is that of a vertebra, else as it is stored.

    Raises:
        InputError: If two labels have the name of one vertebra, or a layered file names none.
    """
    if names is None:
        return LabelMap(layers[0])
    present = [labels_in(layer.voxels) for layer in layers]
    used = [label for label in names.labels if label.layer < len(present) and label.number in present[label.layer]]
    meant = {label: found for label in used if (found := _label_of(label)) is not None}
    below = {label: _BELOW[text.lower()] for label in used for text in label.texts if text.lower() in _BELOW}
    others = tuple(label.texts[0] if label.texts else "?" for label in used if label not in {**meant, **below})
    spines = [label for label in used if label.texts and means_whole_spine(label.texts[0], alone=len(used) == 1)]
    if not meant and len(spines) == 1:
        meant, others = {spines[0]: WHOLE_SPINE_LABEL}, tuple(text for text in others if text != spines[0].texts[0])
    if not meant:
        return _unnamed(layers, names, used, path)
    _check_once(meant, path)
    unnamed = sum(len(numbers) for numbers in present) - len(used)
    notes = (*layers[0].notes, _note(names, meant, others, unnamed))
    volume = replace(layers[0], voxels=_renumbered(layers, {**below, **meant}), notes=notes)
    return LabelMap(volume, is_named=True, other_names=others, source=names.source)


def layers_of(image: sitk.Image, path: str) -> tuple[Volume, ...]:
    """Return the layers of a ``.seg.nrrd`` of overlapping segments, which are read as the values of each voxel."""
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return (volume_from_sitk(image, path),)
    return tuple(volume_from_sitk(sitk.VectorIndexSelectionCast(image, index), path) for index in range(count))


def renumbered(voxels: NDArray[np.integer], meaning: Mapping[int, int]) -> NDArray[np.uint8]:
    """Exchange labels.

    Args:
        voxels: Labels ``(z, y, x)``; those below 0 are background.
        meaning: The new label of each; those not in it become 0.

    Returns:
        The new labels.
    """
    table = np.zeros(int(voxels.max(initial=0)) + 1, np.uint8)
    for number, label in meaning.items():
        if 0 <= number < len(table):
            table[number] = label
    result = np.empty(voxels.shape, np.uint8)
    for plane, new in zip(voxels, result, strict=True):  # an index takes 8 bytes a voxel
        np.take(table, np.maximum(plane, 0).astype(np.intp), out=new)
    return result


def check_label_values(voxels: NDArray[np.generic], name: str) -> None:
    """Raise InputError for values that are not those of a label map: fractions, negative ones, a CT's."""
    if not np.issubdtype(voxels.dtype, np.integer) and voxels.dtype != np.bool_:
        raise InputError(
            f"{name}: expected a label map of whole numbers, got {voxels.dtype} values; choose the mask instead of "
            "the CT, or read it with read_labels."
        )
    low, high = int(voxels.min(initial=0)), int(voxels.max(initial=0))
    if low < 0 or high >= 2**15:
        raise InputError(
            f"{name}: expected labels of 0 and above, got values from {low} to {high}; is this a CT? Choose the mask."
        )


def _label_of(label: NamedLabel) -> int | None:
    return next((found for text in label.texts if (found := label_of_structure(text)) is not None), None)


def _unnamed(layers: Sequence[Volume], names: LabelNames, used: Sequence[NamedLabel], path: str) -> LabelMap:
    """The map as stored: no name is that of a vertebra."""
    texts = tuple(label.texts[0] for label in used if label.texts and not is_generic_name(label.texts[0]))
    if len(layers) > 1:
        raise InputError(
            f"{path}: expected segments named after vertebrae (L1, vertebrae_L1), got several layers with "
            f"{_some(texts) or 'segments without names of their own'}; name the segments, or export one label map."
        )
    counted = sorted(label.number for label in used) == list(range(1, len(used) + 1)) and len(used) > 1
    return LabelMap(layers[0], False, texts, names.source, names.from_slicer and counted and not texts)


def _check_once(meant: Mapping[NamedLabel, int], path: str) -> None:
    for label in set(meant.values()):
        same = [str(named.number) for named, found in meant.items() if found == label]
        if len(same) > 1:
            raise InputError(
                f"{path}: expected each vertebra once, got the name of {NAME_OF_LABEL[label]} for the labels "
                f"{', '.join(same)}; rename or join them."
            )


def _renumbered(layers: Sequence[Volume], meant: Mapping[NamedLabel, int]) -> NDArray[np.int16]:
    result = np.zeros(layers[0].voxels.shape, np.int16)
    for index, layer in enumerate(layers):
        meaning = {named.number: label for named, label in meant.items() if named.layer == index}
        new = renumbered(layer.voxels, meaning)
        np.copyto(result, new, where=new > 0)
    return result


def _note(names: LabelNames, meant: Mapping[NamedLabel, int], others: tuple[str, ...], unnamed: int) -> str:
    labels = vertebra_labels_in(meant.values())
    named = ", ".join(NAME_OF_LABEL[label] for label in labels) or "the whole spine"
    text = f"read by {names.source}: {named}"
    if others:
        text += f"; not vertebrae, left out: {_some(others)}"
    if unnamed:
        text += f"; {unnamed} labels without a name left out"
    return text + "."


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:6]) + (", ..." if len(texts) > 6 else "")
