"""Heights of two radiographs, found from their rows on an analytical torso, and what is done with them."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.view_json import VIEW_KEY
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.height_match import match_heights
from TomoRayLib.images.types import SLOT_SCAN, Radiograph, Volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.synthesis.alignment import (
    aligned,
    contradiction,
    cut_to,
    heights_are_given,
    heights_of,
    margin_needed,
)
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.geometry_files import read_views, views_to_dict
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.settings import GeometryOptions

MIDDLE: Vector3 = (6.0, 21.0, -165.0)
# Lopsided: other pixels and other sizes in both views, neither detector in the middle.
AP_DETECTOR = Detector(190, 150, (1.4, 1.9), (8.0, -11.0))
LATERAL_DETECTOR = Detector(300, 130, (0.9, 2.3), (-13.0, 17.0))


@lru_cache(maxsize=1)
def torso() -> Volume:
    return phantom_volumes()[0]


def a_pair(beam: Beam, higher_mm: float) -> Pair:
    """The lateral taken ``higher_mm`` higher than its view says."""
    x, y, z = MIDDLE
    ap = View(beam, AP_DETECTOR, isocenter_mm=MIDDLE)
    lateral = View(beam, LATERAL_DETECTOR, 90.0, isocenter_mm=MIDDLE)
    images = render(torso(), {"ap": ap, "lateral": lateral.moved_to((x, y, z + higher_mm))})
    return Pair(images["ap"], images["lateral"], Biplanar(ap, lateral))


@pytest.mark.parametrize("beam", [ConeBeam(1000.0, 1300.0), SlotScan(570.0, 700.0), ParallelBeam()])
@pytest.mark.parametrize("higher_mm", [-24.0, 0.0, 31.0])
def test_a_lateral_taken_higher_is_found(beam: Beam, higher_mm: float) -> None:
    match = heights_of(a_pair(beam, higher_mm))
    assert match is not None
    assert match.higher_mm == pytest.approx(higher_mm, abs=1.0 if not isinstance(beam, ConeBeam) else 3.0)
    assert match.margin > 0.12


def test_an_aligned_pair_sees_a_vertebra_where_it_is() -> None:
    pair = a_pair(SlotScan(570.0, 700.0), 31.0)
    found = aligned(pair)
    true = pair.views.lateral.moved_to((MIDDLE[0], MIDDLE[1], MIDDLE[2] + 31.0))
    point = np.array([[20.0, 40.0, -120.0]])
    assert found.pair.views.lateral.project_points(point) == pytest.approx(true.project_points(point), abs=1.2)
    assert found.pair.views.ap == pair.views.ap
    assert found.pair.views.isocenter_mm == MIDDLE
    assert found.warning is not None
    assert "31 mm higher" in found.warning
    again = aligned(found.pair)
    assert again.warning is None
    assert again.pair is found.pair


def test_a_pair_at_one_height_stays_as_it_is() -> None:
    pair = a_pair(ConeBeam(1000.0, 1300.0), 2.0)
    found = aligned(pair)
    assert found.pair is pair
    assert found.warning is None


def test_views_about_points_of_their_own_are_compared_in_the_patient() -> None:
    """The lateral's isocentre lies where it was taken: nothing is left to align."""
    pair = a_pair(ParallelBeam(), 27.0)
    x, y, z = MIDDLE
    views = Biplanar(pair.views.ap, pair.views.lateral.moved_to((x, y, z + 27.0)), MIDDLE)
    match = heights_of(replace(pair, views=views))
    assert match is not None
    assert match.higher_mm == pytest.approx(0.0, abs=1.0)


def test_given_heights_are_kept_and_contradicted() -> None:
    said = contradiction(a_pair(ParallelBeam(), -24.0))
    assert said is not None
    assert "24 mm lower" in said
    assert contradiction(a_pair(ParallelBeam(), 3.0)) is None


def test_a_geometry_file_may_say_that_its_places_are_assumed(tmp_path: Path) -> None:
    image = Radiograph(np.zeros((8, 8), np.float32), (1.0, 1.0))
    views = a_pair(ParallelBeam(), 0.0).views
    for assumed in (False, True):
        (tmp_path / "views.json").write_text(json.dumps(views_to_dict(views, places_assumed=assumed)))
        options = GeometryOptions(file=str(tmp_path / "views.json"))
        assert heights_are_given((image, image), options) is not assumed
        assert read_views(str(tmp_path / "views.json")) == views


