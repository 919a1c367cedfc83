"""What the commands of ``tomoray`` share: the types of their options, the console, and how a command ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console

from TomoRayLib.cli.display import Display
from TomoRayLib.geometry.presets import PRESETS
from TomoRayLib.jobs.events import Emit
from TomoRayLib.jobs.failures import NOTHING_WRITTEN, run_guarded
from TomoRayLib.jobs.worker import print_event

console = Console(stderr=True)

Out = Annotated[Path, typer.Option(help="Folder for the results; they appear there whole or not at all.")]
Geometry = Annotated[
    Optional[str], typer.Option(help=f"Preset ({', '.join(PRESETS)}) or a JSON file with both views.")  # noqa: UP045
]
Millimetres = Optional[float]  # noqa: UP045
Sad = Annotated[Millimetres, typer.Option(help="Source to isocentre in mm.")]
Sid = Annotated[Millimetres, typer.Option(help="Source to detector in mm.")]
Spacing = Annotated[
    Optional[tuple[float, float]],  # noqa: UP045
    typer.Option(help="Pixel spacing at the detector in mm: ROW COLUMN.", metavar="ROW COLUMN"),
]
Size = Annotated[
    Optional[tuple[int, int]],  # noqa: UP045
    typer.Option(help="Detector size in pixels, for rendering: ROWS COLUMNS.", metavar="ROWS COLUMNS"),
]
Isocenter = Annotated[
    Optional[tuple[float, float, float]],  # noqa: UP045
    typer.Option(help="Isocentre in the patient's LPS mm: X Y Z.", metavar="X Y Z"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line instead of bars and tables.")]
Model = Annotated[Optional[str], typer.Option(help="Model id; see 'tomoray models'.")]  # noqa: UP045
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:<number>.")]
OptionalPath = Optional[Path]  # noqa: UP045
Number = Optional[float]  # noqa: UP045
OptionalText = Optional[str]  # noqa: UP045
WholeNumber = Optional[int]  # noqa: UP045


def finish(work: Callable[[Emit], None], as_json: bool, left_behind: str = NOTHING_WRITTEN) -> None:
    """Run ``work`` with the display asked for, and leave with its exit code."""
    if as_json:
        raise typer.Exit(run_guarded(lambda: work(print_event), print_event, left_behind))
    with Display(console) as display:
        code = run_guarded(lambda: work(display), display, left_behind)
    display.close()
    raise typer.Exit(code)
