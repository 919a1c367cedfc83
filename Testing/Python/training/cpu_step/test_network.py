"""The network that is trained on a CPU is the one that TomoRay runs: same weights, same predictions, same gradients."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from TomoRayLib.networks.geolift import GeoLiftConfig, GeoLiftUNet

pytest.importorskip("numba")

from TomoRayLib.training.cpu_step.network import CpuGeoLiftUNet

WIDTHS = {"image_widths": (8, 8, 16, 16, 24), "volume_widths": (4, 4, 8, 8, 16), "output_size": 32}
CONFIGS = (
    GeoLiftConfig(**WIDTHS, residual_heads=True, counts=True),  # type: ignore[arg-type]
    GeoLiftConfig(**WIDTHS, image_decoder=True, row_exchange=True),  # type: ignore[arg-type]
    GeoLiftConfig(**{**WIDTHS, "image_widths": (4, 6, 8, 12, 16)}, lifting="replicate"),  # type: ignore[arg-type]
)
AP = [[96.0, 3.0, 0.0, 60.0], [0.0, 6.0, -96.0, 55.0], [0.0, 0.2, 0.0, 1.0], [0.0, 0.15, 0.0, 1.0]]
LATERAL = [[3.0, 96.0, 0.0, 70.0], [7.0, 0.0, -96.0, 75.0], [0.2, 0.0, 0.0, 1.0], [0.2, 0.0, 0.0, 1.1]]


@pytest.mark.parametrize("config", CONFIGS)
def test_predictions_and_gradients_are_those_of_the_network(config: GeoLiftConfig) -> None:
    torch.manual_seed(3)
    network = GeoLiftUNet(config)
    trained = CpuGeoLiftUNet(config)
    trained.load_state_dict(network.state_dict())
    generator = torch.Generator().manual_seed(4)
    radiographs = torch.rand(2, 2, 2, 128, 112, generator=generator)
    matrices = torch.tensor([AP, LATERAL]).expand(2, -1, -1, -1)
    gradients, outputs = [], []
    for one in (network, trained):
        predictions = one(radiographs, matrices, levels=(0, 1, 2))
        outputs.append(predictions)
        values = [value for part in predictions.values() for value in part if value is not None]
        torch.stack([(value * torch.linspace(0, 1, value.shape[-1])).mean() for value in values]).sum().backward()
        gradients.append({name: part.grad for name, part in one.named_parameters() if part.grad is not None})
    for level in (0, 1, 2):
        for made, expected in zip(outputs[1][level], outputs[0][level], strict=True):
            assert (made is None) == (expected is None)
            if made is not None:
                assert torch.allclose(made, expected, atol=1e-4)
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(float(one.norm()) for one in gradients[0].values() if one is not None)
    for name, expected in gradients[0].items():
        made = gradients[1][name]
        assert made is not None
        assert expected is not None
        assert float((made - expected).norm()) <= 2e-3 * float(expected.norm()) + 1e-5 * largest, name


def test_both_begin_with_the_same_weights_and_can_be_copied() -> None:
    torch.manual_seed(8)
    network = GeoLiftUNet(CONFIGS[0])
    torch.manual_seed(8)
    trained = deepcopy(CpuGeoLiftUNet(CONFIGS[0]))
    states = network.state_dict(), trained.state_dict()
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
