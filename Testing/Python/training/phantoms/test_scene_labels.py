"""The VerSe numbers of a spine in the phantoms made of it."""

from __future__ import annotations

import numpy as np

from support.anatomies import a_body
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.scene import SceneSize, compose_scene
from TomoRayLib.training.phantoms.spines import spine_from_labels


def test_a_spines_labels_reach_the_phantom_and_nothing_else() -> None:
    """Labels of a phantom are where its bone is, in the order of the spine, whichever way it is deformed."""
    labels = np.zeros((120, 30, 30), np.uint8)
    for index, label in enumerate((19, 28, 20, 21)):
        labels[94 - 28 * index : 116 - 28 * index, 8:22, 6:20] = label
    grid = Grid((30, 30, 120), (1.0, 1.0, 1.0), (3.0, -7.0, 40.0))
    spine = spine_from_labels("four", labels, grid)
    size = SceneSize(64.0, 64.0, 64.0, 140.0, 2.0)
    for seed in range(3):
        scene = compose_scene(spine, a_body(), np.random.default_rng(seed), size)
        assert scene.labels is not None
        found = scene.labels.numpy()
        assert (scene.occupancy.numpy()[found > 0] > 0).all()
        assert (found[scene.occupancy.numpy() > 200] > 0).mean() > 0.95
        heights = [np.nonzero(found == label)[0].mean() for label in (19, 28, 20, 21) if (found == label).any()]
        assert len(heights) >= 2
        assert heights == sorted(heights, reverse=True)
