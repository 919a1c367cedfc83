"""A small scripted module named Spine, with a panel of most kinds of widget, for tests of the host application."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

MODULE = """
    import enum
    import pathlib
    from typing import Annotated, Optional

    import qt
    import slicer
    import vtk
    from slicer.i18n import tr as _
    from slicer.parameterNodeWrapper import Choice, Default, Minimum, WithinRange, parameterNodeWrapper
    from slicer.ScriptedLoadableModule import *
    from slicer.util import VTKObservationMixin

    VERSION = 1


    class Region(enum.Enum):
        THORACIC = 1
        LUMBAR = 2

        def label(self):
            return {Region.THORACIC: "Thoracic spine", Region.LUMBAR: "Lumbar spine"}[self]


    class Spine(ScriptedLoadableModule):
        def __init__(self, parent):
            ScriptedLoadableModule.__init__(self, parent)
            parent.title = _("Spine")
            parent.categories = ["Testing"]
            parent.icon = qt.QIcon()


    @parameterNodeWrapper
    class SpineParameterNode:
        ct: slicer.vtkMRMLScalarVolumeNode
        either: slicer.vtkMRMLSegmentationNode | slicer.vtkMRMLLabelMapVolumeNode | None
        region: Region = Region.LUMBAR
        sadMm: Annotated[float, WithinRange(0.0, 2000.0)] = 1000.0
        count: Annotated[int, Minimum(1), Default(5)]
        opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
        view: Annotated[str, Choice(["AP", "lateral"])] = "lateral"
        flip: bool = True
        note: str
        folder: pathlib.Path
        levels: list[str]
        limit: Optional[int]


    class SpineWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
        def __init__(self, parent=None):
            ScriptedLoadableModuleWidget.__init__(self, parent)
            VTKObservationMixin.__init__(self)
            self.calls = []

        def setup(self):
            ScriptedLoadableModuleWidget.setup(self)
            panel = slicer.util.loadUI(self.resourcePath("UI/Spine.ui"))
            self.layout.addWidget(panel)
            self.ui = slicer.util.childWidgetVariables(panel)
            panel.setMRMLScene(slicer.mrmlScene)
            self.logic = SpineLogic()
            self.ui.applyButton.connect("clicked(bool)", self.onApply)
            self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
            self.parameters = self.logic.getParameterNode()
            self.tag = self.parameters.connectGui(self.ui)

        def onApply(self):
            self.calls.append("apply")

        def onSceneEndClose(self, caller, event):
            self.calls.append("scene closed")

        def enter(self):
            self.calls.append("enter")

        def exit(self):
            self.calls.append("exit")

        def cleanup(self):
            self.calls.append("cleanup")
            self.parameters.disconnectGui(self.tag)
            self.removeObservers()


    class SpineLogic(ScriptedLoadableModuleLogic):
        def getParameterNode(self):
            return SpineParameterNode(super().getParameterNode())


    class SpineTest(ScriptedLoadableModuleTest):
        ran = []

        def runTest(self):
            SpineTest.ran.append(self.messageDelay)
"""


def _widget(kind: str, name: str, parameter: str = "", properties: str = "") -> str:
    bound = f'<property name="SlicerParameterName" stdset="0"><string notr="true">{parameter}</string></property>'
    return f'<item><widget class="{kind}" name="{name}">{properties}{bound if parameter else ""}</widget></item>'


def _custom(kind: str, base: str = "QWidget", container: int = 0) -> str:
    header = f"<header>{kind}.h</header><container>{container}</container>"
    return f"<customwidget><class>{kind}</class><extends>{base}</extends>{header}</customwidget>"


def _scene_connection(receiver: str) -> str:
    signal = "<sender>Spine</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>"
    return f"<connection>{signal}<receiver>{receiver}</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>"


NODES = '<property name="nodeTypes"><stringlist notr="true"><string>{kind}</string></stringlist></property>'
NONE = '<property name="noneEnabled"><bool>true</bool></property>'
EXACT = '<property name="showChildNodeTypes"><bool>false</bool></property>'
UI = "".join(
    [
        '<?xml version="1.0" encoding="UTF-8"?><ui version="4.0"><class>Spine</class>',
        '<widget class="qMRMLWidget" name="Spine"><layout class="QVBoxLayout" name="outer"><item>',
        '<widget class="ctkCollapsibleButton" name="section"><property name="text"><string>Inputs</string></property>',
        '<layout class="QVBoxLayout" name="inner">',
        _widget("qMRMLNodeComboBox", "ctSelector", "ct", NODES.format(kind="vtkMRMLScalarVolumeNode") + NONE + EXACT),
        _widget("qMRMLNodeComboBox", "eitherSelector", "either", NONE),
        _widget("qMRMLNodeComboBox", "loneSelector", "", NODES.format(kind="vtkMRMLModelNode")),
        _widget("QComboBox", "regionBox", "region"),
        _widget("QDoubleSpinBox", "sadBox", "sadMm"),
        _widget("QSpinBox", "countBox", "count"),
        _widget("ctkSliderWidget", "opacitySlider", "opacity"),
        _widget("QComboBox", "viewBox", "view"),
        _widget("QCheckBox", "flipBox", "flip", "<property name='text'><string>Mirror</string></property>"),
        _widget("QLineEdit", "noteLine", "note"),
        _widget("ctkPathLineEdit", "folderLine", "folder"),
        _widget("qMRMLTableView", "table"),
        "</layout></widget></item>",
        _widget("QPushButton", "applyButton", "", "<property name='text'><string>Apply</string></property>"),
        "</layout></widget><customwidgets>",
        _custom("qMRMLWidget", container=1),
        _custom("ctkCollapsibleButton", container=1),
        *[_custom(kind) for kind in ("ctkSliderWidget", "ctkPathLineEdit", "qMRMLNodeComboBox", "qMRMLTableView")],
        "</customwidgets><connections>",
        *[_scene_connection(name) for name in ("ctSelector", "eitherSelector", "table")],
        "</connections></ui>",
    ]
)


def write_spine_module(folder: Path) -> Path:
    """Write the module into a folder; returns the module's own folder in it."""
    module = folder / "Spine"
    (module / "Resources" / "UI").mkdir(parents=True)
    (module / "Spine.py").write_text(dedent(MODULE), encoding="utf-8")
    (module / "Resources" / "UI" / "Spine.ui").write_text(UI, encoding="utf-8")
    return module
