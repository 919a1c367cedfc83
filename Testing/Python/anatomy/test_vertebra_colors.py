"""Colours of vertebrae: neighbours differ for every colour vision."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from TomoRayLib.anatomy.vertebra_colors import Color, color_of_label
from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, LABEL_OF_NAME, T13_LABEL

# What a colour looks like without one kind of cone: Machado, Oliveira and Fernandes 2009, severity 1, linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
FAR_APART = 30.0  # in CIELAB; 2 is the least difference that is seen


def lab_of(color: Color, vision: str) -> np.ndarray:
    """CIELAB (D65) of an sRGB colour as a person of this vision sees it."""
    encoded = np.asarray(color)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISIONS[vision]) @ linear, 0.0, 1.0)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ seen / (0.9505, 1.0, 1.089), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
def test_neighbours_differ_for_every_colour_vision(vision: str) -> None:
    without_t13 = [label for label in CRANIOCAUDAL_ORDER if label != T13_LABEL]
    for first, second in (*pairwise(CRANIOCAUDAL_ORDER), *pairwise(without_t13)):
        apart = np.linalg.norm(lab_of(color_of_label(first), vision) - lab_of(color_of_label(second), vision))
        assert apart > FAR_APART, (first, second)


def test_a_vertebra_has_one_colour_and_a_sacrum_none() -> None:
    assert color_of_label(LABEL_OF_NAME["L1"]) == color_of_label(20)
    with pytest.raises(ValueError, match="got 26"):
        color_of_label(26)
