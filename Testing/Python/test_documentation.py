"""README and pages: short, with links that lead somewhere, and code that is run elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import TomoRayLib

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("Resources/Models/*.md")])
LONGEST_README_LINES = 150
LINK = re.compile(r"\]\(((?!https?:|mailto:)[^)\s]+)\)")
INCLUDED = re.compile(r"^```\{include\} (\S+)$", re.MULTILINE)


def text_of(page: Path) -> str:
    """The page's text, with the files that it includes."""
    text = page.read_text(encoding="utf-8")
    return INCLUDED.sub(lambda match: (page.parent / match[1]).read_text(encoding="utf-8"), text)


def anchors_of(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    dead = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors_of(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_figure_is_filled_in(page: Path) -> None:
    assert re.findall(r"@[A-Z][A-Z_0-9]+@", page.read_text(encoding="utf-8")) == []


def test_the_readmes_python_is_that_of_an_example() -> None:
    """The examples are run; what the README shows differs in the files that are read and written alone."""
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 1
    example = {line.strip() for line in (ROOT / "examples" / "synthesize.py").read_text(encoding="utf-8").splitlines()}
    lines = [line.strip() for line in code[0].splitlines() if line.strip() and '"output/demo/' not in line]
    assert len(lines) >= 5
    assert [line for line in lines if line not in example] == []


def test_the_api_page_leads_to_every_name_of_the_package() -> None:
    page = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    assert [name for name in TomoRayLib.__all__ if f"`{name} <TomoRayLib." not in page] == []
