"""Training data, training runs and published weights. See docs/training.md."""
