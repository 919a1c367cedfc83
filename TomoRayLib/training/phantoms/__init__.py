"""Phantoms: real spine shapes, painted as bone, bent, and set into real bodies."""
