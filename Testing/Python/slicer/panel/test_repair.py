"""A really broken PyTorch in the worker's Python is found before a run, and the panel's button repairs it."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from support import panel_driver as drive
from support.broken_environments import Environment, write_wheel
from support.pytorch_extension import install_extension
from TomoRayLib.base.package_faults import Fault
from TomoRayLib.base.requirements import read_requirements

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="breaks libraries of Linux by links"),
    pytest.mark.usefixtures("probing", "nothing_tried"),
]
REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.fixture
def nothing_tried(slicer_host):
    from TomoRayLib.slicer.extensions import repair

    repair.forget()
    yield
    repair.forget()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_models: Path) -> Environment:
    """An environment of its own as the Python of the worker, with a small network."""
    made = Environment(tmp_path / "python")
    (made.site / "tiny_models.py").write_text(TINY.format(models=str(tiny_models)), encoding="utf-8")
    (made.site / "tiny_models.pth").write_text("import tiny_models\n", encoding="utf-8")
    launchers = tmp_path / "launchers"
    launchers.mkdir()
    launcher = launchers / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\nexec "{made.python}" "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", f"{launchers}{os.pathsep}{os.environ['PATH']}")
    return made


# Run at the start of that Python: TomoRayLib.weights will look for models there.
TINY = """
import importlib.abc, importlib.util, pathlib, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "TomoRayLib.weights":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            module.models_folder = lambda: pathlib.Path({models!r})
        spec.loader.exec_module = exec_module
        return spec
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture
def extension(environment: Environment, tmp_path: Path):
    """The extension PyTorch, whose pip finds a good PyTorch in a folder."""
    write_wheel(tmp_path / "wheels")
    yield install_extension(environment, tmp_path / "wheels")
    sys.modules.pop("PyTorchUtils", None)


def said_after(panel, button) -> str:
    drive.click(button)
    return drive.wait_for_end(panel)


@pytest.mark.slow
def test_a_broken_torch_is_found_repaired_by_the_button_and_then_runs(ready, environment, extension) -> None:
    environment.remove("torch/lib/libc10.so")
    nodes = drive.node_names()
    said = said_after(ready, ready.ui.synthesizeButton)
    assert said.startswith("PyTorch is installed, but a library that it needs is missing")
    assert said.endswith("Press Repair PyTorch: it is removed and installed again.")
    assert "libc10.so" in ready.ui.logText.plainText
    assert drive.node_names() == nodes
    assert drive.temporary_folders() == []
    assert ready.ui.repairButton.visible
    assert ready.ui.repairButton.text == "Repair PyTorch"
    said = said_after(ready, ready.ui.repairButton)
    assert [call[0] for call in extension.calls] == ["uninstall", "install"]
    assert said.startswith("Repaired: PyTorch 2.")
    assert not ready.ui.repairButton.visible
    assert said_after(ready, ready.ui.synthesizeButton).startswith("Done")


@pytest.mark.slow
def test_the_same_advice_is_never_given_twice(ready, environment, extension, tmp_path: Path, slicer_host) -> None:
    """The repair installs what is broken in the same way."""
    for wheel in (tmp_path / "wheels").iterdir():
        wheel.unlink()
    write_wheel(tmp_path / "wheels", broken=True)
    environment.remove("torch/nn")
    advice = [said_after(ready, ready.ui.synthesizeButton)]
    buttons = []
    while ready.ui.repairButton.visible:
        buttons.append(ready.ui.repairButton.text)
        assert len(buttons) < 9
        advice.append(said_after(ready, ready.ui.repairButton))
        if buttons[-1] == "Restart Slicer":
            advice.append(said_after(ready, ready.ui.synthesizeButton))
    assert len(set(buttons)) == len(buttons), buttons
    assert len(set(advice)) == len(set(buttons)) + 1, advice
    assert buttons[0] == "Repair PyTorch", advice
    assert buttons[-1] == "Install the CPU build of PyTorch", advice
    assert "All that TomoRay can do was tried" in advice[-1]
    assert "torch" not in sys.modules or slicer_host.restarts == buttons.count("Restart Slicer")
    assert extension.calls[-1][1] == "cpu"


