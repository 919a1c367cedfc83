"""The slab algorithm, once for each library: stock torch, numba (CPU), Triton (CUDA)."""
