"""Radiographs of a CT with any geometry and any exposure: what ``tomoray project`` renders."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.view_json import VIEW_KEY, view_to_dict
from TomoRayLib.geometry.views import View
from TomoRayLib.images.files import write_image_2d, write_png
from TomoRayLib.images.types import Volume
from TomoRayLib.projector.physics.attenuation import hu_to_attenuation, water_and_bone, water_attenuation_per_mm
from TomoRayLib.projector.physics.detection import add_noise, add_scatter, log_signal, transmission
from TomoRayLib.projector.physics.spectrum import kramers_spectrum, polyenergetic_transmission
from TomoRayLib.projector.projection import Method, project
from TomoRayLib.synthesis.acquisition import GeometryOptions, rendering_views

MATRIX_KEY = "TomoRay.projection_matrix"  # under which image files carry their 3 x 4 matrix as JSON
BEAM_NAMES = ("cone", "parallel", "slot")


@dataclass(frozen=True)
class PoseOptions:
    """Which views to render. Without angles and matrix: AP and lateral, each changed by the rest.

    ``angles_deg`` are gantry angles, one view each; ``offset_mm`` is the detector's (down, right); ``matrix_file`` is a
    text file of one or more 3 x 4 matrices from LPS mm to (column, row, 1) * w.
    """

    angles_deg: tuple[float, ...] = ()
    tilt_deg: float | None = None
    roll_deg: float | None = None
    offset_mm: tuple[float, float] | None = None
    beam: str | None = None
    matrix_file: str | None = None

    def __post_init__(self) -> None:
        if self.beam is not None and self.beam not in BEAM_NAMES:
            raise InputError(
                f"Expected --beam to be one of {list(BEAM_NAMES)}, got {self.beam!r}; choose one of these."
            )
        changes = (self.angles_deg, self.tilt_deg, self.roll_deg, self.offset_mm, self.beam)
        if self.matrix_file is not None and any(change not in (None, ()) for change in changes):
            raise InputError(
                "Expected either --matrix or the pose in numbers, got both; a matrix holds beam, angles and offset "
                "already. Leave one out."
            )


@dataclass(frozen=True)
class Exposure:
    """What the image shows. The default is the line integral at plastimatch's 0.022 / mm for water, without noise.

    ``energy_kev`` (water's attenuation) or ``kvp`` (spectrum, water and bone, energy-integrating detector) choose the
    beam; ``scatter_to_primary`` with a Gaussian of ``scatter_mm`` at the detector, ``photons`` a pixel without a
    patient and ``electronic_sd_photons`` the detector; ``as_transmission`` the signal's share, bone dark, instead of
    its negative logarithm.
    """

    energy_kev: float | None = None
    kvp: float | None = None
    aluminium_mm: float = 2.5
    scatter_to_primary: float = 0.0
    scatter_mm: float = 40.0
    photons: float | None = None
    electronic_sd_photons: float = 0.0
    as_transmission: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.energy_kev is not None and self.kvp is not None:
            raise InputError("Expected one energy or one tube voltage, got both; leave out --energy-kev or --kvp.")

    @property
    def is_line_integral(self) -> bool:
        return not (self.kvp or self.scatter_to_primary or self.photons or self.as_transmission)


def cameras_of(
    options: GeometryOptions, poses: PoseOptions, views: tuple[str, ...], isocenter_mm: Vector3
) -> dict[str, Camera]:
    """The cameras to render by the names of their files. Raises InputError for what no radiograph can be taken with."""
    if poses.matrix_file is not None:
        return dict(_matrices(poses.matrix_file, options.size))
    pair = rendering_views(options, isocenter_mm)
    try:
        if not poses.angles_deg:
            named = {"ap": pair.ap, "lat": pair.lateral}
            return {name: _posed(named[name], poses, options) for name in views}
        return {
            f"angle{angle:g}": _posed(replace(pair.ap, gantry_angle_deg=angle), poses, options)
            for angle in poses.angles_deg
        }
    except ValueError as error:
        raise InputError(str(error)) from None


def _posed(view: View, poses: PoseOptions, options: GeometryOptions) -> View:
    if poses.tilt_deg is not None:
        view = replace(view, tilt_deg=poses.tilt_deg)
    if poses.roll_deg is not None:
        view = replace(view, roll_deg=poses.roll_deg)
    if poses.offset_mm is not None:
        view = replace(view, detector=replace(view.detector, offset_mm=poses.offset_mm))
    if poses.beam is not None:
        view = replace(view, beam=_beam(poses.beam, view.beam, options))
    return view


def _beam(name: str, beam: Beam, options: GeometryOptions) -> Beam:
    if name == "parallel":
        return ParallelBeam()
    kind = ConeBeam if name == "cone" else SlotScan
    if not isinstance(beam, ParallelBeam):
        return kind(beam.sad_mm, beam.sid_mm)
    if options.sad_mm is None or options.sid_mm is None:
        raise InputError(f"Expected --sad and --sid for a {name} beam, got a parallel geometry; give both or another.")
    return kind(options.sad_mm, options.sid_mm)


def _matrices(path: str, size: tuple[int, int] | None) -> dict[str, ProjectionMatrix]:
    if size is None:
        raise InputError(
            "Expected the detector's size beside --matrix, which does not hold it; give --size ROWS COLUMNS."
        )
    try:
        numbers = np.loadtxt(path, ndmin=2)
    except FileNotFoundError:
        raise InputError(f"Expected a file of projection matrices, got {path!r}, which does not exist.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"Expected lines of four numbers in {Path(path).name}, got another text ({error}).") from None
    if numbers.shape[1] != 4 or not len(numbers) or len(numbers) % 3:
        raise InputError(
            f"Expected three lines of four numbers for each matrix in {Path(path).name}, got {len(numbers)} lines of "
            f"{numbers.shape[1]}; leave out a fourth row (0 0 0 1)."
        )
    try:
        return {
            f"matrix{n + 1}": ProjectionMatrix(tuple(matrix.ravel().tolist()), *size)
            for n, matrix in enumerate(numbers.reshape(-1, 3, 4))
        }
    except ValueError as error:
        raise InputError(f"{Path(path).name}: {error}") from None


def render(
    ct: Volume, cameras: Mapping[str, Camera], exposure: Exposure, spread_px: float, method: Method = "auto"
) -> dict[str, NDArray[np.float32]]:
    """One image (rows, columns) for each camera, by name. ``spread_px`` is the scatter's standard deviation in pixels.

    Raises InputError for a camera that misses the CT, and for what ``project`` and ``physics`` refuse.
    """
    hu = torch.from_numpy(np.ascontiguousarray(ct.voxels, dtype=np.float32))
    generator = torch.Generator().manual_seed(exposure.seed)
    images = {}
    try:
        volume = _attenuation(hu, exposure)
        for name, camera in cameras.items():
            with warnings.catch_warnings():  # said better below
                warnings.filterwarnings("ignore", message="Every ray misses", category=RuntimeWarning)
                integrals = project(volume, ct.grid, camera, method=method)
            if not bool((integrals > 0).any()):
                raise InputError(_miss(name, camera, ct))
            images[name] = _exposed(integrals, exposure, spread_px, generator).numpy()
    except ValueError as error:
        raise InputError(str(error)) from None
    return images


def _attenuation(hu: Tensor, exposure: Exposure) -> Tensor:
    """(z, y, x) in 1 / mm at one energy, or (2, z, y, x) fractions of water and bone for a spectrum."""
    if exposure.kvp is not None:
        return torch.stack(water_and_bone(hu))
    if exposure.energy_kev is not None:
        return hu_to_attenuation(hu, water_attenuation_per_mm(exposure.energy_kev))
    return hu_to_attenuation(hu)


def _exposed(integrals: Tensor, exposure: Exposure, spread_px: float, generator: torch.Generator) -> Tensor:
    if exposure.is_line_integral:
        return integrals
    if exposure.kvp is not None:
        spectrum = kramers_spectrum(exposure.kvp, exposure.aluminium_mm)
        signal = polyenergetic_transmission(integrals[0], integrals[1], spectrum)
    else:
        signal = transmission(integrals)
    if exposure.scatter_to_primary > 0:
        signal = add_scatter(signal, exposure.scatter_to_primary, spread_px)
    if exposure.photons is not None:
        signal = add_noise(signal, exposure.photons, exposure.electronic_sd_photons, generator)
    if exposure.as_transmission:
        return signal
    return log_signal(signal, exposure.photons or float("inf"))


def _miss(name: str, camera: Camera, ct: Volume) -> str:
    word = {"ap": "AP", "lat": "lateral"}.get(name, name)
    where = "" if isinstance(camera, ProjectionMatrix) else f"isocentre {camera.isocenter_mm}, "
    hint = "the matrix" if isinstance(camera, ProjectionMatrix) else "--isocenter and the geometry"
    center = ct.grid.center_mm
    return f"The {word} view misses the CT: every ray passes beside it ({where}CT centre {center}). Check {hint}."


def scatter_spread_px(exposure: Exposure, cameras: Mapping[str, Camera], spacing: tuple[float, float] | None) -> float:
    """The scatter's standard deviation in pixels of the first camera; ``spacing`` (row, column) in mm where a matrix
    does not say it. Raises InputError where nothing does and scatter is asked for."""
    first = next(iter(cameras.values()))
    if isinstance(first, View):
        spacing = first.detector.pixel_spacing_mm
    if spacing is None:
        if exposure.scatter_to_primary > 0:
            raise InputError(
                "Expected a pixel spacing for the scatter's width, got a matrix alone; give --pixel-spacing."
            )
        return 1.0
    return exposure.scatter_mm / float(np.mean(spacing))


def write_radiograph(
    folder: Path,
    name: str,
    image: NDArray[np.float32],
    camera: Camera,
    spacing: tuple[float, float] | None = None,
) -> None:
    """One radiograph as NRRD, with its view or matrix inside, and as PNG for the eye.

    ``spacing`` is (row, column) in mm where a matrix does not say it; a view's own otherwise.
    """
    if isinstance(camera, ProjectionMatrix):
        fields = {MATRIX_KEY: json.dumps(camera.array.tolist())}
    else:
        fields, spacing = {VIEW_KEY: json.dumps(view_to_dict(camera))}, camera.detector.pixel_spacing_mm
    write_image_2d(folder / f"{name}.nrrd", image, spacing, fields)
    low, high = (float(value) for value in np.percentile(image, (0.5, 99.8)))
    write_png(folder / f"{name}.png", image, (low, high if high > low else low + 1.0))
