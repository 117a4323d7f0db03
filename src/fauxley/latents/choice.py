"""Which of a model's sounds are wanted: the surest share of them, the most extreme of so many."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fauxley.errors import UsageError

Pick = Literal[
    "brightest",
    "darkest",
    "lowest",
    "highest",
    "longest",
    "shortest",
    "noisiest",
    "purest",
    "hardest",
    "softest",
    "loudest",
    "quietest",
]
# Word → property of `Description`, and whether more of it is wanted.
PICKS: Mapping[str, tuple[str, int]] = {
    "brightest": ("brightness", 1),
    "darkest": ("brightness", -1),
    "lowest": ("lowness", 1),
    "highest": ("lowness", -1),
    "longest": ("length", 1),
    "shortest": ("length", -1),
    "noisiest": ("noisiness", 1),
    "purest": ("noisiness", -1),
    "hardest": ("attack", -1),
    "softest": ("attack", 1),
    "loudest": ("loudness", 1),
    "quietest": ("loudness", -1),
}
_TIMES = 10  # as many as are wanted, to pick from
_MOST = 1_000_000  # sounds to make and hear: days on a CPU; what is more is a slip of the pen


@dataclass(frozen=True)
class Choice:
    """Which sounds are taken of more that are made and heard."""

    pick: Pick | None = None
    """Take those that are the brightest, shortest, hardest, ... of so many."""
    pool: int | None = None
    """How many sounds to choose from; by default ten times as many as are wanted, or as the share to keep says."""
    keep: float | None = None
    """Keep this share of the sounds, the surest: without buzz and second hits, and, with a classifier, those in which
    it hears the label best. All that is dropped is said in the sidecars."""
    classifier: Path | None = None
    """What hears labels where a share is kept: a folder made by 'fauxley train-classifier'."""

    def __post_init__(self) -> None:
        if self.keep is not None and not 0 < self.keep <= 1:
            raise UsageError(f"the share to keep must be above 0 and at most 1; got {self.keep:g}")
        if self.classifier is not None and self.keep is None:
            raise UsageError("a classifier helps to keep the surest share of the sounds; say which share")
        if self.pool is not None and self.pick is None and self.keep is None:
            raise UsageError("say what to choose by from so many sounds: what to pick, or which share to keep")

    def __bool__(self) -> bool:
        return self.pick is not None or self.keep is not None

    def candidates(self, count: int) -> int:
        """How many sounds to make in order to take `count`.

        Raises:
            UsageError: the pool is too small, or larger than anybody can mean.
        """
        if not self:
            return count
        least = count if self.keep is None else -int(max(-count // self.keep, -2 * _MOST))
        wanted = least * (_TIMES if self.pick is not None else 1) if self.pool is None else self.pool
        if max(wanted, least) > _MOST:
            raise UsageError(f"at most {_MOST:,} sounds are made to choose from; take fewer, or keep a larger share")
        if wanted < least:
            raise UsageError(f"{count} sounds cannot be chosen from {wanted}; choose from {least} or more")
        return wanted

    def facts(self, count: int) -> dict[str, Any]:
        """What is to be said of sounds that were chosen so; nothing of others."""
        if not self:
            return {}
        classifier = None if self.classifier is None else self.classifier.name
        said = {"pick": self.pick, "keep": self.keep, "classifier": classifier}
        return {**{name: value for name, value in said.items() if value is not None}, "from": self.candidates(count)}
