"""TomoRay: synthetic CT of the spine from two radiographs. Research use only.

Importing this package imports neither torch nor SimpleITK; each module imports what it needs.
"""

__version__ = "0.1.0"
