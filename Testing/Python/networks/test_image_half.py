"""The image half's own parts: they begin with nothing, keep places, and find the other view's row by the geometry."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet
from TomoRayLib.networks.image_half import ImageDecoder, RowExchange, heights_of_rows, rows_of_heights
from TomoRayLib.networks.radiograph_input import NETWORK_PIXEL_MM, cube_to_pixel

PLAIN = GeoLiftConfig((4, 4, 8, 8, 8), (4, 4, 4, 8, 8), (1, 1, 1, 1, 1), 32)
WITH_BOTH = dataclasses.replace(PLAIN, image_decoder=True, row_exchange=True)
HIGH, LOW = (Detector(224, 224, (NETWORK_PIXEL_MM, NETWORK_PIXEL_MM), (down_mm, -5.0)) for down_mm in (-24.0, 9.0))
LOPSIDED = (View(ConeBeam(700.0, 700.0), HIGH, 0.0, 6.0, 3.0), View(ParallelBeam(), LOW, 84.0, -4.0, 2.0))
CUBE = Grid.cube((4.0, -6.0, 11.0), 200.0, 32)


def matrices() -> torch.Tensor:
    """(1, 2, 4, 4) of a fan from below and a slanted parallel beam, both on a detector that is off centre."""
    return torch.from_numpy(np.stack([cube_to_pixel(view, CUBE) for view in LOPSIDED])).float()[None]


def test_a_network_begins_as_the_one_without_them() -> None:
    torch.manual_seed(3)
    plain, extended = GeoLiftUNet(PLAIN).eval(), GeoLiftUNet(WITH_BOTH).eval()
    missing, unexpected = extended.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert {name.partition(".")[0] for name in missing} == {"image_decoder", "bone_imager", "row_exchange"}
    radiographs = torch.randn(1, 2, 2, 224, 224)
    for level in (0, 2):
        one, other = (model(radiographs, matrices(), levels=(level,))[level] for model in (plain, extended))
        torch.testing.assert_close(one.masked, other.masked)
        assert other.bone_images is None  # for losses alone


def test_in_training_it_gives_bone_images_of_both_views_and_learns_all_its_parts() -> None:
    torch.manual_seed(4)
    model = GeoLiftUNet(WITH_BOTH).train()
    for _ in range(2):  # what is added has a gradient at once, what stands before it after the first step
        prediction = model(torch.randn(2, 2, 2, 224, 224), matrices().expand(2, -1, -1, -1), levels=(2,))[2]
        assert prediction.bone_images is not None
        assert prediction.bone_images.shape == (2, 2, 2, 56, 56)
        model.zero_grad()
        (prediction.masked.square().mean() + prediction.bone_images.square().mean()).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 10.0 * parameter.grad
    parts = [*model.image_decoder.parameters(), *model.row_exchange.parameters(), *model.bone_imager.parameters()]
    assert all(parameter.grad is not None and bool(parameter.grad.abs().sum() > 0) for parameter in parts)


@pytest.mark.parametrize("view", [0, 1])
def test_rows_and_heights_are_those_of_the_cubes_axis_in_the_true_projection(view: int) -> None:
    axis = matrices()[:, view, 1::2, 2:]
    heights = torch.tensor([-1.0, -0.3, 0.8])
    rows = rows_of_heights(axis, heights)[0]
    for height, row in zip(heights, rows, strict=True):
        point = (CUBE.center_mm[0], CUBE.center_mm[1], CUBE.center_mm[2] + float(height) * 100.0)
        _, y, w = LOPSIDED[view].projection_matrix() @ (*point, 1.0)
        assert float(row) == pytest.approx(y / w, abs=1e-3)
    torch.testing.assert_close(heights_of_rows(axis, rows)[0], heights, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("seen", "told"), [(0, 1), (1, 0)])
def test_a_view_hears_of_what_the_other_shows_at_the_same_height(seen: int, told: int) -> None:
    """Without the convolutions along the heights, what one view shows on a row changes one row of the other alone."""
    torch.manual_seed(5)
    stride, height = 8, torch.tensor([0.45])
    exchange = RowExchange(3, stride)
    exchange.along = torch.nn.Identity()
    for layer in exchange.added:
        torch.nn.init.normal_(layer.weight)
    features = torch.zeros(2, 3, 28, 28)
    at = [float(rows_of_heights(matrices()[:, view, 1::2, 2:], height)) / stride for view in (0, 1)]
    assert abs(at[0] - at[1]) > 1.0  # else a mixed-up view would pass
    shown = features.clone()
    shown[seen, :, round(at[seen])] = 1.0
    with torch.no_grad():
        change = (exchange(shown, matrices()) - exchange(features, matrices()))[told].abs().sum(dim=(0, 2))
    middle = float((change * torch.arange(28.0)).sum() / change.sum())
    assert middle == pytest.approx(at[told] + round(at[seen]) - at[seen], abs=0.5)
    assert int((change > 0.05 * change.max()).sum()) <= 4


def test_coarse_features_are_carried_to_the_pixels_that_they_lie_on() -> None:
    """A ramp of the coarsest level stays the same ramp in pixels on each finer one."""
    decoder = ImageDecoder([1, 1, 1], finest=0)
    with torch.no_grad():
        for level in decoder.levels:
            decoder.narrow[str(level)].weight.fill_(1.0)
            decoder.narrow[str(level)].bias.zero_()
            decoder.body[str(level)] = torch.nn.Identity()
            decoder.added[str(level)].weight.fill_(1.0)
    ramp = [torch.zeros(1, 1, 16 >> k, 24 >> k) for k in range(3)]
    ramp[2] = 4.0 * torch.arange(6.0).expand(1, 1, 4, 6) + 40.0 * torch.arange(4.0)[:, None]
    decoded, finest = decoder(ramp)
    rows, columns = torch.meshgrid(torch.arange(13.0), torch.arange(21.0), indexing="ij")
    torch.testing.assert_close(finest[0, 0, :13, :21], columns + 10.0 * rows)
    torch.testing.assert_close(decoded[0], finest)
    torch.testing.assert_close(decoded[1][0, 0, :7, :11], (columns + 10.0 * rows)[::2, ::2])
    assert decoded[2] is ramp[2]
