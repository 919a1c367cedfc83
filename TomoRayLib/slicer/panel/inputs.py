"""The Inputs section: kind of input, previews, and the geometry of two radiographs, number by number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ctk
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.panel.parameters import InputKind, Turn
from TomoRayLib.slicer.panel.pictures import show_picture
from TomoRayLib.slicer.request import CTInputs, Inputs, RadiographInputs, StudyInputs
from TomoRayLib.slicer.request_checks import input_problem, look_at_pair
from TomoRayLib.slicer.scene import radiographs
from TomoRayLib.slicer.scene.nodes import Role, first_point_lps, problem_of
from TomoRayLib.slicer.scene.view_geometry import ViewGeometry, ViewOrigins, geometry_of
from TomoRayLib.slicer.worker.controls import with_control

NUMBERS = ("Sid", "Sad", "Spacing", "Angle")
UNIT_OF_NUMBER = {"Sid": "mm", "Sad": "mm", "Spacing": "mm", "Angle": "°"}
PARAMETER_OF_SETTING = {
    "flip_ap": "flipAp",
    "flip_lateral": "flipLateral",
    "invert": "invert",
    "invert_ap": "invertAp",
    "invert_lateral": "invertLateral",
    "turn_ap": "turnAp",
    "turn_lateral": "turnLateral",
}
AGREES = {"Sid": 0.05, "Sad": 0.05, "Spacing": 5e-4, "Angle": 0.06}  # the boxes round: a smaller difference is no edit


class InputsSection:
    """Keeps previews and geometry in step with the images chosen. ``parameters`` is the parameter node or None."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self.parameters: Any = None
        self._read: dict[str, tuple[ViewGeometry, ViewOrigins]] = {}
        self._aspect: dict[str, float] = {}  # column over row spacing, where only the ratio is stated
        self._shown: dict[str, Any] = {}
        self._looked: tuple[Any, tuple[list[str], str | None]] = (None, ([], None))
        self._tips: dict[str, str] = {}  # the own tooltip of each box
        self._taken: dict[str, tuple] = {}  # the state of each image when its numbers were taken over
        self.problem: str | None = None  # why an image cannot be read, though its node looks usable
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
        self.problem = None
        if from_radiographs:
            self._shown.pop("ct", None)
            ap_turn, lateral_turn = parameters.turnAp.value, parameters.turnLateral.value
            ap_looks = (parameters.flipAp, parameters.invert or parameters.invertAp, ap_turn)
            lateral_looks = (parameters.flipLateral, parameters.invert or parameters.invertLateral, lateral_turn)
            self._update_view("ap", Role.AP, parameters.apRadiograph, ap_looks)
            self._update_view("lateral", Role.LATERAL, parameters.lateralRadiograph, lateral_looks)
            self._show_origins()
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
            self._edited("ap"),
            self._edited("lateral"),
            parameters.flipAp,
            parameters.flipLateral,
            parameters.invert,
            parameters.invertAp,
            parameters.invertLateral,
            parameters.turnAp.value,
            parameters.turnLateral.value,
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
        for name in NUMBERS if angles_of_images else NUMBERS[:-1]:
            ap, lateral = (getattr(parameters, _parameter(view, name)) for view in ("ap", "lateral"))
            setattr(parameters, _parameter("ap", name), lateral)
            setattr(parameters, _parameter("lateral", name), ap)
        preset = parameters.geometryPreset.value
        parameters.geometrySource = f"ap={pair[1].GetID()},{preset};lateral={pair[0].GetID()},{preset};"
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
        return self._edited(view) == self._read[view][0]

    def pair_problem(self) -> str | None:
        """Return why the two radiographs cannot be a pair; None if they can."""
        return self._look_at_pair()[1]

    def _look_at_pair(self) -> tuple[list[str], str | None]:
        """Warnings and a problem, looked for once, and again when images or numbers change."""
        chosen = self.inputs()
        if not isinstance(chosen, RadiographInputs) or len(self._read) < 2 or input_problem(chosen) is not None:
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
            self.problem = self.problem or with_control(str(error), error.field)
            self._read.pop(view, None)
            self._show(view, label, (None, "file"), None)
            return
        self._read[view] = read
        vertical, horizontal = radiograph.header.pixel_aspect or (1.0, 1.0)
        self._aspect[view] = horizontal / vertical
        self._take_over(view, node)
        if read[1].problem is not None and self._is_as_read(view):
            self.problem = self.problem or with_control(read[1].problem, read[1].field)
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
        source = f"{view}={node.GetID()},{parameters.geometryPreset.value};"
        known = [part + ";" for part in (parameters.geometrySource or "").split(";") if part]
        if source in known and not changed:
            return
        others = [part for part in known if not part.startswith(f"{view}=")]
        geometry, _origins = self._read[view]
        was_modifying = parameters.StartModify()
        parameters.geometrySource = "".join([*others, source])
        for name, value in _values_of(geometry).items():
            setattr(parameters, _parameter(view, name), value)
        parameters.EndModify(was_modifying)

    def _show_origins(self) -> None:
        """Show after each number its unit and its origin: the header, the preset, or the user."""
        for view in ("ap", "lateral"):
            read = self._read.get(view)
            for name in NUMBERS:
                box = getattr(self._ui, f"{view}{name}SpinBox")
                unit = UNIT_OF_NUMBER[name]
                origin = ""
                if read is not None:
                    value = _values_of(read[0])[name]
                    edited = abs(getattr(self.parameters, _parameter(view, name)) - value) > AGREES[name]
                    origin = _("edited") if edited else getattr(read[1], name.lower())
                box.suffix = f" {unit}  ·  {origin}" if origin else f" {unit}"
                tip = self._tips.setdefault(f"{view}{name}", box.toolTip)
                box.toolTip = _("{tip} From: {origin}.").format(tip=tip, origin=origin) if origin else tip
                box.specialValueText = _("not set") if name != "Angle" and read is not None else ""
                parallel = read is not None and name in ("Sid", "Sad") and read[0].sid_mm is None
                box.enabled = read is not None and not parallel
                if parallel:
                    box.specialValueText = _("none (parallel)")

    def _edited(self, view: str) -> ViewGeometry:
        """The geometry read, with the numbers in the boxes."""
        read = self._read.get(view)
        if read is None:
            return ViewGeometry(None, None, None, 0.0)
        geometry, _origins = read
        number = {name: getattr(self.parameters, _parameter(view, name)) for name in NUMBERS}
        parallel = geometry.sid_mm is None
        sid_mm = None if parallel else _kept(geometry.sid_mm, number["Sid"])
        sad_mm = None if parallel else _kept(geometry.sad_mm, number["Sad"])
        spacing, aspect = geometry.pixel_spacing_mm, self._aspect.get(view, 1.0)
        if geometry.is_slot and sid_mm and sad_mm and geometry.sid_mm and geometry.sad_mm:
            aspect *= sid_mm / sad_mm  # square pixels at the isocentre
            if spacing and geometry.spacing_is_at_isocenter:
                spacing = (spacing[0], spacing[1] * (sid_mm / sad_mm) / (geometry.sid_mm / geometry.sad_mm))
        ratio = spacing[1] / spacing[0] if spacing else aspect
        return ViewGeometry(
            sid_mm,
            sad_mm,
            _spacing(spacing, number["Spacing"], ratio),
            _kept(geometry.angle_deg, number["Angle"], AGREES["Angle"]),
            geometry.tilt_deg,
            geometry.roll_deg,
            geometry.offset_mm,
            geometry.isocenter_mm,
            geometry.is_slot,
            geometry.spacing_is_at_isocenter,
            geometry.center_mm,
        )


def _spacing(read: tuple[float, float] | None, row_mm: float, ratio: float) -> tuple[float, float] | None:
    if row_mm <= 0:
        return None
    if read is not None and abs(read[0] - row_mm) <= AGREES["Spacing"]:
        return read
    return (row_mm, row_mm * ratio)


def _kept(read: float | None, shown: float, rounding: float = AGREES["Sid"]) -> float:
    """The number as read if the box only rounds it, else the user's."""
    return read if read is not None and abs(read - shown) <= rounding else shown


def _values_of(geometry: ViewGeometry) -> dict[str, float]:
    spacing = geometry.pixel_spacing_mm
    return {
        "Sid": geometry.sid_mm or 0.0,
        "Sad": geometry.sad_mm or 0.0,
        "Spacing": spacing[0] if spacing else 0.0,
        "Angle": geometry.angle_deg,
    }


def _parameter(view: str, name: str) -> str:
    return f"{view}{name}{'Deg' if name == 'Angle' else 'Mm'}"
