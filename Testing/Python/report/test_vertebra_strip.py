"""A picture of each vertebra: the right place, one scale in mm, both outlines, with and without a truth."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.report_cases import GRID, a_case, spine_labels
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine, DecodedVertebra
from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.vertebra_matches import match_vertebrae
from TomoRayLib.report.case_page import render_report
from TomoRayLib.report.content import ReportContent
from TomoRayLib.report.drawing import AMBER, OUTLINE
from TomoRayLib.report.vertebra_section import vertebra_section
from TomoRayLib.report.vertebra_strip import GAP_PX, HEIGHT_MM, PIXELS_PER_MM, WIDTH_MM, vertebra_strip

STEPS_MM = GRID.spacing_mm  # (x, y, z) 2, 2.5 and 3


def a_spine(certainty: float = 0.5, shift: int = 2) -> DecodedSpine:
    """The boxes as a model tells them apart, ``shift`` voxels to the left, all numbers one too high; L3 is cut."""
    labels = np.roll(spine_labels(), shift, axis=2)
    labels = np.where(labels > 0, labels + 1, 0).astype(np.uint8)
    vertebrae = []
    for number in (20, 21, 22):
        k, j, i = np.argwhere(labels == number).mean(axis=0)
        x, y, z = (GRID.index_to_world @ np.array([i, j, k, 1.0]))[:3].tolist()
        vertebrae.append(DecodedVertebra(number, (x, y, z), 9000.0, number != 22, 1.0))
    return DecodedSpine(labels, tuple(vertebrae), certainty)


def compared(**changes: object) -> ReportContent:
    spine = a_spine()
    matched = match_vertebrae(spine.labels, spine_labels(), STEPS_MM)
    return a_case(spine=spine, matched=matched, **changes)


def alone(spine: DecodedSpine | None = None) -> ReportContent:
    return a_case(spine=spine or a_spine(), truth=None, truth_labels=None, metrics=None)


def parts(picture: Image.Image, rows: int) -> list[list[NDArray[np.uint8]]]:
    """The cuts of a picture, [row][sagittal or coronal], (row, column, 3)."""
    pixels = np.asarray(picture)
    height, width = (pixels.shape[0] + GAP_PX) // rows, (pixels.shape[1] + GAP_PX) // 2
    return [
        [pixels[r * height : (r + 1) * height - GAP_PX, c * width : (c + 1) * width - GAP_PX] for c in range(2)]
        for r in range(rows)
    ]


MARKING = (slice(0, 28), slice(0, 135))  # where the word SYNTHETIC stands


def box_of(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> tuple[float, float, float, float]:
    """(left, right, top, bottom) in mm from the picture's middle of what has a colour, beside the marking."""
    found = (pixels == color).all(axis=2)
    found[MARKING] = False
    rows, columns = np.nonzero(found)
    middle = (pixels.shape[1] - 1) / 2, (pixels.shape[0] - 1) / 2
    ends = (columns.min() - 0.5 - middle[0], columns.max() + 0.5 - middle[0])
    ends += (rows.min() - 0.5 - middle[1], rows.max() + 0.5 - middle[1])
    return tuple(end / PIXELS_PER_MM for end in ends)


def test_each_whole_vertebra_has_four_cuts_of_one_size_in_mm() -> None:
    strip = vertebra_strip(compared())
    assert [one.name for one in strip.pictures] == ["T12", "L1", "L2"]
    assert strip.cut == ()
    assert {one.picture.size for one in strip.pictures} == {strip.pictures[0].picture.size}
    (sagittal, coronal), _ = parts(strip.pictures[0].picture, 2)
    assert sagittal.shape == coronal.shape == (HEIGHT_MM * PIXELS_PER_MM, round(WIDTH_MM * PIXELS_PER_MM), 3)


def test_the_outlines_have_the_size_and_the_distance_of_the_vertebrae() -> None:
    """A box of 14 x 12 x 12 voxels, 28 x 30 x 36 mm, about its own middle; the synthetic one 4 mm to the left."""
    picture = next(one.picture for one in vertebra_strip(compared()).pictures if one.name == "L1")
    (true_sagittal, true_coronal), (_, own_coronal) = parts(picture, 2)
    assert box_of(true_sagittal, OUTLINE) == pytest.approx((-15, 15, -18, 18), abs=2.0)
    assert box_of(true_coronal, OUTLINE) == pytest.approx((-14, 14, -18, 18), abs=2.0)
    left, right, _, bottom = box_of(own_coronal, AMBER)
    assert (left, right) == pytest.approx((-10, 18), abs=2.0)  # the patient's left is at image right
    assert bottom > 18  # the neighbours are outlined too
    assert not (true_coronal == AMBER).all(axis=2).any()


def test_synthetic_cuts_are_marked_and_true_ones_say_that_they_are() -> None:
    picture = vertebra_strip(compared()).pictures[0].picture
    for row, marked in zip(parts(picture, 2), (False, True), strict=True):
        for cut in row:
            assert (cut[MARKING] == AMBER).all(axis=2).any() is np.bool_(marked)


