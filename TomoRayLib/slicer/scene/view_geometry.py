"""The geometry of a radiograph as the panel shows and edits it, with the origin of each number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.scene.geometry_origins import OWN_VIEW, USUAL
from TomoRayLib.slicer.scene.nodes import Role

if TYPE_CHECKING:
    from TomoRayLib.geometry.beams import Beam
    from TomoRayLib.geometry.views import Biplanar, View
    from TomoRayLib.images.types import Radiograph

Shape = tuple[int, ...]
ANGLE_DEG = {Role.AP: 0.0, Role.LATERAL: 90.0}


@dataclass(frozen=True)
class ViewGeometry:
    """The geometry of one radiograph, as the panel shows and edits it.

    ``sid_mm`` and ``sad_mm`` are None for a parallel beam. ``pixel_spacing_mm`` = (row, column) at the detector, None
    if it is not known. The other numbers come from a file that TomoRay wrote, else they are 0. ``is_slot`` tells a fan
    that is moved along the body from a cone; ``spacing_is_at_isocenter`` that its column spacing hangs on SID and SAD.
    ``center_mm`` is that of the synthetic CT if the file has it beside its view; ``aspect`` is column over row spacing,
    also of a spacing that is not known.
    """

    sid_mm: float | None
    sad_mm: float | None
    pixel_spacing_mm: tuple[float, float] | None
    angle_deg: float
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    offset_mm: tuple[float, float] = (0.0, 0.0)
    isocenter_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    is_slot: bool = False
    spacing_is_at_isocenter: bool = False
    center_mm: tuple[float, float, float] | None = None
    aspect: float = field(default=1.0, compare=False)

    @property
    def magnifications(self) -> tuple[float, float]:
        """(down a column, along a row) as of the beam; 1 for distances that are not known."""
        magnification = self.sid_mm / self.sad_mm if self.sid_mm and self.sad_mm else 1.0
        return (1.0 if self.is_slot else magnification, magnification)

    @property
    def offset_at_isocenter_mm(self) -> tuple[float, float]:
        """(down, right) from the isocentre to the middle of the image, in the plane of the isocentre."""
        down, right = (value / larger for value, larger in zip(self.offset_mm, self.magnifications, strict=True))
        return (down, right)

    def view(self, rows: int, columns: int) -> View:
        """The view of an image of this size. Raises InputError for an impossible geometry."""
        from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
        from TomoRayLib.geometry.detector import Detector
        from TomoRayLib.geometry.views import View

        if self.pixel_spacing_mm is None:
            raise InputError(_("The pixel spacing is missing. Enter the size of a pixel at the detector in mm."))
        is_parallel = self.sid_mm is None or self.sad_mm is None
        diverging = SlotScan if self.is_slot else ConeBeam
        beam = ParallelBeam() if is_parallel else diverging(self.sad_mm, self.sid_mm)  # type: ignore[arg-type]
        detector = Detector(rows, columns, self.pixel_spacing_mm, self.offset_mm)
        return View(beam, detector, self.angle_deg, self.tilt_deg, self.roll_deg, self.isocenter_mm)


@dataclass(frozen=True)
class ViewOrigins:
    """The origin of each number of a ``ViewGeometry``, as ``stated_geometry`` names it; empty if it is not known.

    ``source_format`` is that of the image's header. ``warnings`` say what to check in the numbers, ``problem`` why they
    cannot be used as they are, and ``field`` of which setting it speaks: they hold until the user changes a number.
    ``of_image`` are the warnings of the reader.
    """

    sid: str
    sad: str
    spacing: str
    angle: str
    warnings: tuple[str, ...] = ()
    problem: str | None = None
    field: str | None = None
    of_image: tuple[str, ...] = ()
    source_format: str = ""


def geometry_of(radiograph: Radiograph, role: Role, preset: str | None) -> tuple[ViewGeometry, ViewOrigins]:
    """The geometry of a radiograph from its file, else its header, else the preset.

    ``preset`` is a key of ``geometry.PRESETS``, or None or empty for the one that fits the image. Raises InputError for
    an image that no numbers of the panel describe.
    """
    from TomoRayLib.geometry.view_json import VIEW_KEY
    from TomoRayLib.images.types import SLOT_SCAN
    from TomoRayLib.synthesis.settings import GeometryOptions
    from TomoRayLib.synthesis.stated_geometry import stated_geometry
    from TomoRayLib.synthesis.stored_views import stored_center, stored_view

    if VIEW_KEY in radiograph.metadata:
        view = stored_view(radiograph, role.value)
        geometry = ViewGeometry(
            *_distances(view.beam),
            view.detector.pixel_spacing_mm,
            view.gantry_angle_deg,
            view.tilt_deg,
            view.roll_deg,
            view.detector.offset_mm,
            view.isocenter_mm,
            _is_slot(view.beam),
            center_mm=stored_center(radiograph, role.value),
        )
        return geometry, ViewOrigins(*4 * (OWN_VIEW,), source_format=radiograph.header.source_format)
    try:
        stated = stated_geometry(radiograph, GeometryOptions(preset=preset or None), ANGLE_DEG[role])
    except InputError as error:
        # The spacing of a slot scan hangs on its distances: a preset gives both, the panel's boxes do not.
        if error.field not in ("sid_mm", "sad_mm", "pixel_spacing_mm") or SLOT_SCAN in radiograph.header.refused:
            raise
        return _to_be_completed(radiograph, role, error)
    geometry = ViewGeometry(
        *_distances(stated.beam),
        stated.pixel_spacing_mm,
        stated.gantry_angle_deg,
        stated.tilt_deg,
        stated.roll_deg,
        stated.offset_mm,
        is_slot=_is_slot(stated.beam),
        spacing_is_at_isocenter=_is_slot(stated.beam) and SLOT_SCAN in radiograph.header.refused,
    )
    warnings = tuple(f"{role.label()}: {warning}" for warning in stated.warnings)
    return geometry, ViewOrigins(
        stated.sid_origin,
        stated.sad_origin,
        stated.spacing_origin,
        stated.angle_origin or USUAL,
        warnings,
        of_image=_warnings_of(radiograph, role),
        source_format=radiograph.header.source_format,
    )


def pair_of(ap: ViewGeometry, lateral: ViewGeometry, ap_shape: Shape, lateral_shape: Shape) -> Biplanar:
    """Both views of images of these (rows, columns), about the centre that both files have beside their views, if any.

    Raises InputError for an impossible geometry.
    """
    from TomoRayLib.geometry.views import Biplanar

    center_mm = ap.center_mm if ap.center_mm == lateral.center_mm else None
    return Biplanar(ap.view(*ap_shape), lateral.view(*lateral_shape), center_mm)


def _to_be_completed(radiograph: Radiograph, role: Role, error: InputError) -> tuple[ViewGeometry, ViewOrigins]:
    """The numbers that the header states, 0 for those that it does not, and why the user has to complete them."""
    header = radiograph.header
    spacing = None if "pixel_spacing_mm" in header.refused else radiograph.pixel_spacing_mm
    geometry = ViewGeometry(header.sid_mm or 0.0, header.sad_mm or 0.0, spacing, ANGLE_DEG[role])
    sid, sad, stated = ("header" if value else "" for value in (header.sid_mm, header.sad_mm, spacing))
    problem = f"{role.label()}: {error}"
    of_image = _warnings_of(radiograph, role)
    return geometry, ViewOrigins(sid, sad, stated, USUAL, (), problem, error.field, of_image, header.source_format)


def _warnings_of(radiograph: Radiograph, role: Role) -> tuple[str, ...]:
    return tuple(f"{role.label()}: {warning}" for warning in radiograph.header.warnings)


def _distances(beam: Beam) -> tuple[float | None, float | None]:
    """SID and SAD in mm, None for parallel rays."""
    from TomoRayLib.geometry.beams import ParallelBeam

    return (None, None) if isinstance(beam, ParallelBeam) else (beam.sid_mm, beam.sad_mm)


def _is_slot(beam: Beam) -> bool:
    from TomoRayLib.geometry.beams import SlotScan

    return isinstance(beam, SlotScan)


def write_geometry(
    path: Path,
    views: Biplanar,
    *,
    places_assumed: bool = False,
    origins: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write the geometry file of a job: both views as the user confirmed them.

    ``places_assumed`` says in the file that nobody placed the images, so that they may be aligned; ``origins`` where
    each number came from, by view.
    """
    from TomoRayLib.base.text_formats import write_json
    from TomoRayLib.synthesis.geometry_files import views_to_dict

    write_json(path, views_to_dict(views, places_assumed=places_assumed, origins=origins))


def is_placed(radiograph: Radiograph, geometry: ViewGeometry) -> bool:
    """Return whether the place of an image is known: from its file's own view or header, or from the user's numbers."""
    from TomoRayLib.synthesis.alignment import states_place

    return states_place(radiograph) or any(value != 0.0 for value in (*geometry.offset_mm, *geometry.isocenter_mm))
