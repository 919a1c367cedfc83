"""Vertebra masks as they come: described, refused, and put on the grid of their CT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.masks import a_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.masks.checks import MaskContent, describe_mask, in_verse_numbers, match_mask, prepared_mask
from TomoRayLib.images.types import Volume


def test_vertebra_mask_is_described_from_cranial_to_caudal() -> None:
    description = describe_mask(a_mask({20: slice(5, 10), 28: slice(10, 15), 26: slice(0, 5)}))
    assert (description.content, description.labels, description.note) == (MaskContent.VERTEBRAE, (28, 20), None)


def test_unknown_labels_among_vertebrae_are_noted() -> None:
    note = describe_mask(a_mask({20: slice(5, 10), 91: slice(10, 15)})).note
    assert note is not None
    assert "labels 91, which are not vertebrae" in note


def test_mask_of_the_whole_body_is_not_taken_for_vertebrae() -> None:
    """Four numbers that VerSe does not have are left out, five are too many."""
    plain = {19: slice(40, 52), 20: slice(24, 36), 21: slice(8, 20)}
    others = {70: slice(1, 2), 60: slice(2, 3), 75: slice(3, 4), 90: slice(4, 5)}
    assert describe_mask(a_mask({**plain, **others, 255: slice(55, 56)})).labels == (19, 20, 21)
    with pytest.raises(InputError, match=r"spine\.nrrd: expected vertebra labels .* got .* 90, 95"):
        describe_mask(a_mask({**plain, **others, 95: slice(5, 6)}), "spine.nrrd")


def test_a_numbering_is_stated_or_refused_with_its_readings() -> None:
    """L5 to L3 are 27, 28 and 29 in TotalSegmentator's table, T8 to T6 in that of version 1; 28 is T13 of VerSe."""
    mask = a_mask({27: slice(5, 10), 28: slice(12, 17), 29: slice(19, 24)})
    readings = r"TotalSegmentator \(total, version 2\) \(L3 to L5\): totalsegmentator; or .*\(T6 to T8\)"
    with pytest.raises(InputError, match=readings) as caught:
        describe_mask(mask)
    assert caught.value.field == "labels"
    assert describe_mask(mask, labels="totalsegmentator").labels == (22, 23, 24)
    assert describe_mask(mask, labels="whole-spine").content is MaskContent.WHOLE_SPINE
    with pytest.raises(InputError, match=r"Expected the numbering of the mask as one of auto, verse, .* got 'total'"):
        describe_mask(mask, labels="total")


def test_a_stated_numbering_whose_order_is_upside_down_is_refused() -> None:
    mask = a_mask({20: slice(5, 10), 21: slice(12, 17)})
    with pytest.raises(InputError, match="in the numbering of VerSe L2 lies above L1; state another"):
        describe_mask(mask, labels="verse")


def test_translated_numbers_are_verses_and_the_sacrum_keeps_its_place() -> None:
    mask = a_mask({50: slice(0, 5), 45: slice(7, 20), 95: slice(20, 21), 44: slice(22, 36), 2: slice(40, 42)})
    translated = in_verse_numbers(mask, "spine.nii.gz")
    meant = {0: 0, 50: 26, 45: 24, 95: 0, 44: 23, 2: 0}
    expected = np.vectorize(meant.get)(mask.voxels)
    np.testing.assert_array_equal(translated.voxels, expected)
    assert "labels 2, 95, which are not vertebrae" in translated.notes[0]
    assert "spine.nii.gz is not in VerSe's numbering" in translated.warnings[0]
    assert "taken as that of TotalSpineSeg (L4 to L5)" in translated.warnings[0]


def test_values_of_a_ct_are_no_labels() -> None:
    ct = a_mask({1: slice(5, 10)})
    ct.voxels[:5] = -1000
    with pytest.raises(InputError, match="got values from -1000 to 1; is this a CT"):
        describe_mask(ct)


def test_mask_without_vertebrae_lists_what_it_has() -> None:
    mask = a_mask({26: slice(5, 10), 120: slice(10, 15)})
    with pytest.raises(InputError, match=r"expected vertebra labels 1-25 .*got 26, 120; renumber"):
        describe_mask(mask)


def test_empty_mask_and_fractions_are_refused() -> None:
    with pytest.raises(InputError, match="got an empty mask"):
        describe_mask(a_mask({}))
    with pytest.raises(InputError, match="got float32 values"):
        describe_mask(a_mask({20: slice(5, 10)}, np.float32))


@pytest.mark.parametrize("label", [1, 255])
def test_tall_binary_mask_is_a_whole_spine(label: int) -> None:
    description = describe_mask(a_mask({label: slice(5, 36)}))  # 62 mm
    assert (description.content, description.labels) == (MaskContent.WHOLE_SPINE, ())
    assert "taken as the whole spine" in str(description.note)


