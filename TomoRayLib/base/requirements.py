"""Requirements of a pip file against the versions that are installed, without loading or needing any package."""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LEAST_TORCH = "2.6"  # below it, torch.load(weights_only=True) can run code of a file (CVE-2025-32434)

_CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*([0-9][^,\s]*)")


@dataclass(frozen=True)
class Requirement:
    """A package, by its name (for what TomoRay needs also its import name), and the versions that will do:
    ``">=0.28,<1"``, empty for any."""

    name: str
    versions: str = ""

    def __str__(self) -> str:
        return f"{self.name}{self.versions}"

    def is_met_by(self, found: str) -> bool:
        """Return whether an installed version will do; one that cannot be read will."""
        key = _key(found)
        return key is None or all(_fits(key, sign, wanted) for sign, wanted in _CLAUSE.findall(self.versions))


TORCH = Requirement("torch", f">={LEAST_TORCH}")


@dataclass(frozen=True)
class Unmet:
    """A requirement that is not met; ``found`` is the installed version, None if the package is not there."""

    requirement: Requirement
    found: str | None = None


def parsed(line: str) -> Requirement:
    """Return the requirement in a line: ``"highdicom>=0.28,<1"``."""
    name = re.split(r"[\s\[<>=!~;]", line.strip(), maxsplit=1)[0]
    return Requirement(name, ",".join(f"{sign}{wanted}" for sign, wanted in _CLAUSE.findall(line.split(";")[0])))


def read_requirements(path: Path) -> list[Requirement]:
    """Return the requirements in a pip file, without its comments and options."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [parsed(line) for line in lines if line and not line.startswith("-")]


def unmet(requirement: Requirement) -> Unmet | None:
    """Return in what a requirement is not met by what this Python has; None if it is met.

    A package that is there without metadata counts, whatever its version: nobody knows it.
    """
    importlib.invalidate_caches()
    if not _is_there(requirement.name):
        return Unmet(requirement)
    found = installed_version(requirement.name)
    return None if found is None or requirement.is_met_by(found) else Unmet(requirement, found)


def installed_version(name: str) -> str | None:
    """Return the version in a package's metadata; None without metadata, or with damaged ones."""
    try:
        return version(name) or None
    except PackageNotFoundError:
        return None
    except Exception:  # damaged metadata raise what they like
        return None


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _key(text: str) -> tuple[tuple[int, ...], int] | None:
    """A version to compare by: its numbers without zeros at the end, and whether it comes before (-1), is (0) or comes
    after (1) the release of these numbers."""
    match = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)(.*)$", text.strip().split("+")[0])
    if match is None:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    rest = match[2].lower().lstrip(".-_")
    stage = 0 if not rest else 1 if rest.startswith("post") else -1
    return tuple(numbers), stage


def _fits(found: tuple[tuple[int, ...], int], sign: str, wanted: str) -> bool:
    start = wanted.removesuffix(".*")
    limit = _key(start)
    if limit is None:
        return True
    numbers = tuple(int(part) for part in re.findall(r"\d+", start))
    begins = (*found[0], *([0] * len(numbers)))[: len(numbers)] == numbers
    same = begins if wanted.endswith(".*") else found == limit
    below = (*found[0], *([0] * len(numbers)))[: len(numbers) - 1] == numbers[:-1]
    return {
        "==": same,
        "!=": not same,
        ">=": found >= limit,
        "<=": found <= limit,
        ">": found > limit and (found[0] != limit[0] or limit[1] != 0),
        "<": found < limit and (found[0] != limit[0] or limit[1] != 0),
        "~=": found >= limit and below,
    }[sign]
