"""``python -m TomoRayLib.cli``: the same as ``tomoray``."""

from TomoRayLib.cli.commands import main

if __name__ == "__main__":
    main()
