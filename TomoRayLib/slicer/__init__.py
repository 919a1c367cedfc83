"""TomoRay in 3D Slicer. RAS coordinates appear here and in no other room of the library.

A click on Synthesize is a straight line::

    panel -> request -> prepared_job -> worker -> scene -> views

The panel reads its controls into a ``request``; ``runs`` leads it through the job's folder (``prepared_job``) and the
worker's process (``worker``) to the nodes of a case (``scene``); ``views`` shows them.

Nothing here imports torch. SimpleITK, pydicom and the heavier rooms of the library are imported when they are first
used, so that opening the module is fast.
"""
