"""The Slicer extension as it is packaged: every file listed, installed where Slicer looks, and running from there.

Slicer's macros are a stub in our own words (``Testing/packaging``). Where ``SLICER_CMAKE_DIR`` and ``CTK_CMAKE_DIR``
name the folders ``CMake`` of Slicer's and CTK's sources, the same tests run on their own macros too.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "Testing" / "packaging"
INSTALLED = Path("lib/Slicer-5.12/qt-scripted-modules")
OWN_MACROS = ("SLICER_CMAKE_DIR", "CTK_CMAKE_DIR")
# All in Slicer, and quick to import: SimpleITK and pydicom are in Slicer too, but belong into functions.
AT_FILE_SCOPE = {"qt", "ctk", "vtk", "slicer", "numpy", "TomoRayLib"}


def files_below(folder: str) -> list[str]:
    """The files that git would keep below a folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in result.stdout.split() if (ROOT / name).exists())


def library_scripts() -> list[str]:
    return [name for name in files_below("TomoRayLib") if name.endswith(".py")]


def resources() -> list[str]:
    """All that the library reads. Screenshots are for the README and the index, and stay out of the package."""
    in_library = [name for name in files_below("TomoRayLib") if not name.endswith(".py")]
    others = [name for name in files_below("Resources") if not name.startswith("Resources/Screenshots/")]
    return sorted(in_library + others)


@pytest.fixture(scope="module", params=["stub", "own macros"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of scripted modules after configure, build and install."""
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("cmake or a C++ compiler is not installed")
    options = [f"-DSlicer_DIR={STUB}", "-DBUILD_TESTING=ON"]
    if request.param == "own macros":
        if not all(os.environ.get(name) for name in OWN_MACROS):
            pytest.skip("SLICER_CMAKE_DIR and CTK_CMAKE_DIR do not name the macros of Slicer and CTK")
        options += [f"-D{name}={os.environ[name]}" for name in OWN_MACROS]
        options += [f"-DPYTHON_EXECUTABLE={sys.executable}"]
    folder = tmp_path_factory.mktemp("extension")
    prefix = folder / "slicer"
    for command in (
        ["cmake", "-S", str(ROOT), "-B", str(folder / "build"), f"-DCMAKE_INSTALL_PREFIX={prefix}", *options],
        ["cmake", "--build", str(folder / "build")],
        ["cmake", "--install", str(folder / "build")],
    ):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    return prefix / INSTALLED


def test_exactly_the_module_the_library_and_the_resources_are_installed(installed: Path) -> None:
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    found -= {f"{name}c" for name in found}  # Slicer's own macro adds x.pyc beside x.py
    expected = {"TomoRay.py", *library_scripts(), *resources()}
    assert found == expected
    assert all((installed / name).read_bytes() == (ROOT / name).read_bytes() for name in expected - {"TomoRay.py"})


def test_nothing_is_installed_elsewhere(installed: Path) -> None:
    prefix = installed.parents[2]
    elsewhere = [path for path in prefix.rglob("*") if path.is_file() and installed not in path.parents]
    assert elsewhere == []


def test_the_self_test_is_registered(installed: Path) -> None:
    build = installed.parents[3] / "build"
    result = subprocess.run(["ctest", "-N"], cwd=build, capture_output=True, text=True, check=True)
    assert "py_TomoRay\n" in result.stdout
    assert "py_nomainwindow_qSlicerTomoRayModuleGenericTest" in result.stdout


def test_the_module_file_holds_the_classes_that_slicer_looks_for() -> None:
    """Slicer finds them by name; without the test class *Reload and Test* and the registered test fail."""
    tree = ast.parse((ROOT / "TomoRay" / "TomoRay.py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert {"TomoRay", "TomoRayWidget", "TomoRayLogic", "TomoRayTest"} <= set(classes)
    methods = {node.name for node in classes["TomoRayTest"].body if isinstance(node, ast.FunctionDef)}
    assert "runTest" in methods


@pytest.mark.slow
def test_the_installed_worker_runs_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    """A whole job on the built-in phantom, with only the installed folder and the site-packages to import from."""
    prepare = (
        "import TomoRayLib, sys; from TomoRayLib.jobs.demonstration_phantom import phantom_volumes;"
        "from TomoRayLib.images.writing import write_volume; print(TomoRayLib.__file__);"
        "write_volume(sys.argv[1], phantom_volumes()[0])"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", prepare, str(tmp_path / "ct.nrrd")]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(str(installed))
    job = {"out": str(tmp_path / "results"), "ct": str(tmp_path / "ct.nrrd"), "device": "cpu"}
    (tmp_path / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "TomoRayLib.worker", str(tmp_path / "job.json")]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "results" / "synthetic_ct.nrrd").exists()
    assert (tmp_path / "results" / "report.html").exists()


def file_scope_imports(path: Path) -> set[str]:
    """The modules that importing a file imports at once; what stands under TYPE_CHECKING or in functions is not."""
    names: set[str] = set()
    pending: list[ast.stmt] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            pending += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            pending += [*node.body, *node.orelse, *node.finalbody]
            pending += [statement for handler in node.handlers for statement in handler.body]
        elif isinstance(node, (ast.With, ast.ClassDef, ast.For)):
            pending += node.body
    return names


def loaded_by(path: Path) -> dict[str, Path]:
    """Every file of TomoRayLib that importing ``path`` loads, by module name."""
    loaded: dict[str, Path] = {}
    pending = [path]
    while pending:
        for name in file_scope_imports(pending.pop()):
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                stem = ROOT.joinpath(*parts[:end])
                for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
                    key = ".".join(parts[:end])
                    if parts[0] == "TomoRayLib" and candidate.exists() and key not in loaded:
                        loaded[key] = candidate
                        pending.append(candidate)
    return loaded


def test_opening_the_module_imports_only_what_slicer_brings() -> None:
    module = ROOT / "TomoRay" / "TomoRay.py"
    files = {"TomoRay": module, **loaded_by(module)}
    wrong = {
        f"{name}: {imported}"
        for name, path in files.items()
        for imported in file_scope_imports(path)
        if imported.split(".")[0] not in AT_FILE_SCOPE | set(sys.stdlib_module_names)
    }
    assert not wrong
    assert len(files) > 10  # the walk follows imports


def test_the_slicer_parts_import_nothing_else_at_file_scope() -> None:
    folders = (ROOT / "TomoRay", ROOT / "TomoRayLib" / "slicer")
    wrong = {
        f"{path.relative_to(ROOT)}: {imported}"
        for folder in folders
        for path in folder.rglob("*.py")
        for imported in file_scope_imports(path)
        if imported.split(".")[0] not in AT_FILE_SCOPE | set(sys.stdlib_module_names)
    }
    assert not wrong
