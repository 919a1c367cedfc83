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
_LETTER_OF_WORD = {**_REGION_LETTER, "dorsal": "T"}
_LETTER = {"c": "C", "t": "T", "th": "T", "d": "T", "l": "L", "hwk": "C", "bwk": "T", "lwk": "L"}
_GERMAN = ("hwk", "bwk", "lwk")  # the only letters that a number may precede: "7. BWK", but "1 L" may be a left one
_PROPER = {"atlas": "C1", "axis": "C2"}
_COUNTED = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth"
_PLACE_OF_ORDINAL = {word: place for place, word in enumerate(_COUNTED.split(), 1)}
# Structures that a vertebra only places: "vertebral disc L4", "vertebral canal at L1".
_OTHERS = "disc discs disk disks ivd endplate endplates canal cord foramen artery rib ribs nerve muscle screw rod cage"
_NOT_A_VERTEBRA = frozenset(_OTHERS.split())
_BESIDE_A_NAME = frozenset({"seg", "segmentation", "mask", "msk", "label", "vb"})
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
        name: Such as ``vertebrae_L3`` (TotalSegmentator), ``L3``, ``L 3``, ``L3_mask``, ``Th12``, ``D12``, ``BWK 7``,
            ``Vertebra L1``, ``fifth thoracic vertebra``, ``5th lumbar vertebra``, ``lumbar vertebra 1`` or ``Atlas``.

    Returns:
        The label; None if the name is not that of one vertebra (``sacrum``, ``rib_left_3``, ``L4-L5``, ``disc_L4``).

    >>> [label_of_structure(name) for name in ("T5", "vertebrae_L1", "fifth thoracic vertebra", "rib_left_3")]
    [12, 20, 12, None]
    """
    apart = re.sub(r"\b(vertebrae?|vert|vb)(?=[a-z]{0,3}\d)", r"\1 ", name.lower().replace("_", " "))
    words = [word for word in re.split(r"[^a-z0-9]+", apart) if word and word not in _BESIDE_A_NAME]
    is_vertebra = any(word.startswith("vert") for word in words)
    rest = [word for word in words if not word.startswith("vert")]
    if _NOT_A_VERTEBRA & set(rest):
        return None
    found, used = _labels_in_words(rest, is_vertebra)
    is_range = any(place - 1 in used and place not in used and _place_of(rest[place]) for place in range(len(rest)))
    if len(found) != 1 or is_range:  # "L1-3"
        return None
    return found.pop() if is_vertebra or len(used) == len(rest) else None


def _labels_in_words(words: list[str], is_vertebra: bool) -> tuple[set[int], set[int]]:
    """The labels that words and pairs of neighbours name, and the places of these words."""
    named = [((place,), _label_of_word(word)) for place, word in enumerate(words)]
    pairs = [((place, place + 1), _label_of_pair(*pair, is_vertebra)) for place, pair in enumerate(pairwise(words))]
    found = [(places, label) for places, label in (*named, *pairs) if label is not None]
    return {label for _, label in found}, {place for places, _ in found for place in places}


def _label_of_word(word: str) -> int | None:
    """``l3``, ``th12``, ``atlas``, or German ``lwk3``: the label of L3, T12, C1 and L3."""
    if word in _PROPER:
        return LABEL_OF_NAME[_PROPER[word]]
    found = re.fullmatch(r"([a-z]+)0?(\d+)", word)
    return LABEL_OF_NAME.get(f"{_LETTER.get(found[1])}{found[2]}") if found else None


def _label_of_pair(first: str, second: str, is_vertebra: bool) -> int | None:
    """``("l", "1")``, ``("7", "bwk")``, and of a vertebra ``("fifth", "thoracic")`` or ``("lumbar", "1")``."""
    for word, number in ((first, second), (second, first)):
        letter = _LETTER_OF_WORD.get(word) if is_vertebra else None
        if word in _LETTER and number.isdecimal() and (word == first or word in _GERMAN):
            letter = _LETTER[word]
        if letter:
            return LABEL_OF_NAME.get(f"{letter}{_place_of(number)}")
    return None


def _place_of(word: str) -> int | None:
    """``fifth``, ``5th``, ``5`` and ``05``: 5."""
    found = re.fullmatch(r"0?(\d{1,2})(?:st|nd|rd|th)?", word)
    return int(found[1]) if found else _PLACE_OF_ORDINAL.get(word)


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
