"""What each view shows of bone: on the pixels that the features lie on, in the view's true place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.anatomies import a_coarse_anatomy
from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.networks.geolift import IMAGE_LEVEL, GeoLiftConfig, lift
from TomoRayLib.networks.radiograph_input import NETWORK_PIXEL_MM
from TomoRayLib.projector.projection import project
from TomoRayLib.training.data.augmentation import GeometryRanges
from TomoRayLib.training.data.samples import (
    BONE_INTEGRAL_UNIT_MM,
    BONE_THICKNESS_UNIT_MM,
    StreamConfig,
    bone_images,
    every_nth_pixel,
)
from TomoRayLib.training.data.stream import SampleStream
from TomoRayLib.training.engine.losses import LossWeights, level_losses
from TomoRayLib.training.engine.models import build_model
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.phantoms.scene import SceneSize

VIEW = View(
    ConeBeam(800.0, 800.0), Detector(224, 224, (NETWORK_PIXEL_MM, NETWORK_PIXEL_MM), (7.0, -11.0)), 20.0, 5.0, 3.0
)
KNOWN = GeometryRanges(unknown_shift_share=0.0, unknown_scale_share=0.0)
NETWORK = GeoLiftConfig((4, 4, 8, 8, 8), (4, 4, 4, 8, 8), (1, 1, 1, 1, 1), 32, image_decoder=True)


def test_its_pixels_are_those_of_the_network_that_features_lie_on() -> None:
    coarse = every_nth_pixel(VIEW, 4)
    assert coarse.shape == (56, 56)
    np.testing.assert_allclose(coarse.pixel_positions_mm(), VIEW.pixel_positions_mm()[::4, ::4], atol=1e-9)


def test_it_shows_vertebrae_alone_and_where_the_radiograph_shows_them() -> None:
    grid = Grid.cube((3.0, -8.0, 5.0), 120.0, 40)
    hu, occupancy = torch.full((40, 40, 40), 40.0), torch.zeros(40, 40, 40)
    hu[4:10, 20:30, 6:9] = 700.0  # a vertebra, off centre
    hu[30:34, 5:8, 20:35] = 900.0  # a rib
    occupancy[4:10, 20:30, 6:9] = 255.0
    view = replace(VIEW, gantry_angle_deg=90.0, tilt_deg=0.0, roll_deg=0.0)  # the projector is exact there
    integrals, thickness = bone_images(hu, occupancy, grid, view)
    bone_mm = project((occupancy > 0).float(), grid, view)[::4, ::4]
    torch.testing.assert_close(thickness, bone_mm / BONE_THICKNESS_UNIT_MM, atol=1e-5, rtol=1e-4)
    grey = (700 - BONE_WINDOW.low_hu) / BONE_WINDOW.width_hu
    assert grey == pytest.approx(950 / 1300)
    torch.testing.assert_close(integrals, grey * bone_mm / BONE_INTEGRAL_UNIT_MM, atol=1e-5, rtol=1e-4)
    assert float(thickness.max()) > 0.2


@pytest.mark.parametrize("seed", [9, 10, 11, 12])
def test_every_voxel_of_bone_lies_on_bone_in_both_views(seed: int) -> None:
    """Mirrored or not, whatever the geometry: a view that was swapped or mirrored leaves bone beside the picture's."""
    config = StreamConfig(size=48, uses=1, kept=1, seed=seed, scene=SceneSize(spacing_mm=6.0), geometry=KNOWN)
    sample = next(iter(SampleStream(a_coarse_anatomy(), config, imaging=True)))
    bone = sample["occupancy"][0] > 0.5
    for view in range(2):
        matrix = sample["cube_to_pixel"][None, view]
        seen = lift(sample["bone_images"][None, view, 1:], matrix, 48, 2**IMAGE_LEVEL)[0, 0]
        assert float((seen[bone] > 0.05).float().mean()) > 0.99
        mirrored = lift(sample["bone_images"][None, view, 1:].flip(-1), matrix, 48, 2**IMAGE_LEVEL)[0, 0]
        assert float((mirrored[bone] > 0.05).float().mean()) < 0.98


def test_samples_hold_it_if_asked_for_and_are_else_the_same() -> None:
    config = StreamConfig(size=32, uses=1, kept=1, seed=9, scene=SceneSize(spacing_mm=6.0))
    with_it, without = (next(iter(SampleStream(a_coarse_anatomy(), config, imaging=one))) for one in (True, False))
    images = with_it.pop("bone_images")
    assert images.shape == (2, 2, 56, 56)
    assert float(images.amax()) > 0.3
    assert with_it.keys() == without.keys()
    for name, value in without.items():
        torch.testing.assert_close(value, with_it[name], msg=name)


def test_the_loss_compares_them_and_needs_a_network_that_has_them() -> None:
    config = StreamConfig(size=32, uses=1, kept=1, seed=9, scene=SceneSize(spacing_mm=6.0))
    sample = next(iter(SampleStream(a_coarse_anatomy(), config, imaging=True)))
    batch = {name: value[None] for name, value in sample.items()}
    weights = LossWeights(image=0.5)
    model = build_model(NETWORK).train()
    predictions = model(batch["radiographs"], batch["cube_to_pixel"], levels=(2,))
    total, terms = level_losses(predictions, batch, weights, (2,))
    without, _ = level_losses(predictions, batch, replace(weights, image=0.0), (2,))
    assert predictions[2].bone_images is not None
    expected = float((predictions[2].bone_images - batch["bone_images"]).abs().mean().detach())
    assert terms["image"] == pytest.approx(expected)
    assert float((total - without).detach()) == pytest.approx(0.5 * expected, rel=1e-4)
    plain = build_model(replace(NETWORK, image_decoder=False)).train()
    predictions = plain(batch["radiographs"], batch["cube_to_pixel"], levels=(2,))
    with pytest.raises(ValueError, match="image decoder"):
        level_losses(predictions, batch, weights, (2,))
    with pytest.raises(ValueError, match="image_decoder = true"):
        TrainingConfig(loss=weights)
