"""The training loop and its parts: networks, losses, adversary, validation, checkpoints, processes."""
