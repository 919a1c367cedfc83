"""The beginning of the ``tomoray`` command: from its first moment, Ctrl-C and termination end it with a sentence."""

from __future__ import annotations

import os
import sys

from TomoRayLib.base.endings import CODE_INTERRUPTED, take_over

LONG = ("evaluate", "train", "train-segmenter", "publish", "sample-sheet")


def run() -> None:
    """Entry point of the ``tomoray`` command: ``main`` as a process, which ends at once after a command of seconds."""
    take_over(_tell)
    from TomoRayLib.base.one_job_process import run_one_job  # not above, where nobody hears Ctrl-C yet
    from TomoRayLib.base.search_path import leave_out_working_folder
    from TomoRayLib.base.streams import make_lasting

    leave_out_working_folder()
    make_lasting()
    try:
        from TomoRayLib.cli.commands import main
    except Exception as error:  # a package that the commands themselves need is missing or broken
        sys.exit(_tell_of(error))
    run_one_job(main, short=not any(word in LONG for word in sys.argv[1:2]))


def _tell_of(error: Exception) -> int:
    """Say what ended the command before it began, with what neither typer nor rich nor numpy is needed for."""
    from TomoRayLib.jobs.events import to_json
    from TomoRayLib.jobs.failures import failed_by

    failed = failed_by(error)
    if "--json" in sys.argv:
        print(to_json(failed))
    else:
        print("\n".join(["Error " + failed.message, *([failed.details] if failed.details else [])]), file=sys.stderr)
    return failed.code


def _tell(code: int) -> None:
    """Say how the command ended before it began; called by a signal, so it imports nothing."""
    sentence = f"{'Interrupted' if code == CODE_INTERRUPTED else 'Terminated'}; nothing was written."
    if "--json" in sys.argv:
        os.write(1, f'{{"event": "error", "message": "{sentence}", "code": {code}}}\n'.encode())
    else:
        os.write(2, f"{sentence}\n".encode())
