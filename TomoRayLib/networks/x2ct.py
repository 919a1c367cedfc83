"""X2CT-GAN's generator, the baseline that the paper adapted, written afresh from its published description.

Ying et al. 2019 (https://doi.org/10.1109/CVPR.2019.01087). Two networks of equal build, one per radiograph, and a
fusion decoder. Each view: a dense 2D encoder down to one vector, a linear layer from that vector to a coarse volume
(connection A), a 3D decoder with skips that replicate 2D features along the depth (connection B). At every scale the
mean of both views' volumes feeds the fusion decoder and goes back into both view decoders (connection C).

Nothing here knows geometry: a pixel is taken to lie on the line of voxels behind it, in parallel. The radiographs are
therefore given at the size of the volume, a pixel as large as a voxel in the plane of the isocentre
(``radiographs_for_x2ct``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.base.errors import InputError
from TomoRayLib.networks.view_axes import VIEWS, spread_along_depth, to_patient_axes, to_view_axes, upright

INITIAL_SD = 0.02
STEM_CHANNELS = 64


@dataclass(frozen=True)
class X2CTConfig:
    """Sizes. ``size`` is the edge of radiographs and volume in voxels; tuples run from full resolution downwards.

    ``view_convolutions`` and ``fusion_convolutions`` count the 3 x 3 x 3 convolutions of a decoder level after the one
    that takes the skip in. The last level is the bottleneck, which has neither.
    """

    size: int = 192
    dense_layers: tuple[int, ...] = (6, 12, 24, 16, 6)
    growth: int = 32
    bottleneck_factor: int = 4
    volume_channels: tuple[int, ...] = (16, 16, 32, 64, 128, 256)
    view_convolutions: tuple[int, ...] = (1, 2, 2, 2, 2)
    fusion_convolutions: tuple[int, ...] = (1, 1, 1, 1, 1)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        levels = len(self.dense_layers)
        step = 2**levels
        if self.size < 2 * step or self.size % step:  # the coarsest features are normalised: more than one pixel
            raise InputError(
                f"X2CTConfig.size must be a multiple of {step} voxels, at least {2 * step}; got {self.size}. Use 192, "
                f"as the paper, or 128."
            )
        expected = {"volume_channels": levels + 1, "view_convolutions": levels, "fusion_convolutions": levels}
        for name, count in expected.items():
            if len(getattr(self, name)) != count:
                raise InputError(
                    f"X2CTConfig.{name} must have {count} numbers for {levels} dense levels; got {getattr(self, name)}."
                )

    @property
    def bottleneck_size(self) -> int:
        """Edge of the coarsest volume in voxels: 4 at 128, 6 at 192."""
        return self.size // 2 ** len(self.dense_layers)


class Reconstruction(NamedTuple):
    """The output of the generator, each (n, 1, z, y, x), 0 and above. ``ap`` and ``lateral`` are the auxiliary volumes
    of the single views, None unless they were asked for."""

    fused: Tensor
    ap: Tensor | None = None
    lateral: Tensor | None = None


class X2CTGenerator(nn.Module):
    """The generator. ``forward`` takes ``radiographs`` (n, 2, size, size), AP first, bone bright in [0, 1], lying as
    TomoRay's radiographs do (row 0 superior), and returns ``Reconstruction``.

    The auxiliary volumes have weight 0 in the method's loss, so what only they need (both views' last 3 x 3 x 3
    convolution and 7 x 7 x 7 head, a fifth of the work) runs on request alone, and gets no gradient otherwise.
    The mean goes back into the views after each level has taken its skip in; the bottleneck takes none, so there the
    mean only starts the fusion. The output has no upper bound: clamp it to [0, 1] before it is scored.

    The last layer is a ReLU. Where bone fills a few per cent of the volume it can die: with a small network and rates
    of 5e-4 and above one of two seeds ended in a volume of zeros and no gradient, and with 64^3 so did a run at the
    method's 2e-4. Keep to 5e-5, and watch for a loss that stands still at that of an empty volume.
    """

    def __init__(self, config: X2CTConfig | None = None) -> None:
        super().__init__()
        self.config = config or X2CTConfig()
        self.views = nn.ModuleDict({view.name: ViewNetwork(self.config) for view in VIEWS})
        self.fusion = Decoder(self.config, self.config.fusion_convolutions)
        self.apply(initialise)

    def forward(self, radiographs: Tensor, auxiliary: bool = False) -> Reconstruction:
        size = self.config.size
        if radiographs.ndim != 4 or tuple(radiographs.shape[1:]) != (2, size, size):
            raise ValueError(
                f"X2CTGenerator expects radiographs of shape (n, 2, {size}, {size}), AP and lateral; got "
                f"{tuple(radiographs.shape)}. Resample them with radiographs_for_x2ct."
            )
        images = upright(radiographs)
        networks: list[ViewNetwork] = [self.views[view.name] for view in VIEWS]  # type: ignore[misc]
        encoded = [network.encode(images[:, i : i + 1]) for i, network in enumerate(networks)]
        volumes = [network.coarse_volume(vector) for network, (vector, _) in zip(networks, encoded, strict=True)]
        fused = mean_of_views(volumes)
        for level in reversed(range(len(self.config.dense_layers))):
            volumes = [
                network.decoder.joined(level, volume, network.skip(level, features.pop()))
                for network, volume, (_, features) in zip(networks, volumes, encoded, strict=True)
            ]
            mean = mean_of_views(volumes)
            fused = self.fusion.refined(level, self.fusion.joined(level, fused, mean))
            if level == 0 and not auxiliary:
                return Reconstruction(self.fusion.head(fused))
            volumes = [
                network.decoder.refined(level, to_view_axes(mean, view))
                for network, view in zip(networks, VIEWS, strict=True)
            ]
        ap, lateral = (
            to_patient_axes(network.decoder.head(volume), view)
            for network, volume, view in zip(networks, volumes, VIEWS, strict=True)
        )
        return Reconstruction(self.fusion.head(fused), ap, lateral)


class ViewNetwork(nn.Module):
    """Encoder, connections A and B, and decoder of one view, all in the frame of that view (depth, z, column)."""

    def __init__(self, config: X2CTConfig) -> None:
        super().__init__()
        self.size, self.channels = config.bottleneck_size, config.volume_channels[-1]
        self.stem = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(1, STEM_CHANNELS, 7), InstanceNorm(), nn.ReLU(inplace=True)
        )
        self.levels, self.links = nn.ModuleList(), nn.ModuleList()
        width = STEM_CHANNELS
        for level, layers in enumerate(config.dense_layers):
            self.links.append(Link(width, config.volume_channels[level]))
            block = EncoderLevel(width, layers, config, halved=level < len(config.dense_layers) - 1)
            self.levels.append(block)
            width = block.width
        self.to_volume = nn.Linear(width, self.channels * self.size**3)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = Decoder(config, config.view_convolutions)

    def encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The vector (n, c) of an upright radiograph (n, 1, z, column), and its features from fine to coarse."""
        features = [self.stem(image)]
        for level in self.levels[:-1]:
            features.append(level(features[-1]))
        return F.adaptive_avg_pool2d(self.levels[-1](features[-1]), 1).flatten(1), features

    def coarse_volume(self, vector: Tensor) -> Tensor:
        """Connection A: the coarsest volume (n, c, s, s, s), from one vector."""
        return F.relu(self.dropout(self.to_volume(vector))).view(-1, self.channels, self.size, self.size, self.size)

    def skip(self, level: int, features: Tensor) -> Tensor:
        """Connection B of one level: its image features as a volume in the frame of the view."""
        return self.links[level](features, features.shape[-1])


