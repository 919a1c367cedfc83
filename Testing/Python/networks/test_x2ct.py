"""X2CT-GAN's generator: sizes to the printed digit, which voxel each pixel reaches, and errors for bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from support.counting import millions, multiplications
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.networks.view_axes import VIEWS, ViewAxes, spread_along_depth, to_patient_axes, to_view_axes, upright
from TomoRayLib.networks.x2ct import InstanceNorm, X2CTConfig, X2CTGenerator, radiographs_for_x2ct
from TomoRayLib.synthesis.rendering import render

SMALL = X2CTConfig(size=64, dense_layers=(1, 1, 1, 1, 1), growth=4, volume_channels=(2, 2, 2, 2, 4, 4))

TINY = X2CTConfig(  # three levels instead of five: quick enough to be trained
    size=32,
    dense_layers=(1, 1, 1),
    growth=4,
    volume_channels=(4, 4, 8, 8),
    view_convolutions=(1, 1, 1),
    fusion_convolutions=(1, 1, 1),
)


@pytest.mark.parametrize(
    ("size", "all_millions", "view_millions", "linear_millions"),
    [(128, "61.74", "29.38", "11.55"), (192, "116.61", "56.82", "38.98")],
)
def test_the_generator_has_the_parameters_of_the_published_network(
    size: int, all_millions: str, view_millions: str, linear_millions: str
) -> None:
    """Counted on the original network, to the digits that are published of it."""
    with torch.device("meta"):
        network = X2CTGenerator(X2CTConfig(size=size))
    assert f"{millions(network):.2f}" == all_millions
    assert {f"{millions(view):.2f}" for view in network.views.values()} == {view_millions}
    assert f"{millions(network.views['AP'].to_volume):.2f}" == linear_millions
    assert f"{millions(network.fusion):.2f}" == "2.97"


@pytest.mark.parametrize(
    ("size", "total", "encoders", "links", "decoders", "heads"),
    [(128, "254.8", "8.6", "35.9", "210.3", "23.0"), (192, "850.2", "19.3", "121.1", "709.9", "77.7")],
)
def test_the_generator_does_the_work_of_the_published_network(
    size: int, total: str, encoders: str, links: str, decoders: str, heads: str
) -> None:
    """GMAC; connection A, the linear layer, counts as a link."""
    with torch.device("meta"):
        network = X2CTGenerator(X2CTConfig(size=size))
        work = multiplications(network, torch.zeros(1, 2, size, size), auxiliary=True)

    def part(*words: str) -> float:
        return sum(gmac for name, gmac in work.items() if any(word in name for word in words))

    assert f"{sum(work.values()):.1f}" == total
    assert f"{part('links', 'to_volume'):.1f}" == links
    assert f"{part('decoder', 'fusion'):.1f}" == decoders
    assert f"{sum(work.values()) - part('links', 'to_volume', 'decoder', 'fusion'):.1f}" == encoders
    assert f"{part('decoder.head'):.1f}" == heads


def test_without_the_auxiliary_volumes_a_fifth_of_the_work_is_left_out() -> None:
    with torch.device("meta"):
        network = X2CTGenerator()
        work = multiplications(network, torch.zeros(1, 2, 192, 192))
    assert 0.78 * 850.2 < sum(work.values()) < 0.81 * 850.2


@pytest.mark.parametrize("view", VIEWS)
def test_a_volume_comes_back_from_each_views_axes(view: ViewAxes) -> None:
    volume = torch.rand(2, 1, 3, 5, 7)  # z, y, x
    depth = {ViewAxes.AP: 5, ViewAxes.LATERAL: 7}[view]
    in_view = to_view_axes(volume, view)
    assert tuple(in_view.shape) == (2, 1, depth, 3, 35 // depth)
    torch.testing.assert_close(to_patient_axes(in_view, view), volume)


def test_a_spread_pixel_is_a_line_of_voxels_behind_it() -> None:
    """A pixel in the top row, column 5 (AP) or 1 (lateral), where x, y and z have 7, 5 and 3 voxels."""
    ap, lateral = torch.zeros(1, 1, 3, 7), torch.zeros(1, 1, 3, 5)
    ap[..., 0, 5] = 1  # top row: the most superior voxels
    lateral[..., 0, 1] = 1
    behind_ap = to_patient_axes(spread_along_depth(upright(ap), 5), ViewAxes.AP)[0, 0]
    behind_lateral = to_patient_axes(spread_along_depth(upright(lateral), 7), ViewAxes.LATERAL)[0, 0]
    assert behind_ap.nonzero().tolist() == [[2, y, 5] for y in range(5)]
    assert behind_lateral.nonzero().tolist() == [[2, 1, x] for x in range(7)]


def passing_through(network: X2CTGenerator) -> X2CTGenerator:
    """Every kernel the mean of its inputs at its middle tap: what goes in comes out at its own place."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d)):
            nn.init.zeros_(module.weight)
            inputs = module.weight.shape[0 if isinstance(module, nn.ConvTranspose3d) else 1]
            middle = tuple(edge // 2 for edge in module.kernel_size)
            with torch.no_grad():
                module.weight[(slice(None), slice(None), *middle)] = 1.0 / inputs
    return network


def test_what_both_radiographs_show_lands_at_its_place() -> None:
    """A point 11 rows from the top, in column 45 of AP and 23 of lateral: the fused volume is brightest there."""
    network = passing_through(X2CTGenerator(SMALL)).eval()
    radiographs = torch.zeros(1, 2, 64, 64)
    radiographs[0, 0, 11, 45] = radiographs[0, 1, 11, 23] = 1.0
    with torch.inference_mode():
        volumes = network(radiographs, auxiliary=True)
    for volume in volumes:
        assert divmod(int(volume[0, 0].argmax()), 64 * 64) == (64 - 1 - 11, 23 * 64 + 45)


@pytest.mark.parametrize(("index", "view"), list(enumerate(VIEWS)))
def test_a_rod_in_one_radiograph_lands_in_its_plane_and_is_not_mirrored(index: int, view: ViewAxes) -> None:
    """From row 9 to 29 in column 13; the other radiograph shows nothing."""
    network = passing_through(X2CTGenerator(SMALL)).eval()
    radiographs = torch.zeros(1, 2, 64, 64)
    radiographs[0, index, 9:30, 13] = 1.0
    with torch.inference_mode():
        fused = network(radiographs).fused[0, 0]
    seen = to_view_axes(fused[None, None], view)[0, 0].mean(dim=0)  # (z, column)
    bright = (seen > 0.5 * seen.max()).nonzero()
    assert set(bright[:, 1].tolist()) == {13}
    assert set(bright[:, 0].tolist()) == set(range(64 - 30, 64 - 9))


def test_what_the_renderer_shows_lands_where_it_stands() -> None:
    """A bead of metal, rendered and through the real input chain. Perspective, which the network ignores, moves a bead
    this near to the isocentre (74, 30 and 22 mm) by less than a voxel of 4 mm."""
    size, grid = 64, Grid.cube((0.0, 0.0, 0.0), 256.0, 64)
    hu = np.full((64, 64, 64), -1000.0, dtype=np.float32)
    hu[49:52, 23:26, 36:39] = 3000.0  # z, y, x
    views = c_arm()
    images = [
        torch.from_numpy(image) for image in render(Volume(hu, grid), {"ap": views.ap, "lat": views.lateral}).values()
    ]
    radiographs, _ = network_input(images, [views.ap, views.lateral], grid)
    network = passing_through(X2CTGenerator(SMALL)).eval()
    with torch.inference_mode():
        fused = network(radiographs_for_x2ct(radiographs, size, 192)).fused[0, 0]
    place = np.unravel_index(int(fused.argmax()), fused.shape)
    np.testing.assert_allclose(place, (50, 24, 37), atol=2)


def test_normalisation_is_that_of_training_also_in_use() -> None:
    torch.manual_seed(0)
    network = X2CTGenerator(X2CTConfig(**{**vars(TINY), "dropout": 0.0}))
    radiographs = torch.rand(1, 2, 32, 32)
    with torch.no_grad():
        in_training = network.train()(radiographs).fused
        in_use = network.eval()(radiographs).fused
    torch.testing.assert_close(in_training, in_use)
    assert not list(network.buffers())  # no running statistics that could be read by mistake
    normed = InstanceNorm()(5 + 3 * torch.randn(2, 3, 8, 8))
    torch.testing.assert_close(normed.mean(dim=(2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    network = X2CTGenerator(TINY)
    radiographs = torch.rand(1, 2, 32, 32)
    with torch.no_grad():
        network.train()
        vector, _ = network.views["AP"].encode(radiographs[:, :1])
        assert not torch.equal(*(network.views["AP"].coarse_volume(vector) for _ in range(2)))
        network.eval()
        assert torch.equal(*(network.views["AP"].coarse_volume(vector) for _ in range(2)))


def test_weights_begin_as_narrow_noise_and_biases_at_zero() -> None:
    torch.manual_seed(0)
    state = X2CTGenerator(X2CTConfig(size=64)).state_dict()
    weights = torch.cat([value.flatten() for name, value in state.items() if name.endswith("weight")])
    assert abs(float(weights.mean())) < 1e-4
    assert float(weights.std()) == pytest.approx(0.02, rel=0.01)
    assert all(not value.any() for name, value in state.items() if name.endswith("bias"))


def test_the_fused_volume_teaches_both_views() -> None:
    torch.manual_seed(0)
    network = X2CTGenerator(TINY).train()
    radiographs = torch.rand(2, 2, 32, 32)
    (network(radiographs).fused - torch.rand(2, 1, 32, 32, 32)).square().mean().backward()
    for view in network.views.values():
        gradient = view.stem[1].weight.grad
        assert gradient is not None
        assert float(gradient.abs().max()) > 0
        assert view.decoder.head[0].weight.grad is None  # the auxiliary heads take no part
    volumes = network(radiographs, auxiliary=True)
    assert {tuple(volume.shape) for volume in volumes} == {(2, 1, 32, 32, 32)}
    assert min(float(volume.detach().min()) for volume in volumes) >= 0


def test_the_input_is_the_middle_of_the_networks_detector_between_0_and_1() -> None:
    radiographs = torch.full((1, 2, 2, 224, 224), -1.0)
    radiographs[0, 1, 0, 16, 207] = 2.5  # the top right corner of the 192 pixels that the cube spans
    seen = radiographs_for_x2ct(radiographs, 192, 192)
    assert tuple(seen.shape) == (1, 2, 192, 192)
    assert seen.nonzero().tolist() == [[0, 1, 0, 191]]
    assert float(seen.max()) == 1.0
    smaller = radiographs_for_x2ct(radiographs, 128, 192)
    assert tuple(smaller.shape) == (1, 2, 128, 128)
    assert int(smaller[0, 1].argmax()) == 127


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: X2CTConfig(size=100), "multiple of 32 voxels, at least 64; got 100"),
        (lambda: X2CTConfig(size=32), "at least 64; got 32"),
        (lambda: X2CTConfig(view_convolutions=(1, 2)), "view_convolutions must have 5 numbers"),
        (lambda: X2CTGenerator(SMALL)(torch.zeros(1, 2, 64, 32)), r"\(n, 2, 64, 64\), AP and lateral; got"),
        (lambda: X2CTGenerator(SMALL)(torch.zeros(1, 1, 64, 64)), r"got \(1, 1, 64, 64\)"),
        (lambda: radiographs_for_x2ct(torch.zeros(1, 2, 2, 100, 100), 64, 192), "at least 192 pixels"),
    ],
)
def test_a_wrong_size_gets_a_sentence(make, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.slow
def test_some_steps_learn_one_volume() -> None:
    """Adam, at the method's rate, on the mean squared error of a block that both radiographs show: the error falls well
    below that of an empty volume, where a network ends that learns nothing but the background."""
    torch.manual_seed(0)
    network = X2CTGenerator(TINY).train()
    volume = torch.zeros(1, 1, 32, 32, 32)
    volume[:, :, 10:20, 5:15, 18:25] = 1.0
    radiographs = torch.stack([volume[0, 0].mean(dim=1), volume[0, 0].mean(dim=2)])[None].flip(-2)  # over y, over x
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.99))
    for _ in range(40):
        loss = (network(radiographs).fused - volume).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.5 * float(volume.square().mean())
