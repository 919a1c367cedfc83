"""The cameras of rendered radiographs: the pair, any gantry angles, or projection matrices from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.synthesis.acquisition import rendering_views
from TomoRayLib.synthesis.settings import GeometryOptions, PoseOptions


def cameras_of(
    options: GeometryOptions, poses: PoseOptions, views: tuple[str, ...], isocenter_mm: Vector3
) -> dict[str, Camera]:
    """Return the cameras to render, by the names of their files.

    Args:
        options: Geometry of the pair, or the distances and the detector of every view.
        poses: Angles, or a file of matrices, and what else changes every view.
        views: ``"ap"`` and ``"lat"``, either or both; used without angles and matrices.
        isocenter_mm: (x, y, z) in LPS, used if the options have none.

    Raises:
        InputError: For a geometry that no radiograph can be taken with, and for a file that holds no matrices.
    """
    places = ("ap_offset_mm", "lateral_offset_mm", "ap_angle_deg", "lateral_angle_deg")
    placed = next((name for name in places if getattr(options, name) is not None), None)
    if placed is not None and poses != PoseOptions():
        raise InputError(
            "Expected places of the AP and the lateral view alone, or angles, tilt, roll, offset, beam or matrix for "
            "every view, got both; leave one out.",
            placed,
        )
    if poses.matrix_file is not None:
        return dict(_matrices(poses.matrix_file, options.size))
    pair = rendering_views(options, isocenter_mm)
    if not poses.angles_deg:
        named = {"ap": pair.ap, "lat": pair.lateral}
        return {name: _posed(named[name], poses, options) for name in views}
    return {
        f"angle{angle:g}": _posed(replace(pair.ap, gantry_angle_deg=angle), poses, options)
        for angle in poses.angles_deg
    }


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
        raise InputError(
            f"Expected SAD and SID for a {name} beam, got a parallel geometry; give both, or another geometry.",
            "sad_mm",
        )
    return kind(options.sad_mm, options.sid_mm)


def _matrices(path: str, size: tuple[int, int] | None) -> dict[str, ProjectionMatrix]:
    if size is None:
        raise InputError(
            "Expected the detector's size together with a matrix, which does not hold it; give rows and columns.",
            "size",
        )
    field = "matrix_file"
    try:
        numbers = np.loadtxt(path, ndmin=2)
    except FileNotFoundError:
        raise InputError(
            f"Expected a file of projection matrices, got {path!r}, which does not exist.", field
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"Expected lines of four numbers in {Path(path).name}, got other text ({error}).", field
        ) from None
    if numbers.shape[1] != 4 or not len(numbers) or len(numbers) % 3:
        raise InputError(
            f"Expected three lines of four numbers for each matrix in {Path(path).name}, got {len(numbers)} lines of "
            f"{numbers.shape[1]}; leave out a fourth row (0 0 0 1).",
            field,
        )
    try:
        return {
            f"matrix{n + 1}": ProjectionMatrix(tuple(matrix.ravel().tolist()), *size)
            for n, matrix in enumerate(numbers.reshape(-1, 3, 4))
        }
    except InputError as error:
        raise InputError(f"{Path(path).name}: {error}", field) from None
