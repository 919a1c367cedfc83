"""A request: the inputs, settings and outputs of one synthesis, and why it cannot be run as it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.controls import with_control
from TomoRayLib.slicer.scene.nodes import (
    NOTICE_KEY,
    Role,
    grid_of,
    in_scene,
    index_to_lps,
    problem_of,
    transform_problem,
)
from TomoRayLib.slicer.scene.radiographs import ViewGeometry, radiograph_of
from TomoRayLib.slicer.scene.segment_nodes import BINARY_LABELMAP
from TomoRayLib.slicer.scene.segments import segmentation_problem


@dataclass(frozen=True)
class RadiographInputs:
    """Two radiographs of a patient.

    Attributes:
        ap: Volume node of the AP radiograph, one slice.
        lateral: Volume node of the lateral radiograph, one slice.
        ap_geometry: How the AP radiograph was taken.
        lateral_geometry: How the lateral radiograph was taken.
        flip_ap: Mirror the AP radiograph left to right.
        flip_lateral: Mirror the lateral radiograph left to right.
        invert: Exchange dark and bright in both, so that bone is bright.
    """

    ap: Any
    lateral: Any
    ap_geometry: ViewGeometry
    lateral_geometry: ViewGeometry
    flip_ap: bool = False
    flip_lateral: bool = False
    invert: bool = False


@dataclass(frozen=True)
class CTInputs:
    """A CT, and how to render its radiographs.

    Attributes:
        ct: Scalar volume node in HU.
        segmentation: Its vertebrae, a segmentation or label map node; None if there are none (then nothing is scored).
        preset: Geometry of the radiographs, a key of ``TomoRayLib.geometry.PRESETS``.
        isocenter_mm: Middle of the synthetic CT in LPS mm; None for the middle of the vertebrae, or of the CT if it has
            none.
    """

    ct: Any
    segmentation: Any = None
    preset: str = "c-arm"
    isocenter_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Settings:
    """Choices that do not depend on the patient, with the names and defaults of ``TomoRayLib.jobs.SynthesisJob``.

    Attributes:
        model: A name in the model registry, None for its default.
        device: "auto", "cpu", "cuda" or "cuda:<number>".
        fov_mm: Edge of the synthetic CT, 256 or 192 mm.
        quantisation: Grey levels of the ground truth, "linear" or "equal_frequency".
        comparison: Compare with the CT; without it the CT is only rendered.
    """

    model: str | None = None
    device: str = "auto"
    fov_mm: float = 256.0
    quantisation: str = "linear"
    comparison: bool = True


@dataclass(frozen=True)
class Request:
    """One synthesis, as the panel or a script asks for it.

    Attributes:
        inputs: Two radiographs, or a CT.
        settings: Model, device and the like.
        synthetic_volume: Scalar volume node to fill with the synthetic CT; None to add a new one.
        vertebrae: Segmentation node to fill with the synthetic vertebrae; None to add a new one.
    """

    inputs: RadiographInputs | CTInputs
    settings: Settings = field(default_factory=Settings)
    synthetic_volume: Any = None
    vertebrae: Any = None

    @property
    def main_input(self) -> Any:
        """The node that the case is placed next to: the CT or the AP radiograph."""
        return self.inputs.ct if isinstance(self.inputs, CTInputs) else self.inputs.ap

    @property
    def title(self) -> str:
        """Title of job, report and case: the name of the main input."""
        return self.main_input.GetName() or "TomoRay"


def input_nodes(inputs: RadiographInputs | CTInputs) -> list[Any]:
    """The nodes that a run starts from, in a fixed order."""
    nodes = (inputs.ct, inputs.segmentation) if isinstance(inputs, CTInputs) else (inputs.ap, inputs.lateral)
    return [node for node in nodes if node is not None]


def check_request(request: Request) -> None:
    """Raise InputError if the request cannot be run."""
    problem = input_problem(request.inputs) or output_problem(request)
    if problem is not None:
        raise InputError(problem)


def input_problem(inputs: RadiographInputs | CTInputs) -> str | None:
    """Return what the inputs lack, or why they cannot be used, in a sentence; None if a run may begin.

    Asked at every click, so it looks at headers only.
    """
    if isinstance(inputs, CTInputs):
        return problem_of(inputs.ct, Role.CT) or segmentation_problem(inputs.segmentation) or _center_problem(inputs)
    for node, geometry, role in (
        (inputs.ap, inputs.ap_geometry, Role.AP),
        (inputs.lateral, inputs.lateral_geometry, Role.LATERAL),
    ):
        problem = problem_of(node, role) or _geometry_problem(geometry, role)
        if problem is not None:
            return problem
    if inputs.ap is inputs.lateral:
        return _("The same image is chosen twice. Choose the AP and the lateral radiograph.")
    return None


def look_at_pair(inputs: RadiographInputs) -> tuple[list[str], str | None]:
    """Warnings on two radiographs, and why they cannot be a pair (None if they can). Reads their pixels."""
    from TomoRayLib.geometry.views import Biplanar
    from TomoRayLib.images.pair_checks import check_pair

    ap, lateral = radiograph_of(inputs.ap, Role.AP), radiograph_of(inputs.lateral, Role.LATERAL)
    try:
        views = Biplanar(inputs.ap_geometry.view(*ap.pixels.shape), inputs.lateral_geometry.view(*lateral.pixels.shape))
        return check_pair(ap, lateral, views, invert=inputs.invert), None
    except InputError as error:
        return [], with_control(str(error), error.field)


def output_problem(request: Request) -> str | None:
    """Return why an output node cannot be filled: it is an input, or holds data that TomoRay did not make."""
    for node in (request.synthetic_volume, request.vertebrae):
        if not in_scene(node):
            continue
        if any(node is used for used in input_nodes(request.inputs)):
            return _("{name} is an input and chosen as output too. Choose another output, or leave it empty.").format(
                name=node.GetName()
            )
        if _holds_data(node) and node.GetAttribute(NOTICE_KEY) is None:
            return _(
                "The output {name} holds data that TomoRay did not make, and would be overwritten. Choose another "
                "output, or leave it empty."
            ).format(name=node.GetName())
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


def fingerprint(request: Request) -> tuple:
    """A value that is equal for two requests with the same result: their choices and the state of their images."""
    inputs = request.inputs
    if isinstance(inputs, CTInputs):
        chosen: tuple = (_image_key(inputs.ct), _image_key(inputs.segmentation), *_segment_keys(inputs.segmentation))
        return chosen, inputs.preset, inputs.isocenter_mm, request.settings
    chosen = (_image_key(inputs.ap), _image_key(inputs.lateral))
    return chosen, replace(inputs, ap=None, lateral=None), request.settings


def _segment_keys(node) -> list[tuple]:
    """Name and state of each segment; empty for anything but a segmentation."""
    if node is None or not hasattr(node, "GetSegmentation"):
        return []
    segments = node.GetSegmentation()
    found = [segments.GetNthSegment(number) for number in range(segments.GetNumberOfSegments())]
    voxels = [segment.GetRepresentation(BINARY_LABELMAP) for segment in found]
    return [
        (segment.GetName(), image.GetMTime() if image is not None else 0)
        for segment, image in zip(found, voxels, strict=True)
    ]


def _image_key(node) -> tuple:
    if node is None:
        return ()
    image = node.GetImageData() if hasattr(node, "GetImageData") else None
    placed = tuple(index_to_lps(node).ravel()) if image is not None and transform_problem(node) is None else ()
    transform = node.GetParentTransformNode()
    return (
        node.GetID(),
        image.GetMTime() if image is not None else 0,
        transform.GetID() if transform is not None else "",
        transform.GetTransformToWorldMTime() if transform is not None else 0,
        placed,
    )
