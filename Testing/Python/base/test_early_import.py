"""An import begun beside other work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


def ends_with(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=True, timeout=120
    )
    return run.stdout.strip()


def test_the_next_import_waits_until_the_module_is_there() -> None:
    code = (
        "import sys; from TomoRayLib.base.early_import import beside; beside('torch'); "
        "import torch; print(torch.zeros(2).shape[0], 'numpy' in sys.modules)"
    )
    assert ends_with(code) == "2 True"


def test_a_module_that_is_not_there_is_told_by_who_needs_it() -> None:
    code = (
        "import threading; from TomoRayLib.base.early_import import beside; beside('no_such_module')\n"
        "[one.join() for one in threading.enumerate() if one.name == 'loading beside']\n"
        "try:\n    import no_such_module\nexcept ModuleNotFoundError as error:\n    print(error.name)"
    )
    assert ends_with(code) == "no_such_module"


def test_reading_two_radiographs_or_a_ct_loads_neither_torch_nor_vtk() -> None:
    """Else nothing is read before PyTorch is there."""
    code = (
        "import sys, TomoRayLib.jobs.synthesis, TomoRayLib.synthesis.radiograph_inputs, "
        "TomoRayLib.synthesis.source_inputs; print(sorted({'torch', 'vtkmodules', 'numba'} & set(sys.modules)))"
    )
    assert ends_with(code) == "[]"


def test_a_missing_file_is_told_before_anything_slow_is_loaded() -> None:
    code = (
        "import sys; from TomoRayLib.cli import main; sys.argv = ['tomoray', 'synthesize', '--ct', 'nowhere.nii.gz', "
        "'--out', 'nowhere']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "print(int(code), sorted({'torch', 'vtkmodules', 'SimpleITK', 'scipy', 'pydicom'} & set(sys.modules)))"
    )
    assert ends_with(code) == "2 []"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ct", "HERE", "--segmentation", "nowhere.nii.gz"], "nowhere.nii.gz"),
        (["--ct", "HERE", "--device", "gpu"], "auto, cpu, cuda"),
        (["--ap", "HERE", "--lateral", "HERE", "--geometry", "nowhere.json"], "nowhere.json"),
        (
            ["--ap", "HERE", "--lateral", "HERE", "--ap-matrix", "nowhere.txt", "--lateral-matrix", "HERE"],
            "nowhere.txt",
        ),
    ],
)
def test_what_can_be_told_at_once_is(words: list[str], said: str, tmp_path: Path) -> None:
    here = tmp_path / "here.nrrd"
    here.write_bytes(b"NRRD0004")
    given = [str(here) if word == "HERE" else word for word in words]
    code = (
        "import sys; from TomoRayLib.cli import main; "
        f"sys.argv = ['tomoray', 'synthesize', '--out', 'nowhere', *{given}]"
        "\nsys.stderr = sys.stdout\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "print(int(code), sorted({'torch', 'vtkmodules', 'SimpleITK', 'scipy', 'pydicom'} & set(sys.modules)))"
    )
    *printed, last = ends_with(code).splitlines()
    assert last == "2 []"
    assert said in " ".join(printed).replace("\n", "")


def test_turns_are_as_long_as_before_once_all_has_been_loaded() -> None:
    code = (
        "import sys, threading; from TomoRayLib.base.early_import import beside\n"
        "before = sys.getswitchinterval()\n"
        "go = threading.Event()\n"
        "beside(go.wait); beside(go.wait); beside('no_such_module')\n"
        "during = sys.getswitchinterval()\n"
        "go.set()\n"
        "[one.join() for one in threading.enumerate() if one.name == 'loading beside']\n"
        "print(during < before, sys.getswitchinterval() == before)"
    )
    assert ends_with(code) == "True True"
