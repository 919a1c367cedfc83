"""Vertebra masks: names and numberings of their labels, and whether they can be right for their CT."""
