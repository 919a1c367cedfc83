"""The cluster configurations of the documentation, read by the tools that they are for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "configurations" / "cluster"


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8")))


def test_slurm_jobs_are_single_threaded_workers(tmp_path: Path) -> None:
    """The job script that dask-jobqueue writes from slurm.yaml, as in a home folder that holds it."""
    pytest.importorskip("dask_jobqueue")
    configuration = tmp_path / "dask"
    configuration.mkdir()
    (configuration / "jobqueue.yaml").write_text((FOLDER / "slurm.yaml").read_text(encoding="utf-8"))
    script = (
        "from dask_jobqueue import SLURMCluster\n"
        "with SLURMCluster(scheduler_options={'dashboard_address': ':0', 'host': '127.0.0.1'}) as cluster:\n"
        "    print(cluster.job_script())\n"
    )
    environment = {"DASK_CONFIG": str(configuration), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    for line in ("#SBATCH -J tomoray", "#SBATCH --cpus-per-task=1", "#SBATCH --mem=4G", "#SBATCH -t 08:00:00"):
        assert line in lines
    assert "export OMP_NUM_THREADS=1" in lines
    worker = next(line for line in lines if "distributed.cli.dask_worker" in line)
    assert "--nthreads 1 " in worker
    assert "--memory-limit 3.73GiB" in worker


def test_the_scheduler_script_is_python() -> None:
    compile((FOLDER / "slurm_scheduler.py").read_text(encoding="utf-8"), "slurm_scheduler.py", "exec")


def test_kubernetes_mounts_what_it_claims(kubernetes: dict[str, Any]) -> None:
    worker = kubernetes["spec"]["worker"]["spec"]
    volumes = {volume["name"] for volume in worker["volumes"]}
    assert {mount["name"] for container in worker["containers"] for mount in container["volumeMounts"]} == volumes
    arguments = worker["containers"][0]["args"]
    assert arguments[arguments.index("--nthreads") + 1] == "1"


def test_kubernetes_reaches_its_scheduler_by_the_names_of_its_ports(kubernetes: dict[str, Any]) -> None:
    scheduler = kubernetes["spec"]["scheduler"]
    ports = {port["name"]: port["containerPort"] for port in scheduler["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"]: port["port"] for port in scheduler["service"]["ports"]} == ports
