"""GroupNorm and SiLU in place, against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from TomoRayLib.networks import geolift, in_place, norm_silu
from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet, lift
from TomoRayLib.networks.norm_silu import can_run_in_place, norm_silu_

SMALL = GeoLiftConfig(
    image_widths=(4, 4, 8, 8, 8), volume_widths=(4, 4, 4, 8, 8), convolutions=(1, 1, 1, 1, 1), output_size=32
)


def norm_of(groups: int, channels: int) -> nn.GroupNorm:
    norm = nn.GroupNorm(groups, channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize(("channels", "groups"), [(8, 8), (20, 4), (6, 1)])
@pytest.mark.parametrize("shape", [(16, 8, 4), (7, 5, 3)])
def test_a_volume_is_normalised_as_pytorch_does_it(
    channels: int, groups: int, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several blocks, the last one shorter; each channel with a level and a spread of its own."""
    monkeypatch.setattr(norm_silu, "BLOCK_VALUES", 700)
    torch.manual_seed(1)
    level, spread = 3 * torch.randn(channels, 1, 1, 1), torch.rand(channels, 1, 1, 1) + 0.1
    volume = (torch.randn(2, channels, *shape) * spread + level).to(memory_format=torch.channels_last_3d)
    norm = norm_of(groups, channels)
    with torch.no_grad():
        expected = F.silu(norm(volume))
        result = norm_silu_(volume, norm)
    assert result is volume
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)  # levels of 30 times the spread


def test_bfloat16_is_rounded_where_pytorch_rounds_it() -> None:
    torch.manual_seed(2)
    volume = (torch.randn(1, 8, 24, 12, 16) * 2 + 0.3).bfloat16().to(memory_format=torch.channels_last_3d)
    norm = norm_of(8, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = F.silu(F.group_norm(volume, 8, norm.weight.bfloat16(), norm.bias.bfloat16()))
        exact = F.silu(norm(volume.float()))
        result = norm_silu_(volume.clone(memory_format=torch.preserve_format), norm)
    assert (result.float() - exact).abs().mean() <= 1.05 * (expected.float() - exact).abs().mean()
    torch.testing.assert_close(result.float(), exact, rtol=0.01, atol=0.01)


def test_what_is_to_be_differentiated_or_lies_otherwise_in_memory_is_left_alone() -> None:
    volume = torch.zeros(1, 8, 128, 128, 64).to(memory_format=torch.channels_last_3d)
    assert can_run_in_place(volume)
    assert not can_run_in_place(volume[:, :, :32])  # small
    assert not can_run_in_place(volume.contiguous())
    assert not can_run_in_place(volume.clone().requires_grad_())


@pytest.mark.parametrize("residual_heads", [False, True])
def test_the_network_gives_the_same_in_its_run_as_in_training(
    residual_heads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done in place, slice by slice and with wider heads, against the plain operators of a training."""
    monkeypatch.setattr(norm_silu, "LEAST_VALUES", 1)
    monkeypatch.setattr(in_place, "ENLARGED_AT_ONCE", 3)
    monkeypatch.setattr(in_place, "SLICES_AT_ONCE", 5)
    monkeypatch.setattr(geolift, "LIFT_VOXELS_AT_ONCE", {"cpu": 5 * 32 * 32})
    torch.manual_seed(3)
    network = GeoLiftUNet(
        GeoLiftConfig(**{**vars(SMALL), "residual_heads": residual_heads, "counts": True})
    ).to_channels_last()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    radiographs = torch.randn(1, 2, 2, 48, 40)
    matrices = geolift.parallel_matrices(radiographs)[None].clone()
    matrices[0, 0, 0, 3] += 7.0  # off the middle
    plain = network(radiographs, matrices)[0]
    assert plain.mask_logit.requires_grad
    with torch.inference_mode():
        run = network(radiographs, matrices)[0]
    for expected, result in zip(plain[:3], run[:3], strict=True):
        torch.testing.assert_close(result, expected.detach(), rtol=1e-4, atol=1e-4)


def test_features_are_lifted_onto_a_volume() -> None:
    torch.manual_seed(4)
    features = torch.randn(1, 3, 20, 24)
    matrix = geolift.parallel_matrices(features)[:1]
    volume = torch.randn(1, 3, 16, 16, 16).to(memory_format=torch.channels_last_3d)
    expected = volume + lift(features, matrix, 16, 1)
    result = lift(features, matrix, 16, 1, onto=volume)
    assert result is volume
    torch.testing.assert_close(result, expected)
