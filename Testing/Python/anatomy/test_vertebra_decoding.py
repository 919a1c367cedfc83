"""Fields decoded into numbered vertebrae: synthetic spines on lopsided grids, and real label maps where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from support.vertebra_fields import course, labelled_spine, with_errors
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine, decode_vertebrae
from TomoRayLib.anatomy.vertebra_field import LEVEL_UNIT, centroids_of_labels, vertebra_field
from TomoRayLib.anatomy.vertebra_naming import SURE, UNSURE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_volume

LABEL_MAPS = sorted((Path(__file__).parents[4] / "shared" / "data" / "labelmaps").glob("*.nii.gz"))
GRID = Grid((60, 84, 110), (2.2, 1.6, 2.6), (-41.0, 17.0, -310.0))
NUMBERS = tuple(range(13, 22))  # T6 to L2
PLACES = course(9, (12.0, 60.0, -42.0), 24.0, 25.0, 15.0)


def field_and_labels(grid: Grid = GRID) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    labels = labelled_spine(PLACES, NUMBERS, grid)
    return vertebra_field(labels, grid)[0], labels


def assert_right(spine: DecodedSpine, labels: NDArray[Any], grid: Grid, limit_mm: float = 10.0) -> None:
    """Every true vertebra, and no other, is there under its number with its centre within the limit."""
    true = centroids_of_labels(labels, grid)
    found = {vertebra.number: np.asarray(vertebra.center_mm) for vertebra in spine.vertebrae}
    assert sorted(found) == sorted(true)
    assert all(np.linalg.norm(found[number] - true[number]) <= limit_mm for number in true)


def test_an_ideal_field_gives_its_labels_back() -> None:
    field, labels = field_and_labels()
    spine = decode_vertebrae(labels > 0, field, GRID)
    np.testing.assert_array_equal(spine.labels, labels)
    assert_right(spine, labels, GRID, 0.5)
    assert spine.numbering == SURE
    assert [vertebra.name for vertebra in spine.vertebrae][:2] == ["T6", "T7"]
    first = spine.vertebrae[0]
    assert first.agreement == 1.0
    assert first.whole
    assert first.volume_mm3 == pytest.approx(np.count_nonzero(labels == 13) * 2.2 * 1.6 * 2.6)


def test_a_field_with_errors_on_a_blurred_mask_does() -> None:
    field, labels = field_and_labels()
    mask = ndimage.gaussian_filter((labels > 0).astype(np.float32), 0.8)
    spine = decode_vertebrae(mask, with_errors(field, 4.0, 0.3, 1), GRID)
    assert_right(spine, labels, GRID, 5.0)
    assert np.mean(spine.labels[labels > 0] == labels[labels > 0]) > 0.97
    assert spine.numbering == SURE


def test_a_coarser_field_on_the_same_cube_does() -> None:
    grid = Grid((64, 88, 112), (2.2, 1.6, 2.6), GRID.origin_mm)
    labels = labelled_spine(PLACES, NUMBERS, grid)
    fine, _ = vertebra_field(labels, grid)
    known = (labels > 0).reshape(28, 4, 22, 4, 16, 4).sum(axis=(1, 3, 5))
    sums = fine.reshape(4, 28, 4, 22, 4, 16, 4).sum(axis=(2, 4, 6))
    spine = decode_vertebrae(labels > 0, with_errors(sums / np.maximum(known, 1), 2.0, 0.1, 2), grid)
    assert_right(spine, labels, grid, 5.0)
    assert np.mean(spine.labels[labels > 0] == labels[labels > 0]) > 0.93


def test_a_turned_and_mirrored_grid_changes_nothing() -> None:
    """i runs to the feet, j to the right, k to the back: offsets and "down" stay the patient's."""
    grid = Grid((110, 60, 84), (2.6, 2.2, 1.6), (91.0, 17.0, -26.6), (0.0, -1.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0))
    field, labels = field_and_labels(grid)
    spine = decode_vertebrae(labels > 0, with_errors(field, 4.0, 0.3, 3), grid)
    assert_right(spine, labels, grid, 5.0)
    centers = [vertebra.center_mm[2] for vertebra in spine.vertebrae]
    assert centers == sorted(centers, reverse=True)


