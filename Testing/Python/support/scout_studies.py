"""CT studies with scouts, written as scanners write them: a lopsided body, its slices, and its two slot scans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydicom.uid import generate_uid

from support.dicom_files import a_dataset
from TomoRayLib.geometry.beams import SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import Volume
from TomoRayLib.projector.physics.attenuation import hu_to_attenuation
from TomoRayLib.projector.projection import project

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
GRID = Grid((56, 48, 60), (4.0, 4.0, 4.0), (-104.0, -262.0, -700.0))
AXIS_MM = (0.0, -178.0)  # x and y of the gantry's axis: y is the table's height in some makes
MARK_MM = (38.0, -126.0, -520.0)  # a dense ball, off every symmetry


@dataclass(frozen=True)
class Convention:
    """How a make writes a scout: (row, column) spacing, and the signs of its axes along the body and across it; whether
    rows run along the body; and whether SID and SAD are stated."""

    spacing_mm: tuple[float, float] = (2.0, 2.0)
    upwards: bool = False
    leftwards: bool = True
    rows_along_body: bool = False
    states_distances: bool = True


CONVENTIONS = {
    "columns down": Convention(),
    "uneven pixels": Convention((1.5, 2.5), states_distances=False),
    "rows along the body": Convention(rows_along_body=True, states_distances=False),
    "upwards, to the right": Convention(upwards=True, leftwards=False),
    "rows up the body, to the right": Convention(upwards=True, leftwards=False, rows_along_body=True),
}


def a_body() -> Volume:
    """Soft tissue with a spine of uneven blocks behind the middle, ribs on one side and a dense ball."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in GRID.shape), indexing="ij")
    x, y, z = (GRID.origin_mm[a] + (i, j, k)[a] * 4.0 for a in range(3))
    hu = np.full(GRID.shape, -1000.0)
    hu[((x - 6) / 96) ** 2 + ((y + 178) / 74) ** 2 < 1] = 40.0
    course = 10 + 14 * np.sin((z + 590) / 70)
    block = (np.abs(x - course) < 18) & (np.abs(y + 136) < 14) & ((z % 31.0) < 23)
    hu[block] = 450.0
    hu[(np.abs(y + 220) < 5) & (np.abs(((z + 0.4 * x) % 44.0) - 12) < 6) & (x > 12) & (hu > 0)] = 700.0
    hu[(x - MARK_MM[0]) ** 2 + (y - MARK_MM[1]) ** 2 + (z - MARK_MM[2]) ** 2 < 11**2] = 2500.0
    return Volume(hu.astype(np.float32), GRID)


def exact_view(role: str, side: int, beam: SlotScan, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> View:
    """The view of a scout about the gantry's axis, at the height of the middle of the body; ``side`` 1: from behind or
    from the right, its columns then run to the right or to the front."""
    middle_z = GRID.center_mm[2] + 9.0
    nominal_deg = 0.0 if role == "AP" else 90.0
    return View(
        beam, Detector(*shape, spacing_mm), nominal_deg + 180.0 * side, isocenter_mm=(AXIS_MM[0], AXIS_MM[1], middle_z)
    )


def write_study(
    folder: Path,
    convention: Convention = CONVENTIONS["columns down"],
    sides: tuple[int, int] = (0, 0),
    beam: SlotScan = SlotScan(570.0, 1040.0),  # noqa: B008 (frozen)
    roles: tuple[str, ...] = ("AP", "lateral"),
    frame_of_scouts: str = "1.2.3.4",
    **values: Any,
) -> Volume:
    """Write slices and scouts, in folders of their own, and return the CT; ``values`` go into the scouts' headers."""
    body, series = a_body(), generate_uid()
    common = {"Modality": "CT", "PatientID": "somebody", "RescaleSlope": 1, "RescaleIntercept": 0}
    for role, side in zip(("AP", "lateral"), sides, strict=True):
        if role in roles:
            stated = {"DistanceSourceToDetector": 1040, "DistanceSourceToPatient": 570}
            stated = (stated if convention.states_distances else {}) | common | {"FrameOfReferenceUID": frame_of_scouts}
            _write_scout(folder / "scouts", role, side, beam, body, convention, stated | values)
    (folder / "slices").mkdir(parents=True, exist_ok=True)
    for index, plane in enumerate(body.voxels):
        position = [GRID.origin_mm[0], GRID.origin_mm[1], GRID.origin_mm[2] + 4.0 * index]
        a_dataset(
            CT_CLASS,
            plane.astype(np.int16),
            **common,
            ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=position,
            PixelSpacing=[4.0, 4.0],
            FrameOfReferenceUID="1.2.3.4",
            SeriesInstanceUID=series,
            SeriesNumber=3,
            InstanceNumber=index + 1,
        ).save_as(folder / "slices" / f"{index:03d}", enforce_file_format=True)
    return body


def _write_scout(
    folder: Path, role: str, side: int, beam: SlotScan, body: Volume, how: Convention, values: dict[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shape = (round(280 / how.spacing_mm[0]), round(300 / how.spacing_mm[1]))
    view = exact_view(role, side, replace(beam, sid_mm=beam.sad_mm), shape, how.spacing_mm)
    attenuation = hu_to_attenuation(torch.from_numpy(body.voxels))
    image = project(attenuation, body.grid, view).numpy()
    image = image[:, ::-1] if side else image  # to the patient's left, or to posterior
    across = 0 if role == "AP" else 1
    first = [0.0, 0.0, view.isocenter_mm[2] + (shape[0] - 1) / 2 * how.spacing_mm[0]]
    first[across] = AXIS_MM[across] - (shape[1] - 1) / 2 * how.spacing_mm[1]
    first[1 - across] = 777.0  # means nothing
    right, down = np.eye(3)[across], np.array([0.0, 0.0, -1.0])
    if how.upwards:
        image, first[2], down = image[::-1], first[2] - (shape[0] - 1) * how.spacing_mm[0], -down
    if not how.leftwards:
        image, right = image[:, ::-1], -right
        first[across] = AXIS_MM[across] + (shape[1] - 1) / 2 * how.spacing_mm[1]
    spacing = how.spacing_mm
    if how.rows_along_body:
        image, right, down, spacing = image.T, down, right, spacing[::-1]
    a_dataset(
        CT_CLASS,
        np.ascontiguousarray(np.round(image * 300)).astype(np.int16),
        **values,
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImageOrientationPatient=[float(value) for value in (*right, *down)],
        ImagePositionPatient=first,
        PixelSpacing=list(spacing),
        SeriesInstanceUID=generate_uid(),
        SeriesNumber=1,
    ).save_as(folder / f"{role}.dcm", enforce_file_format=True)
