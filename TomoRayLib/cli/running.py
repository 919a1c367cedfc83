"""How a command runs: its events shown, its failure told in the words of its options, its exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer
from rich.console import Console

from TomoRayLib.cli.display import Display
from TomoRayLib.jobs.events import Emit
from TomoRayLib.jobs.failures import NOTHING_WRITTEN, run_guarded
from TomoRayLib.worker import print_event

console = Console(stderr=True)


def finish(
    work: Callable[[Emit], None],
    as_json: bool,
    left_behind: str = NOTHING_WRITTEN,
    option_names: Mapping[str, str] | None = None,
) -> None:
    """Run ``work``, show its events, and leave with its exit code.

    ``left_behind`` is as in ``run_guarded``; ``option_names`` maps the field of an event to the option to name.
    """
    if as_json:
        raise typer.Exit(run_guarded(lambda: work(print_event), print_event, left_behind))
    with Display(console, option_names or {}) as display:
        code = run_guarded(lambda: work(display), display, left_behind)
    display.close()
    raise typer.Exit(code)
