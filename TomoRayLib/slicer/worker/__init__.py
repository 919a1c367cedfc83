"""Runs in Slicer: the worker process, its job folder, its failures. MRML only, no Qt."""
