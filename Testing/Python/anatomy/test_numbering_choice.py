"""Which numbering a mask's numbers are read in: what each table's own numbers give, and what stays open.

The columns of vertebrae have the distances and volumes of real spines (VerSe, by region), so that each reading of the
same numbers is as plausible or implausible as in a real mask.
"""

from __future__ import annotations

import pytest

from TomoRayLib.anatomy.numbering_choice import choose_reading, shown
from TomoRayLib.anatomy.numberings import NUMBERINGS, Part, missing_levels, order_problem
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.base.errors import InputError

LEVELS = [f"C{n}" for n in range(1, 8)] + [f"T{n}" for n in range(1, 13)] + [f"L{n}" for n in range(1, 6)]
STEP_MM = {"C": 17.0, "T": 25.0, "L": 33.0}
VOLUME_CM3 = {"C": 14.0, "T": 32.0, "L": 60.0}


def a_column(first: str, last: str) -> dict[str, Part]:
    """Vertebrae from head to feet, leaning backwards as a lordosis does."""
    parts, height = {}, 400.0
    for name in LEVELS[LEVELS.index(first) : LEVELS.index(last) + 1]:
        parts[name] = Part((3.0, 0.1 * height, height), 21.0 if name == "C2" else VOLUME_CM3[name[0]])
        height -= STEP_MM[name[0]]
    return parts


def numbered(parts: dict[str, Part], numbering: str) -> dict[int, Part]:
    number_of = {label: number for number, label in NUMBERINGS[numbering].vertebrae.items()}
    return {number_of[LABEL_OF_NAME[name]]: part for name, part in parts.items()}


@pytest.mark.parametrize(
    ("numbering", "numbers"),
    [
        ("verse", {1: "C1", 7: "C7", 8: "T1", 19: "T12", 20: "L1", 24: "L5", 25: "L6", 28: "T13"}),
        ("totalsegmentator", {27: "L5", 31: "L1", 32: "T12", 43: "T1", 44: "C7", 50: "C1"}),
        ("totalsegmentator-v1", {18: "L5", 22: "L1", 23: "T12", 34: "T1", 35: "C7", 41: "C1"}),
        ("vertebrae-mr", {2: "L5", 6: "L1", 7: "T12", 18: "T1", 19: "C7", 25: "C1"}),
        ("totalspineseg", {11: "C1", 17: "C7", 21: "T1", 32: "T12", 41: "L1", 46: "L6"}),
        ("spider", {1: "L5", 5: "L1", 6: "T12"}),
    ],
)
def test_tables_are_those_of_their_packages(numbering: str, numbers: dict[int, str]) -> None:
    table = NUMBERINGS[numbering].vertebrae
    assert {number: table[number] for number in numbers} == {n: LABEL_OF_NAME[name] for n, name in numbers.items()}


@pytest.mark.parametrize(("first", "last"), [("C1", "L5"), ("L1", "L5"), ("T9", "L3"), ("T4", "T10"), ("C1", "C7")])
def test_verse_numbers_are_taken_as_they_are(first: str, last: str) -> None:
    parts = numbered(a_column(first, last), "verse")
    chosen = choose_reading(parts)
    assert chosen.reading.parts == parts
    assert chosen.warning is None


@pytest.mark.parametrize(
    ("numbering", "first", "last"),
    [
        ("totalsegmentator", "C1", "L5"),
        ("totalsegmentator", "L1", "L5"),
        ("totalspineseg", "C3", "T4"),
        ("totalspineseg", "L1", "L5"),
        ("totalsegmentator-v1", "C1", "L5"),
    ],
)
def test_another_numbering_that_shows_itself_is_translated_with_a_warning(
    numbering: str, first: str, last: str
) -> None:
    column = a_column(first, last)
    chosen = choose_reading(numbered(column, numbering), name="mask.nii.gz")
    assert chosen.reading.numbering.name == numbering
    assert chosen.reading.parts == {LABEL_OF_NAME[name]: part for name, part in column.items()}
    assert chosen.warning is not None
    assert f"taken as that of {NUMBERINGS[numbering].title} ({first} to {last})" in chosen.warning


def test_spider_is_known_by_its_canal_and_discs() -> None:
    parts = numbered(a_column("T12", "L5"), "spider")
    extras = {number: Part((3.0, 0.0, 250.0), 10.0) for number in (100, *range(201, 207))}
    chosen = choose_reading({**parts, **extras})
    assert (chosen.reading.numbering.name, set(chosen.reading.parts)) == ("spider", {19, *range(20, 25)})


