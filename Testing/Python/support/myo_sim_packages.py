"""The package myo_sim: a hand-made one of boxes, and the real one if it is installed or in shared/data."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from TomoRayLib.training.phantoms.myo_sim import (
    Folder,
    find_myo_sim,
)

CHAIN, ASSETS = "models/torso/assets/myotorso_chain.xml", "models/torso/assets/myotorso_assets.xml"


UPRIGHT = "1.57079632679 -1.57079632679 0"  # as the model's root: mesh x anterior, y up, z to the right


BOX_M = np.array([0.010, 0.020, 0.030])  # edges of every hand-made vertebra: deep, high, wide


def box_corners(edges: np.ndarray) -> np.ndarray:
    """(12, 3, 3): the triangles of a box from 0 to ``edges``, all seen from outside anticlockwise."""
    quads = np.array([[0, 2, 6, 4], [1, 5, 7, 3], [0, 4, 5, 1], [2, 3, 7, 6], [0, 1, 3, 2], [4, 6, 7, 5]])
    points = np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)]) * edges
    return points[np.concatenate([quads[:, [0, 2, 1]], quads[:, [0, 3, 2]]])]


def a_package(folder: Path, count: int = 17) -> Path:
    """myo_sim's files with a box for each vertebra, each 30 mm below the one before and 1 mm more to the left."""
    package = folder / "myo_sim"
    (package / "models" / "torso" / "assets").mkdir(parents=True)
    (package / "models" / "meshes").mkdir()
    meshes, geoms = [], []
    stems = [f"thoracic{n}_s" for n in range(1, 13)] + [f"lumbar{n}" for n in range(1, 6)]
    for number, stem in enumerate(stems[:count]):
        corners = box_corners(BOX_M)
        record = np.zeros(12, [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        record["corners"] = corners
        content = b"hand-made".ljust(80) + np.uint32(12).tobytes() + record.tobytes()
        (package / "models" / "meshes" / f"{stem}.stl").write_bytes(content)
        meshes.append(f'<mesh name="m{number}" file="meshes/{stem}.stl"/>')
        geoms.append(f'<geom mesh="m{number}" pos="0 {-0.03 * number} {-0.001 * number}"/>')
    tree = f'<x><body name="root" pos="0 0 1" euler="{UPRIGHT}">{"".join(geoms)}</body></x>'
    (package / CHAIN).write_text(tree)
    (package / ASSETS).write_text(f"<x><asset>{''.join(meshes)}</asset></x>")
    return package


def pack(folder: Path, wheel_path: Path) -> None:
    """The package in ``folder`` as a wheel."""
    with zipfile.ZipFile(wheel_path, "w") as wheel:
        for file in sorted((folder / "myo_sim").rglob("*.*")):
            wheel.write(file, file.relative_to(folder))


def real_package() -> Folder | None:
    places = [parent / "shared" / "data" for parent in Path(__file__).resolve().parents]
    for place in [place for place in places if place.is_dir()] or [None]:
        try:
            return find_myo_sim(place)
        except ValueError:
            continue
    return None
