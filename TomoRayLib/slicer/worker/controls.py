"""The panel's control for each setting: appended to what the library says of a setting, which names no control."""

from __future__ import annotations

from slicer.i18n import tr as _


def with_control(text: str, field: str | None) -> str:
    """A sentence of the library with the control to look at, if ``field`` names a setting that the panel has.

    Args:
        text: The sentence.
        field: A setting as the jobs name it, ``InputError.field`` or the ``field`` of an event.
    """
    control = control_of(field)
    return f"{text} ({control})" if control is not None else text


def control_of(field: str | None) -> str | None:
    """The label of the control that sets a field of a job; None if the panel has none."""
    return {
        "ap": _("Radiograph, AP"),
        "lateral": _("Radiograph, Lateral"),
        "flip_ap": _("Mirror, AP"),
        "flip_lateral": _("Mirror, Lateral"),
        "invert": _("Invert"),
        "invert_ap": _("Invert one, AP"),
        "invert_lateral": _("Invert one, Lateral"),
        "turn_ap": _("Turn, AP"),
        "turn_lateral": _("Turn, Lateral"),
        "sid_mm": _("SID"),
        "sad_mm": _("SAD"),
        "pixel_spacing_mm": _("Pixel spacing"),
        "ct": _("CT"),
        "study": _("Study"),
        "segmentation": _("Vertebrae"),
        "labels": _("Numbering"),
        "isocenter_mm": _("Centre"),
        "geometry": _("Geometry"),
        "model": _("Model, under Advanced"),
        "device": _("Device, under Advanced"),
        "fov_mm": _("Field of view, under Advanced"),
        "quantisation": _("Grey levels, under Advanced"),
        "anchor": _("Rename all"),
    }.get(field or "")
