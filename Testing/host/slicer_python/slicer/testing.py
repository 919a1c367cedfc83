"""Stand-in for Slicer's ``slicer.testing``."""

from __future__ import annotations

import sys
import unittest


def exitSuccess() -> None:
    """Nothing to do outside the application."""


def exitFailure(message: str = "") -> None:
    raise Exception(message)


def runUnitTest(path, testname: str) -> None:
    """Run a test module or case by its dotted name; an Exception when a test fails."""
    sys.path.extend([path] if isinstance(path, str) else path)
    tests = unittest.defaultTestLoader.loadTestsFromName(testname)
    if not unittest.TextTestRunner(verbosity=2).run(tests).wasSuccessful():
        exitFailure()
