"""The spines of the people that models were trained or chosen on, as coarse pictures: copies are found by them."""

from __future__ import annotations

from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import read_json
from TomoRayLib.evaluation.spine_shape import Picture, from_text
from TomoRayLib.weights import models_folder

FILE = "known_people.json"  # beside the registry; Testing/Benchmarks/known_people.py makes it


def known_pictures(folder: Path | None = None) -> dict[str, tuple[Picture, ...]]:
    """Read the pictures of known people.

    Args:
        folder: Where the file lies; by default beside the models that come with TomoRay.

    Returns:
        Pictures by name; nothing if there is no such file.

    Raises:
        InputError: If the file cannot be read.
    """
    path = (folder or models_folder()) / FILE
    if not path.is_file():
        return {}
    try:
        content = read_json(path)["spines"]
        return {name: tuple(from_text(text) for text in texts) for name, texts in content.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"Expected pictures of known spines in {path}, got other content ({error}).") from None
