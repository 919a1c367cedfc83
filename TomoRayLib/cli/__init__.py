"""The ``tomoray`` command."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.cli.commands import app as app
    from TomoRayLib.cli.commands import main as main
    from TomoRayLib.cli.start import run as run

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "commands": ["app", "main"],
        "start": ["run"],
    },
)