def test_tptbox_is_verse_with_sacral_pieces_discs_and_endplates() -> None:
    parts = numbered(a_column("L3", "L5"), "verse")
    extras = {number: Part((3.0, 0.0, 250.0), 5.0) for number in (26, 29, 30, 122, 123, 124, 222, 223, 224)}
    chosen = choose_reading({**parts, **extras})
    assert (chosen.reading.parts, chosen.warning) == (parts, None)


@pytest.mark.parametrize(
    ("numbers", "readings"),
    [
        ((5, 4, 3, 2, 1), ("(L2 to L5): vertebrae-mr", "(L1 to L5): spider")),
        ((22, 21, 20, 19, 18), ("(L1 to L5): totalsegmentator-v1",)),
        ((24, 23, 22, 21, 20), ("(T11 to L3): totalsegmentator-v1", "upside down")),
    ],
)
def test_numbers_that_only_rise_towards_the_head_are_refused_with_what_they_can_be(
    numbers: tuple[int, ...], readings: tuple[str, ...]
) -> None:
    parts = dict(zip(numbers, a_column("L1", "L5").values(), strict=True))
    with pytest.raises(InputError) as caught:
        choose_reading(parts)
    assert caught.value.field == "labels"
    assert all(reading in str(caught.value) for reading in readings)


def test_a_sacrum_of_its_size_tells_vertebrae_mr_from_spider() -> None:
    parts = numbered(a_column("L1", "L5"), "vertebrae-mr")
    low = min(part.height_mm for part in parts.values())
    assert choose_reading({**parts, 1: Part((3.0, 0.0, low - 50), 190.0)}).reading.numbering.name == "vertebrae-mr"
    with pytest.raises(InputError, match="vertebrae-mr; or SPIDER"):
        choose_reading({**parts, 1: Part((3.0, 0.0, low - 33), 66.0)})


def test_a_neck_in_totalspinesegs_numbers_is_not_taken_for_t4_to_t10() -> None:
    with pytest.raises(InputError, match=r"VerSe \(T4 to T10\): verse; or TotalSpineSeg \(C1 to C7\): totalspineseg"):
        choose_reading(numbered(a_column("C1", "C7"), "totalspineseg"))
    assert choose_reading(numbered(a_column("T4", "T10"), "verse")).warning is None


def test_a_stated_numbering_counts_without_a_word() -> None:
    parts = numbered(a_column("L1", "L5"), "spider")
    chosen = choose_reading(parts, "spider")
    assert set(chosen.reading.parts) == set(range(20, 25))
    assert chosen.warning is None


def test_one_vertebra_alone_gets_a_warning() -> None:
    chosen = choose_reading({22: Part((0.0, 0.0, 0.0), 60.0)})
    assert "taken as VerSe (L3), which nothing else in the mask shows" in str(chosen.warning)


def test_a_spine_without_t12_and_a_fractured_vertebra_are_in_order() -> None:
    column = a_column("T9", "L5")
    parts = numbered(column, "verse")
    fractured = Part(parts[22].middle_mm, 0.4 * parts[22].volume_cm3)
    without_t12 = {label: part for label, part in {**parts, 22: fractured}.items() if label != 19}
    moved = {
        label: Part((*part.middle_mm[:2], part.height_mm + 25 * (label > 19)), part.volume_cm3)
        for label, part in without_t12.items()
    }
    chosen = choose_reading(moved)
    assert (set(chosen.reading.parts), chosen.warning) == (set(moved), None)


def test_order_and_gaps_are_named() -> None:
    parts = numbered(a_column("T11", "L2"), "verse")
    assert order_problem(parts) is None
    assert order_problem({**parts, 20: parts[21], 21: parts[20]}) == "L2 lies above L1"
    assert missing_levels((18, 20, 24)) == (19, 21, 22, 23)
    assert missing_levels((19, 28, 20)) == missing_levels(()) == ()


def test_numbers_are_shown_by_runs() -> None:
    assert shown([26, 1, 2, 3, 8, 9]) == "1-3, 8, 9, 26"


