"""The endless stream of samples: each a function of the seed and its number alone, so a stopped run goes on exactly.

Phantoms cost most, so each is X-rayed several times and each X-ray seen with several looks; the uses of one phantom
are spread over the time in which the next ``kept`` ones are made, so that neighbouring samples differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.samples import Sample, Shot, StreamConfig, sample_of_shot, shot_of_scene
from TomoRayLib.training.data.scenes_of_cts import scene_of_case
from TomoRayLib.training.phantoms.scene import Scene, compose_scene

SCENE, SHOT, LOOK, ORDER = range(4)  # what a random generator is for


def sample_order(seed: tuple[int, ...], uses: int, window: int) -> Iterator[tuple[int, int]]:
    """Endless (phantom, use): every phantom's uses 0..uses-1 once, each at a random moment of the ``window`` phantoms
    from its own on. The same seed gives the same order."""
    waiting: list[tuple[float, int, int]] = []
    for phantom in count():
        delays = np.random.default_rng((*seed, ORDER, phantom)).random(uses) * window
        for use, delay in enumerate(delays):
            heappush(waiting, (phantom + float(delay), phantom, use))
        while waiting and waiting[0][0] < phantom + 1:
            _, which, use = heappop(waiting)
            yield which, use


class SampleStream(IterableDataset[Sample]):
    """Endless samples: ``radiographs`` (2, 2, 224, 224), ``cube_to_pixel`` (2, 4, 4), ``geometry`` (2, 6), ``target``
    and ``occupancy`` (1, size, size, size) in [0, 1]. With a ``field_size`` also what tells vertebrae apart, see
    ``samples.counted_of_scene``; if ``imaging``, ``bone_images`` (2, 2, rows, columns), see ``samples.bone_images``.

    ``rank`` is the number of the training process: each draws phantoms of its own. ``batches_done`` batches of
    ``batch_size`` are left out, in the order in which a DataLoader takes them from its workers. Phantoms, X-rays and
    looks are made on ``device``: a GPU if the samples come from the training process itself.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        config: StreamConfig,
        rank: int = 0,
        batches_done: int = 0,
        batch_size: int = 1,
        device: str = "cpu",
        field_size: int = 0,
        imaging: bool = False,
    ) -> None:
        super().__init__()
        self.field_size, self.imaging = field_size, imaging
        self.anatomy, self.config, self.rank = anatomy, config, rank
        self.batches_done, self.batch_size, self.device = batches_done, batch_size, device

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        # Batch b came from worker b % workers, and a new DataLoader begins with worker 0.
        source = (number + self.batches_done) % workers
        skipped = len(range(source, self.batches_done, workers)) * self.batch_size
        return self._samples((self.config.seed, source, self.rank), skipped)

    def _samples(self, seed: tuple[int, ...], skipped: int) -> Iterator[Sample]:
        config = self.config
        scenes: dict[int, Scene] = {}
        shots: dict[tuple[int, int], Shot] = {}
        uses = config.uses * config.shot_uses
        left: dict[int, int] = {}
        looks_left: dict[tuple[int, int], int] = {}
        for index, (phantom, use) in enumerate(sample_order(seed, uses, config.kept)):
            number = use // config.shot_uses
            key = (phantom, number)
            left[phantom] = left.get(phantom, uses) - 1
            looks_left[key] = looks_left.get(key, config.shot_uses) - 1
            if index >= skipped:
                if key not in shots:
                    if phantom not in scenes:
                        scenes[phantom] = self._scene(np.random.default_rng((*seed, SCENE, phantom)))
                    rng = np.random.default_rng((*seed, SHOT, phantom, number))
                    shots[key] = shot_of_scene(scenes[phantom], rng, config, self.field_size, self.imaging)
                yield sample_of_shot(shots[key], np.random.default_rng((*seed, LOOK, phantom, use)), config.appearance)
            if looks_left[key] == 0:
                shots.pop(key, None)
                del looks_left[key]
            if left[phantom] == 0:
                scenes.pop(phantom, None)
                del left[phantom]

    def _scene(self, rng: np.random.Generator) -> Scene:
        config, cohort = self.config, self.anatomy.cohort
        if cohort is not None and (not self.anatomy.spines or rng.random() < config.real_share):
            return scene_of_case(cohort.draw(rng), rng, config.scene, config.phantom, self.device)
        spine, body = self.anatomy.draw(rng)
        return compose_scene(spine, body, rng, config.scene, config.phantom, self.device)
