"""The settings that an evaluation's figures depend on, and the interface by which its progress is reported.

This is a module of its own because the command line needs it before it imports PyTorch.
"""

from dataclasses import dataclass

from fauxley.errors import UsageError

LEAST_CLIPS = 20
FEW_CLIPS = 1000  # with fewer, figures are marked as unreliable


@dataclass(frozen=True)
class Protocol:
    """The settings that the figures depend on, besides the clips."""

    count: int = 10_000
    """The most clips to compare on each side; fewer if there are fewer real clips."""
    seed: int = 0
    """Determines which clips are taken, which sounds the model makes, and all subsets."""
    splits: int = 10
    """Number of groups of clips for the inception score."""
    neighbours: int = 1000
    """The most clips whose nearest neighbours are sought; 1000 in the paper."""

    def __post_init__(self) -> None:
        if self.count < LEAST_CLIPS:
            raise UsageError(f"count must be at least {LEAST_CLIPS}; got {self.count}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative; got {self.seed}")
        for name in ("splits", "neighbours"):
            if getattr(self, name) < 2:
                raise UsageError(f"{name} must be at least 2; got {getattr(self, name)}")


class ProgressTracker:
    """Receives reports of progress. This base class ignores them."""

    def begin(self, what: str, total: int) -> None:
        """A stage of the work begins in which `total` clips are processed; 0 if the number is not known."""

    def advance(self, count: int) -> None:
        """`count` more clips are processed."""
