"""X-ray beams: cone, parallel and slot scan, with their distances along the central ray."""

from __future__ import annotations

from dataclasses import dataclass

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.number_checks import positive_numbers


@dataclass(frozen=True)
class ConeBeam:
    """A point source and a flat detector behind the isocentre.

    Args:
        sad_mm: Distance from source to isocentre (SAD).
        sid_mm: Distance from source to detector (SID) along the central ray, at least ``sad_mm``.

    Raises:
        InputError: If a distance is not above 0, or the detector lies before the isocentre.
    """

    sad_mm: float
    sid_mm: float

    def __post_init__(self) -> None:
        _set_distances(self, "Cone beam")

    @property
    def magnification(self) -> float:
        """Size on the detector over size at the isocentre."""
        return self.sid_mm / self.sad_mm

    @property
    def magnifications(self) -> tuple[float, float]:
        """(down a column, along a row), both ``magnification``."""
        return (self.magnification, self.magnification)


@dataclass(frozen=True)
class ParallelBeam:
    """Rays parallel to the central ray: magnification 1 everywhere."""

    @property
    def magnification(self) -> float:
        """1: no beam diverges."""
        return 1.0

    @property
    def magnifications(self) -> tuple[float, float]:
        """(down a column, along a row), both 1."""
        return (1.0, 1.0)


@dataclass(frozen=True)
class SlotScan:
    """A slot scanner (EOS): a fan across the body, moved along it.

    Source and detector row travel together along the detector's columns, so rays diverge along a row (magnification
    SID / SAD) and are parallel along a column (1). The detector's row spacing is the way between two exposures. There
    is no 3 x 4 projection matrix; ``View.pixel_map`` and ``View.project_points`` serve every beam.

    Args:
        sad_mm: Distance from source to isocentre in the plane of the fan.
        sid_mm: Distance from source to detector in the plane of the fan, at least ``sad_mm``.

    Raises:
        InputError: If a distance is not above 0, or the detector lies before the isocentre.
    """

    sad_mm: float
    sid_mm: float

    def __post_init__(self) -> None:
        _set_distances(self, "Slot scan")

    @property
    def magnification(self) -> float:
        """Size on the detector over size at the isocentre, across the body; along it, it is 1."""
        return self.sid_mm / self.sad_mm

    @property
    def magnifications(self) -> tuple[float, float]:
        """(down a column, along a row): ``magnification`` is that along a row."""
        return (1.0, self.magnification)


Beam = ConeBeam | ParallelBeam | SlotScan


def _set_distances(beam: ConeBeam | SlotScan, name: str) -> None:
    names = {"sad_mm": "source to isocentre (SAD)", "sid_mm": "source to detector (SID)"}
    for field, words in names.items():
        given = (getattr(beam, field),)
        (distance_mm,) = positive_numbers(given, 1, f"{name}: the distance {words} in mm", "measure it.", field=field)
        object.__setattr__(beam, field, distance_mm)
    if beam.sid_mm < beam.sad_mm:
        raise InputError(
            f"{name}: the detector must lie behind the isocentre, SID at least SAD; got SAD {beam.sad_mm} mm and SID "
            f"{beam.sid_mm} mm. SAD is source to isocentre, SID source to detector: were they swapped?",
            field="sid_mm",
        )
