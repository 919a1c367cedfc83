"""The model registry under the name that scripts use: ``TomoRayLib.networks.registry``."""

from TomoRayLib.networks.registry import ModelEntry, find_model, load_atlas, load_network, read_registry

__all__ = ["ModelEntry", "find_model", "load_atlas", "load_network", "read_registry"]
