"""The allocator's setting."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, numpy as np
from TomoRayLib.base.allocator import keep_freed_memory
assert keep_freed_memory()
for _ in range(3):
    np.ones(2**24, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**24, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has the setting")
def test_memory_that_is_freed_is_used_again_without_a_page_fault() -> None:
    faults = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert int(faults) < 1000  # of 40,960 pages
