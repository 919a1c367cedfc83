"""Slicer's application for tests: the host, its scene, TomoRay's panel, and a small module."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.spine_module import write_spine_module
from support.tiny_model import worker_code
from TomoRayLib.images.contained import close_reading_process


@pytest.fixture(scope="session")
def slicer_host():
    """The stand-in for Slicer's application, one for all tests."""
    pytest.importorskip("slicer", reason="needs slicer-core")
    pytest.importorskip("PySide6.QtWidgets", reason="needs PySide6")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from host.application import SlicerHost

    return SlicerHost.start()


@pytest.fixture(autouse=True)
def no_reading_process() -> None:
    """No process that an earlier test read files with: tests count the children of this one."""
    close_reading_process()


@pytest.fixture(autouse=True)
def packages_were_probed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs begin without a probe of PyTorch, as all do but the first one after an installation, unless a test has the
    fixture ``probing``."""
    if "probing" not in request.fixturenames and "slicer_host" in request.fixturenames:
        request.getfixturevalue("slicer_host")
        from TomoRayLib.slicer.worker import worker_run

        monkeypatch.setattr(worker_run, "is_known_good", lambda _requirements: True)


@pytest.fixture
def probing(slicer_host) -> None:
    """The first run of a test probes the worker's packages."""
    from TomoRayLib.slicer.worker.probe import forget_good

    forget_good()


@pytest.fixture
def scene(slicer_host):
    """Slicer's scene, empty before and after a test."""
    import slicer

    slicer_host.clear_scene()
    yield slicer.mrmlScene
    slicer_host.clear_scene()


def agree_to_the_weights() -> None:
    """As after the first synthesis: the licence of the default weights was agreed to."""
    import qt

    from TomoRayLib.slicer.panel.consent import AGREED, KEY

    qt.QSettings().setValue(KEY, AGREED)


@pytest.fixture
def panel(slicer_host, scene):
    """The open panel of the module TomoRay on an empty scene. Nothing may have been raised into the console."""
    slicer_host.errors.clear()
    slicer_host.dialogs.forget()
    slicer_host.window.show()
    agree_to_the_weights()
    widget = slicer_host.open_module("TomoRay")
    yield widget
    slicer_host.close_module("TomoRay")
    assert not slicer_host.errors, slicer_host.errors.text()


@pytest.fixture
def ready(panel):
    """The panel with a CT and its vertebrae chosen."""
    from support import panel_driver as drive
    from support.slicer_data import add_segmentation, add_volume, oblique_case

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node, add_segmentation(labels, node))
    assert drive.status(panel) == "Ready."
    return panel


@pytest.fixture
def a_host(slicer_host):
    """The running host with an empty scene; at the end nothing may have been raised into the console."""
    slicer_host.clear_scene()
    slicer_host.errors.clear()
    slicer_host.dialogs.forget()
    yield slicer_host
    slicer_host.close_modules()
    slicer_host.clear_scene()
    raised, texts = list(slicer_host.errors), slicer_host.errors.text()
    slicer_host.errors.clear()
    slicer_host.dialogs.forget()
    assert not raised, texts


@pytest.fixture
def a_module_folder(tmp_path: Path) -> Path:
    """A small scripted module named Spine, with a panel of most kinds of widget."""
    return write_spine_module(tmp_path)


@pytest.fixture
def a_panel(a_host, a_module_folder: Path):
    """The small module's widget, open."""
    return a_host.open_module(a_module_folder)


@pytest.fixture
def a_python_slicer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a ``PythonSlicer`` on the path that runs the code given in place of, or before, the real worker, in this
    Python or in another one."""

    def install(code: str, python: Path | str = sys.executable) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        script = folder / "before.py"
        script.write_text(code, encoding="utf-8")
        launcher = folder / "PythonSlicer"
        launcher.write_text(f'#!/bin/sh\nexec "{python}" "{script}" "$@"\n', encoding="utf-8")
        launcher.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return install


@pytest.fixture
def tiny_worker(a_python_slicer: Callable[[str], None], tiny_models: Path) -> None:
    """The real worker with a small network, for tests whose subject is not the result."""
    if sys.platform == "win32":  # the launcher is a shell script; the full network serves as well
        return
    a_python_slicer(worker_code(tiny_models))


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No package index and an empty cache: the sample is the built-in phantom."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOMORAY_CACHE", str(tmp_path / "empty cache"))
