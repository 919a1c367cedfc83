"""Rules of the house that no single module can check: light imports, arrows that point down, no machine paths."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "TomoRayLib"
LARGEST_FILE_MB = 16

# From the bottom up (docs/architecture.md). A room may use its own floor and those below it.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(rooms.split())
    for rooms in (
        "errors grid geometry camera vertebrae marking target color_maps progress",
        "image_types images flat_image nifti dicom_series dicom_radiograph files checks pair_checks "
        "cohort structure_masks",
        "networks physics projector radiograph metrics weights surfaces",
        "synthesis comparison acquisition drr job demonstration demonstration_phantom rendering slices drawing figures "
        "report_content report_tables report page cohort_statistics cohort_tables",
        "case results provenance training evaluation",
        "worker cli cli_options cli_training terminal slicer",
        "panel",
    )
)
OF_SLICER = frozenset({"slicer", "qt", "ctk", "vtkSlicer", "PythonQt", "PySide6"})
OF_THE_COMMAND_LINE = frozenset({"typer", "rich"})
COMMAND_ROOMS = frozenset({"cli", "cli_options", "cli_training"})
MAY_BE_IMPORTED_BY: dict[str, frozenset[str]] = {
    **dict.fromkeys(COMMAND_ROOMS, COMMAND_ROOMS | {"__main__"}),
    "slicer": frozenset({"slicer", "panel"}),
    "panel": frozenset({"panel"}),
}


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
        "import sys, TomoRayLib.geometry, TomoRayLib.vertebrae; "
        "print([name for name in ('torch', 'SimpleITK') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_room_has_its_floor() -> None:
    rooms = {_room(module) for module in _modules()} - {""}
    assert rooms <= frozenset().union(*FLOORS), f"name these in FLOORS: {sorted(rooms - frozenset().union(*FLOORS))}"


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


def test_nothing_imports_the_command_line_or_the_slicer_part() -> None:
    wrong = [
        f"{module} -> {target}"
        for module, targets in _own_imports().items()
        for target in targets
        if _room(target) in MAY_BE_IMPORTED_BY and _room(module) not in MAY_BE_IMPORTED_BY[_room(target)]
    ]
    assert not wrong


def test_only_the_slicer_part_knows_slicer_and_qt() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in _modules().items()
        if _room(module) not in ("slicer", "panel")
        for name in _imported_names(path)
        if name.split(".")[0] in OF_SLICER
    ]
    assert not wrong


def test_the_scene_part_knows_no_qt() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in _modules().items()
        if _room(module) == "slicer"
        for name in _imported_names(path)
        if name.split(".")[0] in {"qt", "ctk", "PySide6"}
    ]
    assert not wrong


def test_the_lower_floors_do_not_know_the_command_line() -> None:
    lower = FLOORS[0] | FLOORS[1]
    wrong = [
        f"{module} imports {name}"
        for module, path in _modules().items()
        if _room(module) in lower
        for name in _imported_names(path)
        if name.split(".")[0] in OF_THE_COMMAND_LINE
    ]
    assert not wrong


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    in_a_circle = sorted(module for module in _modules() if module in _reachable(module))
    assert not in_a_circle


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


@pytest.mark.slow
def test_the_readmes_python_example_runs(tmp_path: Path) -> None:
    """On the files that the demonstration leaves; here they are rendered from the built-in phantom."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    prepare = [
        "from pathlib import Path",
        "from TomoRayLib.acquisition import GeometryOptions",
        "from TomoRayLib.case import run_projection",
        "from TomoRayLib.demonstration_phantom import phantom_volumes",
        "from TomoRayLib.images import write_volume",
        "write_volume('ct.nrrd', phantom_volumes()[0])",
        "run_projection('ct.nrrd', 'output/demo', GeometryOptions(), ('ap', 'lat'), lambda event: None)",
    ]
    script = "\n".join([*prepare, code[0]])
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "(192, 192, 192)" in result.stdout


def test_no_page_holds_a_place_to_be_filled_in() -> None:
    pages = [path for path in _files_of_the_repository() if path.suffix == ".md"]
    assert [path.name for path in pages if "@@" in path.read_text(encoding="utf-8")] == []
