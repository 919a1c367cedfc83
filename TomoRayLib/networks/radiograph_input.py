"""From a radiograph as it comes to what the network reads: bone bright, on the network's detector, normalised.

The network's detector stands at the isocentre (SID = SAD): 224 x 224 pixels of 4/3 mm, the voxel edge of the output,
298.7 mm in all, so that the corners of the 256 mm cube that lie nearest to the source are still seen. A radiograph
of any detector and magnification is resampled onto it through its own projection matrix.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.views import View
from TomoRayLib.projector.physics.blur import blur

NETWORK_PIXELS = 224
NETWORK_PIXEL_MM = 256.0 / 192.0
SAME_POINT_MM = 1e-6
NORMALISED_PERCENTILES = (1.0, 99.0)
LOCAL_SD_PX = 8.0
LOCAL_FLOOR = 0.02  # in units of the normalised grey value: keeps noise in empty regions small


def network_view(view: View, center_mm: Vector3 | None = None) -> View:
    """The view that the network sees: the same rays, on its own detector in the plane of the isocentre.

    With a ``center_mm`` (LPS) other than the isocentre, that of a synthetic CT, the detector stands in the plane
    through it and is moved so that it falls on the middle: the network sees as much on all sides, and as large, as it
    was taught.

    Raises InputError for a centre that lies behind the source.
    """
    away_mm = np.zeros(3) if center_mm is None else np.subtract(center_mm, view.isocenter_mm)
    if np.abs(away_mm).max() < SAME_POINT_MM:
        away_mm = np.zeros(3)
    beam, nearer_mm = view.beam, float(away_mm @ view.to_source)
    if not isinstance(beam, ParallelBeam):
        sad_mm = beam.sad_mm - nearer_mm
        if sad_mm <= 0:
            raise InputError(
                f"Expected a synthetic CT in front of the source, got its centre at {center_mm} mm, {-sad_mm:.0f} mm "
                "behind it; check the isocentre and the geometry.",
                "isocenter_mm",
            )
        beam = type(beam)(sad_mm, sad_mm)
    offset_mm = (float(away_mm @ view.down), float(away_mm @ view.right))
    detector = Detector(NETWORK_PIXELS, NETWORK_PIXELS, (NETWORK_PIXEL_MM, NETWORK_PIXEL_MM), offset_mm)
    x, y, z = (np.asarray(view.isocenter_mm) + nearer_mm * view.to_source).tolist()
    return replace(view, beam=beam, detector=detector, isocenter_mm=(x, y, z))


def to_network_detector(pixels: Tensor, view: View, center_mm: Vector3 | None = None) -> Tensor:
    """Resample a radiograph onto the network's detector, bilinearly and 0 outside.

    Finer detectors are averaged first, so that fine noise does not alias.

    Args:
        pixels: Radiograph (rows, columns), bone bright.
        view: The view of the radiograph, whose detector has as many rows and columns.
        center_mm: See ``network_view``.

    Returns:
        (224, 224) pixels of 4/3 mm, as ``network_view(view, center_mm)`` sees them.

    Raises:
        ValueError: The image does not have the detector's rows and columns.
    """
    if tuple(pixels.shape) != view.detector.shape:
        raise ValueError(
            f"The radiograph must have the rows and columns of its detector, {view.detector.shape}; got "
            f"{tuple(pixels.shape)}. Check the geometry's size, or whether the image is transposed."
        )
    target = network_view(view, center_mm)
    spacing_at_isocenter = np.divide(view.detector.pixel_spacing_mm, view.beam.magnifications)
    block = [max(1, round(float(NETWORK_PIXEL_MM / step))) for step in spacing_at_isocenter]
    block = [min(b, n) for b, n in zip(block, pixels.shape, strict=True)]
    image = F.avg_pool2d(pixels[None, None].float(), block, ceil_mode=True, count_include_pad=False)
    pixels_of_points = view.project_points(target.pixel_positions_mm().reshape(-1, 3))
    places = []
    for index, axis in ((0, 1), (1, 0)):
        pixel = pixels_of_points[:, index]
        pooled = (pixel + 0.5) / block[axis] - 0.5
        size = image.shape[2 + axis]
        places.append((2 * pooled + 1) / size - 1)
    sampling = torch.from_numpy(np.stack(places, axis=-1).astype(np.float32))
    sampling = sampling.view(1, NETWORK_PIXELS, NETWORK_PIXELS, 2).to(image.device)
    return F.grid_sample(image, sampling, align_corners=False)[0, 0]


def normalise(image: Tensor) -> Tensor:
    """The network's two channels (2, rows, columns) of one bone-bright image (rows, columns).

    Channel 0: grey values, the 1st percentile at -1 and the 99th at 1, clipped at -1.5 and 2.5. Channel 1: local
    contrast, the grey value less its surroundings (Gaussian of 8 pixels) over their standard deviation, clipped at
    -3 and 3, which thickness of the body, gamma and scatter hardly change. Any gain and offset gives the same result.
    """
    low, high = (_percentile(image.flatten(), percent) for percent in NORMALISED_PERCENTILES)
    grey = ((image - low) / (high - low).clamp_min(1e-6) * 2.0 - 1.0).clamp(-1.5, 2.5)
    detail = grey - blur(grey, LOCAL_SD_PX)
    spread = blur(detail.square(), LOCAL_SD_PX).sqrt()
    return torch.stack([grey, (detail / (spread + LOCAL_FLOOR)).clamp(-3.0, 3.0)])


def _percentile(values: Tensor, percent: float) -> Tensor:
    """What ``torch.quantile`` gives, by selection, which takes a third of the time of its sorting."""
    place = percent / 100.0 * (len(values) - 1)
    below = torch.kthvalue(values, int(place) + 1).values
    above = torch.kthvalue(values, min(int(place) + 2, len(values))).values
    return torch.lerp(below, above, place - int(place))


def cube_to_pixel(view: View, grid: Grid) -> NDArray[np.float64]:
    """4 x 4 matrix from cube coordinates (x, y, z, 1), -1..1 between the outer faces of ``grid``, to ``view``'s
    (column * w, row * v, w, v), see ``View.pixel_map``. The grid must be axis-aligned in LPS, as ``Grid.cube`` makes
    it."""
    cube_to_world = np.eye(4)
    cube_to_world[:3, :3] = grid.direction_matrix * (np.asarray(grid.extent_mm) / 2)
    cube_to_world[:3, 3] = grid.center_mm
    return view.pixel_map() @ cube_to_world


def mistaken(matrix: NDArray[np.float64], shift_px: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """``cube_to_pixel`` (4, 4) of a view on the network's detector that is ``scale`` times larger about the middle of
    that detector, then moved by ``shift_px`` (column, row)."""
    middle = (NETWORK_PIXELS - 1) / 2
    result = np.array(matrix, dtype=np.float64)
    result[:2] = scale * (matrix[:2] - middle * matrix[2:]) + (middle + shift_px[:, None]) * matrix[2:]
    return result


def network_input(images: list[Tensor], views: list[View], grid: Grid) -> tuple[Tensor, Tensor]:
    """Make the network's input from two radiographs of any detector.

    Args:
        images: AP and lateral radiograph, each (rows, columns), bone bright.
        views: The view of each.
        grid: The grid of the synthetic CT, axis-aligned in LPS as ``Grid.cube`` makes it.

    Returns:
        ``radiographs`` (1, 2, 2, 224, 224), views by channels (``normalise``), and ``cube_to_pixel`` (1, 2, 4, 4),
        matrices from the grid's cube, -1..1 between its outer faces, to (column * w, row * v, w, v).

    Raises:
        ValueError: An image does not have its detector's rows and columns.
    """
    above_floor = [image - image.min() for image in images]  # outside the detector there is nothing: the floor, 0
    center_mm = grid.center_mm
    radiographs = [
        normalise(to_network_detector(image, view, center_mm)) for image, view in zip(above_floor, views, strict=True)
    ]
    matrices = [torch.from_numpy(cube_to_pixel(network_view(view, center_mm), grid)).float() for view in views]
    return torch.stack(radiographs)[None], torch.stack(matrices)[None]
