"""A CT's scouts as the two radiographs of a synthesis: where the tube was, and the views that the network is told.

The central ray of a scout hits the middle of its rows, on the axis of the gantry. On which side the tube was no header
states: both are tried, by agreement of the scout with a projection of the CT.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.presets import ct_scout
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.dicom.scouts import AP, AXES_OF_ROLE, Scout, ScoutStudy, distances_of
from TomoRayLib.images.resampling import OUTSIDE_HU, resample_averaged
from TomoRayLib.images.types import Volume
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.acquisition import default_isocenter_mm
from TomoRayLib.synthesis.inputs import Inputs, SourceCT
from TomoRayLib.synthesis.settings import GeometryOptions

COMPARED_MM = 2.5  # voxels and pixels in which a scout is compared with the CT's bone
BONE_HU = 150.0
DETAIL_SD_MM = 10.0  # what is coarser is not compared: makers flatten it, and the table is not in every CT
PLAUSIBLE_SAD_MM = (300.0, 900.0)
LARGEST_AXIS_OFF_MM = 100.0  # between a scout's middle and the CT's centre
CLEAR = 0.02  # difference of two correlations that tells the sides apart
AGREES = 0.1  # a correlation below which scout and CT hardly show the same; a real pair has .2 to .4
NOMINAL_DEG = {AP: 0.0, "lateral": 90.0}
SIDES = {AP: ("in front", "behind"), "lateral": ("at the patient's left", "at the patient's right")}


@dataclass(frozen=True)
class TubeSide:
    """Where the tube of a scout was: 0 in front or at the patient's left, 1 on the other side; the correlations of the
    scout with the CT's projection from either side; and whether the scout has bone dark."""

    side: int
    correlations: tuple[float, float]
    inverted: bool

    @property
    def is_clear(self) -> bool:
        """True if one side agrees better than the other."""
        return abs(self.correlations[0] - self.correlations[1]) > CLEAR


def scout_inputs(study: ScoutStudy, source: SourceCT, geometry: GeometryOptions) -> Inputs:
    """Take a study's scouts as the radiographs of a synthesis that is compared with its CT.

    Args:
        study: Both scouts.
        source: The CT and, if there are any, its labels, on the middle of which the synthetic CT is centred.
        geometry: SAD, SID and isocentre, if the user gives them; else those of the headers, else typical ones.

    Raises:
        InputError: For a preset or a geometry file, which cannot go before the places that the headers state, and for a
            centre that a scout does not show.
    """
    allowed = GeometryOptions(sad_mm=geometry.sad_mm, sid_mm=geometry.sid_mm, isocenter_mm=geometry.isocenter_mm)
    if geometry != allowed:
        raise InputError(
            "Expected no preset, geometry file, pixel spacing, offset or angle with a study, whose headers state where "
            "the scouts lie; leave them out. SAD, SID and isocentre can be given.",
            "geometry",
        )
    center_mm, middle = default_isocenter_mm(source.ct, source.labels)
    if geometry.isocenter_mm is not None:
        center_mm, middle = geometry.isocenter_mm, "given"
    axis_mm = (study.ap.middle_mm[0], study.lateral.middle_mm[0])
    place = ", ".join(f"{value:.1f}" for value in center_mm)
    notes = [*study.notes, f"Isocentre ({place}) mm: {middle}."]
    warnings: list[str] = []
    images, views = [], []
    for scout in (study.ap, study.lateral):
        _check_shown(scout, center_mm)
        beam, origin = scout_beam(scout, study, geometry)
        tube = tube_side(scout, beam, axis_mm, source.ct)
        pixels = scout.pixels.max() + scout.pixels.min() - scout.pixels if tube.inverted else scout.pixels
        images.append(np.ascontiguousarray(pixels))
        views.append(scout_view(scout, beam, tube.side, axis_mm, center_mm))
        notes.append(
            f"{scout.role}: scout {scout.path.name}, SID {beam.sid_mm:.0f} mm, SAD {beam.sad_mm:.0f} mm ({origin})."
        )
        notes += [f"{scout.role}: {note}" for note in scout.notes]
        warnings += [f"{scout.role}: {warning}" for warning in scout.warnings]
        warnings += _off_axis(scout, source.ct)
        said, doubted = _said_of(scout, tube)
        notes += said
        warnings += doubted
    pair = Biplanar(views[0], views[1], center_mm)
    return Inputs(images[0], images[1], pair, source, (*source.notes, *notes), (*source.warnings, *warnings))


