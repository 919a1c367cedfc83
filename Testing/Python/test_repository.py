"""Rules of the house that no single module can check: light imports, arrows that point down, no machine paths."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "TomoRayLib"
TESTS = ROOT / "Testing" / "Python"
TESTS_OF_NO_ROOM = frozenset({"examples", "faults"})  # folders of tests that are not named after a room
LARGEST_FILE_MB = 16

# From the bottom up (docs/architecture.md). A room may use its own floor and those below it.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(rooms.split())
    for rooms in (
        "base anatomy geometry",
        "projector networks metrics measures",
        "weights",
        "images",
        "synthesis report segmentation",
        "evaluation",
        "jobs",
        "worker",
        "slicer training",
        "cli",
    )
)
FLOORS_OF_TRAINING = (
    "kernels",
    "cpu_step",
    "phantoms",
    "data",
    "engine",
)  # their own, from the bottom up; the rest of ``training`` is above
# Likewise in ``slicer``; its own modules (request, runs, ...) are "".
FLOOR_IN_SLICER = {"worker": 0, "scene": 0, "views": 1, "": 1, "extensions": 2, "panel": 3}
OF_SLICER = frozenset({"slicer", "qt", "ctk", "vtkSlicer", "PythonQt", "PySide6"})
OF_QT = frozenset({"qt", "ctk", "PySide6"})
OF_THE_COMMAND_LINE = frozenset({"typer", "rich"})
KNOW_NO_FILES = frozenset({"projector", "networks", "metrics", "measures"})


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _modules() -> dict[str, Path]:
    return {_module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _imported_names(path: Path) -> set[str]:
    """Every dotted name that a file imports, also inside functions; relative imports made absolute."""
    names: set[str] = set()
    package = _module_name(path).split(".") if path.name == "__init__.py" else _module_name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


@cache
def _own_imports() -> dict[str, frozenset[str]]:
    """For each module of the package, the modules of the package that it imports."""
    graph = {}
    for name, path in _modules().items():
        imported = _imported_names(path)
        targets = {given if given in _modules() else given.rpartition(".")[0] for given in imported}
        graph[name] = frozenset(target for target in targets if target in _modules() and target != name)
    return graph


def _room(module: str) -> str:
    """The package or module below TomoRayLib that a module belongs to."""
    return module.split(".")[1] if "." in module else ""


def _reachable(start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for target in _own_imports()[todo.pop()]:
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def _files_of_the_repository() -> list[Path]:
    """Tracked files and new ones that git does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        result = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [path for name in result.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_importing_the_package_imports_neither_torch_nor_simpleitk() -> None:
    heavy = ("torch", "SimpleITK", "vtk", "pydicom", "matplotlib", "numpy")
    code = f"import sys, TomoRayLib; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_geometry_and_vertebrae_import_neither_torch_nor_simpleitk() -> None:
    code = (
        "import sys, TomoRayLib.geometry.views, TomoRayLib.anatomy.vertebrae; "
        "print([name for name in ('torch', 'SimpleITK') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_room_has_its_floor() -> None:
    rooms = {_room(module) for module in _modules()} - {""}
    assert rooms == frozenset().union(*FLOORS)


@pytest.mark.parametrize("floor", range(len(FLOORS) - 1))
def test_no_room_uses_a_floor_above_its_own(floor: int) -> None:
    above = frozenset().union(*FLOORS[floor + 1 :])
    wrong = [
        f"{module} -> {target}"
        for module in _modules()
        if _room(module) in FLOORS[floor]
        for target in sorted(_reachable(module))
        if _room(target) in above
    ]
    assert not wrong, f"imports that point up (see docs/architecture.md): {wrong}"


def test_the_rooms_of_training_stand_on_floors_too() -> None:
    def floor(module: str) -> int:
        parts = module.split(".")
        named = len(parts) > 2 and parts[2] in FLOORS_OF_TRAINING
        return FLOORS_OF_TRAINING.index(parts[2]) if named else len(FLOORS_OF_TRAINING)

    wrong = [
        f"{module} -> {target}"
        for module, targets in _own_imports().items()
        for target in targets
        if _room(module) == _room(target) == "training"
        and target != "TomoRayLib.training"
        and floor(target) > floor(module)
    ]
    assert not wrong


def test_a_click_in_slicer_walks_down_its_floors() -> None:
    """Panel, then the runs of the top level, then worker and scene, which do not know each other."""

    def place(module: str) -> str:
        parts = module.split(".")
        return parts[2] if len(parts) > 2 and parts[2] in FLOOR_IN_SLICER else ""

    wrong = [
        f"{module} -> {target}"
        for module, targets in _own_imports().items()
        for target in targets
        if _room(module) == _room(target) == "slicer"
        and place(target) != place(module)
        and FLOOR_IN_SLICER[place(target)] >= FLOOR_IN_SLICER[place(module)]
    ]
    assert not wrong


def test_the_parts_of_images_do_not_import_each_other_in_circles() -> None:
    parts: dict[str, set[str]] = {}
    for module, targets in _own_imports().items():
        for target in targets:
            if _room(module) == _room(target) == "images" and target.count(".") > 1 and module.count(".") > 1:
                part, other = module.split(".")[2], target.split(".")[2]
                parts.setdefault(part, set()).update({other} - {part})
    assert {"headers", "dicom", "pictures", "masks", "files"} <= set(TopologicalSorter(parts).static_order())


def test_rooms_of_one_floor_do_not_import_each_other_both_ways() -> None:
    pairs = {
        (_room(module), _room(target))
        for module, targets in _own_imports().items()
        for target in targets
        if _room(module) and _room(target) not in ("", _room(module))
    }
    assert not {pair for pair in pairs if pair[::-1] in pairs}


def _imports_of_others(names: frozenset[str], allowed: Callable[[str], bool]) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, path in _modules().items()
        if not allowed(module)
        for name in _imported_names(path)
        if name.split(".")[0] in names
    ]


def test_only_the_slicer_part_knows_slicer() -> None:
    assert not _imports_of_others(OF_SLICER, lambda module: _room(module) == "slicer")


def test_only_the_panel_knows_qt() -> None:
    assert not _imports_of_others(OF_QT, lambda module: module.startswith("TomoRayLib.slicer.panel"))


def test_only_the_panel_imports_the_panel() -> None:
    wrong = [
        f"{module} -> {target}"
        for module, targets in _own_imports().items()
        for target in targets
        if target.startswith("TomoRayLib.slicer.panel") and not module.startswith("TomoRayLib.slicer.panel")
    ]
    assert not wrong


def test_only_the_command_line_knows_its_libraries() -> None:
    assert not _imports_of_others(OF_THE_COMMAND_LINE, lambda module: _room(module) == "cli")


def test_projector_networks_and_metrics_know_no_images() -> None:
    libraries = frozenset({"SimpleITK", "pydicom"})
    assert not _imports_of_others(libraries, lambda module: _room(module) not in KNOW_NO_FILES)


@pytest.mark.parametrize("package", [name for name, path in _modules().items() if path.name == "__init__.py"])
def test_a_face_offers_what_type_checkers_see(package: str) -> None:
    """The names of the lazy face, those under TYPE_CHECKING, and what the modules define are the same."""
    if package.startswith("TomoRayLib.slicer"):
        pytest.skip("importing it needs Slicer's scene; it has no names of its own")
    face = importlib.import_module(package)
    tree = ast.parse(_modules()[package].read_text(encoding="utf-8"))
    seen = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}.")
        for alias in node.names
        if alias.asname  # "as" itself: offered, not merely used
    }
    assert sorted(seen) == sorted(getattr(face, "__all__", []))
    assert all(getattr(face, name) is not None for name in seen)


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    in_a_circle = sorted(module for module in _modules() if module in _reachable(module))
    assert not in_a_circle


