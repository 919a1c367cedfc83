"""Rays across the true discs, and the gaps that a prediction shows there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from support.body_columns import SPACING_MM, body_column
from TomoRayLib.metrics.disc_gaps import disc_gaps, falls_between, shows_gap
from TomoRayLib.metrics.discs import RADIUS_MM, are_neighbours, body_middles_mm, discs_between

COLUMN = body_column(gap_mm=6.0)
DISCS = discs_between(COLUMN.labels, SPACING_MM)


def blurred(sd_mm: float) -> NDArray[np.float64]:
    return ndimage.gaussian_filter(COLUMN.grey, [sd_mm / step for step in SPACING_MM[::-1]], truncate=5)


def test_the_middle_of_a_body_is_found_beside_its_processes() -> None:
    for number, place_mm in body_middles_mm(COLUMN.labels, SPACING_MM).items():
        assert np.abs(place_mm - COLUMN.middles_mm[number]).max() < 1.6  # the processes thicken it a little behind


def test_the_discs_run_from_cranial_to_caudal_between_the_middles() -> None:
    assert [(disc.upper, disc.lower) for disc in DISCS] == [(20, 21), (21, 22)]
    middles = body_middles_mm(COLUMN.labels, SPACING_MM)
    for disc in DISCS:
        assert np.allclose(disc.points_mm[:, 0].mean(axis=0), middles[disc.upper])
        assert np.abs(disc.points_mm[:, -1].mean(axis=0) - middles[disc.lower]).max() < disc.step_mm
        across = disc.points_mm[:, 0] - middles[disc.upper]
        assert np.allclose(across @ (middles[disc.lower] - middles[disc.upper]), 0, atol=1e-9)
        assert np.linalg.norm(across, axis=1).max() <= RADIUS_MM + 1e-9


def test_rays_read_a_volume_where_it_is() -> None:
    """A volume that holds its own z in mm: rays give the z of their points; outside there is 0."""
    z_mm = np.arange(COLUMN.labels.shape[0])[:, None, None] * SPACING_MM[2]
    read = DISCS[0].along_rays(np.broadcast_to(z_mm, COLUMN.labels.shape), SPACING_MM)
    assert np.allclose(read, DISCS[0].points_mm[..., 0])
    assert np.all(DISCS[0].along_rays(np.ones((4, 90, 60)), SPACING_MM) == 0)


def test_t12_and_l1_are_neighbours_unless_there_is_a_t13() -> None:
    assert are_neighbours(19, 20)
    assert are_neighbours(19, 28)
    assert are_neighbours(28, 20)
    assert not are_neighbours(19, 21)
    with_t13 = body_column((20, 28, 19), gap_mm=6.0)
    assert [(d.upper, d.lower) for d in discs_between(with_t13.labels, SPACING_MM)] == [(19, 28), (28, 20)]


def test_a_missing_vertebra_and_the_atlas_have_no_disc() -> None:
    assert discs_between(body_column((23, 21, 20)).labels, SPACING_MM)[0].upper == 20
    assert len(discs_between(body_column((23, 21, 20)).labels, SPACING_MM)) == 1
    assert [(d.upper, d.lower) for d in discs_between(body_column((3, 2, 1)).labels, SPACING_MM)] == [(2, 3)]
    assert discs_between(np.where(COLUMN.labels > 0, 255, 0), SPACING_MM) == ()


def test_the_truth_shows_all_its_gaps() -> None:
    gaps = disc_gaps(COLUMN.grey, COLUMN.labels > 0, DISCS, SPACING_MM)
    assert gaps.to_json_dict() == {"discs": 2, "in_mask": 2, "in_grey": 2}
    assert gaps.mask_share == gaps.grey_share == 1.0


def test_a_bridged_disc_is_not_found_and_a_small_bridge_does_not_hide_it() -> None:
    z, y, x = (round(place / step) for place, step in zip(COLUMN.middles_mm[21], SPACING_MM[::-1], strict=True))
    bridged = COLUMN.labels > 0
    bridged[z : z + 56, y - 25 : y + 25, x - 14 : x + 18] = True  # from the middle of 21 up to that of 20
    assert disc_gaps(np.where(bridged, 0.6, 0.0), bridged, DISCS, SPACING_MM).to_json_dict() == {
        "discs": 2,
        "in_mask": 1,
        "in_grey": 1,
    }
    spur = COLUMN.labels > 0
    spur[z : z + 56, y - 2 : y + 3, x - 1 : x + 2] = True
    assert disc_gaps(np.where(spur, 0.6, 0.0), spur, DISCS, SPACING_MM).in_mask == 2


@pytest.mark.parametrize(("sd_mm", "found"), [(1.0, 2), (2.0, 2), (5.0, 0)])
def test_a_blur_hides_gaps_once_they_are_half_full(sd_mm: float, found: int) -> None:
    """Between two edges 6 mm apart the middle keeps 2 (1 - Phi(3 / sd)) of the bodies: .003, .13 and .55."""
    grey = blurred(sd_mm)
    assert disc_gaps(grey, grey > 0.3, DISCS, SPACING_MM).in_grey == found


def test_without_bone_there_are_no_gaps_and_without_discs_no_shares() -> None:
    nothing = np.zeros_like(COLUMN.grey)
    assert disc_gaps(nothing, nothing > 0, DISCS, SPACING_MM).to_json_dict() == {
        "discs": 2,
        "in_mask": 0,
        "in_grey": 0,
    }
    assert math.isnan(disc_gaps(nothing, nothing > 0, (), SPACING_MM).mask_share)
    faint = 0.1 * COLUMN.grey  # peaks of .06 are no bone
    assert disc_gaps(faint, faint > 0.3, DISCS, SPACING_MM).in_grey == 0


def test_one_ray() -> None:
    bone = np.array([1, 1, 0, 0, 0, 0, 1], bool)
    assert shows_gap(bone, 0.25)  # four steps of .25 mm
    assert not shows_gap(bone, 0.2)
    assert not shows_gap(np.array([0, 1, 1, 0, 0, 0, 0, 0], bool), 1.0)
    assert falls_between(np.array([0.2, 0.4, 0.2, 0.5, 0.1]))
    assert not falls_between(np.array([0.4, 0.3, 0.5]))
    assert not falls_between(np.array([0.1, 0.4, 0.1, 0.12]))


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="prediction's shape"):
        disc_gaps(COLUMN.grey, COLUMN.labels[1:] > 0, DISCS, SPACING_MM)
