"""Making training data and weights: phantoms, augmentation, losses, the loop, the mean atlas."""
