"""TomoRay's own layouts, and the one that was there before."""

from __future__ import annotations

from typing import Any

import slicer

# Ids of our own (Slicer's are below 500), and the names of their slice views.
COMPARE_ID, SYNTHETIC_ID, PLACING_ID = 5701, 5702, 5703
ID_OF_NAME = {"compare": COMPARE_ID, "synthetic": SYNTHETIC_ID}
UNCHANGED = "unchanged"  # the name of the layout that was there before
ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
TRUE_VIEWS = tuple(f"TomoRayTrue{orientation}" for orientation in ORIENTATIONS)
SYNTHETIC_VIEWS = tuple(f"TomoRaySynthetic{orientation}" for orientation in ORIENTATIONS)
RADIOGRAPH_VIEWS = ("TomoRayAP", "TomoRayLateral")
THREE_D_VIEW = "TomoRay3D"
VIEW_NAMES = (*TRUE_VIEWS, *SYNTHETIC_VIEWS, *RADIOGRAPH_VIEWS)

COLOR_OF_ORIENTATION = {"Axial": "#F34A33", "Coronal": "#6EB04B", "Sagittal": "#EDD54C"}  # as Slicer's own views
LINKED_GROUP, RADIOGRAPH_GROUP = 57, 58
PREVIOUS_KEY = "TomoRay.PreviousLayout"


def _slice_view(name: str, orientation: str, label: str, group: int) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{COLOR_OF_ORIENTATION[orientation]}</property>'
        f'<property name="viewgroup" action="default">{group}</property></view></item>'
    )


def _row(views: tuple[str, ...], prefix: str) -> str:
    cells = "".join(
        _slice_view(name, orientation, f"{prefix}{orientation[0]}", LINKED_GROUP)
        for name, orientation in zip(views, ORIENTATIONS, strict=True)
    )
    return f'<item><layout type="horizontal" split="true">{cells}</layout></item>'


THREE_D = (
    f'<item><view class="vtkMRMLViewNode" singletontag="{THREE_D_VIEW}">'
    '<property name="viewlabel" action="default">T3</property></view></item>'
)
TABLE = '<item><view class="vtkMRMLTableViewNode" singletontag="TomoRayScores"/></item>'


def _radiograph(name: str, label: str) -> str:
    return _slice_view(name, "Coronal", label, RADIOGRAPH_GROUP)


DESCRIPTION_OF_ID = {
    COMPARE_ID: (
        '<layout type="horizontal" split="true">'
        '<item splitSize="680"><layout type="vertical" split="true">'
        f"{_row(TRUE_VIEWS, 'T')}{_row(SYNTHETIC_VIEWS, 'S')}</layout></item>"
        f'<item splitSize="320"><layout type="vertical" split="true">{THREE_D}{TABLE}</layout></item></layout>'
    ),
    SYNTHETIC_ID: (
        '<layout type="vertical" split="true">'
        f"{_row(SYNTHETIC_VIEWS, 'S')}"
        '<item><layout type="horizontal" split="true">'
        f"{_radiograph(RADIOGRAPH_VIEWS[0], 'AP')}{_radiograph(RADIOGRAPH_VIEWS[1], 'LAT')}{THREE_D}"
        "</layout></item></layout>"
    ),
    PLACING_ID: (
        '<layout type="horizontal" split="true">'
        f"{_radiograph(RADIOGRAPH_VIEWS[0], 'AP')}{_radiograph(RADIOGRAPH_VIEWS[1], 'LAT')}</layout>"
    ),
}


def register(layout_node: Any) -> None:
    """Register the layouts with Slicer; safe to call again, and needed again after a scene was closed."""
    for number, description in DESCRIPTION_OF_ID.items():
        if layout_node.IsLayoutDescription(number):
            layout_node.SetLayoutDescription(number, description)
        else:
            layout_node.AddLayoutDescription(number, description)


def show(layout_node: Any, number: int) -> None:
    """Switch to one of TomoRay's layouts and remember the one before it for ``restore``."""
    register(layout_node)
    current = layout_node.GetViewArrangement()
    if current not in DESCRIPTION_OF_ID:
        layout_node.SetAttribute(PREVIOUS_KEY, str(current))
    layout_node.SetViewArrangement(number)  # even if it is that number already: a loaded scene has no description


def restore(layout_node: Any) -> None:
    """Go back to the layout before ``show``, unless the user has chosen another one meanwhile."""
    previous = layout_node.GetAttribute(PREVIOUS_KEY)
    if previous is not None and layout_node.GetViewArrangement() in DESCRIPTION_OF_ID:
        layout_node.SetViewArrangement(int(previous))
    layout_node.SetAttribute(PREVIOUS_KEY, None)


def layout_node() -> Any:
    """The scene's layout node."""
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
