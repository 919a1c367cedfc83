"""The physics of a radiograph: attenuation of materials, tube spectra, and the detector.

See docs/projector.md for the equations and their sources. Lengths in mm, attenuation in 1/mm, energies in keV.
"""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.projector.physics.attenuation import attenuation_per_mm as attenuation_per_mm
    from TomoRayLib.projector.physics.attenuation import hu_to_attenuation as hu_to_attenuation
    from TomoRayLib.projector.physics.attenuation import water_and_bone as water_and_bone
    from TomoRayLib.projector.physics.attenuation import water_attenuation_per_mm as water_attenuation_per_mm
    from TomoRayLib.projector.physics.detection import add_noise as add_noise
    from TomoRayLib.projector.physics.detection import add_scatter as add_scatter
    from TomoRayLib.projector.physics.detection import log_signal as log_signal
    from TomoRayLib.projector.physics.detection import transmission as transmission
    from TomoRayLib.projector.physics.spectrum import Spectrum as Spectrum
    from TomoRayLib.projector.physics.spectrum import kramers_spectrum as kramers_spectrum
    from TomoRayLib.projector.physics.spectrum import polyenergetic_transmission as polyenergetic_transmission

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "attenuation": ["attenuation_per_mm", "hu_to_attenuation", "water_and_bone", "water_attenuation_per_mm"],
        "detection": ["add_noise", "add_scatter", "log_signal", "transmission"],
        "spectrum": ["Spectrum", "kramers_spectrum", "polyenergetic_transmission"],
    },
)
