"""How many processes train, and each one's device: as torchrun or SLURM's srun started them, else one for each GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.plugins.precision import MixedPrecision
from lightning.fabric.strategies import DDPStrategy

from TomoRayLib.base.errors import InputError
from TomoRayLib.networks.precision import SMALLEST_TRAINED_EDGE, fast_precision

MIXED = "bf16-mixed"
AUTO = "auto"
PRECISIONS = (
    AUTO,
    MIXED,
    "32-true",
)  # bfloat16 alone rounds cube_to_pixel; float16 needs its loss scale in the checkpoint
INTERACTIVE_JOBS = ("bash", "interactive")  # names that salloc and srun --pty give to a job whose command is a shell
FIRST_SPECIAL_STEP = 0xFFFFFFF0  # SLURM's numbers for pseudo-steps: salloc's shell, the batch script
LARGEST_FROM_CORES = 96  # voxels an edge of the samples that CPU cores make for a GPU, if there are enough of them
FEWEST_CORES = 10


@dataclass(frozen=True)
class Launch:
    """The processes that a launcher started: ``processes`` in all, with ``per_node`` on each of ``nodes`` machines."""

    processes: int
    per_node: int
    nodes: int
    hides_gpus: bool = False  # SLURM may show each process its own GPU alone, which is then number 0 for all of them


def launch_of(environment: Mapping[str, str]) -> Launch | None:
    """The launcher's processes, from its environment variables; None if a user started this process alone.

    A SLURM job alone starts nothing: its shell, or its script before ``srun``, is one process whatever its number of
    tasks. Raises InputError if the variables do not say how many processes there are.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        processes, per_node = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
        return _checked(Launch(processes, per_node, processes // per_node), "torchrun", "--nproc-per-node")
    if int(environment.get("SLURM_STEP_ID", FIRST_SPECIAL_STEP)) >= FIRST_SPECIAL_STEP:
        return None
    processes = int(environment.get("SLURM_NTASKS", 1))
    if processes == 1:  # what the job's script asked for per node says nothing about this step
        return Launch(1, 1, 1)
    if environment.get("SLURM_JOB_NAME") in INTERACTIVE_JOBS:  # a shell that srun opened, or srun in salloc's shell
        raise InputError(
            f"Expected one process, or {processes} in a job with a name of its own; got {processes} tasks in the "
            f"interactive job {environment['SLURM_JOB_NAME']!r}. Type `unset SLURM_STEP_ID` to train in this process "
            f"alone, or `export SLURM_JOB_NAME=train` before srun to train in all of them."
        )
    if "SLURM_NTASKS_PER_NODE" not in environment:
        raise InputError(
            f"Expected SLURM to say how many processes train on each node; got {processes} tasks in all. Give "
            f"--ntasks-per-node and --nodes to sbatch or srun in place of --ntasks."
        )
    per_node, nodes = int(environment["SLURM_NTASKS_PER_NODE"]), int(environment.get("SLURM_NNODES", 1))
    return _checked(Launch(processes, per_node, nodes, hides_gpus=True), "SLURM", "--ntasks-per-node")


def _checked(launch: Launch, launcher: str, option: str) -> Launch:
    if launch.per_node * launch.nodes != launch.processes:
        raise InputError(
            f"Expected the same number of processes on every node; got {launch.processes} from {launcher}, with "
            f"{launch.per_node} on this one of {launch.nodes} nodes. Give every node the same {option}."
        )
    return launch


def is_first_process(environment: Mapping[str, str]) -> bool:
    """Whether this process speaks for all that its launcher, or Fabric itself, started. Raises InputError as
    ``launch_of``."""
    if launch_of(environment) is None:
        return environment.get("LOCAL_RANK", "0") == "0"
    return environment.get("RANK" if "TORCHELASTIC_RUN_ID" in environment else "SLURM_PROCID", "0") == "0"


def devices_of_node(processes: int, visible_gpus: int, hides_gpus: bool = False) -> list[torch.device]:
    """Each process's device, by its number on its node. With ``hides_gpus`` a process that sees a single GPU has that
    to itself, as with SLURM's --gpus-per-task=1. Raises InputError for more processes than GPUs."""
    if visible_gpus == 0:
        return [torch.device("cpu")] * processes
    if visible_gpus == 1 and hides_gpus:
        return [torch.device("cuda", 0)] * processes
    if visible_gpus < processes:
        raise InputError(
            f"Expected a GPU for each of the {processes} processes of this node, got {visible_gpus}. Start "
            f"{visible_gpus} processes (torchrun --nproc-per-node, SLURM --ntasks-per-node) or ask for more GPUs."
        )
    return [torch.device("cuda", number) for number in range(processes)]


def launched_fabric(precision: str, environment: Mapping[str, str], trained_edge: int | None = None) -> Fabric:
    """Fabric over the launcher's processes or, without one, over a process for each GPU that it starts itself.

    On CUDA it also lets cuDNN search for its fastest kernels, once for each shape. ``trained_edge`` is as in
    ``fast_precision``. Raises InputError if Fabric counts other processes than the launcher (each would then believe
    that it is the first, and all would write the same files), and for a mixed precision in which gradients are wrong.
    """
    launch = launch_of(environment)
    fabric = _fabric(_chosen(precision, trained_edge), launch, "SLURM_NTASKS" in environment)
    fabric.launch()
    if fabric.device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    check_world(fabric.world_size, launch)
    return fabric


def check_world(world_size: int, launch: Launch | None) -> None:
    """Raise InputError if ``world_size``, the processes that Fabric knows of, is not what the launcher started."""
    if launch is not None and world_size != launch.processes:
        raise InputError(
            f"Expected {launch.processes} processes that train together, as the launcher started; got {world_size}. "
            f"Unset environment variables that begin with LT_, or start a single process."
        )


def cores_of_process(environment: Mapping[str, str], world_size: int) -> int:
    """How many CPU cores this training process has, if all on its node share those that it may use alike."""
    launch = launch_of(environment)
    if launch is not None and launch.hides_gpus and "SLURM_CPUS_PER_TASK" in environment:
        return int(environment["SLURM_CPUS_PER_TASK"])  # already this task's own
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores // (launch.per_node if launch else world_size)


def workers_for(workers: int | None, device: torch.device, size: int, cores: int) -> int:
    """How many processes make samples of ``size`` voxels an edge for a training process that has ``cores`` of the CPU.

    As given, else one on a CPU. An H100 that makes its own (0) trains on 25 samples a second at 96^3; a core makes
    3.3 there, so all but one of ten or more are faster. At 192^3 these are 12 and 0.25.
    """
    if workers is not None:
        return workers
    if device.type != "cuda":
        return 1
    return cores - 1 if size <= LARGEST_FROM_CORES and cores >= FEWEST_CORES else 0


def _chosen(precision: str, trained_edge: int | None) -> str:
    """The precision that ``AUTO`` stands for, or the given one. Raises InputError if gradients are wrong in it."""
    device = torch.device(_device())
    if precision == AUTO:
        return MIXED if fast_precision(device, trained_edge) == torch.bfloat16 else "32-true"
    is_wrong = device.type == "cpu" and trained_edge is not None and trained_edge < SMALLEST_TRAINED_EDGE
    if is_wrong and precision != "32-true":
        raise InputError(
            f"Expected the coarsest volume to have at least {SMALLEST_TRAINED_EDGE} voxels an edge for precision "
            f"{precision} on a CPU, got {trained_edge}: PyTorch's gradients in bfloat16 are wrong below. Choose the "
            f"precision 32-true, or a larger output_size."
        )
    return precision


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _fabric(precision: str, launch: Launch | None, in_slurm_job: bool) -> Fabric:
    device = _device()
    plugins: list[Any] = [_ExactInputs(MIXED, device)] if precision == MIXED else []
    settings: dict[str, Any] = {"accelerator": device, "precision": None if plugins else precision, "plugins": plugins}
    if launch is None:
        if in_slurm_job:  # Fabric goes by the job's name, and would wait for tasks that nobody starts
            plugins.append(LightningEnvironment())
        return Fabric(devices="auto", **settings)
    if launch.processes == 1:
        return Fabric(devices=1, **settings)
    # With a single visible device "auto" would take each process for the only one.
    devices = devices_of_node(launch.per_node, torch.cuda.device_count(), launch.hides_gpus)
    return Fabric(strategy=DDPStrategy(parallel_devices=devices), num_nodes=launch.nodes, **settings)


class _ExactInputs(MixedPrecision):
    """Mixed precision inside the network alone. Fabric's own rounds what goes in as well, and a ``cube_to_pixel`` of
    eight bits misses its pixel by up to half a one."""

    def convert_input(self, data: Any) -> Any:
        return data
