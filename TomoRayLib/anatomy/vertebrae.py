"""Vertebra labels: the VerSe numbering, names, and the table to TotalSegmentator's names.

VerSe and CTSpine1K: 1-7 = C1-C7, 8-19 = T1-T12, 20-25 = L1-L6, 26 sacrum, 27 coccyx, 28 = T13
(https://github.com/anjany/verse). The bone target keeps 1-25 and 28; sacrum and coccyx are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

NAME_OF_LABEL: dict[int, str] = {
    **{number: f"C{number}" for number in range(1, 8)},
    **{7 + number: f"T{number}" for number in range(1, 13)},
    **{19 + number: f"L{number}" for number in range(1, 7)},
    28: "T13",
}
LABEL_OF_NAME: dict[str, int] = {name: label for label, name in NAME_OF_LABEL.items()}
VERTEBRA_LABELS: tuple[int, ...] = tuple(sorted(NAME_OF_LABEL))
SACRUM_LABEL, COCCYX_LABEL, T13_LABEL = 26, 27, 28
# A mask that does not tell vertebrae apart gets this label: bone of the target, but no vertebra of its own.
WHOLE_SPINE_LABEL = 255

# From cranial to caudal: T13 (28) lies between T12 (19) and L1 (20).
CRANIOCAUDAL_ORDER: tuple[int, ...] = (*range(1, 20), 28, *range(20, 26))

REGIONS = ("cervical", "thoracic", "lumbar")
_REGION_LETTER = {"cervical": "C", "thoracic": "T", "lumbar": "L"}
_LETTER = {"c": "C", "t": "T", "th": "T", "l": "L", "hwk": "C", "bwk": "T", "lwk": "L"}
_COUNTED = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
_ORDINALS = tuple(_COUNTED.split())
# Structures that a vertebra only places: "vertebral disc L4", "vertebral canal at L1".
_OTHERS = "disc discs disk disks ivd endplate endplates canal cord foramen artery rib ribs nerve muscle screw rod cage"
_NOT_A_VERTEBRA = frozenset(_OTHERS.split())
_SPINE_WORDS = frozenset({"spine", "vertebrae", "vertebra", "vertebral", "bone"})
_SPINE_NAMES = ({"spine"}, {"vertebrae"}, {"vertebra"}, {"vertebral", "column"}, {"spinal", "column"})


def vertebra_labels_in(labels: Iterable[int]) -> tuple[int, ...]:
    """Select the vertebra labels; background, sacrum and others are dropped.

    Args:
        labels: VerSe numbers in any order.

    Returns:
        The vertebra labels among them, from cranial to caudal.
    """
    present = {int(label) for label in labels}
    return tuple(label for label in CRANIOCAUDAL_ORDER if label in present)


def label_of_structure(name: str) -> int | None:
    """Find the VerSe label of a structure by its name.

    Args:
        name: Such as ``vertebrae_L3`` (TotalSegmentator), ``L3``, ``Th12``, ``L1 vertebra``, ``Vertebra L1``,
            ``fifth thoracic vertebra`` or ``lumbar vertebra 1``.

    Returns:
        The label; None if the name is not that of one vertebra (``sacrum``, ``rib_left_3``, ``L4-L5``, ``disc_L4``).

    >>> [label_of_structure(name) for name in ("T5", "vertebrae_L1", "fifth thoracic vertebra", "rib_left_3")]
    [12, 20, 12, None]
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    if len(words) == 1:
        return _label_of_word(words[0])
    if not any(word.startswith("vert") for word in words) or _NOT_A_VERTEBRA & set(words):
        return None
    named = [_label_of_word(word) for word in words]
    counted = [_label_in_region(number, region) for pair in pairwise(words) for number, region in (pair, pair[::-1])]
    found = {label for label in (*named, *counted) if label is not None}
    return found.pop() if len(found) == 1 else None


def _label_of_word(word: str) -> int | None:
    """``l3``, ``th12``, or German ``lwk3``: the label of L3, T12 and L3."""
    found = re.fullmatch(r"(c|t|th|l|hwk|bwk|lwk)0?(\d+)", word)
    return LABEL_OF_NAME.get(f"{_LETTER[found[1]]}{found[2]}") if found else None


def _label_in_region(number: str, region: str) -> int | None:
    """``("fifth", "thoracic")`` and ``("5", "thoracic")``: the label of T5."""
    letter = _REGION_LETTER.get(region)
    place = _ORDINALS.index(number) + 1 if number in _ORDINALS else number
    return LABEL_OF_NAME.get(f"{letter}{place}") if letter else None


def terms_of_entry(entry: str) -> tuple[str, ...]:
    """Return the code meanings in a terminology entry as 3D Slicer writes it.

    Args:
        entry: ``context~category~type~modifier~...``, each a code such as ``SCT^66794005^L1 vertebra``.

    Returns:
        The meanings in the order given, empty ones left out.
    """
    parts = [part.split("^") for part in entry.split("~")]
    return tuple(part[2] for part in parts if len(part) > 2 and part[2])


def means_whole_spine(name: str, alone: bool = True) -> bool:
    """Return whether a structure's name lets it be the whole spine.

    Args:
        name: The name. ``spine`` and ``vertebrae`` mean the spine; so may ``Bone`` or ``spine mask``.
        alone: Whether it is the mask's only structure. If not, the name must be that of the spine and no more.
    """
    words = set(re.split(r"[^a-z]+", name.lower())) - {""}
    return bool(_SPINE_WORDS & words) if alone else words in _SPINE_NAMES


def is_generic_name(name: str) -> bool:
    """Return whether a segment's name is none of its own: empty, or ``Segment_3`` as 3D Slicer gives it."""
    return re.fullmatch(r"(segment|label)?[\s_-]*\d*", name.strip().lower()) is not None


def region_of(name: str) -> str:
    """The part of the spine that a vertebra belongs to by its name: C3 is cervical, T13 thoracic, L6 lumbar.

    Raises ValueError for any other name.
    """
    if name not in LABEL_OF_NAME:
        raise ValueError(f"Expected the name of a vertebra (C1 ... L6), got {name!r}.")
    return {letter: region for region, letter in _REGION_LETTER.items()}[name[0]]
