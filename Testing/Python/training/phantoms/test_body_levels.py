"""Spinal levels of bodies: interpolated between anchors, and read right off the real ones."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.training.phantoms.body_levels import (
    LEVELS_OF_BODY,
    height_of_level,
    level_at,
    level_of_height,
    z_of_level,
)

UNEVEN = ((20.0, 30.0), (18.0, 101.0), (21.0, -25.0))  # T11, L1 and L2 at their tops, not in order


def test_each_anchor_is_met_and_what_lies_between_follows_standard_heights() -> None:
    np.testing.assert_allclose(z_of_level(np.array([18.0, 20.0, 21.0]), UNEVEN), (101.0, 30.0, -25.0))
    np.testing.assert_allclose(z_of_level(20.5, UNEVEN), 2.5)
    share = (height_of_level(19.0) - height_of_level(18.0)) / (height_of_level(20.0) - height_of_level(18.0))
    np.testing.assert_allclose(z_of_level(19.0, UNEVEN), 101.0 - 71.0 * share)


def test_beyond_the_anchors_the_scale_of_the_whole_body_holds() -> None:
    scale = 126.0 / float(height_of_level(21.0) - height_of_level(18.0))
    np.testing.assert_allclose(z_of_level(np.array([22.0, 25.0]), UNEVEN), [-25.0 - 36 * scale, -25.0 - 144 * scale])
    below = 101.0 + scale * float(height_of_level(18.0) - height_of_level(8.0))
    np.testing.assert_allclose(z_of_level(8.0, UNEVEN), below)


def test_the_level_at_a_height_is_the_inverse() -> None:
    levels = np.linspace(1.2, 25.8, 60)
    np.testing.assert_allclose(level_at(z_of_level(levels, UNEVEN), UNEVEN), levels)
    np.testing.assert_allclose(level_of_height(height_of_level(levels)), levels)
    assert level_at(1e4, UNEVEN) == 1.0  # above C1


@pytest.mark.parametrize("name", LEVELS_OF_BODY)
def test_the_vertebrae_of_a_body_are_as_high_as_vertebrae_are(name: str) -> None:
    """A disc missed or read twice would give a vertebra half or twice as high as its neighbours."""
    levels, z_mm = np.array(LEVELS_OF_BODY[name]).T
    assert len(levels) >= 3
    np.testing.assert_array_equal(np.diff(levels), 1.0)
    standard = np.diff(height_of_level(levels))
    ratio = -np.diff(z_mm) / standard
    assert ratio.min() > 0.6
    assert ratio.max() < 1.35
    assert (ratio[1:] / ratio[:-1]).max() < 1.45
    assert (ratio[1:] / ratio[:-1]).min() > 0.6