@pytest.mark.parametrize(("lean_deg", "tilt_deg"), [(65.0, 0.0), (0.0, 50.0)], ids=["kyphosis", "scoliosis"])
def test_a_bent_spine_keeps_its_order(lean_deg: float, tilt_deg: float) -> None:
    """Where the spine leans over, one axial slice cuts three vertebrae."""
    grid = Grid((80, 80, 90), (2.5, 2.5, 2.5), (-80.0, -60.0, -190.0))
    places = course(9, (-40.0, -20.0, 10.0), 22.0, lean_deg, tilt_deg)
    labels = labelled_spine(places, NUMBERS, grid)
    field, _ = vertebra_field(labels, grid)
    assert_right(decode_vertebrae(labels > 0, with_errors(field, 3.0, 0.2, 4), grid), labels, grid, 6.0)


def test_errors_that_neighbours_share_leave_vertebrae_apart() -> None:
    field, labels = field_and_labels()
    spine = decode_vertebrae(labels > 0, with_errors(field, 4.0, 0.3, 5, width=2.0), GRID)
    assert_right(spine, labels, GRID)


def test_vertebrae_without_gaps_and_with_holes_are_told_apart() -> None:
    _, labels = field_and_labels()
    _, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    grown = ndimage.binary_dilation(labels > 0, iterations=2)
    merged = np.where(grown, labels[tuple(nearest)], 0)
    merged[:, 40:46, 28:33] = 0
    assert ndimage.label(merged)[1] == 1
    spine = decode_vertebrae(merged > 0, with_errors(vertebra_field(merged, GRID)[0], 4.0, 0.3, 6), GRID)
    assert_right(spine, merged, GRID, 5.0)
    assert np.mean(spine.labels[merged > 0] == merged[merged > 0]) > 0.97


def test_a_missing_vertebra_leaves_its_number_free() -> None:
    field, labels = field_and_labels()
    labels[labels == 17] = 0
    spine = decode_vertebrae(labels > 0, with_errors(field, 2.0, 0.2, 7), GRID)
    assert [vertebra.number for vertebra in spine.vertebrae] == [13, 14, 15, 16, 18, 19, 20, 21]


def test_vertebrae_that_the_grid_cuts_are_marked() -> None:
    _, labels = field_and_labels()
    centroids = centroids_of_labels(labels, GRID)
    last = int(np.flatnonzero((labels == 13).any(axis=(1, 2))).mean())
    first = int(np.flatnonzero((labels == 21).any(axis=(1, 2))).mean())
    cut = labels[first:last]
    grid = Grid((60, 84, last - first), GRID.spacing_mm, (-41.0, 17.0, -310.0 + 2.6 * first))
    spine = decode_vertebrae(cut > 0, with_errors(vertebra_field(cut, grid, centroids)[0], 2.0, 0.2, 8), grid)
    assert [vertebra.number for vertebra in spine.vertebrae] == list(NUMBERS)
    assert [vertebra.whole for vertebra in spine.vertebrae] == [False, *[True] * 7, False]


def test_an_island_far_from_the_spine_is_dropped_and_a_near_one_kept() -> None:
    field, labels = field_and_labels()
    mask = labels > 0
    tip = np.argwhere(labels == 16)[:, 1].max()
    mask[:, tip - 3 : tip - 1] &= labels[:, tip - 3 : tip - 1] != 16  # the tip of one process is now apart
    mask[5:9, 70:74, 2:6] = True
    field[:3, 5:9, 70:74, 2:6] = 0.0  # it votes for itself
    spine = decode_vertebrae(mask, field, GRID)
    assert not spine.labels[5:9, 70:74, 2:6].any()
    beyond = (labels == 16) & (np.arange(84)[None, :, None] >= tip - 1)
    assert beyond.any()
    assert (spine.labels[beyond] == 16).all()


