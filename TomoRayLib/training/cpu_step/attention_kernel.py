"""The element by element part of attention's way back."""

from __future__ import annotations

import numpy as np

from TomoRayLib.base.compiled import compiled_for_vectors
from TomoRayLib.training.cpu_step.numbers import exponential, narrowed, widened

CERTAIN = np.float32(0.0)  # the logarithm of a share of 1, the largest


@compiled_for_vectors
def softmax_gradient(scores, gradient, scale):  # type: ignore[no-untyped-def]
    """From the logarithms of a softmax (queries, keys) over ``scale`` to the softmax, and from the gradient of that,
    less its mean weighted by the softmax, to the scores' own; both in place."""
    for query in range(scores.shape[0]):
        for key in range(scores.shape[1]):
            share = exponential(min(widened(scores[query, key]) * scale, CERTAIN))
            scores[query, key] = narrowed(share, scores[query, key])
            before = share * widened(gradient[query, key])
            gradient[query, key] = narrowed(before, gradient[query, key])
