"""The questions that a listener gets, in order: a function of the study, the listener's number and the ratings so far.

- Balance: batches, pairs and clips that were rated least come first; ties are broken by the seed.
- Order: over as many listeners as there are sources, each source comes once at each place (a Latin square, shuffled
  anew for every round), and each pair is heard in both orders alike.
- Blinding: every batch has the same shape, whatever it is from: ten clips and, near its end, one of its first five
  again. Browsers are never told which is which.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from fauxley.errors import FauxleyError
from fauxley.listening.study import BATCH_SIZE, Study, Unit

Kind = Literal["volume", "headphones", "label", "opinion", "pair", "verdict"]
Purpose = Literal["setup", "rated", "repeat", "anchor"]

_ANCHOR_PAIRS = 3


@dataclass(frozen=True)
class Trial:
    """One question to one listener.

    Attributes:
        kind: kind of question.
        unit: ID of the unit that it is about, or of the sound if it only sets something up.
        clips: the sounds, in the order heard.
        purpose: `rated` counts; `repeat` and `anchor` tell how well one listens; `setup` is neither.
        batch: number of its batch among the listener's, from 0; -1 outside the label task.
    """

    kind: Kind
    unit: str
    clips: tuple[str, ...]
    purpose: Purpose = "rated"
    batch: int = -1


def assign(study: Study, listener: int, loads: Mapping[str, int]) -> list[Trial]:
    """All trials of a listener, in order.

    Args:
        study: the listening test.
        listener: number of the listener, from 0.
        loads: for each unit, how often it was rated or is being rated; 0 where it is missing.
    """
    rng = np.random.default_rng([study.design.seed, listener])
    chooser = _Chooser(study, loads, rng)
    trials = [*_setup(study, rng)]
    for task in study.design.tasks:
        trials += {"label": _batches, "pairs": _pairs, "real-or-generated": _verdicts}[task](
            study, listener, chooser, rng
        )
    return trials


class _Chooser:
    """Hands out the least rated units, each at most once to a listener."""

    def __init__(self, study: Study, loads: Mapping[str, int], rng: np.random.Generator) -> None:
        self.loads = loads
        ties = rng.permutation(len(study.units)).tolist()
        self._groups: dict[tuple[str, tuple[int, ...]], list[Unit]] = {}
        ranked = sorted(zip(study.units, ties, strict=True), key=lambda item: (loads.get(item[0].id, 0), item[1]))
        for unit, _ in ranked:
            self._groups.setdefault((unit.task, study.sources_of(unit)), []).append(unit)

    def take(self, task: str, sources: tuple[int, ...], count: int) -> list[Unit]:
        group = self._groups.get((task, sources), [])
        taken, group[:] = group[:count], group[count:]
        return taken


def _setup(study: Study, rng: np.random.Generator) -> Iterator[Trial]:
    yield Trial("volume", study.volume, (study.volume,), "setup")
    for place in rng.permutation(len(study.tones)).tolist():
        yield Trial("headphones", study.tones[place].id, (study.tones[place].id,), "setup")


def _batches(study: Study, listener: int, chooser: _Chooser, rng: np.random.Generator) -> Iterator[Trial]:
    batch = 0
    for repetition in range(study.design.batches):
        for source in latin_row(len(study.sources), study.design.seed, listener + repetition):
            for unit in chooser.take("label", (source,), 1):
                yield from _batch(unit, batch, rng)
                batch += 1


def _batch(unit: Unit, batch: int, rng: np.random.Generator) -> Iterator[Trial]:
    clips = [unit.clips[place] for place in rng.permutation(len(unit.clips))]
    trials = [Trial("label", unit.id, (clip,), "rated", batch) for clip in clips]
    repeated = clips[int(rng.integers(BATCH_SIZE // 2))]
    trials.insert(
        int(rng.integers(BATCH_SIZE - 2, BATCH_SIZE + 1)), Trial("label", unit.id, (repeated,), "repeat", batch)
    )
    yield from trials
    yield Trial("opinion", unit.id, tuple(clips), "rated", batch)


def _pairs(study: Study, listener: int, chooser: _Chooser, rng: np.random.Generator) -> list[Trial]:
    judged = study.places("real", "model")
    units = [unit for two in combinations(judged, 2) for unit in chooser.take("pairs", two, study.design.pairs)]
    trials = [_pair(unit, chooser.loads, study, "rated") for unit in units]
    for anchor in study.places("anchor"):
        units = chooser.take("pairs", (0, anchor), _ANCHOR_PAIRS)
        trials += [_pair(unit, chooser.loads, study, "anchor") for unit in units]
    return _with_one_again(trials, rng)


def _pair(unit: Unit, loads: Mapping[str, int], study: Study, purpose: Purpose) -> Trial:
    # Turned every other time it is heard; which way first is the seed's.
    first = np.random.default_rng([study.design.seed, int(unit.id, 16)]).integers(2)
    turned = (loads.get(unit.id, 0) + first) % 2
    return Trial("pair", unit.id, unit.clips[::-1] if turned else unit.clips, purpose)


def _verdicts(study: Study, listener: int, chooser: _Chooser, rng: np.random.Generator) -> list[Trial]:
    models = study.places("model")
    counts = dict.fromkeys(models, study.design.verdicts)
    counts |= {source: study.design.verdicts * len(models) for source in study.places("real")}
    units = [unit for source, count in counts.items() for unit in chooser.take("real-or-generated", (source,), count)]
    return _with_one_again([Trial("verdict", unit.id, unit.clips) for unit in units], rng)


def _with_one_again(trials: list[Trial], rng: np.random.Generator) -> list[Trial]:
    """The trials shuffled, and at the end one of the first half again; a pair comes back turned around."""
    order = [trials[place] for place in rng.permutation(len(trials))]
    rated = [trial for trial in order[: max(1, len(order) // 2)] if trial.purpose == "rated"]
    if len(order) < 4 or not rated:
        return order
    again = rated[int(rng.integers(len(rated)))]
    return [*order, Trial(again.kind, again.unit, again.clips[::-1], "repeat")]


def latin_row(size: int, seed: int, listener: int) -> list[int]:
    """An order of `size` sources; those of listeners k·size … k·size + size - 1 have each source once at each place."""
    if size < 1:
        raise FauxleyError("a Latin square needs a size")
    rng = np.random.default_rng([seed, listener // size])
    names, rows, columns = (rng.permutation(size) for _ in range(3))
    return [int(names[(rows[listener % size] + column) % size]) for column in columns]
