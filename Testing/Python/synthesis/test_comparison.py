"""A synthetic CT whose vertebrae are matched with those of a CT."""

from __future__ import annotations

import numpy as np

from support.labelled_cts import a_labelled_ct
from TomoRayLib.anatomy.grey_levels import make_target
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import cropped, labels_on_grid, resample
from TomoRayLib.segmentation.agreement import labels_at_ends
from TomoRayLib.synthesis.comparison import matched_vertebrae
from TomoRayLib.synthesis.model_run import LINEAR, SyntheticCT
from TomoRayLib.synthesis.truth import ground_truth


def test_a_vertebra_that_the_ct_cuts_within_the_field_of_view_is_not_whole() -> None:
    ct, labels = (cropped(one, (slice(17, 70), slice(0, 50), slice(0, 60))) for one in a_labelled_ct())
    cube = Grid.cube((31.0, -50.0, 170.0), 192.0, 64)
    truth = ground_truth(ct, labels, cube, LINEAR)
    found = truth.vertebrae().voxels
    nothing = np.zeros(cube.shape, np.float32)
    synthetic = SyntheticCT(nothing, nothing, cube, "perfect", DecodedSpine(found, (), 1.0))
    matched = matched_vertebrae(synthetic, truth, labels_at_ends(labels))
    assert matched is not None
    assert {row.label: row.whole for row in matched.rows} == {20: True, 21: True, 22: True, 23: False}
    assert (matched.counts.whole, matched.counts.named) == (3, 3)


def test_the_truth_is_the_target_of_the_whole_ct_on_the_grid() -> None:
    ct, labels = a_labelled_ct()
    grid = Grid((50, 61, 70), (2.1, 1.7, 2.6), (-20.0, -110.0, 80.0))
    truth = ground_truth(ct, labels, grid, LINEAR)
    expected = make_target(resample(ct, grid).voxels, labels_on_grid(labels, grid).voxels, LINEAR)
    assert expected.any()
    np.testing.assert_array_equal(truth.grey, expected)
    np.testing.assert_array_equal(truth.hu().voxels, np.round(LINEAR.dequantise(expected)).astype(np.int16))
    far = ground_truth(ct, labels, Grid.cube((9000.0, 0.0, 0.0), 192.0, 16), LINEAR)
    assert far.is_empty
    assert not far.grey.any()
    assert (far.hu().voxels == -250).all()
