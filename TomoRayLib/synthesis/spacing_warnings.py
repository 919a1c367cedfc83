"""What the user should check of the pixel spacing that a radiograph is taken to have."""

from __future__ import annotations

from TomoRayLib.geometry.beams import Beam, ConeBeam
from TomoRayLib.images.types import RadiographHeader

STAND_MODALITIES = ("CR", "DX", "RG")  # plain radiography: a wall stand or a table
SAME_ASPECT = 0.02
SMALL_FIELD_MM, SHORTEST_STAND_SID_MM = 100.0, 900.0  # at the detector; a film of a spine has 200 mm and more


def spacing_warnings(
    header: RadiographHeader, shape: tuple[int, ...], spacing_mm: tuple[float, float] | None, beam: Beam
) -> tuple[str, ...]:
    """Return a warning for pixels of another form than the header says, and for a field as small as if in cm.

    Args:
        header: The radiograph's header.
        shape: Its (rows, columns).
        spacing_mm: (row, column) at the detector; None if nothing states it.
        beam: The beam that it is taken with.
    """
    if spacing_mm is None:
        return ()
    return (*_aspect_warnings(header, spacing_mm), *_field_warnings(header, shape, spacing_mm, beam))


def _aspect_warnings(header: RadiographHeader, spacing_mm: tuple[float, float]) -> tuple[str, ...]:
    """A warning for pixels whose given size contradicts Pixel Aspect Ratio."""
    if header.pixel_aspect is None:
        return ()
    vertical, horizontal = header.pixel_aspect
    if abs(spacing_mm[0] / spacing_mm[1] * horizontal / vertical - 1.0) <= SAME_ASPECT:
        return ()
    return (
        f"Pixel Aspect Ratio (0028,0034) is {vertical:g} to {horizontal:g} (height to width), but the pixel spacing "
        f"{spacing_mm[0]:.3g} x {spacing_mm[1]:.3g} mm. Give both numbers of the spacing.",
    )


def _field_warnings(
    header: RadiographHeader, shape: tuple[int, ...], spacing_mm: tuple[float, float], beam: Beam
) -> tuple[str, ...]:
    """A warning for a plain film from afar that is as small as if its spacing were in cm."""
    if header.modality not in STAND_MODALITIES or not isinstance(beam, ConeBeam):
        return ()
    rows_mm, columns_mm = (count * mm for count, mm in zip(shape, spacing_mm, strict=True))
    if max(rows_mm, columns_mm) >= SMALL_FIELD_MM or beam.sid_mm < SHORTEST_STAND_SID_MM:
        return ()
    return (
        f"it shows {rows_mm:.0f} x {columns_mm:.0f} mm at the detector, little for a {header.modality} image with an "
        f"SID of {beam.sid_mm:.0f} mm: was the pixel spacing of {spacing_mm[0]:.3g} x {spacing_mm[1]:.3g} written in "
        "cm? Give it in mm if so.",
    )
