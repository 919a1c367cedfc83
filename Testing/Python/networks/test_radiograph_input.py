"""From any detector to the network's: position, scale, and what normalising leaves alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.networks.radiograph_input import (
    NETWORK_PIXELS,
    cube_to_pixel,
    network_input,
    network_view,
    normalise,
    to_network_detector,
)
from TomoRayLib.projector import project

VIEWS = {
    "plain": View(ConeBeam(1000.0, 1536.0), Detector(300, 340, (1.6, 1.5), (8.0, -12.0)), isocenter_mm=(5.0, 6.0, 7.0)),
    "fine, rolled": View(ConeBeam(900.0, 1500.0), Detector(900, 800, (0.5, 0.6)), 90.0, roll_deg=6.0),
    "angled": View(ConeBeam(1100.0, 1300.0), Detector(260, 260, (1.4, 1.4)), 20.0, 8.0, -4.0),
    "slot": View(SlotScan(918.0, 1300.0), Detector(330, 320, (1.0, 1.4), (6.0, -9.0)), 90.0),
    "slot, angled": View(SlotScan(570.0, 1040.0), Detector(310, 300, (1.1, 1.8), (-4.0, 3.0)), 12.0, 5.0, -3.0),
    "parallel": View(ParallelBeam(), Detector(310, 300, (1.0, 1.1), (-4.0, 3.0)), 90.0),
}


@pytest.mark.parametrize("center_mm", [None, (31.0, -22.0, 17.0)], ids=["isocentre", "elsewhere"])
@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_point_keeps_its_place_on_the_networks_detector(name: str, center_mm: Vector3 | None) -> None:
    """A blob drawn where the view projects a point must be found where the network's view projects that point."""
    view = VIEWS[name]
    iso = view.isocenter_mm
    point = np.array([[iso[0] + 21.0, iso[1] - 33.0, iso[2] + 44.0]])
    ((x, y),) = view.project_points(point)
    rows, columns = np.mgrid[: view.detector.rows, : view.detector.columns]
    blob = np.exp(-0.5 * (((columns - x) / 6) ** 2 + ((rows - y) / 6) ** 2))
    image = to_network_detector(torch.from_numpy(blob), view, center_mm).numpy()
    rows, columns = np.mgrid[:NETWORK_PIXELS, :NETWORK_PIXELS]
    found = np.array([(image * columns).sum(), (image * rows).sum()]) / image.sum()
    np.testing.assert_allclose(found, network_view(view, center_mm).project_points(point)[0], atol=0.08)
    if center_mm is not None:  # the centre of the synthetic CT is in the middle, at the size of the network's pixels
        beside_mm = np.add([center_mm], [view.right * 4 / 3])
        middle, right = network_view(view, center_mm).project_points(np.append([center_mm], beside_mm, axis=0))
        np.testing.assert_allclose(middle, (111.5, 111.5), atol=1e-9)
        np.testing.assert_allclose(right, (112.5, 111.5), atol=1e-9)


def test_a_centre_behind_the_source_is_refused() -> None:
    with pytest.raises(ValueError, match="100 mm behind it"):
        network_view(VIEWS["plain"], (5.0, -1094.0, 7.0))


def test_rendering_on_the_networks_detector_equals_resampling_onto_it() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(1, 1, 6, 5, 7, generator=generator), size=(60, 50, 70), mode="trilinear"
    )
    grid = Grid((70, 50, 60), (3.0, 3.5, 4.0), (-100.0, -90.0, -120.0))
    view = dataclasses.replace(VIEWS["plain"], detector=Detector(420, 440, (1.1, 1.05), (8.0, -12.0)))
    resampled = to_network_detector(project(smooth[0, 0], grid, view), view)
    rendered = project(smooth[0, 0], grid, network_view(view))
    seen = (slice(30, -30),) * 2
    assert float((resampled - rendered)[seen].norm() / rendered[seen].norm()) < 0.01


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="transposed"):
        to_network_detector(torch.zeros(340, 300), VIEWS["plain"])


def test_gain_and_offset_do_not_change_what_the_network_reads() -> None:
    image = torch.rand(224, 224, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(normalise(image), normalise(image * 37.0 + 1200.0), atol=2e-3, rtol=0)


def test_normalising_a_constant_image_gives_no_nan() -> None:
    assert torch.isfinite(normalise(torch.full((224, 224), 3.0))).all()


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_cube_corners_project_as_their_world_positions(name: str) -> None:
    grid, view = Grid.cube((1.0, 2.0, 3.0), 256.0, 192), network_view(VIEWS[name])
    column, row, across, along = cube_to_pixel(view, grid) @ (1, -1, 1, 1)
    expected = view.project_points(np.array([[1.0 + 128, 2 - 128, 3 + 128]]))[0]
    np.testing.assert_allclose((column / across, row / along), expected)


def test_the_network_sees_every_corner_of_the_cube_from_a_c_arm() -> None:
    pair: Biplanar = c_arm()
    images = [torch.rand(pair.ap.detector.shape) for _ in range(2)]
    radiographs, matrices = network_input(images, [pair.ap, pair.lateral], Grid.cube((0, 0, 0), 256.0, 192))
    assert radiographs.shape == (1, 2, 2, 224, 224)
    corners = torch.tensor([[x, y, z, 1.0] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    for matrix in matrices[0]:
        x, y, across, along = matrix @ corners.T
        assert float((x / across).min()) > 0
        assert float((x / across).max()) < 223
        assert float((y / along).min()) > 0
        assert float((y / along).max()) < 223
