"""Several processes train as one: what their launcher says, and two real ones, started by torchrun on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.training_runs import assert_equal, content_of, rows_of
from TomoRayLib.networks.precision import fast_autocast
from TomoRayLib.training.engine.processes import (
    Launch,
    check_world,
    cores_of_process,
    devices_of_node,
    is_first_process,
    launch_of,
    launched_fabric,
    workers_for,
)

TESTS = Path(__file__).resolve().parents[2]
SECONDS_ALLOWED = 240.0

JOB = {"SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2"}
TASK = {**JOB, "SLURM_STEP_ID": "0"}
SALLOC = {**JOB, "SLURM_JOB_NAME": "interactive"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "3"}


@pytest.mark.parametrize(
    ("environment", "launch"),
    [
        ({}, None),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, None),  # Fabric's own child, which Fabric knows
        (TORCHRUN, Launch(6, 3, 2)),
        ({**TASK, **TORCHRUN}, Launch(6, 3, 2)),  # torchrun started by srun on each node
        (TASK, Launch(4, 2, 2, hides_gpus=True)),
        ({**TASK, "SLURM_NTASKS": "1"}, Launch(1, 1, 1)),
        (JOB, None),  # sbatch's script, without srun
        ({**JOB, "SLURM_STEP_ID": "4294967291"}, None),
        (SALLOC, None),  # salloc's shell, without srun
        ({**SALLOC, "SLURM_STEP_ID": "4294967290"}, None),  # the same, where SLURM makes it a step of its own
    ],
)
def test_the_launcher_says_how_many_processes_train(environment: dict[str, str], launch: Launch | None) -> None:
    assert launch_of(environment) == launch


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({**TASK, "SLURM_JOB_NAME": "bash"}, "4 tasks in the interactive job 'bash'. .*unset SLURM_STEP_ID"),
        ({k: v for k, v in TASK.items() if "PER_NODE" not in k}, "got 4 tasks in all. Give --ntasks-per-node"),
        ({**TASK, "SLURM_NTASKS": "5"}, "got 5 from SLURM, with 2 on this one of 2 nodes"),
        ({**TORCHRUN, "WORLD_SIZE": "7"}, "got 7 from torchrun, with 3 on this one of 2 nodes"),
    ],
)
def test_a_launcher_that_does_not_say_it_clearly_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        launch_of(environment)


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="Fabric would start a process for each GPU")
@pytest.mark.parametrize("environment", [JOB, SALLOC, {"SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4"}])
def test_a_job_without_srun_trains_in_one_process(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Fabric itself would take the job's script for the first of four tasks, and wait for the others."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    fabric = launched_fabric("32-true", environment)
    assert (fabric.world_size, fabric.global_rank) == (1, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU's own number types decide")
@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_network_runs_in_bfloat16_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: torch.dtype
) -> None:
    """Others convolve bfloat16 many times slower than float32."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    fabric = launched_fabric("auto", {})
    layer = fabric.setup_module(torch.nn.Conv3d(1, 1, 3))
    inside: list[torch.dtype] = []
    layer.module.register_forward_hook(lambda module, inputs, output: inside.append(output.dtype))
    layer(torch.zeros(1, 1, 3, 3, 3))
    with fast_autocast(torch.device("cpu")):
        inside.append(torch.nn.functional.conv3d(torch.zeros(1, 1, 3, 3, 3), torch.zeros(1, 1, 3, 3, 3)).dtype)
    assert inside == [dtype, dtype]


@pytest.mark.skipif(torch.cuda.is_available(), reason="of CPUs alone")
@pytest.mark.parametrize(("edge", "dtype"), [(2, torch.float32), (3, torch.bfloat16), (None, torch.bfloat16)])
def test_volumes_that_bfloat16_has_wrong_gradients_for_are_trained_in_float32(
    monkeypatch: pytest.MonkeyPatch, edge: int | None, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert (launched_fabric("auto", {}, edge)._precision.precision == "bf16-mixed") is (dtype == torch.bfloat16)
    with fast_autocast(torch.device("cpu"), edge):
        assert torch.nn.functional.conv3d(torch.zeros(1, 1, 3, 3, 3), torch.zeros(1, 1, 3, 3, 3)).dtype == dtype


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, False),
        ({**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0"}, True),
        ({**TORCHRUN, "RANK": "3", "LOCAL_RANK": "0"}, False),  # the first of the second machine
        ({**TASK, "SLURM_PROCID": "0"}, True),
        ({**TASK, "SLURM_PROCID": "2"}, False),
        ({**JOB, "SLURM_PROCID": "0"}, True),
    ],
)
def test_one_process_speaks_for_all(environment: dict[str, str], first: bool) -> None:
    assert is_first_process(environment) is first


