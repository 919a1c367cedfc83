"""The spine of the package myo_sim: its tree of bodies, its place in LPS, its vertebrae as a label map.

The tests of the real spine need the package (its wheel in shared/data next to the checkout, or installed).
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
import pytest

from support.myo_sim_packages import CHAIN, UPRIGHT, a_package, box_corners, pack
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.surfaces import points_mm, surface_of_triangles
from TomoRayLib.training.phantoms import myo_sim
from TomoRayLib.training.phantoms.myo_sim import (
    VERTEBRAE,
    Folder,
    find_myo_sim,
    labels_of_surfaces,
    mesh_to_lps,
    read_myo_sim_spine,
    read_vertebrae,
)
from TomoRayLib.training.phantoms.spines import Spine


@pytest.fixture(scope="module")
def real_labels(package: Folder) -> tuple[np.ndarray, Grid]:
    return labels_of_surfaces(read_vertebrae(package), 1.0)


def test_a_mesh_goes_through_all_its_bodies_into_lps_millimetres() -> None:
    """By hand: (5, 6, 7) mm turned a quarter about z is (-6, 5, 7); moved, (94, 245, 307); stood upright, anterior, up
    and right being x, y and z, it is (-307, -94, 245); and moved by the root."""
    chain = ET.fromstring(
        f'<x><body pos="0.01 0.02 0.03" euler="{UPRIGHT}"><body pos="0.1 0.2 0.3">'
        '<geom mesh="m" pos="0 0.04 0" quat="0.70710678 0 0 0.70710678"/><geom type="capsule"/></body></body></x>'
    )
    frames = mesh_to_lps(chain)
    assert list(frames) == ["m"]
    np.testing.assert_allclose(frames["m"] @ (0.005, 0.006, 0.007, 1.0), (-297.0, -74.0, 275.0, 1.0), atol=1e-4)


def test_a_rotation_that_is_not_read_is_no_rotation_left_out() -> None:
    with pytest.raises(ValueError, match="euler or quat"):
        mesh_to_lps(ET.fromstring('<x><body name="b" axisangle="0 0 1 1"/></x>'))


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "wheel"])
def test_a_package_gives_every_vertebra_where_its_tree_puts_it(tmp_path: Path, packed: bool) -> None:
    package: Folder = a_package(tmp_path)
    if packed:
        pack(tmp_path, tmp_path / "myo_sim-0.2.4-py3-none-any.whl")
        package = find_myo_sim(tmp_path)
        assert isinstance(package, zipfile.Path)
    surfaces = read_vertebrae(package)
    assert tuple(surfaces) == VERTEBRAE == tuple(range(8, 25))
    t3 = points_mm(surfaces[10])
    assert len(t3) == 8  # corners that triangles share are one point
    np.testing.assert_allclose(t3.min(axis=0), (-30 + 2, -10, 1000 - 60), atol=1e-3)  # to the right, and to the front
    np.testing.assert_allclose(t3.max(axis=0), (0 + 2, 0, 1000 - 60 + 20), atol=1e-3)
    spine = read_myo_sim_spine(package)
    assert [body.level for body in spine.bodies] == [label + 0.5 for label in range(8, 25)]
    assert spine.detail is not None
    assert spine.name == "myo_sim"
    np.testing.assert_allclose(np.diff(spine.level_z_mm[:, 1]), -30.0, atol=0.6)
    inside_mm3 = float((spine.occupancy > 127).sum())
    assert 0.85 < inside_mm3 / (17 * 10 * 20 * 30) < 1.2  # faces that run through voxel centres count as inside


def test_a_package_without_all_vertebrae_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lacks \[22, 23, 24\]"):
        read_vertebrae(a_package(tmp_path, count=14))
    with pytest.raises(ValueError, match=r"myotorso_chain\.xml .* found none"):
        read_vertebrae(tmp_path)


def test_a_missing_package_says_what_to_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(myo_sim.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip download --no-deps myo-sim --dest"):
        find_myo_sim(tmp_path)


def test_the_installed_package_is_found_but_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = a_package(tmp_path)
    (package / "__init__.py").write_text("raise ImportError('MuJoCo is not there')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "myo_sim", raising=False)
    assert find_myo_sim() == package


def test_where_surfaces_overlap_a_voxel_belongs_to_the_first() -> None:
    points = box_corners(np.array([10.0, 20.0, 30.0])).reshape(-1, 3)
    corners, faces = np.unique(points, axis=0, return_inverse=True)
    first = surface_of_triangles(corners, faces.reshape(-1, 3))
    second = surface_of_triangles(corners + np.array((6.0, 0.0, 0.0)), faces.reshape(-1, 3))
    labels, grid = labels_of_surfaces({9: first, 8: second}, 0.5)
    x_mm = grid.origin_mm[0] + np.arange(grid.size[0]) * 0.5
    row = labels[labels.shape[0] // 2, labels.shape[1] // 2]
    np.testing.assert_array_equal(row[(x_mm > 0.3) & (x_mm < 9.7)], 9)
    np.testing.assert_array_equal(row[(x_mm > 10.3) & (x_mm < 15.7)], 8)
    assert not row[(x_mm < -0.3) | (x_mm > 16.3)].any()


def test_the_real_models_right_side_is_the_patients_right(package: Folder) -> None:
    """Muscles say their side by name: IL_..._r is at negative x. The sacrum's mesh lies in its body's own frame."""
    chain = ET.fromstring((package / CHAIN).read_bytes())
    sacrum = mesh_to_lps(chain)["sacrum_geom_1_sacrum"]
    sites = {site.get("name", ""): [float(v) for v in site.get("pos", "").split()] for site in chain.iter("site")}
    x_mm = {name: (sacrum @ [*place, 1.0])[0] for name, place in sites.items() if re.match(r"IL_L\d_.*-P1_[rl]", name)}
    assert len(x_mm) == 8
    assert all(x < -20 if name.endswith("_r") else x > 20 for name, x in x_mm.items())


def test_the_real_vertebrae_stand_in_their_order_in_a_lordosis_and_a_kyphosis(
    real_labels: tuple[np.ndarray, Grid], package: Folder
) -> None:
    spine: Spine = read_myo_sim_spine(package)
    np.testing.assert_array_equal(spine.level_z_mm[:, 0], np.arange(8, 25) + 0.5)
    steps_mm = -np.diff(spine.level_z_mm[:, 1])
    assert steps_mm.min() > 15
    assert steps_mm.max() < 45
    assert 380 < steps_mm.sum() < 450
    labels, grid = real_labels
    y_mm = {n: grid.origin_mm[1] + np.nonzero(labels == n)[1].mean() for n in VERTEBRAE}
    assert y_mm[14] > y_mm[8] + 10  # T7 bulges backwards
    assert y_mm[14] > y_mm[22] + 10  # L3 forwards
    assert y_mm[24] > y_mm[22]


@pytest.mark.parametrize("label", VERTEBRAE)
def test_each_real_vertebra_has_its_body_in_front_and_its_processes_behind_and_aside(
    real_labels: tuple[np.ndarray, Grid], label: int
) -> None:
    labels, grid = real_labels
    z, y, x = (grid.origin_mm[axis] + index for axis, index in zip((2, 1, 0), np.nonzero(labels == label), strict=True))
    middle_x, middle_z = x.mean(), z.mean()
    assert y.mean() < (y.min() + y.max()) / 2  # most of the bone, the body, is in front
    tip = y > y.max() - 4.0  # the spinous process: the hindmost, in the midline, pointing down
    assert abs(x[tip].mean() - middle_x) < 2.0
    assert np.ptp(x[tip]) < 16.0
    assert z[tip].mean() < middle_z
    for aside in (x < x.min() + 3.0, x > x.max() - 3.0):  # the transverse processes reach further out than the body
        assert abs(x[aside].mean() - middle_x) > 20.0
    bone_ml = len(x) / 1000.0
    assert 10 < bone_ml < 50


def test_mujoco_puts_the_real_meshes_where_we_do(package: Folder) -> None:
    """Its compiler is the definition of the format. The composed model stands 1 m above the floor."""
    mujoco = pytest.importorskip("mujoco", reason="needs MuJoCo")
    loaded = pytest.importorskip("myo_sim", reason="needs the package installed").load("myotorso")
    model, data = loaded
    mujoco.mj_forward(model, data)
    ours = {f"{'thoracic' if n < 20 else 'lumbar'}{n - (7 if n < 20 else 19)}": n for n in VERTEBRAE}
    surfaces, compared = read_vertebrae(package), 0
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH):
        mesh = model.geom_dataid[geom]
        named = re.search(r"(thoracic|lumbar)\d+", model.mesh(mesh).name)
        if named:
            first = model.mesh_vertadr[mesh]
            vertices = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
            world = (vertices @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]) * 1000.0 - (0, 0, 1000)
            for extreme in (np.min, np.max):
                np.testing.assert_allclose(
                    extreme(world, 0), extreme(points_mm(surfaces[ours[named[0]]]), 0), atol=0.01
                )
            compared += 1
    assert compared == 17
