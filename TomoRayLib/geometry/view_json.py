"""Views as plain numbers, for job files, image headers and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.views import View

VIEW_KEY = "TomoRay.view"  # under which image files carry ``view_to_dict`` as JSON
CENTER = "center_mm"  # beside a view or a pair of views: the centre of the synthetic CT, if it is no isocentre
BEAM_KINDS: dict[type[Beam], str] = {ConeBeam: "cone", ParallelBeam: "parallel", SlotScan: "slot"}


def view_to_dict(view: View) -> dict[str, Any]:
    """A view as plain numbers; ``view_from_dict`` is its inverse.

    Args:
        view: Any view.

    Returns:
        The fields of ``View``, with ``detector`` and ``beam`` as dictionaries and the beam's ``kind`` "cone",
        "parallel" or "slot"; lengths in mm, angles in degrees.
    """
    values = asdict(view)
    values["beam"] = {"kind": BEAM_KINDS[type(view.beam)], **values["beam"]}
    return values


def view_from_dict(values: Mapping[str, Any]) -> View:
    """The view that ``view_to_dict`` wrote.

    Args:
        values: ``beam`` (``kind``, and ``sad_mm`` and ``sid_mm`` for a cone or slot), ``detector`` (``rows``,
            ``columns``, ``pixel_spacing_mm``) and, if not the defaults, the other fields of ``View`` and ``Detector``.

    Returns:
        The view.

    Raises:
        InputError: If an entry is missing, unknown or impossible.
    """
    try:
        content = {name: value for name, value in dict(values).items() if name != CENTER}
        beam_values = dict(content.pop("beam"))
        kind = beam_values.pop("kind")
        kinds = {name: kind_of_beam for kind_of_beam, name in BEAM_KINDS.items()}
        if kind not in kinds:
            raise InputError(f"A view's beam kind must be one of {sorted(kinds)}; got {kind!r}.", field="geometry")
        beam = kinds[kind](**beam_values)
        return View(beam, Detector(**content.pop("detector")), **content)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"A view needs beam (kind, and sad_mm and sid_mm for a cone or slot) and detector (rows, columns, "
            f"pixel_spacing_mm); got {values!r} ({error}).",
            field="geometry",
        ) from None
