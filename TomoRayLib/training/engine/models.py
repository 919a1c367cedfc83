"""The networks that can be trained, behind one interface: radiographs and geometry in, predictions by level out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from torch import Tensor, channels_last_3d, nn

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.mappings import dataclass_from_mapping
from TomoRayLib.networks.geolift import COUNT_LEVEL, LEVELS, PIXELS_PER_CUBE, GeoLiftConfig, GeoLiftUNet
from TomoRayLib.networks.x2ct import X2CTConfig, X2CTGenerator, radiographs_for_x2ct
from TomoRayLib.training.kernels import has_kernels

ARCHITECTURES = ("geolift", "x2ct")
BONE_ABOVE_GREY = 0.15  # of an output without a mask: half of what a voxel of weak bone (60 HU) has, rounded up


class Unmasked(NamedTuple):
    """The prediction of a network without a mask: ``intensity`` (n, 1, z, y, x), 0 and above."""

    intensity: Tensor

    @property
    def masked(self) -> Tensor:
        """The synthetic CT in target units."""
        return self.intensity

    @property
    def bone(self) -> Tensor:
        """Where the output is brighter than half of weak bone."""
        return self.intensity > BONE_ABOVE_GREY


class X2CTModel(nn.Module):
    """X2CT-GAN's generator as it is trained here: it has one level, 0, and does not read ``cube_to_pixel``.

    Its output has no upper bound in training and is clamped to [0, 1] otherwise, as the method does.
    """

    def __init__(self, config: X2CTConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = X2CTGenerator(config)
        for name, parameter in self.generator.named_parameters():
            if name.startswith("views.") and (".decoder.head." in name or ".decoder.levels.0.refine." in name):
                parameter.requires_grad_(False)  # for the auxiliary volumes alone, whose losses weigh nothing

    def forward(
        self, radiographs: Tensor, cube_to_pixel: Tensor, levels: tuple[int, ...] = (0,)
    ) -> dict[int, Unmasked]:
        volume = self.generator(radiographs_for_x2ct(radiographs, self.config.size, PIXELS_PER_CUBE)).fused.float()
        return {0: Unmasked(volume if self.training else volume.clamp(0, 1))}


Model = GeoLiftUNet | X2CTModel
NetworkConfig = GeoLiftConfig | X2CTConfig


def build_model(config: NetworkConfig, device: str = "cpu") -> Model:
    """The network of a configuration, its parts compiled on a CPU if there is numba, with the same weights. Its 3D
    layers are channels_last_3d on a CPU, which is faster there; on an H100 that took 10 to 20 % longer."""
    if isinstance(config, GeoLiftConfig) and has_kernels(device):
        from TomoRayLib.training.cpu_step.network import CpuGeoLiftUNet

        return CpuGeoLiftUNet(config)
    model: Model = GeoLiftUNet(config) if isinstance(config, GeoLiftConfig) else X2CTModel(config)
    for module in model.modules():
        if isinstance(module, nn.Conv3d) and device == "cpu":
            module.to(memory_format=channels_last_3d)  # type: ignore[call-overload]
    return model


def coarsest_edge(config: NetworkConfig) -> int | None:
    """Return the edge in voxels of the smallest volume that the network convolves; None where none is too small for
    gradients in bfloat16: X2CT-GAN's smallest has twice its bottleneck's, and so 4."""
    return config.output_size >> (LEVELS - 1) if isinstance(config, GeoLiftConfig) else None


def parameters_to_train(
    model: Model, finest_level: int, coarsest_level: int | None = None, counting: bool = False, imaging: bool = False
) -> list[nn.Parameter]:
    """The parameters that the optimizer holds: with a ``coarsest_level`` those that the levels from the finest to it
    add, else all.

    Of all, the levels that are not trained yet, the head of the vertebra field unless ``counting``, and that of bone
    images unless ``imaging``, stay in it without gradients (several processes wait for a gradient of everything that
    asks for one).
    """
    if not isinstance(model, GeoLiftUNet):
        return [parameter for parameter in model.parameters() if parameter.requires_grad]
    if coarsest_level is not None:
        model.requires_grad_(False)
        for level in range(finest_level, coarsest_level + 1):
            for part in _parts_of_level(model, level):
                part.requires_grad_(True)
        if model.counter is not None and counting and coarsest_level >= COUNT_LEVEL:
            model.counter.requires_grad_(True)
        return [parameter for parameter in model.parameters() if parameter.requires_grad]
    if model.counter is not None:
        model.counter.requires_grad_(counting)
    if model.bone_imager is not None:
        model.bone_imager.requires_grad_(imaging)
    for level in range(finest_level):
        for part in _parts_of_level(model, level):
            part.requires_grad_(False)
    return list(model.parameters())


def _parts_of_level(model: GeoLiftUNet, level: int) -> tuple[nn.Module, ...]:
    """The parts that one level adds to the coarser ones (the encoder's levels serve all of them)."""
    ap, lateral = (reducers[level] for reducers in model.reducers)  # type: ignore[index]
    return model.decoder[level], model.heads[level], ap, lateral


def describe_network(config: NetworkConfig) -> dict[str, Any]:
    """A configuration as a checkpoint keeps it; ``network_of`` reads it back."""
    return {"architecture": architecture_of(config), **asdict(config)}


def network_of(description: dict[str, Any]) -> NetworkConfig:
    """The configuration of ``describe_network``. Checkpoints from before there were two architectures name none.

    Raises InputError for an architecture that does not exist.
    """
    values = dict(description)
    architecture = values.pop("architecture", "geolift")
    if architecture not in ARCHITECTURES:
        raise InputError(f"Expected an architecture of {ARCHITECTURES}, got {architecture!r}; update TomoRay.")
    kind: type[NetworkConfig] = GeoLiftConfig if architecture == "geolift" else X2CTConfig
    return dataclass_from_mapping(kind, values, "The network of the checkpoint")


def architecture_of(config: NetworkConfig) -> str:
    """The name of the network: ``geolift`` or ``x2ct``."""
    return "geolift" if isinstance(config, GeoLiftConfig) else "x2ct"
