"""The network's run over tiles gives what its run over the whole volume gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from TomoRayLib.networks.ct_segmenter import CTSegmenter, CTSegmenterConfig, normalised_hu
from TomoRayLib.segmentation.network_run import predict

SHAPE = (70, 40, 56)  # z, y, x; tiles of up to 48


class NearSighted(nn.Module):
    """A network with the segmenter's inputs and outputs that sees three voxels to each side."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            nn.Conv3d(1, 6, 3, padding=1),
            nn.SiLU(),
            nn.Conv3d(6, 6, 3, padding=1),
            nn.SiLU(),
            nn.Conv3d(6, 5, 3, padding=1),
        )

    def forward(self, hu: Tensor) -> Tensor:
        return self.layers(hu)


def a_volume(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-900, 1200, SHAPE).astype(np.float32)


def whole(network: nn.Module, hu: np.ndarray) -> np.ndarray:
    """Probability and field (5, z, y, x) of one run over the whole volume, in its own padding of air."""
    pads = [-length % 16 for length in hu.shape]
    padded = np.pad(hu, [(0, pad) for pad in pads], constant_values=-1000.0)
    with torch.inference_mode():
        output = network(normalised_hu(torch.from_numpy(padded))[None, None])[0]
        output[0] = output[0].sigmoid()
    return output[(slice(None), *(slice(0, length) for length in hu.shape))].numpy()


def test_blended_tiles_are_the_whole_volume() -> None:
    network, hu = NearSighted().eval(), a_volume()
    found, expected = predict(hu, network, largest=48), whole(network, hu)
    apart = slice(0, -3), slice(0, -3), slice(0, -3)  # where the padding at the end is another
    np.testing.assert_allclose(found.probability[apart], expected[0][apart], atol=2e-3)
    np.testing.assert_allclose(found.field[(slice(None), *apart)], expected[(slice(1, 5), *apart)], atol=2e-3)
    assert found.probability.dtype == found.field.dtype == np.float16


def test_without_margins_the_seams_would_show() -> None:
    """The test above can see them."""
    network, hu = NearSighted().eval(), a_volume()
    seams = np.abs(predict(hu, network, largest=48, overlap=2, margin=0).field - whole(network, hu)[1:])
    assert seams[:, :-3, :-3, :-3].max() > 0.02


def test_tiles_without_bone_are_not_looked_at() -> None:
    network, hu = NearSighted().eval(), a_volume()
    hu[:40] = np.minimum(hu[:40], 140.0)  # the first of four tiles along z is 32 voxels long
    seen = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    found = predict(hu, network, largest=32)
    assert not found.probability[:16].any()
    assert not found.field[:, :16].any()
    assert (found.probability[16:] > 0).all()
    with_bone = len(seen)
    predict(a_volume(), network, largest=32)
    assert (len(seen) - with_bone) * 3 == with_bone * 4


def test_the_segmenter_takes_any_shape_and_bfloat16() -> None:
    torch.manual_seed(0)
    network = CTSegmenter(CTSegmenterConfig((4, 4, 4, 4, 4))).eval()
    full, half = (predict(a_volume(), network, precision) for precision in (torch.float32, torch.bfloat16))
    assert full.probability.shape == SHAPE
    assert np.isfinite(full.field).all()
    np.testing.assert_allclose(half.field, full.field, atol=0.1)
    assert np.abs(half.field - full.field).max() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same() -> None:
    network = NearSighted().eval()
    expected = predict(a_volume(), network)
    found = predict(a_volume(), network.to("cuda"))
    np.testing.assert_allclose(found.field, expected.field, atol=5e-3)
