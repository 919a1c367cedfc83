"""How Sphinx builds the site from this folder: `make docs`. Every warning is an error there."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
LINK = re.compile(r"\]\(((?!https?:|#|mailto:)[^)\s]+)\)")  # to a file, not to an address or within the page
sys.path.insert(0, str(ROOT))

from TomoRayLib import __version__  # noqa: E402

# Files outside this folder that are pages of the site, by the page that includes them.
PAGES_OF_FILES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "Resources/Models/geolift-s.md": "models/geolift-s.md",
    "Resources/Models/geolift-s-permissive.md": "models/geolift-s-permissive.md",
    "Resources/Models/ct-segmenter.md": "models/ct-segmenter.md",
    "findings/README.md": "findings.md",
}

REPOSITORY = "https://github.com/TomoRay/SlicerTomoRay/blob/main/"  # for texts that are no pages of the site
COLON = "\ue000"  # a character that no text has

project = "TomoRay"
author = "The TomoRay contributors"
copyright = f"{author}. Text and code: Apache-2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"  # system fonts and no address outside: the site reads the same offline
html_title = f"TomoRay {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "../Resources/Icons/TomoRay.png"
html_favicon = "../Resources/Icons/TomoRay.png"
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

myst_enable_extensions = ["colon_fence", "attrs_inline"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"NDArray": "NDArray"}  # as written, not as the tuple of shape and type that it stands for
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False
default_role = "code"


def moved_links(text: str, file: Path, page: Path) -> str:
    """Markdown links of ``file`` as they must be written on ``page``; a file that a page includes becomes that page."""

    def moved(match: re.Match[str]) -> str:
        target, _, anchor = match.group(1).partition("#")
        place = (file.parent / target).resolve()
        if not place.is_relative_to(ROOT):
            return match.group()
        name = place.relative_to(ROOT).as_posix()
        if place.suffix == ".md" and name not in PAGES_OF_FILES and not place.is_relative_to(DOCS):
            return f"]({REPOSITORY}{name}{'#' if anchor else ''}{anchor})"
        place = DOCS / PAGES_OF_FILES[name] if name in PAGES_OF_FILES else place
        return f"]({os.path.relpath(place, page.parent)}{'#' if anchor else ''}{anchor})"

    return LINK.sub(moved, text)


def links_of_a_page(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    source[0] = moved_links(source[0], page, page)


def links_of_an_included_file(app: Sphinx, path: Path, parent: str, source: list[str]) -> None:
    file = (DOCS / path).resolve()
    if file.relative_to(ROOT).as_posix() in PAGES_OF_FILES:
        source[0] = moved_links(source[0], file, DOCS / PAGES_OF_FILES[file.relative_to(ROOT).as_posix()])


def as_restructured_text(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with ``code``, *words* and lists; other stars are stars, and ``size``^3 is a power."""
    for number, line in enumerate(lines):
        parts = line.split("``")
        parts[::2] = [re.sub(r"(\*\w+\*(?!\w))|\*(?=\S)", lambda m: m[1] or r"\*", part) for part in parts[::2]]
        parts[2::2] = [re.sub(r"^(?=[\w^])", r"\\ ", part) for part in parts[2::2]]
        parts[::2] = [re.sub(r"docs/(\w+)\.md", r":doc:`/\1`", part) for part in parts[::2]]
        lines[number] = "``".join(parts)


def hide_colons(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Keep napoleon from reading "Vertebrae: more likely bone than not" of a property as its type."""
    if what in ("property", "attribute", "data"):
        lines[:] = [line.replace(":", COLON) for line in lines]


def show_colons(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def check_the_api(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public functions and classes that the API pages leave out."""
    known = env.domains["py"].objects
    for page in sorted(Path(app.srcdir, "api").glob("TomoRayLib*.md")):
        face = importlib.import_module(page.stem)
        for name in face.__all__:
            value = getattr(face, name)
            documented = inspect.isroutine(value) or inspect.isclass(value)
            if documented and f"{page.stem}.{name}" not in known:
                logging.getLogger(__name__).warning("%s.%s has no entry: a docstring is missing", page.stem, name)


def setup(app: Sphinx) -> None:
    app.connect("source-read", links_of_a_page)
    app.connect("include-read", links_of_an_included_file)
    app.connect("autodoc-process-docstring", as_restructured_text, priority=400)  # before napoleon's 500
    app.connect("autodoc-process-docstring", hide_colons, priority=410)
    app.connect("autodoc-process-docstring", show_colons, priority=600)
    app.connect("env-check-consistency", check_the_api)
