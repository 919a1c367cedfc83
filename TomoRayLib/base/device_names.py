"""The names by which a job asks for a device."""

from __future__ import annotations

from TomoRayLib.base.errors import InputError


def check_device_name(wanted: str) -> None:
    """Raise InputError for a text that names no device: expected auto, cpu, cuda or cuda:<number>. Loads nothing."""
    kind, _, number = wanted.partition(":")
    if wanted not in ("auto", "cpu") and (kind != "cuda" or not (number.isdecimal() or wanted == "cuda")):
        raise InputError(
            f"Expected the device auto, cpu, cuda or cuda:<number>, got {wanted!r}; choose one of these.", "device"
        )
