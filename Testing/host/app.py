"""Stand-in for ``slicer.app``: Qt's application with what Slicer adds to it, as far as panels use it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from host.layout_manager import qSlicerLayoutManager
from host.modules import ModuleSelector, qSlicerModuleManager
from host.scene import scene_host
from host.storage import qSlicerCoreIOManager

Property, Signal = QtCore.Property, QtCore.Signal
VERSION = (5, 13)  # of slicer-core, whose scene this is


class ExtensionsManagerModel(QtCore.QObject):
    """Records what would be installed; ``installed`` is for tests to fill."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._installed: set[str] = set()
        self._requested: list[str] = []
        self._interactive = True

    interactive = Property(
        bool, lambda self: self._interactive, lambda self, value: setattr(self, "_interactive", value)
    )
    requested = Property("QStringList", lambda self: self._requested)

    def isExtensionInstalled(self, name: str) -> bool:
        return name in self._installed

    def installExtensionFromServer(self, name: str, *_restart_and_wait) -> bool:
        self._requested.append(name)
        return True

    def updateExtensionsMetadataFromServer(self, *_force_and_wait) -> bool:
        return True


class CommandOptions(QtCore.QObject):
    """Only what ``slicer.util.exit`` sets."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._exit = False

    runPythonAndExit = Property(bool, lambda self: self._exit, lambda self, value: setattr(self, "_exit", value))


class DicomDatabase(QtCore.QObject):
    """``slicer.dicomDatabase``: which file holds an instance, as tests register it."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._files: dict[str, str] = {}

    isOpen = Property(bool, lambda self: True)

    def register(self, instance_uid: str, path: Path | str) -> None:
        """For tests: the database holds this instance."""
        self._files[instance_uid] = str(path)

    def fileForInstance(self, instance_uid: str) -> str:
        return self._files.get(instance_uid, "")

    def instanceForFile(self, path: str) -> str:
        return next((uid for uid, known in self._files.items() if known == path), "")

    def fileValue(self, path: str, tag: str) -> str:
        """The value of a DICOM tag ``"gggg,eeee"`` as text; empty if the file has none."""
        import pydicom

        group, element = (int(part, 16) for part in tag.split(","))
        return str(pydicom.dcmread(path, stop_before_pixels=True).get((group, element), ""))

    def instanceValue(self, instance_uid: str, tag: str) -> str:
        path = self.fileForInstance(instance_uid)
        return self.fileValue(path, tag) if path else ""


class MainWindow(QtWidgets.QMainWindow):
    """Slicer's main window with the module panel at the left and nothing else."""

    def __init__(self, selector: ModuleSelector | None) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._panel = QtWidgets.QScrollArea(self)
        self._panel.setWidgetResizable(True)
        self._panel.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        self.setCentralWidget(self._panel)
        self._selector = selector

    def moduleSelector(self):
        return self._selector

    def show_panel(self, widget) -> None:
        """Put a module's panel into the window; the one before it is kept, unseen."""
        if self._panel.widget() is not None:
            self._panel.takeWidget()
        self._panel.setWidget(widget)
        widget.show()

    def panel_width_px(self) -> int:
        """Room for the open panel without scrolling sideways, as Slicer gives it."""
        inside = self._panel.widget()
        return 40 + (inside.minimumSizeHint.width() if inside is not None else 400)

    @contextmanager
    def panel_alone(self, widget):
        """Meanwhile the panel, if ``widget`` is it, is a window of its own."""
        if self._panel.widget() is not widget or widget is None:
            yield
            return
        self._panel.takeWidget()
        try:
            yield
        finally:
            self._panel.setWidget(widget)