def test_tests_lie_in_folders_named_after_the_rooms() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {Path()}
    wrong = [
        folder
        for folder in sorted(folders)
        if folder.parts[0] not in TESTS_OF_NO_ROOM and not (PACKAGE / folder / "__init__.py").is_file()
    ]
    assert not wrong


def test_no_test_imports_another() -> None:
    """Shared parts of tests are in ``support``, or a fixture of a ``conftest.py``."""
    wrong = [
        f"{path.relative_to(TESTS)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in _imported_names(path)
        if any(part == "conftest" or part.startswith("test_") for part in name.split("."))
    ]
    assert not wrong


def test_no_file_is_larger_than_16_mb() -> None:
    sizes_mb = {path: path.stat().st_size / 2**20 for path in _files_of_the_repository()}
    assert not {str(path): size for path, size in sizes_mb.items() if size > LARGEST_FILE_MB}


def test_no_file_names_a_place_on_one_machine() -> None:
    """Absolute paths of somebody's home or work folder work on one machine only."""
    place = re.compile(
        r"(?<![\w.~})\]>-])/(?:work|root|mnt|opt/wheels|opt/pypi|home/[a-z]\w+|Users/\w+)/|[A-Z]:\\Users\\"
    )
    wrong = []
    for path in _files_of_the_repository():
        if path == Path(__file__).resolve() or path.stat().st_size > 2**20:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{path.relative_to(ROOT)}: {match.group()}" for match in place.finditer(text)]
    assert not wrong


def test_no_page_holds_a_place_to_be_filled_in() -> None:
    pages = [path for path in _files_of_the_repository() if path.suffix == ".md"]
    assert [path.name for path in pages if "@@" in path.read_text(encoding="utf-8")] == []
