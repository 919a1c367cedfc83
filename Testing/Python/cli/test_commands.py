"""The command as typed: options, help, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import tomoray, tomoray_process
from TomoRayLib import weights
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes


@pytest.fixture(scope="module")
def a_ct_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "ct.nrrd"
    write_volume(path, phantom_volumes()[0])
    return path


def test_projecting_as_in_the_readme_gives_both_views(a_ct_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "drr"
    words = "--sad 1000 --sid 1536 --size 64 64 --pixel-spacing 4.0 4.0 --views ap,lat --json"
    result = tomoray_process("project", str(a_ct_file), "--out", str(out), *words.split())
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["event"] == "result"
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {"ap.nrrd", "ap.png", "lat.nrrd", "lat.png"}


def test_a_file_in_the_way_of_a_result_is_kept_and_told_of(a_ct_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "d"
    out.mkdir()
    (out / "lat.nrrd").write_text("mine", encoding="utf-8")
    words = "--views lat --size 64 64 --pixel-spacing 5 5"
    command = ["project", str(a_ct_file), *words.split(), "--out", str(out)]
    first, second = tomoray_process(*command), tomoray_process(*command)
    kept = out / "lat.nrrd.kept-1"
    assert kept.read_text(encoding="utf-8") == "mine"
    said = f"Note lat.nrrd was there, and is no unchanged result of TomoRay: it is kept as {kept}."
    assert said in first.stderr.splitlines()
    assert "is kept" not in second.stderr
    assert (first.returncode, second.returncode) == (0, 0)


def test_one_view_and_a_negative_isocenter_can_be_asked_for(a_ct_file: Path, tmp_path: Path) -> None:
    words = "--views lat --size 64 64 --pixel-spacing 5 5 --isocenter -10 -20.5 -30"
    result = tomoray("project", str(a_ct_file), *words.split(), "--out", str(tmp_path / "d"))
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "d" / "ap.nrrd").exists()


def test_any_angle_tilt_roll_beam_and_exposure_can_be_asked_for(a_ct_file: Path, tmp_path: Path) -> None:
    words = "--angle 30 --angle -45.5 --tilt -60 --roll 5 --offset -10 20 --beam slot --kvp 80 --photons 1e4 --exact"
    size = "--size 12 10 --pixel-spacing 20 20"
    result = tomoray("project", str(a_ct_file), *words.split(), *size.split(), "--out", str(tmp_path / "d"))
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "d").glob("*.nrrd")} == {"angle30.nrrd", "angle-45.5.nrrd"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("project CT --out out --beam fan", "(--beam)"),
        ("project CT --out out --matrix absent.txt --size 9 9", "does not exist"),
        ("project CT --out out --kvp 9", "between 40 and 150"),
        ("project absent.nrrd --out out", "absent.nrrd"),
        ("project CT --out out --views pa", "views ap and lat"),
        ("project CT --out out --views ap lat", "joined by a comma"),
        ("project CT --out out --sad 0", "above 0"),
        ("project CT --out out --sad 2000 --sid 1000", "swapped"),
        ("project CT --out out --geometry nowhere", "does not exist"),
        ("project CT --out out --geometry .", "geometry file"),
        ("project CT --out out --isocenter 0 0 9000", "Check the isocentre and the geometry (--isocenter)."),
        ("synthesize --out out", "two radiographs"),
        ("synthesize --out out --ct CT --flip-ap", "radiographs"),
        ("train --data . --out out", "label maps"),
        ("train --data . --out out --watch x", "NAME=CT,LABELS"),
        ("train --data .", "--out"),
        ("train --out out", "Expected a configuration, or a folder of data"),
        ("train absent.toml --out out --minutes 85", "does not exist"),
        ("train --data . --out out --stages 47", "choose one or more"),
        ("train --data . --out out --minutes 0", "minutes above 0"),
        ("train --data . --out out --start-from absent.ckpt", "absent.ckpt"),
        ("train --data . --out out --start-from CT", "got a file that cannot be read"),
        ("publish absent.ckpt --data . --command x", "absent.ckpt"),
        ("publish CT --data . --command x", "got a file that cannot be read"),
        ("publish absent.ckpt --segmenter --command x", "absent.ckpt"),
        ("publish CT --based-on nothing --command x", "Expected one of the models"),
        ("sample-sheet --data . --out sheet.png", "label maps"),
        ("learning-curves . --out curves.png", "folder of a run"),
    ],
)
def test_a_wrong_command_gets_a_sentence_and_exit_code_2(
    words: str, sentence: str, a_ct_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = tomoray(*words.replace("CT", str(a_ct_file)).split())
    assert result.returncode == 2
    assert sentence in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_error_ends_the_process_with_its_sentence_and_exit_code_2(tmp_path: Path) -> None:
    result = tomoray_process("project", str(tmp_path / "absent.nrrd"), "--out", str(tmp_path / "out"))
    assert result.returncode == 2
    assert "expected an existing file" in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_help_and_version_answer() -> None:
    assert "research use only" in " ".join(tomoray_process("--help").stdout.split()).lower()
    assert tomoray_process("--version").stdout.startswith("tomoray 0.")


def test_the_models_are_listed_with_their_licences_in_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = tomoray("models")
    assert result.returncode == 0
    _default, entries = weights.read_registry()
    for entry in entries.values():
        rows = [line for line in result.stdout.splitlines() if line.startswith(f"│ {entry.id} ")]
        assert [row for row in rows if f" {entry.licence} " in row], entry.id
    assert "…" not in result.stdout


def test_models_that_add_to_others_and_segmenters_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads((weights.models_folder() / weights.REGISTRY_NAME).read_text(encoding="utf-8"))
    first = content["models"][0]
    content["models"].append(
        {
            **first,
            "id": "finer",
            "described_as": "sharper",
            "based_on": {"model": first["id"], "sha256": first["sha256"]},
        }
    )
    shared = {key: first[key] for key in ("sha256", "licence", "training_command")}
    data = [{"name": "VerSe (sub-verse014)", "licence": "CC-BY-SA-4.0", "use": "labelled CTs"}]
    own = {"id": "finder", "file": "finder.safetensors", "network": {}, "data": data, "figures": {}}
    content |= {"default_segmenter": "finder", "segmenters": [shared | own]}
    (tmp_path / weights.REGISTRY_NAME).write_text(json.dumps(content))
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    listed = " ".join(tomoray("models").stdout.split())
    assert "│ finer " in listed
    assert f"│ (adds to {first['id']}) " in listed
    assert "sharper" in listed
    assert "finder" in listed
    assert "VerSe (sub-verse014): labelled CTs" in listed
    finished = json.loads(tomoray("models", "--json").stdout.splitlines()[-1])
    assert (finished["default"], finished["segmenters"]) == (content["default"], ["finder"])
