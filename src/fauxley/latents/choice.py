"""Which of a model's sounds are wanted: a share of them that is surest to be good, or the most extreme of many."""

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
# Each word's property of `Description`, and whether more of it (1) or less (-1) is wanted.
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
_TIMES = 10  # candidates for each wanted sound, by default
_MOST = 1_000_000  # candidates; they take days on a CPU, and asking for more must be a mistake


@dataclass(frozen=True)
class Choice:
    """How sounds are chosen from candidates, all of which are made and analysed."""

    pick: Pick | None = None
    """Choose the sounds that are the brightest, shortest, hardest, ... of the candidates."""
    pool: int | None = None
    """Number of candidates; by default ten times as many as are wanted, or as many as the share to keep requires."""
    keep: float | None = None
    """Keep this share of the candidates: those without buzz or second hits and, with a classifier, with the clearest
    label. Sidecars say how each sound was chosen."""
    classifier: Path | None = None
    """The classifier that judges labels when a share is kept: a folder made by 'fauxley train-classifier'."""

    def __post_init__(self) -> None:
        if self.keep is not None and not 0 < self.keep <= 1:
            raise UsageError(f"the share to keep must be above 0 and at most 1; got {self.keep:g}")
        if self.classifier is not None and self.keep is None:
            raise UsageError("a classifier helps to keep a share of the sounds; say which share")
        if self.pool is not None and self.pick is None and self.keep is None:
            raise UsageError("say how to choose among so many sounds: what to pick, or which share to keep")

    def __bool__(self) -> bool:
        return self.pick is not None or self.keep is not None

    def candidates(self, count: int) -> int:
        """The number of candidates to make in order to choose `count`.

        Raises:
            UsageError: the pool is too small, or unreasonably large.
        """
        if not self:
            return count
        least = count if self.keep is None else -int(max(-count // self.keep, -2 * _MOST))
        wanted = least * (_TIMES if self.pick is not None else 1) if self.pool is None else self.pool
        if max(wanted, least) > _MOST:
            raise UsageError(f"at most {_MOST:,} sounds are made to choose from; ask for fewer, or keep a larger share")
        if wanted < least:
            raise UsageError(f"{count} sounds cannot be chosen from {wanted}; choose from {least} or more")
        return wanted

    def facts(self, count: int) -> dict[str, Any]:
        """The facts for the sidecar of a sound that was chosen so; empty if nothing is chosen."""
        if not self:
            return {}
        classifier = None if self.classifier is None else self.classifier.name
        said = {"pick": self.pick, "keep": self.keep, "classifier": classifier}
        return {**{name: value for name, value in said.items() if value is not None}, "from": self.candidates(count)}
