"""Volumes keep their place in a program whose decimals have a comma, as Qt programs have on a German desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.geometry import Grid
from TomoRayLib.images import read_volume, write_volume
from TomoRayLib.images.types import Volume

ROOT = Path(__file__).resolve().parents[3]
LOPSIDED = Grid((5, 4, 3), (1.5, 1.75, 2.5), (-1.25, 2.5, 3.75), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
PROGRAM = """
import locale, sys
from TomoRayLib.images import read_volume, write_volume
locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
for path in sys.argv[1:]:
    volume = read_volume(path)
    assert locale.localeconv()["decimal_point"] == ",", f"{path} changed the program's locale"
    print(repr(volume.grid))
    write_volume(path.replace("before", "after"), volume)
    assert locale.localeconv()["decimal_point"] == ",", f"{path} changed the program's locale"
"""


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the German locale is there, made from the sources that Debian's libc has."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("no localedef with its sources (Debian's package locales), so no German locale can be made")
    folder = tmp_path_factory.mktemp("locales")
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")], check=False)
    return {**os.environ, "LOCPATH": str(folder)}


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
def test_volumes_keep_their_place_in_a_program_with_decimal_commas(
    german: dict[str, str], tmp_path: Path, ending: str
) -> None:
    before = tmp_path / f"before.{ending}"
    write_volume(before, Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), LOPSIDED))
    here = read_volume(before).grid

    command = [sys.executable, "-c", PROGRAM, str(before)]
    result = subprocess.run(command, cwd=ROOT, env=german, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == repr(here)
    assert here.spacing_mm == pytest.approx(LOPSIDED.spacing_mm)
    after = read_volume(tmp_path / f"after.{ending}").grid
    assert after.same_as(here, tolerance_mm=1e-4)
