"""Pictures of training: bone stands where it should in each of a scene's pictures, and curves go where scores went."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

from support.anatomies import a_coarse_anatomy
from support.labelled_cts import a_labelled_ct
from TomoRayLib.training.data.scenes_of_cts import labelled_ct
from TomoRayLib.training.phantoms.scene import SceneSize
from TomoRayLib.training.pictures import (
    CURVE_COLORS,
    CURVES_SIZE_PX,
    EDGE_PX,
    MARGIN_PX,
    TITLE_PX,
    learning_curves,
    sample_sheet,
    scene_around,
    scene_row,
)

SIZE = SceneSize(right_left_mm=96.0, anterior_mm=96.0, posterior_mm=96.0, height_mm=192.0, spacing_mm=4.0)


def test_a_real_case_stands_upright_with_the_patients_left_at_the_right() -> None:
    """L1's knob points to the patient's left: right half of AP and coronal, upper half of all but the axial slice."""
    scene = scene_around(labelled_ct("case", *a_labelled_ct()), SIZE)
    row = np.asarray(scene_row(scene, "a case").convert("L"), dtype=float)[TITLE_PX:]
    pictures = [row[:, at : at + EDGE_PX] for at in range(0, 5 * EDGE_PX, EDGE_PX)]
    coronal = pictures[4]
    rows, columns = np.nonzero(coronal > 230)
    middle = np.median(columns)
    aside = columns > middle + 12 + 4
    assert aside.sum() > 20
    assert (columns < middle - 16).sum() < 5
    assert rows[aside].max() < EDGE_PX / 2
    upper = pictures[0][: EDGE_PX // 2, 25:95]  # about the column, within the body
    brighter = (upper - upper[:, ::-1]).clip(0).sum(axis=0)
    assert brighter[40:60].sum() > 1.5 * brighter[10:30].sum()


def test_a_sheet_has_a_row_for_each_real_case_and_phantom() -> None:
    case = labelled_ct("case", *a_labelled_ct())
    sheet = sample_sheet(a_coarse_anatomy(), [case], 2)
    assert sheet.size == (2 * (5 * EDGE_PX + 4), 2 * (EDGE_PX + TITLE_PX + 4))
    grey = np.asarray(sheet.convert("L"))
    half_x, half_y = grey.shape[1] // 2, grey.shape[0] // 2
    filled = [grey[y : y + half_y, x : x + half_x].std() > 10 for y in (0, half_y) for x in (0, half_x)]
    assert filled == [True, True, True, False]


def a_validation(folder: Path, rows: list[tuple[float, str, float]]) -> None:
    folder.mkdir(parents=True)
    with (folder / "validation.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "minutes", "case", "cosine_similarity"])
        writer.writerows([0, minutes, case, score] for minutes, case, score in rows)


def test_curves_go_from_score_to_score_and_phantoms_are_one(tmp_path: Path) -> None:
    """From 0.2 at the start to 0.6 at the end of the only stage: along the diagonal of the plot, and nowhere else."""
    a_validation(tmp_path / "48", [(0, "phantom 1", 0.1), (0, "phantom 2", 0.3), (10, "phantom 1", 0.6)])
    picture = np.asarray(learning_curves(tmp_path))
    width, height = CURVES_SIZE_PX
    rows, columns = np.nonzero((picture == CURVE_COLORS[0]).all(axis=2))
    plot = rows < height - MARGIN_PX + 2
    share_x = (columns[plot] - MARGIN_PX) / (width - 2 * MARGIN_PX)
    value = 0.2 + (height - MARGIN_PX - rows[plot]) / (height - 2 * MARGIN_PX) * 0.4
    assert share_x.min() < 0.01
    assert share_x.max() > 0.99
    np.testing.assert_allclose(value, 0.2 + 0.4 * share_x, atol=0.015)  # dots of 5 pixels


def test_names_of_curves_stand_beside_each_other_within_the_picture(tmp_path: Path) -> None:
    names = [
        "mean of the real people",
        "phantom 1",
        "sub-verse005",
        "sub-verse007",
        "totalsegmentator_example",
        "sub-verse230",
    ]
    a_validation(tmp_path / "48", [(at, name, 0.5) for at in (0, 1) for name in names])
    picture = np.asarray(learning_curves(tmp_path))
    assert picture.shape[:2] == CURVES_SIZE_PX[::-1]
    a_validation(
        tmp_path / "many" / "48", [(at, f"sub-verse{n}-of-a-long-name", 0.5) for at in (0, 1) for n in range(20)]
    )
    assert len(np.asarray(learning_curves(tmp_path / "many"))) > CURVES_SIZE_PX[1]  # more lines, more picture
    legend = picture[CURVES_SIZE_PX[1] - MARGIN_PX + 5 :]
    inked = (legend < 200).any(axis=2)
    assert not inked[:, -4:].any()
    boxes = []
    for color in CURVE_COLORS[: len(names)]:
        rows, columns = np.nonzero((legend == color).all(axis=2))
        boxes.append((rows.min(), rows.max(), columns.min(), columns.max()))
    for one, other in itertools.combinations(boxes, 2):
        apart = one[1] < other[0] or other[1] < one[0] or one[3] < other[2] or other[3] < one[2]
        assert apart


def test_a_run_without_scores_or_without_this_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the folder of a run"):
        learning_curves(tmp_path)
    a_validation(tmp_path / "48", [(1, "a", 0.5)])
    with pytest.raises(ValueError, match=r"Expected one of \['cosine_similarity'\], got 'beauty'"):
        learning_curves(tmp_path, "beauty")
