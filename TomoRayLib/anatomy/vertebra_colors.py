"""A colour for each vertebra: the same one wherever it is drawn, and another one than its neighbours'.

Four colours of Okabe and Ito in turn, in the order in which neighbours differ most for every colour vision.
"""

from __future__ import annotations

from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, T13_LABEL

Color = tuple[float, float, float]

BLUE: Color = (0.0, 0.45, 0.70)
YELLOW: Color = (0.94, 0.89, 0.26)
SKY_BLUE: Color = (0.34, 0.71, 0.91)
VERMILLION: Color = (0.84, 0.37, 0.0)
COLORS: tuple[Color, ...] = (BLUE, YELLOW, SKY_BLUE, VERMILLION)

_COLOR_OF_LABEL: dict[int, Color] = {
    number: COLORS[place % len(COLORS)]
    for place, number in enumerate(number for number in CRANIOCAUDAL_ORDER if number != T13_LABEL)
}
_COLOR_OF_LABEL[T13_LABEL] = YELLOW  # between T12 in sky blue and L1 in vermillion


def color_of_label(label: int) -> Color:
    """Return the colour of a vertebra as red, green and blue, 0 to 1.

    Args:
        label: VerSe number, 1 (C1) to 25 (L6), or 28 (T13).

    Raises:
        ValueError: If the number is none of a vertebra.
    """
    if label not in _COLOR_OF_LABEL:
        raise ValueError(f"Expected the VerSe number of a vertebra, 1 to 25 or 28; got {label}.")
    return _COLOR_OF_LABEL[label]
