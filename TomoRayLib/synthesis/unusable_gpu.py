"""A GPU that PyTorch finds and has no code for: the automatic choice takes the CPU, and says so."""

from __future__ import annotations

from TomoRayLib.base.gpu_faults import has_code_for


def unusable_gpu() -> str | None:
    """Return why the first GPU cannot be used, in a sentence; None if it can, or if there is none."""
    import torch

    if not torch.cuda.is_available():
        return None
    try:
        capability, built_for = torch.cuda.get_device_capability(0), torch.cuda.get_arch_list()
        name = torch.cuda.get_device_name(0)
    except (RuntimeError, AssertionError) as error:  # a driver that does not answer
        return f"The GPU does not answer ({str(error).splitlines()[0]}): the CPU is used instead."
    if has_code_for(capability, built_for):
        return None
    return (
        f"PyTorch {torch.__version__} has no code for the GPU {name} (compute capability {capability[0]}."
        f"{capability[1]}; it has code for {', '.join(built_for)}): the CPU is used instead. Install a PyTorch that is "
        "built for this GPU to use it."
    )


def device_warnings(wanted: str) -> tuple[str, ...]:
    """Return what to say of the device that is used for ``wanted``: why ``"auto"`` is not the GPU that is there."""
    problem = unusable_gpu() if wanted == "auto" else None
    return () if problem is None else (problem,)
