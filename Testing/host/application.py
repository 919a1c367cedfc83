"""``SlicerHost``: starts the stand-in for Slicer's application and drives it from a test. See README.md."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

# Before PySide6 is imported: no screen, and enums that are integers, as in PythonQt.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYSIDE6_OPTION_PYTHON_ENUM", "2")

from PySide6 import QtCore

from host import layout_picture, modules_of_qt, styles
from host.dialogs import Dialogs
from host.errors import Errors

HERE = Path(__file__).resolve().parent
SLICER_PYTHON_DIR = "SLICER_PYTHON_DIR"  # Slicer's own Base/Python: its files instead of the stand-ins


def _keep_none_alive() -> None:
    """PySide6's stable-ABI build and VTK's wrappers lose references to None before Python 3.12, in which None is
    immortal; a long session would end in "deallocating None". A large head start costs nothing."""
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


class HostTimeoutError(AssertionError):
    """A condition did not come true in time."""


class SlicerHost:
    """One for each process: ``SlicerHost.start()``."""

    _started: SlicerHost | None = None

    @classmethod
    def start(cls) -> SlicerHost:
        """The running host; the first call makes application, scene, ``qt``, ``ctk`` and the rest of ``slicer``."""
        if cls._started is None:
            cls._started = cls()
        return cls._started

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-host-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        _keep_none_alive()
        modules_of_qt.install()
        self.errors, self.dialogs = Errors(), Dialogs()
        self.errors.install()
        self.dialogs.install()
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        for scope in (QtCore.QSettings.UserScope, QtCore.QSettings.SystemScope):
            QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, scope, str(self.folder / "settings"))
        self._fill_slicer()

    def _fill_slicer(self) -> None:
        import slicer

        real = os.environ.get(SLICER_PYTHON_DIR)
        folders = [HERE / "slicer_python"] if not real else [Path(real), HERE / "slicer_python"]
        if real and not (Path(real) / "slicer" / "ScriptedLoadableModule.py").is_file():
            raise RuntimeError(f"{SLICER_PYTHON_DIR} must name Slicer's Base/Python; there is no slicer/ in '{real}'")
        ours = [str(folder / "slicer") for folder in folders[:1]]
        slicer.__path__[:] = [*ours, *slicer.__path__] if real else [*slicer.__path__, *ours]
        sys.path.append(str(HERE / "slicer_python"))
        slicer.modules, slicer.moduleNames = types.ModuleType("slicer.modules"), types.ModuleType("slicer.moduleNames")
        sys.modules["slicer.modules"], sys.modules["slicer.moduleNames"] = slicer.modules, slicer.moduleNames

        from host import layout_manager, modules, mrml_widgets
        from host.app import qSlicerApplication
        from host.scene import LOGIC_OF_MODULE, TITLE_OF_MODULE, start_scene

        for name, made in mrml_widgets.CLASSES.items():
            setattr(slicer, name, made)
        for kind in (
            mrml_widgets.qMRMLUtils,
            modules.qSlicerScriptedLoadableModule,
            modules.qSlicerScriptedLoadableModuleWidget,
            layout_manager.qMRMLSliceWidget,
            layout_manager.qMRMLThreeDWidget,
        ):
            setattr(slicer, kind.__name__, kind)
        start_scene()
        for name in LOGIC_OF_MODULE:
            title = TITLE_OF_MODULE.get(name, name.capitalize())
            setattr(slicer.moduleNames, title, title)
        self.app = slicer.app = qSlicerApplication(self.folder)
        self.app.build()
        slicer.dicomDatabase = self.app.dicomDatabase()
        if real:  # slicer-core has imported its own copy
            del sys.modules["slicer.util"]
        import slicer.util

        self.app.moduleManager().load(HERE / "slicer_python" / "SampleData.py")

    # Modules

    def module_path(self, name_or_folder: str | Path) -> Path:
        """``TomoRay`` or a module's folder to its file."""
        folder = Path(name_or_folder)
        if not folder.is_dir():
            folder = HERE.parents[1] / str(name_or_folder)
        path = folder / f"{folder.name}.py"
        if not path.is_file():
            raise FileNotFoundError(f"no module file {path}")
        return path

    def open_module(self, name_or_folder: str | Path):
        """Load a module if need be and show its panel (``setup`` once, then ``enter``); returns its widget class."""
        import slicer

        module = self.app.moduleManager().load(self.module_path(name_or_folder))
        slicer.util.selectModule(module.name)
        self.process_events()
        return module.widgetRepresentation().self()

    def leave_module(self) -> None:
        """As when the user goes to another module: ``exit``."""
        self.window.moduleSelector().selectModule("")

    def reload_module(self, name: str):
        """Slicer's Reload button; returns the new widget class."""
        import slicer

        slicer.util.reloadScriptedModule(name)
        self.process_events()
        return getattr(slicer.modules, name + "Widget")

    def close_modules(self) -> None:
        """Close all that tests opened."""
        for name in self.app.moduleManager().scripted_names():
            if name != "SampleData":
                self.close_module(name)

    def close_module(self, name: str) -> None:
        """As at Slicer's end: ``exit``, ``cleanup``, and the module is gone."""
        self.leave_module()
        self.app.moduleManager().unload(name)
        self.process_events()

    @property
    def window(self):
        """The main window, which shows the open module's panel."""
        return self.app._managers["window"]

    def finish_startup(self) -> None:
        """Emit ``startupCompleted()``, at which modules register sample data."""
        self.app.startupCompleted.emit()

    # Time

    def process_events(self, seconds: float = 0.0) -> None:
        """Let Qt work, at least once and for so long."""
        end = time.monotonic() + seconds
        while True:
            self.app.processEvents()
            QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
            if time.monotonic() >= end:
                return
            time.sleep(0.005)

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 30.0):
        """Let Qt work until ``condition()`` is true and return what it gave. HostTimeoutError after ``timeout_s``."""
        end = time.monotonic() + timeout_s
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() >= end:
                raise HostTimeoutError(f"not true within {timeout_s} s: {condition}\n{self.errors.text()}")
            self.process_events(0.01)

    # State that tests set

    def set_testing(self, enabled: bool) -> None:
        """``slicer.app.testingEnabled()``; message boxes then do not come up at all, as in Slicer."""
        self.app._testing = enabled

    def set_translations(self, texts: dict[str, str] | None) -> None:
        """Set the answers of ``slicer.app.translate`` by English text; None for English."""
        self.app._translations = dict(texts or {})

    def set_installed_extensions(self, *names: str) -> None:
        """Set the answer of ``extensionsManagerModel().isExtensionInstalled``."""
        self.app.extensionsManagerModel()._installed = set(names)

    @property
    def restarts(self) -> int:
        """The number of requests to restart Slicer."""
        return self.app._restarts

    def clear_scene(self) -> None:
        """File, Close scene."""
        import slicer

        slicer.mrmlScene.Clear(False)
        self.process_events()

    # Pictures

    def grab(self, widget, path: Path | str, width: int, height: int, scale: float = 1.0, style: str = "light") -> Path:
        """Draw a widget at so many logical pixels into a PNG of ``scale`` times as many, light or dark.

        The open panel is taken out of the window's scroll area meanwhile, so that all of it is seen; ``host.window``
        shows it as on a screen of that size. Other children of a window are drawn in the size that they have.
        """
        with self.window.panel_alone(widget):
            return styles.grab(self.app, widget, Path(path), width, height, scale, style)

    def grab_window(
        self,
        path: Path | str,
        width: int,
        height: int,
        scale: float = 1.0,
        style: str = "light",
        caption: str = "",
    ) -> Path:
        """Draw the whole window into a PNG: panel at the left, the layout's views at the right, a caption below."""
        styles.apply(self.app, style)
        try:
            manager = self.app.layoutManager()
            return layout_picture.grab_window(self.app, manager, self.window, Path(path), width, height, scale, caption)
        finally:
            styles.apply(self.app, "light")
