"""Attenuation, spectra and detection against tables, closed forms and statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from TomoRayLib.base.errors import InputError
from TomoRayLib.projector.physics import (
    Spectrum,
    add_noise,
    add_scatter,
    attenuation_per_mm,
    hu_to_attenuation,
    kramers_spectrum,
    log_signal,
    polyenergetic_transmission,
    transmission,
    water_and_bone,
    water_attenuation_per_mm,
)


def test_water_attenuates_as_plastimatch_has_it_and_air_not_at_all() -> None:
    attenuation = hu_to_attenuation(torch.tensor([-1000.0, -800.0, -799.0, 0.0, 1000.0]))
    np.testing.assert_allclose(attenuation, [0, 0, 0.022 * 0.201, 0.022, 0.044], rtol=1e-5)


def test_water_attenuates_less_at_higher_energy_as_tabulated() -> None:
    assert water_attenuation_per_mm(60.0) == pytest.approx(0.02059)
    with pytest.raises(ValueError, match="between 30 and 150"):
        water_attenuation_per_mm(10.0)


@pytest.mark.parametrize(
    ("material", "energy_kev", "per_mm"),
    [("bone", 60.0, 0.3148 * 1.92 / 10), ("aluminium", 30.0, 1.128 * 2.699 / 10), ("water", 200.0, 0.0137)],
)
def test_linear_attenuation_is_the_table_times_the_density(material: str, energy_kev: float, per_mm: float) -> None:
    assert attenuation_per_mm(material, energy_kev) == pytest.approx(per_mm)  # type: ignore[call-overload]


def test_between_two_energies_attenuation_lies_on_the_line_of_both_logarithms() -> None:
    middle = math.sqrt(30.0 * 40.0)
    assert float(attenuation_per_mm("water", middle)) == pytest.approx(math.sqrt(0.03756 * 0.02683))


@pytest.mark.parametrize(
    ("material", "energy", "message"), [("lead", 60.0, "material"), ("water", 60000.0, "keV, not eV")]
)
def test_unknown_materials_and_energies_in_other_units_are_refused(material: str, energy: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attenuation_per_mm(material, energy)  # type: ignore[arg-type]


def test_water_and_bone_together_attenuate_as_the_ct_says_at_its_own_energy() -> None:
    hu = torch.tensor([-1000.0, -700.0, -90.0, 0.0, 60.0, 100.0, 101.0, 400.0, 1200.0, 1600.0, 3000.0])
    water, bone = water_and_bone(hu)
    water_70, bone_70 = (float(attenuation_per_mm(name, 70.0)) for name in ("water", "bone"))  # type: ignore[arg-type]
    expected = torch.where(hu <= -800, 0.0, 1 + hu / 1000) * water_70
    torch.testing.assert_close(water * water_70 + bone * bone_70, expected)
    assert not bone[hu <= 100].any()
    assert float(water[hu == 3000]) == 0.0
    assert bone[(hu > 100) & (hu < 1600)].gt(0).all()
    assert water[(hu > 100) & (hu < 1500)].gt(0).all()


def test_bone_hardens_the_contrast_at_low_energy() -> None:
    water, bone = water_and_bone(torch.tensor([1000.0]))
    at = {
        kev: float(water * attenuation_per_mm("water", kev) + bone * attenuation_per_mm("bone", kev))
        / float(attenuation_per_mm("water", kev))
        for kev in (40.0, 70.0, 120.0)
    }
    assert at[40.0] > at[70.0] == pytest.approx(2.0, rel=1e-6)
    assert at[120.0] < at[70.0]


@pytest.mark.parametrize(
    ("kvp", "aluminium_mm", "spekpy_mean_kev"),
    # SpekPy 2.5.4: Spek(kvp=kvp, th=12, dk=1.0).filter("Al", aluminium_mm).get_emean()
    [(60, 2.5, 35.95), (60, 5.0, 39.16), (80, 2.5, 42.90), (100, 5.0, 53.11), (120, 2.5, 54.45), (120, 5.0, 58.46)],
)
def test_a_spectrums_mean_energy_is_1_to_4_kev_below_a_full_models(
    kvp: float, aluminium_mm: float, spekpy_mean_kev: float
) -> None:
    spectrum = kramers_spectrum(kvp, aluminium_mm)
    assert 1.0 < spekpy_mean_kev - np.dot(spectrum.energy_kev, spectrum.photons) < 4.0
    assert max(spectrum.energy_kev) < kvp
    assert sum(spectrum.photons) == pytest.approx(1.0)


def test_one_energy_gives_beer_lamberts_law() -> None:
    water, bone = torch.tensor([0.0, 200.0, 150.0]), torch.tensor([0.0, 0.0, 30.0])
    signal = polyenergetic_transmission(water, bone, Spectrum((60.0,), (1.0,)))
    integral = water * 0.02059 + bone * 0.3148 * 0.192
    torch.testing.assert_close(signal, transmission(integral))
    torch.testing.assert_close(log_signal(signal), integral)


def test_a_spectrum_is_hardened_by_what_it_passes() -> None:
    """Twice the water attenuates less than twice (closed form at two lines)."""
    spectrum = Spectrum((40.0, 80.0), (0.5, 0.5))
    depth = torch.tensor([100.0, 200.0], dtype=torch.float64)
    integral = log_signal(polyenergetic_transmission(depth, torch.zeros_like(depth), spectrum))
    for found, mm in zip(integral.tolist(), depth.tolist(), strict=True):
        signal = (40 * math.exp(-0.02683 * mm) + 80 * math.exp(-0.01837 * mm)) / 120
        assert found == pytest.approx(-math.log(signal))
    assert float(integral[1]) < 2 * float(integral[0])


def test_a_photon_counter_sees_a_softer_beam_than_an_energy_integrator() -> None:
    water, bone, spectrum = torch.tensor([200.0]), torch.tensor([0.0]), kramers_spectrum(90.0)
    counted = polyenergetic_transmission(water, bone, spectrum, energy_integrating=False)
    assert float(counted) < float(polyenergetic_transmission(water, bone, spectrum))


@pytest.mark.parametrize(
    ("make", "message", "field"),
    [
        (lambda: kramers_spectrum(90000.0), "between 40 and 150 kV", "kvp"),
        (lambda: kramers_spectrum(90.0, -1.0), "0 mm of aluminium or more; got -1", "aluminium_mm"),
        (lambda: Spectrum((50.0,), (0.0,)), "got none", "aluminium_mm"),
        (lambda: water_attenuation_per_mm(60000.0), "between 30 and 150 keV", "energy_kev"),
        (lambda: attenuation_per_mm("bone", 0.06), "between 10 and 200 keV", "energy_kev"),
        (lambda: add_noise(torch.ones(2), 0.0), "photons a pixel must be above 0", "photons"),
        (lambda: add_noise(torch.ones(2), float("nan")), "photons a pixel must be above 0", "photons"),
        (lambda: add_noise(torch.ones(2), 9.0, -1.0), "read-out noise must be 0", "electronic_sd_photons"),
        (lambda: add_scatter(torch.ones(2, 2), -1.0, 3.0), "scatter to primary must be 0", "scatter_to_primary"),
        (lambda: add_scatter(torch.ones(2, 2), 1.0, 0.0), "width of scatter must be above 0", "scatter_mm"),
    ],
)
def test_what_no_tube_or_detector_does_is_refused_with_its_setting(make: object, message: str, field: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        make()  # type: ignore[operator]
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Spectrum((50.0, 60.0), (1.0,)), "as many"),
        (lambda: polyenergetic_transmission(torch.ones(2), torch.ones(3), Spectrum((60.0,), (1.0,))), "one shape"),
        (lambda: add_scatter(torch.ones(2, 2, 2), 1.0, 3.0), r"\(rows, columns\); got the shape \(2, 2, 2\)"),
    ],
)
def test_arguments_that_do_not_fit_each_other_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_noise_has_the_mean_of_the_signal_and_the_variance_of_poisson_plus_readout() -> None:
    signal = torch.full((400, 500), 0.2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(7)
    noisy = add_noise(signal, photons=500.0, electronic_sd_photons=6.0, generator=generator)
    # mean 0.2 +- sd/sqrt(n); variance (100 + 36) / 500^2, its relative error sqrt(2 / 200000) = 0.3 %
    assert float(noisy.mean()) == pytest.approx(0.2, abs=4 * math.sqrt(136) / 500 / math.sqrt(200_000))
    assert float(noisy.var()) == pytest.approx(136 / 500**2, rel=0.015)


def test_no_photon_at_all_still_has_a_logarithm() -> None:
    assert float(log_signal(torch.zeros(1), photons=100.0)) == pytest.approx(math.log(200.0))
    assert bool(torch.isfinite(log_signal(torch.zeros(1))))


def test_scatter_adds_its_ratio_and_is_as_wide_as_asked() -> None:
    primary = torch.zeros(61, 81, dtype=torch.float64)
    primary[25, 50] = 1.0  # off-centre: a transposed blur would be cut at another edge
    scattered = add_scatter(primary, 0.8, 4.0) - primary
    assert float(scattered.sum()) == pytest.approx(0.8)
    rows, columns = torch.meshgrid(torch.arange(61.0), torch.arange(81.0), indexing="ij")
    for places, middle in ((rows, 25.0), (columns, 50.0)):
        mean = float((scattered * places).sum() / 0.8)
        spread = math.sqrt(float((scattered * (places - mean) ** 2).sum() / 0.8))
        assert mean == pytest.approx(middle)
        assert spread == pytest.approx(4.0, rel=0.02)  # cut at 3 standard deviations


def test_scatter_of_a_flat_field_is_flat() -> None:
    torch.testing.assert_close(add_scatter(torch.full((9, 7), 0.5), 2.0, 5.0), torch.full((9, 7), 1.5))
