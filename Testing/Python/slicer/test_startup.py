"""What Slicer runs of TomoRay at its start is light: neither numpy nor VTK, nor anything larger, is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="needs slicer-core")
pytest.importorskip("PySide6.QtWidgets", reason="needs PySide6")
REPOSITORY = Path(__file__).resolve().parents[3]

# The host has loaded numpy and VTK itself, so imports are counted where they are asked for: in TomoRay's own files.
STARTED = """
import builtins, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/Testing"]
from host.application import SlicerHost
host = SlicerHost.start()
HEAVY = {"numpy", "vtk", "vtkmodules", "SimpleITK", "torch", "scipy", "pydicom", "PIL", "safetensors"}
real, asked = builtins.__import__, set()
def counted(name, globals=None, locals=None, fromlist=(), level=0):
    who = str((globals or {}).get("__name__", ""))
    if who.partition(".")[0] in ("TomoRay", "TomoRayLib") and level == 0 and name.partition(".")[0] in HEAVY:
        asked.add(f"{who}: {name}")
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = counted
host.app.moduleManager().load(host.module_path("TomoRay"))
host.finish_startup()
host.process_events(0.1)
print("started", sorted(asked), sum(name.startswith("TomoRayLib") for name in sys.modules))
import slicer
slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "first")
host.process_events(0.2)
from TomoRayLib.slicer.views import annotation
print("views are marked", annotation._KEEPER is not None)
host.open_module("TomoRay")
print("opened", "TomoRayLib.slicer.panel.panel: vtk" in asked, bool(host.errors))
"""


def test_neither_numpy_nor_vtk_is_asked_for_before_the_module_is_used() -> None:
    run = subprocess.run(
        [sys.executable, "-c", STARTED, str(REPOSITORY)],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = [line for line in run.stdout.splitlines() if line.startswith(("started", "views", "opened"))]
    assert lines[0].startswith("started []"), lines[0]
    assert int(lines[0].split()[-1]) < 20
    assert lines[1] == "views are marked True"
    assert lines[2] == "opened True False"
