"""The spine of the package myo_sim (T1-L5), a source of vertebra shapes under Apache-2.0.

myo_sim (https://github.com/MyoHub/myo_sim) describes a torso for MuJoCo: closed meshes of the vertebrae in metres, and
a kinematic tree of bodies that says where each stands. Only its files are read: its code, and MuJoCo with it, is
neither imported nor needed. The root body's own rotation makes the model stand upright and face -y: x points to the
patient's left, y to posterior, z up, which is LPS.
"""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from vtkmodules.vtkCommonDataModel import vtkPolyData

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.surfaces import mask_of_surface, points_mm, surface_of_triangles
from TomoRayLib.training.phantoms.spines import SPINE_SPACING_MM, Spine, detailed_spine

MYO_SIM_SPINE = "myo_sim"  # the spine's name, and the package's
MM_PER_M = 1000.0
MARGIN_MM = 3.0
VERTEBRAE = tuple(LABEL_OF_NAME[name] for name in [*(f"T{n}" for n in range(1, 13)), *(f"L{n}" for n in range(1, 6))])

_CHAIN, _ASSETS = "models/torso/assets/myotorso_chain.xml", "models/torso/assets/myotorso_assets.xml"
_MESH_FOLDER = "models"
_MESH_FILE = re.compile(r"(thoracic|lumbar)(\d+)(_s)?\.stl$")
_STL_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_OTHER_ROTATIONS = ("axisangle", "xyaxes", "zaxis")

Folder = Path | zipfile.Path


def find_myo_sim(beside: Path | None = None) -> Folder:
    """The package's folder: in a wheel (``myo_sim-*.whl``) in the folder ``beside``, else of the installed package.

    Raises InputError that says what to download if there is neither.
    """
    wheels = sorted(beside.glob("myo_sim-*.whl")) if beside is not None else []
    if wheels:
        return zipfile.Path(wheels[-1]) / "myo_sim"
    spec = importlib.util.find_spec("myo_sim")  # finds it without importing it
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    where = f" in {beside}" if beside is not None else ""
    raise InputError(
        f"myo_sim = true needs the package myo_sim, which is neither installed nor there as myo_sim-*.whl{where}. "
        f"Download its wheel (pip download --no-deps myo-sim --dest {beside or 'FOLDER'}) or install it without "
        f"MuJoCo (pip install --no-deps myo-sim)."
    )


def read_myo_sim_spine(package: Folder) -> Spine:
    """T1-L5 as the model stands, on a 1 mm LPS grid. Raises InputError if ``package`` is not as expected."""
    labels, grid = labels_of_surfaces(read_vertebrae(package), SPINE_SPACING_MM)
    return detailed_spine(MYO_SIM_SPINE, labels, grid)


def read_vertebrae(package: Folder) -> dict[int, vtkPolyData]:
    """The closed surface of each vertebra in LPS mm, by VerSe number, from cranial to caudal.

    Raises InputError for a package without the model's files or without all of T1-L5.
    """
    frames = mesh_to_lps(_xml(package, _CHAIN))
    surfaces = {}
    for mesh in _xml(package, _ASSETS).iter("mesh"):
        label = _label_of_file(mesh.get("file", ""))
        if label is not None and mesh.get("name") in frames:
            corners = _stl_corners(_bytes(package, f"{_MESH_FOLDER}/{mesh.get('file')}"))
            surfaces[label] = _placed(corners * _numbers(mesh, "scale", "1 1 1"), frames[mesh.get("name", "")])
    missing = sorted(set(VERTEBRAE) - set(surfaces))
    if missing:
        raise InputError(f"Expected T1-L5 (VerSe 8-24) in {package}, lacks {missing}; use myo_sim 0.2.4.")
    return {label: surfaces[label] for label in VERTEBRAE}


