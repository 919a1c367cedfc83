"""Tiles cover a volume, and their weights blend it back."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.segmentation.tiles import EDGE_STEP, AxisTiles, tiles_of

LENGTHS = [1, 15, 16, 17, 80, 95, 96, 97, 112, 113, 176, 177, 199, 256, 300, 511]


@pytest.mark.parametrize("length", LENGTHS)
def test_tiles_reach_both_ends_and_share_what_was_asked_for(length: int) -> None:
    axis = AxisTiles.of(length)
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.edge >= length
    assert axis.edge % EDGE_STEP == 0
    assert axis.edge <= 96
    shared = [first + axis.edge - second for first, second in zip(axis.starts, axis.starts[1:], strict=False)]
    assert all(count >= 16 for count in shared)


@pytest.mark.parametrize(("length", "edge", "starts"), [(96, 96, (0,)), (50, 64, (0,)), (97, 64, (0, 33))])
def test_there_are_as_few_tiles_as_possible_and_as_short(length: int, edge: int, starts: tuple[int, ...]) -> None:
    axis = AxisTiles.of(length)
    assert (axis.edge, axis.starts) == (edge, starts)


@pytest.mark.parametrize("length", LENGTHS)
def test_every_voxel_has_weight_and_a_tiles_own_border_has_none(length: int) -> None:
    axis = AxisTiles.of(length)
    total = np.zeros(axis.starts[-1] + axis.edge)
    for number, start in enumerate(axis.starts):
        weight = axis.weights(number)
        total[start : start + axis.edge] += weight
        if number > 0:
            assert not weight[:4].any()
        if number < len(axis.starts) - 1:
            assert not weight[-4:].any()
    assert total.min() > 0.1
    assert axis.weights(0)[0] == axis.weights(len(axis.starts) - 1)[-1] == 1.0


def test_tiles_of_a_lopsided_volume_cover_each_voxel() -> None:
    shape = (130, 40, 90)
    seen, weight = np.zeros(shape, int), np.zeros(shape)
    for tile in tiles_of(shape):
        place = tile.inside(shape)
        seen[place] += 1
        weight[place] += tile.weights()[tuple(slice(0, part.stop - part.start) for part in place)]
    assert seen.min() == 1
    assert weight.min() > 0
    assert {tile.shape for tile in tiles_of(shape)} == {(80, 48, 96)}


@pytest.mark.parametrize(("length", "largest", "overlap", "margin"), [(0, 96, 16, 4), (9, 96, 8, 4), (9, 90, 16, 4)])
def test_settings_without_sense_are_refused(length: int, largest: int, overlap: int, margin: int) -> None:
    with pytest.raises(ValueError, match="Expected a length from 1"):
        AxisTiles.of(length, largest, overlap, margin)