def scout_beam(scout: Scout, study: ScoutStudy, geometry: GeometryOptions) -> tuple[SlotScan, str]:
    """The beam of a scout, and where SID and SAD come from: given, its header, the CT's header, or typical values.

    Raises InputError for a distance that no CT scanner has.
    """
    typical = ct_scout().ap.beam
    assert isinstance(typical, SlotScan)
    of_ct = distances_of(study.ct[0])
    found: list[tuple[float, str]] = []
    for given, stated, in_ct, usual in (
        (geometry.sid_mm, scout.sid_mm, of_ct[0], typical.sid_mm),
        (geometry.sad_mm, scout.sad_mm, of_ct[1], typical.sad_mm),
    ):
        sources = ((given, "given"), (stated, "header"), (in_ct, "header of the CT"), (usual, "typical, not stated"))
        found.append(next((value, origin) for value, origin in sources if value is not None))
    (sid_mm, sid_origin), (sad_mm, sad_origin) = found
    low, high = PLAUSIBLE_SAD_MM
    if not low <= sad_mm <= high:
        raise InputError(
            f"{scout.role} scout {scout.path.name}: expected an SAD of {low:g} to {high:g} mm, as CT scanners have, "
            f"got {sad_mm:g} mm ({sad_origin}); give both distances in millimetres.",
            "sad_mm",
        )
    return SlotScan(sad_mm, sid_mm), sid_origin if sid_origin == sad_origin else f"{sid_origin}; {sad_origin}"


def tube_side(scout: Scout, beam: SlotScan, axis_mm: tuple[float, float], ct: Volume) -> TubeSide:
    """Find out on which side the tube was, by the correlation of a scout with the CT's bone projected from either.

    A fan shows bone that is near to its source larger, so that only one side fits.

    Args:
        scout: The scout.
        beam: Its beam.
        axis_mm: (x, y) of the axis of the gantry in LPS.
        ct: The CT in HU.
    """
    straight = resample_averaged(ct, _axis_aligned(ct.grid))  # the projector is fast for a scan along an axis alone
    hu = torch.from_numpy(straight.voxels)
    bone, inside = (hu - BONE_HU).clamp_min(0.0) / 1000.0, (hu > OUTSIDE_HU).float()
    image, view = _coarser(scout, beam, axis_mm)
    found = []
    for side in (0, 1):
        camera = _from_other_side(view) if side else view
        seen = [project(volume, straight.grid, camera).numpy() for volume in (bone, inside)]
        projected, met_mm = (one[:, ::-1] for one in seen) if side else seen
        found.append(_correlation(image, projected, met_mm > COMPARED_MM))
    inverted = min(found) < -AGREES and min(found) + max(found) < -CLEAR
    signed = [-value for value in found] if inverted else found
    return TubeSide(int(signed[1] > signed[0] + CLEAR), (signed[0], signed[1]), inverted)


def scout_view(scout: Scout, beam: SlotScan, side: int, axis_mm: tuple[float, float], center_mm: Vector3) -> View:
    """The view that a scout is taken with: seen from in front, or from the patient's left.

    The plane through ``center_mm``, the centre of the synthetic CT, is as large in it as in the scout. If the tube was
    on the other side (``side`` 1) the source is put opposite, as far from this plane: near and far are exchanged about
    it, because the network knows no sources behind or at the right.
    """
    along, depth = (0, 1) if scout.role == AP else (1, 0)  # axes in LPS
    nominal = View(beam, Detector(1, 1, (1.0, 1.0)), NOMINAL_DEG[scout.role])
    towards = float(nominal.to_source[depth]) * (-1.0 if side else 1.0)
    nearer_mm = (center_mm[depth] - axis_mm[depth]) * towards
    sad_mm = beam.sad_mm - nearer_mm
    if sad_mm <= 0:
        raise InputError(
            f"Expected a centre before the tube, got {center_mm}, {-sad_mm:.0f} mm behind it; check the isocentre.",
            "isocenter_mm",
        )
    rows, columns = scout.pixels.shape
    spacing_mm = (scout.spacing_mm[0], scout.spacing_mm[1] * sad_mm / beam.sad_mm)
    down_mm = center_mm[2] - scout.middle_mm[1]
    isocenter = [center_mm[0], center_mm[1], center_mm[2]]
    isocenter[along] = axis_mm[along]
    return View(
        SlotScan(sad_mm, sad_mm),
        Detector(rows, columns, spacing_mm, (down_mm, 0.0)),
        NOMINAL_DEG[scout.role],
        isocenter_mm=(isocenter[0], isocenter[1], isocenter[2]),
    )


