"""The placing step: what is dragged on the two radiographs becomes numbers of their geometry, and back.

While it lasts the marked pixels count: a centre stays on its pixel if a ruler changes the size of the pixels. What
remains of it are the numbers in the boxes, in the parameter node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.placing import (
    ImagePlane,
    middle_of,
    scale_by_ruler,
    stored_pixel,
    upright_pixel,
    upright_shape,
    upright_spacing,
)
from TomoRayLib.slicer.panel.inputs import InputsSection
from TomoRayLib.slicer.panel.numbers import NUMBERS, PLACE, parameter_of
from TomoRayLib.slicer.panel.parameters import InputKind
from TomoRayLib.slicer.scene.nodes import Role
from TomoRayLib.slicer.scene.radiographs import radiograph_of
from TomoRayLib.slicer.scene.upright import Frame, upright_pixels
from TomoRayLib.slicer.scene.view_geometry import ViewGeometry
from TomoRayLib.slicer.views import layouts
from TomoRayLib.slicer.views.placing_views import Image, PlacingViews

ROLE_OF = {"ap": Role.AP, "lateral": Role.LATERAL}
SETTLED_MS = 150  # after the last movement of a mark, before the numbers follow
SAME_PIXELS = 0.05


class PlacingSection:
    """The button, the rulers' lengths, and the marks. ``ended()`` is called when the step is over."""

    def __init__(self, ui: Any, guard: Any, inputs: InputsSection, ended: Callable[[], None]) -> None:
        self._ui, self._guard, self._inputs, self._ended = ui, guard, inputs, ended
        self.parameters: Any = None
        self.is_on = False
        self._busy = False
        self._shown: tuple = ()  # what the images on the screen were made from
        self._numbers: dict[str, tuple] = {}  # the numbers of each view as the marks show them
        self._rulers: dict[str, tuple] = {}  # ends and length that the spacing was taken from, or the user left
        self._due: set[str] = set()
        self.views = PlacingViews(guard(self._on_moved))
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLED_MS)
        self._timer.connect("timeout()", guard(self.take_over))
        ui.placeButton.connect("toggled(bool)", guard(self._on_toggled))

    def start(self) -> None:
        """Show both radiographs with their marks."""
        if not self._can_start():
            return
        self.is_on = True
        self._show()

    def stop(self) -> None:
        """Take the marks over and remove them; the layout before comes back unless the user chose another."""
        if not self.is_on:
            return
        if self._timer.isActive() and self.views.complete:
            self.take_over()
        self.is_on = False
        self._timer.stop()
        self._shown, self._numbers, self._rulers = (), {}, {}
        self.views.hide()
        for view in ROLE_OF:
            setattr(self.parameters, f"{view}RulerMm", 0.0)
        self._ui.placeButton.checked = False
        node = layouts.layout_node()
        if node is not None and node.GetViewArrangement() == layouts.PLACING_ID:
            layouts.restore(node)
            self._ended()

    def update(self) -> None:
        """Bring button and marks in line with the parameter node and the scene."""
        if self._busy:
            return
        can_start, node = self._can_start(), layouts.layout_node()
        self._ui.placeButton.text = _("Placing: press when done") if self.is_on else _("Place both views")
        self._ui.placeButton.enabled = can_start
        for view in ROLE_OF:
            getattr(self._ui, f"{view}RulerSpinBox").enabled = self.is_on
        in_layout = node is not None and node.GetViewArrangement() == layouts.PLACING_ID
        if not self.is_on:
            if in_layout:  # of a scene that was saved in the middle of it
                layouts.restore(node)
            return
        if not can_start or not in_layout:
            self.stop()
        elif self._shown != self._key() or not self.views.complete:
            self._show()
        else:
            self._follow()

    def hint(self) -> list[str]:
        """What to do while the step lasts."""
        if not self.is_on:
            return []
        return [
            _(
                "Drag the centre of each image onto the same point of the spine: it becomes the middle of the "
                "synthetic CT. The level line is at one height in both: drag it onto an edge to check."
            )
        ]

    def take_over(self) -> None:
        """Put what the marks say into the parameter node."""
        if not self.is_on or not self.views.complete:
            return
        due, self._due = self._due, set()
        for view in due:
            self._take_ruler(view)
            self._take_center(view)

    def _on_toggled(self, checked: bool) -> None:
        if checked != self.is_on:
            self.start() if checked else self.stop()
            self.update()

    def _on_moved(self, view: str) -> None:
        self._due.add(view)
        self._timer.start()

    def _can_start(self) -> bool:
        """True if both radiographs can be read."""
        parameters = self.parameters
        return (
            parameters is not None
            and parameters.inputKind is InputKind.RADIOGRAPHS
            and all(self._inputs.is_read(view) for view in ROLE_OF)
        )

    def _how(self, view: str) -> tuple[bool, bool, int]:
        """Whether the image of a view is mirrored and inverted, and by how many degrees it is turned."""
        return self._inputs.looks(view)

    def _key(self) -> tuple:
        return tuple((self._inputs.image_state(view), self._how(view)) for view in ROLE_OF)

    def _numbers_of(self, view: str) -> tuple:
        return tuple(getattr(self.parameters, parameter_of(view, name)) for name in NUMBERS)

    def _stored_shape(self, view: str) -> tuple[int, int]:
        rows, columns = radiograph_of(self._inputs.node(view), ROLE_OF[view]).pixels.shape
        return (int(rows), int(columns))

    def _show(self) -> None:
        images = {}
        for view, role in ROLE_OF.items():
            mirrored, inverted, turned_deg = self._how(view)
            pixels = upright_pixels(radiograph_of(self._inputs.node(view), role).pixels, mirrored, inverted, turned_deg)
            geometry = self._inputs.edited(view)
            row, column = upright_spacing((1.0, geometry.aspect), turned_deg)
            down, across = geometry.magnifications
            frame = Frame(role, (pixels.shape[0], pixels.shape[1]), (column / across) / (row / down))
            images[view] = Image(pixels, frame, self._plane(view, geometry), self._center_of(view, geometry))
        self._busy = True
        try:
            self.views.show(images)
        finally:
            self._busy = False
        qt.QTimer.singleShot(0, self._guard(self.views.fit))
        self._shown, self._due = self._key(), set()
        self._numbers = {view: self._numbers_of(view) for view in ROLE_OF}
        self._rulers = {view: self._ruler(view) for view in ROLE_OF}

    def _follow(self) -> None:
        """Move the marks of a view whose numbers were changed elsewhere; take a new length of a ruler over."""
        for view in ROLE_OF:
            if self._ruler(view) != self._rulers[view]:
                self._on_moved(view)
            numbers = self._numbers_of(view)
            if numbers != self._numbers[view] and view not in self._due:
                geometry = self._inputs.edited(view)
                self.views.place(view, self._plane(view, geometry), self._center_of(view, geometry))
                self._numbers[view] = numbers

    def _ruler(self, view: str) -> tuple:
        return (*self.views.ruler(view), getattr(self.parameters, f"{view}RulerMm"))

    def _take_ruler(self, view: str) -> None:
        ruler = self._ruler(view)
        first, second, length_mm = ruler
        if ruler == self._rulers[view] or length_mm <= 0:
            self._rulers[view] = ruler
            return
        geometry, turned_deg = self._inputs.edited(view), self._how(view)[2]
        relative = upright_spacing((1.0, geometry.aspect), turned_deg)
        row_mm = scale_by_ruler((first, second), length_mm, relative, geometry.magnifications)
        self._rulers[view] = ruler
        self._set(view, {"Spacing": row_mm})

    def _take_center(self, view: str) -> None:
        """Put the offset of the marked pixel into the boxes, and the marks onto the pixels of the geometry."""
        geometry, shape = self._inputs.edited(view), self._stored_shape(view)
        center = self.views.center(view)
        if geometry.pixel_spacing_mm is not None:
            mirrored, _inverted, turned_deg = self._how(view)
            marked = stored_pixel(center, shape, turned_deg, mirrored)
            plane = ImagePlane(shape, geometry.pixel_spacing_mm, geometry.magnifications)
            stated = plane.center(geometry.offset_mm)
            if max(abs(one - other) for one, other in zip(marked, stated, strict=True)) > SAME_PIXELS:
                offset = plane.offset_mm(marked)
                down, right = (value / larger for value, larger in zip(offset, plane.magnifications, strict=True))
                self._set(view, dict(zip(PLACE, (down, right), strict=True)))
        self.views.place(view, self._plane(view, self._inputs.edited(view)), center)
        self._numbers[view] = self._numbers_of(view)

    def _set(self, view: str, numbers: dict[str, float]) -> None:
        parameters = self.parameters
        busy, self._busy = self._busy, True
        was_modifying = parameters.StartModify()
        try:
            for name, value in numbers.items():
                setattr(parameters, parameter_of(view, name), value)
        except ValueError as error:
            raise InputError(
                _("The marks give a number out of range ({error}). Move them back.").format(error=error)
            ) from None
        finally:
            parameters.EndModify(was_modifying)
            self._busy = busy

    def _plane(self, view: str, geometry: ViewGeometry) -> ImagePlane | None:
        if geometry.pixel_spacing_mm is None:
            return None
        turned_deg = self._how(view)[2]
        shape = upright_shape(self._stored_shape(view), turned_deg)
        return ImagePlane(shape, upright_spacing(geometry.pixel_spacing_mm, turned_deg), geometry.magnifications)

    def _center_of(self, view: str, geometry: ViewGeometry) -> tuple[float, float]:
        """The pixel of the upright image that shows the isocentre; its middle if the spacing is not known."""
        shape, (mirrored, _inverted, turned_deg) = self._stored_shape(view), self._how(view)
        if geometry.pixel_spacing_mm is None:
            return middle_of(upright_shape(shape, turned_deg))
        center = ImagePlane(shape, geometry.pixel_spacing_mm).center(geometry.offset_mm)
        return upright_pixel(center, shape, turned_deg, mirrored)
