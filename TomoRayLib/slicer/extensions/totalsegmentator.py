"""Vertebrae of a CT through the extension TotalSegmentator, if it is installed. Not run in a real Slicer yet."""

from __future__ import annotations

import importlib.util
from typing import Any

import slicer
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.errors import InputError

# TotalSegmentator's task "total" knows C1-C7, T1-T12 and L1-L5.
STRUCTURES = tuple(f"vertebrae_{name}" for name in NAME_OF_LABEL.values() if name not in ("L6", "T13"))


def problem() -> str | None:
    """Return why the vertebrae cannot be segmented here, in a sentence; None if they can."""
    if hasattr(slicer.modules, "totalsegmentator") and importlib.util.find_spec("TotalSegmentator") is not None:
        return None
    return _("To segment vertebrae here, install the extension TotalSegmentator (Extensions Manager).")


def segment_vertebrae(ct: Any) -> Any:
    """Add a segmentation node with one segment per vertebra. Takes minutes, and Slicer waits. Raises InputError."""
    reason = problem()
    if reason is not None:
        raise InputError(reason)
    from TotalSegmentator import TotalSegmentatorLogic

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{ct.GetName()} vertebrae")
    try:
        logic = TotalSegmentatorLogic()
        logic.setupPythonRequirements()
        logic.process(ct, node, False, False, "total", list(STRUCTURES))
    except Exception as error:  # an extension of others may raise anything
        slicer.mrmlScene.RemoveNode(node)
        raise InputError(
            _("TotalSegmentator could not segment {name} ({reason}). Try it in its own module.").format(
                name=ct.GetName(), reason=str(error).splitlines()[0] if str(error) else type(error).__name__
            )
        ) from None
    return node
