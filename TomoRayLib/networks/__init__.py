"""Networks: GeoLift-UNet, and the baseline X2CT-GAN with its discriminator."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.networks.discriminator import PatchDiscriminator as PatchDiscriminator
    from TomoRayLib.networks.geolift import GeoLiftConfig as GeoLiftConfig
    from TomoRayLib.networks.geolift import GeoLiftUNet as GeoLiftUNet
    from TomoRayLib.networks.radiograph_input import network_input as network_input
    from TomoRayLib.networks.radiograph_input import to_network_detector as to_network_detector
    from TomoRayLib.networks.x2ct import X2CTConfig as X2CTConfig
    from TomoRayLib.networks.x2ct import X2CTGenerator as X2CTGenerator

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "discriminator": ["PatchDiscriminator"],
        "geolift": ["GeoLiftConfig", "GeoLiftUNet"],
        "radiograph_input": ["network_input", "to_network_detector"],
        "x2ct": ["X2CTConfig", "X2CTGenerator"],
    },
)
