"""A package that cannot be loaded is named, with what is wrong, from the real errors of really broken packages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from support.broken_environments import Environment
from TomoRayLib.base.package_faults import Fault, PackageFault, fault_of_text, package_fault
from TomoRayLib.jobs.failures import package_remedy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="breaks libraries of Linux by links")

USED = """
import json
from TomoRayLib.base.package_faults import package_fault
try:
    import numpy, torch
    torch.from_numpy(numpy.ones(2)).sum()
    import safetensors.torch
except BaseException as error:
    found = package_fault(error)
    print(json.dumps([found.package, found.fault.value, found.said] if found else [None, None, repr(error)]))
"""


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


def broken(environment: Environment) -> tuple[str, str, str]:
    printed = environment.run(USED)
    package, fault, said = json.loads(printed.stdout.splitlines()[-1])
    return package, fault, said


def test_a_library_that_is_gone(environment: Environment) -> None:
    environment.remove("torch/lib/libc10.so")
    package, fault, said = broken(environment)
    assert (package, fault) == ("torch", "library")
    assert "libc10.so" in said


@pytest.mark.parametrize("content", [b"", b"<html>not a library</html>" * 400])
def test_a_library_that_was_cut_off_or_is_something_else(environment: Environment, content: bytes) -> None:
    environment.replace("torch/lib/libc10.so", content)
    assert broken(environment)[:2] == ("torch", "incomplete")


def test_an_extension_that_is_gone(environment: Environment) -> None:
    environment.remove("torch/_C.*.so")
    assert broken(environment)[:2] == ("torch", "incomplete")


def test_a_folder_of_the_package_that_is_gone(environment: Environment) -> None:
    environment.remove("torch/nn")
    package, fault, said = broken(environment)
    assert (package, fault) == ("torch", "incomplete")
    assert "torch.nn" in said


def test_a_file_of_the_package_that_is_gone_or_filled_with_zeros(environment: Environment) -> None:
    environment.replace("torch/functional.py", b"\0" * 4096)
    assert broken(environment)[:2] == ("torch", "incomplete")
    environment.remove("torch/functional.py")
    assert broken(environment)[:2] == ("torch", "incomplete")


def test_a_first_file_that_was_cut_off_or_is_empty_or_gone(environment: Environment) -> None:
    whole = environment.content("torch/__init__.py")
    environment.replace("torch/__init__.py", whole[:20001])
    assert broken(environment)[:2] == ("torch", "incomplete")
    environment.replace("torch/__init__.py", b"")
    assert broken(environment)[:2] == ("torch", "incomplete")
    environment.remove("torch/__init__.py")
    assert broken(environment)[:2] == ("torch", "incomplete")


def test_metadata_without_files_are_a_damaged_package_and_neither_is_a_missing_one(environment: Environment) -> None:
    environment.remove("torch")
    assert broken(environment)[:2] == ("torch", "incomplete")
    environment.remove("torch-*.dist-info")
    assert broken(environment)[:2] == ("torch", "missing")


def test_another_package_than_torch(environment: Environment) -> None:
    environment.remove("safetensors/_safetensors_rust*")
    assert broken(environment)[:2] == ("safetensors", "incomplete")


def test_an_error_of_ours_is_no_fault_of_a_package() -> None:
    with pytest.raises(AttributeError) as raised:
        raise AttributeError("module 'torch' has no attribute 'nothing'")
    assert package_fault(raised.value) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [  # as other systems say it
        ('OSError: [WinError 1114] A DLL failed. Error loading "C:\\torch\\lib\\c10.dll" or one of its', Fault.LIBRARY),
        ("OSError: [WinError 126] Das angegebene Modul wurde nicht gefunden.", Fault.LIBRARY),
        ("ImportError: DLL load failed while importing _C: The specified procedure", Fault.LIBRARY),
        ("OSError: [WinError 4551] An Application Control policy has blocked this file.", Fault.FORBIDDEN),
        ("OSError: [WinError 193] %1 is not a valid Win32 application", Fault.ARCHITECTURE),
        ("ImportError: dlopen(_C.so): tried: (mach-o file, but is an incompatible architecture", Fault.ARCHITECTURE),
        ("ImportError: dlopen(_C.so): Library not loaded: @rpath/libomp.dylib", Fault.LIBRARY),
        ("ImportError: /lib/libm.so.6: version `GLIBC_2.29' not found", Fault.SYSTEM),
        ("ImportError: libx.so: failed to map segment from shared object: Operation not permitted", Fault.FORBIDDEN),
        ("ValueError: numpy.dtype size changed, may indicate binary incompatibility.", Fault.NUMPY),
        ("ImportError: numpy.core.multiarray failed to import", Fault.NUMPY),
        ("ImportError: A module that was compiled using NumPy 1.x cannot be run in NumPy 2.0.0", Fault.NUMPY),
    ],
)
def test_what_other_systems_and_numpy_say(text: str, fault: Fault) -> None:
    assert fault_of_text(text) is fault


def test_numpy_that_torch_was_not_built_for() -> None:
    error = RuntimeError("Numpy is not available")
    found = package_fault(error)
    assert found is not None
    assert (found.package, found.fault) == ("torch", Fault.NUMPY)


def test_pillow_beneath_pydicom_which_hides_it(tmp_path: Path) -> None:
    """pydicom goes on without the broken Pillow into a NameError of its own; a new pydicom would not help."""
    environment = Environment(tmp_path, ("PIL", "pillow", "pillow.libs"))
    environment.remove("PIL/_imaging.*")
    package, fault, said = broken_by(environment, "pydicom")
    assert (package, fault) == ("PIL", "incomplete")
    assert "_imaging" in said


def test_pydicom_that_is_damaged_itself(tmp_path: Path) -> None:
    environment = Environment(tmp_path, ("pydicom",))
    environment.replace("pydicom/dataset.py", b"raise NameError('damaged')\n")
    assert broken_by(environment, "pydicom")[:2] == ("pydicom", "incomplete")


def test_a_package_is_named_to_pip_by_its_own_name() -> None:
    assert "--no-deps pillow." in package_remedy(PackageFault("PIL", Fault.INCOMPLETE))
    assert "--no-deps scipy." in package_remedy(PackageFault("scipy", Fault.INCOMPLETE))


def broken_by(environment: Environment, module: str) -> tuple[str, str, str]:
    printed = environment.run(USED.replace("import numpy, torch", f"import {module}"))
    package, fault, said = json.loads(printed.stdout.splitlines()[-1])
    return package, fault, said
