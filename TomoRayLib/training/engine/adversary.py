"""The adversarial stage: a conditional PatchGAN that learns along with the network and judges crops around bone.

X2CT-GAN's discriminator and weights (LSGAN, 0.1), one step of the network and then one of the discriminator. For
networks that know the beam the radiographs are added as channels along their true rays; X2CT-GAN's own way
replicates them along the axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, channels_last_3d, nn

from TomoRayLib.base.errors import InputError
from TomoRayLib.networks.discriminator import PatchDiscriminator, beside_radiographs
from TomoRayLib.networks.geolift import PIXELS_PER_CUBE, lift
from TomoRayLib.networks.lsgan import discriminator_loss, generator_loss
from TomoRayLib.networks.x2ct import radiographs_for_x2ct
from TomoRayLib.training.data.samples import Sample
from TomoRayLib.training.engine.trouble import clip_gradient, finite

SMALLEST_CROP = 32  # below, the discriminator's last features shrink to a few voxels


@dataclass(frozen=True)
class AdversaryConfig:
    """``weight`` of the adversarial term, 0 for none (the method: 0.1). Crops have ``crop`` voxels an edge, 0 the whole
    volume. ``replicate`` conditions on radiographs replicated along the axes instead of lifted along their rays."""

    weight: float = 0.0
    crop: int = 64
    replicate: bool = False
    peak_lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.99)

    def __post_init__(self) -> None:
        if self.weight < 0 or self.peak_lr <= 0 or (self.crop != 0 and self.crop < SMALLEST_CROP):
            raise InputError(
                f"adversary: weight must be 0 or above, peak_lr above 0, and crop 0 (the whole volume) or at least "
                f"{SMALLEST_CROP} voxels; got weight {self.weight}, peak_lr {self.peak_lr}, crop {self.crop}."
            )


class Adversary:
    """The discriminator with its optimizer."""

    def __init__(self, fabric: Fabric, config: AdversaryConfig) -> None:
        self.fabric, self.config = fabric, config
        network = PatchDiscriminator()
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                module.to(memory_format=channels_last_3d)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(network.parameters(), lr=config.peak_lr, betas=config.betas)
        self.network, self.optimizer = network, optimizer
        self.model, self.fabric_optimizer = fabric.setup(network, optimizer)

    def beside(self, made: Tensor, real: Tensor, sample: Sample) -> tuple[Tensor, Tensor]:
        """(made, real) volumes (n, 1, z, y, x), each with its radiographs (n, 3, crop, crop, crop), about bone."""
        images = [set_beside(volume, sample, self.config.replicate) for volume in (made, real)]
        corners = crop_corners(sample["occupancy"], real.shape[-1], self.config.crop)
        made, real = (cropped(volume, corners, self.config.crop) for volume in images)
        return made, real

    def judged(self, made: Tensor) -> Tensor:
        """The adversarial term of the network's loss, before its weight; the discriminator gets no gradient from it."""
        self.network.requires_grad_(False)
        try:
            return generator_loss(self.model(made).float())
        finally:
            self.network.requires_grad_(True)

    def learn(self, made: Tensor, real: Tensor, rate: float, terms: Mapping[str, float]) -> float:
        """One step of the discriminator at ``rate`` of its peak learning rate; its loss before the step, over all
        processes. Raises NotANumberError, with the ``terms`` of the network's loss, before it would take the step."""
        for group in self.fabric_optimizer.param_groups:
            group["lr"] = self.config.peak_lr * rate
        scores = self.model(torch.cat([real.detach(), made.detach()])).float()
        loss = discriminator_loss(*scores.chunk(2))
        mean = finite("adversary's loss", self.fabric.all_reduce(loss.detach()), terms)
        self.fabric.backward(loss)
        clip_gradient(self.fabric, self.model, self.fabric_optimizer, math.inf, terms, whose="adversary's ")
        self.fabric_optimizer.step()
        self.fabric_optimizer.zero_grad(set_to_none=True)
        return mean

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


def set_beside(volume: Tensor, sample: Sample, replicate: bool) -> Tensor:
    """A volume (n, 1, z, y, x) with the radiographs as channels, (n, 3, z, y, x): AP, lateral, volume."""
    size = volume.shape[-1]
    if replicate:
        return beside_radiographs(volume, radiographs_for_x2ct(sample["radiographs"], size, PIXELS_PER_CUBE))
    grey = (sample["radiographs"][:, :, :1] + 1) / 2
    lifted = [lift(grey[:, view], sample["cube_to_pixel"][:, view], size, 1) for view in range(2)]
    return torch.cat([*lifted, volume], dim=1)


def crop_corners(occupancy: Tensor, size: int, crop: int) -> Tensor:
    """(n, 3) first voxel (z, y, x) of a crop of ``crop`` voxels, in a volume of ``size``, about a random voxel of bone.

    ``occupancy`` (n, 1, z, y, x) may be finer than the volume. A sample without bone is cropped in its middle.
    """
    if crop == 0 or crop >= size:
        return torch.zeros(len(occupancy), 3, dtype=torch.long)
    corners = []
    for one in occupancy[:, 0]:
        bone = torch.nonzero(one > 0.5).cpu()
        middle = torch.full((3,), one.shape[-1] // 2)
        if len(bone):
            middle = bone[int(torch.randint(len(bone), ()))]
        corner = middle * size // one.shape[-1] - crop // 2
        corners.append(corner.clamp(0, size - crop))
    return torch.stack(corners)


def cropped(volume: Tensor, corners: Tensor, crop: int) -> Tensor:
    """(n, c, crop, crop, crop) from (n, c, z, y, x), one corner a sample; the whole volume if it is no larger."""
    if crop == 0 or crop >= volume.shape[-1]:
        return volume
    pieces = []
    for one, corner in zip(volume, corners.tolist(), strict=True):
        z, y, x = (slice(first, first + crop) for first in corner)
        pieces.append(one[:, z, y, x])
    return torch.stack(pieces)
