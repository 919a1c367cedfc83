"""The picture of labels: which side is which, colours, names, and a spine that is not straight."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from support.labelled_cts import a_labelled_ct
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.report.labels_picture import COLORS, GAP_PX, HEAD_PX, PIXELS_PER_MM, labels_picture


def drawn(ct: Volume, labels: Volume) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(labels_picture(ct, labels, "a CT", "LABELS")))).astype(int)


def is_color(pixels: np.ndarray, label: int) -> np.ndarray:
    """Whether each pixel has the hue of a label's colour, over any grey."""
    color = np.array(COLORS[label % len(COLORS)], float)
    wanted = color - color.mean()
    found = pixels - pixels.mean(axis=-1, keepdims=True)
    size = np.linalg.norm(found, axis=-1)
    return (size > 20) & (found @ wanted / np.maximum(size * np.linalg.norm(wanted), 1e-6) > 0.98)


def test_vertebrae_are_coloured_from_cranial_to_caudal_and_the_knob_is_on_the_patients_left() -> None:
    pixels = drawn(*a_labelled_ct())
    rows = [np.nonzero(is_color(pixels, label))[0].mean() for label in (20, 21, 22, 23)]
    np.testing.assert_allclose(np.diff(rows), 30.0 * PIXELS_PER_MM, atol=6)
    right_half = pixels[:, pixels.shape[1] // 2 :]  # the coronal slice, seen from the front: left is at its right
    columns = [np.nonzero(is_color(right_half, label))[1] for label in (20, 21)]
    assert columns[0].max() - columns[1].max() > 20 * PIXELS_PER_MM
    assert abs(int(columns[0].min()) - int(columns[1].min())) < 5


def test_the_slices_follow_a_bent_spine() -> None:
    """A column that leans by half its height still shows each vertebra in the sagittal slice."""
    grid = Grid((110, 60, 80), (1.5, 2.0, 2.0), (-80.0, -60.0, 0.0))
    k, j, i = np.indices(grid.shape)
    x, z = grid.origin_mm[0] + i * 1.5, k * 2.0
    labels = np.zeros(grid.shape, np.uint8)
    for number, label in enumerate((20, 21, 22, 23)):
        inside = (np.abs(z - (135 - 35 * number)) < 13) & (np.abs(x - (50 - 30 * number)) < 14) & (np.abs(j - 30) < 8)
        labels[inside] = label
    ct = Volume(np.where(labels > 0, 500, 30).astype(np.int16), grid)
    pixels = drawn(ct, Volume(labels, grid))
    sagittal = pixels[HEAD_PX:, : GAP_PX + round((32 + 60) * PIXELS_PER_MM)]
    for label in (20, 21, 22, 23):
        assert is_color(sagittal, label).sum() > 0.5 * 26 * 32 * PIXELS_PER_MM**2


def test_a_ct_without_labels_is_drawn_in_grey() -> None:
    ct, labels = a_labelled_ct()
    pixels = drawn(ct, Volume(np.zeros_like(labels.voxels), labels.grid))
    assert np.ptp(pixels[HEAD_PX + 5 : -GAP_PX, GAP_PX : GAP_PX + 100], axis=-1).max() == 0
    assert pixels[HEAD_PX:].max() > 200  # the column's bone
