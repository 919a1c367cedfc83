"""GeoLift-UNet: two radiographs and their geometry in, vertebra intensity and mask out.

One shared 2D encoder reads both radiographs. At every level the features of each view are *lifted* along the true
rays: every voxel takes the feature at the detector point its ray hits, for whatever geometry is given. The two lifted
volumes are added (and multiplied where it is cheap) and decoded from coarse to fine.

Sizes follow the levels k = 0..4: voxels of the output times 2^k, radiograph features at a stride of 2^k pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from TomoRayLib.anatomy.vertebra_field import FIELD_CHANNELS
from TomoRayLib.base.errors import InputError
from TomoRayLib.networks.image_half import ImageDecoder, RowExchange
from TomoRayLib.networks.in_place import add_enlarged_, convolve_, each_part, enlarged, head_logits
from TomoRayLib.networks.norm_silu import can_run_in_place, norm_silu_

LEVELS = 5
IMAGE_CHANNELS = 2
BONE_IMAGES = 2  # of each view: line integrals of bone's intensity, thickness of bone
HEAD_LEVELS = 3  # the finest three levels predict; the coarser two of them only in training
COUNT_LEVEL = 2  # 48^3, fine enough for where a vertebra is and which one; finer it would cost more than all heads
IMAGE_LEVEL = 2  # the finest that the image half's own parts add to: a stride of 4 pixels, what 48^3 lifts
EXCHANGE_LEVELS = (3, 2)
PRODUCT_FROM_LEVEL = 2  # A * L is added from 48^3 downwards, where it costs next to nothing
CONTEXT_BLOCKS = 2
CONTEXT_HEADS = 4
LIFT_VOXELS_AT_ONCE = {"cpu": 1 << 18}  # by device; on a GPU more, as each part costs a launch
LIFT_VOXELS_ELSEWHERE = 1 << 20
LIFTINGS = ("pinhole", "replicate")
PIXELS_PER_CUBE = 192  # of the network's detector, 4/3 mm each, for a cube of 256 mm


@dataclass(frozen=True)
class GeoLiftConfig:
    """Widths per level, finest first. ``output_size`` is the edge of the finest volume in voxels.

    ``lifting`` "replicate" treats every beam as parallel to an axis, as networks without geometry do: a baseline for
    "pinhole", which carries features along their rays. With ``residual_heads`` the heads of the finest levels add to
    the enlarged output of the next coarser head, at first nothing: a level that has seen few samples then keeps the
    coarser one's result instead of making its own. With ``counts`` the level of 48^3 also predicts the vertebra field.

    ``image_decoder`` and ``row_exchange`` put parts of ``networks.image_half`` between encoder and lifting.
    """

    image_widths: tuple[int, ...] = (16, 32, 64, 128, 192)
    volume_widths: tuple[int, ...] = (8, 20, 48, 96, 128)
    convolutions: tuple[int, ...] = (1, 2, 2, 2, 2)
    output_size: int = 192
    lifting: str = "pinhole"
    residual_heads: bool = False
    counts: bool = False
    image_decoder: bool = False
    row_exchange: bool = False

    def __post_init__(self) -> None:
        for name in ("image_widths", "volume_widths", "convolutions"):
            values = tuple(int(value) for value in getattr(self, name))
            if len(values) != LEVELS or min(values) < 1:
                raise InputError(f"GeoLiftConfig.{name} must be {LEVELS} numbers of at least 1; got {values}.")
            object.__setattr__(self, name, values)
        if self.output_size % 2 ** (LEVELS - 1):
            raise InputError(f"GeoLiftConfig.output_size must be a multiple of 16; got {self.output_size}.")
        if self.lifting not in LIFTINGS:
            raise InputError(f"GeoLiftConfig.lifting must be one of {LIFTINGS}; got {self.lifting!r}.")


class Prediction(NamedTuple):
    """The output of the network at one level, each (n, 1, z, y, x): intensity in [0, 1] and vertebra logit.

    ``field`` (n, 4, z, y, x) is the vertebra field (``anatomy.vertebra_field``) of ``COUNT_LEVEL``, the same whichever
    level the rest is of; None from a network that does not count. ``bone_images`` (n, 2, 2, rows, columns) at a stride
    of ``2**IMAGE_LEVEL`` pixels estimate ``samples.bone_images``, from an image decoder in training alone.
    """

    intensity: Tensor
    mask_logit: Tensor
    field: Tensor | None = None
    bone_images: Tensor | None = None

    @property
    def masked(self) -> Tensor:
        """Intensity times the probability of bone: the synthetic CT in target units."""
        return self.intensity * torch.sigmoid(self.mask_logit)

    @property
    def bone(self) -> Tensor:
        """Where bone is more likely than not."""
        return self.mask_logit > 0


class GeoLiftUNet(nn.Module):
    """The network.

    ``forward`` takes ``radiographs`` (n, 2, 2, rows, columns), AP first, with two channels each
    (``radiograph_input.normalise``), and ``cube_to_pixel`` (n, 2, 4, 4), matrices from cube coordinates (x, y, z, 1),
    -1..1 between the outer faces, to (column * w, row * v, w, v) of these radiographs. It returns the predictions of
    the levels asked for.
    """

    def __init__(self, config: GeoLiftConfig = GeoLiftConfig()) -> None:
        super().__init__()
        self.config = config
        images, volumes = config.image_widths, config.volume_widths
        self.encoder = nn.ModuleList(
            _ImageBlock(IMAGE_CHANNELS if k == 0 else images[k - 1], images[k], stride=1 if k == 0 else 2)
            for k in range(LEVELS)
        )
        self.reducers = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(images[k], volumes[k], 3, padding=1) for k in range(LEVELS)) for _ in range(2)
        )
        coarse = config.output_size >> (LEVELS - 1)
        self.position = nn.Parameter(torch.zeros(1, volumes[-1], coarse, coarse, coarse))
        self.context = nn.ModuleList(_ContextBlock(volumes[-1]) for _ in range(CONTEXT_BLOCKS))
        self.decoder = nn.ModuleList(
            _VolumeBlock(volumes[min(k + 1, LEVELS - 1)], volumes[k], config.convolutions[k], k < LEVELS - 1)
            for k in range(LEVELS)
        )
        self.heads = nn.ModuleList(nn.Conv3d(volumes[k], 2, 3, padding=1) for k in range(HEAD_LEVELS))
        for level, head in enumerate(self.heads):
            nn.init.constant_(head.bias, -3.0)  # type: ignore[arg-type]  # bone is rare: start near empty
            if config.residual_heads and level < HEAD_LEVELS - 1:
                self.reset_head(level)
        self.counter = nn.Conv3d(volumes[COUNT_LEVEL], FIELD_CHANNELS, 3, padding=1) if config.counts else None
        self.image_decoder = ImageDecoder(images, IMAGE_LEVEL) if config.image_decoder else None
        self.bone_imager = nn.Conv2d(images[IMAGE_LEVEL], BONE_IMAGES, 1) if config.image_decoder else None
        exchanging = EXCHANGE_LEVELS if config.row_exchange else ()
        self.row_exchange = nn.ModuleDict({str(k): RowExchange(images[k], 2**k) for k in exchanging})

    def forward(
        self, radiographs: Tensor, cube_to_pixel: Tensor, levels: Sequence[int] = (0,)
    ) -> dict[int, Prediction]:
        """Predictions by level (0 = finest); nothing finer than ``min(levels)`` is computed."""
        if self.config.lifting == "replicate":
            cube_to_pixel = parallel_matrices(radiographs).expand_as(cube_to_pixel)
        features, bone_images = self._encode(radiographs, cube_to_pixel, min(levels))
        volume: Tensor | None = None
        logits: Tensor | None = None
        field: Tensor | None = None
        predictions: dict[int, Prediction] = {}
        for level in range(LEVELS - 1, min(levels) - 1, -1):
            lifted = self._lift(features, cube_to_pixel, level)
            for view in features:
                view[level] = torch.empty(0)  # free what is no longer needed
            if volume is not None:
                volume = self.decoder[level].widen(volume)  # type: ignore[operator]  # and the coarser one is freed
            volume = self.decoder[level](volume, lifted)
            del lifted
            if level == LEVELS - 1:
                volume = volume + self.position
                for block in self.context:
                    volume = block(volume)
            if level == COUNT_LEVEL and self.counter is not None:
                field = self.counter(volume).float()
            if level in levels or (self.config.residual_heads and level < HEAD_LEVELS):
                logits = self._logits(level, volume, logits)
            if level in levels:
                predictions[level] = _prediction(logits, field, bone_images)
        return predictions

    def reset_head(self, level: int) -> None:
        """Make a residual head add nothing."""
        nn.init.zeros_(self.heads[level].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.heads[level].bias)  # type: ignore[arg-type]

    def _logits(self, level: int, volume: Tensor, coarser: Tensor | None) -> Tensor:
        logits = head_logits(self.heads[level], volume)
        if coarser is None or not self.config.residual_heads:
            return logits
        return logits + enlarged(coarser) if logits.requires_grad else add_enlarged_(logits, coarser)

    def to_channels_last(self) -> GeoLiftUNet:
        """The 3D layers in the memory order that CPUs and tensor cores are fast with; in place."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        return self

    def _encode(
        self, radiographs: Tensor, cube_to_pixel: Tensor, finest: int
    ) -> tuple[list[list[Tensor]], Tensor | None]:
        """Per view, per level: image features reduced to the volume's width; nothing for levels below ``finest``. And
        the bone images of a network in training that has an image decoder."""
        count = radiographs.shape[0]
        x = radiographs.transpose(0, 1).flatten(0, 1)
        encoded: list[Tensor] = []
        for block in self.encoder:
            x = block(x)
            encoded.append(x)
        for key, exchange in self.row_exchange.items():
            encoded[int(key)] = exchange(encoded[int(key)], cube_to_pixel)
        bone_images: Tensor | None = None
        if self.image_decoder is not None and self.bone_imager is not None:
            encoded, decoded = self.image_decoder(encoded)
            if self.training:
                bone_images = torch.stack(self.bone_imager(decoded).float().split(count), dim=1)
        views: list[list[Tensor]] = [[], []]
        for level in range(LEVELS):
            for index, view in enumerate(encoded[level].split(count)):
                reduced = self.reducers[index][level](view) if level >= finest else view.new_empty(0)  # type: ignore[index]
                views[index].append(reduced)
            encoded[level] = x  # free what is no longer needed
        return views, bone_images

    def _lift(self, features: list[list[Tensor]], cube_to_pixel: Tensor, level: int) -> Tensor:
        size = self.config.output_size >> level
        ap = lift(features[0][level], cube_to_pixel[:, 0], size, 2**level)
        if level < PRODUCT_FROM_LEVEL and not ap.requires_grad:
            return lift(features[1][level], cube_to_pixel[:, 1], size, 2**level, onto=ap)
        lateral = lift(features[1][level], cube_to_pixel[:, 1], size, 2**level)
        return ap + lateral + ap * lateral if level >= PRODUCT_FROM_LEVEL else ap + lateral


