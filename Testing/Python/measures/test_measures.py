"""Measures against closed forms: stacked boxes with known heights, wedges, curves, slips, on lopsided grids."""

from __future__ import annotations

import numpy as np
import pytest

from support.stacked_boxes import BoxVertebra, grid_around, label_volume
from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.measures.definitions import DEFINITIONS, OF_CURVE, OF_LEVEL, OF_VERTEBRA
from TomoRayLib.measures.spine import MeasuredSpine, measure_spine
from TomoRayLib.measures.vertebral_body import NoBody, VertebralBody

SPACINGS = [((1.0, 1.0, 1.0), False), ((1.333, 1.333, 1.333), False), ((0.9, 1.1, 1.5), True)]
SPACING_SHARE = 0.6  # faces are drawn to half a voxel
L1, L2, L3, L4 = (LABEL_OF_NAME[name] for name in ("L1", "L2", "L3", "L4"))


def spine(*vertebrae: BoxVertebra, spacing_mm=(1.0, 1.0, 1.0), turned: bool = False, **options) -> MeasuredSpine:
    grid = grid_around(vertebrae, spacing_mm, turned)
    return measure_spine(label_volume(vertebrae, grid), grid, **options)


def value(measured: MeasuredSpine, key: str, subject: str) -> float:
    one = measured.of(key, subject)
    assert one is not None, (key, subject, [(m.key, m.subject) for m in measured.measures])
    assert one.value is not None, one.reason
    return one.value


def within(spacing_mm, mm: float = 0.5) -> float:
    """A tolerance: of the measure itself, and of the largest voxel edge."""
    return mm + SPACING_SHARE * max(spacing_mm)


