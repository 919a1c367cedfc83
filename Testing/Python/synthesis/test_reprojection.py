"""The synthetic bone projected back onto its radiographs: where it falls, and how well it fits."""

from __future__ import annotations

import numpy as np
import pytest

from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.model_run import SyntheticCT
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.reprojection import agreement, coarse_detector, reproject

CENTER: Vector3 = (12.0, -30.0, 41.0)
GRID = Grid.cube(CENTER, 128.0, 64)  # voxels of 2 mm
ISOCENTER: Vector3 = (2.0, -36.0, 50.0)  # not the middle of the synthetic CT
DETECTOR = Detector(410, 230, (0.8, 1.3), (6.0, -9.0))
BEAMS = [ConeBeam(900.0, 1300.0), SlotScan(600.0, 950.0), ParallelBeam()]


def boxes() -> np.ndarray:
    """(z, y, x) four lopsided blocks one above the other, at the left and front of the cube."""
    bone = np.zeros(GRID.shape, bool)
    for low in (6, 20, 34, 49):
        bone[low : low + 9, 18:33, 30:44] = True
        bone[low + 5 : low + 8, 33:44, 35:38] = True
    return bone


def a_synthetic_ct(bone: np.ndarray) -> SyntheticCT:
    return SyntheticCT((0.4 * bone).astype(np.float32), bone.astype(np.float32), GRID, "made up")


def a_radiograph(view: View, bone: np.ndarray, up_mm: float = 0.0) -> np.ndarray:
    """The blocks in water, ``up_mm`` higher."""
    x, y, z = GRID.origin_mm
    grid = Grid(GRID.size, GRID.spacing_mm, (x, y, z + up_mm), GRID.direction)
    return render(Volume(np.where(bone, 700.0, 0.0).astype(np.float32), grid), {"view": view})["view"]


@pytest.mark.parametrize("beam", BEAMS)
@pytest.mark.parametrize("angle_deg", [0.0, 90.0, 71.0])
def test_the_shadow_falls_where_the_view_projects_the_bone(beam: Beam, angle_deg: float) -> None:
    view = View(beam, DETECTOR, angle_deg, isocenter_mm=ISOCENTER)
    z, y, x = np.indices(GRID.shape)
    bone = (x - 46) ** 2 + (y - 18) ** 2 + (z - 41) ** 2 < 11.3**2  # a ball about the voxel (46, 18, 41)
    seen = reproject(a_synthetic_ct(bone), np.zeros(DETECTOR.shape, np.float32), view)
    coarse = View(beam, coarse_detector(DETECTOR), angle_deg, isocenter_mm=ISOCENTER)
    weights = seen.thickness_mm / seen.thickness_mm.sum()
    rows, columns = np.indices(seen.thickness_mm.shape)
    found = ((weights * columns).sum(), (weights * rows).sum())
    point = (GRID.index_to_world @ (46.0, 18.0, 41.0, 1.0))[:3]
    assert found == pytest.approx(tuple(coarse.project_points(point[None])[0]), abs=0.1)


def test_a_coarse_detector_has_the_same_edges() -> None:
    coarse = coarse_detector(DETECTOR)
    assert coarse.shape == (360, 202)
    for ours, theirs in ((coarse.down_mm(), DETECTOR.down_mm()), (coarse.right_mm(), DETECTOR.right_mm())):
        edges = [(values[0] - np.diff(values)[0] / 2, values[-1] + np.diff(values)[0] / 2) for values in (ours, theirs)]
        assert edges[0] == pytest.approx(edges[1], abs=1e-9)


@pytest.mark.parametrize("beam", BEAMS)
def test_bone_where_the_radiograph_has_it_agrees_and_elsewhere_less(beam: Beam) -> None:
    view, bone = View(beam, DETECTOR, 90.0, isocenter_mm=ISOCENTER), boxes()
    synthetic = a_synthetic_ct(bone)
    found = [agreement(synthetic, a_radiograph(view, bone, up_mm), view) for up_mm in (0.0, 4.0, 12.0)]
    right, near, far = (one for one in found if one is not None)
    assert right > 0.7  # the cube of water has edges of its own
    assert right > near + 0.1 > far
    inverted = agreement(synthetic, -a_radiograph(view, bone), view)
    assert inverted is not None
    assert inverted < -0.5


def test_there_is_no_agreement_without_bone_in_the_picture() -> None:
    view = View(ParallelBeam(), DETECTOR, isocenter_mm=ISOCENTER)
    empty = a_synthetic_ct(np.zeros(GRID.shape, bool))
    assert reproject(empty, np.ones(DETECTOR.shape, np.float32), view).agreement is None
    beside = view.moved_to((ISOCENTER[0] + 900.0, ISOCENTER[1], ISOCENTER[2]))
    assert agreement(a_synthetic_ct(boxes()), np.ones(DETECTOR.shape, np.float32), beside) is None
