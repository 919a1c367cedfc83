"""The nearest vertebra of each voxel on a lopsided grid."""

from __future__ import annotations

import numpy as np

from TomoRayLib.metrics.vertebra import nearest_vertebra, vertebra_boxes

SPACING_MM = (0.5, 1.0, 2.0)  # (x, y, z)


def test_each_voxel_goes_to_the_nearest_centre_within_the_limit() -> None:
    labels = np.zeros((12, 16, 30), dtype=np.int16)
    labels[3:6, 5:9, 8:14] = 20
    labels[8:10, 6:11, 17:22] = 21
    labels[0, 0, 0] = 26  # sacrum
    nearest = nearest_vertebra(labels, SPACING_MM, limit_mm=3.1)
    found = np.zeros(labels.shape, dtype=np.uint8)
    found[nearest.box] = nearest.labels
    steps = np.array(SPACING_MM[::-1])
    every = np.argwhere(labels >= 0) * steps
    distances = [
        np.linalg.norm(every[:, None] - np.argwhere(labels == label) * steps, axis=2).min(axis=1).reshape(labels.shape)
        for label in (20, 21)
    ]
    expected = np.where(distances[0] < distances[1], 20, 21) * (np.minimum(*distances) <= 3.1)
    ties = distances[0] == distances[1]
    np.testing.assert_array_equal(found[~ties], expected[~ties])


def test_boxes_lie_around_vertebrae_and_leave_out_the_sacrum() -> None:
    labels = np.zeros((12, 16, 30), dtype=np.uint8)
    labels[3:6, 5:9, 8:14], labels[8:10, 6:11, 17:22], labels[11, 15, 29] = 28, 20, 26
    assert list(vertebra_boxes(labels).items()) == [
        (28, (slice(3, 6), slice(5, 9), slice(8, 14))),
        (20, (slice(8, 10), slice(6, 11), slice(17, 22))),
    ]
    assert vertebra_boxes(np.zeros((3, 4, 5), dtype=np.uint8)) == {}