def column(
    count: int = 3, pitch=(0.0, 0.0, 0.0), roll=(0.0, 0.0, 0.0), step_mm: float = 36.0, **shape
) -> list[BoxVertebra]:
    """L1 and below, one under the other, off the middle of the volume."""
    return [
        BoxVertebra(
            L1 + number, (23.2, -11.3, 40.3 - step_mm * number), pitch_deg=pitch[number], roll_deg=roll[number], **shape
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(("spacing_mm", "turned"), SPACINGS)
@pytest.mark.parametrize(("anterior_mm", "posterior_mm"), [(26.3, 26.3), (20.3, 28.1), (30.2, 25.1)])
def test_heights_and_wedge_of_a_wedged_box(spacing_mm, turned, anterior_mm, posterior_mm) -> None:
    shape = {"anterior_mm": anterior_mm, "posterior_mm": posterior_mm}
    boxes = column(**shape)
    measured = spine(*boxes, spacing_mm=spacing_mm, turned=turned)
    for box in boxes:
        body = measured.bodies[box.label]
        assert isinstance(body, VertebralBody)
        for position, wall in (("anterior", -1.0), ("posterior", 1.0)):
            ends = [body.points_mm[f"{plate}_{position}"] for plate in ("upper", "lower")]
            backs = [float((end - np.array(box.middle_mm)) @ box.axes[:, 1]) for end in ends]
            assert backs == pytest.approx([wall * box.depth_mm / 2] * 2, abs=within(spacing_mm)), "corners at the walls"
        assert value(measured, "height_anterior_mm", box.name) == pytest.approx(anterior_mm, abs=within(spacing_mm))
        assert value(measured, "height_posterior_mm", box.name) == pytest.approx(
            posterior_mm, abs=within(spacing_mm, 0.7)
        )
        middle_mm = (anterior_mm + posterior_mm) / 2
        assert value(measured, "height_middle_mm", box.name) == pytest.approx(middle_mm, abs=within(spacing_mm))
        assert value(measured, "wedge_ratio", box.name) == pytest.approx(anterior_mm / posterior_mm, abs=0.08)


@pytest.mark.parametrize(("spacing_mm", "turned"), SPACINGS)
def test_a_body_lies_where_it_is_and_is_as_large_as_it_is(spacing_mm, turned) -> None:
    boxes = column(pitch=(8.0, 0.0, -8.0), depth_mm=30.0, width_mm=44.0)
    measured = spine(*boxes, spacing_mm=spacing_mm, turned=turned)
    for box in boxes:
        body = measured.bodies[box.label]
        assert isinstance(body, VertebralBody)
        assert body.frame.middle_mm == pytest.approx(np.array(box.middle_mm), abs=0.6)
        assert body.depth_mm == pytest.approx(30.0, abs=within(spacing_mm))
        assert body.width_mm == pytest.approx(44.0, abs=within(spacing_mm, 0.6))
        assert body.upper.normal == pytest.approx(box.upper_normal(), abs=0.04)
        assert body.lower.normal == pytest.approx(box.lower_normal(), abs=0.04)
        front = body.points_mm["upper_anterior"] - body.points_mm["upper_posterior"]
        assert front[1] < 0, "LPS y grows towards the back"
        assert (body.points_mm["upper_middle"] - body.points_mm["lower_middle"])[2] > 0


@pytest.mark.parametrize(("spacing_mm", "turned"), SPACINGS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_cobb_angle_of_a_known_curve(spacing_mm, turned, sign) -> None:
    boxes = column(4, pitch=(0.0,) * 4, roll=(12.0 * sign, 4.0 * sign, -7.0 * sign, -18.0 * sign), step_mm=40.0)
    measured = spine(*boxes, spacing_mm=spacing_mm, turned=turned)
    assert value(measured, "cobb_deg", "L1-L4") == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize(("spacing_mm", "turned"), SPACINGS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sagittal_and_segmental_angles_have_size_and_sign(spacing_mm, turned, sign) -> None:
    boxes = column(3, pitch=(-14.0 * sign, 0.0, 14.0 * sign), step_mm=44.0)
    measured = spine(*boxes, spacing_mm=spacing_mm, turned=turned)
    # the front of L1 goes up and that of L3 down: open in front, lordotic, the opposite of kyphotic
    assert value(measured, "sagittal_angle_deg", "L1-L3") == pytest.approx(-28.0 * sign, abs=1.2)
    assert value(measured, "segmental_angle_deg", "L1/L2") == pytest.approx(14.0 * sign, abs=1.2)


def test_lordosis_is_from_l1_to_l5_and_kyphosis_from_t4_to_t12() -> None:
    lumbar = [
        BoxVertebra(L1 + number, (0.0, 0.0, -40.0 * number), pitch_deg=-20.0 + 10.0 * number) for number in range(5)
    ]
    measured = spine(*lumbar)
    assert value(measured, "lumbar_lordosis_deg", "L1-L5") == pytest.approx(40.0, abs=1.2)
    kyphosis = measured.of("thoracic_kyphosis_deg", "T4-T12")
    assert kyphosis is not None
    assert kyphosis.reason == "not measurable, because T4 is not in view"
    assert measured.of("lumbar_lordosis_deg", "L1-L5").lines_mm


@pytest.mark.parametrize(("spacing_mm", "turned"), SPACINGS)
@pytest.mark.parametrize("slip_mm", [6.0, -5.0])
def test_slip_and_disc_height(spacing_mm, turned, slip_mm) -> None:
    upper = BoxVertebra(L3, (5.2, 10.3 - slip_mm, 20.3))
    lower = BoxVertebra(L4, (5.2, 10.3, -15.7))
    measured = spine(upper, lower, spacing_mm=spacing_mm, turned=turned)
    assert value(measured, "slip_mm", "L3/L4") == pytest.approx(slip_mm, abs=within(spacing_mm))
    assert value(measured, "disc_height_mm", "L3/L4") == pytest.approx(36.0 - 26.0, abs=within(spacing_mm, 0.6))


@pytest.mark.parametrize(("spacing_mm", "turned"), SPACINGS)
@pytest.mark.parametrize("yaw_deg", [0.0, 14.0, -22.0])
def test_axial_rotation_has_size_and_sign(spacing_mm, turned, yaw_deg) -> None:
    boxes = [
        BoxVertebra(L1, (0.0, 0.0, 36.0)),
        BoxVertebra(L2, (0.0, 0.0, 0.0), yaw_deg=yaw_deg),
        BoxVertebra(L3, (0.0, 0.0, -36.0)),
    ]
    measured = spine(*boxes, spacing_mm=spacing_mm, turned=turned)
    assert value(measured, "rotation_deg", "L2") == pytest.approx(yaw_deg, abs=1.5)
    body = measured.bodies[L2]
    assert isinstance(body, VertebralBody)
    front = -body.frame.posterior
    assert np.sign(round(front[0], 1)) == np.sign(yaw_deg), "LPS x grows towards the patient's left"


def test_length_and_offset_of_the_row_of_bodies() -> None:
    boxes = [BoxVertebra(L1, (12.0, 0.0, 60.0)), BoxVertebra(L2, (3.0, 4.0, 24.0)), BoxVertebra(L3, (-6.0, 0.0, -12.0))]
    measured = spine(*boxes)
    step = np.linalg.norm([9.0, 4.0, 36.0])
    assert value(measured, "spine_length_mm", "L1-L3") == pytest.approx(2 * step, abs=0.8)
    assert value(measured, "coronal_offset_mm", "L1-L3") == pytest.approx(18.0, abs=0.7)


def test_a_flip_of_the_patient_shows() -> None:
    """A volume stored mirrored is the same patient; a patient mirrored is another one."""
    boxes = [BoxVertebra(L1, (12.0, 0.0, 36.0), yaw_deg=10.0), BoxVertebra(L2, (0.0, 0.0, 0.0), yaw_deg=10.0)]
    grid = grid_around(boxes, (1.0, 1.2, 1.5))
    labels = label_volume(boxes, grid)
    x = grid.index_to_world @ [grid.size[0] - 1, 0, 0, 1]
    stored = Grid(grid.size, grid.spacing_mm, tuple(x[:3]), (-1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    same = measure_spine(labels[:, :, ::-1], stored)
    other = measure_spine(labels[:, :, ::-1], grid)
    for key, subject in (("rotation_deg", "L1"), ("coronal_offset_mm", "L1-L2")):
        expected = value(measure_spine(labels, grid), key, subject)
        assert value(same, key, subject) == pytest.approx(expected, abs=0.2)
        assert value(other, key, subject) == pytest.approx(-expected, abs=0.3)


def test_what_is_cut_or_unsure_is_not_measured_and_says_why() -> None:
    boxes = column(3)
    grid = grid_around(boxes, (1.0, 1.0, 1.0))
    labels = label_volume(boxes, grid)
    top = max(np.flatnonzero((labels == L1).any(axis=(1, 2)))) - 14
    cropped = Grid((grid.size[0], grid.size[1], int(top)), grid.spacing_mm, grid.origin_mm)
    measured = measure_spine(labels[:top], cropped, unsure={L3})
    assert "the edge of the volume cuts it" in str(measured.of("height_anterior_mm", "L1").reason)
    assert "the network is unsure" in str(measured.of("height_anterior_mm", "L3").reason)
    assert "L1: the edge of the volume cuts it" in str(measured.of("disc_height_mm", "L1/L2").reason)
    assert isinstance(measured.bodies[L2], VertebralBody)
    assert (
        measured.of("cobb_deg", "spine").reason == "not measurable, because fewer than two whole vertebrae are in view"
    )


def test_a_body_without_a_canal_behind_it_is_not_measured() -> None:
    box = BoxVertebra(L2, (0.0, 0.0, 0.0))
    grid = grid_around([box], (1.0, 1.0, 1.0))
    labels = label_volume([box], grid)
    filled = labels.copy()
    rows = np.flatnonzero((labels == L2).any(axis=(0, 2)))
    body_rows = slice(rows[0], rows[-1] + 1)
    middle = labels.shape[2] // 2
    levels = np.flatnonzero(labels[:, rows[0] + 5, middle] == L2)
    filled[levels[0] : levels[-1] + 1, body_rows, middle - 12 : middle + 12] = L2
    measured = measure_spine(filled, grid)
    assert isinstance(measured.bodies[L2], NoBody)
    assert all(one.value is None for one in measured.measures)


def test_bodies_alone_have_heights_and_no_rotation() -> None:
    measured = spine(*column(3, has_processes=False))
    assert value(measured, "height_anterior_mm", "L2") == pytest.approx(26.0, abs=0.9)
    assert measured.of("rotation_deg", "L2").reason == (
        "not measurable, because nothing of the vertebra shows behind its body"
    )


def test_c1_and_c2_are_named_and_not_measured() -> None:
    boxes = [BoxVertebra(1, (0.0, 0.0, 40.0)), BoxVertebra(2, (0.0, 0.0, 0.0))]
    measured = spine(*boxes)
    assert "C1 has no body" in str(measured.of("height_middle_mm", "C1").reason)
    assert "dens" in str(measured.of("height_middle_mm", "C2").reason)


def test_a_coarse_mask_is_not_measured() -> None:
    measured = spine(*column(2), spacing_mm=(1.0, 1.0, 5.0))
    assert "too coarse" in str(measured.of("height_middle_mm", "L1").reason)


def test_an_empty_volume_has_no_vertebra_and_says_so_of_the_whole() -> None:
    grid = Grid((20, 20, 20), (1.0, 1.0, 1.0))
    measured = measure_spine(np.zeros(grid.shape, np.uint8), grid)
    assert not measured.bodies
    assert {one.key for one in measured.measures} == set(OF_CURVE)
    assert all(one.value is None for one in measured.measures)


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="grid's shape"):
        measure_spine(np.zeros((3, 4, 5), np.uint8), Grid((3, 4, 5), (1.0, 1.0, 1.0)))


def test_every_kind_of_measure_is_made_and_defined() -> None:
    measured = spine(*column(3))
    assert {one.key for one in measured.measures} == set(DEFINITIONS) == {*OF_VERTEBRA, *OF_LEVEL, *OF_CURVE}
    for definition in DEFINITIONS.values():
        assert definition.source
        assert definition.definition.endswith(".")
        assert definition.key.endswith({"mm": "_mm", "°": "_deg", "": "_ratio"}[definition.unit])


@pytest.mark.parametrize(("spacing_mm", "turned"), SPACINGS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_angles_by_centroids_follow_the_row_of_bodies_alone(spacing_mm, turned, sign) -> None:
    """Steps of 38 mm: downwards 12 degrees to the left, then 8 to the right; 10 to the front, then 15 to the back."""
    places = [np.array([0.2, 0.3, 60.3])]
    for coronal, sagittal in ((12.0, -10.0), (-8.0, 15.0)):
        down = np.array([np.tan(np.radians(coronal)) * sign, np.tan(np.radians(sagittal)) * sign, -1.0])
        places.append(places[-1] + 38.0 * down)
    boxes = [BoxVertebra(L1 + number, tuple(place)) for number, place in enumerate(places)]
    measured = spine(*boxes, spacing_mm=spacing_mm, turned=turned)
    assert value(measured, "coronal_centroid_angle_deg", "L1-L3") == pytest.approx(20.0, abs=1.5)
    # with sign 1 the column bulges to the front: lordotic, the opposite of kyphotic
    assert value(measured, "sagittal_centroid_angle_deg", "L1-L3") == pytest.approx(-25.0 * sign, abs=2.0)
    two = spine(*boxes[:2], spacing_mm=spacing_mm, turned=turned)
    assert "fewer than three" in str(two.of("sagittal_centroid_angle_deg", "spine").reason)


@pytest.mark.parametrize(
    ("anterior_mm", "posterior_mm", "because"),
    [(44.2, 44.2, "height would be 4"), (32.2, 18.2, "times as high in front")],
)
def test_a_body_beyond_anatomy_is_not_measured(anterior_mm, posterior_mm, because) -> None:
    box = BoxVertebra(L3, (0.2, 0.3, 0.3), anterior_mm=anterior_mm, posterior_mm=posterior_mm)
    assert because in str(spine(box).of("height_middle_mm", "L3").reason)


def cropped(labels: np.ndarray, grid: Grid, low: tuple[int, int, int], high: tuple[int, int, int]):
    """The voxels from ``low`` to before ``high`` (i, j, k), and their grid."""
    part = grid.part(low, high)
    return labels[low[2] : high[2], low[1] : high[1], low[0] : high[0]], part


@pytest.mark.parametrize("lost", [2, 4, 8])
def test_a_tilted_end_vertebra_that_is_cut_at_one_corner_is_not_measured(lost) -> None:
    """A Cobb angle whose end vertebra lost a corner would be too small, without a word."""
    boxes = column(4, pitch=(0.0,) * 4, roll=(20.0, 8.0, -6.0, -20.0), step_mm=42.0)
    grid = grid_around(boxes, (1.0, 1.0, 1.0))
    labels = label_volume(boxes, grid)
    body = label_volume([BoxVertebra(**{**vars_of(boxes[0]), "has_processes": False})], grid)
    top = int(np.flatnonzero((body == L1).any(axis=(1, 2))).max()) + 1 - lost
    part, part_grid = cropped(labels, grid, (0, 0, 0), (grid.size[0], grid.size[1], top))
    measured = measure_spine(part, part_grid)
    assert "the edge of the volume cuts it" in str(measured.of("height_middle_mm", "L1").reason)
    assert all("L1" not in one.subject for one in measured.measures if one.key == "cobb_deg")
    assert value(measure_spine(labels, grid), "cobb_deg", "L1-L4") == pytest.approx(40.0, abs=1.5)


def vars_of(box: BoxVertebra) -> dict:
    return {name: one for name, one in vars(box).items() if name != "axes"}


def test_a_side_that_is_cut_is_not_measured_and_cut_processes_turn_nothing() -> None:
    boxes = column(3)
    grid = grid_around(boxes, (1.0, 1.0, 1.0))
    labels = label_volume(boxes, grid)
    middle = round(float((grid.world_to_index @ [*boxes[1].middle_mm, 1.0])[0]))
    half = cropped(labels, grid, (0, 0, 0), (middle + 8, grid.size[1], grid.size[2]))
    measured = measure_spine(*half)
    assert "the edge of the volume cuts it" in str(measured.of("height_middle_mm", "L2").reason)
    beside = cropped(labels, grid, (0, 0, 0), (middle + 28, grid.size[1], grid.size[2]))  # through the processes
    measured = measure_spine(*beside)
    assert value(measured, "height_middle_mm", "L2") == pytest.approx(26.0, abs=0.9)
    assert "the edge of the volume cuts it" in str(measured.of("rotation_deg", "L2").reason)


def test_a_spine_named_into_the_neck_loses_what_c1_and_c2_have_not() -> None:
    boxes = [BoxVertebra(2 + number, (0.2, 0.3, 80.3 - 36.0 * number)) for number in range(3)]
    measured = spine(*boxes)  # C2, C3, C4
    lower = measured.renamed({2: 3, 3: 4, 4: 5})
    assert "counted as C1 or C2" in str(lower.of("height_middle_mm", "C3").reason)
    upper = measured.renamed({3: 2, 4: 3})
    assert "dens" in str(upper.of("height_middle_mm", "C2").reason)
    assert value(upper, "height_middle_mm", "C3") == value(measured, "height_middle_mm", "C4")


def test_numbers_that_run_upwards_give_no_angles_beyond_a_half_turn() -> None:
    upwards = [BoxVertebra(L1 + number, (0.2, 0.3, 0.3 + 36.0 * number)) for number in range(4)]
    measured = spine(*upwards)
    assert all(one.value is None for one in measured.measures)
    assert "the numbers run upwards" in str(measured.of("height_middle_mm", "L2").reason)
