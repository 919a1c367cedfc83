"""A request: the inputs, settings and outputs of one synthesis, as the panel or a script asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from TomoRayLib.slicer.scene.view_geometry import ViewGeometry


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
        invert_ap: Exchange dark and bright in the AP radiograph alone.
        invert_lateral: Exchange dark and bright in the lateral radiograph alone.
        turn_ap: Degrees by which the AP radiograph is turned clockwise, before it is mirrored.
        turn_lateral: Degrees by which the lateral radiograph is turned clockwise, before it is mirrored.
        ap_origins: Where the numbers of ``ap_geometry`` come from, for the report: origins of ``stated_geometry`` by
            "Sid", "Sad", "Spacing" and "Angle". Empty: it says no more than that they were given.
        lateral_origins: Those of ``lateral_geometry``.
    """

    ap: Any
    lateral: Any
    ap_geometry: ViewGeometry
    lateral_geometry: ViewGeometry
    flip_ap: bool = False
    flip_lateral: bool = False
    invert: bool = False
    invert_ap: bool = False
    invert_lateral: bool = False
    turn_ap: int = 0
    turn_lateral: int = 0
    ap_origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    lateral_origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def arrangement(self) -> dict[str, Any]:
        """What is done to the radiographs, by the names of ``TomoRayLib.jobs.SynthesisJob``."""
        names = ("flip_ap", "flip_lateral", "invert", "invert_ap", "invert_lateral", "turn_ap", "turn_lateral")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class CTInputs:
    """A CT, and how to render its radiographs.

    Attributes:
        ct: Scalar volume node in HU.
        segmentation: Its vertebrae, a segmentation or label map node; None if there are none (then nothing is scored).
        preset: Geometry of the radiographs, a key of ``TomoRayLib.geometry.PRESETS``.
        isocenter_mm: Middle of the synthetic CT in LPS mm; None for the middle of the vertebrae, or of the CT if it has
            none.
        labels: Numbering of a label map, one of ``TomoRayLib.anatomy.numberings.LABEL_CHOICES``.
    """

    ct: Any
    segmentation: Any = None
    preset: str = "c-arm"
    isocenter_mm: tuple[float, float, float] | None = None
    labels: str = "auto"


@dataclass(frozen=True)
class StudyInputs:
    """A DICOM study on disk: a CT whose AP and lateral scout are the radiographs.

    Attributes:
        study: Path of its folder, empty if none is chosen.
        segmentation: Vertebrae of its CT, a segmentation or label map node; None if there are none.
        isocenter_mm: As in ``CTInputs``.
        labels: As in ``CTInputs``.
    """

    study: str
    segmentation: Any = None
    isocenter_mm: tuple[float, float, float] | None = None
    labels: str = "auto"

    @property
    def source(self) -> str:
        """What tells this study from others on a node, without the names in its path."""
        return sha256(str(Path(self.study).resolve()).encode()).hexdigest()


Inputs = RadiographInputs | CTInputs | StudyInputs


@dataclass(frozen=True)
class Settings:
    """Choices that do not depend on the patient, with the names and defaults of ``TomoRayLib.jobs.SynthesisJob``.

    Attributes:
        model: A name in the model registry, None for its default.
        device: "auto", "cpu", "cuda" or "cuda:<number>".
        fov_mm: Edge of the synthetic CT, 256 or 192 mm.
        quantisation: Grey levels of the ground truth, "linear" or "equal_frequency".
        segment: Let TomoRay label the vertebrae of a CT without a segmentation, to score against.
        comparison: Compare with the CT; without it the CT is only rendered.
        align: Bring two radiographs to one height, if their rows tell and nobody placed them.
        clean: Fill borders, letters and text of radiographs for the network.
        anchor: One vertebra that the user has named, as in ``SynthesisJob``; it is no choice of the panel's own.
    """

    model: str | None = None
    device: str = "auto"
    fov_mm: float = 256.0
    quantisation: str = "linear"
    segment: bool = True
    comparison: bool = True
    align: bool = True
    clean: bool = True
    anchor: str | None = None


@dataclass(frozen=True)
class Request:
    """One synthesis, as the panel or a script asks for it.

    Attributes:
        inputs: Two radiographs, a CT, or a study with both.
        settings: Model, device and the like.
        synthetic_volume: Scalar volume node to fill with the synthetic CT; None to add a new one.
        vertebrae: Segmentation node to fill with the synthetic vertebrae; None to add a new one.
    """

    inputs: Inputs
    settings: Settings = field(default_factory=Settings)
    synthetic_volume: Any = None
    vertebrae: Any = None

    @property
    def main_input(self) -> Any:
        """The node that the case is placed next to: the CT or the AP radiograph; None for a study."""
        if isinstance(self.inputs, StudyInputs):
            return None
        return self.inputs.ct if isinstance(self.inputs, CTInputs) else self.inputs.ap

    @property
    def source(self) -> str | None:
        """What tells the study from others; None for inputs that are nodes."""
        return self.inputs.source if isinstance(self.inputs, StudyInputs) else None

    @property
    def title(self) -> str:
        """Title of job, report and case: the name of the main input, or of the study's folder."""
        if isinstance(self.inputs, StudyInputs):
            return Path(self.inputs.study).resolve().name or "TomoRay"
        return self.main_input.GetName() or "TomoRay"


def has_input(request: Request) -> bool:
    """True if a main input is chosen: a CT, an AP radiograph, or the folder of a study."""
    inputs = request.inputs
    return bool(inputs.study) if isinstance(inputs, StudyInputs) else request.main_input is not None


def input_nodes(inputs: Inputs) -> list[Any]:
    """The nodes that a run starts from, in a fixed order."""
    if isinstance(inputs, StudyInputs):
        nodes: tuple[Any, ...] = (inputs.segmentation,)
    else:
        nodes = (inputs.ct, inputs.segmentation) if isinstance(inputs, CTInputs) else (inputs.ap, inputs.lateral)
    return [node for node in nodes if node is not None]
