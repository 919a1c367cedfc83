"""The anatomy that samples are drawn from: spines and bodies of phantoms, and real labelled CTs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.subjects import is_of_subjects
from TomoRayLib.training.data.held_out import VALIDATION_PEOPLE, VALIDATION_SUBJECTS, is_held_out_for_ever
from TomoRayLib.training.data.labelled_bodies import LabelledBody
from TomoRayLib.training.data.licences import (
    BODIES,
    CASES,
    LABELLED_BODIES,
    SHAPES,
    SourceUse,
    is_permissive,
    merged,
    uses_of,
)
from TomoRayLib.training.data.training_cases import TrainingCases
from TomoRayLib.training.phantoms.bodies import Body, body_name, load_body
from TomoRayLib.training.phantoms.myo_sim import find_myo_sim, read_myo_sim_spine
from TomoRayLib.training.phantoms.procedural import procedural_bodies
from TomoRayLib.training.phantoms.scene import body_fits
from TomoRayLib.training.phantoms.spines import Spine, load_spine, spine_name

MINIMUM_LEVELS = 5
NO_SPINE = (
    "Expected at least one spine to make phantoms of, got none that is not held out. Add label maps of other subjects "
    f"than {', '.join(VALIDATION_SUBJECTS)}, or hold out fewer (held out or watched cases)."
)


@dataclass(frozen=True)
class Anatomy:
    """The spines and bodies that phantoms are made of, and the real labelled CTs that join them.

    ``spines_trained_on`` marks a validation whose spines are those of the training, see ``split``.
    """

    spines: tuple[Spine, ...] = ()
    bodies: tuple[Body, ...] = ()
    cohort: TrainingCases | None = None
    spines_trained_on: bool = False

    def split(self, held_out: tuple[str, ...] = VALIDATION_SUBJECTS) -> tuple[Anatomy, Anatomy]:
        """(training, validation) by the spine's subject; both use the same bodies, and only the first the real CTs.

        ``held_out`` may name cases of a cohort as well, whose label maps and bodies are then not trained on. If no
        spine is of a held-out subject, the validation has the spines of the training and its ``spines_trained_on`` is
        true: its phantoms then say nothing about other patients.
        """
        bodies = tuple(body for body in self.bodies if not is_of_subjects(body.name, held_out))
        spines = usable_spines(self.spines, bodies)
        kept = tuple(spine for spine in spines if not is_of_subjects(spine.name, held_out))
        rest = tuple(spine for spine in spines if is_of_subjects(spine.name, held_out))
        return Anatomy(kept, bodies, self.cohort), Anatomy(rest or kept, bodies, spines_trained_on=not rest)

    def check_trainable(self) -> None:
        """Raise InputError if there is neither a spine nor a cohort to make samples from."""
        if not self.spines and self.cohort is None:
            raise InputError(NO_SPINE)

    def sources(self) -> tuple[SourceUse, ...]:
        """The data sets that all of it comes from, with their licences."""
        labelled = self.cohort.cases if self.cohort is not None else []
        cases = [case.name for case in labelled if not isinstance(case, LabelledBody)]
        own_spines = [case.name for case in labelled if isinstance(case, LabelledBody)]
        shapes, bodies = [spine.name for spine in self.spines], [body.name for body in self.bodies]
        return merged(
            [
                *uses_of(SHAPES, shapes),
                *uses_of(BODIES, bodies),
                *uses_of(CASES, cases),
                *uses_of(LABELLED_BODIES, own_spines),
            ]
        )

    def draw(self, rng: np.random.Generator) -> tuple[Spine, Body]:
        """A spine and a body that share enough levels. Raises InputError if there is no spine."""
        if not self.spines:
            raise InputError(NO_SPINE)
        while True:
            spine = self.spines[int(rng.integers(len(self.spines)))]
            fitting = [body for body in self.bodies if body_fits(spine, body, MINIMUM_LEVELS)]
            if fitting:
                return spine, fitting[int(rng.integers(len(fitting)))]


def load_anatomy(data: Path, permissive: bool = False, myo_sim: bool = False, procedural_count: int = 0) -> Anatomy:
    """Read ``data/labelmaps`` and ``data/bodies``. Spines without at least five levels in some body are left out.

    ``myo_sim`` adds that package's spine, and there need be no label maps then; ``procedural_count`` analytical
    bodies join the real ones, and there need be none of those. ``permissive`` leaves out every file whose source is
    not known to allow commercial use (``data.licences``). Bodies of people held out (``data.held_out``) are not read.
    """
    label_files, all_label_files = _label_files(data, permissive), _label_files(data)
    body_files = _body_files(data)
    found = f"{len(all_label_files)} and {len(body_files)}"
    if permissive:
        body_files = [path for path in body_files if is_permissive("body", body_name(path))]
        found += f", of which {len(label_files)} and {len(body_files)} are known to allow commercial use"
    if not (body_files or procedural_count) or not (label_files or myo_sim):
        raise InputError(
            f"Training needs label maps in {data / 'labelmaps'} and torso CTs in {data / 'bodies'} (*.nii.gz); got "
            f"{found}. Give the folder of data that holds both; in [data] myo_sim = true replaces label maps, "
            f"procedural_bodies = 20 bodies.",
            field="data",
        )
    bodies = tuple(load_body(path) for path in body_files) + procedural_bodies(procedural_count)
    spines = load_spines(data, permissive, myo_sim)
    usable = usable_spines(spines, bodies)
    if not usable:
        raise InputError(
            f"Expected a label map that shares at least {MINIMUM_LEVELS} levels with a body, got none in {data}. Add "
            f"bodies of the same part of the spine; their levels are listed in training/phantoms/body_levels.py."
        )
    return Anatomy(usable, bodies)


def load_spines(data: Path, permissive: bool = False, myo_sim: bool = False) -> tuple[Spine, ...]:
    """The spines of ``load_anatomy`` whether or not a body fits them. There may be none."""
    extra = (read_myo_sim_spine(find_myo_sim(data)),) if myo_sim else ()
    return tuple(load_spine(path) for path in _label_files(data, permissive)) + extra


def usable_spines(spines: Iterable[Spine], bodies: tuple[Body, ...]) -> tuple[Spine, ...]:
    """The spines that share at least five levels, or all that they have, with one of the bodies."""
    return tuple(spine for spine in spines if any(body_fits(spine, body, MINIMUM_LEVELS) for body in bodies))


def _body_files(data: Path) -> list[Path]:
    """The CTs in ``data/bodies``, less those of people held out for ever or for validation."""
    files = sorted((data / "bodies").glob("*.nii.gz"))
    names = [body_name(path) for path in files]
    return [
        path
        for path, name in zip(files, names, strict=True)
        if not is_held_out_for_ever(name) and not is_of_subjects(name, VALIDATION_PEOPLE)
    ]


def _label_files(data: Path, permissive: bool = False) -> list[Path]:
    files = sorted((data / "labelmaps").glob("*.nii.gz"))
    return [path for path in files if not permissive or is_permissive("spine", spine_name(path))]


def with_procedural_bodies(anatomy: Anatomy, count: int, only: bool = False, seed: int = 0) -> Anatomy:
    """``anatomy`` with ``count`` procedural bodies added to its own, or instead of them (``only``).

    Raises InputError for a negative count, and for zero if no real body is left.
    """
    if count < 0 or (count == 0 and (only or not anatomy.bodies) and anatomy.spines):
        raise InputError(
            f"Expected at least {1 if only or not anatomy.bodies else 0} procedural bodies, got {count}; without any, "
            f"phantoms need real torso CTs in bodies/."
        )
    made = procedural_bodies(count, seed)
    return replace(anatomy, bodies=made if only else anatomy.bodies + made)
