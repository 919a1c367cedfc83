"""Where a number of a radiograph's geometry comes from: in a word for the panel, at length for its tooltip.

The origins themselves are those of ``synthesis.stated_geometry`` ("header", "preset", ...), as the report tells them.
"""

from __future__ import annotations

from slicer.i18n import tr as _

BY_USER = "given"
OWN_VIEW = "image file"  # of an image that TomoRay rendered
USUAL = "standard"  # the angle of a straight view, which nothing states


def word_of(origin: str) -> str:
    """The origin as the panel tells it of a number; empty if there is none."""
    if not origin:
        return ""
    if origin == BY_USER:
        return _("by you")
    if origin == USUAL:
        return _("usual")
    return _("preset") if origin.startswith("preset") else _("from the file")


def mark_of(origin: str) -> str:
    """The origin in the room that a box leaves behind its number; empty if there is none."""
    if not origin:
        return ""
    if origin == BY_USER:
        return _("you")
    if origin == USUAL:
        return _("usual")
    return _("preset") if origin.startswith("preset") else _("file")


def detail_of(origin: str, source_format: str) -> str:
    """The origin at length. ``source_format`` is that of the image's header, "DICOM" or another."""
    words = {
        BY_USER: _("entered by you"),
        OWN_VIEW: _("the view that TomoRay wrote into the image file"),
        USUAL: _("the usual angle of this view; nothing states it"),
        "header": _("DICOM header") if source_format == "DICOM" else _("image file"),
        "header's magnification": _("the magnification in the DICOM header"),
        "header, by its two spacings": _("the two pixel spacings in the DICOM header"),
        "header, calibrated at the patient, times the magnification": _(
            "DICOM header, calibrated at the patient, times the magnification"
        ),
        "header, at the isocentre, times the magnification along rows": _(
            "DICOM header, at the isocentre, times the magnification along rows"
        ),
        "preset": _("the default geometry"),
        "preset, scaled to the SID": _("the default geometry, scaled to the SID"),
        "preset, scaled to the SAD": _("the default geometry, scaled to the SAD"),
    }
    return words.get(origin, origin)
