"""Averaged weights kept along a run: the best on real people, and every so many steps."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from support.labelled_cts import a_labelled_ct
from support.training_runs import ANATOMY, STREAM, TINY, a_config, content_of, rows_of
from TomoRayLib.training.engine.checkpoints import averaged_geolift, averaged_weights
from TomoRayLib.training.engine.losses import LossWeights
from TomoRayLib.training.engine.snapshots import PEOPLE, best_merit, mean_over_people, merit
from TomoRayLib.training.engine.trainer import moving_average, train
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.engine.validation import phantom_cases, real_case, scores_of_field
from TomoRayLib.training.publishing import mean_weights

COUNTING = dataclasses.replace(TINY, counts=True)


def for_steps(steps: int) -> TrainingConfig:
    config = a_config(1, minutes=1e9, network=COUNTING, loss=LossWeights(count=0.3), peak_lr=1e-2, ema_decay=0.5)
    return dataclasses.replace(config, steps=steps, validate_every_steps=2, keep_every_steps=3)


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps, scored after 2, 4 and 6 on two people, one of them with a vertebra more, and on a phantom."""
    out = tmp_path_factory.mktemp("snapshots") / "run"
    people = [
        real_case(name, *a_labelled_ct(labels), size=32, field_size=8)
        for name, labels in (("short", (20, 21, 22, 23)), ("long", (19, 20, 21, 22, 23)))
    ]
    cases = [*people, *phantom_cases(ANATOMY, STREAM, 1, field_size=8)]
    train(for_steps(6), STREAM, ANATOMY, cases, out)
    return out


def test_the_mean_of_the_real_people_is_a_row_of_its_own(a_run: Path) -> None:
    rows = rows_of(a_run / "validation.csv")
    assert [row["case"] for row in rows] == 3 * ["short", "long", "phantom 1", PEOPLE]
    for first in (0, 4, 8):
        short, long, _, mean = rows[first : first + 4]
        for column in ("cosine_similarity", "dice", "gain_db", "named", "level_error", "centroid_mm"):
            assert float(mean[column]) == pytest.approx((float(short[column]) + float(long[column])) / 2, rel=1e-3)
    assert rows[2]["named"] == ""  # its scene has no labels


def test_the_best_weights_are_those_of_the_best_mean(a_run: Path) -> None:
    rows = [row for row in rows_of(a_run / "validation.csv") if row["case"] == PEOPLE]
    merits = [merit({name: float(row[name]) for name in ("cosine_similarity", "dice")}) for row in rows]
    best = max(range(3), key=lambda index: merits[index])
    content = content_of(a_run / "best.ckpt")
    assert content["progress"]["steps"] == int(rows[best]["step"])
    assert best_merit(a_run) == pytest.approx(merits[best], abs=1e-4)
    assert best_merit(a_run / "elsewhere") == -math.inf


def test_worse_weights_do_not_replace_the_best(a_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for name in ("last.ckpt", "best.ckpt"):
        (out / name).write_bytes((a_run / name).read_bytes())
    content = content_of(out / "best.ckpt") | {"merit": 2.0}
    torch.save(content, out / "best.ckpt")
    people = [real_case("short", *a_labelled_ct(), size=32)]
    train(for_steps(8), STREAM, ANATOMY, people, out, resume=True)
    assert content_of(out / "best.ckpt")["merit"] == 2.0


def test_kept_weights_are_small_and_can_be_averaged_and_started_from(a_run: Path, tmp_path: Path) -> None:
    kept = sorted((a_run / "kept").iterdir())
    assert [path.name for path in kept] == ["step-0000003.ckpt", "step-0000006.ckpt"]
    _, last = averaged_weights(a_run / "last.ckpt")
    config, of_last_step = averaged_geolift(kept[1])
    assert config == COUNTING
    for name, value in of_last_step.items():
        assert value.dtype == torch.float16
        torch.testing.assert_close(value.float(), last[name], atol=1e-3, rtol=1e-3, msg=name)
    _, mean = mean_weights(kept)
    first = averaged_weights(kept[0])[1]
    torch.testing.assert_close(
        mean["counter.weight"], (first["counter.weight"] + last["counter.weight"]) / 2, atol=1e-3, rtol=1e-3
    )
    started = train(
        dataclasses.replace(for_steps(1), start_from=str(kept[0]), peak_lr=1e-12), STREAM, ANATOMY, [], tmp_path / "run"
    )
    assert content_of(started)["sources"] == content_of(kept[0])["sources"]
    torch.testing.assert_close(
        averaged_weights(started)[1]["counter.weight"], first["counter.weight"].float(), atol=1e-4, rtol=1e-3
    )


def test_phantoms_alone_have_no_mean_of_people() -> None:
    cases = phantom_cases(ANATOMY, STREAM, 1)
    assert mean_over_people({cases[0].name: {"dice": 0.5}}, cases) is None


def test_a_score_that_one_person_lacks_is_the_mean_of_the_others() -> None:
    ct, labels = a_labelled_ct()
    people = [real_case(name, ct, labels, size=16) for name in "ab"]
    scores = {"a": {"dice": 0.5}, "b": {"dice": 0.75, "named": 0.9}, "phantom": {"dice": 0.0}}
    assert mean_over_people(scores, people) == {"dice": 0.625, "named": 0.9}


def test_a_field_off_by_one_vertebra_names_none_and_one_off_by_a_third_names_all() -> None:
    truth = torch.rand(1, 4, 6, 5, 4)
    known = torch.zeros(1, 1, 6, 5, 4)
    known[..., 2:4, 1:4, 2] = 1.0
    away = truth.clone()
    away[:, 3] += 2 / 6 * known[:, 0] - 9.0 * (1 - known[:, 0])  # two vertebrae, and nonsense outside
    away[:, 0] += 0.5  # 16 mm
    assert scores_of_field(away, truth, known) == pytest.approx(
        {"named": 0, "level_error": 2, "centroid_mm": 16}, abs=1e-3
    )
    near = truth.clone()
    near[:, 3] -= 2 / 6 / 6
    assert scores_of_field(near, truth, known)["named"] == 1.0


def test_a_slow_average_follows_the_first_steps_and_then_hardly_moves() -> None:
    update = moving_average(0.9995)
    averaged, current = [torch.zeros(3)], [torch.ones(3)]
    update(averaged, current, torch.tensor(0))
    torch.testing.assert_close(averaged[0], torch.full((3,), 0.9))
    averaged = [torch.zeros(3)]
    update(averaged, current, torch.tensor(100_000))
    torch.testing.assert_close(averaged[0], torch.full((3,), 0.0005), atol=1e-8, rtol=1e-3)


def test_a_negative_number_of_steps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"keep_every_steps must be 0 \(none\) or above; got -1"):
        TrainingConfig(keep_every_steps=-1)
