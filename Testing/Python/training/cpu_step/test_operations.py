"""Each compiled operation of a training step against the stock operators that it stands in for, and their gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.networks.geolift import lift

pytest.importorskip("numba")

from TomoRayLib.training.cpu_step.attention import attention
from TomoRayLib.training.cpu_step.lifting import lifted_pair
from TomoRayLib.training.cpu_step.norm import norm_silu
from TomoRayLib.training.cpu_step.upsampling import plus_enlarged

LOPSIDED = [[90.0, 8.0, 5.0, 50.0], [4.0, 9.0, -70.0, 60.0], [0.05, 0.2, 0.01, 1.0], [0.02, 0.15, 0.03, 1.1]]
FROM_THE_SIDE = [[7.0, 110.0, 3.0, 40.0], [9.0, 5.0, -95.0, 70.0], [0.2, 0.03, 0.0, 1.0], [0.25, 0.0, 0.02, 0.9]]
ROUNDING = {torch.float32: 2e-5, torch.bfloat16: 2e-2}  # over the largest value


def results_and_gradients(operation: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """The result of an operation, then its gradient with respect to each input, for a random gradient of the result."""
    leaves = [one.clone().requires_grad_() for one in inputs]
    result = operation(*leaves)
    generator = torch.Generator().manual_seed(5)
    result.backward(torch.randn(result.shape, generator=generator).to(result.dtype))
    return [result.detach(), *(one.grad for one in leaves if one.grad is not None)]


def check_alike(made: list[Tensor], expected: list[Tensor], share: float) -> None:
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        assert one.shape == other.shape
        assert float((one.double() - other.double()).abs().max()) <= share * float(other.abs().max())


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shape", "with_added"), [((2, 12, 3, 5, 4), False), ((3, 8, 6, 5), True)])
def test_norm_and_activation_are_group_norm_and_silu(
    number: torch.dtype, shape: tuple[int, ...], with_added: bool
) -> None:
    torch.manual_seed(1)
    norm = nn.GroupNorm(4, shape[1])
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = (torch.randn(shape) * torch.arange(1, shape[1] + 1).view(-1, *(1,) * (len(shape) - 2)) + 3).to(number)
    inputs = [x, torch.randn(shape).to(number)] if with_added else [x]

    def stock(x: Tensor, *added: Tensor) -> Tensor:
        normed = F.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double())
        return F.silu(normed + added[0].double() if added else normed)

    made = results_and_gradients(lambda *values: norm_silu(norm, *values), inputs)
    of_weights = [norm.weight.grad, norm.bias.grad]
    norm.zero_grad()
    expected = results_and_gradients(stock, inputs)
    check_alike(made, expected, ROUNDING[number])
    assert of_weights[0] is not None
    assert of_weights[1] is not None
    assert norm.weight.grad is not None
    assert norm.bias.grad is not None
    check_alike([*of_weights], [norm.weight.grad, norm.bias.grad], ROUNDING[number])  # type: ignore[list-item]
    assert made[0].dtype == number


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("product", [True, False])
def test_two_views_are_lifted_as_the_network_does(number: torch.dtype, product: bool) -> None:
    torch.manual_seed(2)
    size, stride = 10, 4
    matrices = torch.tensor([[LOPSIDED, FROM_THE_SIDE], [FROM_THE_SIDE, LOPSIDED]])
    ap, lateral = torch.randn(2, 5, 31, 22).to(number), torch.randn(2, 5, 31, 22).to(number)

    def stock(ap: Tensor, lateral: Tensor) -> Tensor:
        one = lift(ap.float(), matrices[:, 0], size, stride)
        other = lift(lateral.float(), matrices[:, 1], size, stride)
        return one + other + one * other if product else one + other

    made = results_and_gradients(lambda a, b: lifted_pair(a, b, matrices, size, stride, product), [ap, lateral])
    expected = results_and_gradients(stock, [ap, lateral])
    check_alike(made, expected, ROUNDING[number])
    seen = lift(torch.ones(2, 1, 31, 22), matrices[:, 0], size, stride)
    assert 0 < float((seen == 0).float().mean()) < 0.9  # some voxels are seen beside the detector


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 6, 3, 5, 4), (1, 3, 1, 2, 1)])
def test_a_volume_is_enlarged_as_torch_does(number: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    coarse = torch.randn(shape).to(number)
    volume = torch.randn(*shape[:2], *(2 * edge for edge in shape[2:])).to(number)

    def stock(volume: Tensor, coarse: Tensor) -> Tensor:
        return volume.float() + F.interpolate(coarse.float(), scale_factor=2, mode="trilinear", align_corners=False)

    made = results_and_gradients(plus_enlarged, [volume, coarse])
    check_alike(made, results_and_gradients(stock, [volume, coarse]), ROUNDING[number])


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("largest", [1.0, 5.0])
def test_attention_has_the_stock_gradient_even_if_scores_are_large(number: torch.dtype, largest: float) -> None:
    torch.manual_seed(4)
    inputs = [(torch.randn(2, 3, 37, 16) * scale).to(number) for scale in (largest, largest, 1.0)]

    def stock(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query.double(), key.double(), value.double())

    check_alike(results_and_gradients(attention, inputs), results_and_gradients(stock, inputs), 2 * ROUNDING[number])


def test_two_threads_give_what_one_gives() -> None:
    torch.manual_seed(6)
    matrices = torch.tensor([[LOPSIDED, FROM_THE_SIDE]])
    features = [torch.randn(1, 4, 20, 20) for _ in range(2)]
    norm, volume, coarse = nn.GroupNorm(2, 4), torch.randn(1, 4, 6, 6, 6), torch.randn(1, 4, 3, 3, 3)

    def everything() -> list[Tensor]:
        lifted = results_and_gradients(lambda a, b: lifted_pair(a, b, matrices, 7, 4, True), features)
        normed = results_and_gradients(lambda x: norm_silu(norm, x), [volume])
        return lifted + normed + results_and_gradients(plus_enlarged, [volume, coarse])

    alone = everything()
    torch.set_num_threads(2)
    try:
        check_alike(everything(), alone, 1e-6)
    finally:
        torch.set_num_threads(1)


def test_bfloat16_is_kept_and_rounded_as_torch_does_it() -> None:
    """Plain and compiled alike, ties and both signs among the numbers."""
    from TomoRayLib.base.compiled import compiled_for_vectors
    from TomoRayLib.training.cpu_step.numbers import as_array, narrowed, widened

    @compiled_for_vectors
    def there_and_back(values, kept, wide):  # type: ignore[no-untyped-def]
        for i in range(len(values)):
            kept[i] = narrowed(values[i], kept[i])
            wide[i] = widened(kept[i])

    values = np.append(np.float32([1.00390625, 1.01171875, -1.00390625, 0.0]), np.random.default_rng(0).normal(size=50))
    values = values.astype(np.float32)
    expected = torch.from_numpy(values).bfloat16()
    plain = np.array([narrowed(value, np.uint16(0)) for value in values])
    np.testing.assert_array_equal(plain, as_array(expected))
    np.testing.assert_array_equal([widened(one) for one in plain], expected.float().numpy())
    kept, wide = np.zeros(len(values), np.uint16), np.zeros(len(values), np.float32)
    there_and_back(values, kept, wide)
    np.testing.assert_array_equal(kept, plain)
    np.testing.assert_array_equal(wide, expected.float().numpy())
    assert narrowed(values[0], np.float32(0)) == widened(values[0]) == values[0]
