"""Window, lookup tables and the way back to HU."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, LookupTable, Quantisation, Window, make_target, vertebra_mask

UNEVEN = LookupTable(Quantisation.EQUAL_FREQUENCY, (0.0, 50.0, 300.0), (-250.0, 20.0, 90.0, 800.0))


def test_the_window_spans_minus_250_to_1050_hu() -> None:
    np.testing.assert_allclose(BONE_WINDOW.apply([-251, -250, 400, 1050, 3000]), [0, 0, 0.5, 1, 1])


def test_a_window_without_width_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Window(40.0, 0.0)


def test_the_linear_table_has_100_levels_and_rounds_to_half_a_level() -> None:
    table = LookupTable.linear()
    hu = np.random.default_rng(0).uniform(-250, 1050, 5000)
    grey = table.quantise(hu)
    assert len(np.unique(np.round(grey * 99))) == 100
    assert np.abs(table.dequantise(grey) - hu).max() <= 1300 / 99 / 2 + 1e-3


def test_the_linear_table_is_the_window_rounded() -> None:
    hu = np.linspace(-400, 1200, 999)
    np.testing.assert_allclose(LookupTable.linear().quantise(hu), np.round(BONE_WINDOW.apply(hu) * 99) / 99, atol=1e-6)


@pytest.mark.parametrize(
    "table", [LookupTable.linear(), LookupTable.linear(levels=7), UNEVEN], ids=("100", "7", "uneven")
)
def test_the_way_back_to_hu_is_a_line_between_levels(table: LookupTable) -> None:
    levels = np.linspace(0.0, 1.0, table.levels)
    between = np.random.default_rng(4).uniform(-0.1, 1.1, 70_000)
    for grey in (levels, between.reshape(7, 100, 100), between.reshape(100, 700)[:, ::3], np.float32(0.25)):
        grey = np.asarray(grey, np.float32)
        back, expected = table.dequantise(grey), np.interp(grey, levels, table.level_hu).astype(np.float32)
        assert back.dtype == np.float32
        assert back.shape == grey.shape
        np.testing.assert_array_equal(np.round(back).astype(np.int16), np.round(expected).astype(np.int16))
        np.testing.assert_allclose(back, expected, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(table.dequantise(levels), table.level_hu, rtol=1e-6, atol=1e-4)


def test_the_equal_frequency_table_gives_each_level_the_same_share() -> None:
    bone = np.random.default_rng(1).normal(250, 150, 50_000)
    table = LookupTable.equal_frequency(bone)
    counts = np.bincount(np.round(table.quantise(bone) * 99).astype(int), minlength=100)
    assert table.quantisation is Quantisation.EQUAL_FREQUENCY
    # level 1 also takes what is below the first edge, the last what is above: allow 10 % around 1/99
    np.testing.assert_allclose(counts[2:] / bone.size, 1 / 99, rtol=0.1)


def test_the_equal_frequency_table_goes_back_to_hu_in_order() -> None:
    bone = np.random.default_rng(1).normal(250, 150, 50_000)
    table = LookupTable.equal_frequency(bone)
    back = table.dequantise(table.quantise(bone))
    assert np.median(np.abs(back - bone)) < 5
    assert np.all(np.diff(table.level_hu) > 0)


def test_both_tables_survive_being_stored() -> None:
    for table in (LookupTable.linear(), LookupTable.equal_frequency(np.random.default_rng(2).normal(200, 99, 9999))):
        assert LookupTable.from_dict(table.to_dict()) == table


def test_too_few_bone_voxels_make_no_table() -> None:
    with pytest.raises(ValueError, match="1000 bone voxels, got 5"):
        LookupTable.equal_frequency([1, 2, 3, 4, 5])


def test_a_table_out_of_order_is_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        LookupTable(Quantisation.LINEAR, (5.0,), (10.0, 0.0))


def test_sacrum_coccyx_and_strangers_are_no_vertebrae() -> None:
    labels = np.array([0, 1, 19, 20, 25, 26, 27, 28, 29, 44])
    np.testing.assert_array_equal(vertebra_mask(labels), [0, 1, 1, 1, 1, 0, 0, 1, 0, 0])


def test_the_target_keeps_vertebrae_and_blacks_out_the_rest() -> None:
    hu = np.full((2, 3, 4), 400.0)
    labels = np.zeros(hu.shape, int)
    labels[1, 2, 3], labels[0, 0, 0] = 20, 26
    target = make_target(hu, labels, LookupTable.linear())
    assert np.count_nonzero(target) == 1
    assert target[1, 2, 3] == pytest.approx(0.5, abs=0.51 / 99)


def test_ct_and_labels_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        make_target(np.zeros((2, 2, 2)), np.zeros((2, 2, 3), int), LookupTable.linear())


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "<i2", ">i2", "i1", "<i4", "<i8"])
def test_vertebrae_are_selected_whatever_the_number_type(kind: str) -> None:
    """By a table where there is one, else by a search; a negative number of one byte is not the spine's 255."""
    limits = np.iinfo(kind)
    numbers = np.array([n for n in (-1, 0, 1, 25, 26, 27, 28, 29, 255, 256, 511) if limits.min <= n <= limits.max])
    labels = np.tile(numbers.astype(kind), (2, 3, 1)).transpose(2, 0, 1)
    expected = np.isin(labels, [*range(1, 26), 28, 255])
    np.testing.assert_array_equal(vertebra_mask(labels), expected)
