"""Places known at nodes: between them as a straight line has it, and the same samples compiled or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.places import Places, box_of, box_within, interpolated, node_shape
from TomoRayLib.training.phantoms.sampling import labels_at, sample_at

SCENE = Grid((41, 30, 37), (2.0, 3.0, 1.7), (-31.0, 12.0, -54.0))
VOLUME = Grid((23, 31, 27), (3.1, 1.9, 2.3), (-24.0, 25.0, -61.0))


def places_mm(shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A turned, sheared and stretched frame that looks into the volume and far beyond it: linear along each axis."""
    z, y, x = (torch.linspace(-1.0, 1.0, n) for n in shape)
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    return (
        8.0 + 47.0 * x + 9.0 * y - 6.0 * z,
        52.0 - 11.0 * x + 38.0 * y + 5.0 * z,
        -31.0 + 7.0 * x - 4.0 * y + 42.0 * z,
    )


def a_map() -> Places:
    return Places.of(*places_mm(node_shape(SCENE)), SCENE.shape)


def test_nodes_are_four_millimetres_apart_at_most_and_never_finer_than_voxels() -> None:
    assert node_shape(SCENE) == (17, 23, 21)  # 61.2, 87 and 80 mm
    assert node_shape(Grid((5, 6, 7), (8.0, 9.0, 10.0), (0.0, 0.0, 0.0))) == (7, 6, 5)


def test_between_nodes_a_linear_map_is_exact_anywhere_in_the_scene() -> None:
    box = (slice(3, 20), slice(0, 30), slice(11, 12))
    for found, expected in zip(a_map().within(box), places_mm(SCENE.shape), strict=True):
        torch.testing.assert_close(found, expected[box], atol=2e-4, rtol=0)
    whole = interpolated(a_map().nodes, SCENE.shape)
    torch.testing.assert_close(whole, torch.stack(places_mm(SCENE.shape)), atol=2e-4, rtol=0)


@pytest.mark.parametrize("kind", [torch.int16, torch.uint8, torch.float32])
@pytest.mark.parametrize("box", [None, (slice(5, 30), slice(2, 29), slice(17, 41))], ids=["all", "a box"])
def test_compiled_samples_are_those_of_the_positions(kind: torch.dtype, box: tuple[slice, slice, slice] | None) -> None:
    """Inside, across the volume's faces, where it fades, and beyond."""
    pytest.importorskip("numba")
    values = torch.from_numpy(np.random.default_rng(0).uniform(0, 250, VOLUME.shape)).to(kind)
    here = box or (slice(0, 37), slice(0, 30), slice(0, 41))
    positions = tuple(one[here] for one in places_mm(SCENE.shape))
    expected = sample_at(values, VOLUME, *positions, outside=-90.0)
    found = a_map().sampled(values, VOLUME, -90.0, box)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    beyond, within = (expected == -90.0).float().mean(), (expected > 0).float().mean()
    assert float(beyond) > 0.1
    assert float(within) > 0.1
    pair = a_map().sampled(torch.stack([values, values.flip(0)]), VOLUME, -90.0, box)
    torch.testing.assert_close(pair[0], found)


def test_compiled_labels_are_the_nearest_ones() -> None:
    pytest.importorskip("numba")
    labels = torch.from_numpy(np.random.default_rng(1).integers(1, 26, VOLUME.shape).astype(np.uint8))
    expected, found = labels_at(labels, VOLUME, *places_mm(SCENE.shape)), a_map().labels(labels, VOLUME)
    assert found.dtype == torch.uint8
    assert float((found != expected).float().mean()) < 1e-3  # a place half way between two voxels may go either way
    assert 0.1 < float((expected == 0).float().mean()) < 0.9


def test_stock_torch_gives_the_same_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, which has no compiled pass."""
    values = torch.from_numpy(np.random.default_rng(2).integers(-1000, 900, VOLUME.shape).astype(np.int16))
    usual = a_map().sampled(values, VOLUME, -1000.0), a_map().labels(values, VOLUME)
    monkeypatch.setattr(Places, "_is_compiled", lambda self, volume: False)
    torch.testing.assert_close(a_map().sampled(values, VOLUME, -1000.0), usual[0], atol=0.2, rtol=0)
    assert float((a_map().labels(values, VOLUME) != usual[1]).float().mean()) < 1e-3


def test_a_box_holds_every_voxel_that_looks_into_the_volume() -> None:
    x, y, z = places_mm(SCENE.shape)
    small = Grid((6, 9, 7), (2.0, 1.5, 3.0), (2.0, 47.0, -38.0))
    inside = torch.ones(SCENE.shape, dtype=torch.bool)
    for value, start, step, n in zip((x, y, z), small.origin_mm, small.spacing_mm, small.size, strict=True):
        inside &= (value > start - step) & (value < start + n * step)
    box = a_map().box_inside(small)
    assert int(inside[box].sum()) == int(inside.sum()) > 50
    assert inside[box].float().mean() > 3 * inside.float().mean()


def test_boxes_within_boxes_and_of_nothing() -> None:
    marked = torch.zeros(9, 8, 7, dtype=torch.bool)
    marked[2:4, 6, 0] = True
    assert box_of(marked) == (slice(2, 4), slice(6, 8), slice(0, 2))
    assert box_of(marked, margin=2) == (slice(0, 6), slice(4, 8), slice(0, 3))
    assert box_of(torch.zeros(9, 8, 7, dtype=torch.bool)) == (slice(0, 2),) * 3
    outer = (slice(10, 30), slice(5, 20), slice(7, 40))
    assert box_within(outer, (slice(1, 3), slice(0, 2), slice(4, 9))) == (slice(11, 13), slice(5, 7), slice(11, 16))
