"""Jobs: pieces of work as values, as options of the command line, and as the file ``job.json`` of the worker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from TomoRayLib.anatomy.grey_levels import FIELDS_OF_VIEW_MM, Quantisation
from TomoRayLib.anatomy.numbering_choice import check_labels
from TomoRayLib.anatomy.numberings import AUTO, LABEL_CHOICES
from TomoRayLib.anatomy.vertebra_naming import Anchor, parsed_anchor
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.settings import same_setting, setting, settings
from TomoRayLib.synthesis.settings import (
    FOR_RENDERING,
    Arrangement,
    Exposure,
    GeometryOptions,
    PoseOptions,
    arrangement_of,
)

VIEW_NAMES = {"ap": "ap", "lat": "lat", "lateral": "lat"}
PRECISIONS = ("auto", "float32")


class Written:
    """A job that can be written to a file."""

    kind: ClassVar[str]

    def to_json(self) -> str:
        """Return the job as JSON, as ``read_job`` reads it."""
        values: Any = self
        return json.dumps({"kind": self.kind, **asdict(values)}, indent=2)


@dataclass(frozen=True)
class SynthesisJob(Written):
    """Two radiographs, or a CT that both are rendered from, to a synthetic CT.

    Args:
        out: Output folder. All paths are text.
        ap: AP radiograph.
        lateral: Lateral radiograph.
        ct: CT in HU, in place of the radiographs.
        study: Folder of a DICOM study, in place of both: a CT, and its AP and lateral scout as the radiographs.
        segmentation: Vertebra labels of the CT: a label map, or a folder of masks named after vertebrae.
        labels: Numbering of the label map, one of ``anatomy.numberings.LABEL_CHOICES``.
        geometry: Geometry of the radiographs.
        flip_ap: Mirror the AP radiograph left to right.
        flip_lateral: Mirror the lateral radiograph left to right.
        invert: Exchange dark and bright in both, so that bone is bright.
        invert_ap: Exchange dark and bright in the AP radiograph alone.
        invert_lateral: Exchange dark and bright in the lateral radiograph alone.
        turn_ap: Turn the AP radiograph clockwise by 0, 90, 180 or 270 degrees, before it is mirrored.
        turn_lateral: Turn the lateral radiograph likewise.
        clean: Find borders, letters and text on the radiographs and fill them for the network.
        align: Bring two radiographs to one height, if their rows tell and nobody gave their places.
        model: Id in the registry; None: the default model.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        precision: ``"auto"`` or ``"float32"``.
        fov_mm: Edge of the synthetic CT, 256 or 192.
        quantisation: Lookup table of the truth, ``"linear"`` or ``"equal_frequency"``.
        report: Write ``report.html`` and ``overview.png``.
        anchor: One vertebra named by the user, ``"L1=X,Y,Z"`` in LPS mm or ``"L1=T12"``, that all are counted from.
        vertebra_surfaces: Write the surface of each synthetic vertebra too.
        figures: Write the paper's figures of the case, ``figure2.png`` to ``figure4.png``.
        segment: Score against labels by TomoRay if the CT has no segmentation.
        comparison: Compare with the CT, if there is one.
        suggest: Judge a result from radiographs, and try likely mistakes with them if it may be wrong.
        uncertainty: Run the network on variations of the radiographs too, to say where the result may be wrong.
        dicom: Write the result as DICOM too: a CT series, and a Segmentation object of its vertebrae.
        dicom_patient_from: DICOM file of the patient's study, into which these are filed; None: they are nobody's.
        title: Title of the report; None: from the file names.
        demonstration_note: Sentence on the origin of the demonstration case, for the report.
        input_names: Names for provenance and report of inputs whose files are copies, by the names of their fields.

    Raises:
        InputError: For a combination that makes no sense.
    """

    kind: ClassVar[str] = "synthesis"

    out: str = setting(help="Folder for the results, written atomically.", is_path=True)
    ap: str | None = setting(
        None, help="AP radiograph: DICOM, NRRD, MetaImage, NIfTI, PNG, TIFF, JPEG, BMP.", is_path=True
    )
    lateral: str | None = setting(
        None, help="Lateral radiograph, source at the patient's left; formats as for AP.", is_path=True
    )
    ct: str | None = setting(None, help="CT in HU instead: both radiographs are rendered from it.", is_path=True)
    study: str | None = setting(
        None,
        help="Folder of a DICOM study instead: the scouts (localizers) of its CT are the radiographs.",
        is_path=True,
    )
    segmentation: str | None = setting(
        None, help="Vertebra labels of the CT: a label map, or a folder of vertebrae_L3.nii.gz, ...", is_path=True
    )
    labels: str = setting(AUTO, help=f"Numbering of the label map: {', '.join(LABEL_CHOICES)}.", metavar="NUMBERING")
    geometry: GeometryOptions = settings(GeometryOptions)
    flip_ap: bool = setting(False, help="Mirror the AP image, if the patient's left is at the LEFT in it.")
    flip_lateral: bool = setting(False, help="Mirror the lateral image, if posterior is at the LEFT in it.")
    invert: bool = setting(False, help="Exchange dark and bright: bone must be bright.")
    invert_ap: bool = setting(False, help="Exchange dark and bright in the AP image alone.", name="--invert-ap")
    invert_lateral: bool = setting(
        False, help="Exchange dark and bright in the lateral image alone.", name="--invert-lateral"
    )
    turn_ap: int = setting(0, help="Turn the AP image clockwise: 0, 90, 180 or 270 degrees.")
    turn_lateral: int = setting(0, help="Turn the lateral image clockwise: 0, 90, 180 or 270 degrees.")
    clean: bool = setting(True, help="Leave out borders, letters and text on radiographs.", name="--clean/--no-clean")
    align: bool = setting(
        True,
        help="Bring two radiographs to one height, if their rows tell and their places are not given.",
        name="--align/--no-align",
    )
    model: str | None = setting(None, help="Model id; see 'tomoray models'.")
    device: str = setting("auto", help="auto, cpu, cuda or cuda:<number>.")
    precision: str = setting("auto", help="auto (bfloat16 if the processor has it) or float32.")
    fov_mm: float = setting(256.0, help="Edge of the synthetic CT in mm: 256 or 192.", name="--fov")
    quantisation: str = setting(Quantisation.LINEAR.value, help="Lookup table: linear or equal_frequency.")
    report: bool = setting(True, help="Write report.html and overview.png.", name="--report/--no-report")
    anchor: str | None = setting(
        None,
        help="Name one vertebra, and count all others from it: L1=X,Y,Z (a place in LPS mm) or L1=T12 (its name now).",
        metavar="NAME=PLACE",
    )
    vertebra_surfaces: bool = setting(False, help="Also write vertebrae/vertebrae_L1.vtp and .stl of each vertebra.")
    figures: bool = setting(False, help="Also draw the paper's figures of this case: figure2.png to figure4.png.")
    segment: bool = setting(
        True,
        help="Without a segmentation, let TomoRay label the CT's vertebrae, to score against.",
        name="--segment/--no-segment",
    )
    comparison: bool = True
    suggest: bool = setting(
        True, help="Judge the result, and try likely mistakes if it may be wrong.", name="--suggest/--no-suggest"
    )
    uncertainty: bool = setting(
        False,
        help="Say how sure the result is, voxel by voxel, from variations of the radiographs.",
        name="--uncertainty/--no-uncertainty",
    )
    dicom: bool = setting(False, help="Write DICOM too, nobody's by default: a CT series, a Segmentation object.")
    dicom_patient_from: str | None = setting(
        None,
        help="DICOM file whose patient and study the DICOM files get: with the patient's name.",
        metavar="FILE",
        is_path=True,
    )
    title: str | None = None
    demonstration_note: str | None = None
    input_names: dict[str, str] | None = None

    def __post_init__(self) -> None:
        radiographs = (self.ap is not None) + (self.lateral is not None)
        if self.ct is not None and radiographs:
            raise InputError("Expected radiographs or a CT, got both; give two radiographs, or a CT.", "ct")
        if self.study is not None and (self.ct is not None or radiographs):
            raise InputError(
                "Expected a study or other images, got both; give the study alone, which holds CT and scouts.", "study"
            )
        if not self.has_ct and radiographs != 2:
            missing = {(True, False): "lateral", (False, True): "ap"}.get(
                (self.ap is not None, self.lateral is not None)
            )
            raise InputError("Expected two radiographs (AP and lateral), a CT, or a study; give one of them.", missing)
        if self.segmentation is not None and not self.has_ct:
            raise InputError("A segmentation belongs to a CT; give the CT too, or leave it out.", "segmentation")
        _check_labels_belong(self.labels, self.segmentation)
        how = self.arrangement
        if self.has_ct and how != Arrangement():
            field = next(name for name, value in how.settings().items() if value)
            raise InputError("Mirroring, turning and inverting are for radiographs; leave them out with a CT.", field)
        moved = next((name for name, value in how.settings().items() if value and "invert" not in name), None)
        if moved is not None and self.geometry.has_matrices:
            raise InputError(
                "Expected no mirroring or turning with a projection matrix, which says where each pixel of the image "
                "lies; leave it out.",
                moved,
            )
        if self.fov_mm not in FIELDS_OF_VIEW_MM:
            raise InputError(
                f"Expected a field of view of 256 or 192 mm, got {self.fov_mm}; choose one of these.", "fov_mm"
            )
        if self.dicom_patient_from is not None and not self.dicom:
            raise InputError("A patient belongs to DICOM output; ask for that too, or leave it out.", "dicom")
        check_choice("quantisation", self.quantisation, [choice.value for choice in Quantisation])
        check_choice("precision", self.precision, PRECISIONS)
        _ = self.named_vertebra

    @property
    def named_vertebra(self) -> Anchor | None:
        """The vertebra that the user names. Raises InputError if the text names none."""
        return None if self.anchor is None else parsed_anchor(self.anchor)

    @property
    def has_ct(self) -> bool:
        """True if there is a CT to compare with."""
        return self.ct is not None or self.study is not None

    @property
    def tries_arrangements(self) -> bool:
        """True if likely mistakes with the radiographs are tried: not if matrices say where each pixel lies."""
        return self.suggest and not self.geometry.has_matrices

    @property
    def arrangement(self) -> Arrangement:
        """What is done to the radiographs. Raises InputError for an angle by which no image is turned."""
        names = ("flip_ap", "flip_lateral", "invert", "invert_ap", "invert_lateral", "turn_ap", "turn_lateral")
        return arrangement_of({name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class ProjectionJob(Written):
    """Radiographs (DRRs) rendered from a CT.

    Args:
        out: Output folder. All paths are text.
        ct: CT in HU.
        segmentation: Vertebra labels; the isocentre is then the middle of the vertebrae, else of the CT.
        geometry: Geometry of the views.
        views: ``"ap"`` and ``"lat"``, either or both.
        poses: Angles or matrices in place of these views, and what else changes every view.
        exact: Trace every ray (Siddon) instead of resampling.
        exposure: What the image shows; by default line integrals.
        labels: See ``SynthesisJob``.

    Raises:
        InputError: For an unknown view.
    """

    kind: ClassVar[str] = "projection"

    out: str = same_setting(SynthesisJob, "out")
    ct: str = setting(help="CT in HU.", is_path=True, is_argument=True)
    segmentation: str | None = None
    geometry: GeometryOptions = settings(GeometryOptions, *FOR_RENDERING)
    views: tuple[str, ...] = setting(("ap", "lat"), help="Views: ap, lat, or both.", metavar="ap,lat")
    poses: PoseOptions = settings(PoseOptions)
    exact: bool = setting(False, help="Trace every ray (Siddon): slow, no resampling.")
    exposure: Exposure = settings(Exposure)
    labels: str = AUTO

    def __post_init__(self) -> None:
        check_labels(self.labels)
        unknown = sorted(set(self.views) - set(VIEW_NAMES))
        if unknown or not self.views:
            got = ", ".join(map(repr, unknown)) or "none"
            raise InputError(f"Expected the views ap and lat, got {got}; choose one or both.", "views")
        object.__setattr__(self, "views", tuple(dict.fromkeys(VIEW_NAMES[view] for view in self.views)))


@dataclass(frozen=True)
class SegmentationJob(Written):
    """A CT whose vertebrae are to be found and named by a network.

    Args:
        out: Output folder. All paths are text.
        ct: CT in HU.
        segmentation: Vertebra labels to compare with, if somebody has drawn some.
        labels: Numbering of these; see ``SynthesisJob``.
        device: See ``SynthesisJob``.
        precision: See ``SynthesisJob``.

    Raises:
        InputError: For settings that make no sense.
    """

    kind: ClassVar[str] = "segmentation"

    out: str = same_setting(SynthesisJob, "out")
    ct: str = setting(help="CT in HU.", is_path=True, is_argument=True)
    segmentation: str | None = setting(
        None, help="Vertebra labels of the CT to compare with: a label map, or a folder of masks.", is_path=True
    )
    labels: str = same_setting(SynthesisJob, "labels")
    device: str = same_setting(SynthesisJob, "device")
    precision: str = same_setting(SynthesisJob, "precision")

    def __post_init__(self) -> None:
        _check_labels_belong(self.labels, self.segmentation)
        check_choice("precision", self.precision, PRECISIONS)


@dataclass(frozen=True)
class DemonstrationJob(Written):
    """The demonstration case as files: from ``cache``, downloaded into it, or a phantom written to ``out``."""

    kind: ClassVar[str] = "demonstration"

    out: str
    cache: str
    offline: bool = False


def _check_labels_belong(labels: str, segmentation: str | None) -> None:
    """Raise InputError for an unknown numbering, and for one without a segmentation."""
    check_labels(labels)
    if labels != AUTO and segmentation is None:
        raise InputError("A numbering belongs to a segmentation; give that too, or leave it out.", "labels")


def check_choice(field: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError for a value of the setting ``field`` that is not one of ``choices``."""
    if value not in choices:
        raise InputError(f"Expected the {field} {' or '.join(choices)}, got {value!r}; choose one of these.", field)
