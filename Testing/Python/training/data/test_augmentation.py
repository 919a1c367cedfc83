"""What augmentation does to views and radiographs, in numbers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from TomoRayLib.networks.radiograph_input import NETWORK_PIXEL_MM
from TomoRayLib.projector import hu_to_attenuation
from TomoRayLib.projector.physics import add_scatter, transmission
from TomoRayLib.training.data.augmentation import (
    LETTERS,
    AppearanceRanges,
    GeometryRanges,
    edges_enhanced,
    random_appearance,
    random_attenuation,
    random_views,
    scattered,
    with_told_offset,
)


def test_bone_stands_out_more_at_a_tubes_energy_than_at_the_ct_scanners() -> None:
    """Water and pure bone by hand from NISTIR 5632 at 40 keV: 0.2683 and 0.6655 * 1.92 per cm; air stays 0."""
    hu = torch.tensor([[[-1000, 0, 1900]]], dtype=torch.int16)
    ranges = AppearanceRanges(energy_share=1.0, effective_kev=(40.0, 40.0))
    attenuation = random_attenuation(hu, np.random.default_rng(0), ranges)
    dense = 2.9 / (0.2616 * 1.92 / 0.1937)  # 1900 HU over pure bone at the CT's 70 keV
    np.testing.assert_allclose(attenuation[0, 0], (0, 0.02683, 0.06655 * 1.92 * dense), rtol=0.01)
    as_drawn = random_attenuation(hu, np.random.default_rng(0), AppearanceRanges(energy_share=0.0))
    assert torch.equal(as_drawn, hu_to_attenuation(hu))


PLAIN = AppearanceRanges(
    gamma=(1.0, 1.0),
    raw_share=0.0,
    quantum_share=0.0,
    noise_sd=(0.0, 0.0),
    blur_sd_mm=(0.0, 0.0),
    scatter_share=0.0,
    enhanced_share=0.0,
    collimated_share=0.0,
    marker_share=0.0,
)


def test_quantum_noise_is_that_of_the_photons_that_arrive() -> None:
    """Behind line integrals of 5, of 10^5 photons 674 arrive: the logarithm's standard deviation is 1 / sqrt(674)."""
    ranges = dataclasses.replace(PLAIN, quantum_share=1.0, log10_photons=(5.0, 5.0))
    image = random_appearance(torch.full((224, 224), 5.0), np.random.default_rng(3), ranges)
    assert float(image.std() / image.mean()) == pytest.approx(1 / np.sqrt(1e5 * np.exp(-5)) / 5, rel=0.03)


def test_markers_are_letters_that_stand_upright_and_read_from_the_left() -> None:
    image = torch.full((224, 224), 0.2)
    image[0, 0] = 1.0
    ranges = dataclasses.replace(PLAIN, marker_share=1.0, markers=(1, 1))
    seen = set()
    for seed in range(12):
        marked = random_appearance(image, np.random.default_rng(seed), ranges) - image
        rows, columns = (torch.nonzero(marked.abs().amax(axis) > 0.1)[:, 0] for axis in (1, 0))
        dot = int(rows.max() - rows.min() + 1) // 7
        patch = marked[int(rows.min()) : int(rows.max()) + 1 : dot, int(columns.min()) : int(columns.max()) + 1 : dot]
        drawn = tuple("".join("1" if value > 0.1 else "0" for value in row) for row in patch)
        seen |= {letter for letter, dots in LETTERS.items() if dots == drawn}
        assert any(dots == drawn for dots in LETTERS.values())
    assert seen == {"L", "R"}


def test_a_collimated_radiograph_is_dark_in_its_border_alone() -> None:
    ranges = AppearanceRanges(
        collimated_share=1.0, white_border_share=0.0, marker_share=0.0, quantum_share=0.0, noise_sd=(0.0, 0.0)
    )
    images = [random_appearance(torch.ones(224, 224), np.random.default_rng(seed), ranges) for seed in range(6)]
    assert any(float(image.min()) == 0.0 for image in images)
    assert all(float(image[36:188, 36:188].min()) > 0.5 for image in images)


def a_ramp() -> torch.Tensor:
    """Line integrals that rise downwards and, more slowly, to the right."""
    return torch.linspace(1.0, 4.0, 224)[:, None] + torch.linspace(0.0, 0.5, 224)


def test_scatter_adds_photons_before_the_logarithm() -> None:
    """As ``add_scatter`` does by convolution: half as many photons again leave two thirds of a detail's contrast."""
    plain = a_ramp()
    found = scattered(plain, 0.5, 20.0)
    torch.testing.assert_close(torch.exp(-found), add_scatter(transmission(plain), 0.5, 20.0), atol=1e-5, rtol=1e-4)
    detail = torch.full((224, 224), 2.0)
    detail[:, 112] += 0.05
    seen = scattered(detail, 0.5, 20.0)
    assert float(seen[100, 112] - seen[100, 110]) == pytest.approx(0.05 / 1.5, rel=0.03)