@pytest.mark.parametrize(("shift", "expected", "numbering"), [(0.2, 0, SURE), (0.45, 0, UNSURE), (-1.0, -1, SURE)])
def test_the_numbers_follow_the_mean_level(shift: float, expected: int, numbering: str) -> None:
    field, labels = field_and_labels()
    field = with_errors(field, 2.0, 0.2, 9)
    field[3] += shift / LEVEL_UNIT
    spine = decode_vertebrae(labels > 0, field, GRID)
    assert [vertebra.number for vertebra in spine.vertebrae] == [number + expected for number in NUMBERS]
    assert spine.numbering == numbering


def test_levels_that_say_little_leave_the_numbering_unsure() -> None:
    """A field that names the middle of the spine everywhere tells vertebrae apart and nothing of their numbers."""
    field, labels = field_and_labels()
    field[3] = 0.0
    spine = decode_vertebrae(labels > 0, field, GRID)
    numbers = [vertebra.number for vertebra in spine.vertebrae]
    assert numbers == list(range(numbers[0], numbers[0] + 9))
    assert spine.numbering == UNSURE
    assert spine.certainty < 0.5


def test_levels_out_of_the_row_stay_in_it() -> None:
    field, labels = field_and_labels()
    field[3] -= 20.0 / LEVEL_UNIT
    assert [vertebra.number for vertebra in decode_vertebrae(labels > 0, field, GRID).vertebrae] == list(range(1, 10))
    field[3] += 40.0 / LEVEL_UNIT
    lowest = decode_vertebrae(labels > 0, field, GRID).vertebrae[-1]
    assert lowest.number <= 25


def test_no_bone_gives_no_vertebra() -> None:
    spine = decode_vertebrae(np.zeros(GRID.shape, bool), np.zeros((4, *GRID.shape), np.float32), GRID)
    assert spine.vertebrae == ()
    assert not spine.labels.any()
    assert spine.numbering == UNSURE


def test_a_single_vertebra_is_one() -> None:
    field, labels = field_and_labels()
    only = labels == 18
    spine = decode_vertebrae(only, with_errors(field, 3.0, 0.2, 10), GRID)
    assert [vertebra.number for vertebra in spine.vertebrae] == [18]


@pytest.mark.parametrize("shape", [(3, 110, 84, 60), (4, 50, 84, 60), (110, 84, 60)])
def test_a_field_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="field must be"):
        decode_vertebrae(np.ones(GRID.shape, bool), np.zeros(shape, np.float32), GRID)


def test_a_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="grid's shape"):
        decode_vertebrae(np.ones((5, 6, 7), bool), np.zeros((4, 5, 6, 7), np.float32), GRID)


@pytest.mark.skipif(not LABEL_MAPS, reason="needs the label maps of ../shared/data")
@pytest.mark.parametrize("path", LABEL_MAPS, ids=lambda path: path.name.split("_seg")[0])
def test_real_spines_are_found_and_numbered(path: Path) -> None:
    """At 2 mm, with errors of 4 mm and a blurred mask. Slivers of less than a third of their neighbours are left out;
    a spine without T12 is no row of numbers and must only be told apart."""
    volume = read_volume(path)
    grid = Grid(
        tuple(len(range(0, size, 2)) for size in volume.grid.size),  # type: ignore[arg-type]
        tuple(2 * spacing for spacing in volume.grid.spacing_mm),  # type: ignore[arg-type]
        volume.grid.origin_mm,
        volume.grid.direction,
    )
    labels = volume.voxels[::2, ::2, ::2].astype(np.uint8)
    true = centroids_of_labels(labels, grid)
    sizes = np.bincount(labels.ravel(), minlength=27)
    whole = {number for number in true if sizes[number] > max(sizes[max(number - 1, 1)], sizes[number + 1]) / 3}
    mask = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1.0)
    spine = decode_vertebrae(mask, with_errors(vertebra_field(labels, grid)[0], 4.0, 0.3, 11), grid)
    found = {vertebra.number: np.asarray(vertebra.center_mm) for vertebra in spine.vertebrae}
    if len(true) == max(true) - min(true) + 1:
        assert whole <= set(found) <= set(true)
        assert all(np.linalg.norm(found[number] - true[number]) <= 10.0 for number in whole)
    else:
        nearest = [min(np.linalg.norm(center - true[number]) for center in found.values()) for number in whole]
        assert max(nearest) <= 10.0
