"""The cameras of rendered radiographs: the pair, any gantry angles, or projection matrices from a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.synthesis.acquisition import rendering_views
from TomoRayLib.synthesis.matrix_files import read_matrices
from TomoRayLib.synthesis.settings import GeometryOptions, PoseOptions

OF_ONE_VIEW = ("offset_mm", "angle_deg", "pixel_spacing_mm")


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
    places = tuple(f"{view}_{what}" for view in ("ap", "lateral") for what in OF_ONE_VIEW)
    placed = next((name for name in places if getattr(options, name) is not None), None)
    if placed is not None and poses != PoseOptions():
        raise InputError(
            "Expected place or pixel spacing of the AP or the lateral view alone, or angles, tilt, roll, offset, beam "
            "or matrix for every view, got both; leave one out.",
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
    matrices = read_matrices(path, field)
    try:
        return {
            f"matrix{n + 1}": ProjectionMatrix(tuple(matrix.ravel().tolist()), *size)
            for n, matrix in enumerate(matrices)
        }
    except InputError as error:
        raise InputError(f"{Path(path).name}: {error}", field) from None
