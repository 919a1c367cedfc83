"""How far a run has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Steps taken, and seconds of training, earlier parts of a resumed run included."""

    steps: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"step {self.steps}, {self.seconds / 60:.1f} min"
