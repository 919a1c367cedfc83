"""Tube spectra, and what of them passes through water and bone: beam hardening included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.projector.physics.attenuation import attenuation_per_mm

Array = NDArray[np.float64]
LOWEST_KEV = 10.0  # below it 2.5 mm of aluminium pass less than 1 in 10^7


@dataclass(frozen=True)
class Spectrum:
    """Relative numbers of photons, which sum to 1, at some energies in keV."""

    energy_kev: tuple[float, ...]
    photons: tuple[float, ...]

    def __post_init__(self) -> None:
        energy, photons = np.asarray(self.energy_kev, dtype=float), np.asarray(self.photons, dtype=float)
        if energy.ndim != 1 or energy.shape != photons.shape or not energy.size or photons.min() < 0:
            raise ValueError(
                f"A spectrum needs as many numbers of photons, none below 0, as energies; got {energy.size} energies "
                f"and {photons.size} numbers. Leave out negative ones."
            )
        if not photons.sum() > 0:
            raise ValueError("A spectrum needs photons; got none at any energy. Take less filtration or a higher kVp.")
        attenuation_per_mm("water", energy)  # raises where the energies are not in keV
        object.__setattr__(self, "energy_kev", tuple(energy.tolist()))
        object.__setattr__(self, "photons", tuple((photons / photons.sum()).tolist()))

    @property
    def mean_energy_kev(self) -> float:
        """Mean over the photons."""
        return float(np.dot(self.energy_kev, self.photons))

    def filtered(self, aluminium_mm: float) -> Spectrum:
        """What passes ``aluminium_mm`` of aluminium, scaled to sum to 1."""
        passing = np.exp(-attenuation_per_mm("aluminium", np.asarray(self.energy_kev)) * aluminium_mm)
        return Spectrum(self.energy_kev, tuple((np.asarray(self.photons) * passing).tolist()))


def monoenergetic(energy_kev: float) -> Spectrum:
    """All photons at one energy."""
    return Spectrum((energy_kev,), (1.0,))


def kramers_spectrum(kvp: float, aluminium_mm: float = 2.5, step_kev: float = 1.0) -> Spectrum:
    """Photons of a tungsten tube at ``kvp`` kilovolts (40 to 150) behind ``aluminium_mm`` of aluminium in all.

    Kramers' law for a thick target, photons per energy N(E) ~ (kvp - E) / E (H. A. Kramers, Philosophical Magazine
    46:836, 1923, doi:10.1080/14786442308565244), times exp(-mu_Al(E) aluminium_mm). 2.5 mm is the least total
    filtration that IEC 60601-1-3 asks for. Tungsten's lines and the self-absorption in the target are left out, which
    makes it softer than a full model: mean energies are 1 to 4 keV below those of SpekPy 2.5 (12 degrees anode, 60 to
    120 kVp, 2.5 and 5 mm).
    """
    if not 40.0 <= kvp <= 150.0:
        raise ValueError(f"kvp must lie between 40 and 150 kV; got {kvp}. Radiography of the spine uses 70 to 100.")
    if not (aluminium_mm >= 0.0 and step_kev > 0.0):
        raise ValueError(f"aluminium_mm must be 0 or more and step_kev above 0; got {aluminium_mm} and {step_kev}.")
    energy = np.arange(LOWEST_KEV + step_kev / 2, kvp, step_kev)
    unfiltered = Spectrum(tuple(energy.tolist()), tuple(((kvp - energy) / energy).tolist()))
    return unfiltered.filtered(aluminium_mm)


def polyenergetic_transmission(
    water_mm: Tensor, bone_mm: Tensor, spectrum: Spectrum, *, energy_integrating: bool = True
) -> Tensor:
    """Share of the unattenuated signal that arrives behind ``water_mm`` of water and ``bone_mm`` of cortical bone.

    Both are line integrals of the volume fractions of ``water_and_bone``, equally shaped. The detector absorbs every
    photon and, ``energy_integrating`` (as flat panels do), counts its energy, else the photon. Beer-Lambert at each
    energy: sum_E s(E) exp(-mu_w(E) water - mu_b(E) bone), where s sums to 1.
    """
    if water_mm.shape != bone_mm.shape:
        raise ValueError(
            f"water_mm and bone_mm must have one shape; got {tuple(water_mm.shape)} and {tuple(bone_mm.shape)}. "
            "Project both fractions with the same view."
        )
    energy = np.asarray(spectrum.energy_kev)
    signal = np.asarray(spectrum.photons) * (energy if energy_integrating else 1.0)
    signal = signal / signal.sum()
    water_per_mm, bone_per_mm = attenuation_per_mm("water", energy), attenuation_per_mm("bone", energy)
    total = torch.zeros_like(water_mm)
    for share, water, bone in zip(signal.tolist(), water_per_mm.tolist(), bone_per_mm.tolist(), strict=True):
        total = total + share * torch.exp(-(water * water_mm + bone * bone_mm))
    return total
