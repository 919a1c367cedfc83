"""Radiographs rendered from a CT (DRRs), and their files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.view_json import CENTER, VIEW_KEY, view_to_dict
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_image_2d, write_png
from TomoRayLib.projector.backends.choice import Backend
from TomoRayLib.projector.physics.attenuation import hu_to_attenuation, water_and_bone, water_attenuation_per_mm
from TomoRayLib.projector.physics.detection import add_noise, add_scatter, log_signal, transmission
from TomoRayLib.projector.physics.spectrum import kramers_spectrum, polyenergetic_transmission
from TomoRayLib.projector.projection import Method, project
from TomoRayLib.synthesis.settings import Exposure

MATRIX_KEY = "TomoRay.projection_matrix"  # under which image files carry their 3 x 4 matrix as JSON


def render(
    ct: Volume,
    cameras: Mapping[str, Camera],
    exposure: Exposure = Exposure(),  # noqa: B008 (frozen)
    *,
    method: Method = "auto",
    pixel_spacing_mm: tuple[float, float] | None = None,
    backend: Backend = "auto",
    overwrite: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """Render one radiograph of a CT for each camera.

    Args:
        ct: CT in HU, voxels (z, y, x).
        cameras: Views or 3 x 4 projection matrices, by name.
        exposure: What the image shows; by default the line integral of attenuation, dimensionless, bone bright.
        method: ``"rays"`` traces every ray (Siddon), ``"auto"`` chooses the faster method.
        pixel_spacing_mm: (row, column) at the detector for the width of scatter, if cameras are matrices.
        backend: As for ``projector.projection.project``.
        overwrite: Whether the voxels of ``ct`` may be lost, which saves their memory.

    Returns:
        One image (rows, columns) for each camera, by name.

    Raises:
        InputError: For a camera whose rays all miss the CT, and for an exposure or a camera that is impossible.
    """
    spread_px = scatter_spread_px(exposure, cameras, pixel_spacing_mm)
    hu = _tensor(ct.voxels)
    generator = torch.Generator().manual_seed(exposure.seed)
    volume = _attenuation(hu, exposure, overwrite)
    images = {}
    for name, camera in cameras.items():
        with warnings.catch_warnings():  # the error below says more
            warnings.filterwarnings("ignore", message="Every ray misses", category=RuntimeWarning)
            integrals = project(volume, ct.grid, camera, method=method, backend=backend)
        if not bool((integrals > 0).any()):
            raise _miss(name, camera, ct)
        images[name] = _exposed(integrals, exposure, spread_px, generator).numpy()
    return images


def _tensor(voxels: NDArray[np.number]) -> Tensor:
    """The voxels without a copy if PyTorch computes with their number type, else as float32."""
    kept = voxels.dtype in (np.int16, np.int32, np.float32) and voxels.flags.c_contiguous and voxels.flags.writeable
    return torch.from_numpy(voxels if kept else np.array(voxels, dtype=np.float32))


def _attenuation(hu: Tensor, exposure: Exposure, overwrite: bool) -> Tensor:
    """(z, y, x) in 1 / mm at one energy, or (2, z, y, x) fractions of water and bone for a spectrum."""
    if exposure.kvp is not None:
        return torch.stack(water_and_bone(hu))
    if exposure.energy_kev is not None:
        return hu_to_attenuation(hu, water_attenuation_per_mm(exposure.energy_kev))
    return hu_to_attenuation(hu, overwrite=overwrite)


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


def _miss(name: str, camera: Camera, ct: Volume) -> InputError:
    word = {"ap": "AP", "lat": "lateral"}.get(name, name)
    center = f"CT centre {ct.grid.center_mm}"
    if isinstance(camera, ProjectionMatrix):
        sentence = f"The {word} view misses the CT: no ray meets it ({center}). Check the matrix."
        return InputError(sentence, "matrix_file")
    return InputError(
        f"The {word} view misses the CT: no ray meets it (isocentre {camera.isocenter_mm}, {center}). Check the "
        "isocentre and the geometry.",
        "isocenter_mm",
    )


def scatter_spread_px(exposure: Exposure, cameras: Mapping[str, Camera], spacing: tuple[float, float] | None) -> float:
    """Standard deviation of the scatter in pixels of the first camera; ``spacing`` (row, column) in mm is for a matrix.

    Raises InputError if scatter is asked for and the spacing is unknown.
    """
    first = next(iter(cameras.values()))
    if isinstance(first, View):
        spacing = first.detector.pixel_spacing_mm
    if spacing is None:
        if exposure.scatter_to_primary > 0:
            raise InputError(
                "Expected a pixel spacing for the width of the scatter, got a matrix alone; give the pixel spacing.",
                "pixel_spacing_mm",
            )
        return 1.0
    return exposure.scatter_mm / float(np.mean(spacing))


def write_radiograph(
    folder: Path,
    name: str,
    image: NDArray[np.float32],
    camera: Camera,
    spacing: tuple[float, float] | None = None,
    center_mm: Vector3 | None = None,
) -> None:
    """Write a radiograph as ``name``.nrrd, with its view or matrix inside, and as ``name``.png to look at.

    Args:
        folder: Existing folder.
        name: File name without ending.
        image: (rows, columns).
        camera: The view or matrix that belongs to the image.
        spacing: (row, column) in mm; used for a matrix only, a view has its own.
        center_mm: The centre of the synthetic CT, if the view's isocentre is another point; written beside the view.
    """
    if isinstance(camera, ProjectionMatrix):
        fields = {MATRIX_KEY: json.dumps(camera.array.tolist())}
    else:
        beside = {} if center_mm is None else {CENTER: list(center_mm)}
        fields = {VIEW_KEY: json.dumps({**view_to_dict(camera), **beside})}
        spacing = camera.detector.pixel_spacing_mm
    write_image_2d(folder / f"{name}.nrrd", image, spacing, fields)
    low, high = (float(value) for value in np.percentile(image, (0.5, 99.8)))
    write_png(folder / f"{name}.png", image, (low, high if high > low else low + 1.0))
