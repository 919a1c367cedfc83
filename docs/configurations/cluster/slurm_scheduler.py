"""Starts a Dask scheduler and workers on SLURM, prints the address for --scheduler, and keeps them until Ctrl-C.

    python slurm_scheduler.py 50

Needs dask-jobqueue and slurm.yaml as ~/.config/dask/jobqueue.yaml; runs on a login node.
"""

import sys
import time

from dask_jobqueue import SLURMCluster

with SLURMCluster() as cluster:
    cluster.scale(jobs=int(sys.argv[1]))
    print(cluster.scheduler_address, flush=True)
    try:
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        print("ending the workers", file=sys.stderr)
