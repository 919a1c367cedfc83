"""A look at a cohort's data: headers alone, and voxels too."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from support.command_line import tomoray
from support.labelled_cts import a_labelled_ct, written
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.data_check import run_data_check
from TomoRayLib.jobs.data_check_job import DataCheckJob
from TomoRayLib.jobs.events import Event, Finished


@pytest.fixture
def a_cohort(tmp_path: Path) -> Path:
    """A good case; masks moved by its header, on other voxels and of another patient; damaged, flat and short CTs."""
    folder = tmp_path / "cohort"
    for name in ("good", "moved", "coarser", "elsewhere", "empty", "flat", "short", "upside"):
        written(folder / f"{name}_ct.nii.gz", folder / f"{name}_seg.nii.gz")
    _, mask = a_labelled_ct()
    image = nib.load(folder / "moved_seg.nii.gz")
    affine = image.affine.copy()
    affine[0, 3] += 7.0
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), affine), folder / "moved_seg.nii.gz")
    for name, x_mm in (("coarser", 0.0), ("elsewhere", 900.0)):
        stored = sitk.ReadImage(str(folder / f"{name}_seg.nii.gz"))[::2, ::2, ::2]
        stored.SetOrigin(tuple(np.add(stored.GetOrigin(), (x_mm, 0, 0))))
        sitk.WriteImage(stored, str(folder / f"{name}_seg.nii.gz"))
    (folder / "empty_ct.nii.gz").write_bytes(b"")
    sitk.WriteImage(sitk.ReadImage(str(folder / "flat_ct.nii.gz"))[:, :, 5], str(folder / "flat_ct.nii.gz"))
    for kind in ("ct", "seg"):
        part = sitk.ReadImage(str(folder / f"short_{kind}.nii.gz"))[:, :, 20:35]
        sitk.WriteImage(part, str(folder / f"short_{kind}.nii.gz"))
    numbers = np.where(mask.voxels > 0, 43 - mask.voxels, 0)
    write_volume(folder / "upside_seg.nii.gz", Volume(numbers.astype(np.int16), mask.grid))
    return folder


def checked(folder: Path, **options: object) -> Finished:
    events: list[Event] = []
    run_data_check(DataCheckJob(str(folder), **options), events.append)
    last = events[-1]
    assert isinstance(last, Finished)
    return last


def findings_in(out: Path) -> dict[str, str]:
    with (out / "findings.csv").open(newline="", encoding="utf-8") as stream:
        return {line["case"]: line["finding"] for line in csv.DictReader(stream)}


def test_headers_tell_what_they_can(a_cohort: Path, tmp_path: Path) -> None:
    last = checked(a_cohort, out=str(tmp_path / "out"))
    found = findings_in(tmp_path / "out")
    assert set(found) == {"moved", "coarser", "elsewhere", "empty", "flat", "short"}
    assert "places it up to 7.0 mm elsewhere" in found["moved"]
    assert "on other voxels (30 × 25 × 35) than the CT (60 × 50 × 70)" in found["coarser"]
    assert "lies wholly beside the CT" in found["elsewhere"]
    assert "empty file" in found["empty"]
    assert "3D volume" in found["flat"]
    assert "38 mm along the body" in found["short"]
    assert (last.values["cases"], last.values["cases_with_findings"]) == (8, 6)
    with (tmp_path / "out" / "cases.csv").open(newline="", encoding="utf-8") as stream:
        line = next(one for one in csv.DictReader(stream) if one["case"] == "good")
    assert (line["i"], line["j_mm"], line["findings"]) == ("60", "4.0", "0")


def test_voxels_tell_the_rest(a_cohort: Path, tmp_path: Path) -> None:
    checked(a_cohort, out=str(tmp_path / "out"), voxels=True)
    found = findings_in(tmp_path / "out")
    assert "which VerSe's numbering does not explain" in found["upside"]
    assert "VerSe's numbering does not explain" not in found.get("good", "")


def test_the_command_is_strict_if_asked(a_cohort: Path) -> None:
    assert tomoray("data", "check", str(a_cohort)).returncode == 0
    result = tomoray("data", "check", str(a_cohort), "--strict")
    assert result.returncode == 5
    assert "2 of 8 cases without a finding" in " ".join(result.stderr.split())
    assert tomoray("data", "check", str(a_cohort / "absent")).returncode == 2


def test_a_thousand_headers_are_read_in_one_go(tmp_path: Path) -> None:
    """The same small case a thousand times, with a wrong checksum at the end of its voxels: only headers are read."""
    first = tmp_path / "cohort" / "c0000_ct.nii.gz"
    written(first, first.with_name("c0000_seg.nii.gz"))
    for kind in ("ct", "seg"):
        file = first.with_name(f"c0000_{kind}.nii.gz")
        content = file.read_bytes()
        file.write_bytes(content[:-8] + b"\0\0\0\0" + content[-4:])
        with pytest.raises(gzip.BadGzipFile):
            gzip.decompress(file.read_bytes())
    for number in range(1, 1000):
        for kind in ("ct", "seg"):
            (tmp_path / "cohort" / f"c{number:04d}_{kind}.nii.gz").hardlink_to(first.with_name(f"c0000_{kind}.nii.gz"))
    last = checked(tmp_path / "cohort")
    assert (last.values["cases"], last.values["cases_with_findings"]) == (1000, 0)
