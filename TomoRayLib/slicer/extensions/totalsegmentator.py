"""Vertebrae of a CT through the extension TotalSegmentator, if it is installed. Not run in a real Slicer yet."""

from __future__ import annotations

import importlib.util
from typing import Any

import slicer
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.errors import InputError

# Tasks of TotalSegmentator that name the vertebrae of a CT: whole ones (among 117 structures), and their bodies alone,
# which leave the discs free. Both know C1-C7, T1-T12 and L1-L5.
WHOLE, BODIES = "total", "vertebrae_pp"
STRUCTURES = tuple(f"vertebrae_{name}" for name in NAME_OF_LABEL.values() if name not in ("L6", "T13"))
TASK_KEY = "TomoRay.Task"  # attribute of a segmentation: the task that made it


def problem() -> str | None:
    """Return why the vertebrae cannot be segmented here, in a sentence; None if they can."""
    if hasattr(slicer.modules, "totalsegmentator") and importlib.util.find_spec("TotalSegmentator") is not None:
        return None
    return _("To segment vertebrae here, install the extension TotalSegmentator (Extensions Manager).")


def segment_vertebrae(ct: Any, task: str = WHOLE) -> Any:
    """Add a segmentation node with one segment per vertebra. Takes minutes, and Slicer waits.

    Args:
        ct: Volume node in HU.
        task: ``WHOLE`` or ``BODIES``.

    Raises:
        InputError: If TotalSegmentator is missing, does not know the task, or fails.
    """
    reason = problem()
    if reason is not None:
        raise InputError(reason)
    from TotalSegmentator import TotalSegmentatorLogic

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", _name_of(ct, task))
    try:
        logic = TotalSegmentatorLogic()
        logic.setupPythonRequirements()
        if task not in _tasks_known():
            raise InputError(
                _(
                    "The TotalSegmentator in this Slicer does not know the task {task}, which came with version 2.15. "
                    "Update it in its own module, or choose whole vertebrae."
                ).format(task=task)
            )
        # Of its own tasks all structures are wanted; a subset of "total" is much faster than all of it.
        subset = list(STRUCTURES) if task == WHOLE else None
        logic.process(ct, node, False, False, task, subset)
    except InputError:
        slicer.mrmlScene.RemoveNode(node)
        raise
    except Exception as error:  # an extension of others may raise anything
        slicer.mrmlScene.RemoveNode(node)
        raise InputError(
            _("TotalSegmentator could not segment {name} ({reason}). Try it in its own module.").format(
                name=ct.GetName(), reason=str(error).splitlines()[0] if str(error) else type(error).__name__
            )
        ) from None
    node.SetAttribute(TASK_KEY, task)
    return node


def holds_bodies_alone(node: Any) -> bool:
    """True for a segmentation of vertebral bodies that was made here: no synthetic CT is like it."""
    return node is not None and node.GetAttribute(TASK_KEY) == BODIES


def _name_of(ct: Any, task: str) -> str:
    name = _("{ct} vertebral bodies") if task == BODIES else _("{ct} vertebrae")
    return str(name.format(ct=ct.GetName()))


def _tasks_known() -> frozenset[str]:
    """The tasks of the Python package that the extension runs; it lists them by their classes."""
    from totalsegmentator.map_to_binary import class_map

    return frozenset(class_map)
