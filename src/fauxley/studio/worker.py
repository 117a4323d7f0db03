"""One thread that makes all sounds, in an order that is fair to whoever wants only one.

A processor that computes for many at once helps none of them, so sounds wait for their turn, some of which are then
computed in one batch. It is sounds that wait, not orders: the first of an order is due when it is asked for, each
further one a moment later, and what is due first is made first. So one sound is not kept waiting by those who want
many, and who wants many waits for those alone who came within that time. Who asks waits for a future; where too much is
waiting, one is told so at once instead.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from fauxley.errors import FauxleyError
from fauxley.studio.instruments import Float, Instrument, Mixture

_TOGETHER = 8  # sounds computed at a time: more gain next to nothing, and nobody's turn comes before they are done
_LATER = 0.5  # seconds from one sound of an order to the next
_MOST_WAITING = 1024  # sounds


class BusyError(FauxleyError):
    """Too much is waiting already."""


@dataclass
class _Order:
    instrument: Instrument
    latents: Float
    mixtures: Sequence[Mixture]
    result: "Future[Float]" = field(default_factory=Future)
    made: dict[int, Float] = field(default_factory=dict)
    """The sounds that are there, by row."""

    def take(self, row: int, clip: Float) -> None:
        """One of the sounds is there."""
        self.made[row] = clip
        if len(self.made) == len(self.latents) and self._is_wanted():
            self.result.set_result(np.stack([self.made[row] for row in range(len(self.latents))]))

    def fail(self, error: Exception) -> None:
        """One of the sounds cannot be made."""
        if self._is_wanted():
            self.result.set_exception(error)

    def _is_wanted(self) -> bool:
        return not self.result.done() and self.result.set_running_or_notify_cancel()


@dataclass(frozen=True, order=True)
class _Sound:
    due: float
    number: int
    order: _Order = field(compare=False)
    row: int = field(compare=False)


class Worker:
    """Makes sounds in a thread of its own. To be closed."""

    def __init__(self) -> None:
        self._waiting: list[_Sound] = []  # a heap
        self._numbers = itertools.count()
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="fauxley-studio-worker", daemon=True)
        self._thread.start()

    def submit(self, instrument: Instrument, latents: Float, mixtures: Sequence[Mixture]) -> "Future[Float]":
        """Order sounds of latents (N, Z), N > 0, each with its labels; the future gives them, (N, C, T).

        Raises:
            BusyError: too many are waiting.
        """
        order, now = _Order(instrument, latents, mixtures), time.monotonic()
        with self._changed:
            if self._closed or len(self._waiting) + len(latents) > _MOST_WAITING:
                raise BusyError("too many sounds are being made; try again in a moment")
            for row in range(len(latents)):
                heapq.heappush(self._waiting, _Sound(now + row * _LATER, next(self._numbers), order, row))
            self._changed.notify()
        return order.result

    def close(self) -> None:
        """Finish what is being made, call off what waits, and end the thread."""
        with self._changed:
            self._closed = True
            for sound in self._waiting:
                sound.order.result.cancel()
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            try:
                latents = np.stack([sound.order.latents[sound.row] for sound in batch])
                mixtures = [sound.order.mixtures[sound.row] for sound in batch]
                clips = batch[0].order.instrument.render(latents, mixtures)
            except Exception as error:
                for sound in batch:
                    sound.order.fail(error)
            else:
                for sound, clip in zip(batch, clips, strict=True):
                    sound.order.take(sound.row, clip)

    def _next(self) -> list[_Sound]:
        """What is due first, of one model and as much as is computed at a time; nothing once this is closed."""
        batch: list[_Sound] = []
        with self._changed:
            while not self._closed and not batch:
                self._changed.wait_for(lambda: self._closed or self._waiting)
                while self._waiting and len(batch) < _TOGETHER:
                    first = self._waiting[0].order
                    if batch and first.instrument is not batch[0].order.instrument:
                        break
                    sound = heapq.heappop(self._waiting)
                    if not first.result.done():  # called off, or another of its sounds could not be made
                        batch.append(sound)
            return [] if self._closed else batch