@pytest.mark.slow
def test_another_package_is_installed_again_by_pip(ready, environment, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer.packaging

    asked: list[list[str]] = []
    monkeypatch.setattr(slicer.packaging, "installations", asked)
    environment.remove("safetensors/_safetensors_rust*")
    said = said_after(ready, ready.ui.synthesizeButton)
    assert said.startswith("The Python package safetensors is installed, but damaged")
    assert ready.ui.repairButton.text == "Repair safetensors"
    assert said_after(ready, ready.ui.repairButton).startswith("The Python package safetensors is installed, but")
    assert asked == [["--force-reinstall", "--no-deps", "safetensors>=0.4.3"]]


@pytest.mark.slow
def test_the_package_that_was_repaired_is_named(ready, environment, monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer.packaging

    (library,) = environment.site.glob("safetensors/_safetensors_rust*")
    content = library.read_bytes()

    class Installing(list):
        def append(self, words: list[str]) -> None:
            library.write_bytes(content)

    monkeypatch.setattr(slicer.packaging, "installations", Installing())
    library.unlink()
    said_after(ready, ready.ui.synthesizeButton)
    said = said_after(ready, ready.ui.repairButton)
    assert said.startswith(f"Repaired: safetensors {version('safetensors')} can be loaded.")


@pytest.mark.slow
def test_a_good_torch_is_probed_once_and_then_no_more(ready, environment, monkeypatch: pytest.MonkeyPatch) -> None:
    from TomoRayLib.slicer.runs import WORKER_REQUIREMENTS
    from TomoRayLib.slicer.worker import worker_run
    from TomoRayLib.slicer.worker.probe import PackageProbe, is_known_good

    probes: list[PackageProbe] = []

    class Noted(PackageProbe):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            probes.append(self)

    monkeypatch.setattr(worker_run, "PackageProbe", Noted)
    assert said_after(ready, ready.ui.synthesizeButton).startswith("Done")
    assert len(probes) == 1
    assert is_known_good(WORKER_REQUIREMENTS)
    assert said_after(ready, ready.ui.synthesizeButton).startswith("Done")
    assert len(probes) == 1
    environment.remove("torch/lib/libshm.so")
    assert not is_known_good(WORKER_REQUIREMENTS)


def test_a_run_that_is_cancelled_while_torch_is_checked_leaves_nothing(ready, environment) -> None:
    import psutil

    (environment.site / "slow.pth").write_text("import time; time.sleep(600)\n", encoding="utf-8")
    drive.click(ready.ui.synthesizeButton)
    drive.wait_for_stage(ready, "Checking PyTorch")
    children = psutil.Process().children(recursive=True)
    ready.panel.run_box.cancel()
    assert drive.wait_for_end(ready).startswith("Cancelled")
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert drive.temporary_folders() == []


def test_every_fault_ends_in_a_step_of_a_person_and_names_none_twice() -> None:
    from TomoRayLib.slicer.extensions.repair import Step, next_step

    last = {Step.BY_HAND, Step.ADMINISTRATOR, Step.SLICER}
    for package in ("torch", "safetensors", "sympy", "numpy"):
        for fault in Fault:
            for platform in ("linux", "win32", "darwin"):
                for in_use in (True, False):
                    taken: list[Step] = []
                    while (step := next_step(package, fault, taken, in_use, platform)) not in last:
                        assert step not in taken
                        taken.append(step)
                    assert taken or step is not Step.BY_HAND


def test_windows_is_told_of_its_runtime_and_of_a_restart() -> None:
    from TomoRayLib.slicer.extensions.repair import Step, next_step

    def after(*taken: Step) -> Step:
        return next_step("torch", Fault.LIBRARY, taken, True, "win32")

    assert after() is Step.INSTALL
    assert after(Step.INSTALL) is Step.RESTART
    assert after(Step.INSTALL, Step.RESTART) is Step.RUNTIME
    assert after(Step.INSTALL, Step.RESTART, Step.RUNTIME) is Step.CPU_BUILD


def test_an_installation_that_files_in_use_prevent_is_tried_once_more_after_a_restart(
    slicer_host, nothing_tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    from TomoRayLib.slicer.extensions.repair import Step, advice, take

    class Failing:
        """The extension PyTorch, whose pip cannot remove a library that this process has open."""

        def uninstallTorch(self) -> None:  # noqa: N802
            raise PermissionError(13, "Access is denied")

    monkeypatch.setattr("TomoRayLib.slicer.extensions.repair._pytorch", Failing)
    monkeypatch.setitem(sys.modules, "torch", sys)
    steps = []
    while (given := advice("torch", Fault.INCOMPLETE)).button is not None:
        steps.append(given.step)
        assert len(steps) < 9, steps
        take(given.step, "torch", read_requirements(REPOSITORY / "Resources" / "requirements.txt")[0])
    assert steps == [Step.INSTALL, Step.RESTART, Step.INSTALL, Step.CPU_BUILD]


def test_what_the_worker_requires_is_what_the_file_for_pip_names() -> None:
    from TomoRayLib.slicer.runs import WORKER_REQUIREMENTS

    assert list(WORKER_REQUIREMENTS[1:]) == read_requirements(REPOSITORY / "Resources" / "requirements.txt")
