"""From a CT lying anywhere in space through its radiographs into the synthetic volume: does a marker keep its place?

The network is replaced by plain back-projection of both views, so that only the geometry is under test.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from TomoRayLib.anatomy.vertebra_decoding import decode_vertebrae
from TomoRayLib.anatomy.vertebra_field import vertebra_field
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm, orthogonal_pair, parallel_pair, upright_stand
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.geolift import Prediction, lift
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.synthesis.acquisition import oriented, vertebrae_center_mm
from TomoRayLib.synthesis.model_run import (
    LINEAR,
    SyntheticCT,
    choose_device,
    synthesize,
)
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.trained_range import geometry_notes
from TomoRayLib.weights import find_model

OBLIQUE = Rotation.from_euler("xyz", (14, -9, 21), degrees=True).as_matrix() @ np.diag([-1.0, 1.0, 1.0])


class BackProjection(nn.Module):
    """Bone if both views are bright: the intersection of two rays."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(0.3))

    def forward(
        self, radiographs: Tensor, cube_to_pixel: Tensor, levels: tuple[int, ...] = (0,)
    ) -> dict[int, Prediction]:
        ap, lateral = (lift(radiographs[:, view, :1], cube_to_pixel[:, view], 192, 1) for view in (0, 1))
        both = ((ap + 1) * (lateral + 1)).clamp_min(0)  # the floor of a normalised radiograph is -1
        above = (both / both.amax() - self.threshold).clamp_min(0)
        return {0: Prediction(above, torch.where(above > 0, 20.0, -20.0))}


def a_ct_with_a_marker() -> tuple[Volume, np.ndarray]:
    """Air with one dense block of 3 x 4 x 2 voxels in an oblique, left-handed, anisotropic grid; and its LPS place."""
    size, spacing = (90, 80, 50), np.array([2.0, 2.5, 3.5])
    direction = tuple(OBLIQUE.ravel().tolist())
    grid = Grid(size, tuple(spacing), (110.0, -60.0, -120.0), direction)  # type: ignore[arg-type]
    voxels = np.full(grid.shape, -1000.0, np.float32)
    voxels[30:32, 20:24, 60:63] = 2500.0
    middle = grid.index_to_world @ (61.0, 21.5, 30.5, 1.0)
    return Volume(voxels, grid), middle[:3]


@pytest.mark.parametrize("preset", [c_arm, upright_stand, parallel_pair])
def test_a_marker_keeps_its_place_in_the_patient(preset: object) -> None:
    ct, marker_mm = a_ct_with_a_marker()
    isocenter = tuple(np.add(marker_mm, (31.0, -24.0, 17.0)).tolist())
    views: Biplanar = preset(isocenter)  # type: ignore[operator]
    ap, lateral = render(ct, {"ap": views.ap, "lat": views.lateral}).values()
    entry = find_model()
    synthetic = synthesize(ap, lateral, views, BackProjection(), entry, torch.float32)  # type: ignore[arg-type]
    found = (np.argwhere(synthetic.mask) * synthetic.grey[synthetic.mask][:, None]).sum(axis=0)[
        ::-1
    ] / synthetic.grey.sum()
    place = synthetic.grid.index_to_world @ (*found, 1.0)
    # half a voxel of the CT is 1 to 1.75 mm, half a voxel of the cube 0.67 mm
    np.testing.assert_allclose(place[:3], marker_mm, atol=0.6)


def test_a_smaller_field_of_view_keeps_the_place_too() -> None:
    grid = Grid.cube((5.0, 6.0, 7.0), 256.0, 192)
    grey = np.zeros(grid.shape, np.float32)
    grey[100:103, 80:83, 120:123] = 1.0
    small = SyntheticCT(grey, grey, grid, "m").on_field_of_view(192.0)
    assert small.grid.extent_mm == pytest.approx((192.0,) * 3)
    place = small.grid.index_to_world @ (*np.argwhere(small.grey > 0.5)[:, ::-1].mean(axis=0), 1.0)
    np.testing.assert_allclose(place, grid.index_to_world @ (121.0, 81.0, 101.0, 1.0), atol=0.3)


