"""The synthetic bone seen again as the radiographs saw the patient: its shadow, and how well that fits the pictures.

No CT is needed. The figure says whether end plates and edges of the synthetic spine lie where the radiograph has them;
it cannot say whether two views that contradict each other were put together wrongly, as the network fits each of them.
See ``Testing/Benchmarks/agreement.py`` for how it goes with Dice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.view_json import VIEW_KEY, view_to_dict
from TomoRayLib.geometry.views import View
from TomoRayLib.images.writing import write_image_2d
from TomoRayLib.networks.radiograph_input import network_view, normalise, to_network_detector
from TomoRayLib.projector.backends.choice import Backend
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.model_run import SyntheticCT

Image = NDArray[np.float32]

BACKEND: Backend = "torch"  # loading numba takes longer than these few images
SHADOW_PX = 360  # at most, along the longer side: half of what the report draws
OUTLINE_MM = 3.0  # of bone along the ray; the outline runs where there is more
BESIDE_PX = 6  # around the shadow, what counts for the agreement
EDGE_PX = (2.0, 4.0)  # along and across the body: standard deviation at which edges are looked for


@dataclass(frozen=True, eq=False)
class Reprojection:
    """The synthetic bone in one radiograph.

    Args:
        thickness_mm: (rows, columns) millimetres of synthetic bone along each ray, over the field of the radiograph on
            pixels of its own, at most 360 along the longer side.
        agreement: Correlation, -1 to 1, of the edges across the body in radiograph and reprojection, within and beside
            the bone's shadow; None without any bone in the picture.
    """

    thickness_mm: Image
    agreement: float | None

    @property
    def shadow(self) -> NDArray[np.bool_]:
        """(rows, columns) where the ray meets more than 3 mm of synthetic bone."""
        return self.thickness_mm > OUTLINE_MM


def reproject(synthetic: SyntheticCT, image: Image, view: View) -> Reprojection:
    """Project the synthetic bone through the view of a radiograph and compare both.

    Args:
        synthetic: The synthetic CT.
        image: The radiograph (rows, columns), bone bright, on the detector of ``view``.
        view: Its view, in the frame of ``synthetic``.

    Returns:
        Shadow and agreement.
    """
    bone = torch.from_numpy(synthetic.mask.astype(np.float32))
    coarse = replace(view, detector=coarse_detector(view.detector))
    thickness = project(bone, synthetic.grid, coarse, backend=BACKEND)
    return Reprojection(thickness.numpy(), agreement(synthetic, image, view))


def write_reprojection(path: Path, seen: Reprojection, view: View) -> None:
    """Write the thickness of the synthetic bone in mm as a 2D NRRD, marked as synthetic, with its view inside.

    ``view`` is that of the radiograph; the file holds it with the pixels of the reprojection. Raises OutputError.
    """
    coarse = replace(view, detector=coarse_detector(view.detector))
    fields = {VIEW_KEY: json.dumps(view_to_dict(coarse)), "TomoRay.notice": NOTICE}
    write_image_2d(path, seen.thickness_mm, coarse.detector.pixel_spacing_mm, fields)


def coarse_detector(detector: Detector, longest: int = SHADOW_PX) -> Detector:
    """The same field on larger pixels, at most ``longest`` along a side."""
    factor = max(1.0, max(detector.shape) / longest)
    rows, columns = (max(1, round(count / factor)) for count in detector.shape)
    row_mm, column_mm = detector.pixel_spacing_mm
    spacing_mm = (row_mm * detector.rows / rows, column_mm * detector.columns / columns)
    return Detector(rows, columns, spacing_mm, detector.offset_mm)


def agreement(synthetic: SyntheticCT, image: Image, view: View) -> float | None:
    """Correlation of edges across the body in a radiograph and in the synthetic CT's projection, see ``Reprojection``.

    Both are compared on the network's detector, where a pixel is 4/3 mm at the middle of the synthetic CT.
    """
    center_mm = synthetic.grid.center_mm
    seen = network_view(view, center_mm)
    grey, bone = (
        project(
            torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)),
            synthetic.grid,
            seen,
            backend=BACKEND,
        )
        for values in (synthetic.grey, synthetic.mask)
    )
    zone = ndimage.binary_dilation(bone.numpy() > OUTLINE_MM, iterations=BESIDE_PX) & _seen_by(view, seen)
    if np.count_nonzero(zone) < 100:
        return None
    pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
    given = normalise(to_network_detector(pixels - pixels.min(), view, center_mm))[1].numpy()
    ours = normalise(grey)[1].numpy()
    return _correlation(_edges(given)[zone], _edges(ours)[zone])


def _seen_by(view: View, seen: View) -> NDArray[np.bool_]:
    """(rows, columns) of ``seen`` whose rays fall on the detector of ``view``."""
    places = view.project_points(seen.pixel_positions_mm().reshape(-1, 3))
    rows, columns = view.detector.shape
    on = (abs(places[:, 0] - (columns - 1) / 2) <= columns / 2) & (abs(places[:, 1] - (rows - 1) / 2) <= rows / 2)
    result: NDArray[np.bool_] = on.reshape(seen.detector.shape)
    return result


def _edges(image: Image) -> NDArray[np.float64]:
    """How steeply the image gets brighter from row to row."""
    steep: NDArray[np.float64] = np.gradient(ndimage.gaussian_filter(image.astype(np.float64), EDGE_PX), axis=0)
    return steep


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm > 0 else None
