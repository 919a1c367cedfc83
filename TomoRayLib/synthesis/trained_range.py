"""What of a pair's geometry lies outside of what a model was trained on."""

from __future__ import annotations

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, SlotScan
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.networks.radiograph_input import network_view
from TomoRayLib.weights import ModelEntry

SEEN_SHARE = 0.85  # training collimates up to a sixth of the height or width away


def geometry_notes(views: Biplanar, entry: ModelEntry) -> list[str]:
    """Return a warning for each view outside the geometry that the model was trained on.

    A detector that does not see the whole cube of the model is one of them. Raises InputError for one that sees nothing
    of it.
    """
    notes = []
    low, high = entry.geometry_range["sad_mm"]
    largest_deg = 3 * entry.geometry_range["angle_sd_deg"]
    corners_mm = Grid.cube(views.isocenter_mm, entry.fov_mm, 2).corners_mm()
    for name, view, angle_deg in (("AP", views.ap, 0.0), ("lateral", views.lateral, 90.0)):
        beam = network_view(view, views.isocenter_mm).beam  # in the plane of the synthetic CT, as it was trained
        if isinstance(beam, ConeBeam) and not low <= beam.sad_mm <= high:
            notes.append(f"{name}: SAD {beam.sad_mm:.0f} mm; the model was trained on {low:.0f} to {high:.0f} mm.")
        if isinstance(beam, SlotScan):
            notes.extend(f"{name}: {note}" for note in _slot_notes(beam, entry))
        off_deg = max(abs((view.gantry_angle_deg - angle_deg + 180) % 360 - 180), abs(view.tilt_deg))
        if off_deg > largest_deg:
            notes.append(f"{name}: {off_deg:.0f} degrees off its nominal direction; the model was trained on a few.")
        shadow = view.project_points(corners_mm)[:, ::-1]  # (row, column) of each corner
        seen = np.ptp(np.clip(shadow, -0.5, np.subtract(view.detector.shape, 0.5)), axis=0)
        share = float((seen / np.ptp(shadow, axis=0)).min())
        if share <= 0.0:
            raise InputError(
                f"{name} radiograph: expected an image of the {entry.fov_mm:.0f} mm cube of the synthetic CT, but its "
                "place puts it wholly beside that; check offsets, isocentre and their unit, mm.",
                "isocenter_mm",
            )
        if share < SEEN_SHARE:
            notes.append(
                f"{name}: the detector sees {share:.0%} of the {entry.fov_mm:.0f} mm cube's shadow; the rest is "
                "guessed."
            )
    return notes


def _slot_notes(beam: SlotScan, entry: ModelEntry) -> list[str]:
    """What the model has seen of slot scans."""
    trained_mm = entry.geometry_range.get("slot_sad_mm")
    if trained_mm is None:
        return ["a slot scan; the model was trained on cone and parallel beams alone."]
    low, high = trained_mm
    if low <= beam.sad_mm <= high:
        return []
    return [f"SAD {beam.sad_mm:.0f} mm; of slot scans the model was trained on {low:.0f} to {high:.0f} mm."]
