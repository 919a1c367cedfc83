"""The geometry that the panel shows gives back the rays that were read, whatever their kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.presets import parallel_pair
from TomoRayLib.geometry.view_json import VIEW_KEY
from TomoRayLib.images.types import Radiograph, RadiographHeader

pytestmark = pytest.mark.usefixtures("scene")


@pytest.mark.parametrize(
    ("preset", "beam", "column_mm"),
    [
        ("eos", SlotScan(918.0, 1300.0), 0.5),
        ("ct-scout", SlotScan(570.0, 1040.0), 0.5),
        ("upright", ConeBeam(1500.0, 1800.0), 0.5),
        ("parallel", ParallelBeam(), 0.5),
    ],
)
def test_a_presets_rays_come_back_from_the_panels_numbers(preset: str, beam: Beam, column_mm: float) -> None:
    from TomoRayLib.slicer.scene.nodes import Role
    from TomoRayLib.slicer.scene.view_geometry import geometry_of

    header = RadiographHeader(source_format="DICOM", modality="DX")
    radiograph = Radiograph(np.ones((400, 300), np.float32), (0.4, 0.5), header)
    geometry, _ = geometry_of(radiograph, Role.LATERAL, preset)
    view = geometry.view(400, 300)
    assert view.beam == beam
    assert view.detector.pixel_spacing_mm == pytest.approx((0.4, column_mm))
    if beam != ParallelBeam():  # what the user edits stays of the same kind
        assert type(replace(geometry, sad_mm=500.0).view(400, 300).beam) is type(beam)


def test_a_slot_scan_without_distances_needs_a_preset_which_its_spacing_hangs_on() -> None:
    from TomoRayLib.images.types import SLOT_SCAN
    from TomoRayLib.slicer.scene.nodes import Role
    from TomoRayLib.slicer.scene.view_geometry import geometry_of

    header = RadiographHeader(source_format="DICOM", modality="DX", refused={SLOT_SCAN: "SLOT, a slot scan."})
    radiograph = Radiograph(np.ones((400, 300), np.float32), (0.4, 0.5), header)
    with pytest.raises(InputError, match="choose the preset eos"):
        geometry_of(radiograph, Role.AP, None)
    geometry, _ = geometry_of(radiograph, Role.AP, "eos")
    assert geometry.view(400, 300).beam == SlotScan(987.0, 1300.0)


def test_a_jobs_geometry_file_says_whether_anybody_placed_the_images(tmp_path: Path) -> None:
    from TomoRayLib.slicer.scene.view_geometry import write_geometry
    from TomoRayLib.synthesis.geometry_files import gives_places, read_views

    views = parallel_pair((3.0, -40.0, 12.0))
    for assumed in (False, True):
        write_geometry(tmp_path / "views.json", views, places_assumed=assumed)
        assert gives_places(str(tmp_path / "views.json")) is not assumed
        assert read_views(str(tmp_path / "views.json")) == views


def test_an_image_is_placed_by_its_files_view_its_header_or_the_user() -> None:
    from TomoRayLib.slicer.scene.nodes import Role
    from TomoRayLib.slicer.scene.view_geometry import geometry_of, is_placed

    plain = Radiograph(np.ones((400, 300), np.float32), (0.4, 0.5), RadiographHeader(modality="DX"))
    geometry, _ = geometry_of(plain, Role.AP, "upright")
    assert not is_placed(plain, geometry)
    assert is_placed(plain, replace(geometry, offset_mm=(0.0, 3.0)))
    assert is_placed(replace(plain, metadata={VIEW_KEY: "{}"}), geometry)
    rt_image = RadiographHeader(modality="RTIMAGE", detector_offset_mm=(0.0, 0.0))
    assert is_placed(replace(plain, header=rt_image), geometry)
