"""The Slicer module TomoRay: two radiographs, or a CT, to a synthetic CT of the spine. Research use only.

This file is the shell that Slicer looks for. The panel is in ``TomoRayLib.slicer.panel``, the scene in
``TomoRayLib.slicer.scene``, and the work itself runs in a process of its own, ``TomoRayLib.worker``.
"""

import importlib.util
import os
import sys
import unittest
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# When installed, TomoRayLib is next to this file; in a source checkout, next to this folder.
if importlib.util.find_spec("TomoRayLib") is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Nothing else of TomoRayLib here: Slicer reads this file at its start, and the rest needs numpy and VTK.
from TomoRayLib.slicer.extensions import sample_data
from TomoRayLib.slicer.views import layouts

HERE = os.path.dirname(os.path.abspath(__file__))


def resource_path(name: str) -> str:
    """A file of ``Resources``: next to this file when installed, next to its folder in a source checkout."""
    installed = os.path.join(HERE, "Resources", name)
    return installed if os.path.exists(installed) else os.path.join(os.path.dirname(HERE), "Resources", name)


class TomoRay(ScriptedLoadableModule):
    """The module's entry in Slicer, before it is opened."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "TomoRay"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        parent.dependencies = ["Segmentations", "Markups"]  # whose nodes the parameter node names
        parent.contributors = ["TomoRay developers (TomoRay project)"]
        parent.helpText = _(
            "Makes a synthetic CT of the spine from an AP and a lateral radiograph, or from a CT whose radiographs it "
            "renders, and compares it with the real one. All results are synthetic: for research only, not for "
            "diagnosis or treatment. No data leave this computer."
        )
        parent.acknowledgementText = _(
            "After: Zanier O, Theiler S, Mutten RD, et al. TomoRay: Generating Synthetic Computed Tomography of the "
            "Spine From Biplanar Radiographs. Neurospine 2024;21(1):68-75."
        )
        parent.icon = qt.QIcon(resource_path("Icons/TomoRay.png"))
        slicer.app.connect("startupCompleted()", on_startup)

    def resourcePath(self, filename):
        return resource_path(filename)


def on_startup() -> None:
    """Register the sample in Slicer's Sample Data module, and the layouts for scenes that were saved with them.

    Views are marked from the first node on that is added, so that an unused TomoRay costs Slicer's start nothing.
    """
    sample_data.register(resource_path("Icons/TomoRaySample.png"))
    scene = slicer.mrmlScene
    tags = []

    def on_first_node(*_arguments) -> None:
        while tags:
            scene.RemoveObserver(tags.pop())
            qt.QTimer.singleShot(0, mark_views)

    tags.append(scene.AddObserver(scene.NodeAddedEvent, on_first_node))
    node = layouts.layout_node()
    if node is not None:  # there is none without a main window
        layouts.register(node)


def mark_views() -> None:
    """Keep the line SYNTHETIC CT in every view that shows something synthetic, whether the module is open or not."""
    from TomoRayLib.slicer.panel.compare import later
    from TomoRayLib.slicer.views import annotation

    annotation.start(later)


class TomoRayWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel's life in Slicer: opened, left, scene closed, reloaded. ``Panel`` does the rest."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self.dicomSaving = None

    def resourcePath(self, filename):
        return resource_path(filename)

    def setup(self) -> None:
        from TomoRayLib.slicer.panel.dicom_saving import DicomSaving
        from TomoRayLib.slicer.panel.panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/TomoRay.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = TomoRayLogic()
        self.panel = Panel(self.ui, self.logic, Path(self.resourcePath("requirements.txt")))
        self.dicomSaving = DicomSaving(self.ui, self.panel, Path(self.resourcePath("requirements-dicom.txt")))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.setParameterNode(None)
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanup()

    def enter(self) -> None:
        self.initializeParameterNode()
        self.panel.enter()

    def exit(self) -> None:
        self.panel.leave()
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event) -> None:
        self.panel.scene_closes()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event) -> None:
        if self.parent.isEntered:
            self.setParameterNode(None)
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameters) -> None:
        self.panel.set_parameters(parameters)


class TomoRayLogic(ScriptedLoadableModuleLogic):
    """For scripts, with or without the panel: see ``synthesize``."""

    def getParameterNode(self):
        from TomoRayLib.slicer.panel.parameters import TomoRayParameterNode

        return TomoRayParameterNode(super().getParameterNode())

    def synthesize(self, request, waitForCompletion=True):
        """Run a synthesis. Missing Python packages are installed first (Slicer may ask).

        Nothing asks whether the model's weights may be used: those of the default one are for non-commercial use only
        (CC BY-NC-SA 4.0); with ``Settings(model="geolift-s-permissive")`` commercial use is allowed too.

        Args:
            request: A ``TomoRayLib.slicer.request.Request``.
            waitForCompletion: Wait for the result; the application stays responsive meanwhile.

        Returns:
            The ``CaseNodes`` of the result. Without ``waitForCompletion`` the started ``SynthesisRun``: call its
            ``poll()`` until ``state.is_over`` of the status; its ``nodes`` are then the ``CaseNodes``.

        Raises:
            RuntimeError: If there is no result, with the reason.
        """
        from TomoRayLib.base.errors import InputError
        from TomoRayLib.slicer.extensions import installation
        from TomoRayLib.slicer.runs import SynthesisRun
        from TomoRayLib.slicer.worker.worker_run import RunState

        try:
            installation.ensure(Path(resource_path("requirements.txt")))
        except InputError as error:
            raise RuntimeError(str(error)) from None
        run = SynthesisRun(request)
        run.start()
        if not waitForCompletion:
            return run
        status = run.wait(slicer.app.processEvents)
        if status.state is not RunState.DONE:
            raise RuntimeError(status.failure.sentence if status.failure else _("The synthesis was cancelled."))
        return status.nodes


class TomoRayTest(ScriptedLoadableModuleTest):
    """The test of Slicer's *Reload and Test* and of the build. Without PyTorch the synthesis is skipped."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        for test in (self.test_panel_opens_and_says_what_is_missing, self.test_phantom_becomes_a_marked_synthetic_ct):
            self.setUp()
            try:
                test()
            except unittest.SkipTest as skipped:
                self.delayDisplay(_("Skipped: {reason}").format(reason=skipped))
                continue
            self.delayDisplay(_("Passed: {test}").format(test=test.__name__))

    def test_panel_opens_and_says_what_is_missing(self) -> None:
        widget = slicer.util.getModuleWidget("TomoRay")
        widget.enter()
        self.assertFalse(widget.panel.ui.synthesizeButton.enabled)
        self.assertIn(_("AP radiograph"), widget.panel.ui.statusLabel.text)

    def test_phantom_becomes_a_marked_synthetic_ct(self) -> None:
        """On the built-in phantom, so that no network is needed, with the real worker and the real weights."""
        from TomoRayLib.slicer.extensions import installation
        from TomoRayLib.slicer.request import CTInputs, Request

        problem = installation.problem(Path(resource_path("requirements.txt")))
        if problem is not None:
            self.skipTest(problem)
        ct, vertebrae = sample_data.download(offline=True)
        case = TomoRayLogic().synthesize(Request(CTInputs(ct, vertebrae)))
        self.assertEqual(slicer.util.arrayFromVolume(case.synthetic).shape, (192, 192, 192))
        self.assertIn("SYNTHETIC", case.synthetic.GetName())
        self.assertGreater(case.metrics.GetNumberOfRows(), 10)
        self.assertIn("SYNTHETIC", case.report.GetText())
