"""TomoRay's own layouts, and the one that was there before."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

import slicer
from slicer.i18n import tr as _

# Ids of our own (Slicer's are below 500), and the names of their views.
COMPARE_ID, SYNTHETIC_ID, PLACING_ID = 5701, 5702, 5703
OWN_IDS = frozenset((COMPARE_ID, SYNTHETIC_ID, PLACING_ID))
ID_OF_NAME = {"compare": COMPARE_ID, "synthetic": SYNTHETIC_ID}
UNCHANGED = "unchanged"  # the name of the layout that was there before
ORIENTATIONS = ("Axial", "Coronal", "Sagittal")
TRUE_VIEWS = tuple(f"TomoRayTrue{orientation}" for orientation in ORIENTATIONS)
SYNTHETIC_VIEWS = tuple(f"TomoRaySynthetic{orientation}" for orientation in ORIENTATIONS)
RADIOGRAPH_VIEWS = ("TomoRayAP", "TomoRayLateral")
TRUE_3D, SYNTHETIC_3D = "TomoRayTrue3D", "TomoRay3D"
THREE_D_VIEWS = (TRUE_3D, SYNTHETIC_3D)
VIEW_NAMES = (*TRUE_VIEWS, *SYNTHETIC_VIEWS, *RADIOGRAPH_VIEWS)

COLOR_OF_ORIENTATION = {"Axial": "#F34A33", "Coronal": "#6EB04B", "Sagittal": "#EDD54C"}  # as Slicer's own views
LINKED_GROUP, RADIOGRAPH_GROUP, THREE_D_GROUP = 57, 58, 59
PREVIOUS_KEY = "TomoRay.PreviousLayout"


def _labels() -> dict[str, str]:
    """What each view is called on the screen: words, for "T3" is a vertebra."""
    true = (_("True axial"), _("True coronal"), _("True sagittal"))
    synthetic = (_("Synthetic axial"), _("Synthetic coronal"), _("Synthetic sagittal"))
    others = (_("AP radiograph"), _("Lateral radiograph"), _("True 3D"), _("Synthetic 3D"))
    return dict(zip((*VIEW_NAMES, *THREE_D_VIEWS), (*true, *synthetic, *others), strict=True))


def _view(kind: str, name: str, **properties: str | int) -> str:
    """A view of a layout. Its label is set again whenever the layout is shown: scenes of older versions have others."""
    label = escape(_labels()[name])
    texts = [f'<property name="viewlabel" action="{action}">{label}</property>' for action in ("default", "relayout")]
    texts += [f'<property name="{key}" action="default">{value}</property>' for key, value in properties.items()]
    return f'<item><view class="{kind}" singletontag="{name}">{"".join(texts)}</view></item>'


def _slice_view(name: str, orientation: str, group: int) -> str:
    color = COLOR_OF_ORIENTATION[orientation]
    return _view("vtkMRMLSliceNode", name, orientation=orientation, viewcolor=color, viewgroup=group)


def _three_d(name: str) -> str:
    return _view("vtkMRMLViewNode", name, viewgroup=THREE_D_GROUP)


def _layout(kind: str, *items: str, size: int = 0) -> str:
    """A layout in an item; ``size`` is its share of all items beside it, in thousandths."""
    own = f' splitSize="{size}"' if size else ""
    return f'<item{own}><layout type="{kind}" split="true">{"".join(items)}</layout></item>'


def _row(views: tuple[str, ...]) -> str:
    named = zip(views, ORIENTATIONS, strict=True)
    return _layout("horizontal", *(_slice_view(name, orientation, LINKED_GROUP) for name, orientation in named))


def descriptions() -> dict[int, str]:
    """The XML of each layout by its id, in the language of the application."""
    radiographs = [_slice_view(name, "Coronal", RADIOGRAPH_GROUP) for name in RADIOGRAPH_VIEWS]
    slices = _layout("vertical", _row(TRUE_VIEWS), _row(SYNTHETIC_VIEWS), size=700)
    solids = _layout("vertical", _three_d(TRUE_3D), _three_d(SYNTHETIC_3D), size=300)
    below = _layout("horizontal", *radiographs, _three_d(SYNTHETIC_3D))
    wholes = {
        COMPARE_ID: _layout("horizontal", slices, solids),
        SYNTHETIC_ID: _layout("vertical", _row(SYNTHETIC_VIEWS), below),
        PLACING_ID: _layout("horizontal", *radiographs),
    }
    return {number: whole.removeprefix("<item>").removesuffix("</item>") for number, whole in wholes.items()}


def name_of(number: int) -> str | None:
    """The name of the layout with an id: ``UNCHANGED`` for one that is not TomoRay's, None for that of the placing
    step."""
    names = {identifier: name for name, identifier in ID_OF_NAME.items()}
    return None if number == PLACING_ID else names.get(number, UNCHANGED)


def register(layout_node: Any) -> None:
    """Register the layouts with Slicer; safe to call again, and needed again after a scene was closed."""
    for number, description in descriptions().items():
        if layout_node.IsLayoutDescription(number):
            layout_node.SetLayoutDescription(number, description)
        else:
            layout_node.AddLayoutDescription(number, description)


def show(layout_node: Any, number: int) -> None:
    """Switch to one of TomoRay's layouts and remember the one before it for ``restore``."""
    register(layout_node)
    current = layout_node.GetViewArrangement()
    if current not in OWN_IDS:
        layout_node.SetAttribute(PREVIOUS_KEY, str(current))
    layout_node.SetViewArrangement(number)  # even if it is that number already: a loaded scene has no description


def restore(layout_node: Any) -> None:
    """Go back to the layout before ``show``, unless the user has chosen another one meanwhile."""
    previous = layout_node.GetAttribute(PREVIOUS_KEY)
    if previous is not None and layout_node.GetViewArrangement() in OWN_IDS:
        layout_node.SetViewArrangement(int(previous))
    layout_node.SetAttribute(PREVIOUS_KEY, None)


def layout_node() -> Any:
    """The scene's layout node."""
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")


def is_shown() -> bool:
    """True if one of TomoRay's layouts is on the screen."""
    node = layout_node()
    return node is not None and node.GetViewArrangement() in OWN_IDS
