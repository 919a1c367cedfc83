"""The description of another method's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.toml_files import toml_values
from TomoRayLib.evaluation.predictions import READY, description_of, read_predictions, ready_methods

PLAIN = 'name = "theirs"\nkind = "volume"\noutside_mask = "kept"\nfile = "{case}.nii.gz"\n'


def described(folder: Path, text: str) -> Path:
    (folder / "predictions.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("method", ready_methods())
def test_every_ready_description_is_one(method: str) -> None:
    description = description_of(toml_values(READY / f"{method}.toml"), method)
    assert description.name
    assert "{case}" in description.file


def test_a_description_begins_from_a_ready_one(tmp_path: Path) -> None:
    text = 'like = "x2ct-gan"\nname = "ours, retrained"\n[grid]\nspacing_mm = [2.0, 2.0, 2.0]\n'
    found = read_predictions(described(tmp_path, text)).description
    assert (found.name, found.kind) == ("ours, retrained", "volume")
    assert found.grid.spacing_mm == (2.0, 2.0, 2.0)
    assert (found.grid.center, found.grid.axes) == ("ct_top", "LPS")


def test_files_are_named_after_case_and_person(tmp_path: Path) -> None:
    folder = read_predictions(
        described(tmp_path, PLAIN.replace("{case}", "{subject}/out-{case}") + 'mask = "{case}_m.nii.gz"\n')
    )
    assert folder.file_of("c1", "p{case}") == tmp_path / "p{case}" / "out-c1.nii.gz"
    assert folder.mask_of("c1", "p") == tmp_path / "c1_m.nii.gz"


def test_predictions_of_no_case_are_listed(tmp_path: Path) -> None:
    folder = read_predictions(described(tmp_path, PLAIN))
    for name in ("a.nii.gz", "b.nii.gz", "c.nii.gz", "readme.txt"):
        (tmp_path / name).touch()
    assert folder.without_case([("b", "b"), ("d", "d")]) == ["a.nii.gz", "c.nii.gz"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "lacks name"),
        (PLAIN.replace("volume", "mesh"), "'mesh'"),
        (PLAIN.replace("{case}", "all"), "{case} or {subject}"),
        (PLAIN.replace("{case}", "../{case}"), "below the folder"),
        (PLAIN.replace("{case}", "/data/{case}"), "below the folder"),
        (PLAIN.replace("theirs", "blank"), "name of the method's own"),
        (PLAIN + 'numbering = "feet"\n', "feet"),
        (PLAIN + 'colour = "red"\n', "unknown key 'colour'"),
        (PLAIN + "[grid]\nspacing_mm = [1, 1, 1]\n", "centre other than that of the file"),
        (PLAIN + '[grid]\ncenter = "ct"\naxes = "LPX"\n', "three letters"),
        (PLAIN + '[grid]\ncenter = "ct"\nspacing_mm = [1, 0, 1]\n', "above 0 mm"),
        (PLAIN + "[values]\nlow = 1\nhigh = 0\nlow_hu = 0\nhigh_hu = 1\n", "low below high"),
        (PLAIN + "[values]\nlow = 0\nhigh = nan\nlow_hu = 0\nhigh_hu = 1\n", "finite"),
        (PLAIN + "[values]\nlow = 1\n", "lacks"),
        (PLAIN.replace("kept", "empty"), "Expected the bone of a volume"),
        (PLAIN.replace("volume", "points") + "scale_mm = 0\n", "above 0 mm"),
        (PLAIN.replace("volume", "points") + '[grid]\ncenter = "ct_top"\n', "Expected points about"),
        (PLAIN + 'mask = "{case}.nrrd"\nbone_above_hu = 200\n', "got both"),
        (PLAIN.replace("volume", "labels") + "bone_above_hu = 200\n", "with a volume alone"),
        ('like = "nothing"\n', "x2ct-gan"),
        ("name = ", "no TOML file"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence.replace("{", r"\{")):
        read_predictions(described(tmp_path, text))


def test_a_folder_without_description_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected predictions\.toml .* x2ct-gan"):
        read_predictions(tmp_path)
    with pytest.raises(InputError, match="which is none"):
        read_predictions(tmp_path / "absent")
