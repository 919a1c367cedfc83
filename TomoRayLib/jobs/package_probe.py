"""Tells whether this Python can load the worker's packages: ``python -m TomoRayLib.jobs.package_probe "torch>=2.6"``.

Loads each package, lets PyTorch add two numbers and hand an array of numpy's back, and prints one line of JSON for each
step. Slicer runs it in the worker's own Python, so that nothing broken is ever loaded into Slicer itself.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from TomoRayLib.base.package_faults import Fault, PackageFault, package_fault
from TomoRayLib.base.requirements import Requirement, installed_version, parsed

LOADING, RESULT = "loading", "packages"  # the keys of the lines


def probe(requirements: Iterable[Requirement], tell: Callable[[str], None] = lambda package: None) -> dict[str, Any]:
    """Load packages, one after another, until one fails.

    Args:
        requirements: The packages and the versions that will do.
        tell: Receives the name of each package before it is loaded.

    Returns:
        ``fault``, ``package`` and ``said`` of the first that cannot be loaded or is too old, else None; the
        ``versions`` of those that were loaded; and ``files``, which change when one of them is installed anew.
    """
    versions: dict[str, str | None] = {}
    files: dict[str, list[int] | None] = {}
    for requirement in requirements:
        tell(requirement.name)
        broken = _problem(requirement)
        if broken is not None:
            fault = {"fault": broken.fault.value, "package": broken.package, "said": broken.said}
            return {**fault, "versions": versions, "files": files}
        versions[requirement.name] = installed_version(requirement.name)
        files.update(stamps(places(requirement.name)))
    return {"fault": None, "package": None, "said": "", "versions": versions, "files": files}


def places(package: str) -> list[str]:
    """Return what tells one installation of a package from another: its metadata, its folder, that of its libraries."""
    found = []
    try:
        metadata = getattr(importlib.metadata.distribution(package), "_path", None)
        found += [] if metadata is None else [Path(str(metadata)) / "RECORD"]
    except Exception:  # without metadata, or with damaged ones
        pass
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        found += [Path(folder), Path(folder) / "lib"]
    return [str(path) for path in found if path.exists()]


def stamps(paths: Iterable[str]) -> dict[str, list[int] | None]:
    """Return when each file or folder was changed, in ns, and its size in bytes; None for one that is not there."""
    found: dict[str, list[int] | None] = {}
    for path in paths:
        try:
            state = os.stat(path)
        except OSError:
            found[path] = None
        else:
            found[path] = [state.st_mtime_ns, state.st_size]
    return found


def _problem(requirement: Requirement) -> PackageFault | None:
    """What is wrong with a package, None if it can be used."""
    try:
        module = importlib.import_module(requirement.name)
        if getattr(module, "__file__", None) is None:
            return PackageFault(requirement.name, Fault.INCOMPLETE, "its folder has no __init__.py")
        _USES.get(requirement.name, lambda: None)()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of any class
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        return package_fault(error) or PackageFault(requirement.name, Fault.INCOMPLETE, said)
    found = installed_version(requirement.name)
    if found is not None and not requirement.is_met_by(found):
        return PackageFault(requirement.name, Fault.OLD, f"{found} is installed, and {requirement.versions} is needed")
    return None


def _use_torch() -> None:
    """Add two numbers, on an array of numpy's and back."""
    import numpy as np
    import torch

    total = (torch.from_numpy(np.ones(2, dtype=np.float32)) + 1).numpy().sum()
    if total != 4:
        raise ArithmeticError(f"PyTorch gives {total} for 4")


def _use_safetensors() -> None:
    """Write two numbers and read them again."""
    import torch
    from safetensors.torch import load, save

    if load(save({"two": torch.ones(2)}))["two"].sum() != 2:
        raise ArithmeticError("safetensors reads other numbers than it has written")


_USES = {"torch": _use_torch, "safetensors": _use_safetensors}


def main(arguments: list[str] | None = None) -> int:
    """Print the lines; the exit code is 0 if all packages can be used."""

    def line(**content: Any) -> None:
        print(json.dumps(content), flush=True)

    words = sys.argv[1:] if arguments is None else arguments
    result = probe([parsed(word) for word in words], lambda package: line(**{LOADING: package}))
    line(**{RESULT: result})
    return 0 if result["fault"] is None else 1


if __name__ == "__main__":
    sys.exit(main())
