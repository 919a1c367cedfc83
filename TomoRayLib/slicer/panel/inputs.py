"""The Inputs section: kind of input, previews, and the geometry of two radiographs, number by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ctk
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.panel.numbers import (
    NUMBERS,
    PLACE,
    edited,
    origin_of,
    parameter_of,
    values_of,
)
from TomoRayLib.slicer.panel.parameters import InputKind, Turn
from TomoRayLib.slicer.panel.pictures import show_picture
from TomoRayLib.slicer.request import CTInputs, Inputs, RadiographInputs, StudyInputs
from TomoRayLib.slicer.request_checks import input_problems, look_at_pair
from TomoRayLib.slicer.scene import radiographs
from TomoRayLib.slicer.scene.nodes import Role, first_point_lps, problem_of
from TomoRayLib.slicer.scene.view_geometry import ViewGeometry, ViewOrigins, geometry_of
from TomoRayLib.slicer.worker.controls import with_control

PARAMETER_OF_SETTING = {
    "flip_ap": "flipAp",
    "flip_lateral": "flipLateral",
    "invert": "invert",
    "invert_ap": "invertAp",
    "invert_lateral": "invertLateral",
    "turn_ap": "turnAp",
    "turn_lateral": "turnLateral",
}


class InputsSection:
    """Keeps previews and geometry in step with the images chosen. ``parameters`` is the parameter node or None."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self.parameters: Any = None
        self._read: dict[str, tuple[ViewGeometry, ViewOrigins]] = {}
        self._aspect: dict[str, float] = {}  # column over row spacing, where only the ratio is stated
        self._shown: dict[str, Any] = {}
        self._looked: tuple[Any, tuple[list[str], str | None]] = (None, ([], None))
        self._taken: dict[str, tuple] = {}  # the state of each image when its numbers were taken over
        self.unreadable: dict[str, str] = {}  # why an image cannot be used, though its node looks usable, by view
        ui.previewRow.visible = True
        ui.studyPathEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.studyPathEdit.connect("currentPathChanged(QString)", self._choose_study)

    def update(self) -> None:
        """Bring everything in line with the parameter node."""
        parameters, ui = self.parameters, self._ui
        if parameters is None:
            return
        from_radiographs = parameters.inputKind is InputKind.RADIOGRAPHS
        ui.radiographsPage.visible = from_radiographs
        ui.ctPage.visible = not from_radiographs
        self._show_rows(parameters.inputKind is InputKind.STUDY)
        self.unreadable = {}
        if from_radiographs:
            self._shown.pop("ct", None)
            for view, role in (("ap", Role.AP), ("lateral", Role.LATERAL)):
                self._update_view(view, role, self.node(view), self.looks(view))
        elif self._shown.get("ct") != self._ct_key():
            self.clear_previews()
            self._shown["ct"] = self._ct_key()

    def _show_rows(self, is_study: bool) -> None:
        """Show the folder of a study in place of a CT and of the geometry to render from it."""
        ui, study = self._ui, self.parameters.study
        for widget in (ui.studyLabel, ui.studyPathEdit):
            widget.visible = is_study
        for widget in (ui.ctLayoutLabel0, ui.ctSelector, ui.ctLayoutLabel4, ui.renderPresetComboBox, ui.ctButtons):
            widget.visible = not is_study
        if ui.studyPathEdit.currentPath != study:
            ui.studyPathEdit.currentPath = study

    def _choose_study(self, path: str) -> None:
        if self.parameters is not None and self.parameters.study != path:
            self.parameters.study = path

    def clear_previews(self) -> None:
        """Empty both preview boxes."""
        self._shown = {}
        show_picture(self._ui.apPreview, None, _("AP"))
        show_picture(self._ui.lateralPreview, None, _("Lateral"))

    def forget(self) -> None:
        """Forget all images: the scene is being closed."""
        self._taken, self._read, self._looked = {}, {}, (None, ([], None))
        self.clear_previews()

    def show_rendered(self, ap: Any, lateral: Any) -> None:
        """Show the radiographs of a CT, rendered or its scouts, in the preview boxes, unless they are there already."""
        rendered = (ap.GetID(), lateral.GetID())
        if self._shown.get("rendered") == rendered and self._shown.get("ct") == self._ct_key():
            return
        for label, node, role in ((self._ui.apPreview, ap, Role.AP), (self._ui.lateralPreview, lateral, Role.LATERAL)):
            show_picture(label, radiographs.preview(radiographs.radiograph_of(node, role), False, False), "")
        self._shown = {"ct": self._ct_key(), "rendered": rendered}

    def _ct_key(self) -> str:
        """The CT or the study that the previews of its radiographs belong to."""
        if self.parameters.inputKind is InputKind.STUDY:
            return str(self.parameters.study)
        return self.parameters.ct.GetID() if self.parameters.ct is not None else ""

    def read_again(self) -> None:
        """Take all numbers from the images and the preset again; the user's edits are discarded."""
        self.parameters.geometrySource = ""
        self._taken = {}
        self.update()

    def node(self, view: str) -> Any:
        """The radiograph chosen for the view "ap" or "lateral", a volume node or None."""
        return self.parameters.apRadiograph if view == "ap" else self.parameters.lateralRadiograph

    def looks(self, view: str) -> tuple[bool, bool, int]:
        """Whether the image of a view is mirrored, whether it is inverted, and by how many degrees it is turned."""
        chosen = self.parameters
        if view == "ap":
            return chosen.flipAp, chosen.invert or chosen.invertAp, chosen.turnAp.value
        return chosen.flipLateral, chosen.invert or chosen.invertLateral, chosen.turnLateral.value

    def is_read(self, view: str) -> bool:
        """True if the image of a view could be read."""
        return view in self._read

    def read(self, view: str) -> tuple[ViewGeometry, ViewOrigins] | None:
        """The geometry of a view as its image and the preset state it; None if the image could not be read."""
        return self._read.get(view)

    def origins(self, view: str) -> dict[str, str]:
        """Where each number of a view comes from, by name; empty where it is not known."""
        read = self._read.get(view)
        if read is None:
            return {}
        return {name: origin_of(*read, name, getattr(self.parameters, parameter_of(view, name))) for name in NUMBERS}

    def image_state(self, view: str) -> tuple:
        """A value that changes with the image of a view."""
        return self._taken.get(view, ())

    def inputs(self) -> Inputs:
        """The inputs chosen in the panel, for a request."""
        parameters = self.parameters
        if parameters.inputKind is InputKind.STUDY:
            center_mm = first_point_lps(parameters.center)
            return StudyInputs(parameters.study, parameters.segmentation, center_mm, parameters.numbering.value)
        if parameters.inputKind is InputKind.CT:
            return CTInputs(
                parameters.ct,
                parameters.segmentation,
                parameters.renderPreset.value,
                first_point_lps(parameters.center),
                parameters.numbering.value,
            )
        return RadiographInputs(
            parameters.apRadiograph,
            parameters.lateralRadiograph,
            self.edited("ap"),
            self.edited("lateral"),
            parameters.flipAp,
            parameters.flipLateral,
            parameters.invert,
            parameters.invertAp,
            parameters.invertLateral,
            parameters.turnAp.value,
            parameters.turnLateral.value,
            self.origins("ap"),
            self.origins("lateral"),
        )

    def apply(self, suggestion: Mapping[str, Any]) -> None:
        """Arrange the radiographs as the worker suggests (``Suggestion.to_json_dict``)."""
        parameters = self.parameters
        was_modifying = parameters.StartModify()
        if suggestion["swap"]:
            self._exchange()
        for name, value in suggestion["settings"].items():
            parameter = PARAMETER_OF_SETTING[name]
            setattr(parameters, parameter, Turn(value) if parameter.startswith("turn") else value)
        parameters.EndModify(was_modifying)

    def _exchange(self) -> None:
        """Exchange the two images; the numbers in their boxes go with them, but for angles that name the view."""
        parameters = self.parameters
        pair = parameters.apRadiograph, parameters.lateralRadiograph
        parameters.apRadiograph, parameters.lateralRadiograph = pair[1], pair[0]
        angles_of_images = abs(parameters.apAngleDeg) > abs(parameters.lateralAngleDeg)
        for name in (name for name in NUMBERS if angles_of_images or name != "Angle"):
            ap, lateral = (getattr(parameters, parameter_of(view, name)) for view in ("ap", "lateral"))
            setattr(parameters, parameter_of("ap", name), lateral)
            setattr(parameters, parameter_of("lateral", name), ap)
        preset = parameters.geometryPreset.value
        sources = (_sources("ap", pair[1], preset)[0], _sources("lateral", pair[0], preset)[0])
        parameters.geometrySource = "".join(sources)
        if len(self._taken) > 1:
            self._taken = {"ap": self._taken["lateral"], "lateral": self._taken["ap"]}

    def warnings(self) -> list[str]:
        """Warnings on the chosen images, on numbers that the user left as they were read, and on the pair."""
        if not self._shows_radiographs():
            return []
        read = {view: self._read[view][1] for view in ("ap", "lateral") if view in self._read}
        of_images = [warning for origins in read.values() for warning in origins.of_image]
        of_numbers = [
            warning for view, origins in read.items() if self._is_as_read(view) for warning in origins.warnings
        ]
        return [*of_images, *of_numbers, *self._look_at_pair()[0]]

    def _shows_radiographs(self) -> bool:
        return self.parameters is not None and self.parameters.inputKind is InputKind.RADIOGRAPHS

    def _is_as_read(self, view: str) -> bool:
        """True if the user changed none of the numbers of a view."""
        return self.edited(view) == self._read[view][0]

    def problems(self) -> list[str]:
        """Return all that keeps the chosen inputs from being used, in sentences; what is wrong with a pair of images
        that are in order themselves comes last."""
        found = {**input_problems(self.inputs()), **self.unreadable}
        pair = self._look_at_pair()[1] if not found else None
        return [*found.values(), *([pair] if pair is not None else [])]

    def _look_at_pair(self) -> tuple[list[str], str | None]:
        """Warnings and a problem, looked for once, and again when images or numbers change."""
        chosen = self.inputs()
        if not isinstance(chosen, RadiographInputs) or len(self._read) < 2 or input_problems(chosen):
            return [], None
        key = (*self._taken.values(), replace(chosen, ap=None, lateral=None))
        if self._looked[0] != key:
            self._looked = (key, look_at_pair(chosen))
        return self._looked[1]

    def _update_view(self, view: str, role: Role, node: Any, looks: tuple[bool, bool, int]) -> None:
        """Show geometry and preview of one radiograph, read again only if image, preset or ``looks`` changed.

        ``looks`` are whether it is mirrored, whether it is inverted, and by how many degrees it is turned.
        """
        parameters = self.parameters
        label = self._ui.apPreview if view == "ap" else self._ui.lateralPreview
        if node is None or problem_of(node, role) is not None:
            self._read.pop(view, None)
            self._show(view, label, (None, "file"), None)
            return
        try:
            radiograph = radiographs.radiograph_of(node, role)
            read = geometry_of(radiograph, role, parameters.geometryPreset.value)
        except InputError as error:
            self.unreadable[view] = with_control(str(error), error.field)
            self._read.pop(view, None)
            self._show(view, label, (None, "file"), None)
            return
        self._read[view] = read
        vertical, horizontal = radiograph.header.pixel_aspect or (1.0, 1.0)
        self._aspect[view] = horizontal / vertical
        self._take_over(view, node)
        if read[1].problem is not None and self._is_as_read(view):
            self.unreadable[view] = with_control(read[1].problem, read[1].field)
        key = (node.GetID(), node.GetImageData().GetMTime(), *looks, "file")
        if self._shown.get(view) != key:
            self._show(view, label, key, radiographs.preview(radiograph, *looks))

    def _show(self, view: str, label: Any, key: tuple, grey: Any) -> None:
        if self._shown.get(view) != key:
            show_picture(label, grey, _("AP") if view == "ap" else _("Lateral"))
            self._shown[view] = key

    def _take_over(self, view: str, node: Any) -> None:
        """Put the numbers read into the boxes if the image or the preset is a new one; otherwise the user's edits stay,
        also after a scene was saved and loaded."""
        parameters = self.parameters
        state = (node.GetID(), node.GetImageData().GetMTime(), node.GetSpacing())
        changed = self._taken.get(view, state) != state
        self._taken[view] = state
        source, unplaced = _sources(view, node, parameters.geometryPreset.value)
        known = [part + ";" for part in (parameters.geometrySource or "").split(";") if part]
        if source in known and not changed:
            return
        others = [part for part in known if not part.startswith(f"{view}=")]
        geometry, _origins = self._read[view]
        was_modifying = parameters.StartModify()
        parameters.geometrySource = "".join([*others, source])
        if unplaced in known and not changed:
            names: tuple[str, ...] = PLACE
        else:
            same_image = not changed and any(part.startswith(f"{view}={node.GetID()},") for part in known)
            names = tuple(name for name in NUMBERS if not (same_image and name in PLACE))  # a preset moves no image
        values = values_of(geometry)
        for name in names:
            setattr(parameters, parameter_of(view, name), values[name])
        parameters.EndModify(was_modifying)

    def edited(self, view: str) -> ViewGeometry:
        """The geometry of the view "ap" or "lateral" as read, with the numbers in the boxes."""
        read = self._read.get(view)
        if read is None:
            return ViewGeometry(None, None, None, 0.0)
        shown = {name: getattr(self.parameters, parameter_of(view, name)) for name in NUMBERS}
        return edited(read[0], shown, self._aspect.get(view, 1.0))


def _sources(view: str, node: Any, preset: str) -> tuple[str, str]:
    """What is saved of the image and the preset that a view's numbers were read from; and in scenes of versions that
    did not keep the place of the image."""
    source = f"{view}={node.GetID()},{preset}"
    return f"{source},placed;", f"{source};"
