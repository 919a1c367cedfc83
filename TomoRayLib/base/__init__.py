"""Errors, files and notices that every other package uses. No images, no torch."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.base.errors import InputError as InputError
    from TomoRayLib.base.errors import OutputError as OutputError
    from TomoRayLib.base.files import check_writable as check_writable
    from TomoRayLib.base.files import staged_folder as staged_folder
    from TomoRayLib.base.files import write_atomically as write_atomically
    from TomoRayLib.base.notices import NOTICE as NOTICE
    from TomoRayLib.base.notices import SHORT as SHORT
    from TomoRayLib.base.notices import TRUTH_NOTICE as TRUTH_NOTICE

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "errors": ["InputError", "OutputError"],
        "files": ["check_writable", "staged_folder", "write_atomically"],
        "notices": ["NOTICE", "SHORT", "TRUTH_NOTICE"],
    },
)
