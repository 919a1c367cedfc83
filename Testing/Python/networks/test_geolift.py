"""GeoLift-UNet: lifting along true rays, shapes, sizes, precision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm, orthogonal_pair
from TomoRayLib.geometry.views import View
from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet, lift, parallel_matrices
from TomoRayLib.networks.radiograph_input import cube_to_pixel, network_view

SMALL = GeoLiftConfig(
    image_widths=(4, 4, 8, 8, 8), volume_widths=(4, 4, 4, 8, 8), convolutions=(1, 1, 1, 1, 1), output_size=32
)


def matrices_of(views: list[View], grid: Grid) -> torch.Tensor:
    return torch.from_numpy(np.stack([cube_to_pixel(view, grid) for view in views])).float()[None]


@pytest.mark.parametrize("beam", [ConeBeam(700.0, 700.0), SlotScan(570.0, 570.0), ParallelBeam()])
@pytest.mark.parametrize("stride", [1, 4])
def test_lifting_gives_each_voxel_the_feature_its_ray_hits(stride: int, beam: Beam) -> None:
    """Features that hold their own column and row: every voxel must read where it projects to, perspective and all."""
    view = View(beam, Detector(224, 224, (4 / 3, 4 / 3)), 30.0, 10.0, 5.0)
    grid = Grid.cube((0.0, 0.0, 0.0), 200.0, 24)
    rows, columns = torch.meshgrid(torch.arange(0.0, 224.0, stride), torch.arange(0.0, 224.0, stride), indexing="ij")
    lifted = lift(torch.stack([columns, rows])[None], matrices_of([view], grid)[:, 0], 24, stride)[0]
    for i, j, k in [(0, 0, 0), (23, 5, 11), (7, 20, 2), (12, 11, 23)]:
        place = view.project_points((grid.index_to_world @ (i, j, k, 1))[None, :3])[0]
        np.testing.assert_allclose(lifted[:, k, j, i], place, atol=2e-3)


def test_lifting_is_zero_beside_the_detector_and_differentiable() -> None:
    view = View(ConeBeam(700.0, 700.0), Detector(16, 16, (1.0, 1.0)))
    matrix = matrices_of([view], Grid.cube((0.0, 0.0, 0.0), 200.0, 8))[:, 0]
    features = torch.ones(1, 1, 16, 16, requires_grad=True)
    lifted = lift(features, matrix, 8, 1)
    assert float(lifted.detach()[0, 0, 0, 0, 0]) == 0.0
    lifted.sum().backward()
    assert features.grad is not None
    torch.testing.assert_close(lift(features.detach(), matrix, 8, 1), lifted.detach())


def test_the_default_network_has_the_size_of_its_specification() -> None:
    """3.17 M in the specification's convolutions, plus the position and the two context blocks at 12^3."""
    parameters = sum(parameter.numel() for parameter in GeoLiftUNet().parameters())
    assert 3.17e6 < parameters < 3.8e6
    assert parameters * 2 < 16e6  # bytes in half precision


def test_a_network_of_other_widths_can_be_built() -> None:
    wider = GeoLiftConfig(image_widths=(24, 48, 96, 160, 256), volume_widths=(12, 32, 64, 128, 192))
    assert sum(p.numel() for p in GeoLiftUNet(wider).parameters()) > 6.1e6


def test_every_level_asked_for_is_predicted_within_its_range() -> None:
    network = GeoLiftUNet(SMALL).eval()
    pair = c_arm()
    grid = Grid.cube((0.0, 0.0, 0.0), 256.0, 32)
    matrices = matrices_of([network_view(pair.ap), network_view(pair.lateral)], grid)
    with torch.inference_mode():
        predictions = network(torch.rand(1, 2, 2, 224, 224), matrices, levels=(0, 1, 2))
    assert [predictions[level].masked.shape[-1] for level in (0, 1, 2)] == [32, 16, 8]
    assert float(predictions[0].masked.min()) >= 0
    assert float(predictions[0].masked.max()) <= 1


def test_the_two_views_are_not_interchangeable() -> None:
    torch.manual_seed(0)
    network = GeoLiftUNet(SMALL).eval()
    pair = c_arm()
    matrices = matrices_of([network_view(pair.ap), network_view(pair.lateral)], Grid.cube((0, 0, 0), 256.0, 32))
    radiographs = torch.rand(1, 2, 2, 224, 224)
    with torch.inference_mode():
        straight = network(radiographs, matrices)[0].mask_logit
        swapped = network(radiographs.flip(1), matrices)[0].mask_logit
    assert float((straight - swapped).abs().max()) > 1e-4


