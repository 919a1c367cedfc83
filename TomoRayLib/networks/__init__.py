"""Networks and their weights: GeoLift-UNet, the baseline X2CT-GAN with its discriminator, the model registry."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.networks.discriminator import PatchDiscriminator as PatchDiscriminator
    from TomoRayLib.networks.geolift import GeoLiftConfig as GeoLiftConfig
    from TomoRayLib.networks.geolift import GeoLiftUNet as GeoLiftUNet
    from TomoRayLib.networks.radiograph_input import network_input as network_input
    from TomoRayLib.networks.radiograph_input import to_network_detector as to_network_detector
    from TomoRayLib.networks.registry import ModelEntry as ModelEntry
    from TomoRayLib.networks.registry import find_model as find_model
    from TomoRayLib.networks.registry import load_atlas as load_atlas
    from TomoRayLib.networks.registry import load_network as load_network
    from TomoRayLib.networks.registry import read_registry as read_registry
    from TomoRayLib.networks.x2ct import X2CTConfig as X2CTConfig
    from TomoRayLib.networks.x2ct import X2CTGenerator as X2CTGenerator

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "discriminator": ["PatchDiscriminator"],
        "geolift": ["GeoLiftConfig", "GeoLiftUNet"],
        "radiograph_input": ["network_input", "to_network_detector"],
        "registry": ["ModelEntry", "find_model", "load_atlas", "load_network", "read_registry"],
        "x2ct": ["X2CTConfig", "X2CTGenerator"],
    },
)
