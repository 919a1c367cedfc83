"""A cursor linked between a volume and its two radiographs: one point, and where each view shows it.

The point in the volume marks both radiographs at its projection through the true views. A mark that is moved in a
radiograph puts the point where the rays of both marks come nearest to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from TomoRayLib.geometry.triangulation import meeting_of
from TomoRayLib.slicer.scene.case_nodes import CaseNodes
from TomoRayLib.slicer.scene.case_radiographs import CaseRadiographs
from TomoRayLib.slicer.scene.nodes import NOTICE_KEY, in_scene
from TomoRayLib.slicer.scene.outlines import field_of_frame, lay_on
from TomoRayLib.slicer.scene.upright import Frame, add_helper, add_upright, remove_helpers
from TomoRayLib.slicer.views import display, layouts
from TomoRayLib.slicer.views.edge_letters import EdgeLetters
from TomoRayLib.slicer.views.outlines import OUTLINE_ROLE, set_outlines
from TomoRayLib.slicer.views.visibility import view_ids

OWNER = "cursor"
VIEW_OF = {"ap": layouts.RADIOGRAPH_VIEWS[0], "lateral": layouts.RADIOGRAPH_VIEWS[1]}
VOLUME = "volume"
COLOR = (0.8, 0.47, 0.65)  # Okabe and Ito's reddish purple
RAS_OF_LPS = np.array([-1.0, -1.0, 1.0])


class CursorViews:
    """Keeps the three marks together. ``told(gap_mm)`` is called after a move: None after one in the volume."""

    def __init__(self, told: Callable[[float | None], None]) -> None:
        self._told = told
        self._case: CaseNodes | None = None
        self._radiographs: CaseRadiographs | None = None
        self._marks: dict[str, Any] = {}
        self._tags: list[tuple[Any, int]] = []
        self._busy = False
        self._letters = EdgeLetters()

    def show(self, case: CaseNodes, radiographs: CaseRadiographs, with_outline: bool = True) -> None:
        """Show the radiographs of a case, with the synthetic outline if wanted, and the cursor, in the middle of its
        vertebrae."""
        self.hide()
        self._case, self._radiographs = case, radiographs
        names = {"ap": _("AP with cursor"), "lateral": _("Lateral with cursor")}
        for view, pixels in radiographs.pixels.items():
            volume = add_upright(names[view], pixels, radiographs.frames[view], OWNER)
            _add_outline(volume, getattr(case, f"{view}_outline"), radiographs.frames[view])
            display.show_alone(VIEW_OF[view], volume)
            self._add_mark(view, radiographs.frames[view].ras((0.0, 0.0)), (VIEW_OF[view],))
        volume_views = (*layouts.TRUE_VIEWS, *layouts.SYNTHETIC_VIEWS, *layouts.THREE_D_VIEWS)
        self._add_mark(VOLUME, display.middle_of(case), volume_views)
        set_outlines(case, with_outline)
        self._letters.show(tuple(VIEW_OF.values()))
        self._on_moved(VOLUME)

    def hide(self) -> None:
        """Remove radiographs and marks."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags, self._marks, self._case, self._radiographs = [], {}, None, None
        self._letters.remove()
        remove_helpers(OWNER)

    @property
    def complete(self) -> bool:
        """False once a mark was deleted, or none is shown."""
        return bool(self._marks) and all(in_scene(node) for node in self._marks.values())

    def place(self, mark: str) -> tuple[float, float, float]:
        """Where a mark ("ap", "lateral" or "volume") is in RAS."""
        ras = [0.0] * 3
        self._marks[mark].GetNthControlPointPositionWorld(0, ras)
        return (ras[0], ras[1], ras[2])

    def pixel(self, view: str) -> tuple[float, float]:
        """The pixel (row, column) that the mark of a view is on."""
        assert self._radiographs is not None
        return self._radiographs.frames[view].pixel(self.place(view))

    def _add_mark(self, name: str, ras: tuple[float, float, float], view_names: tuple[str, ...]) -> None:
        node = add_helper("vtkMRMLMarkupsFiducialNode", _("cursor"), OWNER)
        self._marks[name] = node
        node.AddControlPointWorld(ras, "")
        node.SetFixedNumberOfControlPoints(True)
        node.CreateDefaultDisplayNodes()
        look = node.GetDisplayNode()
        for view in view_ids(view_names):
            look.AddViewNodeID(view)
        look.SetSelectedColor(*COLOR)
        look.SetColor(*COLOR)
        look.SetActiveColor(*COLOR)
        look.SetSaveWithScene(False)
        look.SetPropertiesLabelVisibility(False)
        look.SetPointLabelsVisibility(False)
        look.SetGlyphTypeFromString("CrossDot2D")
        look.SetGlyphScale(6.0)
        self._tags.append((node, node.AddObserver(node.PointModifiedEvent, lambda *_a: self._on_moved(name))))

    def _on_moved(self, mark: str) -> None:
        radiographs = self._radiographs
        if self._busy or radiographs is None or self._case is None or not self.complete:
            return
        gap_mm = None
        if mark == VOLUME:
            lps = np.array(self.place(VOLUME)) * RAS_OF_LPS
            for view, frame in radiographs.frames.items():
                column, row = getattr(radiographs.views, view).project_points(lps[None])[0].tolist()
                self._put(view, frame.ras((row, column)))
        else:
            met = meeting_of(radiographs.views, self.pixel("ap"), self.pixel("lateral"))
            x, y, z = (np.array(met.point_mm) * RAS_OF_LPS).tolist()
            self._put(VOLUME, (x, y, z))
            gap_mm = met.gap_mm
        for logic in display.views_with(self._case):
            logic.GetSliceNode().JumpSliceByOffsetting(*self.place(VOLUME))
        self._told(gap_mm)

    def _put(self, mark: str, ras: tuple[float, float, float]) -> None:
        busy, self._busy = self._busy, True
        try:
            self._marks[mark].SetNthControlPointPositionWorld(0, ras)
        finally:
            self._busy = busy


def _add_outline(volume: Any, outline: Any, frame: Frame) -> None:
    """Add a copy of a case's outline, if there is one, on the helper volume of its radiograph."""
    if outline is None:
        return
    copy = add_helper("vtkMRMLLabelMapVolumeNode", outline.GetName(), OWNER)
    copy.SetAndObserveImageData(outline.GetImageData())
    copy.SetAttribute(NOTICE_KEY, outline.GetAttribute(NOTICE_KEY))
    copy.CreateDefaultDisplayNodes()
    copy.GetDisplayNode().SetSaveWithScene(False)
    if lay_on(copy, field_of_frame(frame)):
        volume.SetNodeReferenceID(OUTLINE_ROLE, copy.GetID())


def shows_radiographs() -> bool:
    """True if the layout has the views of both radiographs beside those of the volume."""
    node = layouts.layout_node()
    return node is not None and node.GetViewArrangement() == layouts.SYNTHETIC_ID
