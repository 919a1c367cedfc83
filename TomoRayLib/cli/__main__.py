"""``python -m TomoRayLib.cli``: the same as ``tomoray``."""

from TomoRayLib.base.search_path import leave_out_working_folder

leave_out_working_folder()

from TomoRayLib.cli.start import run  # noqa: E402

if __name__ == "__main__":
    run()