def _coarser(scout: Scout, beam: SlotScan, axis_mm: tuple[float, float]) -> tuple[NDArray[np.float32], View]:
    """A scout averaged to larger pixels, and its view with the tube in front, or at the patient's left."""
    row, column = (max(1, round(COMPARED_MM / spacing)) for spacing in scout.spacing_mm)
    rows, columns = scout.pixels.shape[0] // row, scout.pixels.shape[1] // column
    blocks = scout.pixels[: rows * row, : columns * column].reshape(rows, row, columns, column)
    spacing_mm = (scout.spacing_mm[0] * row, scout.spacing_mm[1] * column)
    first = (
        scout.first_mm[0] + (column - 1) / 2 * scout.spacing_mm[1],
        scout.first_mm[1] - (row - 1) / 2 * scout.spacing_mm[0],
    )
    middle_z = first[1] - (rows - 1) / 2 * spacing_mm[0]
    right_mm = first[0] + (columns - 1) / 2 * spacing_mm[1] - axis_mm[0 if scout.role == AP else 1]
    detector = Detector(rows, columns, spacing_mm, (0.0, right_mm))
    view = View(
        SlotScan(beam.sad_mm, beam.sad_mm), detector, NOMINAL_DEG[scout.role], isocenter_mm=(*axis_mm, middle_z)
    )
    return blocks.mean(axis=(1, 3)), view


def _from_other_side(view: View) -> View:
    """The view of the same pixels with the source opposite; its columns run the other way."""
    down_mm, right_mm = view.detector.offset_mm
    detector = replace(view.detector, offset_mm=(down_mm, -right_mm))
    return replace(view, detector=detector, gantry_angle_deg=view.gantry_angle_deg + 180.0)


def _axis_aligned(grid: Grid) -> Grid:
    """Cubic voxels of ``COMPARED_MM`` along the patient's axes that hold a grid."""
    low, high = grid.corners_mm().min(axis=0), grid.corners_mm().max(axis=0)
    i, j, k = (int(count) for count in np.ceil((high - low) / COMPARED_MM))
    x, y, z = (low + COMPARED_MM / 2).tolist()
    return Grid((i, j, k), (COMPARED_MM,) * 3, (x, y, z))


def _correlation(image: NDArray[np.float32], projected: NDArray[np.float32], met: NDArray[np.bool_]) -> float:
    """Pearson's correlation of what is finer than ``DETAIL_SD_MM``, well within the pixels whose rays have ``met`` the
    CT; 0 if there are none."""
    sd_px = DETAIL_SD_MM / COMPARED_MM
    within = ndimage.binary_erosion(met, iterations=max(1, round(sd_px)))
    details = [one[within] - ndimage.gaussian_filter(one, sd_px)[within] for one in (image, projected)]
    if np.count_nonzero(within) < 2 or not all(one.std() for one in details):
        return 0.0
    return float(np.corrcoef(*details)[0, 1])


def _check_shown(scout: Scout, center_mm: Vector3) -> None:
    for (low, high), value, word in zip(
        (scout.rows_mm, scout.columns_mm),
        (center_mm[2], center_mm[AXES_OF_ROLE[scout.role]]),
        ("height", "place across"),
        strict=True,
    ):
        if not low <= value <= high:
            raise InputError(
                f"{scout.role} scout {scout.path.name}: expected it to show the {word} {value:.0f} mm, on which the "
                f"synthetic CT is centred, got {low:.0f} to {high:.0f} mm; give an isocentre within it.",
                "isocenter_mm",
            )


def _off_axis(scout: Scout, ct: Volume) -> list[str]:
    """A warning for a scout whose middle, taken for the axis of the gantry, lies far from the CT's centre."""
    off_mm = scout.middle_mm[0] - ct.grid.center_mm[AXES_OF_ROLE[scout.role]]
    if abs(off_mm) <= LARGEST_AXIS_OFF_MM:
        return []
    return [
        f"{scout.role}: the middle of the scout, taken for the axis of the gantry, lies {abs(off_mm):.0f} mm beside "
        "the CT's centre: was the scout cropped? Its fan is then drawn from a wrong place."
    ]


def _said_of(scout: Scout, tube: TubeSide) -> tuple[list[str], list[str]]:
    """Notes and warnings on how a scout was taken."""
    near, far = (f"{value:.3f}" for value in tube.correlations)
    names = SIDES[scout.role]
    agreement = f"agreement with the CT {near} {names[0]}, {far} {names[1]}"
    notes = [f"{scout.role}: tube {names[tube.side]} ({agreement})."]
    warnings = []
    if not tube.is_clear:
        notes = [f"{scout.role}: tube taken to be {names[0]}; either side agrees alike ({agreement})."]
    if tube.side:
        notes.append(f"{scout.role}: the source was put on the opposite side, so near and far are exchanged.")
    if tube.inverted:
        notes.append(f"{scout.role}: inverted, because its bright parts are dark in the CT's projection.")
    if max(tube.correlations) < AGREES:
        warnings.append(
            f"{scout.role}: the scout {Path(scout.path).name} hardly agrees with the CT's projection ({agreement}): "
            "check that both are of this patient and position."
        )
    return notes, warnings
