"""The examples of the documentation, run as a reader runs them, on the built-in phantom and without network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from TomoRayLib.images.files import read_radiograph, read_volume
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes

FOLDER = Path(__file__).resolve().parents[3] / "examples"
LONGEST_LINES = 40


def example(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def scores(printed: str) -> dict[str, list[str]]:
    """The words behind each score that an example prints."""
    return {words[0]: words[1:] for line in printed.splitlines() if len(words := line.split()) > 3}


def millilitres(labels: Volume) -> float:
    """The volume of what is not 0."""
    return float(np.count_nonzero(labels.voxels) * np.prod(labels.grid.spacing_mm) / 1000)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The radiographs of the phantom, as ``render_drr`` writes them."""
    folder = tmp_path_factory.mktemp("drr")
    example("render_drr").main(None, folder)
    return folder


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_fits_on_one_screen(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_LINES


def test_every_example_is_on_the_site() -> None:
    page = (FOLDER.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    assert [path.name for path in FOLDER.glob("*.py") if f"examples/{path.name}" not in page] == []


def test_render_drr_writes_three_radiographs_of_the_phantom(rendered: Path) -> None:
    images = [read_radiograph(rendered / f"{name}.nrrd").pixels for name in ("ap", "lat", "oblique")]
    assert [image.shape for image in images] == [(320, 320)] * 3
    # Water of 0.022 / mm: a torso of 212 mm from front to back attenuates by about 4.7, bone adds to it.
    assert all(4.0 < float(image.max()) < 7.0 for image in images)
    assert all((rendered / f"{name}.png").is_file() for name in ("ap", "lat", "oblique"))


def test_render_drr_reads_a_ct(tmp_path: Path, a_straight_ct: Volume) -> None:
    write_volume(tmp_path / "ct.nrrd", a_straight_ct)
    example("render_drr").main(tmp_path / "ct.nrrd", tmp_path / "drr")
    assert (tmp_path / "drr" / "ap.nrrd").is_file()


def test_synthesize_finds_the_phantoms_vertebrae(rendered: Path, tmp_path: Path, tiny_model: None) -> None:
    example("synthesize").main(rendered / "ap.nrrd", rendered / "lat.nrrd", tmp_path)
    assert read_volume(tmp_path / "synthetic_ct.nrrd").grid.extent_mm == pytest.approx((256.0,) * 3)
    bone = read_volume(tmp_path / "synthetic_vertebrae.nrrd")
    assert millilitres(bone) == pytest.approx(millilitres(phantom_volumes()[1]), rel=0.5)


@pytest.mark.slow
def test_compare_prints_the_model_above_both_baselines(capsys: pytest.CaptureFixture[str]) -> None:
    example("compare").main([])
    printed = capsys.readouterr().out
    assert printed.split()[:3] == ["tomoray", "blank", "mean_atlas"]
    tomoray, blank, atlas = (float(word) for word in scores(printed)["dice"])
    assert tomoray > atlas > blank == 0.0


def test_evaluate_folder_scores_the_one_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_model: None
) -> None:
    example("evaluate_folder").main(None, tmp_path / "evaluation")
    words = scores(capsys.readouterr().out)["dice"]
    assert words[-3:] == ["n", "=", "1"]
    assert 0.0 < float(words[0].rstrip(",")) < 1.0
    assert (tmp_path / "evaluation" / "summary.html").is_file()