def test_each_process_has_a_gpu_of_its_own() -> None:
    assert [str(one) for one in devices_of_node(2, visible_gpus=0)] == ["cpu", "cpu"]
    hidden = devices_of_node(2, visible_gpus=1, hides_gpus=True)
    assert [str(one) for one in hidden] == ["cuda:0", "cuda:0"]  # each sees another one
    assert [str(one) for one in devices_of_node(2, visible_gpus=4)] == ["cuda:0", "cuda:1"]
    with pytest.raises(ValueError, match="each of the 4 processes of this node, got 2"):
        devices_of_node(4, visible_gpus=2)
    with pytest.raises(ValueError, match="each of the 2 processes of this node, got 1"):
        devices_of_node(2, visible_gpus=1)  # torchrun: both see the same one


def test_a_process_that_believes_it_is_alone_is_stopped() -> None:
    check_world(1, None)
    check_world(4, Launch(4, 2, 2))
    with pytest.raises(ValueError, match=r"Expected 4 processes that train together, .*; got 1"):
        check_world(1, Launch(4, 2, 2))


def test_samples_come_from_a_worker_beside_a_cpu_and_from_cores_or_the_gpu_itself_beside_a_gpu() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert [workers_for(None, cpu, size, cores=16) for size in (96, 192)] == [1, 1]
    assert [workers_for(None, gpu, 96, cores) for cores in (1, 9, 10, 16)] == [0, 0, 9, 15]
    assert [workers_for(None, gpu, size, cores=16) for size in (48, 96, 192)] == [15, 15, 0]
    assert [workers_for(0, cpu, 96, cores=16), workers_for(3, gpu, 192, cores=2)] == [0, 3]


def test_training_processes_of_one_node_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(48)), raising=False)
    assert cores_of_process({}, world_size=1) == 48
    assert cores_of_process({}, world_size=4) == 12  # Fabric's own, a process for each GPU
    assert cores_of_process(TORCHRUN, world_size=6) == 16  # three on each of two nodes
    assert cores_of_process(TASK, world_size=4) == 24  # two on each of two nodes
    assert cores_of_process({**TASK, "SLURM_CPUS_PER_TASK": "16"}, world_size=4) == 16  # each has its own already
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert cores_of_process({}, world_size=1) == 8


def run_two(out: Path, steps: int) -> None:
    """Two processes under torchrun until ``steps``; all are ended when they take too long, as those that wait for
    each other do."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "LT_"))}
    environment |= {"PYTHONPATH": os.pathsep.join([str(TESTS.parents[1]), str(TESTS)]), "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"OMP_NUM_THREADS": "1"}
    script = [str(TESTS / "support" / "training_processes.py"), str(out), str(steps)]
    with subprocess.Popen(
        command + script, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as processes:
        try:
            output, _ = processes.communicate(timeout=SECONDS_ALLOWED)
        except subprocess.TimeoutExpired:
            processes.terminate()  # torchrun ends its own
            output, _ = processes.communicate()
            pytest.fail(f"The processes wait for each other:\n{output}")
    assert processes.returncode == 0, output


@pytest.mark.slow
def test_two_processes_train_one_network_on_samples_of_their_own_and_go_on(tmp_path: Path) -> None:
    """Two steps and then two more, saved after each, as the first process's clock says."""
    out = tmp_path / "run"
    for steps in (2, 4):
        run_two(out, steps)
        first, second = (content_of(tmp_path / f"run-of-{rank}.pt") for rank in range(2))
        assert len(first["radiographs"]) == len(second["radiographs"]) == 2
        assert not any(torch.equal(*pair) for pair in zip(first["radiographs"], second["radiographs"], strict=True))
        assert_equal(first["weights"], second["weights"])
        checkpoint = content_of(out / "last.ckpt")
        assert checkpoint["progress"]["steps"] == steps
        assert_equal(checkpoint["model"], first["weights"])
        assert [row["step"] for row in rows_of(out / "log.csv")] == [str(step) for step in range(1, steps + 1)]
        assert sorted(path.name for path in out.iterdir()) == ["config.json", "last.ckpt", "log.csv"]
