"""GeoLift-UNet as it is trained on a CPU: the same weights under the same names, its slow parts compiled.

Lifting, norms with their activations, enlarging and attention's way back are operations of their own here
(``lifting``, ``norm``, ``upsampling``, ``attention``); all else are stock operators. Everything is channels last.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.networks.geolift import CONTEXT_HEADS, PRODUCT_FROM_LEVEL, GeoLiftConfig, GeoLiftUNet
from TomoRayLib.training.cpu_step.attention import attention
from TomoRayLib.training.cpu_step.lifting import lifted_pair
from TomoRayLib.training.cpu_step.norm import norm_silu
from TomoRayLib.training.cpu_step.numbers import KEPT_TYPES
from TomoRayLib.training.cpu_step.upsampling import plus_enlarged


class CpuGeoLiftUNet(GeoLiftUNet):
    """``GeoLiftUNet`` for training on a CPU. Weights, and a state of them, fit both."""

    def __init__(self, config: GeoLiftConfig) -> None:
        super().__init__(config)
        self.encoder = nn.ModuleList(_ImageBlock(block) for block in self.encoder)
        self.context = nn.ModuleList(_ContextBlock(block) for block in self.context)
        self.decoder = nn.ModuleList(_VolumeBlock(block) for block in self.decoder)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            elif isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _lift(self, features: list[list[Tensor]], cube_to_pixel: Tensor, level: int) -> Tensor:
        ap, lateral = features[0][level], features[1][level]
        size, product = self.config.output_size >> level, level >= PRODUCT_FROM_LEVEL
        if ap.dtype not in KEPT_TYPES:
            return super()._lift(features, cube_to_pixel, level)
        return lifted_pair(ap, lateral, cube_to_pixel, size, 2**level, product)


class _ImageBlock(nn.Module):
    """The encoder's block: two convolutions with norms, and a shortcut.

    The shortcut takes every second pixel before its 1 x 1 convolution: the gradient of one that strides reads beyond
    its memory where channels come last (torch 2.13, float32), and can end the process.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        shortcut = block.shortcut
        assert isinstance(shortcut, nn.Conv2d)
        self.body, self.shortcut = block.body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        convolution, norm, _, second, second_norm = self.body  # type: ignore[misc]
        x = x.contiguous(memory_format=torch.channels_last)
        down, across = self.shortcut.stride
        seen = x[:, :, ::down, ::across].contiguous(memory_format=torch.channels_last)
        beside = F.conv2d(seen, self.shortcut.weight, self.shortcut.bias)
        return norm_silu(second_norm, second(norm_silu(norm, convolution(x))), beside)


class _VolumeBlock(nn.Module):
    """The decoder's block: carry the coarser volume up, add the lifted features, and convolve."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.widen, self.norm, self.body = block.widen, block.norm, block.body

    def forward(self, coarser: Tensor | None, lifted: Tensor) -> Tensor:
        if coarser is not None:
            lifted = plus_enlarged(lifted, coarser)
        x = norm_silu(self.norm, lifted)  # type: ignore[arg-type]
        layers = list(self.body)  # type: ignore[arg-type]
        for convolution, norm in zip(layers[0::3], layers[1::3], strict=True):
            x = norm_silu(norm, convolution(x))
        return x


class _ContextBlock(nn.Module):
    """The transformer's block over the coarsest voxels."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = block.norm_attention, block.norm_mlp
        self.qkv, self.out, self.mlp = block.qkv, block.out, block.mlp

    def forward(self, volume: Tensor) -> Tensor:
        tokens = volume.flatten(2).transpose(1, 2)
        count, length, width = tokens.shape
        qkv = self.qkv(self.norm_attention(tokens)).view(count, length, 3, CONTEXT_HEADS, width // CONTEXT_HEADS)  # type: ignore[operator]
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = attention(query, key, value).transpose(1, 2).reshape(count, length, width)
        tokens = tokens + self.out(mixed)  # type: ignore[operator]
        tokens = tokens + self.mlp(self.norm_mlp(tokens))  # type: ignore[operator]
        return tokens.transpose(1, 2).reshape(volume.shape)
