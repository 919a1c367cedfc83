"""Entry point of the worker process: ``python -m TomoRayLib.worker job.json`` (see ``jobs.worker``)."""

import sys

from TomoRayLib.jobs.worker import main

if __name__ == "__main__":
    sys.exit(main())