def test_numbered_vertebrae_follow_to_a_smaller_field_of_view() -> None:
    """Blocks 29 mm high one below the other: the smaller cube leaves the lowest out and cuts the highest."""
    grid = Grid.cube((5.0, 6.0, 7.0), 256.0, 96)
    labels = np.zeros(grid.shape, np.uint8)
    for number, first in ((21, 9), (20, 24), (19, 39), (18, 54), (17, 69)):  # from below, 11 slices each
        labels[first : first + 11, 40:50, 44:58] = number
    probability = (labels > 0).astype(np.float32)
    spine = decode_vertebrae(labels > 0, vertebra_field(labels, grid)[0], grid)
    whole = SyntheticCT(probability, probability, grid, "m", spine)
    np.testing.assert_array_equal(whole.vertebrae().voxels, labels)
    small = whole.on_field_of_view(140.0)
    assert small.spine is not None
    assert [(vertebra.name, vertebra.whole) for vertebra in small.spine.vertebrae] == [
        ("T10", False),
        ("T11", True),
        ("T12", True),
        ("L1", True),
    ]
    numbers = small.vertebrae().voxels
    assert sorted(np.unique(numbers)) == [0, 17, 18, 19, 20]
    voxel_mm3 = float(np.prod(small.grid.spacing_mm))
    for vertebra in small.spine.vertebrae:
        assert vertebra.volume_mm3 == pytest.approx(np.count_nonzero(numbers == vertebra.number) * voxel_mm3)
    assert small.spine.vertebrae[1].volume_mm3 == pytest.approx(spine.vertebrae[1].volume_mm3, rel=0.05)


def test_hu_come_back_through_the_linear_table() -> None:
    grid = Grid.cube((0.0, 0.0, 0.0), 256.0, 2)
    hu = np.array([-250.0, 0.0, 200.0, 700.0, 1050.0, 400.0, -100.0, 33.0], np.float32).reshape(2, 2, 2)
    grey = ((hu + 250.0) / 1300.0).astype(np.float32)
    np.testing.assert_allclose(SyntheticCT(grey, grey, grid, "m").hu().voxels, hu, atol=0.51)
    assert LINEAR.levels == 100


def test_a_narrow_detector_reads_the_same_with_any_gain_and_offset() -> None:
    """Rays that miss the detector read as its floor, whatever number the detector gives that."""
    views = orthogonal_pair(c_arm().ap.beam, dataclasses.replace(c_arm().ap.detector, rows=200, columns=190))
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.random((200, 190)).astype(np.float32)) for _ in range(2)]
    grid = Grid.cube((0.0, 0.0, 0.0), 256.0, 192)
    pair = [views.ap, views.lateral]
    first, _ = network_input(images, pair, grid)
    second, _ = network_input([image * 4000.0 + 8000.0 for image in images], pair, grid)
    torch.testing.assert_close(first, second, atol=5e-3, rtol=0)


def test_mirroring_takes_an_off_centre_detector_along() -> None:
    view = dataclasses.replace(c_arm().ap, detector=dataclasses.replace(c_arm().ap.detector, offset_mm=(3.0, 8.0)))
    _, mirrored = oriented(np.zeros((320, 320), np.float32), view, True, False)
    assert mirrored.detector.offset_mm == (3.0, -8.0)


def test_the_middle_of_the_vertebrae_is_found_in_a_left_handed_oblique_mask() -> None:
    ct, marker_mm = a_ct_with_a_marker()
    labels = np.where(ct.voxels > 0, 20, 0).astype(np.int16)
    middle = vertebrae_center_mm(Volume(labels, ct.grid))
    np.testing.assert_allclose(middle, marker_mm, atol=1e-6)


def test_a_geometry_outside_the_training_range_is_named() -> None:
    entry = find_model()
    assert geometry_notes(c_arm(), entry) == []
    pair = c_arm()
    near = dataclasses.replace(pair.ap.beam, sad_mm=500.0)
    small = dataclasses.replace(pair.ap.detector, rows=256, columns=256, pixel_spacing_mm=(1.0, 1.0))
    odd = Biplanar(
        dataclasses.replace(pair.ap, beam=near),
        dataclasses.replace(pair.lateral, gantry_angle_deg=45.0, detector=small),
    )
    notes = " ".join(geometry_notes(odd, entry))
    assert "AP: SAD 500 mm" in notes
    assert "lateral: 45 degrees" in notes
    assert "lateral: the detector sees" in notes


def test_an_image_that_lies_wholly_beside_the_synthetic_ct_is_refused() -> None:
    views = c_arm()
    away = dataclasses.replace(
        views.lateral, detector=dataclasses.replace(views.lateral.detector, offset_mm=(-3000.0, 0.0))
    )
    with pytest.raises(InputError, match=r"lateral radiograph.*wholly beside"):
        geometry_notes(dataclasses.replace(views, lateral=away), find_model())


@pytest.mark.parametrize("device", ["tpu", "cpu:1", "cuda:x", "cuda:99", "CUDA"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(InputError, match="device"):
        choose_device(device)
