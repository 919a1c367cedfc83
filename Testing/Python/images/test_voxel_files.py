"""Files of voxels that a header names: those of its own folder, and nothing that a sender could point to elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from support.header_files import VOXELS
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.data_files import data_files
from TomoRayLib.images.files import read_volume

DETACHED = """NRRD0004
type: short
dimension: 3
space: LPS
sizes: 7 5 3
space directions: (1,0,0) (0,1,0) (0,0,1)
endian: little
encoding: raw
data file: {name}
"""
META = """ObjectType = Image
NDims = 3
BinaryData = True
ElementSpacing = 1 1 1
TransformMatrix = 1 0 0 0 1 0 0 0 1
DimSize = 7 5 3
ElementType = MET_SHORT
ElementDataFile = {name}
"""
HEADERS = {"nhdr": DETACHED, "mhd": META}


def write_header(folder: Path, ending: str, name: str) -> Path:
    path = folder / f"ct.{ending}"
    path.write_text(HEADERS[ending].format(name=name), encoding="utf-8")
    return path


@pytest.fixture(params=["nhdr", "mhd"])
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_voxels_beside_the_header_or_in_a_folder_below_are_read(tmp_path: Path, ending: str) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("ct.raw", "raw/ct.raw"):
        (tmp_path / name).write_bytes(VOXELS.tobytes())
        np.testing.assert_array_equal(read_volume(write_header(tmp_path, ending, name)).voxels, VOXELS)


@pytest.mark.parametrize("name", ["../other.raw", "{there}/other.raw", "sub/../../other.raw", "C:\\other.raw"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, ending: str, name: str) -> None:
    (tmp_path / "here" / "sub").mkdir(parents=True)
    (tmp_path / "other.raw").write_bytes(VOXELS.tobytes())
    path = write_header(tmp_path / "here", ending, name.format(there=tmp_path))
    for read in (read_volume, data_files):
        with pytest.raises(InputError, match="a file of its own folder"):
            read(path)


def test_a_link_that_leads_elsewhere_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "other.raw").write_bytes(VOXELS.tobytes())
    (tmp_path / "here" / "ct.raw").symlink_to(tmp_path / "other.raw")
    with pytest.raises(InputError, match=r"the link ct\.raw, which leads out"):
        read_volume(write_header(tmp_path / "here", ending, "ct.raw"))


def test_a_header_and_its_voxels_that_are_both_links_to_one_folder_are_read(tmp_path: Path, ending: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "study").mkdir()
    header = write_header(tmp_path / "store", ending, "ct.raw")
    (tmp_path / "store" / "ct.raw").write_bytes(VOXELS.tobytes())
    for name in (header.name, "ct.raw"):
        (tmp_path / "study" / name).symlink_to(tmp_path / "store" / name)
    np.testing.assert_array_equal(read_volume(tmp_path / "study" / header.name).voxels, VOXELS)


def test_files_of_a_data_set_that_git_annex_keeps_are_read(tmp_path: Path, ending: str) -> None:
    """Each file is a link to one in the store, in a folder of its own."""
    store = tmp_path / "data" / ".git" / "annex" / "objects"
    header = write_header(tmp_path, ending, "ct.raw")
    for name, content in ((header.name, header.read_bytes()), ("ct.raw", VOXELS.tobytes())):
        (store / f"key of {name}").mkdir(parents=True)
        (store / f"key of {name}" / "content").write_bytes(content)
        (tmp_path / "data" / "sub").mkdir(exist_ok=True)
        (tmp_path / "data" / "sub" / name).symlink_to(store / f"key of {name}" / "content")
    np.testing.assert_array_equal(read_volume(tmp_path / "data" / "sub" / header.name).voxels, VOXELS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_in_place_of_the_voxels_is_refused_at_once(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / "ct.raw")
    with pytest.raises(InputError, match="a device, pipe or socket"):
        read_volume(write_header(tmp_path, ending, "ct.raw"))


@pytest.mark.parametrize(
    ("ending", "name"),
    [("nhdr", "LIST\n../other.raw"), ("nhdr", "../other%d.raw 1 1 1"), ("mhd", "LIST\n../other.raw")],
)
def test_lists_and_patterns_lead_nowhere_else_either(tmp_path: Path, ending: str, name: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "other.raw").write_bytes(VOXELS.tobytes())
    (tmp_path / "other1.raw").write_bytes(VOXELS.tobytes())
    with pytest.raises(InputError, match="a file of its own folder"):
        read_volume(write_header(tmp_path / "here", ending, name))
