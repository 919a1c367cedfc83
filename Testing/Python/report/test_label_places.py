"""Where vertebrae lie in a label map: as a search for each label alone finds them."""

from __future__ import annotations

import numpy as np

from TomoRayLib.report.label_places import counts_along_axes, vertebra_places


def test_places_are_those_of_each_label_alone_from_cranial_to_caudal() -> None:
    labels = np.zeros((30, 12, 14), np.int16)
    for label, low in ((20, 0), (28, 9), (19, 15), (26, 24)):
        labels[low : low + 5, 3:9, 4:10] = label
    labels[16, 5, 6] = 255
    places = vertebra_places(labels)
    assert list(places) == [19, 28, 20]  # the sacrum and a spine of one label are no vertebra
    for label, place in places.items():
        np.testing.assert_allclose(place.center_index, np.argwhere(labels == label).mean(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(place.counts_z, np.count_nonzero(labels == label, axis=(1, 2)))
    assert [place.is_whole for place in places.values()] == [True, True, False]


def test_an_empty_map_has_no_places() -> None:
    assert vertebra_places(np.zeros((3, 4, 5), np.uint8)) == {}
    assert counts_along_axes(np.zeros((3, 4, 5), bool)) is None


def test_counts_along_axes_are_those_of_all_voxels() -> None:
    mask = np.zeros((9, 8, 7), bool)
    mask[2:5, 1:7, 3], mask[4, 2, 5] = True, True
    where = np.argwhere(mask)
    for axis, counts in enumerate(counts_along_axes(mask) or ()):
        np.testing.assert_array_equal(counts, np.bincount(where[:, axis], minlength=mask.shape[axis]))
