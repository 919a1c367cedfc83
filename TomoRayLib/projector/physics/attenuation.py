"""From HU to attenuation: plastimatch's linear formula, and water and bone with tabulated coefficients."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError

Array = NDArray[np.float64]
Material = Literal["water", "bone", "aluminium"]

# Mass attenuation coefficients with coherent scatter in cm2/g, and densities in g/cm3. J. H. Hubbell and S. M. Seltzer,
# Tables of X-Ray Mass Attenuation Coefficients, NISTIR 5632 (NIST SRD 126, doi:10.18434/T4D01F): table 4, "Water,
# Liquid" and "Bone, Cortical (ICRU-44)"; table 3, aluminium. No edge lies between these energies.
ENERGIES_KEV = (10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200)
CM2_PER_G: dict[Material, tuple[float, ...]] = {
    "water": (5.329, 1.673, 0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505, 0.1370),
    "bone": (28.51, 9.032, 4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480, 0.1309),
    "aluminium": (26.23, 7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378, 0.1223),
}
DENSITY_G_PER_CM3: dict[Material, float] = {"water": 1.0, "bone": 1.92, "aluminium": 2.699}
# Effective energy of a body CT at 120 kVp, at which its HU are taken to be attenuation over water's. Scanners lie
# between 65 and 75 keV; bone's share changes by 4 % over this range.
CT_ENERGY_KEV = 70.0


@overload
def attenuation_per_mm(material: Material, energy_kev: float) -> float: ...
@overload
def attenuation_per_mm(material: Material, energy_kev: Array) -> Array: ...
def attenuation_per_mm(material: Material, energy_kev: float | Array) -> float | Array:
    """Linear attenuation with coherent scatter, interpolated log-log in the tables of NISTIR 5632.

    Args:
        material: "water", "bone" (cortical, ICRU-44) or "aluminium", at their densities in ``DENSITY_G_PER_CM3``.
        energy_kev: Photon energy or energies, 10 to 200 keV.

    Returns:
        1/mm, shaped as ``energy_kev``.

    Raises:
        InputError: If the energy lies outside the tables.
        ValueError: If the material is unknown.
    """
    if material not in CM2_PER_G:
        raise ValueError(f"material must be one of {sorted(CM2_PER_G)}; got {material!r}.")
    energy = np.asarray(energy_kev, dtype=np.float64)
    low, high = ENERGIES_KEV[0], ENERGIES_KEV[-1]
    if not np.all((energy >= low) & (energy <= high)):
        raise InputError(
            f"The photon energy must lie between {low} and {high} keV; got {energy_kev}. Use keV, not eV or MeV.",
            field="energy_kev",
        )
    per_g = np.exp(np.interp(np.log(energy), np.log(ENERGIES_KEV), np.log(CM2_PER_G[material])))
    per_mm = np.asarray(per_g * DENSITY_G_PER_CM3[material] / 10.0)
    return per_mm if per_mm.ndim else float(per_mm)


def water_attenuation_per_mm(energy_kev: float) -> float:
    """Linear attenuation of water at an energy of radiography (NISTIR 5632, table 4).

    Args:
        energy_kev: Photon energy, 30 to 150 keV.

    Returns:
        1/mm.

    Raises:
        InputError: If the energy lies outside this range.
    """
    if not 30.0 <= energy_kev <= 150.0:
        raise InputError(
            f"The photon energy must lie between 30 and 150 keV, the range of radiography; got {energy_kev}.",
            field="energy_kev",
        )
    return attenuation_per_mm("water", energy_kev)


def hu_to_attenuation(
    hu: Tensor, water_per_mm: float = 0.022, air_below_hu: float = -800.0, *, overwrite: bool = False
) -> Tensor:
    """Linear attenuation of a CT: ``water_per_mm * (1 + HU / 1000)``.

    The defaults are those of plastimatch: water at 50 keV, 0.22 / cm (its ``-P preprocess``).

    Args:
        hu: CT values in HU, of any shape and number type.
        water_per_mm: Attenuation of water in 1/mm.
        air_below_hu: At or below this value the attenuation is 0.
        overwrite: Whether the result may take the place of ``hu``, if that is float32.

    Returns:
        1/mm, float32, shaped as ``hu``, on its device.
    """
    if overwrite and hu.dtype == torch.float32:
        for part in hu if hu.ndim > 2 else (hu,):  # plane by plane: without a mask of the whole volume
            part.copy_(hu_to_attenuation(part, water_per_mm, air_below_hu))
        return hu
    factor = water_per_mm / 1000.0  # whole numbers times it are float32 at once, without a copy of the volume
    attenuation = ((hu.float() if hu.is_floating_point() else hu) * factor).add_(water_per_mm).clamp_min_(0.0)
    return attenuation.masked_fill_(hu <= air_below_hu, 0.0)


def water_and_bone(
    hu: Tensor, air_below_hu: float = -800.0, bone_above_hu: float = 100.0, ct_energy_kev: float = CT_ENERGY_KEV
) -> tuple[Tensor, Tensor]:
    """Volume fractions of water and of cortical bone (ICRU-44, 1.92 g/cm3) of each voxel.

    Both together attenuate ``1 + HU / 1000`` times as much as water at ``ct_energy_kev``, the CT's effective energy, so
    no HU is lost. Up to ``bone_above_hu`` all is water of another density (fat, lung, muscle). Above, the excess is
    bone that takes water's place; it is all bone from about 1600 HU on, and denser bone beyond (teeth, metal).
    Project both, then weigh them with ``attenuation_per_mm`` at any energy, or with a spectrum.

    Args:
        hu: CT values in HU, of any shape and number type.
        air_below_hu: At or below this value both fractions are 0.
        bone_above_hu: Above this value a voxel holds bone.
        ct_energy_kev: Effective energy of the CT's beam in keV.

    Returns:
        Water and bone, float32, shaped as ``hu``, on its device.
    """
    attenuation = (hu.float() / 1000.0).add_(1.0).clamp_min_(0.0).masked_fill_(hu <= air_below_hu, 0.0)
    bone_over_water = attenuation_per_mm("bone", ct_energy_kev) / attenuation_per_mm("water", ct_energy_kev)
    soft = 1.0 + bone_above_hu / 1000.0
    # soft tissue of ``bone_above_hu`` mixes with bone: (soft, 0) at the threshold, (0, 1) at pure bone
    share = (attenuation - soft) / (bone_over_water - soft)
    bone = share.clamp(0.0, 1.0) + (attenuation - bone_over_water).clamp_min(0.0) / bone_over_water
    water = attenuation.clamp_max(soft) * (1.0 - share.clamp(0.0, 1.0))
    return water, bone
