"""The synthetic bone's outline on its radiographs: at its place, not mirrored, with what the figures say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.report_cases import PAIR, a_case
from TomoRayLib.geometry.beams import SlotScan
from TomoRayLib.report.case_page import render_report
from TomoRayLib.report.drawing import OUTLINE
from TomoRayLib.report.figures import NAME, geometry_text, reprojection_picture


def a_shadow() -> np.ndarray:
    """Millimetres of bone on (80, 45) pixels over the field of 40 x 30: 20 mm of it in an upper left block."""
    bone_mm = np.zeros((80, 45), np.float32)
    bone_mm[10:30, 6:15] = 20.0
    bone_mm[60:75, 30:40] = 2.0  # less than is outlined
    return bone_mm


def test_the_outline_encloses_the_bone_and_nothing_thin() -> None:
    view = PAIR.lateral
    picture = reprojection_picture(np.zeros((40, 30), np.float32), view, a_shadow())
    rows, columns = np.nonzero((np.asarray(picture) == OUTLINE).all(axis=-1))
    height, width = picture.size[1], picture.size[0]
    ends = (rows.min() / height, (rows.max() + 1) / height, columns.min() / width, (columns.max() + 1) / width)
    assert ends == pytest.approx((10 / 80, 30 / 80, 6 / 45, 15 / 45), abs=0.012)


def test_a_name_stands_where_the_view_projects_its_vertebra() -> None:
    view, place = PAIR.ap, (14.0, -3.0, 40.0)
    picture = reprojection_picture(np.zeros((40, 30), np.float32), view, np.zeros((8, 6), np.float32), (("L1", place),))
    rows, columns = np.nonzero((np.asarray(picture) == NAME).all(axis=-1))
    ((column, row),) = view.project_points(np.array([place]))
    assert (rows.min() + rows.max()) / 2 / picture.height == pytest.approx((row + 0.5) / 40, abs=0.01)
    assert (columns.min() + columns.max()) / 2 / picture.width == pytest.approx((column + 0.5) / 30, abs=0.01)


def test_the_page_shows_both_outlines_with_their_agreement() -> None:
    page = render_report(a_case(bone_mm=(a_shadow(), a_shadow()), agreements=(0.512, None)))
    assert "The result on its radiographs" in page
    assert "<b>Anteroposterior (AP):</b> agreement 0.51." in page
    assert "<b>Lateral:</b> no bone in the picture." in page
    assert "Certainty" not in page
    assert "The result on its radiographs" not in render_report(a_case())


def test_the_page_tells_the_certainty_if_there_is_one() -> None:
    page = render_report(a_case(bone_mm=(a_shadow(), a_shadow()), provenance={"certainty": 0.231}))
    assert "Certainty of the result: <b>0.23</b>" in page


def test_a_scouts_distance_is_said_once() -> None:
    fan = replace(PAIR.ap, beam=SlotScan(626.96, 626.96))
    assert "Slot scan, drawn in the plane of the synthetic CT's middle, 627 mm from the source;" in geometry_text(fan)
    assert "Cone beam, SAD 1000 mm, SID 1500 mm;" in geometry_text(PAIR.ap)
