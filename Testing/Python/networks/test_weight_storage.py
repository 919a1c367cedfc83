"""Weights in 8 bits and back: the error's bounds, and what stays in 16 or 32 bits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from TomoRayLib.networks.weight_storage import SCALE_ENDING, channel_scales, pack_state, same_values, unpack_state


def a_convolution(channels: int = 24, seed: int = 0) -> Tensor:
    """Weights of a 3D convolution whose output channels are of very different size."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.logspace(-4, 1, channels).view(-1, 1, 1, 1, 1)
    return sizes * torch.randn((channels, 10, 3, 3, 3), generator=generator)


def test_no_value_of_a_channel_is_off_by_more_than_half_its_step() -> None:
    weight = a_convolution()
    packed = pack_state({"body.0.weight": weight})
    assert packed["body.0.weight"].dtype == torch.int8
    back = unpack_state(packed)["body.0.weight"]
    step = weight.flatten(1).abs().amax(1) / 127
    worst = (back - weight).flatten(1).abs().amax(1)
    assert (worst <= 0.5001 * step).all()
    assert (worst >= 0.4 * step).all()  # a step for each channel: one for all would leave the small ones at 0
    error = (back - weight).flatten(1).norm(dim=1) / weight.flatten(1).norm(dim=1)
    assert error.max() < 0.012


def test_packing_again_gives_the_same_tensors() -> None:
    packed = pack_state({"weight": a_convolution(), "bias": torch.linspace(-1, 1, 24)})
    again = pack_state(unpack_state(packed))
    assert packed.keys() == again.keys()
    assert all(torch.equal(packed[name], again[name]) for name in packed)


def test_norms_biases_and_small_tensors_stay_in_half_precision() -> None:
    state = {"norm.weight": torch.full((9000,), 1.25), "head.weight": torch.randn(2, 8, 3, 3, 3)}
    packed = pack_state(state)
    assert set(packed) == set(state)
    assert all(value.dtype == torch.float16 for value in packed.values())
    assert torch.equal(unpack_state(packed)["norm.weight"], state["norm.weight"])


def test_a_tensor_with_a_few_values_far_above_the_others_is_not_stored_in_8_bits() -> None:
    weight = a_convolution()
    weight[:, 0, 0, 0, 0] *= 300.0
    packed = pack_state({"weight": weight})
    assert packed["weight"].dtype == torch.float16
    torch.testing.assert_close(unpack_state(packed)["weight"], weight, rtol=1e-3, atol=1e-6)


def test_what_half_precision_cannot_hold_stays_in_single() -> None:
    state = {"large": torch.tensor([1e6, -3.0]), "small": torch.tensor([3e-9, 2e-9])}
    packed = pack_state(state)
    assert all(torch.equal(unpack_state(packed)[name], value) for name, value in state.items())
    assert {value.dtype for value in packed.values()} == {torch.float32}


def test_counts_stay_whole_numbers() -> None:
    counts = {"batches": torch.tensor(123456789)}
    assert torch.equal(unpack_state(pack_state(counts))["batches"], counts["batches"])


def test_a_first_axis_of_one_leaves_the_channels_to_the_next() -> None:
    torch.manual_seed(0)
    position = torch.randn(1, 16, 8, 8, 8) * torch.logspace(-3, 0, 16).view(1, 16, 1, 1, 1)
    assert channel_scales(position).shape == (1, 16, 1, 1, 1)
    packed = pack_state({"position": position})
    assert packed["position" + SCALE_ENDING].numel() == 16
    error = (unpack_state(packed)["position"] - position).flatten(2).norm(dim=2) / position.flatten(2).norm(dim=2)
    assert error.max() < 0.012


def test_channels_of_zeros_come_back_as_zeros() -> None:
    weight = a_convolution()
    weight[3] = 0.0
    packed = pack_state({"weight": weight, "empty": torch.zeros(64, 100)})
    back = unpack_state(packed)
    assert packed["weight"].dtype == packed["empty"].dtype == torch.int8
    assert not back["weight"][3].any()
    assert not back["empty"].any()


def test_half_precision_alone_is_read_as_it_is() -> None:
    state = {"weight": torch.randn(64, 100).half()}
    assert torch.equal(unpack_state(state)["weight"], state["weight"].float())


@pytest.mark.parametrize(("change", "same"), [(0.0, True), (2e-7, True), (1e-5, False)])
def test_tensors_are_the_same_up_to_rounding(change: float, same: bool) -> None:
    weight = a_convolution()
    assert same_values(weight * (1 + change), weight) is same


def test_tensors_of_other_shapes_or_counts_are_not_the_same() -> None:
    assert not same_values(torch.zeros(2, 3), torch.zeros(3, 2))
    assert not same_values(torch.tensor([1, 2]), torch.tensor([1, 3]))
    assert same_values(torch.zeros(0), torch.zeros(0))
