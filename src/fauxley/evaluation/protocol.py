"""What the figures of an evaluation depend on besides the clips, and the interface by which its progress is told.

A module of its own because the command line needs it before it imports PyTorch.
"""

from dataclasses import dataclass

from fauxley.errors import UsageError

LEAST_CLIPS = 20
FEW_CLIPS = 1000  # below, figures are marked as shaky


@dataclass(frozen=True)
class Protocol:
    """Settings that the figures depend on besides the clips."""

    count: int = 10_000
    """Clips to compare on each side at most; fewer if there are fewer real ones."""
    seed: int = 0
    """Decides which clips are taken, which sounds the model makes, and all subsets."""
    splits: int = 10
    """Groups that the clips are divided into for the inception score."""
    neighbours: int = 1000
    """Clips at most whose nearest neighbours are looked up; 1000 in the paper."""

    def __post_init__(self) -> None:
        if self.count < LEAST_CLIPS:
            raise UsageError(f"count must be at least {LEAST_CLIPS}; got {self.count}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative; got {self.seed}")
        for name in ("splits", "neighbours"):
            if getattr(self, name) < 2:
                raise UsageError(f"{name} must be at least 2; got {getattr(self, name)}")


class ProgressTracker:
    """Is told how far the work has come. This base class does nothing with it."""

    def begin(self, what: str, total: int) -> None:
        """A stage of the work begins, through which `total` clips will go; 0 if that cannot be told."""

    def advance(self, count: int) -> None:
        """`count` more clips have gone through the stage."""
