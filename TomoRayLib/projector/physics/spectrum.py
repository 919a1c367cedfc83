"""Tube spectra, and the share of them that passes through water and bone: beam hardening included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.projector.physics.attenuation import attenuation_per_mm

Array = NDArray[np.float64]
LOWEST_KEV = 10.0  # below it 2.5 mm of aluminium pass less than 1 in 10^7


@dataclass(frozen=True)
class Spectrum:
    """Relative numbers of photons at some energies.

    Args:
        energy_kev: Photon energies, 10 to 200 keV.
        photons: Number of photons at each energy, 0 or more; scaled to sum to 1.

    Raises:
        InputError: If there are no photons, as after too much filtration, or an energy lies outside the tables.
        ValueError: If the two differ in length, or a number is negative.
    """

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
            raise InputError(
                "A spectrum needs photons; got none at any energy. Use less filtration or a higher tube voltage.",
                field="aluminium_mm",
            )
        attenuation_per_mm("water", energy)  # raises if the energies are not in keV
        object.__setattr__(self, "energy_kev", tuple(energy.tolist()))
        object.__setattr__(self, "photons", tuple((photons / photons.sum()).tolist()))

    def filtered(self, aluminium_mm: float) -> Spectrum:
        """The spectrum behind ``aluminium_mm`` of aluminium, scaled to sum to 1."""
        passing = np.exp(-attenuation_per_mm("aluminium", np.asarray(self.energy_kev)) * aluminium_mm)
        return Spectrum(self.energy_kev, tuple((np.asarray(self.photons) * passing).tolist()))


def kramers_spectrum(kvp: float, aluminium_mm: float = 2.5, step_kev: float = 1.0) -> Spectrum:
    """The spectrum of a tungsten tube behind aluminium.

    Kramers' law for a thick target, photons per energy N(E) ~ (kvp - E) / E (H. A. Kramers, Philosophical Magazine
    46:836, 1923, doi:10.1080/14786442308565244), times exp(-mu_Al(E) aluminium_mm). 2.5 mm is the least total
    filtration that IEC 60601-1-3 asks for. Tungsten's lines and the self-absorption in the target are left out, which
    makes it softer than a full model: mean energies are 1 to 4 keV below those of SpekPy 2.5 (12 degrees anode, 60 to
    120 kVp, 2.5 and 5 mm).

    Args:
        kvp: Tube voltage in kV, 40 to 150.
        aluminium_mm: Total filtration in mm of aluminium.
        step_kev: Width of an energy bin.

    Returns:
        Relative numbers of photons at the middle of each bin from 10 keV to the tube voltage.

    Raises:
        InputError: If the voltage lies outside its range or the filtration is below 0.
        ValueError: If the step is not above 0.
    """
    if not 40.0 <= kvp <= 150.0:
        raise InputError(
            f"The tube voltage must lie between 40 and 150 kV; got {kvp}. Radiography of the spine uses 70 to 100.",
            field="kvp",
        )
    if not aluminium_mm >= 0.0:
        raise InputError(f"The filtration must be 0 mm of aluminium or more; got {aluminium_mm}.", field="aluminium_mm")
    if not step_kev > 0.0:
        raise ValueError(f"step_kev must be above 0; got {step_kev}.")
    energy = np.arange(LOWEST_KEV + step_kev / 2, kvp, step_kev)
    unfiltered = Spectrum(tuple(energy.tolist()), tuple(((kvp - energy) / energy).tolist()))
    return unfiltered.filtered(aluminium_mm)


def polyenergetic_transmission(
    water_mm: Tensor, bone_mm: Tensor, spectrum: Spectrum, *, energy_integrating: bool = True
) -> Tensor:
    """The share of the unattenuated signal that arrives behind water and cortical bone.

    Beer-Lambert at each energy: sum_E s(E) exp(-mu_w(E) water - mu_b(E) bone), where s sums to 1. The detector absorbs
    every photon.

    Args:
        water_mm: Line integrals in mm of the water fraction of ``water_and_bone``, of any shape.
        bone_mm: Line integrals in mm of its bone fraction, of the same shape.
        spectrum: The tube's spectrum.
        energy_integrating: Whether the detector counts the energy of each photon, as flat panels do, or the photon.

    Returns:
        Shares between 0 and 1, shaped as ``water_mm``.

    Raises:
        ValueError: If the two differ in shape.
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
