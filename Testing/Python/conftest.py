"""Shared phantoms for the tests, as nouns. All are made in memory, lopsided on purpose and small."""

from __future__ import annotations

import support.cores  # noqa: F401  # isort: skip (before what starts threads: numpy, torch, SimpleITK, VTK)

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from support.once import made_once
from support.volumes import BLOB_MM, ct_on, grid_around
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume

if TYPE_CHECKING:
    from TomoRayLib.networks.ct_segmenter import CTSegmenter


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background: tests, and what they start, hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    cx, cy, cz = np.cos(np.deg2rad((x_deg, y_deg, z_deg)))
    sx, sy, sz = np.sin(np.deg2rad((x_deg, y_deg, z_deg)))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@pytest.fixture(params=["straight", "oblique", "left-handed", "oblique left-handed", "permuted"])
def a_grid(request: pytest.FixtureRequest) -> Grid:
    """Lopsided grids around the blob, one per kind of direction cosines."""
    oblique = _rotation(12, -20, 35)
    mirrored = np.diag([1.0, 1.0, -1.0])
    directions = {
        "straight": np.eye(3),
        "oblique": oblique,
        "left-handed": mirrored,
        "oblique left-handed": oblique @ mirrored,
        "permuted": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    }
    return grid_around(BLOB_MM, directions[request.param])


@pytest.fixture
def a_ct(a_grid: Grid) -> Volume:
    return ct_on(a_grid)


@pytest.fixture
def a_straight_ct() -> Volume:
    return ct_on(grid_around(BLOB_MM, np.eye(3)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: processes that each run whole files then end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For tiny tensors: on busy cores, threads that wait for each other cost ten times the work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models whose only network is small and quick, under the id of the default model."""
    from support.tiny_model import write_tiny_model

    return made_once(tmp_path_factory, "tiny-models", write_tiny_model)


@pytest.fixture(scope="module")
def small_network(tiny_models: Path) -> Iterator[None]:
    """This process and those that it starts run the small network, for modules whose subject is not the result."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TOMORAY_MODELS", str(tiny_models))
        yield


@pytest.fixture(scope="session")
def fitted_segmenter() -> CTSegmenter:
    """A small CT segmenter that knows the column of ``a_labelled_ct``."""
    from support.labelled_cts import a_labelled_ct
    from support.tiny_segmenter import segmenter_of

    return segmenter_of(*a_labelled_ct())


@pytest.fixture
def tiny_model(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process runs the small network, for tests whose subject is not the result."""
    from TomoRayLib import weights

    monkeypatch.setattr(weights, "models_folder", lambda: tiny_models)


@pytest.fixture(scope="session")
def segmenter_models(
    tiny_models: Path, fitted_segmenter: CTSegmenter, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of small models with ``fitted_segmenter`` among them."""
    from support.tiny_segmenter import add_segmenter

    return made_once(tmp_path_factory, "segmenter-models", lambda to: add_segmenter(tiny_models, fitted_segmenter, to))


@pytest.fixture
def tiny_segmenter(segmenter_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process runs the small networks, the segmenter too."""
    from TomoRayLib import weights

    monkeypatch.setattr(weights, "models_folder", lambda: segmenter_models)
