"""Letters R, L, A, P, S, I at the edges of slice views: where the patient's sides are."""

from __future__ import annotations

from typing import Any

import vtk

from TomoRayLib.slicer.views.annotation import views_of_application

LETTERS = (("R", "L"), ("A", "P"), ("S", "I"))  # of RAS axes: towards plus, towards minus
EDGES = (  # place in the view, and which column of SliceToRAS points there, with its sign
    ((0.98, 0.5), 0, 1),
    ((0.02, 0.5), 0, -1),
    ((0.5, 0.97), 1, 1),
    ((0.5, 0.03), 1, -1),
)
FONT_SIZE_PX = 24


class EdgeLetters:
    """The letters of some views; they are those of the view's own direction when ``show`` is called."""

    def __init__(self) -> None:
        self._actors: list[tuple[Any, Any]] = []  # (renderer, actor)

    def show(self, view_names: tuple[str, ...]) -> None:
        """Put letters on the views with these layout names, in place of those before."""
        self.remove()
        for window, node in views_of_application():
            if node.GetLayoutName() not in view_names or window is None:
                continue
            renderer: Any = window.GetRenderers().GetFirstRenderer()
            for place, axis, sign in EDGES:
                actor = _text_actor(letter_of(node.GetSliceToRAS(), axis, sign), place)
                renderer.AddViewProp(actor)
                self._actors.append((renderer, actor))
            window.Render()

    def remove(self) -> None:
        """Remove all letters."""
        for renderer, actor in self._actors:
            renderer.RemoveViewProp(actor)
        self._actors = []


def letter_of(slice_to_ras: Any, axis: int, sign: int) -> str:
    """The side of the patient towards which an axis of a slice view points: 0 to the right, 1 up; ``sign`` 1 or -1."""
    direction = [sign * slice_to_ras.GetElement(row, axis) for row in range(3)]
    largest = max(range(3), key=lambda row: abs(direction[row]))
    return LETTERS[largest][0 if direction[largest] > 0 else 1]


def _text_actor(text: str, place: tuple[float, float]) -> Any:
    actor = vtk.vtkTextActor()
    actor.SetInput(text)
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.SetPosition(*place)
    actor.SetPickable(False)
    style = actor.GetTextProperty()
    style.SetFontSize(FONT_SIZE_PX)
    style.SetBold(True)
    style.SetColor(1.0, 1.0, 1.0)
    style.SetShadow(True)
    style.SetJustification({0.98: 2, 0.02: 0}.get(place[0], 1))
    style.SetVerticalJustification({0.97: 2, 0.03: 0}.get(place[1], 1))
    return actor
