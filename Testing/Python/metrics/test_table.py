"""The row of one case, its table with the baselines, and what they write."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib import metrics
from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL
from TomoRayLib.base.threads import allow_threads, allowed_threads
from TomoRayLib.metrics.row import Prediction, score, score_all

SPACING_MM = (0.5, 1.0, 2.0)  # (x, y, z)
SHAPE = (24, 20, 28)  # (z, y, x)


@pytest.fixture
def labels() -> NDArray[np.uint8]:
    """L1 (20) above L2 (21), and a sacrum (26) that must not count."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[12:18, 6:14, 8:20] = 20
    labels[4:10, 6:14, 8:20] = 21
    labels[0:3, 0:3, 0:3] = 26
    return labels


@pytest.fixture
def truth(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    texture = np.random.default_rng(5).uniform(0.2, 1.0, SHAPE)
    return np.where((labels > 0) & (labels < 26), texture, 0).astype(np.float32)


@pytest.fixture
def full_table(truth: NDArray[np.float32], labels: NDArray[np.uint8]) -> metrics.MetricsTable:
    model = ndimage.gaussian_filter(truth, 0.7)
    atlas = ndimage.gaussian_filter(truth, 3.0)
    predictions = {"mean_atlas": (atlas, atlas > 0.15), "tomoray": (model, model > 0.3)}
    return metrics.evaluate_table(predictions, truth, labels, SPACING_MM)


def test_the_truth_itself_scores_perfectly(truth: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
    row = metrics.evaluate_case(truth, truth > 0, truth, labels, SPACING_MM)
    perfect = dict.fromkeys(metrics.METRIC_KEYS, 1.0)
    perfect |= {key: math.inf for key in metrics.METRIC_KEYS if key.startswith("psnr")}
    perfect |= {"mae_in_mask_hu": 0.0, "hd95_mm": 0.0, "assd_mm": 0.0}
    assert dict(row.items()) == pytest.approx(perfect, abs=1e-9)
    assert [vertebra.dice for vertebra in row.per_vertebra] == [1.0, 1.0]
    assert not row.prediction_is_empty


def test_the_blank_row_has_no_bone_and_yet_a_high_global_ssim(full_table: metrics.MetricsTable) -> None:
    blank = full_table["blank"]
    assert blank.prediction_is_empty
    assert (blank.dice, blank.nsd_2mm, blank.cosine_similarity) == (0.0, 0.0, 0.0)
    assert (blank.hd95_mm, blank.assd_mm) == (math.inf, math.inf)
    assert blank.ssim_in_mask < 0.02 < blank.ssim_2d


def test_one_voxel_shift_along_z_follows_the_hand_calculation(
    truth: NDArray[np.float32], labels: NDArray[np.uint8]
) -> None:
    """Of each block's 6 slices 5 overlap; the surface moves by the z spacing of 2 mm."""
    shifted = np.roll(truth, 1, axis=0)
    row = metrics.evaluate_case(shifted, shifted > 0, truth, labels, SPACING_MM)
    assert row.dice == pytest.approx(5 / 6)
    assert row.hd95_mm == pytest.approx(2.0)
    assert row.nsd_2mm == 1.0
    assert row.nsd_1mm < 0.9
    assert row.mae_in_mask_hu == pytest.approx(1300 * np.abs(shifted - truth)[truth > 0].mean(), rel=1e-6)
    assert [vertebra.centroid_error_mm for vertebra in row.per_vertebra] == pytest.approx([2.0, 2.0])


def test_the_window_width_scales_only_the_error_in_hu(truth: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
    prediction = 0.9 * truth
    wide = metrics.evaluate_case(prediction, truth > 0, truth, labels, SPACING_MM, window_width_hu=2600.0)
    usual = metrics.evaluate_case(prediction, truth > 0, truth, labels, SPACING_MM)
    assert wide.mae_in_mask_hu == pytest.approx(2 * usual.mae_in_mask_hu)
    assert wide.psnr_3d_db == usual.psnr_3d_db


def test_rows_come_as_model_blank_atlas_whatever_the_order_given(full_table: metrics.MetricsTable) -> None:
    assert full_table.names == ("tomoray", "blank", "mean_atlas")
    assert full_table["tomoray"].dice > full_table["mean_atlas"].dice > full_table["blank"].dice
    with pytest.raises(KeyError, match="no row 'x2ct'; it has tomoray, blank, mean_atlas"):
        full_table["x2ct"]


def test_columns_rows_and_keys_name_the_same_metrics_in_the_same_order() -> None:
    names = tuple(field.name for field in fields(metrics.MetricsRow))
    assert names[: len(metrics.METRIC_KEYS)] == metrics.METRIC_KEYS
    assert names[len(metrics.METRIC_KEYS) :] == ("per_vertebra", "prediction_is_empty", "shift")
    lower_is_better = [column.key for column in metrics.METRIC_COLUMNS if not column.higher_is_better]
    assert lower_is_better == ["mae_in_mask_hu", "hd95_mm", "assd_mm"]
    assert all(column.meaning.endswith(".") for column in metrics.METRIC_COLUMNS)


def test_a_row_reads_like_a_mapping(full_table: metrics.MetricsTable) -> None:
    row = full_table["tomoray"]
    assert row["dice"] == row.dice == dict(row)["dice"]
    with pytest.raises(KeyError, match="'psnr' is not a metric; expected one of psnr_3d_db"):
        row["psnr"]


def test_a_column_prints_its_unit_decimals_and_undefined_values() -> None:
    column = next(column for column in metrics.METRIC_COLUMNS if column.key == "hd95_mm")
    assert column.heading == "HD95 (mm)"
    assert [column.format(value) for value in (2.345, math.inf, math.nan)] == ["2.3", "∞", "–"]


def test_json_holds_null_for_infinite_and_undefined_values(full_table: metrics.MetricsTable) -> None:
    content = json.loads(json.dumps(full_table.to_json_dict(), allow_nan=False))
    assert list(content) == ["rows", "shifts", "per_vertebra", "flags", "settings"]
    assert list(content["rows"]) == ["tomoray", "blank", "mean_atlas"]
    assert content["rows"]["blank"]["hd95_mm"] is None
    assert content["rows"]["tomoray"]["dice"] == full_table["tomoray"].dice
    shift = full_table["tomoray"].shift
    assert shift is not None
    assert content["shifts"]["tomoray"] == shift.to_json_dict()
    assert content["shifts"]["blank"]["left_mm"] is None
    assert [vertebra["name"] for vertebra in content["per_vertebra"]["tomoray"]] == ["L1", "L2"]
    assert content["per_vertebra"]["blank"][0]["hd95_mm"] is None
    assert content["per_vertebra"]["blank"][0]["assd_mm"] is None
    assert content["flags"]["blank"] == {"prediction_is_empty": True, "infinite": ["hd95_mm", "assd_mm"]}
    assert content["flags"]["tomoray"] == {"prediction_is_empty": False, "infinite": []}
    settings = content["settings"]
    assert (settings["window_width_hu"], settings["spacing_mm"], settings["n"]) == (1300.0, [0.5, 1.0, 2.0], 1)
    assert settings["fov_mm"] == [14.0, 20.0, 48.0]


def test_csv_reads_back_to_the_same_numbers(full_table: metrics.MetricsTable) -> None:
    lines = list(csv.DictReader(io.StringIO(full_table.to_csv())))
    assert [line["row"] for line in lines] == ["tomoray", "blank", "mean_atlas"]
    for line in lines:
        for key, value in full_table[line["row"]].items():
            assert float(line[key]) == value or math.isnan(value)
    vertebrae = list(csv.DictReader(io.StringIO(full_table.per_vertebra_to_csv())))
    expected = [(name, row) for name in full_table.names for row in full_table[name].per_vertebra]
    assert [(line["row"], line["name"]) for line in vertebrae] == [(name, row.name) for name, row in expected]
    for line, (_, row) in zip(vertebrae, expected, strict=True):
        for key in ("dice", "hd95_mm", "assd_mm", "nsd_1mm", "nsd_2mm"):
            assert float(line[key]) == getattr(row, key)


def test_each_vertebra_is_scored_for_the_model_and_both_floors(full_table: metrics.MetricsTable) -> None:
    for name in ("tomoray", "blank", "mean_atlas"):
        assert [row.name for row in full_table[name].per_vertebra] == ["L1", "L2"]
    for model, blank, atlas in zip(*(full_table[name].per_vertebra for name in full_table.names), strict=True):
        assert model.dice > atlas.dice > blank.dice == blank.nsd_2mm == 0.0
        assert model.assd_mm < atlas.assd_mm < blank.assd_mm == math.inf


def test_a_spine_whose_vertebrae_are_not_told_apart_scores_as_a_whole_only(
    truth: NDArray[np.float32], labels: NDArray[np.uint8]
) -> None:
    whole = np.where((labels > 0) & (labels < 26), WHOLE_SPINE_LABEL, labels).astype(np.uint8)
    shifted = np.roll(truth, 1, axis=0)
    told_apart = metrics.evaluate_case(shifted, shifted > 0, truth, labels, SPACING_MM)
    row = metrics.evaluate_case(shifted, shifted > 0, truth, whole, SPACING_MM)
    assert row.per_vertebra == ()
    assert dict(row) == dict(told_apart)


def test_a_prediction_one_voxel_short_is_refused(truth: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
    expected = r"\(24, 20, 28\); got \(23, 20, 28\)\. Resample it to the truth's grid"
    with pytest.raises(ValueError, match=r"prediction must have .*" + expected):
        metrics.evaluate_case(truth[1:], truth > 0, truth, labels, SPACING_MM)
    with pytest.raises(ValueError, match=r"prediction_mask must have .*" + expected):
        metrics.evaluate_case(truth, truth[1:] > 0, truth, labels, SPACING_MM)
    with pytest.raises(ValueError, match=r"truth_labels must have .*" + expected):
        metrics.evaluate_case(truth, truth > 0, truth, labels[1:], SPACING_MM)


def test_values_that_were_not_windowed_are_refused(truth: NDArray[np.float32], labels: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"prediction must be finite and scaled to \[0, 1\]; got values from -250"):
        metrics.evaluate_case(1300 * truth - 250, truth > 0, truth, labels, SPACING_MM)
    broken = truth.copy()
    broken[3, 3, 3] = np.nan
    with pytest.raises(ValueError, match=r"truth must be finite .* got values from nan to nan"):
        metrics.evaluate_case(truth, truth > 0, broken, labels, SPACING_MM)


def test_masks_labels_and_settings_of_the_wrong_kind_are_refused(
    truth: NDArray[np.float32], labels: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match=r"must be boolean; got float32\. Threshold it: mask > 0\.5"):
        metrics.evaluate_case(truth, truth, truth, labels, SPACING_MM)
    with pytest.raises(ValueError, match=r"whole numbers \(VerSe: 1-25, 28\); got bool"):
        metrics.evaluate_case(truth, truth > 0, truth, labels > 0, SPACING_MM)
    with pytest.raises(ValueError, match=r"Drop batch and channel axes"):
        metrics.evaluate_case(truth, truth > 0, truth[None], labels, SPACING_MM)
    with pytest.raises(ValueError, match=r"spacing_mm must be three numbers above 0"):
        metrics.evaluate_case(truth, truth > 0, truth, labels, (1.0, 1.0, -1.0))
    with pytest.raises(ValueError, match=r"window_width_hu must be above 0; got 0"):
        metrics.evaluate_case(truth, truth > 0, truth, labels, SPACING_MM, window_width_hu=0)
    with pytest.raises(ValueError, match="'blank' is made by the table itself"):
        metrics.evaluate_table({"blank": (truth, truth > 0)}, truth, labels, SPACING_MM)


def test_a_truth_without_vertebrae_gives_undefined_scores_not_an_error(truth: NDArray[np.float32]) -> None:
    nothing = np.zeros(SHAPE, dtype=np.uint8)
    row = metrics.evaluate_case(truth, truth > 0, np.zeros_like(truth), nothing, SPACING_MM)
    assert row.per_vertebra == ()
    assert row.hd95_mm == math.inf
    assert math.isnan(row.mae_in_mask_hu)
    assert (row.dice, row.cosine_similarity) == (0.0, 0.0)


def test_rows_scored_together_equal_each_alone_whatever_the_threads(
    truth: NDArray[np.float32], labels: NDArray[np.uint8]
) -> None:
    grey = {"model": ndimage.gaussian_filter(truth, 0.7), "blank": np.zeros_like(truth)}
    grey["moved"] = np.roll(truth, (1, -2, 3), axis=(0, 1, 2))
    predictions = [Prediction(one, one > 0.3) for one in grey.values()]
    before = allowed_threads()
    found = []
    for count in (1, 2):
        allow_threads(count)
        try:
            reference = metrics.prepare_truth(truth, labels, SPACING_MM)
            found += [score_all(reference, predictions), [score(reference, one) for one in predictions]]
        finally:
            allow_threads(before)
    as_text = [repr(rows) for rows in found]  # NaN is not equal to itself
    assert as_text[1:] == as_text[:1] * 3


def test_the_blank_row_equals_an_empty_volume_scored_as_a_model(
    full_table: metrics.MetricsTable, truth: NDArray[np.float32], labels: NDArray[np.uint8]
) -> None:
    nothing = np.zeros_like(truth)
    row = metrics.evaluate_case(nothing, nothing > 0, truth, labels, SPACING_MM)
    assert repr(row) == repr(full_table["blank"])