@pytest.mark.parametrize(
    ("first", "last", "number"), [("L1", "L5", 1), ("L1", "L2", 1), ("T12", "L5", 1), ("T8", "L5", 1), ("L1", "L5", 8)]
)
def test_vertebrae_numbered_as_they_were_drawn_are_refused(first: str, last: str, number: int) -> None:
    """L1 to L5 as 1 to 5: no table knows them, but C1 to C5 lie half as far apart and are a quarter as large."""
    parts = dict(enumerate(a_column(first, last).values(), number))
    with pytest.raises(InputError, match="numbered in the order they were drawn") as refused:
        choose_reading(parts)
    assert refused.value.field == "labels"
    assert choose_reading(parts, "verse").warning is None


@pytest.mark.parametrize(
    ("first", "last"),
    [("T1", "T12"), ("C3", "C7"), ("C5", "T4"), ("T4", "T9"), ("T2", "L5"), ("C2", "C7"), ("T3", "T4"), ("C2", "T2")],
)
@pytest.mark.parametrize("size", [0.7, 0.85])
def test_vertebrae_drawn_as_1_and_on_come_with_a_warning_where_the_second_is_no_axis(
    first: str, last: str, size: float
) -> None:
    """By their size these may be C1 and on of a taller or smaller person, but C2 is larger than C1 and C3."""
    column = enumerate(a_column(first, last).values(), 1)
    parts = {n: Part((3.0, 0.0, size * part.height_mm), size**3 * part.volume_cm3) for n, part in column}
    chosen = choose_reading(parts)
    assert chosen.reading.numbering.name == "verse"
    assert "its second vertebra is no larger than those beside it, as C2 is" in str(chosen.warning)
    assert choose_reading(parts, "verse").warning is None


def test_an_atlas_cut_off_by_the_scan_hides_no_missing_axis() -> None:
    parts = dict(enumerate(a_column("C3", "C7").values(), 1))
    cut = {**parts, 1: Part(parts[1].middle_mm, 0.3 * parts[1].volume_cm3)}
    assert "as C2 is" in str(choose_reading(cut).warning)
    neck = numbered(a_column("C1", "C4"), "verse")
    assert choose_reading({**neck, 1: Part(neck[1].middle_mm, 5.0)}).warning is None


@pytest.mark.parametrize(("first", "last"), [("C3", "C7"), ("C1", "C4"), ("C1", "C3"), ("C6", "C7")])
@pytest.mark.parametrize("size", [1.0, 1.12])
def test_some_of_a_neck_in_totalspinesegs_numbers_are_refused_with_both_readings(
    first: str, last: str, size: float
) -> None:
    column = numbered(a_column(first, last), "totalspineseg").items()
    parts = {n: Part((3.0, 0.0, size * part.height_mm), size**3 * part.volume_cm3) for n, part in column}
    with pytest.raises(InputError, match=rf"VerSe \(T\d+ to T\d+\): verse; or TotalSpineSeg \({first} to {last}\)"):
        choose_reading(parts)


@pytest.mark.parametrize(("first", "last"), [("C1", "C7"), ("L1", "L5"), ("T6", "L3")])
@pytest.mark.parametrize(("size", "has_warning"), [(0.85, False), (1.1, False), (0.55, True)])
def test_vertebrae_of_small_and_tall_people_are_taken(first: str, last: str, size: float, has_warning: bool) -> None:
    """Sizes of adults as of the 39 real masks; those of a child come with a warning."""
    column = numbered(a_column(first, last), "verse")
    parts = {
        number: Part((part.middle_mm[0], part.middle_mm[1], size * part.height_mm), size**3 * part.volume_cm3)
        for number, part in column.items()
    }
    chosen = choose_reading(parts)
    assert chosen.reading.parts == parts
    assert ("unless they are a child's" in (chosen.warning or "")) == has_warning


def test_regions_of_vertebrae_are_no_vertebrae_and_a_neck_of_the_same_numbers_is_one() -> None:
    regions = {label: Part((0.0, float(label), 200.0 + label), 40.0) for label in (*range(41, 51), 60, 61, 100)}
    with pytest.raises(InputError, match="arches, processes and bodies"):
        choose_reading(regions)
    neck = numbered(a_column("C1", "T3"), "totalsegmentator")
    assert set(neck) == set(range(41, 51))
    assert choose_reading(neck, "totalsegmentator").reading.parts == numbered(a_column("C1", "T3"), "verse")
