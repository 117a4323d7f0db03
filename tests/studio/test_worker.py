"""The thread that makes the studio's sounds: what is made together, what first, and what becomes of the rest."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fauxley.models.synthesizer import Synthesizer
from fauxley.studio.instruments import Float, Instrument
from fauxley.studio.worker import BusyError, Worker


class Slow(Instrument):
    """An instrument that tells how many sounds it is asked for at a time, and waits until it may play."""

    batches: list[int] = []  # noqa: RUF012
    asked, may_play = threading.Event(), threading.Event()

    def render(self, latents: Float, mixtures: Any) -> Float:
        self.asked.set()
        self.may_play.wait(10)
        self.batches.append(len(latents))
        return super().render(latents, mixtures)


class Studio:
    """A slow instrument and its worker, which is at a first sound already, and a clock that stands still.

    Attributes:
        made: names of orders, in the order in which they were made.
    """

    def __init__(self, model: Path) -> None:
        self.instrument = Slow("slow", "slow", Synthesizer.from_pretrained(model))
        self.worker = Worker()
        self.made: list[str] = []
        self.order("first", 1)
        assert Slow.asked.wait(10)

    def order(self, name: str, count: int, seed: int = 0) -> "Future[Float]":
        latents = self.instrument.latents_of(range(seed, seed + count))
        future = self.worker.submit(self.instrument, latents, [{}] * count)
        future.add_done_callback(lambda _: self.made.append(name))
        return future


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("fauxley.studio.worker.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def studio(drums_model: Path, clock: list[float]) -> Iterator[Studio]:
    for event in (Slow.asked, Slow.may_play):
        event.clear()
    Slow.batches.clear()
    studio = Studio(drums_model)
    try:
        yield studio
    finally:
        Slow.may_play.set()
        studio.worker.close()


def test_what_is_asked_for_at_once_is_made_in_one_batch(studio: Studio) -> None:
    orders = [studio.order("one", 1, seed) for seed in range(7)]
    Slow.may_play.set()
    clips = np.concatenate([order.result(20) for order in orders])
    assert Slow.batches == [1, 7]
    np.testing.assert_allclose(clips, studio.instrument.synthesizer.generate(7).numpy(), atol=1e-5)


def test_one_sound_does_not_wait_for_those_who_want_many(studio: Studio) -> None:
    many = studio.order("many", 40)
    others = [studio.order("one", 1, seed) for seed in range(20)]
    Slow.may_play.set()
    clips = many.result(20)
    assert all(other.done() for other in others)
    np.testing.assert_allclose(clips, studio.instrument.synthesizer.generate(40).numpy(), atol=1e-5)


def test_many_do_not_wait_for_those_who_come_much_later(studio: Studio, clock: list[float]) -> None:
    many = studio.order("many", 4)
    clock[0] += 60
    late = [studio.order("late", 1, seed) for seed in range(20)]
    Slow.may_play.set()
    for order in (many, *late):
        order.result(20)
    assert studio.made.index("many") < 10  # with those of its own batch


def test_what_fails_or_is_called_off_leaves_the_rest_alone(studio: Studio) -> None:
    unlike = studio.worker.submit(studio.instrument, np.zeros((1, 3), np.float32), [{}])
    assert studio.order("gone", 20).cancel()
    Slow.may_play.set()
    with pytest.raises(Exception, match="shape"):
        unlike.result(20)
    assert len(studio.order("good", 1).result(20)) == 1
    assert sum(Slow.batches) == 3


def test_closing_calls_off_what_waits(studio: Studio) -> None:
    waiting = studio.order("waiting", 20)
    closing = threading.Thread(target=studio.worker.close)
    closing.start()
    Slow.may_play.set()
    closing.join(20)
    assert waiting.done()
    with pytest.raises(BusyError):
        studio.order("late", 1)


def test_a_worker_says_when_too_much_is_waiting(studio: Studio) -> None:
    with pytest.raises(BusyError, match="try again"):
        studio.worker.submit(studio.instrument, np.zeros((2000, 100), np.float32), [{}] * 2000)