def test_what_gives_heights() -> None:
    image = Radiograph(np.zeros((8, 8), np.float32), (1.0, 1.0))
    own = replace(image, metadata={VIEW_KEY: "{}"})
    assert not heights_are_given((image, image), GeometryOptions(preset="eos"))
    assert heights_are_given((image, own), GeometryOptions())
    assert heights_are_given((image, image), GeometryOptions(lateral_offset_mm=(0.0, 0.0)))
    assert heights_are_given((image, image), GeometryOptions(file="views.json"))


def test_fine_films_give_the_same_heights_as_coarse_ones() -> None:
    pair = a_pair(ParallelBeam(), 31.0)
    down = [view.detector.down_mm() for view in (pair.views.ap, pair.views.lateral)]
    coarse = match_heights(pair.ap, down[0], pair.lateral, down[1])
    fine_rows = (np.arange(900) - 449.5) * 0.3 - 13.0
    fine = match_heights(pair.ap, down[0], np.repeat(np.repeat(pair.lateral, 3, 0), 3, 1), fine_rows)
    assert coarse is not None
    assert fine is not None
    assert fine.higher_mm == pytest.approx(coarse.higher_mm, abs=0.5)


def test_views_too_far_apart_are_told_and_left() -> None:
    """Two noises with the same rows, 85 mm apart."""
    rng = np.random.default_rng(5)
    rows = ndimage.gaussian_filter1d(rng.normal(size=520), 3.0).astype(np.float32)
    first, second = (np.repeat(part[:, None], 120, 1) for part in (rows[100:420], rows[15:335]))
    detector = Detector(320, 120, (1.0, 1.0))
    ap, lateral = View(ParallelBeam(), detector), View(ParallelBeam(), detector, 90.0)
    pair = Pair(first, second, Biplanar(ap, lateral))
    found = aligned(pair)
    assert found.pair is pair
    assert found.warning is not None
    assert "85 mm higher" in found.warning
    assert "too far" in found.warning


def test_an_rt_image_or_a_slot_scanners_files_give_their_places() -> None:
    image = Radiograph(np.zeros((8, 8), np.float32), (1.0, 1.0))
    rt_image = replace(image, header=replace(image.header, detector_offset_mm=(0.0, 12.0)))
    eos = replace(image, header=replace(image.header, refused={SLOT_SCAN: "an EOS"}))
    assert heights_are_given((image, rt_image), GeometryOptions())
    assert heights_are_given((eos, eos), GeometryOptions(preset="eos"))


def test_nothing_is_found_in_what_has_no_rows() -> None:
    down = np.arange(200.0)
    flat = np.ones((200, 90), np.float32)
    assert match_heights(flat, down, flat, down) is None
    assert match_heights(flat[:60], down[:60], flat[:60], down[:60]) is None


def test_what_is_cut_from_a_radiograph_is_seen_where_it_was() -> None:
    pixels = np.arange(190.0 * 150.0, dtype=np.float32).reshape(190, 150)
    view = View(ConeBeam(900.0, 1300.0), AP_DETECTOR, 8.0, isocenter_mm=MIDDLE)
    part, of_part = cut_to((slice(31, 170), slice(12, 101)), pixels, view)
    assert part[0, 0] == pixels[31, 12]
    point = np.array([[12.0, 30.0, -140.0]])
    assert np.add(of_part.project_points(point), (12.0, 31.0)) == pytest.approx(view.project_points(point))


def test_a_border_is_no_height() -> None:
    """Frames of other widths in both, filled: what is filled would fit best where the frames do."""
    pair = a_pair(ParallelBeam(), 12.0)
    fields = (slice(20, 170), slice(10, 140)), (slice(45, 290), slice(15, 115))
    cut = [
        cut_to(f, i, v)
        for f, i, v in zip(fields, (pair.ap, pair.lateral), (pair.views.ap, pair.views.lateral), strict=True)
    ]
    seen = Pair(cut[0][0], cut[1][0], Biplanar(cut[0][1], cut[1][1]))
    match = heights_of(seen)
    assert match is not None
    assert match.common_mm < 215.0
    assert margin_needed(match.common_mm) > 0.18
    assert match.higher_mm == pytest.approx(12.0, abs=1.5)
