"""The slab algorithm, once per library: stock torch, numba (CPU), Triton (CUDA)."""
