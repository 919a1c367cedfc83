"""A training run as a TOML file: its data and its stages. docs/training.md explains every key.

The file follows the dataclasses below: a key is a field's name, a table a dataclass. A key that does not exist is an
error that names it, so that a misspelt one never trains with a silent default.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.toml_files import read_toml
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.engine.trainer_config import TrainingConfig

RECIPE = Path(__file__).with_name("recipes") / "phantoms.toml"  # for a training without a configuration
SEED_STEP = 1_000_003  # between the seeds of a run's stages, so that none sees the phantoms of another


@dataclass(frozen=True)
class WatchedCase:
    """A labelled CT that is scored at every validation and never trained on: its name and the paths of its files."""

    name: str
    ct: str
    labels: str


@dataclass(frozen=True)
class DataConfig:
    """Where samples come from; paths are relative to the folder of the data, by default the configuration's own.

    ``phantoms`` holds labelmaps/ and bodies/; ``cohorts`` are folders of labelled CTs. ``labelled_bodies`` is a folder
    of label volumes (NAME/vertebrae.nrrd or NAME_labels.nii.gz) of the bodies' own spines, which are then trained on as
    labelled CTs are.
    ``held_out`` names cases of the cohorts that are scored at every validation and never trained on, ``watched`` single
    files for the same. ``myo_sim`` adds that package's spine to the phantoms', or is the only one;
    ``procedural_bodies`` analytical bodies join those in bodies/, or replace them if there are none. ``permissive``
    leaves out every source not known to allow commercial use.
    """

    phantoms: str | None = None
    cohorts: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    phantom_cases: int = 4
    myo_sim: bool = False
    permissive: bool = False
    procedural_bodies: int = 0
    watched: tuple[WatchedCase, ...] = ()
    labelled_bodies: str | None = None

    def __post_init__(self) -> None:
        if self.procedural_bodies < 0:
            raise InputError(f"data.procedural_bodies must be 0 or more; got {self.procedural_bodies}.")
        if self.phantoms is None and not self.cohorts:
            raise InputError("data must name phantoms (a folder), cohorts (a list of folders), or both; got neither.")
        if self.labelled_bodies is not None and self.phantoms is None:
            raise InputError("labelled_bodies needs phantoms, the folder with the bodies/ that were labelled.")
        if self.myo_sim and self.phantoms is None:
            raise InputError("myo_sim needs phantoms, the folder with the bodies/ that its spine is set into.")


@dataclass(frozen=True)
class StageConfig:
    """One stage: its name (also its folder), its training and its samples.

    ``epochs`` sets the budget in passes over the cohort's training cases, in place of training.minutes or steps.
    ``phantom_cases`` replaces that of the data.
    """

    name: str
    epochs: int | None = None
    phantom_cases: int | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)


@dataclass(frozen=True)
class RunConfig:
    """A run: stages one after the other, each starting from the one before, each in a folder of its own."""

    data: DataConfig
    stages: tuple[StageConfig, ...]

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) != len(names):
            raise InputError(f"stages must be at least one, each with a name of its own; got the names {names}.")


def read_config(path: Path) -> RunConfig:
    """The run in a TOML file. Raises InputError that names the key or the line that is wrong."""
    return read_toml(RunConfig, path)
