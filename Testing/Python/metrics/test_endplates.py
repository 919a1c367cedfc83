"""Edge response across endplates: 10 to 90 % of a Gaussian edge are 2.563 standard deviations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage, stats

from support.body_columns import SPACING_MM, body_column
from TomoRayLib.metrics.discs import discs_between
from TomoRayLib.metrics.endplates import (
    GAUSSIAN_RISE_PER_SD,
    EndplateSharpness,
    endplate_sharpness,
    rise_distance_mm,
)

COLUMN = body_column()
DISCS = discs_between(COLUMN.labels, SPACING_MM)


def blurred(sd_mm: float) -> np.ndarray:
    """The column after a Gaussian blur, the same in mm along all axes."""
    return ndimage.gaussian_filter(COLUMN.grey, [sd_mm / step for step in SPACING_MM[::-1]], truncate=5)


def test_the_constant_is_that_of_the_normal_distribution() -> None:
    assert pytest.approx(2 * stats.norm.ppf(0.9), abs=1e-6) == GAUSSIAN_RISE_PER_SD


@pytest.mark.parametrize("sd_mm", [0.5, 2.0, 3.1])
def test_a_profile_of_a_gaussian_edge_rises_in_2_563_sd(sd_mm: float) -> None:
    t_mm = np.arange(-20, 20, 0.25)
    profile = 0.1 + 0.7 * stats.norm.cdf(t_mm / sd_mm)
    assert rise_distance_mm(profile, 0.25) == pytest.approx(GAUSSIAN_RISE_PER_SD * sd_mm, rel=0.01, abs=0.05)


def test_a_line_rises_over_four_fifths_of_its_length_and_a_constant_not_at_all() -> None:
    assert rise_distance_mm(np.linspace(3.0, 5.0, 41), 0.25) == pytest.approx(8.0)
    assert rise_distance_mm(np.full(9, 0.3), 0.25) == 0.0


def test_what_lies_behind_the_endplate_does_not_widen_its_edge() -> None:
    """A bright endplate before darker marrow: the edge ends at the endplate's peak."""
    t_mm = np.arange(0, 20, 0.25)
    rise = np.clip((t_mm - 3) / 2, 0, 1)
    marrow = np.where(t_mm > 6, 0.5, 1.0)
    assert rise_distance_mm(rise * marrow, 0.25) == pytest.approx(0.8 * 2.0, abs=0.01)


@pytest.mark.parametrize("sd_mm", [1.5, 2.0, 2.5])
def test_blurred_endplates_of_a_leaning_column_have_the_width_of_the_blur(sd_mm: float) -> None:
    """Discs of 14 mm are 5.6 or more sd wide, so that neighbouring edges hardly touch; voxels add about 0.1 mm."""
    found = endplate_sharpness(blurred(sd_mm), COLUMN.grey, DISCS, SPACING_MM)
    assert found.endplates == 4
    assert found.edge_share == 1.0
    assert found.rise_mm == pytest.approx(GAUSSIAN_RISE_PER_SD * sd_mm, rel=0.04)


def test_the_truth_is_as_sharp_as_its_voxels() -> None:
    found = endplate_sharpness(COLUMN.grey, COLUMN.grey, DISCS, SPACING_MM)
    assert found.contrast == 1.0
    assert 0.2 < found.rise_mm < 1.0  # an oblique edge over voxels of 0.5 mm along the axis


def test_brightness_and_place_do_not_change_the_width() -> None:
    moved = 0.5 * np.roll(blurred(2.0), (8, 3), axis=(0, 1))  # 4 mm up, 2.4 mm back
    found = endplate_sharpness(moved, COLUMN.grey, DISCS, SPACING_MM)
    assert found.rise_mm == pytest.approx(GAUSSIAN_RISE_PER_SD * 2.0, rel=0.04)
    assert found.contrast == pytest.approx(0.5, rel=0.02)


def test_a_blur_that_fills_the_discs_leaves_no_edge() -> None:
    found = endplate_sharpness(blurred(14.0), COLUMN.grey, DISCS, SPACING_MM)
    assert found.edge_share == 0.0
    assert math.isnan(found.rise_mm)
    assert found.contrast < 0.25


def test_an_empty_volume_has_no_edge_and_no_disc_has_no_value() -> None:
    found = endplate_sharpness(np.zeros_like(COLUMN.grey), COLUMN.grey, DISCS, SPACING_MM)
    assert (found.endplates, found.edge_share, found.contrast) == (4, 0.0, 0.0)
    none = endplate_sharpness(COLUMN.grey, COLUMN.grey, (), SPACING_MM)
    assert none.to_json_dict() == {"endplates": 0, "rise_mm": None, "contrast": None, "edge_share": None}
    assert isinstance(none, EndplateSharpness)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="truth's shape"):
        endplate_sharpness(COLUMN.grey[1:], COLUMN.grey, DISCS, SPACING_MM)
