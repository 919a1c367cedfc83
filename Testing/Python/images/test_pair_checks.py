"""Warnings on a pair of radiographs: swapped, given twice, inverted, of different scale."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.presets import c_arm, orthogonal_pair
from TomoRayLib.geometry.view_json import VIEW_KEY, view_to_dict
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.pair_checks import check_pair, looks_inverted, scale_between_profiles
from TomoRayLib.images.types import Radiograph, RadiographHeader
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.synthesis.rendering import render

VIEWS = orthogonal_pair(ConeBeam(1000.0, 1500.0), Detector(160, 120, (3.0, 3.0)))


def a_pair() -> tuple[Radiograph, Radiograph]:
    """A column of unequal discs between bodies: symmetric from the front, with processes behind from the side."""
    rows, columns = np.mgrid[0:160, 0:120].astype(np.float32)
    edges = np.cumsum((12, 15, 21, 16, 24, 18, 26, 20))
    body = 1 - sum(np.exp(-(((rows - edge) / 2.5) ** 2)) for edge in edges)
    frontal = body * np.exp(-(((columns - 58) / 14) ** 4))
    slanted = rows - 0.5 * (columns - 74)  # spinous processes lie behind and point down
    behind = sum(np.exp(-(((slanted - edge) / 5) ** 2) - ((columns - 82) / 9) ** 4) for edge in edges)
    side = body * np.exp(-(((columns - 52) / 12) ** 4)) + 0.5 * behind
    return Radiograph(frontal.astype(np.float32), (3.0, 3.0)), Radiograph(side.astype(np.float32), (3.0, 3.0))


def test_good_pair_gives_no_warning() -> None:
    assert check_pair(*a_pair(), VIEWS) == []


def test_pixels_alone_are_not_taken_for_swapped() -> None:
    """Symmetry is no sign: real and good pairs were called swapped by it. The result tells, after the run."""
    ap, lateral = a_pair()
    assert check_pair(lateral, ap, VIEWS) == []


@pytest.mark.parametrize(
    "header",
    [
        RadiographHeader(view_position="LL"),
        RadiographHeader(patient_orientation=("P", "F")),
        RadiographHeader(primary_angle_deg=-88.0),
    ],
)
def test_swapped_pair_is_noticed_from_the_header(header: RadiographHeader) -> None:
    ap, lateral = a_pair()
    (warning,) = check_pair(replace(ap, header=header), lateral, VIEWS)
    assert "the AP file's header says lateral" in warning


def test_header_that_agrees_outweighs_the_pixels() -> None:
    ap, lateral = a_pair()
    said = replace(lateral, header=RadiographHeader(view_position="PA"))
    assert check_pair(said, ap, VIEWS) == []


def test_other_scale_is_noticed() -> None:
    ap, lateral = a_pair()
    (warning,) = check_pair(ap, replace(lateral, pixel_spacing_mm=(2.4, 2.4)), VIEWS)
    assert "of different scale: enlarging the lateral" in warning
    (warning,) = check_pair(ap, replace(lateral, pixel_spacing_mm=(0.3, 0.3)), VIEWS)
    assert "320 and 32 mm high at the isocentre" in warning


def with_view(radiograph: Radiograph, view: View) -> Radiograph:
    return replace(radiograph, metadata={VIEW_KEY: json.dumps(view_to_dict(view))})


def test_view_in_the_file_tells_a_swap_and_outweighs_pixels_and_scale() -> None:
    ap, lateral = a_pair()
    pair = with_view(ap, VIEWS.ap), with_view(replace(lateral, pixel_spacing_mm=(2.4, 2.4)), VIEWS.lateral)
    assert check_pair(*pair, VIEWS) == []
    (warning,) = check_pair(pair[1], pair[0], VIEWS)
    assert "the AP file's header says lateral and the lateral file's header says frontal" in warning
    mirrored = with_view(lateral, VIEWS.ap), with_view(ap, VIEWS.lateral)
    assert check_pair(*mirrored, VIEWS) == []


def test_one_image_given_twice_is_refused() -> None:
    ap, _ = a_pair()
    with pytest.raises(InputError, match="the same image, given twice; choose the two views"):
        check_pair(ap, replace(ap, pixels=ap.pixels.copy()), VIEWS)


@pytest.mark.parametrize("angle_deg", [0.0, 40.0, 180.0, -20.0])
def test_views_from_nearly_one_direction_are_noticed(angle_deg: float) -> None:
    ap, lateral = a_pair()
    near = replace(VIEWS.lateral, gantry_angle_deg=angle_deg)
    for warnings in (
        check_pair(with_view(ap, VIEWS.ap), with_view(lateral, near), VIEWS),
        check_pair(ap, lateral, Biplanar(VIEWS.ap, near)),
    ):
        assert len(warnings) == 1
        assert "nearly the same direction" in warnings[0]


@pytest.mark.parametrize("angle_deg", [50.0, 90.0, 270.0])
def test_views_far_enough_apart_pass(angle_deg: float) -> None:
    ap, lateral = a_pair()
    assert check_pair(ap, lateral, Biplanar(VIEWS.ap, replace(VIEWS.lateral, gantry_angle_deg=angle_deg))) == []


def test_unreadable_view_in_the_file_is_passed_over() -> None:
    ap, lateral = a_pair()
    for text in ("no JSON", "[1]", "{}"):
        assert check_pair(replace(ap, metadata={VIEW_KEY: text}), lateral, VIEWS) == []


@pytest.fixture(scope="module")
def a_phantom_pair() -> tuple[Radiograph, Radiograph]:
    """The built-in torso from both sides with the C-arm, as files without a view."""
    ct, _ = phantom_volumes()
    views = c_arm(ct.grid.center_mm)
    ap, lateral = render(ct, {"ap": views.ap, "lat": views.lateral}).values()
    return Radiograph(ap, (1.5, 1.5)), Radiograph(lateral, (1.5, 1.5))


@pytest.mark.parametrize(("factor", "expected"), [(1.0, 0), (1.2, 1), (1 / 1.2, 1)])
def test_scale_of_the_phantom(a_phantom_pair: tuple[Radiograph, Radiograph], factor: float, expected: int) -> None:
    ap, lateral = a_phantom_pair
    warnings = check_pair(ap, replace(lateral, pixel_spacing_mm=(1.5 * factor, 1.5 * factor)), c_arm())
    assert len(warnings) == expected
    assert all("of different scale" in warning for warning in warnings)


def test_inverted_phantom_is_noticed(a_phantom_pair: tuple[Radiograph, Radiograph]) -> None:
    ap, lateral = a_phantom_pair
    assert not looks_inverted(ap.pixels)
    assert not looks_inverted(lateral.pixels)
    inverted = [replace(image, pixels=image.pixels.max() - image.pixels) for image in (ap, lateral)]
    first, second = (text for text in check_pair(*inverted, c_arm()) if "inverted" in text)
    assert first.startswith("The AP radiograph looks inverted: its edges are brighter than its middle")
    assert second.startswith("The lateral radiograph looks inverted")
    assert not any("inverted" in text for text in check_pair(*inverted, c_arm(), invert_ap=True, invert_lateral=True))
    wrongly = check_pair(ap, lateral, c_arm(), invert_ap=True, invert_lateral=True)
    assert sum("looks inverted after inverting: " in text for text in wrongly) == 2


def test_body_over_one_edge_is_not_called_inverted() -> None:
    pixels = np.zeros((100, 100), np.float32)
    pixels[:, 60:] = 1.0
    assert not looks_inverted(pixels)


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_scale_of_equal_profiles_is_found(scale: float) -> None:
    """The second profile is the first one, sampled finer or coarser and cut at one end."""
    position = np.arange(0, 160.0)
    noise = np.random.default_rng(3).standard_normal(20)
    first = np.interp(position, np.linspace(0, 160, 20), noise)
    second = np.interp(np.arange(0, 150.0 / scale) * scale, np.linspace(0, 160, 20), noise)
    found, correlation, _ = scale_between_profiles(first, second, step_mm=1.0)
    assert found == pytest.approx(scale, rel=0.02)
    assert correlation > 0.99


def test_spacing_calibrated_to_the_patient_is_not_divided_by_the_magnification() -> None:
    ap, lateral = a_pair()
    header = RadiographHeader(spacing_calibration="FIDUCIAL", patient_pixel_spacing_mm=(2.0, 2.0))
    assert check_pair(ap, replace(lateral, pixel_spacing_mm=(2.0, 2.0), header=header), VIEWS) == []
