"""Vertebrae of a CT: named, and placed on the CT's own grid."""

from __future__ import annotations

import numpy as np
import pytest

from support.labelled_cts import COLUMN_MM, Z_OF_L1_MM, a_labelled_ct
from support.volumes import BLOB_MM, blob_on
from TomoRayLib.anatomy.vertebra_field import centroids_of_labels
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import labels_on_grid, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.vertebra import dice
from TomoRayLib.networks.ct_segmenter import SPACING_MM, CTSegmenter
from TomoRayLib.segmentation.agreement import agreement
from TomoRayLib.segmentation.ct_vertebrae import bone_part, on_grid_of_ct, segment_ct


def turned(volume: Volume, direction: np.ndarray, spacing_mm: tuple[float, float, float], fill: float) -> Volume:
    """The volume on a grid of another direction about the column's middle."""
    middle = np.array((*COLUMN_MM, Z_OF_L1_MM - 45.0))
    size = tuple(int(edge / spacing) for edge, spacing in zip((150.0, 110.0, 165.0), spacing_mm, strict=True))
    origin = middle - direction @ ((np.array(size) - 1) / 2 * np.array(spacing_mm))
    grid = Grid(size, spacing_mm, tuple(origin), tuple(direction.ravel()))  # type: ignore[arg-type]
    return resample(volume, grid, fill=fill) if fill else labels_on_grid(volume, grid)


def test_vertebrae_are_found_named_and_outlined(fitted_segmenter: CTSegmenter) -> None:
    ct, labels = a_labelled_ct()
    found = segment_ct(ct, fitted_segmenter)
    assert [vertebra.name for vertebra in found.vertebrae] == ["L1", "L2", "L3", "L4"]
    assert found.labels.grid == ct.grid
    assert found.labels.voxels.dtype == np.uint8
    scores = agreement(found.labels, labels)
    assert scores is not None
    assert scores.counts.named == scores.counts.whole == 4
    assert scores.dice > 0.98
    assert all(vertebra.whole for vertebra in found.vertebrae)
    wanted = centroids_of_labels(labels.voxels, labels.grid)
    for vertebra in found.vertebrae:
        assert np.linalg.norm(np.subtract(vertebra.center_mm, wanted[vertebra.number])) < 8.0


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_oblique_ct_gets_its_labels_where_it_lies(fitted_segmenter: CTSegmenter, mirrored: bool) -> None:
    """Axes turned by 7 and 4 degrees and exchanged, voxels of 1.1 x 2.6 x 1.7 mm; then left-handed too."""
    turn, tilt = np.deg2rad(7.0), np.deg2rad(4.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    direction = about_z @ about_x @ np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    ct, labels = a_labelled_ct()
    oblique_ct = turned(ct, direction, (1.1, 2.6, 1.7), -1000.0)
    oblique_labels = turned(labels, direction, (1.1, 2.6, 1.7), 0.0)
    found = segment_ct(oblique_ct, fitted_segmenter)
    assert found.labels.grid == oblique_ct.grid
    assert dice(found.labels.voxels > 0, oblique_labels.voxels > 0) > 0.85
    places, wanted = (centroids_of_labels(v.voxels, v.grid) for v in (found.labels, oblique_labels))
    off = np.mean([places[label] - wanted[label] for label in set(places) & set(wanted)], axis=0)
    assert np.abs(off).max() < 0.6  # less than a third of the network's voxels


@pytest.mark.parametrize("name", ["straight", "a quarter"])
def test_the_networks_grid_holds_the_cts_values_where_they_lie(a_ct: Volume, name: str) -> None:
    """The bright blob's middle at 2 mm; CTs of all directions, and finer ones, of which voxels are averaged."""
    ct = a_ct
    if name == "a quarter":
        grid = Grid(
            tuple(2 * n for n in a_ct.grid.size),  # type: ignore[arg-type]
            tuple(mm / 2 for mm in a_ct.grid.spacing_mm),  # type: ignore[arg-type]
            a_ct.grid.origin_mm,
            a_ct.grid.direction,
        )
        ct = Volume(np.rint(blob_on(grid, BLOB_MM, (6.0, 4.0, 3.0)) * 2000 - 1000).astype(np.int16), grid)
    part = bone_part(ct)
    assert part is not None
    assert part.grid.spacing_mm == (SPACING_MM,) * 3
    assert part.grid.is_upright
    weight = np.clip(part.voxels + 500.0, 0, None)
    k, j, i = (float((weight * axis).sum() / weight.sum()) for axis in np.indices(weight.shape))
    middle = (part.grid.index_to_world @ (i, j, k, 1.0))[:3]
    np.testing.assert_allclose(middle, BLOB_MM, atol=0.15)


def test_labels_land_without_a_shift_of_half_a_voxel(a_grid: Grid) -> None:
    """An ellipsoid of probability at 2 mm on finer, oblique, left-handed and permuted CT grids."""
    own = Grid((30, 34, 38), (2.0, 2.0, 2.0), (BLOB_MM[0] - 27.3, BLOB_MM[1] - 33.9, BLOB_MM[2] - 36.5))
    probability = blob_on(own, BLOB_MM, (9.0, 7.0, 8.0)).astype(np.float16)
    labels = np.where(probability > 0.5, 22, 0).astype(np.uint8)
    found = on_grid_of_ct(probability, labels, own, a_grid)
    expected = Volume((blob_on(a_grid, BLOB_MM, (9.0, 7.0, 8.0)) > 0.5).astype(np.uint8) * 22, a_grid)
    places = [centroids_of_labels(volume.voxels, a_grid)[22] for volume in (found, expected)]
    np.testing.assert_allclose(places[0], places[1], atol=0.15)
    assert dice(found.voxels > 0, expected.voxels > 0) > 0.96


def test_bone_without_a_number_stays_without() -> None:
    own = Grid((20, 20, 40), (2.0, 2.0, 2.0))
    probability, labels = np.zeros(own.shape, np.float16), np.zeros(own.shape, np.uint8)
    probability[5:12, 5:15, 5:15], labels[5:12, 5:15, 5:15] = 1, 20
    probability[13:16, 5:15, 5:15] = 1  # an island that is no vertebra's, 2 mm away
    found = on_grid_of_ct(probability, labels, own, Grid((40, 40, 80), (1.0, 1.0, 1.0), (-0.5,) * 3))
    heights = np.flatnonzero(found.voxels.any(axis=(1, 2)))
    assert (heights.min(), heights.max()) == (10, 23)  # from 9.5 to 22.5 mm: half way to the background is at 9 and 23
    assert set(np.unique(found.voxels)) == {0, 20}


def test_a_ct_without_bone_or_vertebra_is_empty(fitted_segmenter: CTSegmenter) -> None:
    ct, _ = a_labelled_ct()
    soft = Volume(np.minimum(ct.voxels, 100).astype(np.int16), ct.grid)
    found = segment_ct(soft, fitted_segmenter)
    assert found.is_empty
    assert not found.labels.voxels.any()
    assert found.labels.grid == ct.grid


def test_a_vertebra_at_the_end_of_the_ct_is_cut(fitted_segmenter: CTSegmenter) -> None:
    ct, _ = a_labelled_ct()
    end = int((Z_OF_L1_MM + 4 - ct.grid.origin_mm[2]) / ct.grid.spacing_mm[2])
    part = Volume(ct.voxels[:end], ct.grid.part((0, 0, 0), (*ct.grid.size[:2], end)))
    found = segment_ct(part, fitted_segmenter)
    assert not found.vertebrae[0].whole
    assert all(vertebra.whole for vertebra in found.vertebrae[1:])
