"""Parameters and multiplications of a network, counted independently of it."""

from __future__ import annotations

from collections import Counter

from torch import Tensor, nn


def millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def multiplications(network: nn.Module, *inputs: Tensor, **options: bool) -> dict[str, float]:
    """GMAC of all convolutions and linear layers by module name; on the meta device this computes nothing."""
    found: Counter[str] = Counter()

    def counter(name: str):
        def count(module: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
            per_place = module.weight[0].numel()  # of one output value; of one input value where it is transposed
            places = given[0] if isinstance(module, nn.ConvTranspose3d) else result
            found[name] += places.numel() * per_place

        return count

    for name, module in network.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d)):
            module.register_forward_hook(counter(name))
    network(*inputs, **options)
    return {name: number / 1e9 for name, number in found.items()}
