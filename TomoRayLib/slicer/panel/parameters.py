"""The panel's state, as Slicer's parameter node keeps it: saved with the scene, bound to the widgets by name.

Slicer saves an enum by the name of its member: members keep their names, so that older scenes can be read.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Union

from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLMarkupsFiducialNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
)
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

LONGEST_MM = 6000.0  # no X-ray room is longer
FARTHEST_MM = 2000.0  # of an image's middle from the isocentre


class InputKind(Enum):
    """The kind of input of a synthesis."""

    RADIOGRAPHS = "radiographs"
    CT = "ct"
    STUDY = "study"

    def label(self) -> str:
        return {
            InputKind.RADIOGRAPHS: _("Two radiographs"),
            InputKind.CT: _("CT"),
            InputKind.STUDY: _("CT with scouts"),
        }[self]


class Turn(Enum):
    """How an image is turned before it is mirrored; the values are degrees clockwise."""

    NONE = 0
    RIGHT = 90
    UPSIDE_DOWN = 180
    LEFT = 270

    def label(self) -> str:
        return {
            Turn.NONE: _("as it is"),
            Turn.RIGHT: _("90° clockwise"),
            Turn.UPSIDE_DOWN: _("upside down"),
            Turn.LEFT: _("90° anticlockwise"),
        }[self]


class Preset(Enum):
    """Geometry of rendered radiographs; the values are the keys of ``geometry.PRESETS``."""

    C_ARM = "c-arm"
    UPRIGHT = "upright"
    PARALLEL = "parallel"
    EOS = "eos"
    CT_SCOUT = "ct-scout"

    def label(self) -> str:
        return {
            Preset.C_ARM: _("C-arm"),
            Preset.UPRIGHT: _("Upright stand"),
            Preset.PARALLEL: _("Parallel beam"),
            Preset.EOS: _("EOS slot scanner"),
            Preset.CT_SCOUT: _("CT scouts"),
        }[self]


class DefaultGeometry(Enum):
    """Geometry for what no file states; the values are empty, or the keys of ``geometry.PRESETS``."""

    AUTOMATIC = ""
    C_ARM = "c-arm"
    UPRIGHT = "upright"
    PARALLEL = "parallel"
    EOS = "eos"
    CT_SCOUT = "ct-scout"

    def label(self) -> str:
        return _("Automatic") if self is DefaultGeometry.AUTOMATIC else Preset(self.value).label()


class Numbering(Enum):
    """Numbering of the vertebrae in a label map; the values are ``numberings.LABEL_CHOICES``."""

    AUTO = "auto"
    VERSE = "verse"
    TPTBOX = "tptbox"
    TOTALSEGMENTATOR = "totalsegmentator"
    TOTALSEGMENTATOR_V1 = "totalsegmentator-v1"
    VERTEBRAE_MR = "vertebrae-mr"
    TOTALSPINESEG = "totalspineseg"
    SPIDER = "spider"
    WHOLE_SPINE = "whole-spine"

    def label(self) -> str:
        return {
            Numbering.AUTO: _("By name, else VerSe"),
            Numbering.VERSE: _("VerSe, CTSpine1K"),
            Numbering.TPTBOX: _("TPTBox, SPINEPS"),
            Numbering.TOTALSEGMENTATOR: _("TotalSegmentator"),
            Numbering.TOTALSEGMENTATOR_V1: _("TotalSegmentator version 1"),
            Numbering.VERTEBRAE_MR: _("TotalSegmentator, vertebrae MR"),
            Numbering.TOTALSPINESEG: _("TotalSpineSeg"),
            Numbering.SPIDER: _("SPIDER"),
            Numbering.WHOLE_SPINE: _("None: the whole spine"),
        }[self]


class VertebraTask(Enum):
    """What TotalSegmentator segments of a vertebra; the values are its tasks."""

    WHOLE = "total"
    BODIES = "vertebrae_pp"

    def label(self) -> str:
        return {
            VertebraTask.WHOLE: _("whole vertebrae"),
            VertebraTask.BODIES: _("bodies alone"),
        }[self]


class FieldOfView(Enum):
    """Edge of the synthetic CT in mm; the values are those of ``grey_levels.FIELDS_OF_VIEW_MM``."""

    WIDE = 256.0
    NARROW = 192.0

    def label(self) -> str:
        return _("{edge:.0f} mm").format(edge=self.value)


class GreyLevels(Enum):
    """The lookup table of the ground truth; the values are those of ``grey_levels.Quantisation``."""

    LINEAR = "linear"
    EQUAL_FREQUENCY = "equal_frequency"

    def label(self) -> str:
        names = {GreyLevels.LINEAR: _("evenly spaced (as trained)"), GreyLevels.EQUAL_FREQUENCY: _("equally frequent")}
        return names[self]


class Layout(Enum):
    """Arrangement of the views; the values are the names in ``TomoRayLib.slicer.views.layouts``."""

    COMPARE = "compare"
    SYNTHETIC = "synthetic"
    UNCHANGED = "unchanged"

    def label(self) -> str:
        return {
            Layout.COMPARE: _("True above synthetic, and 3D"),
            Layout.SYNTHETIC: _("Synthetic, radiographs and 3D"),
            Layout.UNCHANGED: _("Your own views"),
        }[self]


class TrueBackground(Enum):
    """What lies behind the true outlines; the values are the names in ``views.true_background``."""

    VERTEBRAE = "vertebrae"
    WHOLE_CT = "ct"

    def label(self) -> str:
        return {
            TrueBackground.VERTEBRAE: _("Its vertebrae alone, as compared"),
            TrueBackground.WHOLE_CT: _("The CT itself"),
        }[self]


class WindowPreset(Enum):
    """Window shared by the true and the synthetic CT; the values are the names in ``views.display``."""

    MODEL = "model"
    BONE = "bone"
    SOFT_TISSUE = "soft tissue"

    def label(self) -> str:
        return {
            WindowPreset.MODEL: _("The model's window (400/1300 HU)"),
            WindowPreset.BONE: _("Bone (300/1500 HU)"),
            WindowPreset.SOFT_TISSUE: _("Soft tissue (40/400 HU)"),
        }[self]


@parameterNodeWrapper
class TomoRayParameterNode:
    """All choices of the panel. Lengths in mm, angles in degrees; ``ap...`` and ``lateral...`` are the two views."""

    inputKind: InputKind = InputKind.RADIOGRAPHS
    apRadiograph: vtkMRMLScalarVolumeNode
    lateralRadiograph: vtkMRMLScalarVolumeNode
    flipAp: bool = False
    flipLateral: bool = False
    invert: bool = False
    invertAp: bool = False
    invertLateral: bool = False
    turnAp: Turn = Turn.NONE
    turnLateral: Turn = Turn.NONE
    apSidMm: Annotated[float, WithinRange(0.0, LONGEST_MM)] = 0.0
    apSadMm: Annotated[float, WithinRange(0.0, LONGEST_MM)] = 0.0
    apSpacingMm: Annotated[float, WithinRange(0.0, 10.0)] = 0.0
    apAngleDeg: Annotated[float, WithinRange(-180.0, 180.0)] = 0.0
    apDownMm: Annotated[float, WithinRange(-FARTHEST_MM, FARTHEST_MM)] = 0.0
    apRightMm: Annotated[float, WithinRange(-FARTHEST_MM, FARTHEST_MM)] = 0.0
    apRulerMm: Annotated[float, WithinRange(0.0, LONGEST_MM)] = 0.0
    lateralSidMm: Annotated[float, WithinRange(0.0, LONGEST_MM)] = 0.0
    lateralSadMm: Annotated[float, WithinRange(0.0, LONGEST_MM)] = 0.0
    lateralSpacingMm: Annotated[float, WithinRange(0.0, 10.0)] = 0.0
    lateralAngleDeg: Annotated[float, WithinRange(-180.0, 180.0)] = 90.0
    lateralDownMm: Annotated[float, WithinRange(-FARTHEST_MM, FARTHEST_MM)] = 0.0
    lateralRightMm: Annotated[float, WithinRange(-FARTHEST_MM, FARTHEST_MM)] = 0.0
    lateralRulerMm: Annotated[float, WithinRange(0.0, LONGEST_MM)] = 0.0
    geometryPreset: DefaultGeometry = DefaultGeometry.AUTOMATIC
    geometrySource: str  # which images and preset the numbers above were read from

    ct: vtkMRMLScalarVolumeNode
    study: str  # folder of a DICOM study
    numbering: Numbering = Numbering.AUTO
    segmentation: Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]  # noqa: UP007 (Slicer reads it)
    center: vtkMRMLMarkupsFiducialNode
    renderPreset: Preset = Preset.C_ARM
    vertebraTask: VertebraTask = VertebraTask.WHOLE

    syntheticVolume: vtkMRMLScalarVolumeNode
    syntheticSegmentation: vtkMRMLSegmentationNode
    comparison: bool = True
    segment: bool = True
    align: bool = True
    clean: bool = True
    currentCase: vtkMRMLScalarVolumeNode  # the synthetic CT that the Compare section shows

    layout: Layout = Layout.COMPARE
    trueBackground: TrueBackground = TrueBackground.VERTEBRAE
    windowPreset: WindowPreset = WindowPreset.MODEL
    linkedViews: bool = True
    showOutline: bool = True
    showNames: bool = True
    showDifference: bool = False
    differenceOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.6
    truthOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 1.0
    syntheticOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 1.0
    showDistance: bool = True

    model: str  # empty: the default of the registry
    device: str = "auto"
    fieldOfView: FieldOfView = FieldOfView.WIDE
    quantisation: GreyLevels = GreyLevels.LINEAR