def test_height_is_measured_along_the_patient_not_along_an_index() -> None:
    mask = a_mask({1: slice(5, 35)})  # 60 mm along k, 30 along i, 45 along j
    assert describe_mask(mask).content is MaskContent.VERTEBRAE
    i_is_superior = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)
    tall = a_mask({1: slice(5, 40)})  # 70 mm along k
    assert describe_mask(tall).content is MaskContent.WHOLE_SPINE
    lying = Volume(tall.voxels, replace(tall.grid, direction=i_is_superior))
    assert describe_mask(lying).labels == (1,)


def test_mask_on_the_grid_of_the_ct_is_unchanged() -> None:
    mask = a_mask({20: slice(5, 10)})
    ct = Volume(np.zeros(mask.grid.shape, np.int16), mask.grid)
    assert match_mask(mask, ct) == (mask, None)


def test_mask_of_another_grid_is_resampled_to_its_place() -> None:
    mask = a_mask({20: slice(5, 10)})
    flipped = Grid((60, 50, 60), (1.0, 1.5, 2.0), (64.0, -7.0, 11.0), (-1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    moved, note = match_mask(mask, Volume(np.zeros(flipped.shape, np.int16), flipped))
    np.testing.assert_array_equal(moved.voxels, mask.voxels[:, :, ::-1])
    assert moved.grid == flipped
    assert "100% of its vertebra voxels" in str(note)


def test_mask_of_the_size_of_the_ct_at_another_place_gets_a_warning() -> None:
    mask = a_mask({20: slice(5, 10)})
    away = replace(mask.grid, origin_mm=(5.0, 5.0, 11.0))
    prepared, _ = prepared_mask(mask, Volume(np.zeros(away.shape, np.int16), away))
    assert "has as many voxels as the CT but lies 12 mm from it" in prepared.warnings[-1]
    same, _ = prepared_mask(mask, Volume(np.zeros(mask.grid.shape, np.int16), mask.grid))
    assert not any("lies" in warning for warning in same.warnings)


def test_mask_outside_the_ct_is_refused() -> None:
    mask = a_mask({20: slice(5, 10)})
    away = replace(mask.grid, origin_mm=(5.0, -7.0, 11.0 + 2 * 9.6))  # only slices 9.6 .. overlap: none labelled
    with pytest.raises(InputError, match=r"got 0% of its vertebra voxels inside .*has one of them lost its header"):
        match_mask(mask, Volume(np.zeros(away.shape, np.int16), away))


def test_other_labels_in_the_ct_do_not_make_a_mask_lie_in_it() -> None:
    mask = a_mask({20: slice(5, 10), 26: slice(10, 60)})
    away = replace(mask.grid, origin_mm=(5.0, -7.0, 11.0 + 20.0))  # sacrum inside, L1 not
    with pytest.raises(InputError, match="got 0% of its vertebra voxels inside"):
        match_mask(mask, Volume(np.zeros(away.shape, np.int16), away))


def test_mask_that_vanishes_on_the_grid_of_the_ct_is_refused() -> None:
    mask = a_mask({})
    mask.voxels[30, 25, 30] = 20  # one voxel of 1 x 1.5 x 2 mm between the centres of a coarse CT
    coarse = Grid((10, 8, 12), (6.0, 10.0, 10.0), (5.0, -7.0, 11.0 + 5.0))
    with pytest.raises(InputError, match="got no voxel of any after resampling"):
        match_mask(mask, Volume(np.zeros(coarse.shape, np.int16), coarse))


@pytest.mark.parametrize("label", [1, 255])
@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_prepared_whole_spine_has_the_label_for_it(label: int, dtype: type) -> None:
    mask = a_mask({label: slice(5, 40)}, dtype)
    prepared, notes = prepared_mask(mask, Volume(np.zeros(mask.grid.shape, np.int16), mask.grid), "spine.nrrd")
    assert prepared.voxels.dtype == np.uint8
    np.testing.assert_array_equal(prepared.voxels, np.where(mask.voxels > 0, 255, 0))
    (note,) = notes
    assert "spine.nrrd has the one label" in note


def test_prepared_whole_spine_of_booleans_is_the_same() -> None:
    mask = a_mask({1: slice(5, 40)}, np.bool_)
    prepared, _ = prepared_mask(mask, Volume(np.zeros(mask.grid.shape, np.int16), mask.grid))
    np.testing.assert_array_equal(prepared.voxels, mask.voxels * np.uint8(255))


def test_prepared_vertebrae_keep_their_labels_and_lose_the_whole_spine_label() -> None:
    mask = a_mask({20: slice(5, 10), 26: slice(10, 15), 255: slice(20, 50)})
    onto = replace(mask.grid, origin_mm=(5.0, -7.0, 13.0))
    prepared, notes = prepared_mask(mask, Volume(np.zeros(onto.shape, np.int16), onto))
    assert np.unique(prepared.voxels).tolist() == [0, 20, 26]
    assert "labels 255, which are not vertebrae" in notes[0]
    assert "resampled by nearest neighbour" in notes[1]


# Radiographs
