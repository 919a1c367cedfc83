"""The stream of samples: spread, repeatable, and the same after a stop as without one."""

from __future__ import annotations

import dataclasses
from itertools import islice, pairwise

import pytest
import torch
from torch.utils.data import DataLoader

from support.anatomies import a_coarse_anatomy
from TomoRayLib.training.data import stream
from TomoRayLib.training.data.samples import Sample, StreamConfig
from TomoRayLib.training.data.stream import SampleStream, sample_order
from TomoRayLib.training.phantoms.scene import SceneSize

CONFIG = StreamConfig(size=16, uses=2, kept=3, shot_uses=3, scene=SceneSize(spacing_mm=8.0))
ANATOMY = a_coarse_anatomy()


def same(first: Sample, second: Sample) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_stream_gives_samples_of_the_shapes_and_ranges_promised() -> None:
    config = dataclasses.replace(CONFIG, size=32)
    sample = next(iter(SampleStream(ANATOMY, config)))
    assert {name: tuple(value.shape) for name, value in sample.items()} == {
        "radiographs": (2, 2, 224, 224),
        "cube_to_pixel": (2, 4, 4),
        "geometry": (2, 6),
        "target": (1, 32, 32, 32),
        "occupancy": (1, 32, 32, 32),
    }
    assert all(value.dtype == torch.float32 and bool(torch.isfinite(value).all()) for value in sample.values())
    assert float(sample["target"].min()) >= 0
    assert 0.3 < float(sample["occupancy"].max()) <= 1


def test_a_stream_repeats_itself_by_seed_and_differs_by_process() -> None:
    first, again, other_rank, other_seed = (
        next(iter(SampleStream(ANATOMY, dataclasses.replace(CONFIG, seed=seed), rank)))["radiographs"]
        for seed, rank in ((5, 0), (5, 0), (5, 1), (6, 0))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other_rank)
    assert not torch.equal(first, other_seed)


def test_every_use_of_every_phantom_comes_once_and_neighbours_differ() -> None:
    order = list(islice(sample_order((3,), uses=6, window=8), 600))
    assert len(set(order)) == 600
    finished = [phantom for phantom in range(90) if sum(one == phantom for one, _ in order) == 6]
    assert finished == list(range(90))
    repeats = sum(first[0] == second[0] for first, second in pairwise(order))
    assert repeats < 100  # one in eight by chance; six uses in a row would give 500


def test_a_phantom_is_gone_after_its_window() -> None:
    """Use by use the phantoms at hand stay within window + 1."""
    open_phantoms: dict[int, int] = {}
    most = 0
    for phantom, _ in islice(sample_order((0,), uses=4, window=5), 2000):
        open_phantoms[phantom] = open_phantoms.get(phantom, 4) - 1
        most = max(most, len(open_phantoms))
        open_phantoms = {which: left for which, left in open_phantoms.items() if left}
    assert most <= 6


def test_looks_of_one_xray_share_its_geometry_and_truth_alone() -> None:
    samples = list(islice(SampleStream(ANATOMY, CONFIG), 40))
    kinds: dict[bytes, list[Sample]] = {}
    for sample in samples:
        kinds.setdefault(sample["cube_to_pixel"].numpy().tobytes(), []).append(sample)
    assert 13 <= len(kinds) < 30  # a third of the samples are X-rays of their own, and some are not finished
    assert max(len(looks) for looks in kinds.values()) == 3
    for first, *others in kinds.values():
        for other in others:
            assert torch.equal(first["target"], other["target"])
            assert torch.equal(first["occupancy"], other["occupancy"])
            assert not torch.equal(first["radiographs"], other["radiographs"])


def test_each_phantom_and_each_xray_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for name in ("compose_scene", "shot_of_scene"):
        real = getattr(stream, name)
        monkeypatch.setattr(stream, name, lambda *a, name=name, real=real: made.append(name) or real(*a))
    list(islice(SampleStream(ANATOMY, CONFIG), 60))
    assert 10 <= made.count("compose_scene") <= 10 + CONFIG.kept + 1  # 60 samples of 6 uses
    assert 20 <= made.count("shot_of_scene") <= 20 + 2 * (CONFIG.kept + 1)


@pytest.mark.parametrize("done", [1, 7])
def test_a_stream_goes_on_with_the_sample_after_the_last(done: int) -> None:
    whole = list(islice(SampleStream(ANATOMY, CONFIG), 2 * done + 4))
    rest = list(islice(SampleStream(ANATOMY, CONFIG, batches_done=done, batch_size=2), 4))
    assert all(same(one, other) for one, other in zip(whole[2 * done :], rest, strict=True))


def test_workers_go_on_in_the_order_in_which_they_took_turns() -> None:
    """Two workers, stopped after an odd number of batches: a new loader begins with worker 0, the stream with 1."""

    def batches(done: int, count: int) -> list[Sample]:
        source = SampleStream(ANATOMY, CONFIG, batches_done=done, batch_size=2)
        loader = DataLoader(source, batch_size=2, num_workers=2, worker_init_fn=lambda _: torch.set_num_threads(1))
        return list(islice(loader, count))

    whole, rest = batches(0, 6), batches(3, 3)
    assert all(same(one, other) for one, other in zip(whole[3:], rest, strict=True))


@pytest.mark.parametrize("change", [{"uses": 0}, {"kept": 0}, {"shot_uses": 0}, {"size": 0}])
def test_a_stream_of_nothing_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(change))} 0"):
        dataclasses.replace(CONFIG, **change)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_samples_that_the_cpu_makes() -> None:
    for cpu, gpu in zip(
        islice(SampleStream(ANATOMY, CONFIG), 4), islice(SampleStream(ANATOMY, CONFIG, device="cuda"), 4), strict=True
    ):
        assert gpu["target"].is_cuda
        for name in ("cube_to_pixel", "geometry"):
            torch.testing.assert_close(gpu[name].cpu(), cpu[name])
        torch.testing.assert_close(gpu["occupancy"].cpu(), cpu["occupancy"], atol=0.02, rtol=0)
