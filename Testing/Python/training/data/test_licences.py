"""Sources and licences: what the table knows, what a model made from them is under, what weights remember."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from support.anatomies import a_coarse_anatomy
from support.myo_sim_packages import a_package, pack
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.training.data.anatomy import Anatomy, load_anatomy
from TomoRayLib.training.data.licences import (
    BODIES,
    CASES,
    GREY,
    NOT_RECORDED,
    SHAPES,
    WATCHED,
    SourceUse,
    commercial_use_allowed,
    data_of_model,
    from_record,
    is_permissive,
    licence_of_model,
    merged,
    recorded_sources,
    source_of,
    to_record,
    uses_of,
    without_derivatives,
)
from TomoRayLib.training.data.training_cases import TrainingCases
from TomoRayLib.training.phantoms.body_levels import LEVELS_OF_BODY


@pytest.mark.parametrize(
    ("kind", "name", "licence"),
    [
        ("spine", "verse018", "CC-BY-NC-SA-4.0"),
        ("spine", "verse400_verse090", "CC-BY-NC-SA-4.0"),
        ("spine", "verse004", "CC-BY-SA-4.0"),  # by experts, as verse009; the others are predicted
        ("spine", "myo_sim", "Apache-2.0"),
        ("body", "ricord_1a_chest_b", "CC-BY-NC-4.0"),
        ("body", "tcga_de_a4ma_torso", "CC-BY-3.0 / CC-BY-4.0"),
        ("body", "acrin_flt_001_head_neck", "CC-BY-3.0 / CC-BY-4.0"),
        ("body", "lidc_idri_0314_chest", "CC-BY-3.0 / CC-BY-4.0"),
        ("case", "sub-verse014", "CC-BY-SA-4.0"),
        ("case", "sub-verse008", "CC-BY-SA-4.0"),
        ("case", "sub-gl003", "CC-BY-NC-ND-4.0"),
        ("case", "s0308", "CC-BY-4.0"),
    ],
)
def test_a_data_set_is_known_by_its_names(kind: str, name: str, licence: str) -> None:
    source = source_of(kind, name)
    assert source.licence == licence
    assert is_permissive(kind, name) is source.commercial_use is ("-NC" not in licence)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("body", "patient_7"), ("spine", "my_verse018"), ("case", "verse018"), ("case", "s03080"), ("spine", "s0308")],
)
def test_what_the_table_does_not_know_is_not_permissive(kind: str, name: str) -> None:
    assert not is_permissive(kind, name)
    assert source_of(kind, name).name == "not known"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("body", "cptac_c3l00189_lower_chest"),
        ("body", "totalsegmentator_example_abdomen_pelvis"),
        ("case", "totalsegmentator_example"),
    ],
)
def test_terms_that_are_not_confirmed_count_as_the_strictest(kind: str, name: str) -> None:
    assert not is_permissive(kind, name)
    uses = uses_of(BODIES if kind == "body" else CASES, [name])
    assert [use.name for use in uses] != ["not known"]
    assert licence_of_model(uses) == "CC-BY-NC-SA-4.0"


def test_every_body_whose_levels_are_read_has_a_source() -> None:
    assert [name for name in LEVELS_OF_BODY if source_of("body", name).name == "not known"] == []


MYO_SIM = uses_of(SHAPES, ["myo_sim"])
TCIA, RICORD = uses_of(BODIES, ["tcga_de_a4ma_torso"]), uses_of(BODIES, ["ricord_1a_chest"])
VERSE = uses_of(GREY, ["sub-verse014"])
LABEL_MAPS, STRANGER = uses_of(SHAPES, ["verse018"]), uses_of(CASES, ["stranger"])
GL_WATCHED = uses_of(WATCHED, ["sub-gl003", "stranger"])


@pytest.mark.parametrize(
    ("uses", "licence"),
    [
        ((), "CC-BY-NC-SA-4.0"),
        (GL_WATCHED, "CC-BY-NC-SA-4.0"),
        (MYO_SIM, "Apache-2.0"),
        (MYO_SIM + TCIA, "CC-BY-4.0"),
        (MYO_SIM + TCIA + VERSE, "CC-BY-SA-4.0"),
        (MYO_SIM + TCIA + GL_WATCHED, "CC-BY-4.0"),
        (MYO_SIM + RICORD, "CC-BY-NC-4.0"),
        (RICORD + VERSE, "CC-BY-NC-SA-4.0"),
        (LABEL_MAPS + TCIA, "CC-BY-NC-SA-4.0"),
        (MYO_SIM + STRANGER, "CC-BY-NC-SA-4.0"),
        (MYO_SIM + TCIA + (NOT_RECORDED,), "CC-BY-NC-SA-4.0"),
    ],
)
def test_a_models_licence_carries_the_terms_of_all_its_sources(uses: tuple[SourceUse, ...], licence: str) -> None:
    assert licence_of_model(uses) == licence_of_model(uses[::-1]) == licence
    assert commercial_use_allowed(uses) is ("-NC" not in licence)


def test_of_one_data_set_under_several_terms_the_stricter_ones_hold() -> None:
    free = SourceUse("Ours", "CC-BY-4.0", True, CASES, ("a",))
    strict, alike = replace(free, licence="CC-BY-NC-4.0", commercial_use=False), replace(free, licence="CC-BY-SA-4.0")
    for uses in ((free, strict), (strict, free)):
        assert merged(uses) == (strict,)
    assert licence_of_model(merged([strict, alike])) == licence_of_model(merged([alike, strict])) == "CC-BY-NC-SA-4.0"
    unknown = replace(free, licence="ask them", commercial_use=False)
    assert merged([unknown, free, replace(strict, items=("b",))]) == (replace(unknown, items=("a", "b")),)
    wrongly_free = replace(NOT_RECORDED, licence="Apache-2.0", commercial_use=True)
    for uses in ((wrongly_free, NOT_RECORDED), (NOT_RECORDED, wrongly_free)):
        assert not commercial_use_allowed(merged(uses))


def test_cases_that_allow_no_derivatives_are_named_unless_they_were_only_watched() -> None:
    uses = uses_of(CASES, ["sub-gl003", "sub-gl279", "sub-verse014"])
    assert without_derivatives(uses) == ["sub-gl003", "sub-gl279"]
    assert licence_of_model(uses) == "CC-BY-NC-ND-4.0"
    assert without_derivatives(VERSE + GL_WATCHED) == []


def test_each_data_set_is_listed_once_for_each_use_with_its_items() -> None:
    uses = merged([*uses_of(CASES, ["s0002", "s0001"]), *uses_of(GREY, ["s0001"]), *uses_of(CASES, ["s0001", "s0009"])])
    assert [(one.use, one.items) for one in uses] == [(CASES, ("s0001", "s0002", "s0009")), (GREY, ("s0001",))]
    many = uses_of(SHAPES, [f"verse{n:03}" for n in range(10, 39)])
    assert data_of_model([*many, uses[1]]) == [
        {"name": "VerSe label maps (29)", "licence": "CC-BY-NC-SA-4.0", "use": SHAPES},
        {"name": "TotalSegmentator (s0001)", "licence": "CC-BY-4.0", "use": GREY},
    ]


def test_weights_remember_their_sources_and_older_ones_count_as_not_recorded(tmp_path: Path) -> None:
    uses = MYO_SIM + VERSE
    torch.save({"network": {}, "sources": to_record(uses)}, tmp_path / "new.ckpt")
    torch.save({"network": {}}, tmp_path / "old.ckpt")
    weights = {"a": torch.zeros(2)}
    save_file(weights, tmp_path / "new.safetensors", {"sources": json.dumps(to_record(uses))})
    save_file(weights, tmp_path / "old.safetensors", {"licence": "Apache-2.0"})
    save_file(weights, tmp_path / "bare.safetensors")
    assert from_record(to_record(uses)) == uses
    for ending in ("ckpt", "safetensors"):
        assert recorded_sources(tmp_path / f"new.{ending}") == uses
        assert recorded_sources(tmp_path / f"old.{ending}") == (NOT_RECORDED,)
    assert recorded_sources(tmp_path / "bare.safetensors") == (NOT_RECORDED,)
    assert from_record([]) == from_record(None) == (NOT_RECORDED,)


@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_a_file_that_is_no_weights_is_refused_by_name(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"last.{ending}"
    with pytest.raises(ValueError, match=rf"last\.{ending}.*there is none"):
        recorded_sources(file)
    torch.save({"network": {}, "sources": []}, tmp_path / "whole")
    for content in (b"", b"no weights at all", (tmp_path / "whole").read_bytes()[:300]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"last\.{ending}, got a file that cannot be read"):
            recorded_sources(file)
    torch.save([1, 2], tmp_path / "list.ckpt")
    with pytest.raises(ValueError, match="no network"):
        recorded_sources(tmp_path / "list.ckpt")


def test_an_anatomys_sources_are_those_of_its_spines_bodies_and_cases() -> None:
    anatomy = a_coarse_anatomy()
    cohort = TrainingCases([CohortCase("sub-verse014", "sub-verse014", Path(), Path())])
    uses = Anatomy(anatomy.spines, anatomy.bodies, cohort).sources()
    assert [(one.name, one.use, one.items) for one in uses] == [
        ("not known", SHAPES, ("column",)),
        ("not known", BODIES, ("block",)),
        ("VerSe", CASES, ("sub-verse014",)),
    ]


def a_torso() -> Volume:
    """An elliptic torso with a column of bone near its back, from -835 to -1243 mm as the file it is named after."""
    grid = Grid((60, 45, 69), (4.0, 4.0, 6.0), (-120.0, -90.0, -1243.0))
    _, j, i = np.indices(grid.shape)
    hu = np.full(grid.shape, -1000, np.int16)
    hu[((i - 30) / 25) ** 2 + ((j - 20) / 17) ** 2 < 1] = 40
    hu[(i - 30) ** 2 + (j - 29) ** 2 < 4**2] = 400
    return Volume(hu, grid)


def test_permissive_data_are_read_alone_and_need_no_label_maps(tmp_path: Path) -> None:
    """The files of other sources are empty: reading one would fail."""
    for name in ("labelmaps/verse018_seg.nii.gz", "bodies/ricord_1a_chest.nii.gz", "bodies/patient_7.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a_package(tmp_path / "parts")
    with pytest.raises(ValueError, match=r"got 1 and 2, of which 0 and 0 are known to allow commercial use"):
        load_anatomy(tmp_path, permissive=True, myo_sim=True)
    write_volume(tmp_path / "bodies" / "tcga_de_a4ma_torso.nii.gz", a_torso())
    with pytest.raises(ValueError, match=r"of which 0 and 1 .* myo_sim = true"):
        load_anatomy(tmp_path, permissive=True)
    pack(tmp_path / "parts", tmp_path / "myo_sim-0.2.4-py3-none-any.whl")
    anatomy = load_anatomy(tmp_path, permissive=True, myo_sim=True)
    assert [spine.name for spine in anatomy.spines] == ["myo_sim"]
    assert [body.name for body in anatomy.bodies] == ["tcga_de_a4ma_torso"]
    assert licence_of_model(anatomy.sources()) == "CC-BY-4.0"
    for file in tmp_path.glob("*/*.nii.gz"):
        if file.stat().st_size == 0:
            file.unlink()
    (tmp_path / "labelmaps").rmdir()
    assert [spine.name for spine in load_anatomy(tmp_path, myo_sim=True).spines] == ["myo_sim"]
