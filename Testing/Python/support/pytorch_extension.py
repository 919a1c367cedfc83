"""A stand-in for the module PyTorchUtils of Slicer's extension PyTorch: it does what that does, with the real pip, on
an environment of a test and from a folder of wheels."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

from support.broken_environments import Environment


def install_extension(environment: Environment, wheels: Path) -> types.ModuleType:
    """Return the module; ``calls`` are the methods that were called, ``asked`` what was asked for."""

    class PyTorchUtilsLogic:
        def installTorch(  # noqa: N802 (as in Slicer)
            self,
            askConfirmation=False,
            forceComputationBackend=None,
            torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ) -> None:
            """As in the extension nothing is done if pip finds PyTorch to be installed, whatever its state."""
            module.calls.append(("install", forceComputationBackend, askConfirmation))
            asked = f"torch{torchVersionRequirement or ''}"
            done = environment.pip("install", "--no-index", "--find-links", str(wheels), "--no-deps", asked)
            if done.returncode != 0:
                raise subprocess.CalledProcessError(done.returncode, "pip install")

        def uninstallTorch(self, askConfirmation=False) -> None:  # noqa: N802
            module.calls.append(("uninstall", None, askConfirmation))
            done = environment.pip("uninstall", "-y", "torch", "torchvision")
            if done.returncode != 0:
                raise subprocess.CalledProcessError(done.returncode, "pip uninstall")

    module = types.ModuleType("PyTorchUtils")
    module.calls = []
    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    sys.modules["PyTorchUtils"] = module
    return module
