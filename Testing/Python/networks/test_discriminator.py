"""The conditional PatchGAN and its least-squares losses."""

from __future__ import annotations

import doctest

import pytest
import torch

from support.counting import millions, multiplications
from TomoRayLib.networks import lsgan
from TomoRayLib.networks.discriminator import PatchDiscriminator, beside_radiographs
from TomoRayLib.networks.lsgan import discriminator_loss, generator_loss


@pytest.mark.parametrize(("size", "gmac", "patches"), [(128, "81.7", 19), (192, "253.7", 27)])
def test_the_discriminator_has_the_size_of_the_published_one(size: int, gmac: str, patches: int) -> None:
    """Counted on the original, to the digits that are published of it."""
    with torch.device("meta"):
        network = PatchDiscriminator()
        volume = torch.zeros(1, 3, size, size, size)
        assert tuple(network(volume).shape) == (1, 1, patches, patches, patches)
        assert f"{sum(multiplications(network, volume).values()):.1f}" == gmac
    assert f"{millions(network):.3f}" == "11.055"


def test_a_score_sees_a_patch_of_70_voxels() -> None:
    """From the last layer back to the first: kernels add to what one score sees, strides multiply it."""
    with torch.device("meta"):
        network = PatchDiscriminator()
    span = 1
    for layer in reversed([layer for layer in network.body if isinstance(layer, torch.nn.Conv3d)]):
        span = span * layer.stride[0] + layer.kernel_size[0] - layer.stride[0]
    assert span == 70


def test_the_scores_have_no_bounds_and_teach_the_volume() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator()
    volume = torch.rand(1, 1, 24, 24, 24, requires_grad=True)
    scores = network(beside_radiographs(volume, torch.rand(1, 2, 24, 24)))
    assert float(scores.detach().min()) < 0  # a sigmoid would not allow this
    generator_loss(scores).backward()
    assert volume.grad is not None
    assert float(volume.grad.abs().max()) > 0


def test_it_judges_a_volume_by_its_radiographs() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator()
    volume, own, other = torch.rand(1, 1, 24, 24, 24), torch.rand(1, 2, 24, 24), torch.rand(1, 2, 24, 24)
    with torch.inference_mode():
        scores = [network(beside_radiographs(volume, radiographs)) for radiographs in (own, other)]
    assert float((scores[0] - scores[1]).abs().max()) > 1e-3


def test_each_radiograph_stands_beside_the_voxels_it_shows() -> None:
    """Row 1 from the top of 4; column 5 in AP, 2 in lateral."""
    volume = torch.rand(1, 1, 4, 6, 6)
    radiographs = torch.zeros(1, 2, 4, 6)
    radiographs[0, 0, 1, 5] = radiographs[0, 1, 1, 2] = 1
    together = beside_radiographs(volume, radiographs)[0]
    assert together[0].nonzero().tolist() == [[2, y, 5] for y in range(6)]
    assert together[1].nonzero().tolist() == [[2, 2, x] for x in range(6)]
    assert torch.equal(together[2:], volume[0])


def test_radiographs_of_another_size_get_a_sentence() -> None:
    with pytest.raises(ValueError, match="got 5 x 6 pixels with 4 x 6 x 6 voxels"):
        beside_radiographs(torch.zeros(1, 1, 4, 6, 6), torch.zeros(1, 2, 5, 6))


def test_the_losses_are_those_of_least_squares_by_hand() -> None:
    real, made = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 1.0, 3.0])
    assert float(generator_loss(made)) == pytest.approx((1 + 0 + 4) / 3)
    assert float(discriminator_loss(real, made)) == pytest.approx((0.25 / 2 + 10 / 3) / 2)
    assert float(discriminator_loss(torch.ones(4), torch.zeros(4))) == 0
    assert float(generator_loss(torch.ones(4))) == 0


def test_the_losses_pull_the_scores_apart() -> None:
    """The discriminator's gradient raises real scores and lowers made ones, the generator's raises made ones."""
    real, made = torch.full((2, 1), 0.5, requires_grad=True), torch.full((3, 1), 0.5, requires_grad=True)
    discriminator_loss(real, made).backward()
    assert float(real.grad.max()) < 0 < float(made.grad.min())
    made.grad = None
    generator_loss(made).backward()
    assert float(made.grad.max()) < 0


def test_the_examples_in_the_losses_are_right() -> None:
    assert doctest.testmod(lsgan) == (0, 4)


def test_a_few_adversarial_steps_draw_the_scores_towards_their_marks() -> None:
    """One fixed pair of volumes: the discriminator learns to tell them, then the made one is moved to pass for real."""
    torch.manual_seed(0)
    network = PatchDiscriminator()
    radiographs = torch.rand(1, 2, 16, 16)
    real = torch.rand(1, 1, 16, 16, 16)
    made = torch.rand(1, 1, 16, 16, 16, requires_grad=True)

    def scores(volume: torch.Tensor) -> torch.Tensor:
        return network(beside_radiographs(volume, radiographs))

    teach = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.99))
    losses = []
    for _ in range(8):
        loss = discriminator_loss(scores(real), scores(made.detach()))
        teach.zero_grad()
        loss.backward()
        teach.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    before = float(generator_loss(scores(made)).detach())
    move = torch.optim.Adam([made], lr=0.05)
    for _ in range(4):
        move.zero_grad()
        generator_loss(scores(made)).backward()
        move.step()
    assert float(generator_loss(scores(made)).detach()) < before
