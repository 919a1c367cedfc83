"""``python -m TomoRayLib.cli``: the same as ``tomoray``."""

from TomoRayLib.cli.commands import run

if __name__ == "__main__":
    run()
