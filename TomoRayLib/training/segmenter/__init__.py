"""Training of the network that finds vertebrae in a CT."""
