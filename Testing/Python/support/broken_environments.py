"""Python environments of their own in which one package is broken, and a local wheel that repairs it.

An environment holds PyTorch and safetensors as links, file by file, in folders of its own, and sees the other packages
of the running environment, so that it is made in a second and nothing of the running one can be changed through it: a
file is always removed, never written through a link.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

OWN = ("torch", "safetensors")  # packages that may be broken, unless others are named
INSTALLED = Path(sysconfig.get_paths()["purelib"])


class Environment:
    """A virtual environment in ``folder``.

    Attributes:
        python: Its interpreter.
        site: Its folder of packages.
    """

    def __init__(self, folder: Path, own: tuple[str, ...] = OWN) -> None:
        rest = folder / "rest"
        rest.mkdir(parents=True)
        for entry in INSTALLED.iterdir():
            if entry.name.split("-")[0] not in (*OWN, *own, "__pycache__"):
                (rest / entry.name).symlink_to(entry)
        place = folder / "env"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=120)
        self.python = place / "bin" / "python"
        (self.site,) = place.glob("lib/python3*/site-packages")
        (self.site / "rest.pth").write_text(f"{rest}\n", encoding="utf-8")
        for entry in INSTALLED.iterdir():
            if entry.name.split("-")[0] in own:
                _link_files(entry, self.site / entry.name)

    def remove(self, name: str) -> None:
        """Remove a file or a folder of a package: ``torch/lib/libc10.so``; a pattern names one or more."""
        found = list(self.site.glob(name))
        assert found, name
        for path in found:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def replace(self, name: str, content: bytes) -> None:
        """Put other content into the place of a file."""
        self.remove(name)
        (self.site / name).write_bytes(content)

    def content(self, name: str) -> bytes:
        """The content of a file of a package."""
        return (self.site / name).read_bytes()

    def set_version(self, package: str, text: str) -> None:
        """Let a package's metadata say another version."""
        (metadata,) = self.site.glob(f"{package}-*.dist-info/METADATA")
        lines = metadata.read_text(encoding="utf-8").splitlines()
        named = [f"Version: {text}" if line.startswith("Version: ") else line for line in lines]
        self.replace(str(metadata.relative_to(self.site)), "\n".join(named).encode())

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run Python code in it, with TomoRayLib importable."""
        here = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
        command = [str(self.python), "-c", code]
        return subprocess.run(command, capture_output=True, encoding="utf-8", env=here, timeout=120, check=False)

    def pip(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the real pip on it, with nothing that this computer configures of it."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", *words]
        here = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        here["PIP_CONFIG_FILE"] = os.devnull
        return subprocess.run(command, capture_output=True, encoding="utf-8", env=here, timeout=300, check=False)


def write_wheel(folder: Path, package: str = "torch", broken: bool = False) -> Path:
    """Write a wheel of a package whose code is that of the running environment, which it continues in; return it.

    It has the version of the real one, and a few hundred bytes. A ``broken`` one lacks a part of itself.
    """
    folder.mkdir(exist_ok=True)
    real, number = INSTALLED / package, version(package)
    start = (
        f"__file__ = {str(real / '__init__.py')!r}\n"
        f"__path__ = [{str(real)!r}]\n"
        "__spec__.submodule_search_locations = __path__\n"
        "with open(__file__, encoding='utf-8') as file:\n"
        "    exec(compile(file.read(), __file__, 'exec'))\n"
    )
    if broken:
        start = "from . import functional\n"
    notes = f"{package}-{number}.dist-info"
    files = {
        f"{package}/__init__.py": start,
        f"{notes}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n",
        f"{notes}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},{_hash(text)},{len(text.encode())}\n" for name, text in files.items()]
    files[f"{notes}/RECORD"] = "".join(rows) + f"{notes}/RECORD,,\n"
    path = folder / f"{package}-{number}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def _hash(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _link_files(source: Path, target: Path) -> None:
    """Make the folders of a tree anew, with links to its files; what Python compiled is left out."""
    if source.is_file():
        target.symlink_to(source)
        return
    for folder, folders, files in os.walk(source):
        place = target / Path(folder).relative_to(source)
        place.mkdir()
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            (place / name).symlink_to(Path(folder) / name)