class EncoderLevel(nn.Module):
    """Halve the resolution, run the dense block and, but for the last level, halve the channels."""

    def __init__(self, inputs: int, layers: int, config: X2CTConfig, halved: bool) -> None:
        super().__init__()
        wide = inputs + layers * config.growth
        self.width = wide // 2 if halved else wide
        self.down = nn.Sequential(InstanceNorm(), nn.ReLU(), nn.Conv2d(inputs, inputs, 3, stride=2, padding=1))
        self.dense = nn.ModuleList(
            DenseLayer(inputs + layer * config.growth, config.growth, config.bottleneck_factor)
            for layer in range(layers)
        )
        self.halve = nn.Sequential(InstanceNorm(), nn.ReLU(), nn.Conv2d(wide, self.width, 1)) if halved else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        for layer in self.dense:
            x = torch.cat([x, layer(x)], dim=1)
        return x if self.halve is None else self.halve(x)


class DenseLayer(nn.Sequential):
    """``growth`` new channels: a 1 x 1 convolution down to ``factor * growth``, then a 3 x 3 one."""

    def __init__(self, inputs: int, growth: int, factor: int) -> None:
        super().__init__(
            InstanceNorm(),
            nn.ReLU(),
            nn.Conv2d(inputs, factor * growth, 1),
            InstanceNorm(),
            nn.ReLU(inplace=True),
            nn.Conv2d(factor * growth, growth, 3, padding=1),
        )


