"""Vertebra masks as they come: described, refused, and put on the grid of their CT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.masks import a_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.mask_checks import MaskContent, describe_mask, match_mask, prepared_mask
from TomoRayLib.images.types import Volume


def test_vertebra_mask_is_described_from_cranial_to_caudal() -> None:
    description = describe_mask(a_mask({20: slice(5, 10), 28: slice(10, 15), 26: slice(0, 5)}))
    assert (description.content, description.labels, description.note) == (MaskContent.VERTEBRAE, (28, 20), None)


def test_unknown_labels_among_vertebrae_are_noted() -> None:
    note = describe_mask(a_mask({20: slice(5, 10), 91: slice(10, 15)})).note
    assert note is not None
    assert "labels 91, which are not vertebrae" in note


def test_mask_of_the_whole_body_is_not_taken_for_vertebrae() -> None:
    organs = {label: slice(place, place + 1) for place, label in enumerate((1, 5, 20, 28, 51, 60, 75, 90))}
    assert describe_mask(a_mask({**organs, 255: slice(20, 21)})).labels == (1, 5, 28, 20)  # four others
    message = r"spine\.nrrd: .* got labels like 51, 60, .*, which looks like TotalSegmentator.*27\.\.50 to 24\.\.1"
    with pytest.raises(InputError, match=message):
        describe_mask(a_mask({**organs, 117: slice(20, 21)}), "spine.nrrd")


def test_vertebrae_in_totalsegmentators_numbers_are_refused() -> None:
    """L5 to L3 are 27, 28 and 29 there: 28 would be taken for T13."""
    with pytest.raises(InputError, match=r"got labels like 29, which looks like TotalSegmentator"):
        describe_mask(a_mask({27: slice(5, 10), 28: slice(12, 17), 29: slice(19, 24)}))


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