def test_a_scattered_radiograph_of_an_even_field_is_even() -> None:
    ranges = dataclasses.replace(PLAIN, scatter_share=1.0, log10_scatter=(-0.3, 0.0))
    image = random_appearance(torch.full((224, 224), 2.0), np.random.default_rng(0), ranges)
    torch.testing.assert_close(image, torch.ones(224, 224))


def test_more_photons_than_without_a_patient_are_black_and_nothing_is_lost_there() -> None:
    """Air beside a body: scatter on top of the whole beam gives line integrals below 0, lowest at the body's side."""
    body = torch.zeros(224, 224)
    body[:, 60:] = 3.0
    ranges = dataclasses.replace(PLAIN, scatter_share=1.0, log10_scatter=(-0.3, -0.3), scatter_sd_mm=(20.0, 20.0))
    image = random_appearance(body, np.random.default_rng(0), ranges)
    assert float(scattered(body, 0.5, 15.0).min()) < -0.1
    assert float(image.min()) == 0.0
    assert (
        len(torch.unique((image[112, :50] * 1e4).round())) > 5
    )  # not cut off: it still tells the middle from the edge


def test_an_unsharp_mask_overshoots_on_both_sides_of_an_edge_and_leaves_even_areas() -> None:
    step = torch.full((224, 224), 0.2)
    step[:, 112:] = 0.7
    found = edges_enhanced(step, 1.5, 4.0)
    torch.testing.assert_close(found[:, :96], step[:, :96])
    torch.testing.assert_close(found[:, 128:], step[:, 128:])
    # at the edge the blurred step is half way: 1.5 times half of the step is added (less half a pixel's share)
    assert float(found[100, 112]) == pytest.approx(0.7 + 1.5 * 0.25, abs=0.04)
    assert float(found[100, 111]) == pytest.approx(0.2 - 1.5 * 0.25, abs=0.04)


def borders_of(image: torch.Tensor) -> list[int]:
    """Pixels of the border of one grey on each side: top, bottom, left, right."""
    widths = []
    for lines in (image, image.flip(0), image.T, image.T.flip(0)):
        even = (lines == lines[0, 0]).all(dim=1).int()
        widths.append(int(even.cumprod(0).sum()))
    return widths


@pytest.mark.parametrize("white", [False, True])
def test_borders_are_black_or_as_bright_as_lead_and_frames_are_even(white: bool) -> None:
    field = a_ramp() / 4.5
    ranges = dataclasses.replace(PLAIN, collimated_share=1.0, framed_share=1.0, white_border_share=float(white))
    for seed in range(8):
        image = random_appearance(field, np.random.default_rng(seed), ranges)
        top, *others = borders_of(image)
        assert set(others) == {top}
        assert 3 / NETWORK_PIXEL_MM - 1 < top < 48 / NETWORK_PIXEL_MM + 1
        inside = image[top:-top, top:-top]
        torch.testing.assert_close(inside, field[top:-top, top:-top] / field.max())
        over = float(image[0, 0]) / float(inside.max())
        assert (ranges.white_border[0] <= over <= ranges.white_border[1]) if white else over == 0.0


def test_half_of_the_borders_are_white_and_three_in_ten_are_frames() -> None:
    ranges = dataclasses.replace(PLAIN, collimated_share=1.0)
    field = a_ramp() / 4.5
    images = [random_appearance(field, np.random.default_rng(seed), ranges) for seed in range(300)]
    bordered = [image for image in images if not torch.equal(image, field / field.max())]
    even = [len(set(borders_of(image))) == 1 for image in images]
    white = [float(image.max()) > 0.99 and bool((image > 0.83).float().mean() > 0.2) for image in bordered]
    assert np.mean(even) == pytest.approx(0.3 + 0.7 / 16, abs=0.08)  # or none of the four sides has a border
    assert 0.25 < np.mean(white) < 0.75


def test_views_are_taken_apart_in_their_share_and_within_their_reach() -> None:
    ranges = GeometryRanges()
    middle = (3.0, -20.0, 8.0)
    apart = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        pair = random_views(rng, ranges).moved_to(middle)
        ap, lateral = with_told_offset(pair, rng, ranges)
        assert dataclasses.replace(ap, isocenter_mm=middle) == pair.ap
        assert dataclasses.replace(lateral, isocenter_mm=middle) == pair.lateral
        apart.append(np.subtract(lateral.isocenter_mm, ap.isocenter_mm))
        # the pair's isocentre lies between both
        np.testing.assert_array_less(np.abs(np.subtract(ap.isocenter_mm, middle)), np.abs(apart[-1]) + 1e-9)
    moved = np.array([one for one in apart if np.abs(one).max() > 1e-9])
    assert len(moved) / 400 == pytest.approx(ranges.told_offset_share, abs=0.07)
    assert (np.abs(moved).max(axis=0) <= ranges.told_offset_mm).all()
    assert (np.abs(moved).max(axis=0) > np.array(ranges.told_offset_mm) * 0.8).all()
    assert (moved.min(axis=0) < 0).all()
    assert (moved.max(axis=0) > 0).all()
