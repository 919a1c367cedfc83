"""One radiograph's geometry from what its header says together, and what is guessed, warned of or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.views import View
from TomoRayLib.images.dicom.directions import source_of_positioner
from TomoRayLib.images.types import Radiograph, RadiographHeader
from TomoRayLib.synthesis.acquisition import pair_geometry
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.stated_geometry import StatedGeometry, check_plausible, stated_geometry
from TomoRayLib.synthesis.stated_pose import angles_of


def a_radiograph(**header: Any) -> Radiograph:
    return Radiograph(np.ones((480, 400), np.float32), (0.6, 0.5), RadiographHeader(**header))


def stated(options: GeometryOptions | None = None, nominal_deg: float = 0.0, **header: Any) -> StatedGeometry:
    return stated_geometry(a_radiograph(**header), options or GeometryOptions(), nominal_deg)


@pytest.mark.parametrize("modality", ["DX", "CR", "XA", None])
def test_two_spacings_and_the_sid_give_the_sad(modality: str | None) -> None:
    read = stated(modality=modality, sid_mm=1800.0, spacing_magnification=1.2)
    assert read.beam == ConeBeam(1500.0, 1800.0)
    assert read.sad_origin == "header, by its two spacings"
    assert read.warnings == ()


def test_the_users_sad_comes_before_every_magnification() -> None:
    read = stated(GeometryOptions(sad_mm=1400.0), sid_mm=1800.0, sad_mm=1500.0, spacing_magnification=2.0)
    assert read.beam == ConeBeam(1400.0, 1800.0)
    assert read.warnings == ()


def test_the_users_sid_comes_before_what_the_header_says_of_magnification() -> None:
    read = stated(GeometryOptions(sid_mm=2000.0), modality="XA", sid_mm=1800.0, sad_mm=1500.0, magnification=1.0 / 0.6)
    assert read.beam == ConeBeam(1500.0, 2000.0)


def test_the_users_sid_keeps_the_magnification_of_the_header() -> None:
    read = stated(GeometryOptions(sid_mm=1500.0), modality="DX", sid_mm=1800.0, spacing_magnification=1.25)
    assert read.beam == ConeBeam(1200.0, 1500.0)


# What the header says -> SAD and SID, and the two readings of its warning.
_CONTRADICTIONS = [
    (
        {"modality": "XA", "sid_mm": 1100.0, "sad_mm": 1000.0, "magnification": 1.2},
        (1000.0, 1100.0),
        ("1.100", "1.200"),
    ),
    ({"modality": "DX", "sid_mm": 1800.0, "sad_mm": 1650.0, "spacing_magnification": 1.2}, (1500.0, 1800.0), None),
    ({"modality": "RF", "sid_mm": 1100.0, "magnification": 1.1, "spacing_magnification": 1.21}, (1000.0, 1100.0), None),
]


@pytest.mark.parametrize(("header", "distances_mm", "readings"), _CONTRADICTIONS)
def test_statements_that_differ_a_little_are_warned_of_with_both(
    header: dict[str, Any], distances_mm: tuple[float, float], readings: tuple[str, str] | None
) -> None:
    read = stated(**header)
    assert (read.beam.sad_mm, read.beam.sid_mm) == pytest.approx(distances_mm)
    (warning,) = read.warnings
    assert "says two things" in warning
    assert all(reading in warning for reading in readings or ())


def test_statements_that_agree_but_for_rounding_are_not_warned_of() -> None:
    header = {"sid_mm": 1800.0, "sad_mm": 1500.0, "magnification": 1.21, "spacing_magnification": 1.18}
    assert stated(**header).warnings == ()


def test_statements_far_apart_are_refused_with_both() -> None:
    header = {"sid_mm": 1800.0, "sad_mm": 1500.0, "magnification": 1.6}
    with pytest.raises(
        InputError, match=r"contradicts itself.*1\.200 by SID 1800 mm and SAD 1500 mm.*1\.600"
    ) as caught:
        stated(**header)
    assert caught.value.field == "sad_mm"
    assert stated(GeometryOptions(sad_mm=1500.0), **header).beam == ConeBeam(1500.0, 1800.0)


@pytest.mark.parametrize("modality", ["DX", "CR", "RG"])
@pytest.mark.parametrize("sid_mm", [1800.0, 1150.0])
def test_a_plain_film_without_sad_stands_at_a_wall_and_is_warned_of(modality: str, sid_mm: float) -> None:
    read = stated(modality=modality, sid_mm=sid_mm)
    assert read.beam.magnification == pytest.approx(1.2)
    (warning,) = read.warnings
    assert "is a guess" in warning
    assert "1.1 to 1.3" in warning


@pytest.mark.parametrize("modality", ["XA", "RF", None])
def test_other_radiographs_without_sad_get_the_c_arms_ratio_and_a_warning(modality: str | None) -> None:
    read = stated(modality=modality, sid_mm=1100.0)
    assert read.beam.magnification == pytest.approx(1.536)
    assert "preset c-arm" in read.warnings[0]


@pytest.mark.parametrize(
    ("modality", "positioner", "magnification"),
    [("DX", "CARM", 1.536), ("RF", "COLUMN", 1.2), ("XA", "CARM", 1.536), ("CR", "NONE", 1.2)],
)
def test_the_positioner_type_comes_before_the_modality(modality: str, positioner: str, magnification: float) -> None:
    read = stated(modality=modality, positioner_type=positioner, sid_mm=1150.0)
    assert read.beam.magnification == pytest.approx(magnification)


@pytest.mark.parametrize(("preset", "magnification"), [("c-arm", 1.536), ("upright", 1.2)])
def test_a_preset_that_the_user_chose_is_taken_without_a_warning(preset: str, magnification: float) -> None:
    read = stated(GeometryOptions(preset=preset), modality="DX", sid_mm=1800.0)
    assert read.beam.magnification == pytest.approx(magnification)
    assert read.warnings == ()


def test_a_picture_of_which_nothing_is_known_is_warned_of_unless_the_user_chose_a_preset() -> None:
    pictures = [Radiograph(np.ones((480, 400), np.float32), (0.6, 0.5)) for _ in range(2)]
    for options, count in ((GeometryOptions(), 2), (GeometryOptions(preset="c-arm"), 0)):
        warnings = pair_geometry(*pictures, options).warnings
        assert sum("nothing states them" in warning for warning in warnings) == count


def test_a_spacing_calibrated_at_the_patient_needs_no_warning_of_a_guess() -> None:
    read = stated(modality="DX", sid_mm=1800.0, spacing_calibration="FIDUCIAL")
    assert read.pixel_spacing_mm == pytest.approx((0.72, 0.6))  # whatever the guess, the size at the patient is right
    assert read.warnings == ()


def test_an_sad_alone_asks_for_the_sid() -> None:
    header = {"modality": "DX", "sad_mm": 1600.0, "origins": {"sad_mm": "Distance Source to Patient (0018,1111)"}}
    with pytest.raises(InputError, match=r"an SID together with the SAD of 1600 mm .*\(0018,1111\)") as caught:
        stated(**header)
    assert caught.value.field == "sid_mm"
    assert "swapped" not in str(caught.value)
    with pytest.raises(InputError, match=r"SAD of 900 mm \(given\)"):
        stated(GeometryOptions(sad_mm=900.0))
    assert stated(GeometryOptions(sid_mm=1800.0), **header).beam == ConeBeam(1600.0, 1800.0)
    assert stated(GeometryOptions(preset="upright", sad_mm=1450.0)).beam == ConeBeam(1450.0, 1800.0)


def test_an_sad_beyond_the_sid_is_refused_with_the_origin_of_both() -> None:
    origins = {"sid_mm": "Distance Source to Detector (0018,1110)", "sad_mm": "Distance Source to Patient (0018,1111)"}
    with pytest.raises(InputError, match=r"SAD 1800 mm \(.*0018,1111\)\) and SID 1500 mm \(.*0018,1110\)\)"):
        stated(modality="XA", sid_mm=1500.0, sad_mm=1800.0, origins=origins)


def test_a_plain_films_sad_that_ends_at_the_bucky_is_warned_of() -> None:
    assert "ends at the table or bucky" in stated(modality="DX", sid_mm=1800.0, sad_mm=1750.0).warnings[0]
    assert stated(modality="DX", sid_mm=1800.0, sad_mm=1550.0).warnings == ()
    assert stated(modality="XA", sid_mm=1800.0, sad_mm=1750.0).warnings == ()


def test_a_number_that_the_reader_refused_has_to_be_given() -> None:
    refused = {"sid_mm": "Distance Source to Detector (0018,1110) is 72 mm, which no X-ray of a spine has."}
    with pytest.raises(InputError, match=r"\(0018,1110\) is 72 mm.*; give the SID yourself\.") as caught:
        stated(refused=refused)
    assert caught.value.field == "sid_mm"
    assert stated(GeometryOptions(sid_mm=1829.0), refused=refused).beam.sid_mm == 1829.0


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "sees"),
    [
        ((3000, 2400), (0.014, 0.014), "pixels of 0.03 to 5 mm"),
        ((320, 320), (17.0, 17.0), "pixels of 0.03 to 5 mm"),
        ((3000, 2400), (1.4, 1.4), "2734 x 2188 mm"),
        ((480, 400), (0.04, 0.04), "12 x 10 mm"),
        ((3000, 2400), (0.143, 0.143), None),
        ((240, 200), (1.5, 1.5), None),  # reduced
        ((6000, 2400), (0.18, 0.18), None),  # long film
        ((224, 224), (4 / 3, 4 / 3), None),
    ],
)
def test_a_field_or_pixel_that_no_radiograph_of_a_spine_has_is_refused(
    shape: tuple[int, int], spacing_mm: tuple[float, float], sees: str | None
) -> None:
    view = View(ConeBeam(1000.0, 1536.0), Detector(*shape, spacing_mm))
    if sees is None:
        check_plausible(view)
        return
    with pytest.raises(InputError, match=sees) as caught:
        check_plausible(view)
    assert caught.value.field == "pixel_spacing_mm"


def test_the_users_own_spacing_is_checked_too() -> None:
    with pytest.raises(InputError, match=r"lateral radiograph: expected pixels of 0\.03 to 5 mm, got 17 x 17 mm"):
        pair_geometry(
            Radiograph(np.ones((480, 400), np.float32), (0.6, 0.5)),
            Radiograph(np.ones((48, 40), np.float32), (17.0, 17.0)),
            GeometryOptions(preset="c-arm"),
        )


@pytest.mark.parametrize(
    ("options", "says", "field"),
    [
        (GeometryOptions(sid_mm=180), r"got 180 mm; give it in millimetres \(180 cm are 1800 mm\)", "sid_mm"),
        (GeometryOptions(sid_mm=1800, sad_mm=150), "a magnification of 12.0", "sad_mm"),
    ],
)
def test_the_users_own_distances_in_centimetres_are_refused(options: GeometryOptions, says: str, field: str) -> None:
    picture = Radiograph(np.ones((480, 400), np.float32), (0.6, 0.5))
    with pytest.raises(InputError, match=says) as caught:
        pair_geometry(picture, picture, options)
    assert caught.value.field == field


def test_pixels_of_another_shape_than_their_aspect_ratio_are_warned_of() -> None:
    bare = Radiograph(np.ones((480, 400), np.float32), header=RadiographHeader(pixel_aspect=(4.0, 3.0)))
    for spacing_mm, count in (((0.5, 0.5), 1), ((0.8, 0.6), 0)):
        options = GeometryOptions(preset="c-arm", pixel_spacing_mm=spacing_mm)
        assert len(stated_geometry(bare, options).warnings) == count


def test_angles_are_those_of_a_view_with_the_same_source_and_axes() -> None:
    view = View(ConeBeam(900.0, 1400.0), Detector(60, 80, (0.7, 1.3)), 25.0, 12.0, -7.0)
    x, y, z = view.to_source.tolist()
    axes = (tuple(view.right.tolist()), tuple(view.down.tolist()))
    assert angles_of((x, y, z), axes) == pytest.approx((25.0, 12.0, -7.0))
    assert angles_of((x, y, z), None) == pytest.approx((25.0, 12.0, 0.0))


@pytest.mark.parametrize(
    ("to_source", "letter", "nominal_deg", "expected", "exchanged"),
    [
        ((0.0, -1.0, 0.0), "L", 0.0, (0.0, 0.0), False),
        ((0.0, 1.0, 0.0), "L", 0.0, (0.0, 0.0), True),  # PA, seen with the left at image right
        ((1.0, 0.0, 0.0), "P", 90.0, (90.0, 0.0), False),
        ((-1.0, 0.0, 0.0), "P", 90.0, (90.0, 0.0), True),  # right lateral
        ((0.5, -np.sqrt(0.75), 0.0), "L", 0.0, (30.0, 0.0), False),
        ((-0.5, np.sqrt(0.75), 0.0), None, 0.0, (30.0, 0.0), True),
        ((0.0, -np.sqrt(0.75), 0.5), None, 0.0, (0.0, 30.0), False),
        ((np.sqrt(0.75), 0.0, -0.5), None, 90.0, (90.0, -30.0), False),
    ],
)
def test_the_source_is_put_on_the_side_that_the_image_is_seen_from(
    to_source: Any, letter: str | None, nominal_deg: float, expected: tuple[float, float], exchanged: bool
) -> None:
    orientation = None if letter is None else (letter, "F")
    header = {"sid_mm": 1100.0, "sad_mm": 700.0, "to_source": to_source, "patient_orientation": orientation}
    read = stated(nominal_deg=nominal_deg, **header)
    assert (read.gantry_angle_deg, read.tilt_deg) == pytest.approx(expected)
    assert bool(read.notes) == exchanged
    assert read.angle_origin == "header"


@pytest.mark.parametrize(
    ("primary_deg", "nominal_deg", "assumed"),
    [(0.0, 0.0, None), (90.0, 90.0, None), (180.0, 0.0, "left at image right"), (-90.0, 90.0, "back at image right")],
)
def test_an_image_that_may_be_seen_from_either_side_is_warned_of(
    primary_deg: float, nominal_deg: float, assumed: str | None
) -> None:
    """As seen from the detector, a C-arm's images at 0 and 90 deg are as they are taken, those at 180 and -90 not."""
    header = {"sid_mm": 1100.0, "sad_mm": 700.0, "to_source": source_of_positioner(primary_deg, 0.0)}
    read = stated(nominal_deg=nominal_deg, **header)
    assert read.gantry_angle_deg == pytest.approx(nominal_deg)
    assert [assumed in warning for warning in read.warnings] == ([True] if assumed else [])
    letter = "L" if nominal_deg == 0.0 else "P"
    assert stated(nominal_deg=nominal_deg, **header, patient_orientation=(letter, "F")).warnings == ()


