"""A stand-in for Slicer's application, for tests only: real MRML (slicer-core), Qt through PySide6. See README.md."""
