"""The way back from two image points to a point: the inverse of the projection, for every pair of beams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.triangulation import meeting_of, ray_of
from TomoRayLib.geometry.views import Biplanar, View

BEAMS = [ConeBeam(930.0, 1410.0), ParallelBeam(), SlotScan(918.0, 1300.0)]
POINTS_MM = np.array([(31.0, -172.0, 405.5), (-80.0, -61.0, 540.0), (12.0, -150.0, 431.0)])


def pair_of(ap: Beam, lateral: Beam) -> Biplanar:
    """Two lopsided views about different isocentres, turned, tilted and rolled."""
    one = View(ap, Detector(311, 240, (0.43, 0.71), (22.0, -9.0)), -7.0, 4.0, 3.0, (12.0, -150.0, 431.0))
    other = View(lateral, Detector(190, 402, (1.3, 0.6), (-31.0, 14.0)), 83.0, -6.0, -2.0, (15.0, -140.0, 428.0))
    return Biplanar(one, other, (0.0, -150.0, 430.0))


def pixel_of(view: View, point: np.ndarray) -> tuple[float, float]:
    column, row = view.project_points(point[None])[0].tolist()
    return (row, column)


@pytest.mark.parametrize("ap", BEAMS)
@pytest.mark.parametrize("lateral", BEAMS)
@pytest.mark.parametrize("point", POINTS_MM)
def test_the_images_of_a_point_meet_in_it(ap: Beam, lateral: Beam, point: np.ndarray) -> None:
    pair = pair_of(ap, lateral)
    met = meeting_of(pair, pixel_of(pair.ap, point), pixel_of(pair.lateral, point))
    np.testing.assert_allclose(met.point_mm, point, atol=1e-9)
    assert met.gap_mm < 1e-9


@pytest.mark.parametrize("beam", BEAMS)
def test_every_point_of_a_ray_falls_on_its_pixel(beam: Beam) -> None:
    view = pair_of(beam, beam).lateral
    start, direction = ray_of(view, (41.5, 300.25))
    assert np.linalg.norm(direction) == pytest.approx(1.0)
    reach_mm = 0.0 if isinstance(beam, ParallelBeam) else beam.sad_mm
    points = start + np.outer(reach_mm + np.array([-90.0, 0.0, 160.0]), direction)
    np.testing.assert_allclose(view.project_points(points), np.tile([300.25, 41.5], (3, 1)), atol=1e-9)


def test_image_points_of_two_heights_pass_each_other() -> None:
    """Parallel rays along y and x, 6 mm apart in height: the point is halfway."""
    ap = View(ParallelBeam(), Detector(101, 101, (1.0, 1.0)), 0.0, isocenter_mm=(5.0, 6.0, 70.0))
    pair = Biplanar(ap, replace(ap, gantry_angle_deg=90.0))
    met = meeting_of(pair, (50.0 - 4.0, 50.0 + 11.0), (50.0 + 2.0, 50.0 - 13.0))
    np.testing.assert_allclose(met.point_mm, (5.0 + 11.0, 6.0 - 13.0, 70.0 + 1.0), atol=1e-9)
    assert met.gap_mm == pytest.approx(6.0)


def test_views_of_one_direction_are_refused() -> None:
    ap = View(ParallelBeam(), Detector(101, 101, (1.0, 1.0)))
    with pytest.raises(InputError, match="parallel rays"):
        meeting_of(Biplanar(ap, replace(ap, gantry_angle_deg=180.0)), (1.0, 2.0), (1.0, 2.0))