@pytest.mark.parametrize(
    ("modality", "sid_mm", "spacing_mm", "warned"),
    [
        ("DX", 1800.0, (0.014 * 10, 0.014 * 10), True),
        ("CR", 1000.0, (0.06, 0.05), True),
        ("DX", 1800.0, (0.6, 0.5), False),
        ("DX", 700.0, (0.14, 0.14), False),
        ("XA", 1800.0, (0.14, 0.14), False),
    ],
)
def test_a_film_as_small_as_if_its_spacing_were_in_centimetres_is_warned_of(
    modality: str, sid_mm: float, spacing_mm: tuple[float, float], warned: bool
) -> None:
    header = RadiographHeader(modality=modality, sid_mm=sid_mm, sad_mm=sid_mm / 1.25)
    film = Radiograph(np.ones((480, 400), np.float32), spacing_mm, header)
    warnings = stated_geometry(film, GeometryOptions()).warnings
    assert any("written in cm?" in warning for warning in warnings) == warned


def test_angles_that_contradict_the_orientation_are_not_used() -> None:
    read = stated(sid_mm=1100.0, sad_mm=700.0, to_source=(1.0, 0.0, 0.0), patient_orientation=("L", "F"))
    assert (read.gantry_angle_deg, read.angle_origin) == (0.0, "")
    assert "gantry angle of 90 deg, but its Patient Orientation is L" in read.warnings[0]


def test_two_headers_with_the_same_angles_are_put_at_0_and_90_with_a_warning() -> None:
    """A mobile C-arm that does not know its angles writes 0 into both."""
    image = a_radiograph(sid_mm=1100.0, sad_mm=700.0, to_source=(0.0, 1.0, 0.0))
    read = pair_geometry(image, image, GeometryOptions())
    assert (read.views.ap.gantry_angle_deg, read.views.lateral.gantry_angle_deg) == (0.0, 90.0)
    assert any("0 deg apart, not about 90: they were not used" in warning for warning in read.warnings)


def test_ap_and_lateral_keep_their_own_numbers() -> None:
    film = a_radiograph(modality="DX", sid_mm=1800.0, spacing_magnification=1.2)
    fluoroscopy = a_radiograph(modality="XA", sid_mm=1100.0, sad_mm=700.0)
    views = pair_geometry(film, fluoroscopy, GeometryOptions()).views
    assert (views.ap.beam, views.lateral.beam) == (ConeBeam(1500.0, 1800.0), ConeBeam(700.0, 1100.0))
