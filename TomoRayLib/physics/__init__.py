"""What X-rays do on their way: attenuation of materials, tube spectra, and what a detector makes of the rest.

See docs/projector.md for the equations and their sources. Lengths in mm, attenuation in 1/mm, energies in keV.
"""

from TomoRayLib.physics.attenuation import (
    attenuation_per_mm,
    hu_to_attenuation,
    water_and_bone,
    water_attenuation_per_mm,
)
from TomoRayLib.physics.detection import add_noise, add_scatter, log_signal, transmission
from TomoRayLib.physics.spectrum import Spectrum, kramers_spectrum, monoenergetic, polyenergetic_transmission

__all__ = [
    "Spectrum",
    "add_noise",
    "add_scatter",
    "attenuation_per_mm",
    "hu_to_attenuation",
    "kramers_spectrum",
    "log_signal",
    "monoenergetic",
    "polyenergetic_transmission",
    "transmission",
    "water_and_bone",
    "water_attenuation_per_mm",
]
