"""The projection job: radiographs of a CT as files, with their geometry inside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.projection_matrix import ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.images.files import read_radiograph, read_volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.events import Event, Finished, Warned
from TomoRayLib.jobs.job import ProjectionJob
from TomoRayLib.jobs.projection import run_projection
from TomoRayLib.synthesis.rendering import MATRIX_KEY
from TomoRayLib.synthesis.settings import Exposure, GeometryOptions, PoseOptions

SMALL = GeometryOptions(size=(64, 64), pixel_spacing_mm=(5.0, 5.0))


@pytest.fixture(scope="module")
def a_ct(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("projection") / "ct.nrrd"
    write_volume(path, phantom_volumes()[0])
    return str(path)


def files_of(job: ProjectionJob) -> set[str]:
    """The files that a job says it wrote, which are those in its folder."""
    events: list[Event] = []
    folder = run_projection(job, events.append)
    last = events[-1]
    assert isinstance(last, Finished)
    assert set(last.values["files"]) == {path.name for path in folder.iterdir() if path.name[0] != "."}
    return set(last.values["files"])


def test_projection_writes_line_integrals_with_their_view(a_ct: str, tmp_path: Path) -> None:
    options = GeometryOptions(sad_mm=1000, sid_mm=1536, size=(128, 100), pixel_spacing_mm=(2.0, 2.5))
    assert files_of(ProjectionJob(str(tmp_path / "drr"), a_ct, geometry=options)) == {
        "ap.nrrd",
        "ap.png",
        "lat.nrrd",
        "lat.png",
    }
    radiograph = read_radiograph(tmp_path / "drr" / "ap.nrrd")
    assert radiograph.pixels.shape == (128, 100)
    assert radiograph.pixel_spacing_mm == pytest.approx((2.0, 2.5))
    assert 3.0 < radiograph.pixels.max() < 12.0  # a torso of some 250 mm at 0.02 / mm, and bone
    assert json.loads(radiograph.metadata["TomoRay.view"])["beam"]["sad_mm"] == 1000


def test_warning_of_the_cts_header_is_told(a_ct: str, tmp_path: Path) -> None:
    """MetaImage without a matrix states no orientation."""
    write_volume(tmp_path / "ct.mha", read_volume(a_ct), compressed=False)
    content = (tmp_path / "ct.mha").read_bytes()
    for tag in (b"TransformMatrix", b"AnatomicalOrientation"):
        content = content.replace(tag, b"x" + tag, 1)
    (tmp_path / "ct.mha").write_bytes(content)
    events: list[Event] = []
    run_projection(ProjectionJob(str(tmp_path / "drr"), str(tmp_path / "ct.mha"), geometry=SMALL), events.append)
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert warned[0].startswith("CT: Its header does not say how its axes lie in the patient")


def test_transmission_is_beer_lambert_at_the_energy_asked_for(a_ct: str, tmp_path: Path) -> None:
    images = {}
    for name, energy_kev, as_transmission in (("plain", None, False), ("at 80 keV", 80.0, True)):
        exposure = Exposure(energy_kev=energy_kev, as_transmission=as_transmission)
        files_of(ProjectionJob(str(tmp_path / name), a_ct, geometry=SMALL, views=("ap",), exposure=exposure))
        images[name] = read_radiograph(tmp_path / name / "ap.nrrd").pixels
    expected = np.exp(-images["plain"] * 0.01837 / 0.022)  # water at 80 keV: 0.1837 cm2/g (NISTIR 5632)
    np.testing.assert_allclose(images["at 80 keV"], expected, rtol=1e-3)


def test_images_carry_their_view_or_matrix(a_ct: str, tmp_path: Path) -> None:
    slot = PoseOptions(beam="slot")
    files_of(ProjectionJob(str(tmp_path / "slot"), a_ct, geometry=SMALL, views=("ap",), poses=slot))
    radiograph = read_radiograph(tmp_path / "slot" / "ap.nrrd")
    assert json.loads(radiograph.metadata["TomoRay.view"])["beam"]["kind"] == "slot"
    matrix = View(ConeBeam(900.0, 1200.0), Detector(48, 40, (5.0, 6.0))).projection_matrix()
    path = tmp_path / "matrix.txt"
    np.savetxt(path, matrix)
    options, poses = GeometryOptions(size=(48, 40)), PoseOptions(matrix_file=str(path))
    assert files_of(ProjectionJob(str(tmp_path / "m"), a_ct, geometry=options, poses=poses)) == {
        "matrix1.nrrd",
        "matrix1.png",
    }
    radiograph = read_radiograph(tmp_path / "m" / "matrix1.nrrd")
    assert radiograph.pixel_spacing_mm is None
    found = ProjectionMatrix(json.loads(radiograph.metadata[MATRIX_KEY]), 48, 40)
    np.testing.assert_allclose(found.array, matrix, rtol=1e-6)
