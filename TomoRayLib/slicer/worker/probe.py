"""Whether the worker's packages can be loaded: asked of the worker's own Python, once for each installation of them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Any

import slicer

from TomoRayLib.base.package_faults import Fault, PackageFault
from TomoRayLib.base.requirements import Requirement
from TomoRayLib.jobs.package_probe import LOADING, RESULT, stamps
from TomoRayLib.slicer.worker.process import worker_environment, worker_python

LIMIT_S = 300.0  # a first import from a slow disk takes a minute
KEY = "TomoRay/PackagesThatLoad"  # in the settings of this Slicer version: the installation that was found good

_in_session: dict[str, str] = {}  # the same without Slicer's settings


class PackageProbe:
    """The probe in a process of its own. It never blocks: ``poll()`` until it gives a result."""

    def __init__(self, requirements: Iterable[Requirement], python: str | None = None) -> None:
        self._python = python or worker_python()
        self._words = [str(requirement) for requirement in requirements]
        # Files and not pipes, which would fill up while nobody reads.
        self._printed, self._complained = (tempfile.TemporaryFile() for _file in range(2))  # noqa: SIM115
        self._began = time.monotonic()
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) if sys.platform == "win32" else 0
        self._process = subprocess.Popen(
            [self._python, "-m", "TomoRayLib.jobs.package_probe", *self._words],
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=self._complained,
            env=worker_environment(),
            creationflags=flags,
        )
        self._found: ProbeResult | None = None

    def poll(self) -> ProbeResult | None:
        """The result, None while the packages are being loaded. A good one is remembered."""
        if self._found is None:
            code = self._process.poll()
            if code is None and time.monotonic() - self._began < LIMIT_S:
                return None
            self.cancel()
            self._found = self._result(code)
            self._close()
            if self._found.broken is None and self._found.files:
                _remember({"python": self._python, "asked": self._words, "files": self._found.files})
        return self._found

    def cancel(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)

    def _close(self) -> None:
        for file in (self._printed, self._complained):
            file.close()

    def _result(self, code: int | None) -> ProbeResult:
        log = _text(self._complained)
        last = ""
        for line in _text(self._printed).splitlines():
            with contextlib.suppress(ValueError):
                content = json.loads(line)
                if isinstance(content, dict) and RESULT in content:
                    return _of_line(content[RESULT], log)
                last = str(content.get(LOADING, last)) if isinstance(content, dict) else last
        killed = code == -int(getattr(signal, "SIGKILL", 9))
        if code is None or killed or not last:  # too slow, out of memory, no Python of ours: the worker will tell
            return ProbeResult(None, log)
        return ProbeResult(PackageFault(last, Fault.CRASH, f"exit code {code} on loading {last}"), log)


class ProbeResult:
    """What a probe has found: the ``broken`` package if there is one, the ``versions`` of the others, a ``log``, and
    the ``files`` that tell this installation from another."""

    def __init__(
        self,
        broken: PackageFault | None,
        log: str,
        versions: dict[str, str | None] | None = None,
        files: dict[str, Any] | None = None,
    ) -> None:
        self.broken, self.log, self.versions, self.files = broken, log, versions or {}, files or {}


def is_known_good(requirements: Iterable[Requirement]) -> bool:
    """True if the Python of the worker has loaded these packages as they are now. Loads and starts nothing."""
    try:
        known = json.loads(_setting() or "null")
        asked = [str(requirement) for requirement in requirements]
        return (
            isinstance(known, dict)
            and known["python"] == worker_python()
            and known["asked"] == asked
            and stamps(known["files"]) == known["files"]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def forget_good() -> None:
    """Let the next run probe again: a worker could not load a package, or ended without a word."""
    _remember(None)


def _of_line(content: dict[str, Any], log: str) -> ProbeResult:
    fault = content.get("fault")
    broken = PackageFault(content["package"], Fault(fault), content.get("said", "")) if fault else None
    return ProbeResult(broken, log, content.get("versions"), content.get("files"))


def _text(file: Any) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def _settings() -> Any:
    return slicer.app.revisionUserSettings() if getattr(slicer, "app", None) is not None else None


def _setting() -> str:
    settings = _settings()
    return str((settings.value(KEY) if settings is not None else _in_session.get(KEY)) or "")


def _remember(what: dict[str, Any] | None) -> None:
    text = "" if what is None else json.dumps(what)
    settings = _settings()
    if settings is not None:
        settings.setValue(KEY, text)
    else:
        _in_session[KEY] = text
