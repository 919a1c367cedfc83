"""How a command runs: its events shown, its failure told in the words of its options, its exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer
from rich.console import Console

from TomoRayLib.base.search_path import check_working_folder
from TomoRayLib.cli.display import Display
from TomoRayLib.jobs.events import Emit, Ending
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

    def checked(emit: Emit) -> None:
        check_working_folder()
        work(emit)

    if as_json:
        ending = Ending(print_event)
        raise typer.Exit(run_guarded(lambda: checked(ending), print_event, left_behind) or ending.code)
    with Display(console, option_names or {}) as display:
        ending = Ending(display)
        code = run_guarded(lambda: checked(ending), display, left_behind)
    display.close()
    raise typer.Exit(code or ending.code)
