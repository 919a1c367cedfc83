"""The cores of this machine shared among the processes of pytest-xdist. Import it before numpy and torch."""

from __future__ import annotations

import os

PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
LIMITS = (
    "OMP_NUM_THREADS",  # torch, and numba as torch is set
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "VTK_SMP_MAX_THREADS",
)

if PROCESSES > 1:  # also for the processes that tests start
    for name in LIMITS:
        os.environ.setdefault(name, str(max(1, (os.cpu_count() or 1) // PROCESSES)))
