"""Two upright radiographs side by side, each with a centre to drag, a level line and a ruler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from TomoRayLib.geometry.placing import ImagePlane
from TomoRayLib.slicer.scene.nodes import in_scene
from TomoRayLib.slicer.scene.upright import Frame, add_helper, add_upright, remove_helpers
from TomoRayLib.slicer.views import display, layouts
from TomoRayLib.slicer.views.edge_letters import EdgeLetters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pixel = tuple[float, float]
OWNER = "placing"
VIEW_OF = {"ap": layouts.RADIOGRAPH_VIEWS[0], "lateral": layouts.RADIOGRAPH_VIEWS[1]}
CENTER_COLOR, LINE_COLOR, RULER_COLOR = (1.0, 0.85, 0.2), (0.34, 0.71, 0.91), (0.84, 0.37, 0.0)  # after Okabe and Ito
SAME_PIXELS = 0.02  # what is nearer has not moved
LINE_SPAN = (0.06, 0.94)  # of the width, where the level line ends
RULER_PLACE = ((0.85, 0.3), (0.85, 0.7))  # of height and width, where a new ruler lies


@dataclass(frozen=True)
class Image:
    """An upright radiograph to place: its pixels, where they lie, and its plane (None: the spacing is not known)."""

    pixels: NDArray[np.float32]
    frame: Frame
    plane: ImagePlane | None
    center: Pixel


class PlacingViews:
    """The marks on both images. ``moved`` is called after somebody moved a centre or the ruler of a view."""

    def __init__(self, moved: Callable[[str], None]) -> None:
        self._moved = moved
        self._images: dict[str, Image] = {}
        self._marks: dict[tuple[str, str], Any] = {}  # (view, "center", "line" or "ruler") -> markups node
        self._tags: list[tuple[Any, int]] = []
        self._height_mm = 0.0  # of the level line above the isocentre
        self._busy = False
        self._letters = EdgeLetters()

    def show(self, images: Mapping[str, Image]) -> None:
        """Show the images "ap" and "lateral" with their marks, in place of what was shown."""
        self.hide()
        layouts.show(layouts.layout_node(), layouts.PLACING_ID)
        slicer.app.processEvents()
        self._images, self._height_mm = dict(images), 0.0
        names = {"ap": _("Placing: AP"), "lateral": _("Placing: lateral")}
        for view, image in images.items():
            volume = add_upright(names[view], image.pixels, image.frame, OWNER)
            display.show_alone(VIEW_OF[view], volume)
            self._add_marks(view, image)
        self._letters.show(tuple(VIEW_OF.values()))

    def fit(self) -> None:
        """Fit both images into their views, once these have their size."""
        for view in self._images:
            logic = display.slice_logic(VIEW_OF[view])
            if logic is not None:
                logic.FitSliceToBackground()

    def hide(self) -> None:
        """Remove images and marks."""
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags, self._marks, self._images = [], {}, {}
        self._letters.remove()
        remove_helpers(OWNER)

    @property
    def complete(self) -> bool:
        """False once a mark was deleted, as in the Markups module, or none is shown."""
        return bool(self._marks) and all(in_scene(node) for node in self._marks.values())

    def center(self, view: str) -> Pixel:
        """The pixel (row, column) of the upright image that the centre of a view marks."""
        return self._pixel(view, "center", 0)

    def ruler(self, view: str) -> tuple[Pixel, Pixel]:
        """The pixels of both ends of the ruler of a view."""
        return self._pixel(view, "ruler", 0), self._pixel(view, "ruler", 1)

    def place(self, view: str, plane: ImagePlane | None, center: Pixel) -> None:
        """Move the centre of a view, whose pixels have become those of ``plane``, and the level line with it."""
        image = self._images[view]
        self._images[view] = Image(image.pixels, image.frame, plane, center)
        self._put(view, "center", 0, center)
        self._draw_line(view)

    def _add_marks(self, view: str, image: Image) -> None:
        rows, columns = image.frame.shape
        ends = [(share * (rows - 1), part * (columns - 1)) for share, part in RULER_PLACE]
        for kind, class_name, name, color, pixels in (
            ("line", "vtkMRMLMarkupsLineNode", _("level"), LINE_COLOR, [image.center, image.center]),
            ("ruler", "vtkMRMLMarkupsLineNode", _("ruler"), RULER_COLOR, ends),
            ("center", "vtkMRMLMarkupsFiducialNode", _("centre"), CENTER_COLOR, [image.center]),
        ):
            node = add_helper(class_name, name, OWNER)
            self._marks[view, kind] = node
            for pixel in pixels:
                node.AddControlPointWorld(image.frame.ras(pixel), "")
            node.SetFixedNumberOfControlPoints(True)
            if kind != "center":
                node.GetMeasurement("length").SetEnabled(False)  # of pixels: the name gives the millimetres
            node.CreateDefaultDisplayNodes()
            _style(node.GetDisplayNode(), view, color, is_point=kind == "center")
            event = node.PointModifiedEvent
            self._tags.append((node, node.AddObserver(event, lambda *_a, v=view, k=kind: self._on_moved(v, k))))
        self._draw_line(view)

    def _on_moved(self, view: str, kind: str) -> None:
        if self._busy or not self.complete:
            return
        image = self._images[view]
        if kind == "line" and image.plane is not None:
            expected = image.plane.row_at(self._height_mm, self.center(view))
            rows = [self._pixel(view, "line", end)[0] for end in (0, 1)]
            dragged = max(rows, key=lambda row: abs(row - expected))
            if abs(dragged - expected) > SAME_PIXELS:
                self._height_mm = image.plane.height_mm(dragged, self.center(view))
            for each in self._images:
                self._draw_line(each)
        else:
            self._draw_line(view)
            if kind != "line":
                self._moved(view)

    def _draw_line(self, view: str) -> None:
        """Put the level line at its height, from edge to edge; hidden without a spacing, which gives heights."""
        image, node = self._images[view], self._marks[view, "line"]
        self._name(view)
        node.GetDisplayNode().SetVisibility(image.plane is not None)
        if image.plane is None:
            return
        row = image.plane.row_at(self._height_mm, self.center(view))
        for end, share in enumerate(LINE_SPAN):
            self._put(view, "line", end, (row, share * (image.frame.shape[1] - 1)))

    def _name(self, view: str) -> None:
        """Write at the level line its height above the isocentre and at the ruler its length, in mm."""
        plane, line, ruler = self._images[view].plane, self._marks[view, "line"], self._marks[view, "ruler"]
        if plane is None:
            ruler.SetName(_("ruler"))
            return
        line.SetName(_("level {height:+.0f} mm").format(height=self._height_mm))
        ruler.SetName(_("ruler {length:.1f} mm").format(length=plane.length_mm(*self.ruler(view))))

    def _pixel(self, view: str, kind: str, number: int) -> Pixel:
        ras = [0.0] * 3
        self._marks[view, kind].GetNthControlPointPositionWorld(number, ras)
        return self._images[view].frame.pixel((ras[0], ras[1], ras[2]))

    def _put(self, view: str, kind: str, number: int, pixel: Pixel) -> None:
        here = self._pixel(view, kind, number)
        if max(abs(one - other) for one, other in zip(here, pixel, strict=True)) <= SAME_PIXELS / 2:
            return
        busy, self._busy = self._busy, True
        try:
            ras = self._images[view].frame.ras(pixel)
            self._marks[view, kind].SetNthControlPointPositionWorld(number, ras)
        finally:
            self._busy = busy


def _style(look: Any, view: str, color: tuple[float, float, float], is_point: bool) -> None:
    """A thin mark, its name beside it, in one view alone."""
    logic = display.slice_logic(VIEW_OF[view])
    if logic is not None:
        look.AddViewNodeID(logic.GetSliceNode().GetID())
    look.SetSelectedColor(*color)
    look.SetColor(*color)
    look.SetActiveColor(*color)
    look.SetSaveWithScene(False)
    look.SetPropertiesLabelVisibility(True)
    look.SetPointLabelsVisibility(False)
    look.SetUseGlyphScale(True)
    look.SetGlyphScale(6.0 if is_point else 2.0)
    look.SetTextScale(3.0)
    if is_point:
        look.SetGlyphTypeFromString("CrossDot2D")
