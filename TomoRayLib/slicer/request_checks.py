"""Checks of a request before it is run; their answers are sentences for the panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.request import CTInputs, Inputs, RadiographInputs, Request, StudyInputs, input_nodes
from TomoRayLib.slicer.scene.nodes import NOTICE_KEY, Role, grid_of, in_scene, problem_of
from TomoRayLib.slicer.scene.radiographs import radiograph_of
from TomoRayLib.slicer.scene.segments import segmentation_problem
from TomoRayLib.slicer.scene.view_geometry import ViewGeometry, pair_of
from TomoRayLib.slicer.worker.controls import with_control


def check_request(request: Request) -> None:
    """Raise InputError if the request cannot be run."""
    problems = [*input_problems(request.inputs).values(), *output_problems(request)]
    if problems:
        raise InputError(" ".join(problems))


def input_problems(inputs: Inputs) -> dict[str, str]:
    """Return all that the inputs lack, or why they cannot be used: sentences by the input that they speak of.

    Empty if a run may begin. Asked at every click, so it looks at headers only.
    """
    if isinstance(inputs, StudyInputs):
        study = _study_problem(inputs.study)
        found = {
            "study": with_control(study, "study") if study is not None else None,
            "segmentation": segmentation_problem(inputs.segmentation),
        }
    elif isinstance(inputs, CTInputs):
        ct = problem_of(inputs.ct, Role.CT)
        found = {
            "ct": ct,
            "segmentation": segmentation_problem(inputs.segmentation),
            "center": _center_problem(inputs) if ct is None else None,
        }
    else:
        found = {
            "ap": problem_of(inputs.ap, Role.AP) or _geometry_problem(inputs.ap_geometry, Role.AP),
            "lateral": problem_of(inputs.lateral, Role.LATERAL)
            or _geometry_problem(inputs.lateral_geometry, Role.LATERAL),
        }
        if inputs.ap is inputs.lateral and inputs.ap is not None:
            found["pair"] = _("The same image is chosen twice. Choose the AP and the lateral radiograph.")
    return {name: problem for name, problem in found.items() if problem is not None}


def look_at_pair(inputs: RadiographInputs) -> tuple[list[str], str | None]:
    """Warnings on two radiographs, and why they cannot be a pair (None if they can). Reads their pixels."""
    from TomoRayLib.synthesis.arrangement import pair_warnings
    from TomoRayLib.synthesis.settings import arrangement_of
    from TomoRayLib.synthesis.stated_geometry import check_plausible

    ap, lateral = radiograph_of(inputs.ap, Role.AP), radiograph_of(inputs.lateral, Role.LATERAL)
    try:
        views = pair_of(inputs.ap_geometry, inputs.lateral_geometry, ap.pixels.shape, lateral.pixels.shape)
        check_plausible(views.ap)
        check_plausible(views.lateral)
        return pair_warnings(ap, lateral, views, arrangement_of(inputs.arrangement())), None
    except InputError as error:
        return [], with_control(str(error), error.field)


def output_problems(request: Request) -> list[str]:
    """Return why output nodes cannot be filled: they are inputs, or hold data that TomoRay did not make."""
    found = []
    for node in (request.synthetic_volume, request.vertebrae):
        if not in_scene(node):
            continue
        if any(node is used for used in input_nodes(request.inputs)):
            found.append(
                _("{name} is an input and chosen as output too. Choose another output, or leave it empty.").format(
                    name=node.GetName()
                )
            )
        elif _holds_data(node) and node.GetAttribute(NOTICE_KEY) is None:
            found.append(
                _(
                    "The output {name} holds data that TomoRay did not make, and would be overwritten. Choose another "
                    "output, or leave it empty."
                ).format(name=node.GetName())
            )
    return found


def _study_problem(study: str) -> str | None:
    """Return why a folder holds no study; what its files are is for the worker to find out."""
    if not study:
        return _("Choose the folder of a DICOM study that holds a CT with its AP and lateral scout.")
    folder = Path(study)
    try:
        if not folder.is_dir():
            return _("Expected the folder of a DICOM study, got {path}, which is none. Choose a folder.").format(
                path=study
            )
        if next(folder.iterdir(), None) is None:
            return _("The folder {path} is empty. Choose that of a DICOM study.").format(path=study)
    except OSError as error:
        return _("The folder {path} cannot be read ({error}). Choose another.").format(path=study, error=error.strerror)
    return None


def _center_problem(inputs: CTInputs) -> str | None:
    if inputs.isocenter_mm is None:
        return None
    grid = grid_of(inputs.ct)
    index = np.linalg.solve(grid.index_to_world, (*inputs.isocenter_mm, 1.0))[:3]
    if np.all(index >= -0.5) and np.all(index <= np.asarray(grid.size) - 0.5):
        return None
    return _("The centre lies outside {ct}. Put the first point of the list into it, or choose no list.").format(
        ct=inputs.ct.GetName()
    )


def _geometry_problem(geometry: ViewGeometry, role: Role) -> str | None:
    if geometry.pixel_spacing_mm is None:
        return _("The pixel spacing of the {role} is not in its file. Enter it above, in mm at the detector.").format(
            role=role.label()
        )
    if geometry.sid_mm is not None and geometry.sad_mm is not None:
        if min(geometry.sid_mm, geometry.sad_mm) <= 0:
            return _("The {role} needs its SID and SAD in mm.").format(role=role.label())
        if geometry.sid_mm < geometry.sad_mm:
            return _(
                "The {role} has an SID of {sid:.0f} mm and an SAD of {sad:.0f} mm, but the SID cannot be smaller than "
                "the SAD. Correct one of them."
            ).format(role=role.label(), sid=geometry.sid_mm, sad=geometry.sad_mm)
    return None


def _holds_data(node) -> bool:
    if node.IsA("vtkMRMLSegmentationNode"):
        return bool(node.GetSegmentation().GetNumberOfSegments() > 0)
    return node.GetImageData() is not None and node.GetImageData().GetNumberOfPoints() > 0