def test_a_synthetic_ct_alone_shows_its_own_vertebrae_with_doubt() -> None:
    strip = vertebra_strip(alone())
    assert [one.name for one in strip.pictures] == ["L1", "L2"]
    assert strip.cut == ("L3",)
    assert strip.pictures[0].picture.size[1] < vertebra_strip(compared()).pictures[0].picture.size[1]
    ((sagittal, _),) = parts(strip.pictures[0].picture, 1)
    assert not (sagittal == OUTLINE).all(axis=2).any()
    assert box_of(sagittal, AMBER) == pytest.approx((-15, 15, -18, 18), abs=2.0)
    section = vertebra_section(alone())
    assert re.findall(r"<figcaption><b>([^<]+)</b>", section) == ["L1?", "L2?"]
    assert "Not shown, cut by the field of view: L3." in section
    sure = vertebra_section(alone(a_spine(certainty=0.99)))
    assert re.findall(r"<figcaption><b>([^<]+)</b>", sure) == ["L1", "L2"]


def test_a_known_middle_is_the_place_of_the_cut() -> None:
    pictures = {one.name: one.picture for one in vertebra_strip(compared(), middles_mm(6.0)).pictures}
    ((sagittal, _), _) = parts(pictures["L1"], 2)
    assert box_of(sagittal, OUTLINE)[2:] == pytest.approx((-12, 24), abs=2.0)  # the cut is 6 mm above the middle
    vertebrae = [{"number": label, "center_mm": list(place)} for label, place in middles_mm(6.0).items()]
    measured = {"rows": [], "truth": {"vertebrae": vertebrae}, "synthetic": {"vertebrae": []}}
    assert vertebra_section(compared(measures=measured)) != vertebra_section(compared())
    unmeasured = {**measured, "truth": {"vertebrae": [{"number": 20, "reason": "no body"}]}}
    assert vertebra_section(compared(measures=unmeasured)) == vertebra_section(compared())


def middles_mm(up_mm: float) -> dict[int, tuple[float, float, float]]:
    labels, places = spine_labels(), {}
    for label in (19, 20, 21):
        k, j, i = np.argwhere(labels == label).mean(axis=0)
        x, y, z = (GRID.index_to_world @ np.array([i, j, k, 1.0]))[:3].tolist()
        places[label] = (x, y, z + up_mm)
    return places


def test_cards_say_dice_atlas_shift_and_the_name_it_was_found_under() -> None:
    content = compared()
    section = vertebra_section(content)
    table = content.metrics
    assert table is not None
    ours, atlas = (table.vertebrae_of(name)[20] for name in ("tomoray", "mean_atlas"))
    assert (
        f"<b>L1</b> Dice {ours.dice:.3f} (mean atlas {atlas.dice:.3f}), 4.0 mm too far to the patient&#x27;s left; "
        "found as L2?</figcaption>"
    ) in section
    assert "Above the truth, below the synthetic CT" in section
    assert section in render_report(content)
    doubted = vertebra_section(replace(content, labels_unsure=True))
    assert "<b>L1?</b>" in doubted


def test_a_vertebra_at_the_edge_is_drawn_on_black() -> None:
    labels = np.zeros(GRID.shape, np.int16)
    labels[20:32, 0:12, 50:64] = 20  # at the front and the left face of the volume
    hu = np.where(labels > 0, 600.0, -250.0).astype(np.float32)
    content = a_case(
        truth=Volume(hu, GRID), truth_labels=Volume(labels, GRID), synthetic=Volume(hu, GRID), metrics=None
    )
    (one,) = vertebra_strip(content).pictures
    (sagittal, coronal), _ = parts(one.picture, 2)
    assert (sagittal[60:100, :20] == 0).all()  # anterior of the volume
    assert (coronal[60:100, -20:] == 0).all()  # left of it


def test_without_vertebrae_told_apart_there_is_no_strip() -> None:
    whole = Volume(np.where(spine_labels() > 0, WHOLE_SPINE_LABEL, 0).astype(np.uint8), GRID)
    content = a_case(truth_labels=whole, metrics=None)
    assert vertebra_strip(content).pictures == ()
    assert vertebra_section(content) == ""
    assert vertebra_section(a_case(truth=None, truth_labels=None, metrics=None)) == ""


def test_a_ct_that_is_not_scored_is_above_without_an_outline() -> None:
    body = Volume(np.full(GRID.shape, 40.0, np.float32), GRID)
    content = a_case(spine=a_spine(), truth=body, truth_labels=None, metrics=None)
    strip = vertebra_strip(content)
    (true_sagittal, _), (own_sagittal, _) = parts(strip.pictures[0].picture, 2)
    assert not (true_sagittal == OUTLINE).all(axis=2).any()
    assert (own_sagittal == AMBER).all(axis=2).any()
    assert "Above the CT, below the synthetic CT" in vertebra_section(content)
