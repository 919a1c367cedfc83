"""Errors of a GPU are told by their text, and a build of PyTorch is matched with a GPU by NVIDIA's rules."""

from __future__ import annotations

import pytest

from TomoRayLib.base.gpu_faults import GpuFault, gpu_fault, has_code_for


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("RuntimeError: CUDA error: no kernel image is available for execution on the device", GpuFault.NO_KERNEL),
        ("AcceleratorError: CUDA error: no kernel image is available for execution", GpuFault.NO_KERNEL),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040).", GpuFault.DRIVER),
        ("RuntimeError: Found no NVIDIA driver on your system.", GpuFault.DRIVER),
        ("RuntimeError: CUDA driver version is insufficient for CUDA runtime version", GpuFault.DRIVER),
        ("RuntimeError: No CUDA GPUs are available", GpuFault.DRIVER),
        ("RuntimeError: CUDA error: device-side assert triggered", GpuFault.OTHER),
        ("RuntimeError: CUDA error: an illegal memory access was encountered", GpuFault.OTHER),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", GpuFault.OTHER),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm", GpuFault.OTHER),
        ("AssertionError: Torch not compiled with CUDA enabled", GpuFault.DRIVER),
        ("RuntimeError: HIP error: invalid device function", GpuFault.NO_KERNEL),
        ("ValueError: expected 2 views, got 3", None),
        ("RuntimeError: The size of tensor a (3) must match the size of tensor b (4)", None),
    ],
)
def test_what_a_gpu_says(text: str, fault: GpuFault | None) -> None:
    assert gpu_fault(text) is fault


CU128 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((8, 6), CU128, True),
        ((8, 9), CU128, True),  # code for 8.6 runs on 8.9
        ((12, 1), CU128, True),
        ((6, 1), CU128, False),  # older than anything there
        ((12, 0), ["sm_50", "sm_80", "sm_90"], False),  # the new GPU, a build of last year
        ((12, 0), ["sm_80", "compute_90"], True),  # compiled when it is first used
        ((9, 0), ["sm_90a"], True),
        ((9, 1), ["sm_90a"], False),
        ((8, 0), ["sm_86"], False),
        ((9, 0), [], True),  # nothing is known
        ((9, 0), ["gfx90a", "gfx1100"], True),
    ],
)
def test_which_gpus_a_build_has_code_for(capability: tuple[int, int], built_for: list[str], runs: bool) -> None:
    assert has_code_for(capability, built_for) is runs
