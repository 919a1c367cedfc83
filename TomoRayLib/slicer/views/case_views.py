"""One case in Slicer's views: layout, slices, overlays and marks brought in line with the look that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

from TomoRayLib.slicer.scene.case_nodes import CaseNodes, cases_in_scene
from TomoRayLib.slicer.views import (
    annotation,
    display,
    layouts,
    names,
    outlines,
    overlays,
    same_scale,
    true_background,
    visibility,
)


@dataclass(frozen=True)
class Look:
    """The look of a case in the views. Opacities are in 0..1.

    ``layout`` is a name in ``layouts``, ``window`` one in ``display.WINDOW_HU``, ``true_background`` one in
    ``true_background``. ``radiographs`` (AP, lateral) are for the layout that shows them, ``show_outline`` for the
    synthetic outline over them, ``show_names`` for the names of vertebrae; ``own_segmentation`` is the user's, left out
    of TomoRay's views.
    """

    layout: str
    window: str
    linked: bool
    show_difference: bool
    difference_opacity: float
    truth_opacity: float
    synthetic_opacity: float
    show_distance: bool
    radiographs: tuple[Any, Any] = (None, None)
    show_outline: bool = True
    show_names: bool = True
    own_segmentation: Any = None
    true_background: str = true_background.VERTEBRAE


class CaseViews:
    """Shows one case. What the user changes by hand in the views stays until the look itself changes."""

    def __init__(self, annotations: annotation.Keeper, scales: same_scale.ScaleKeeper) -> None:
        self.annotations, self.scales = annotations, scales
        self._applied: dict[str, Any] = {}

    def show(self, case: CaseNodes, look: Look) -> bool:
        """Apply what has changed since the last call; returns True if the case is another one, or a new result."""
        identity = case.synthetic.GetID(), case.synthetic.GetAttribute("TomoRay.MadeAt")
        is_new = self._changed("case", identity)
        if is_new:
            self._applied = {"case": identity}
            visibility.only_this_case(case, cases_in_scene())
        if self._changed("layout", look.layout):
            self._show_layout(case, look)
        if is_new and layouts.is_shown():
            visibility.keep_apart(case)  # its nodes are new, whatever layout was there before
        if self._changed("window", look.window):
            display.set_window(case, look.window)
        in_views = layouts.is_shown()
        if self._changed("background", (look.true_background, look.window)) and in_views:
            true_background.set_true_background(case, look.true_background, look.window)
        if self._changed("linked", look.linked):
            display.set_linked(case, look.linked)
            self.scales.is_on = look.linked
        if self._changed("difference", (look.show_difference, look.difference_opacity)):
            overlays.set_difference(case, look.show_difference, look.difference_opacity)
        if self._changed("outline", look.show_outline):
            outlines.set_outlines(case, look.show_outline)
        if self._changed("names", look.show_names):
            names.set_names(case, look.show_names)
            names.let_show_3d(case)
        surfaces = look.truth_opacity, look.synthetic_opacity, look.show_distance
        if self._changed("surfaces", surfaces):
            overlays.set_surfaces(case, *surfaces)
        self.annotations.refresh()
        return is_new

    def ask_layout_again(self) -> None:
        """Show the layout that is asked for at the next call of ``show``, though it was asked for before."""
        self._forget("layout")

    def show_again(self) -> None:
        """Apply everything at the next call of ``show``: the views are new, or the case is."""
        self._applied = {}

    def leave(self) -> None:
        """Give the views back: the layout before, and the user's own segmentations in it."""
        node = layouts.layout_node()
        if node is not None:
            layouts.restore(node)
        self._give_back()
        self.annotations.refresh()

    def come_back(self, case: CaseNodes, own_segmentation: Any) -> None:
        """Show TomoRay's layout again, its views as they were left."""
        number = layouts.ID_OF_NAME.get(self._applied.get("layout", layouts.UNCHANGED))
        if number is not None:
            layouts.show(layouts.layout_node(), _possible(number, case))
            visibility.keep_out(own_segmentation)
            visibility.keep_apart(case)
            names.let_show_3d(case)
            self._forget("background")
            self.scales.fit(case)
            self.annotations.refresh()

    def follow_layout(self, case: CaseNodes | None) -> None:
        """The layout has changed, whoever did it: give the user's views what is theirs, and TomoRay's what is ours."""
        if case is None or not layouts.is_shown():
            self._give_back()
        else:
            visibility.keep_apart(case)
            names.let_show_3d(case)
            self._forget("background")
            self.scales.fit(case)

    def _give_back(self) -> None:
        """Give back what was changed for TomoRay's views."""
        visibility.let_back()
        visibility.let_surfaces_out()
        true_background.give_windows_back()

    def _show_layout(self, case: CaseNodes, look: Look) -> None:
        number = layouts.ID_OF_NAME.get(look.layout)
        self._give_back()
        if number is None:
            layouts.restore(layouts.layout_node())
            self._forget("linked", "difference")
            return
        layouts.show(layouts.layout_node(), _possible(number, case))
        slicer.app.processEvents()
        display.show_slices(case)
        visibility.keep_apart(case)
        visibility.keep_out(look.own_segmentation)
        display.show_radiographs(*look.radiographs)
        self._forget("background", "linked", "difference", "outline", "names", "surfaces")
        self.scales.fit(case)
        views = annotation.views_of_application()
        display.look_at_surfaces(case, [one for one in views if one[1].GetLayoutName() in layouts.THREE_D_VIEWS])

    def _changed(self, name: str, value: Any) -> bool:
        changed = name not in self._applied or self._applied[name] != value
        self._applied[name] = value
        return changed

    def _forget(self, *names: str) -> None:
        for name in names:
            self._applied.pop(name, None)


def _possible(number: int, case: CaseNodes) -> int:
    """The layout itself, or the one without the true CT if the case has none."""
    return layouts.SYNTHETIC_ID if number == layouts.COMPARE_ID and case.truth is None else number
