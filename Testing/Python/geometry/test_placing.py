"""From pixels to offsets, heights and spacings: against the projection of points, with uneven pixels and beams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.placing import (
    ImagePlane,
    scale_by_ruler,
    stored_pixel,
    upright_pixel,
    upright_shape,
    upright_spacing,
)
from TomoRayLib.geometry.views import View
from TomoRayLib.synthesis.acquisition import oriented

BEAMS = [ConeBeam(930.0, 1410.0), ParallelBeam(), SlotScan(918.0, 1300.0)]
SHAPE, SPACING_MM = (311, 240), (0.43, 0.71)
ISOCENTER_MM = (12.0, -150.0, 431.0)


def a_view(beam: Beam, angle_deg: float, offset_mm: tuple[float, float] = (0.0, 0.0)) -> View:
    detector = Detector(*SHAPE, SPACING_MM, offset_mm)
    return View(beam, detector, angle_deg, isocenter_mm=ISOCENTER_MM)


def plane_of(view: View) -> ImagePlane:
    return ImagePlane(view.shape, view.detector.pixel_spacing_mm, view.beam.magnifications)


@pytest.mark.parametrize("beam", BEAMS)
@pytest.mark.parametrize("angle_deg", [0.0, 90.0])
def test_the_marked_centre_is_where_the_isocentre_falls(beam: Beam, angle_deg: float) -> None:
    center = (71.3, 188.6)  # (row, column), far from the middle
    offset_mm = plane_of(a_view(beam, angle_deg)).offset_mm(center)
    view = a_view(beam, angle_deg, offset_mm)
    np.testing.assert_allclose(view.project_points(np.array([ISOCENTER_MM]))[0, ::-1], center, atol=1e-9)
    np.testing.assert_allclose(plane_of(view).center(offset_mm), center, atol=1e-9)


@pytest.mark.parametrize("beam", BEAMS)
def test_a_row_has_the_height_of_the_points_that_fall_on_it(beam: Beam) -> None:
    center = (200.0, 40.0)
    view = a_view(beam, 90.0, plane_of(a_view(beam, 90.0)).offset_mm(center))
    point = np.add(ISOCENTER_MM, (0.0, 25.0, 37.5))  # in the plane of the isocentre of a lateral view
    row = float(view.project_points(point[None])[0, 1])
    assert plane_of(view).height_mm(row, center) == pytest.approx(37.5)
    assert plane_of(view).row_at(37.5, center) == pytest.approx(row)


def test_the_same_height_in_two_views_of_different_beams_and_pixels() -> None:
    ap, lateral = a_view(BEAMS[0], 0.0), a_view(BEAMS[2], 90.0)
    ap = replace(ap, detector=replace(ap.detector, offset_mm=plane_of(ap).offset_mm((97.0, 133.0))))
    lateral = replace(lateral, detector=Detector(500, 300, (0.9, 0.3)))
    lateral = replace(lateral, detector=replace(lateral.detector, offset_mm=plane_of(lateral).offset_mm((260.0, 30.0))))
    point = np.add(ISOCENTER_MM, (0.0, 0.0, -48.0))[None]
    rows = [float(view.project_points(point)[0, 1]) for view in (ap, lateral)]
    height_mm = plane_of(ap).height_mm(rows[0], (97.0, 133.0))
    assert plane_of(lateral).row_at(height_mm, (260.0, 30.0)) == pytest.approx(rows[1])


@pytest.mark.parametrize("beam", BEAMS)
def test_a_ruler_of_known_length_gives_the_spacing(beam: Beam) -> None:
    """Two points in the plane of the isocentre, whose images are pointed at, on pixels of known proportion."""
    view = a_view(beam, 0.0, (31.0, -12.0))
    ends_mm = np.add(ISOCENTER_MM, [(-33.0, 0.0, 8.0), (41.0, 0.0, -51.0)])
    first, second = ((float(row), float(column)) for column, row in view.project_points(ends_mm))
    length_mm = float(np.linalg.norm(ends_mm[0] - ends_mm[1]))
    relative = (1.0, SPACING_MM[1] / SPACING_MM[0])
    scale = scale_by_ruler((first, second), length_mm, relative, beam.magnifications)
    np.testing.assert_allclose(np.multiply(scale, relative), SPACING_MM, rtol=1e-12)
    assert plane_of(view).length_mm(first, second) == pytest.approx(length_mm)


def test_a_ruler_without_length_or_extent_is_refused() -> None:
    with pytest.raises(InputError, match=r"above 0 mm, got 0"):
        scale_by_ruler(((0.0, 0.0), (10.0, 3.0)), 0.0, (1.0, 1.0), (1.0, 1.0))
    with pytest.raises(InputError, match=r"got 1\.4 pixels"):
        scale_by_ruler(((5.0, 5.0), (6.0, 6.0)), 100.0, (1.0, 1.0), (1.0, 1.0))


@pytest.mark.parametrize("turned_deg", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_pixels_turn_with_the_image(turned_deg: int, mirrored: bool) -> None:
    pixels = np.zeros((31, 20), np.float32)
    pixels[7, 16] = 1.0
    view = View(ParallelBeam(), Detector(31, 20, SPACING_MM, (2.5, -6.0)))
    upright, turned = oriented(pixels, view, mirrored, False, turned_deg)
    found = np.unravel_index(int(upright.argmax()), upright.shape)
    assert upright_pixel((7.0, 16.0), (31, 20), turned_deg, mirrored) == found
    assert upright_shape((31, 20), turned_deg) == upright.shape == turned.shape
    assert upright_spacing(SPACING_MM, turned_deg) == turned.detector.pixel_spacing_mm
    assert stored_pixel((float(found[0]), float(found[1])), (31, 20), turned_deg, mirrored) == (7.0, 16.0)
    # the isocentre's image turns with the image, as the view's offset does
    center = ImagePlane((31, 20), SPACING_MM).center((2.5, -6.0))
    expected = turned.project_points(np.zeros((1, 3)))[0, ::-1]
    np.testing.assert_allclose(upright_pixel(center, (31, 20), turned_deg, mirrored), expected, atol=1e-9)
