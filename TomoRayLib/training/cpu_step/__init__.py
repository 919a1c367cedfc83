"""The network of a training step on a CPU: the parts that stock operators are slow with, compiled."""
