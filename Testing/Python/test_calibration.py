"""What the calibration benchmark counts, on made-up answers whose truth is drawn from them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.geometry.grid import Grid

BENCHMARKS = Path(__file__).resolve().parents[1] / "Benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration

    yield calibration
    for name in [
        name for name, module in sys.modules.items() if str(BENCHMARKS) in str(getattr(module, "__file__", ""))
    ]:
        del sys.modules[name]


def test_stated_and_found_agree_if_the_errors_are_drawn_as_stated(benchmark) -> None:
    rng = np.random.default_rng(2)
    stated = (rng.random(60_000) ** 3).astype(np.float32)
    error = rng.random(stated.shape) < stated
    edges = benchmark.EDGES[benchmark.WRONG]
    found = benchmark.binned(stated, error, edges)
    voxels, sums, wrong = (np.array(found[name]) for name in ("voxels", "stated", "wrong"))
    assert voxels.sum() == len(stated)
    assert voxels[2] == np.count_nonzero((stated >= 0.05) & (stated < 0.1))
    assert wrong / voxels == pytest.approx(sums / voxels, abs=0.03)
    assert found["correlation"] > 0.5
    nonsense = benchmark.binned(stated, rng.permutation(error), edges)
    assert abs(nonsense["correlation"]) < 0.02
    assert nonsense["wrong"][-1] / nonsense["voxels"][-1] == pytest.approx(error.mean(), abs=0.03)


def test_every_second_voxel_lies_where_it_was(benchmark) -> None:
    grid = Grid((7, 6, 5), (1.5, 2.0, 2.5), (-3.0, 8.0, 40.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    half = benchmark.every_second(grid)
    assert half.shape == np.zeros(grid.shape)[::2, ::2, ::2].shape
    assert half.index_to_world @ (2, 1, 1, 1) == pytest.approx(grid.index_to_world @ (4, 2, 2, 1))
