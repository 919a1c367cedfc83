"""The training loop, through real Fabric on the CPU: what it writes, how it goes on, and when it refuses to."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from support.training_runs import (
    ANATOMY,
    SECONDS_PER_STEP,
    STREAM,
    TINY,
    a_config,
    assert_equal,
    content_of,
    rows_of,
    run,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.training.data.stream import SampleStream
from TomoRayLib.training.engine import losses
from TomoRayLib.training.engine import trainer as loop
from TomoRayLib.training.engine.adversary import AdversaryConfig
from TomoRayLib.training.engine.checkpoints import averaged_weights
from TomoRayLib.training.engine.trainer import schedule, train
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.engine.validation import phantom_cases
from TomoRayLib.weights import save_weights


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of twelve steps."""
    out = tmp_path_factory.mktemp("run") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        looks = itertools.count()
        monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(looks) * SECONDS_PER_STEP))
        run(a_config(12, validate_every_steps=5), out)
    return out


def test_a_run_leaves_its_checkpoint_configuration_and_logs(a_run: Path) -> None:
    steps = content_of(a_run / "last.ckpt")["progress"]["steps"]
    assert 10 <= steps <= 13
    configuration = json.loads((a_run / "config.json").read_text(encoding="utf-8"))
    assert configuration["training"]["network"]["output_size"] == 32
    assert configuration["stream"]["scene"]["spacing_mm"] == 8.0
    log = rows_of(a_run / "log.csv")
    assert [row["step"] for row in log] == ["10"]
    assert {"seconds", "loss", "intensity", "mask", "projection", "edge"} < set(log[0])
    validation = rows_of(a_run / "validation.csv")
    assert [row["step"] for row in validation] == ["5", "10", str(steps)]
    assert {"case", "cosine_similarity", "dice", "gain_db"} < set(validation[0])


def test_the_averaged_weights_fit_the_network_and_differ_from_the_last_ones(a_run: Path) -> None:
    config, state = averaged_weights(a_run / "last.ckpt")
    assert config == TINY
    GeoLiftUNet(config).load_state_dict(state)
    last = content_of(a_run / "last.ckpt")["model"]
    assert state.keys() == last.keys()
    assert not torch.equal(state["heads.1.weight"], last["heads.1.weight"])


def test_levels_finer_than_those_trained_stay_as_they_were_drawn(a_run: Path) -> None:
    torch.manual_seed(TrainingConfig().seed)
    fresh, last = GeoLiftUNet(TINY).state_dict(), content_of(a_run / "last.ckpt")["model"]
    for name in fresh:
        is_finest = name.startswith(("decoder.0", "heads.0", "reducers.0.0.", "reducers.1.0."))
        assert torch.equal(fresh[name], last[name]) == is_finest, name


def test_a_folder_that_holds_a_run_is_not_written_over(a_run: Path) -> None:
    before = (a_run / "last.ckpt").read_bytes()
    with pytest.raises(ValueError, match="already holds a run"):
        run(a_config(1), a_run)
    assert (a_run / "last.ckpt").read_bytes() == before