class Link(nn.Module):
    """Connection B: image features carried into the volume by replication along the depth, whatever the beam."""

    def __init__(self, image_channels: int, volume_channels: int) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(image_channels, volume_channels, 1), InstanceNorm(), nn.ReLU(inplace=True))
        self.volume = nn.Sequential(
            nn.Conv3d(volume_channels, volume_channels, 3, padding=1), InstanceNorm(), nn.ReLU(inplace=True)
        )

    def forward(self, features: Tensor, depth: int) -> Tensor:
        return self.volume(spread_along_depth(self.image(features), depth))


class Decoder(nn.Module):
    """Levels from fine to coarse, and the head, from a coarse volume and one skip a level to an intensity."""

    def __init__(self, config: X2CTConfig, convolutions: tuple[int, ...]) -> None:
        super().__init__()
        channels = config.volume_channels
        self.levels = nn.ModuleList(
            DecoderLevel(channels[k + 1], channels[k], convolutions[k]) for k in range(len(convolutions))
        )
        self.head = nn.Sequential(nn.Conv3d(channels[0], 1, 7, padding=3), nn.ReLU())

    def joined(self, level: int, coarser: Tensor, skip: Tensor) -> Tensor:
        """The coarser volume, doubled in size, with the skip worked in: the first half of a level. Between the halves
        the views exchange their volumes."""
        layers: DecoderLevel = self.levels[level]  # type: ignore[assignment]
        return layers.join(torch.cat([layers.up(coarser), skip], dim=1))

    def refined(self, level: int, volume: Tensor) -> Tensor:
        """The second half of a level."""
        layers: DecoderLevel = self.levels[level]  # type: ignore[assignment]
        return layers.refine(volume)


class DecoderLevel(nn.Module):
    """The layers of one scale of a decoder."""

    def __init__(self, coarser: int, channels: int, convolutions: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose3d(coarser, channels, 3, stride=2, padding=1, output_padding=1),
            InstanceNorm(),
            nn.ReLU(inplace=True),
        )
        self.join = _convolution_3d(2 * channels, channels)
        self.refine = nn.Sequential(*(_convolution_3d(channels, channels) for _ in range(convolutions)))


class InstanceNorm(nn.Module):
    """Every channel of every sample to mean 0 and variance 1, by its own statistics, in training and in use alike.

    The method normalises in training mode at test time too ("instance norm in training mode is better"), so running
    statistics would never be read: there are none. Nothing to learn either.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x)


def mean_of_views(volumes: list[Tensor]) -> Tensor:
    """Connection C: the mean of both views' volumes, AP first, each in its frame, as (n, c, z, y, x)."""
    ap, lateral = (to_patient_axes(volume, view) for volume, view in zip(volumes, VIEWS, strict=True))
    return (ap + lateral) / 2


def radiographs_for_x2ct(radiographs: Tensor, size: int, pixels_per_cube: int) -> Tensor:
    """The generator's input (n, 2, size, size) in [0, 1] from TomoRay's (n, 2, channels, pixels, pixels).

    Of ``network_input`` the grey values are taken, -1..1 as 0..1, and cut to the middle ``pixels_per_cube``
    pixels, which span the cube in the plane of the isocentre (192 of 4/3 mm for 256 mm). Raises ValueError if the
    radiographs are smaller than that.
    """
    pixels = radiographs.shape[-1]
    if radiographs.ndim != 5 or radiographs.shape[1] != 2 or pixels < pixels_per_cube:
        raise ValueError(
            f"Expected radiographs (n, 2, channels, pixels, pixels) of at least {pixels_per_cube} pixels; got "
            f"{tuple(radiographs.shape)}. Make them with network_input."
        )
    first = (pixels - pixels_per_cube) // 2
    middle = slice(first, first + pixels_per_cube)
    grey = ((radiographs[:, :, 0, middle, middle] + 1) / 2).clamp(0, 1)
    if pixels_per_cube == size:
        return grey
    return F.interpolate(grey, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def initialise(module: nn.Module) -> None:
    """Weights of convolutions and linear layers from N(0, 0.02), biases 0; for ``nn.Module.apply``."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, INITIAL_SD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _convolution_3d(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(inputs, outputs, 3, padding=1), InstanceNorm(), nn.ReLU(inplace=True))
