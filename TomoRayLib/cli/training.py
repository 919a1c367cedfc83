"""The commands of ``tomoray`` that train, publish, and draw pictures of training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from TomoRayLib.base.errors import InputError
from TomoRayLib.cli.display import print_line
from TomoRayLib.cli.options import OptionalPath, WholeNumber
from TomoRayLib.cli.running import console, finish
from TomoRayLib.jobs.events import Emit

if TYPE_CHECKING:
    from TomoRayLib.training.config_file import WatchedCase

Number = Optional[float]  # noqa: UP045
OptionalText = Optional[str]  # noqa: UP045
KEPT_IN_THE_RUN = "checkpoints made so far are kept; run the same command again to resume"
OPTIONS = {  # of ``train``, by the setting that each replaces
    "data": "--data",
    "minutes": "--minutes",
    "out": "--out",
    "seed": "--seed",
    "stages": "--stages",
    "start_from": "--start-from",
    "watch": "--watch",
    "workers": "--workers",
}


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    config: Annotated[
        OptionalPath,
        typer.Argument(
            metavar="CONFIG", help="A run as a TOML file, see docs/training.md. (Default: the built-in one.)"
        ),
    ] = None,
    data: Annotated[
        OptionalPath, typer.Option(help="Folder that CONFIG's data paths start from. (Default: the folder of CONFIG.)")
    ] = None,
    minutes: Annotated[
        Number, typer.Option(help="Budget for all stages together, each keeping its share. (Built-in: 85.)")
    ] = None,
    watch: Annotated[
        list[str],  # each NAME=CT,LABELS
        typer.Option(help="Real labelled CT to score at every validation, never trained on.", metavar="NAME=CT,LABELS"),
    ] = [],  # noqa: B006
    seed: Annotated[WholeNumber, typer.Option(help="Seed of phantoms and weights. (Built-in: 1.)")] = None,
    start_from: Annotated[
        OptionalPath, typer.Option(help="Checkpoint of an earlier run, or weights, to start the first stage from.")
    ] = None,
    stages: Annotated[OptionalText, typer.Option(help="Names of the stages to train: 48,96. (Default: all.)")] = None,
    workers: Annotated[
        WholeNumber, typer.Option(help="Processes that make samples. (Default: 1; on a GPU all cores but one, or 0.)")
    ] = None,
) -> None:
    """Train on phantoms and real CTs as a configuration describes, by default the built-in one on phantoms alone.

    Options replace single settings of the configuration. Run the same command again to resume a run that was stopped.
    Needs the extra 'train'.
    """

    def work(emit: Emit) -> None:
        try:
            from TomoRayLib.training.config_file import RECIPE, read_config
            from TomoRayLib.training.engine.processes import is_first_process
            from TomoRayLib.training.overrides import Overrides, overridden
            from TomoRayLib.training.run import run_config
        except ImportError as error:
            raise InputError(f"Training needs the extra 'train' ({error}); in a checkout: make setup.") from None
        if config is None and data is None:
            raise InputError(
                "Expected a configuration, or a folder of data for the built-in one, got neither; give one of them.",
                field="data",
            )
        changes = Overrides(
            minutes=minutes,
            seed=seed,
            workers=workers,
            stages=tuple(stages.split(",")) if stages else (),
            start_from=None if start_from is None else str(start_from.absolute()),
            watched=tuple(_watched(case) for case in watch),
        )
        report = _say if is_first_process(os.environ) else _say_nothing
        run = overridden(read_config(config or RECIPE), changes)
        run_config(run, data or (config or RECIPE).resolve().parent, out, report)

    finish(work, False, KEPT_IN_THE_RUN, OPTIONS)


def train_segmenter(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A run as a TOML file, see docs/training.md.")],
    data: Annotated[Path, typer.Option(help="Folder that CONFIG's data paths start from.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    minutes: Annotated[Number, typer.Option(help="Budget, in place of CONFIG's.")] = None,
) -> None:
    """Train the network behind 'tomoray segment', which finds vertebrae in a CT.

    Run the same command again to resume a run that was stopped. Needs the extra 'train'.
    """

    def work(emit: Emit) -> None:
        try:
            from TomoRayLib.training.segmenter.run import run_segmenter
        except ImportError as error:
            raise InputError(f"Training needs the extra 'train' ({error}); in a checkout: make setup.") from None
        run_segmenter(config, data, out, minutes, _say)

    finish(work, False, KEPT_IN_THE_RUN, OPTIONS)


def publish(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            help="A run's last.ckpt; of several, or of these and published weights (.safetensors), the mean."
        ),
    ],
    command: Annotated[str, typer.Option(help="The training command, for the registry.")],
    data: Annotated[
        OptionalPath, typer.Option(help="The data it was trained on, for the atlas and the lookup table.")
    ] = None,
    model: Annotated[
        OptionalText, typer.Option(help="Id in the registry. (Default: geolift-s; with --segmenter ct-segmenter.)")
    ] = None,
    keep_atlas: Annotated[
        bool, typer.Option("--keep-atlas", help="Keep atlas and table of the model that is there; needs no --data.")
    ] = False,
    based_on: Annotated[
        OptionalText,
        typer.Option(help="Published model whose weights are stored once for both where they are the same."),
    ] = None,
    people: Annotated[OptionalPath, typer.Option(help="held_out.json of Testing/Benchmarks/held_out.py.")] = None,
    described_as: Annotated[
        OptionalText, typer.Option(help="A few words for who chooses: sharper. (Default: those it already has.)")
    ] = None,
    segmenter: Annotated[
        bool, typer.Option("--segmenter", help="The checkpoints are of the network that finds vertebrae in a CT.")
    ] = False,
) -> None:
    """Put trained weights, their mean atlas and their registry entry into Resources/Models."""

    def work(emit: Emit) -> None:
        try:
            from TomoRayLib.training.publishing import Publication, publish_model
            from TomoRayLib.training.publishing_segmenter import SEGMENTER, publish_segmenter
        except ImportError as error:
            raise InputError(f"Publishing needs the extra 'train' ({error}); in a checkout: make setup.") from None
        if segmenter:
            _refuse_with_segmenter(
                {
                    "--data": data is not None,
                    "--keep-atlas": keep_atlas,
                    "--based-on": based_on is not None,
                    "--people": people is not None,
                    "--described-as": described_as is not None,
                }
            )
            publish_segmenter(checkpoints, command, model or SEGMENTER, _say)
            return
        wanted = Publication(model or "geolift-s", command, keep_atlas, based_on, people, described_as)
        publish_model(checkpoints, data, wanted, _say)

    finish(work, False)


def sample_sheet(
    data: Annotated[Path, typer.Option(help="Folder with labelmaps/ and bodies/.")],
    out: Annotated[Path, typer.Option(help="The picture (PNG).")],
    real: Annotated[
        list[Path],
        typer.Option(help="Folder of labelled CTs to show next to the phantoms."),
    ] = [],  # noqa: B006
    count: Annotated[int, typer.Option(help="How many phantoms.")] = 24,
    seed: Annotated[int, typer.Option(help="Seed of the phantoms.")] = 1,
) -> None:
    """Draw random training phantoms, DRRs and slices, next to real CTs."""

    def work(emit: Emit) -> None:
        from TomoRayLib.report.drawing import png_bytes
        from TomoRayLib.training.data.anatomy import load_anatomy
        from TomoRayLib.training.data.scenes_of_cts import load_labelled_ct
        from TomoRayLib.training.data.training_cases import find_labelled_cts
        from TomoRayLib.training.pictures import sample_sheet as drawn_sheet

        cases = [load_labelled_ct(case) for folder in real for case in find_labelled_cts(folder)[0]]
        training, _ = load_anatomy(data).split()  # what training draws from: no held-out spine
        picture = drawn_sheet(training, cases, count, seed)
        _write_picture(out, png_bytes(picture))

    finish(work, False)


def learning_curves(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    out: Annotated[Path, typer.Option(help="The picture (PNG).")],
    score: Annotated[str, typer.Option(help="A column of validation.csv.")] = "cosine_similarity",
) -> None:
    """Draw a run's validation scores over its minutes."""

    def work(emit: Emit) -> None:
        from TomoRayLib.report.drawing import png_bytes
        from TomoRayLib.training.pictures import learning_curves as drawn_curves

        picture = drawn_curves(run, score)
        _write_picture(out, png_bytes(picture))

    finish(work, False)


def _refuse_with_segmenter(is_given: Mapping[str, bool]) -> None:
    """Raises InputError for options of ``publish`` that say something of a model, which a segmenter does not have."""
    given = [option for option, there in is_given.items() if there]
    if given:
        raise InputError(
            f"Expected --segmenter without options for a model alone, got it with {', '.join(given)}; leave "
            f"{'it' if len(given) == 1 else 'them'} out, or --segmenter."
        )


def _write_picture(path: Path, content: bytes) -> None:
    from TomoRayLib.base.files import write_atomically

    with write_atomically(path) as partial:
        partial.write_bytes(content)
    _say(f"Written: {path}")


def _say(line: str) -> None:
    print_line(console, line)


def _say_nothing(line: str) -> None:
    """Stand in for the report in every process but the first."""


def _watched(text: str) -> WatchedCase:
    from TomoRayLib.training.config_file import WatchedCase

    name, _, files = text.partition("=")
    paths = [str(Path(path).absolute()) for path in files.split(",")]
    if not name or len(paths) != 2:
        raise InputError(f"Expected NAME=CT,LABELS with two file paths, got {text!r}.", field="watch")
    return WatchedCase(name, *paths)