def test_replicated_lifting_is_that_of_a_parallel_beam_whatever_the_geometry() -> None:
    """AP and lateral differ in their columns, and rows run against z: a swap or flip of the fixed matrices shows."""
    grid = Grid.cube((0.0, 0.0, 0.0), 256.0, 32)
    parallel = orthogonal_pair(ParallelBeam(), Detector(224, 224, (4 / 3, 4 / 3)))
    straight = matrices_of([parallel.ap, parallel.lateral], grid)
    radiographs = torch.rand(1, 2, 2, 224, 224)
    torch.testing.assert_close(parallel_matrices(radiographs), straight[0])
    cone = c_arm()
    perspective = matrices_of([network_view(cone.ap), network_view(cone.lateral)], grid)
    torch.manual_seed(0)
    pinhole = GeoLiftUNet(SMALL).eval()
    replicate = GeoLiftUNet(dataclasses.replace(SMALL, lifting="replicate")).eval()
    replicate.load_state_dict(pinhole.state_dict())
    with torch.inference_mode():
        expected, found = pinhole(radiographs, straight)[0], replicate(radiographs, perspective)[0]
        other = pinhole(radiographs, perspective)[0]
    torch.testing.assert_close(found.mask_logit, expected.mask_logit)
    assert not torch.allclose(found.mask_logit, other.mask_logit)


def test_residual_heads_begin_with_the_coarser_prediction_enlarged() -> None:
    torch.manual_seed(0)
    network = GeoLiftUNet(dataclasses.replace(SMALL, residual_heads=True)).eval()
    pair = c_arm()
    matrices = matrices_of([network_view(pair.ap), network_view(pair.lateral)], Grid.cube((0, 0, 0), 256.0, 32))
    radiographs = torch.rand(1, 2, 2, 224, 224)
    with torch.inference_mode():
        predictions = network(radiographs, matrices, levels=(0, 2))
        alone = network(radiographs, matrices, levels=(0,))[0]
        enlarged = torch.nn.functional.interpolate(
            torch.nn.functional.interpolate(predictions[2].mask_logit, scale_factor=2, mode="trilinear"),
            scale_factor=2,
            mode="trilinear",
        )
        torch.testing.assert_close(predictions[0].mask_logit, enlarged)
        torch.testing.assert_close(alone.mask_logit, predictions[0].mask_logit)
        network.heads[0].bias[1] = 0.25  # type: ignore[index, operator]
        network.heads[1].bias[1] = 0.5  # type: ignore[index, operator]
        added = network(radiographs, matrices, levels=(0,))[0].mask_logit
    torch.testing.assert_close(added, enlarged + 0.75)


def test_gradients_reach_every_weight_but_the_unused_heads() -> None:
    network = GeoLiftUNet(SMALL)
    pair = c_arm()
    matrices = matrices_of([network_view(pair.ap), network_view(pair.lateral)], Grid.cube((0, 0, 0), 256.0, 32))
    predictions = network(torch.rand(1, 2, 2, 224, 224), matrices, levels=(0, 1, 2))
    sum(p.masked.sum() + p.mask_logit.sum() for p in predictions.values()).backward()
    without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize(
    "change",
    [{"image_widths": (1, 2, 3)}, {"output_size": 100}, {"convolutions": (0, 1, 1, 1, 1)}, {"lifting": "guessed"}],
)
def test_an_impossible_configuration_is_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="GeoLiftConfig"):
        dataclasses.replace(SMALL, **change)


def test_the_vertebra_field_comes_with_every_level_from_the_same_head() -> None:
    torch.manual_seed(0)
    counting = GeoLiftUNet(dataclasses.replace(SMALL, counts=True, residual_heads=True)).eval()
    pair = c_arm()
    matrices = matrices_of([network_view(pair.ap), network_view(pair.lateral)], Grid.cube((0, 0, 0), 256.0, 32))
    radiographs = torch.rand(1, 2, 2, 224, 224)
    plain = GeoLiftUNet(dataclasses.replace(SMALL, residual_heads=True)).eval()
    weights = counting.state_dict()
    plain.load_state_dict({name: value for name, value in weights.items() if not name.startswith("counter.")})
    with torch.inference_mode():
        coarse = counting(radiographs, matrices, levels=(2,))[2]
        finest = counting(radiographs, matrices, levels=(0,))[0]
        without = plain(radiographs, matrices, levels=(0,))[0]
        assert counting.counter is not None
        counting.counter.bias[3] += 0.5
        raised = counting(radiographs, matrices, levels=(0,))[0]
    assert coarse.field is not None
    assert coarse.field.shape == (1, 4, 8, 8, 8)
    torch.testing.assert_close(finest.field, coarse.field)
    torch.testing.assert_close(finest.mask_logit, without.mask_logit)
    assert without.field is None
    assert raised.field is not None
    torch.testing.assert_close(
        raised.field - coarse.field, torch.tensor([0, 0, 0, 0.5])[None, :, None, None, None].expand_as(coarse.field)
    )


def test_the_head_of_the_field_costs_a_fiftieth_of_the_parameters_at_most() -> None:
    plain, counting = (
        sum(one.numel() for one in GeoLiftUNet(GeoLiftConfig(counts=counts)).parameters()) for counts in (False, True)
    )
    assert counting - plain == 4 * (48 * 27 + 1)