def mesh_to_lps(chain: ET.Element) -> dict[str, NDArray[np.float64]]:
    """For each mesh of a MuJoCo kinematic tree its (4, 4) matrix from mesh coordinates in m to LPS in mm."""
    frames: dict[str, NDArray[np.float64]] = {}

    def walk(parent: ET.Element, parent_to_world: NDArray[np.float64]) -> None:
        for child in parent:
            if child.tag == "body":
                walk(child, parent_to_world @ _to_parent(child))
            elif child.tag == "geom" and "mesh" in child.attrib:
                frames[child.attrib["mesh"]] = parent_to_world @ _to_parent(child)

    walk(chain, np.diag([MM_PER_M, MM_PER_M, MM_PER_M, 1.0]))
    return frames


def labels_of_surfaces(surfaces: dict[int, vtkPolyData], spacing_mm: float) -> tuple[NDArray[np.uint8], Grid]:
    """Labels (z, y, x) of closed surfaces on the smallest LPS grid that leaves 3 mm around them.

    Where two surfaces overlap, a voxel belongs to the first of them.
    """
    corners = np.concatenate([points_mm(surface) for surface in surfaces.values()])
    low, high = corners.min(axis=0) - MARGIN_MM, corners.max(axis=0) + MARGIN_MM
    size = tuple(int(np.ceil(edge / spacing_mm)) + 1 for edge in high - low)
    grid = Grid(size, (spacing_mm,) * 3, tuple(float(value) for value in low))  # type: ignore[arg-type]
    labels = np.zeros(grid.shape, np.uint8)
    for label, surface in surfaces.items():
        labels[(mask_of_surface(surface, grid).voxels > 0) & (labels == 0)] = label
    return labels, grid


def _to_parent(element: ET.Element) -> NDArray[np.float64]:
    """The (4, 4) matrix of a body's or geom's ``pos`` with ``euler`` or ``quat``, as the model's own compiler reads it.

    ``euler`` is in radians about the turning axes x, y, z; ``quat`` has w first. Raises InputError for a rotation that
    is given in another of MuJoCo's ways.
    """
    if any(key in element.attrib for key in _OTHER_ROTATIONS):
        raise InputError(f"Expected pos with euler or quat of {element.get('name')}, got {element.attrib}.")
    matrix = np.eye(4)
    matrix[:3, 3] = _numbers(element, "pos", "0 0 0")
    if "quat" in element.attrib:
        w, x, y, z = _numbers(element, "quat", "")
        matrix[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
    else:
        matrix[:3, :3] = Rotation.from_euler("XYZ", _numbers(element, "euler", "0 0 0")).as_matrix()
    return matrix


def _placed(corners: NDArray[np.float64], mesh_to_world: NDArray[np.float64]) -> vtkPolyData:
    """A surface from the corners (m, 3, 3) of triangles; equal corners become one point."""
    points, faces = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return surface_of_triangles(points @ mesh_to_world[:3, :3].T + mesh_to_world[:3, 3], faces.reshape(-1, 3))


def _label_of_file(name: str) -> int | None:
    match = _MESH_FILE.search(name)
    return LABEL_OF_NAME[f"{match[1][0].upper()}{match[2]}"] if match else None


def _stl_corners(content: bytes) -> NDArray[np.float64]:
    """The corners (m, 3, 3) of a binary STL's triangles."""
    count = int.from_bytes(content[80:84], "little")
    return np.frombuffer(content, _STL_RECORD, count, offset=84)["corners"].astype(np.float64)


def _numbers(element: ET.Element, key: str, default: str) -> NDArray[np.float64]:
    return np.array([float(word) for word in element.get(key, default).split()])


def _xml(package: Folder, name: str) -> ET.Element:
    return ET.fromstring(_bytes(package, name))


def _bytes(package: Folder, name: str) -> bytes:
    file = package / name
    if not file.is_file():
        raise InputError(f"Expected {name} in the package myo_sim at {package}, found none; use myo_sim 0.2.4.")
    return file.read_bytes()