def test_a_checkpoint_of_another_architecture_is_refused(a_run: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(TINY, volume_widths=(4, 4, 8, 8, 8))
    config = a_config(1, network=other, start_from=str(a_run / "last.ckpt"))
    with pytest.raises(ValueError, match=r"expected volume_widths \(4, 4, 8, 8, 8\), got volume_widths \("):
        run(config, tmp_path / "started")
    with pytest.raises(ValueError, match="network of another shape"):
        run(a_config(1, network=other), a_run, resume=True)


@pytest.mark.parametrize("trouble", ["loss", "gradient"])
def test_a_loss_or_gradient_that_is_no_number_stops_and_keeps_the_checkpoint(
    a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def broken(prediction: Any, *_: Any) -> tuple[torch.Tensor, dict[str, float]]:
        total = prediction.masked.sum()
        return (total * float("nan") if trouble == "loss" else (total * 0).sqrt()), {"intensity": 0.25}

    out = tmp_path / "run"
    out.mkdir()
    (out / "last.ckpt").write_bytes((a_run / "last.ckpt").read_bytes())
    monkeypatch.setattr(losses, "reconstruction_loss", broken)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    steps = content_of(out / "last.ckpt")["progress"]["steps"]
    of = "" if trouble == "loss" else r" of \w+(\.\w+)*"
    words = rf"The {trouble}{of} is not a number at step {steps + 1} \(.*intensity 0.25\)"
    kept = rf"The checkpoint of step {steps} is kept \({out / 'last.ckpt'}\)"
    with pytest.raises(ValueError, match=rf"{words}\. {kept}.* peak_lr"):
        run(a_config(60), out, resume=True)
    assert (out / "last.ckpt").read_bytes() == (a_run / "last.ckpt").read_bytes()


@pytest.mark.parametrize("level", [0, 1])
def test_the_finest_level_is_trained_on_top_of_the_frozen_rest(a_run: Path, tmp_path: Path, level: int) -> None:
    start = a_run / "last.ckpt"
    config = a_config(3, finest_level=level, freeze_coarse=True, start_from=str(start), weight_decay=0.5)
    last = content_of(run(config, tmp_path / "fine"))["model"]
    _, before = averaged_weights(start)
    own = tuple(f"{part}.{level}" for part in ("decoder", "heads", "reducers.0", "reducers.1"))
    for name in before:
        assert torch.equal(before[name], last[name]) != name.startswith(own), name


@pytest.mark.parametrize("published", [False, True])
def test_weights_without_residual_heads_start_a_network_with_them_from_nothing_to_add(
    a_run: Path, tmp_path: Path, published: bool
) -> None:
    """The finer levels keep their weights; their heads are emptied, unless they were residual before."""
    _, before = averaged_weights(a_run / "last.ckpt")
    start = a_run / "last.ckpt"
    if published:
        start = tmp_path / "published.safetensors"
        save_weights(before, start, {})
    residual = dataclasses.replace(TINY, residual_heads=True)
    config = a_config(1, start_from=str(start), network=residual, peak_lr=1e-12)
    checkpoint = run(config, tmp_path / "residual")
    _, state = averaged_weights(checkpoint)
    assert float(state["heads.1.weight"].abs().max()) < 1e-6
    torch.testing.assert_close(state["decoder.1.widen.weight"], before["decoder.1.widen.weight"], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(state["heads.2.weight"], before["heads.2.weight"], atol=1e-3, rtol=1e-3)
    content = content_of(checkpoint)
    content["ema"]["module.heads.1.weight"] += 1.0
    torch.save(content, tmp_path / "grown.ckpt")
    again = run(dataclasses.replace(config, start_from=str(tmp_path / "grown.ckpt")), tmp_path / "again")
    assert float(averaged_weights(again)[1]["heads.1.weight"].min()) > 0.9
    with pytest.raises(ValueError, match="network of another shape"):  # what they add would be read as the whole
        run(a_config(1, start_from=str(tmp_path / "grown.ckpt")), tmp_path / "plain")


def test_weights_without_the_image_halfs_parts_start_a_network_with_them(a_run: Path, tmp_path: Path) -> None:
    """They begin with nothing to add; the way back, from weights with them to a network without, is refused."""
    _, before = averaged_weights(a_run / "last.ckpt")
    extended = dataclasses.replace(TINY, image_decoder=True, row_exchange=True)
    start = str(a_run / "last.ckpt")
    config = a_config(1, start_from=start, network=extended, peak_lr=1e-12, loss=losses.LossWeights(image=0.5))
    checkpoint = run(config, tmp_path / "extended")
    _, state = averaged_weights(checkpoint)
    for name, value in before.items():
        torch.testing.assert_close(state[name], value, atol=1e-4, rtol=1e-3, msg=name)
    assert {"image_decoder.added.2.weight", "row_exchange.3.added.0.weight"} < state.keys()
    assert float(state["image_decoder.added.2.weight"].abs().max()) < 1e-6
    with pytest.raises(ValueError, match="network of another shape: expected image_decoder False"):
        run(a_config(1, start_from=str(checkpoint)), tmp_path / "plain")


def test_the_head_of_bone_images_learns_if_their_loss_counts_and_stays_otherwise(a_run: Path, tmp_path: Path) -> None:
    network = dataclasses.replace(TINY, image_decoder=True)
    start = run(a_config(1, start_from=str(a_run / "last.ckpt"), network=network, peak_lr=1e-12), tmp_path / "start")
    before = averaged_weights(start)[1]["bone_imager.weight"]
    for weight, name in ((0.5, "with"), (0.0, "without")):
        loss = losses.LossWeights(image=weight)
        config = a_config(12, start_from=str(start), network=network, loss=loss, weight_decay=0.0)
        after = averaged_weights(run(config, tmp_path / name))[1]["bone_imager.weight"]
        assert bool((after != before).any()) == (weight > 0)
        assert ("image" in rows_of(tmp_path / name / "log.csv")[0]) == (weight > 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": losses.LossWeights(image=0.5), "freeze_coarse": True}, "loss.image trains the encoder"),
        ({"loss": losses.LossWeights(image=0.5), "coarsest_level": 2}, "loss.image trains the encoder"),
        ({"loss": losses.LossWeights(count=0.5), "freeze_coarse": True}, r"loss.count trains the level of 48\^3"),
        ({"loss": losses.LossWeights(count=0.5), "coarsest_level": 1}, r"loss.count trains the level of 48\^3"),
    ],
)
def test_a_loss_of_parts_that_are_frozen_is_refused(changes: dict, said: str) -> None:
    network = dataclasses.replace(TINY, image_decoder=True, counts=True)
    with pytest.raises(ValueError, match=said):
        TrainingConfig(finest_level=1, network=network, **changes)


def test_published_weights_start_the_network_that_they_say_they_are_of(a_run: Path, tmp_path: Path) -> None:
    config, state = averaged_weights(a_run / "last.ckpt")
    start = tmp_path / "published.safetensors"
    save_weights(state, start, {"network": json.dumps(dataclasses.asdict(config) | {"lifting": "replicate"})})
    with pytest.raises(ValueError, match="network of another shape"):
        run(a_config(1, start_from=str(start)), tmp_path / "run")


@pytest.mark.parametrize(("size", "level"), [(24, 1), (32, 0)])
def test_targets_that_do_not_fit_the_volume_are_refused_before_anything_is_made(
    tmp_path: Path, size: int, level: int
) -> None:
    network = dataclasses.replace(TINY, output_size=64 if level == 0 else 32)
    config = a_config(1, network=network, finest_level=level)
    with pytest.raises(ValueError, match=rf"a multiple of the .* voxels that are predicted; got {size}"):
        train(config, dataclasses.replace(STREAM, size=size), ANATOMY, [], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_samples_come_from_a_worker_process_in_mixed_precision(tmp_path: Path) -> None:
    network = dataclasses.replace(TINY, output_size=64)
    config = a_config(2, workers=None, precision="bf16-mixed", finest_level=2, batch_size=2, network=network)
    content = content_of(run(config, tmp_path / "run"))
    made_by = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["training"]["workers"]
    assert made_by >= 1 or torch.cuda.is_available()  # left out: as many as there were, which the samples depend on
    assert content["progress"]["steps"] >= 1
    assert all(bool(torch.isfinite(value).all()) for value in content["model"].values())
    assert all(value.dtype == torch.float32 for value in content["model"].values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="of CPUs alone")
def test_mixed_precision_is_refused_where_its_gradients_are_wrong(tmp_path: Path) -> None:
    config = a_config(1, precision="bf16-mixed", network=dataclasses.replace(TINY, output_size=32))
    with pytest.raises(InputError, match=r"at least 3 voxels an edge .* got 2: .* 32-true, or a larger output_size"):
        train(config, STREAM, ANATOMY, [], tmp_path / "run")


def test_volumes_smaller_than_what_the_discriminator_looks_at_are_refused() -> None:
    with pytest.raises(InputError, match=r"adversary\.weight needs volumes of at least 32 voxels an edge, got 16"):
        a_config(1, finest_level=1, adversary=AdversaryConfig(weight=0.1, crop=32))


def test_in_mixed_precision_the_geometry_reaches_the_network_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounded to bfloat16 a matrix that holds 111.5 pixels times 1000 mm misses its pixel by half a one."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    real = GeoLiftUNet.forward

    def forward(self: GeoLiftUNet, radiographs: torch.Tensor, cube_to_pixel: torch.Tensor, **rest: Any) -> Any:
        seen.append((radiographs, cube_to_pixel))
        return real(self, radiographs, cube_to_pixel, **rest)

    monkeypatch.setattr(GeoLiftUNet, "forward", forward)
    network = dataclasses.replace(TINY, output_size=64)
    config = a_config(1, precision="bf16-mixed", finest_level=2, network=network)
    train(config, STREAM, ANATOMY, [], tmp_path / "run")
    first = next(iter(SampleStream(ANATOMY, STREAM)))
    assert torch.equal(seen[0][1][0], first["cube_to_pixel"])
    assert torch.equal(seen[0][0][0], first["radiographs"])


def test_the_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    first, second = (content_of(run(a_config(3), tmp_path / name)) for name in ("a", "b"))
    assert_equal(first["model"], second["model"])
    assert_equal(first["ema"], second["ema"])


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    assert [schedule(share) for share in (0.0, 0.015, 0.03, 1.0, 1.2)] == pytest.approx([0.01, 0.5, 1.0, 0.0, 0.0])
    rates = [schedule(0.03 + 0.97 * i / 50) for i in range(51)]
    assert rates == sorted(rates, reverse=True)


def test_bfloat16_alone_is_refused() -> None:
    """It would round the geometry, and its averages are kept in another precision than its weights."""
    with pytest.raises(ValueError, match=r"precision must be one of .*; got 'bf16-true'"):
        TrainingConfig(precision="bf16-true")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_on_a_gpu_has_its_samples_from_there_or_from_processes_and_goes_on(tmp_path: Path, workers: int) -> None:
    """With the method's own precision and an adversary, stopped after two steps of four."""
    network = dataclasses.replace(TINY, output_size=64)
    config = a_config(1, minutes=1e9, precision="bf16-mixed", finest_level=0, network=network, workers=workers)
    config = dataclasses.replace(config, steps=2, adversary=AdversaryConfig(weight=0.1, crop=32))
    stream = dataclasses.replace(STREAM, size=64)
    cases = phantom_cases(ANATOMY, stream, 1)
    train(config, stream, ANATOMY, cases, tmp_path / "run")
    checkpoint = train(dataclasses.replace(config, steps=4), stream, ANATOMY, cases, tmp_path / "run", resume=True)
    content = content_of(checkpoint)
    assert content["progress"]["steps"] == 4
    assert all(bool(torch.isfinite(value).all()) for value in content["model"].values())
    assert [row["step"] for row in rows_of(tmp_path / "run" / "validation.csv")] == ["2", "4"]


@pytest.mark.parametrize("change", [{"finest_level": 3}, {"finest_level": 2, "freeze_coarse": True}])
def test_an_impossible_stage_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="finest_level"):
        TrainingConfig(**change)


def test_the_finest_level_alone_needs_a_coarse_stage_to_start_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start_from"):
        run(a_config(1, finest_level=0, freeze_coarse=True), tmp_path / "run")


def test_a_budget_in_steps_is_kept_to_the_step(tmp_path: Path) -> None:
    content = content_of(run(dataclasses.replace(a_config(1), minutes=1e9, steps=3), tmp_path / "run"))
    assert content["progress"]["steps"] == 3
    assert content["stream"] == dataclasses.asdict(STREAM)  # publishing reads the cube and the geometry from it
    assert TrainingConfig(steps=4).spent(steps=1, seconds=1e9) == 0.25


@pytest.mark.parametrize("change", [{"batch_size": 0}, {"steps": 0}, {"minutes": 0.0}])
def test_a_budget_or_batch_of_nothing_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(change))} {next(iter(change.values()))}"):
        TrainingConfig(**change)
