"""The files of the demonstration case in the cache: where they are, what they must hold, and deleting them.

Only the standard library is imported: Slicer reads this at its start.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from TomoRayLib.base.errors import OutputError

CT_NAME, MASK_NAME, TABLE_NAME = "cxr.nii.gz", "mask.nii.gz", "structures.csv"
SHA256_OF_FILE = {
    CT_NAME: "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    MASK_NAME: "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
    TABLE_NAME: "47991ddd8b2bbcce5282039d45f7752288d876192e989f3ca584e168f70b0e7f",
}
LABELS_NAME = "labels.nii.gz"  # the mask in VerSe numbering, vertebrae only, written here
LABELS_HASH_NAME = "labels.sha256"  # of that file as it was written, so that it need not be made to be checked

NAME = "LIDC-IDRI-0001"


def default_cache(environment: dict[str, str]) -> Path:
    """Return the cache folder for an entry point: TOMORAY_CACHE, else ``tomoray`` in the user's cache folder."""
    if environment.get("TOMORAY_CACHE"):
        return Path(environment["TOMORAY_CACHE"]).expanduser()
    home_cache = environment.get("XDG_CACHE_HOME", "")
    base = Path(home_cache) if Path(home_cache).is_absolute() else Path.home() / ".cache"
    return base / "tomoray"


def sample_folder(cache: Path) -> Path:
    """Return the folder of the case in a cache."""
    return cache / "demonstration" / NAME


def downloaded_files(cache: Path) -> list[Path]:
    """Return the files in a cache that were downloaded, or made from those; no other file is among them."""
    names = (*SHA256_OF_FILE, LABELS_NAME, LABELS_HASH_NAME)
    return [path for path in (sample_folder(cache) / name for name in names) if path.is_file()]


def delete_downloaded(cache: Path) -> int:
    """Delete the downloaded case from a cache, and its folders if they are empty then.

    Returns:
        The bytes that were freed.

    Raises:
        OutputError: If a file cannot be deleted.
    """
    freed = 0
    for path in downloaded_files(cache):
        size = path.lstat().st_size
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path} cannot be deleted ({error.strerror}). Delete it by hand.") from None
        freed += size
    for folder in (sample_folder(cache), sample_folder(cache).parent):
        with contextlib.suppress(OSError):  # it holds something else
            folder.rmdir()
    return freed
