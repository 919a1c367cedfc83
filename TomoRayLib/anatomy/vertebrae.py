"""Vertebra labels: the VerSe numbering, names, and the table to TotalSegmentator's names.

VerSe and CTSpine1K: 1-7 = C1-C7, 8-19 = T1-T12, 20-25 = L1-L6, 26 sacrum, 27 coccyx, 28 = T13
(https://github.com/anjany/verse). The bone target keeps 1-25 and 28; sacrum and coccyx are left out.
"""

from __future__ import annotations

from collections.abc import Iterable

NAME_OF_LABEL: dict[int, str] = {
    **{number: f"C{number}" for number in range(1, 8)},
    **{7 + number: f"T{number}" for number in range(1, 13)},
    **{19 + number: f"L{number}" for number in range(1, 7)},
    28: "T13",
}
LABEL_OF_NAME: dict[str, int] = {name: label for label, name in NAME_OF_LABEL.items()}
VERTEBRA_LABELS: tuple[int, ...] = tuple(sorted(NAME_OF_LABEL))
SACRUM_LABEL, COCCYX_LABEL = 26, 27
# A mask that does not tell vertebrae apart gets this label: bone of the target, but no vertebra of its own.
WHOLE_SPINE_LABEL = 255

# From cranial to caudal: T13 (28) lies between T12 (19) and L1 (20).
CRANIOCAUDAL_ORDER: tuple[int, ...] = (*range(1, 20), 28, *range(20, 26))

REGIONS = ("cervical", "thoracic", "lumbar")


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
        name: Such as ``vertebrae_L3`` (TotalSegmentator), ``L3`` or ``vertebra T12``.

    Returns:
        The label; None if the name is not that of a vertebra (``sacrum``, ``rib_left_3``).
    """
    words = name.replace("_", " ").replace("-", " ").upper().split()
    if len(words) == 2 and words[0] in ("VERTEBRA", "VERTEBRAE"):
        return LABEL_OF_NAME.get(words[1])
    return LABEL_OF_NAME.get(words[0]) if len(words) == 1 else None


def region_of(name: str) -> str:
    """The part of the spine that a vertebra belongs to by its name: C3 is cervical, T13 thoracic, L6 lumbar.

    Raises ValueError for any other name.
    """
    if name not in LABEL_OF_NAME:
        raise ValueError(f"Expected the name of a vertebra (C1 ... L6), got {name!r}.")
    return {"C": "cervical", "T": "thoracic", "L": "lumbar"}[name[0]]