def parallel_matrices(radiographs: Tensor) -> Tensor:
    """(2, 4, 4): ``cube_to_pixel`` of an AP and a lateral parallel beam along the axes, for the pixels of
    ``radiographs`` (..., rows, columns), of which ``PIXELS_PER_CUBE`` span the cube."""
    rows, columns = radiographs.shape[-2:]
    half = PIXELS_PER_CUBE / 2
    row = [0.0, 0.0, -half, (rows - 1) / 2]
    middle = (columns - 1) / 2
    last = [0.0, 0.0, 0.0, 1.0]
    views = [[[half, 0.0, 0.0, middle], row, last, last], [[0.0, half, 0.0, middle], row, last, last]]
    return torch.tensor(views, device=radiographs.device)


def lift(features: Tensor, cube_to_pixel: Tensor, size: int, stride: int, onto: Tensor | None = None) -> Tensor:
    """Image features (n, c, h, w) carried into the cube along their rays: (n, c, size, size, size) as (z, y, x).

    ``cube_to_pixel`` (n, 4, 4) maps cube coordinates (x, y, z, 1) in [-1, 1] to (column * w, row * v, w, v) of the full
    radiograph; ``stride`` is the radiograph pixels per feature pixel (feature j sits on pixel j * stride). Bilinear;
    0 outside the detector. Differentiable with respect to the features, but not if they are added ``onto`` a volume of
    that shape, in its memory.
    """
    count, channels, height, width = features.shape
    volume = onto
    if volume is None:
        volume = torch.empty(
            (count, channels, size, size, size),
            dtype=features.dtype,
            device=features.device,
            memory_format=torch.channels_last_3d,
        )
    plane = features.float()

    def chunk(first: int, last: int) -> Tensor:
        places = _feature_places(cube_to_pixel.float(), size, first, last, (height, width), stride)
        lifted = F.grid_sample(plane, places, mode="bilinear", padding_mode="zeros", align_corners=True)
        return lifted.view(count, channels, last - first, size, size)

    def write(first: int, last: int) -> None:  # straight into place: half the memory
        if onto is None:
            volume[:, :, first:last] = chunk(first, last)
        else:
            volume[:, :, first:last].add_(chunk(first, last).to(volume.dtype))

    at_once = LIFT_VOXELS_AT_ONCE.get(features.device.type, LIFT_VOXELS_ELSEWHERE)
    thick = max(1, at_once // (size * size))
    parts = [(first, min(first + thick, size)) for first in range(0, size, thick)]
    if plane.requires_grad:
        return torch.cat([chunk(*part) for part in parts], dim=2).to(features.dtype)
    each_part(write, parts, volume)
    return volume


def _feature_places(
    cube_to_pixel: Tensor, size: int, first: int, last: int, feature_shape: tuple[int, int], stride: int
) -> Tensor:
    """(n, (last - first) * size, size, 2) positions in grid_sample's [-1, 1] for slices first..last of the cube."""
    axis = (torch.arange(size, device=cube_to_pixel.device, dtype=torch.float32) + 0.5) * (2.0 / size) - 1.0
    matrix = cube_to_pixel[:, :, :, None, None, None]
    x, y, z = axis[None, None, None, :], axis[None, None, :, None], axis[first:last][None, :, None, None]

    def image(i: int) -> Tensor:
        return (matrix[:, i, 0] * x + matrix[:, i, 1] * y) + (matrix[:, i, 2] * z + matrix[:, i, 3])

    height, width = feature_shape
    places = torch.empty((len(matrix), last - first, size, size, 2), device=matrix.device)
    for axis_of_place, length in enumerate((width, height)):  # column / across, row / along
        scale = 2.0 / (stride * max(length - 1, 1))
        places[..., axis_of_place] = image(axis_of_place).div_(image(axis_of_place + 2)).mul_(scale).sub_(1.0)
    return places.view(len(matrix), (last - first) * size, size, 2)


def _prediction(logits: Tensor | None, field: Tensor | None, bone_images: Tensor | None) -> Prediction:
    assert logits is not None
    return Prediction(torch.sigmoid(logits[:, :1]), logits[:, 1:], field, bone_images)


def _norm(channels: int) -> nn.GroupNorm:
    groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


class _ImageBlock(nn.Module):
    """Two 3 x 3 convolutions with GroupNorm and SiLU, with a 1 x 1 shortcut; the first one strides."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1),
            _norm(outputs),
            nn.SiLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            _norm(outputs),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.body(x) + self.shortcut(x))


class _VolumeBlock(nn.Module):
    """Enlarge the coarser volume, which ``widen`` has brought to the channels of this one, add the lifted features, and
    convolve."""

    def __init__(self, inputs: int, outputs: int, convolutions: int, has_coarser: bool) -> None:
        super().__init__()
        self.widen = nn.Conv3d(inputs, outputs, 1) if has_coarser else None
        self.norm = _norm(outputs)
        self.body = nn.Sequential(
            *(
                layer
                for _ in range(convolutions)
                for layer in (nn.Conv3d(outputs, outputs, 3, padding=1), _norm(outputs), nn.SiLU(inplace=True))
            )
        )

    def forward(self, coarser: Tensor | None, lifted: Tensor) -> Tensor:
        if coarser is not None:
            lifted = lifted + enlarged(coarser) if lifted.requires_grad else add_enlarged_(lifted, coarser)
        if not can_run_in_place(lifted):
            return self.body(F.silu(self.norm(lifted), inplace=True))
        volume = norm_silu_(lifted, self.norm)
        del lifted
        for layer in self.body:
            if isinstance(layer, nn.Conv3d):
                convolve_(volume, layer)
            elif isinstance(layer, nn.GroupNorm):
                norm_silu_(volume, layer)  # and the SiLU after it
        return volume


class _ContextBlock(nn.Module):
    """One pre-norm transformer block over the 12^3 coarse voxels: the spine's overall shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, volume: Tensor) -> Tensor:
        tokens = volume.flatten(2).transpose(1, 2)
        count, length, width = tokens.shape
        qkv = self.qkv(self.norm_attention(tokens)).view(count, length, 3, CONTEXT_HEADS, width // CONTEXT_HEADS)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(count, length, width)
        tokens = tokens + self.out(mixed)
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        return tokens.transpose(1, 2).reshape(volume.shape)
