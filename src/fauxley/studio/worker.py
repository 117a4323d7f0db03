"""One thread that makes all sounds: what several ask for at the same time is computed in one batch.

A batch of eight takes a model little longer than one sound alone, and a processor that computes for many at once helps
none of them. Who asks waits for a future; where too much is waiting, one is told so at once instead.
"""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from fauxley.errors import FauxleyError
from fauxley.studio.instruments import Float, Instrument, Mixture

_TOGETHER = 16  # sounds computed at a time
_MOST_WAITING = 1024  # sounds


class BusyError(FauxleyError):
    """Too much is waiting already."""


@dataclass
class _Order:
    instrument: Instrument
    latents: Float
    mixtures: Sequence[Mixture]
    result: "Future[Float]" = field(default_factory=Future)


class Worker:
    """Makes sounds in a thread of its own. To be closed."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="fauxley-studio-worker", daemon=True)
        self._thread.start()

    def submit(self, instrument: Instrument, latents: Float, mixtures: Sequence[Mixture]) -> "Future[Float]":
        """Order sounds of latents (N, Z), each with its labels; the future gives them, (N, C, T).

        Raises:
            BusyError: too many are waiting.
        """
        with self._lock:
            if self._waiting + len(latents) > _MOST_WAITING:
                raise BusyError("too many sounds are being made; try again in a moment")
            self._waiting += len(latents)
        order = _Order(instrument, latents, mixtures)
        self._orders.put(order)
        return order.result

    def close(self) -> None:
        """Finish what is being made, and end the thread."""
        self._orders.put(None)
        self._thread.join()

    def _run(self) -> None:
        kept: _Order | None = None
        while (first := kept or self._orders.get()) is not None:
            batch, kept, last = self._gather(first)
            self._make(batch)
            if last:
                return

    def _gather(self, first: _Order) -> tuple[list[_Order], _Order | None, bool]:
        """What waits for the same model as the first, as much as is computed at a time; then what is next."""
        batch, count = [first], len(first.latents)
        while count < _TOGETHER:
            try:
                following = self._orders.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, None, True
            if following.instrument is not first.instrument:
                return batch, following, False
            batch.append(following)
            count += len(following.latents)
        return batch, None, False

    def _make(self, batch: list[_Order]) -> None:
        wanted = [order for order in batch if order.result.set_running_or_notify_cancel()]
        try:
            if wanted:
                latents = np.concatenate([order.latents for order in wanted])
                mixtures = [mixture for order in wanted for mixture in order.mixtures]
                clips = wanted[0].instrument.render(latents, mixtures)
        except Exception as error:
            for order in wanted:
                order.result.set_exception(error)
        else:
            place = 0
            for order in wanted:
                order.result.set_result(clips[place : place + len(order.latents)])
                place += len(order.latents)
        finally:
            with self._lock:
                self._waiting -= sum(len(order.latents) for order in batch)