class qSlicerApplication(QtWidgets.QApplication):
    """``slicer.app``. Paths lie in ``folder``, settings in ini files there."""

    startupCompleted = Signal()

    def __init__(self, folder: Path) -> None:
        super().__init__(["TomoRayTestHost"])
        self.setOrganizationName("NA-MIC")
        self.setApplicationName("Slicer")
        self.setApplicationVersion(".".join(str(number) for number in VERSION) + ".0")
        self._folder = folder
        for name in ("temp", "cache", "home", "extensions"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._settings = QtCore.QSettings()
        self._revision_settings = QtCore.QSettings(str(folder / "Slicer-revision.ini"), QtCore.QSettings.IniFormat)
        self._testing = False
        self._restarts = 0
        self._translations: dict[str, str] = {}
        self._managers: dict[str, object] = {}

    def build(self) -> None:
        """Make the managers; needs the scene."""
        scene_host().layout_logic.GetLayoutNode().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        modules = qSlicerModuleManager(self)
        selector = ModuleSelector(modules, self._show_panel)
        self._managers = {
            "modules": modules,
            "layout": qSlicerLayoutManager(self),
            "io": qSlicerCoreIOManager(self),
            "extensions": ExtensionsManagerModel(self),
            "options": CommandOptions(self),
            "dicom": DicomDatabase(self),
            "selector": selector,
            "window": MainWindow(selector),
        }

    def _show_panel(self, widget) -> None:
        self._managers["window"].show_panel(widget)

    slicerHome = Property(str, lambda self: str(self._folder / "home"))
    temporaryPath = Property(str, lambda self: str(self._folder / "temp"))
    cachePath = Property(str, lambda self: str(self._folder / "cache"))
    extensionsInstallPath = Property(str, lambda self: str(self._folder / "extensions"))
    slicerUserSettingsFilePath = Property(str, lambda self: self._settings.fileName())
    launcherExecutableFilePath = Property(str, lambda self: "")
    majorVersion = Property(int, lambda self: VERSION[0])
    minorVersion = Property(int, lambda self: VERSION[1])
    mainApplicationName = Property(str, lambda self: "Slicer")
    mainApplicationDisplayName = Property(str, lambda self: "3D Slicer")
    revision = Property(str, lambda self: "0")
    os = Property(str, lambda self: "linux")
    arch = Property(str, lambda self: "amd64")
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/en/latest/")
    applicationLocaleName = Property(str, lambda self: "en_US")

    def mrmlScene(self):
        return slicer.mrmlScene

    def applicationLogic(self):
        return scene_host().application_logic

    def moduleLogic(self, name: str):
        return self.applicationLogic().GetModuleLogic(name)

    def moduleManager(self):
        return self._managers["modules"]

    def layoutManager(self):
        return self._managers["layout"]

    def coreIOManager(self):
        return self._managers["io"]

    def ioManager(self):
        return self._managers["io"]

    def extensionsManagerModel(self):
        return self._managers["extensions"]

    def commandOptions(self):
        return self._managers["options"]

    def dicomDatabase(self):
        return self._managers["dicom"]

    def pythonConsole(self):
        return None

    def settings(self):
        return self._settings

    def userSettings(self):
        return self._settings

    def revisionUserSettings(self):
        return self._revision_settings

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def environment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"

    def testingEnabled(self) -> bool:
        return self._testing

    def translate(self, context: str, text: str, *_comment_and_number) -> str:
        """The text in the language of the host: what ``SlicerHost.translations`` says, else unchanged."""
        return self._translations.get(text, text)

    def pauseRender(self) -> None:
        self.layoutManager().pauseRender()

    def resumeRender(self) -> None:
        self.layoutManager().resumeRender()

    def restart(self) -> None:
        self._restarts += 1

    def confirmRestart(self, reason: str = "") -> None:
        self._restarts += 1

    def exit(self, status: int = 0) -> None:
        """A test's process does not end because a panel asks."""

    def logUsageEvent(self, component: str, event: str) -> None:
        """Nothing is sent anywhere."""

    def keyboardModifiers(self):
        return QtGui.QGuiApplication.keyboardModifiers()
