"""Checks that the Extensions Index makes of an extension, in our own words, so that a submission passes there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
ALLOWED_KEYS = {
    "$schema",
    "build_dependencies",
    "build_subdirectory",
    "category",
    "dicom_support_rule",
    "enabled",
    "scm_revision",
    "scm_type",
    "scm_url",
    "tier",
}
README_HEADINGS = (
    "Setup",
    "Tutorial",
    "Modules",
    "User interface reference",
    "Troubleshooting",
    "Models",
    "For developers",
    "Data handling and privacy",
    "How to cite",
    "Licence",
    "Acknowledgements",
)
LARGEST_HISTORY_MB, LARGEST_CLONE_MB = 95, 98


def entry() -> dict[str, object]:
    content: dict[str, object] = json.loads((ROOT / "TomoRay.json").read_text(encoding="utf-8"))
    return content


def cmake_value(name: str) -> str:
    """A value of the top CMakeLists.txt; the index reads it with such an expression: one quoted literal."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.findall(rf'set\({name}\s+"([^"]*)"\s*\)', text)
    assert len(found) == 1, f"CMakeLists.txt must set {name} once, to one quoted text"
    return str(found[0])


def test_the_entry_has_the_keys_of_the_schema() -> None:
    content = entry()
    assert set(content) <= ALLOWED_KEYS
    assert {"$schema", "category", "scm_url"} <= set(content)
    assert str(content["$schema"]).endswith("schema-v1.0.2.json#")
    assert content["tier"] in (1, 2, 3, 4, 5)
    assert b"\r" not in (ROOT / "TomoRay.json").read_bytes()


def test_names_agree() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"^project\(TomoRay\)$", text, re.MULTILINE)
    assert (ROOT / "TomoRay" / "TomoRay.py").exists()
    assert [path.name for path in ROOT.glob("*.json")] == ["TomoRay.json"]  # the stem names the extension
    url = str(entry()["scm_url"])
    assert url.startswith("https://")
    repository = url.rsplit("/", 1)[1].removesuffix(".git")
    assert repository.startswith("Slicer"), "the index wants a repository named Slicer..."
    assert cmake_value("EXTENSION_HOMEPAGE") == url.removesuffix(".git")


def test_dependencies_agree() -> None:
    assert entry()["build_dependencies"] == ["PyTorch"]
    assert cmake_value("EXTENSION_DEPENDS") == "PyTorch"
    assert entry()["category"] == "Image Synthesis"
    module = (ROOT / "TomoRay" / "TomoRay.py").read_text(encoding="utf-8")
    assert 'translate("qSlicerAbstractCoreModule", "Image Synthesis")' in module


def test_it_is_offered_for_radiographs_and_for_nothing_that_slicer_reads_without_it() -> None:
    """The rule is an expression of https://pypi.org/project/rule-engine over a file's Modality and SOPClassUID."""
    terms = str(entry()["dicom_support_rule"]).split(" or ")
    found = [re.fullmatch(r"Modality == '([A-Z]{2})'", term) for term in terms]
    assert all(found), "the rule is a list of modalities, each as Modality == 'XX', joined by or"
    assert [match[1] for match in found if match] == ["DX", "CR", "RG"]


def test_contributors_are_names_with_institutions() -> None:
    """As Slicer's description of an extension wants them: Name (Institution), Name (Institution)."""
    contributors = cmake_value("EXTENSION_CONTRIBUTORS")
    assert re.fullmatch(r"[^(),]+ \([^()]+\)(, [^(),]+ \([^()]+\))*", contributors)
    module = (ROOT / "TomoRay" / "TomoRay.py").read_text(encoding="utf-8")
    assert f'parent.contributors = ["{contributors}"]' in module


def test_the_description_names_the_licences_of_code_and_weights() -> None:
    """The index wants a licence that is stricter than Apache-2.0 in the description. Slicer makes a list of what has
    semicolons, and HTML of what has angle brackets."""
    description = cmake_value("EXTENSION_DESCRIPTION")
    registry = json.loads((ROOT / "Resources" / "Models" / "registry.json").read_text(encoding="utf-8"))
    licences = {model["id"]: str(model["licence"]) for model in registry["models"]}
    for name in (registry["default"], "geolift-s-permissive"):
        words = licences[name].replace("CC-", "CC ").replace("-4.0", " 4.0")  # CC-BY-SA-4.0 as people write it
        assert f"({words})" in description, name
    assert "non-commercial use only" in description
    assert "Apache-2.0" in description
    assert not set(";<>\\\n") & set(description)


def test_recommended_extensions_and_keywords_are_lists_of_words() -> None:
    """Slicer's description of an extension holds both as words with single spaces between them (its pull request
    9040); what is recommended is not needed to build."""
    for name in ("EXTENSION_RECOMMENDS", "EXTENSION_KEYWORDS"):
        words = cmake_value(name).split(" ")
        assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", word) for word in words), name
        assert len(words) == len({word.lower() for word in words})
    assert cmake_value("EXTENSION_RECOMMENDS") == "TotalSegmentator"
    assert "TotalSegmentator" not in str(entry()["build_dependencies"])


def test_icon_and_screenshots_are_pictures_of_this_repository() -> None:
    base = (
        cmake_value("EXTENSION_HOMEPAGE").replace("https://github.com/", "https://raw.githubusercontent.com/")
        + "/main/"
    )
    urls = [cmake_value("EXTENSION_ICONURL"), *cmake_value("EXTENSION_SCREENSHOTURLS").split()]
    for url in urls:
        assert url.startswith(base)
        path = ROOT / url.removeprefix(base)
        assert path.suffix == ".png"
        assert path.exists(), f"{path} is missing"
        Image.open(path).verify()
    assert Image.open(ROOT / "Resources" / "Icons" / "TomoRay.png").size == (128, 128)


def test_there_is_a_licence_and_the_readme_names_it() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache-2.0" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_the_sections_that_users_look_for() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in README_HEADINGS if name not in headings] == []


def git(*arguments: str) -> str:
    """Git's answer about this checkout; the test is skipped if there is none, or git is too old to answer."""
    try:
        result = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout, or an old git: {error}")
    return result.stdout


def test_a_clone_with_its_history_is_small() -> None:
    """The index refuses clones over 100 MB. A clone holds the tracked files, and all objects of the history as git
    stores them; objects of abandoned commits, which ``git count-objects`` counts too, are not cloned."""
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("a shallow clone does not hold the history")
    files = [ROOT / name for name in git("ls-files", "-z").split("\0") if name]
    tracked = sum(path.stat().st_size for path in files if path.is_file())
    history = int(git("rev-list", "--disk-usage", "--objects", "HEAD"))
    assert history / 1e6 <= LARGEST_HISTORY_MB
    assert (tracked + history) / 1e6 <= LARGEST_CLONE_MB


def test_torch_is_never_installed_by_ourselves() -> None:
    """The index asks: does it pip_install pytorch directly? The PyTorch extension does, and asks the user."""
    for path in (ROOT / "TomoRayLib").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip_(install|ensure)\([^)]*torch", text), path
    assert "torch" not in re.sub(r"#.*", "", (ROOT / "Resources" / "requirements.txt").read_text(encoding="utf-8"))
