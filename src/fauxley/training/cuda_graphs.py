"""CUDA graphs: a GPU records an update once and then repeats it without the processor's help.

A graph repeats the same operations on the same places in memory. So real batches and random numbers, which are drawn
on the host as ever, are first copied into buffers that stay where they are (`BufferedDraws`), and optimisers have their
step size in a tensor. An update becomes two graphs, `find_gradients` and `apply_gradients`; between them processes that
train together exchange their gradients.

The first updates of a kind are carried out plainly, on the stream and in the buffers of the later recording; that also
warms up what the libraries set up on first use. Where a random number decides what an update does (a lazy penalty),
each outcome has graphs of its own. See docs/decisions/007.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from fauxley.models.draws import Draws
from fauxley.training.objectives import Update
from fauxley.training.ranks import Ranks
from fauxley.training.state import TrainingState
from fauxley.training.step import Updater, apply_gradients, find_gradients

WARM_UP = 3  # updates of a kind before it is recorded
Values = dict[str, Tensor]
Results = tuple[Values, list[Tensor | None]]  # and the weights' gradients
Work = Callable[[], Results]


class Recorder(ABC):
    """Records work so that it can be repeated."""

    @abstractmethod
    def perform(self, work: Work) -> Results:
        """Do the work now, without recording it, in the surroundings of a later recording."""

    @abstractmethod
    def record(self, work: Work) -> Work:
        """Record the work without doing it; return what does it, each time anew, into the same results.

        Raises:
            RuntimeError: the device cannot record it.
        """


class Repetition(Recorder):
    """Repeats work by doing it again: for devices without graphs, and for tests to compare graphs with."""

    def perform(self, work: Work) -> Results:
        return work()

    def record(self, work: Work) -> Work:
        return work


class CudaGraphs(Recorder):
    """Records work on a GPU. All graphs share their memory, since they are replayed one after another."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Autograd remembers the stream on which weights were first used: it must be the recording's.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def perform(self, work: Work) -> Results:
        now = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(now)
        with torch.cuda.stream(self._stream):
            results = work()
        now.wait_stream(self._stream)
        for value in results[0].values():
            value.record_stream(now)
        return results

    def record(self, work: Work) -> Work:
        graph, now = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        try:
            # Other threads, such as the one that reads batches, may go on.
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                results = work()
        except RuntimeError as error:
            torch.cuda.set_stream(now)  # ending a recording that failed fails, too, and leaves its stream the current
            raise error if error.__context__ is None else RuntimeError(str(error.__context__)) from error

        def replay() -> Results:
            graph.replay()
            return results

        return replay


class BufferedDraws(Draws):
    """Random numbers in buffers that stay in place, each time refilled with what was asked for the first time.

    Args:
        first: the random numbers of the first update.
        device: where the buffers are.
    """

    def __init__(self, first: Draws, device: torch.device) -> None:
        self._first = first
        self._device = device
        self._asked: list[tuple[Callable[[Draws], Any], Any]] = []
        self._position = 0

    def rewind(self) -> None:
        """Give the same numbers once more."""
        self._position = 0

    def refill(self, draws: Draws) -> bool:
        """Copy the random numbers of another update into the buffers; False if they decide for another course of it."""
        self.rewind()
        for ask, buffer in self._asked:
            drawn = ask(draws)
            if not isinstance(buffer, Tensor):
                if drawn != buffer:
                    return False
            else:
                to_device(drawn, buffer)
        return True

    def latents(self, count: int, size: int) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.latents(count, size)))

    def interpolation(self, count: int) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.interpolation(count)))

    def shifts(self, layers: int, count: int, radius: int, per_example: bool) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.shifts(layers, count, radius, per_example)))

    def uniform(self, shape: torch.Size, limit: float) -> Tensor:
        return cast(Tensor, self._give(lambda draws: draws.uniform(shape, limit)))

    def happens(self, probability: float) -> bool:
        return bool(self._give(lambda draws: draws.happens(probability)))

    def _give(self, ask: Callable[[Draws], Any]) -> Any:
        if self._position == len(self._asked):
            drawn = ask(self._first)
            if isinstance(drawn, Tensor):
                drawn = to_device(drawn, torch.empty(drawn.shape, dtype=drawn.dtype, device=self._device))
            self._asked.append((ask, drawn))
        self._position += 1
        return self._asked[self._position - 1][1]


def to_device(values: Tensor, buffer: Tensor) -> Tensor:
    """Copy values from the host into a buffer; if that is a GPU's, the host does not wait for it."""
    if buffer.is_cuda:
        # PyTorch reuses a pinned block only once the copies out of it are done.
        return buffer.copy_(values.contiguous().pin_memory(), non_blocking=True)
    return buffer.copy_(values)


class RecordedUpdater(Updater):
    """Carries out updates by repeating recorded ones. It is of use for one state, until that is loaded anew.

    Args:
        recorder: records and repeats.
        say: is told if recording fails; updates are then carried out plainly.
    """

    def __init__(self, recorder: Recorder, say: Callable[[str], None] = print) -> None:
        self._recorder = recorder
        self._say = say
        self._recordings: dict[Any, list[_Recording]] = {}
        self._failed = False

    def update(
        self,
        state: TrainingState,
        update: Update,
        real: Tensor,
        draws: Callable[[], Draws],
        accumulate: int,
        ranks: Ranks,
        labels: Tensor | None = None,
    ) -> Values:
        if self._failed:
            return super().update(state, update, real, draws, accumulate, ranks, labels)
        inputs = [real] if labels is None else [real, labels]
        alike = self._recordings.setdefault((update, real.shape, real.dtype, accumulate), [])
        recording = next((each for each in alike if each.draws.refill(draws())), None)
        if recording is None:
            buffered = BufferedDraws(draws(), real.device)
            buffers = [torch.empty_like(each) for each in inputs]
            recording = _Recording(self._recorder, state, update, buffers, buffered, accumulate)
            alike.append(recording)
        state.optimizers[update.network].prepare()
        try:
            return recording.run(inputs, ranks)
        except _RecordingError as error:
            self._failed = True
            self._recordings.clear()  # and with them the memory of their graphs
            self._say(f"going on without CUDA graphs, which is slower: {error}")
            return error.values


class _RecordingError(Exception):
    """An update could not be recorded, and was carried out plainly; these are its values."""

    def __init__(self, cause: RuntimeError, values: Values) -> None:
        super().__init__((str(cause).splitlines() or [type(cause).__name__])[0])
        self.values = values


class _Recording:
    """An update of one kind, for one outcome of the random numbers that decide what it does.

    Args:
        inputs: buffers for the real batch and, of conditional networks, its labels.
        draws: buffers for the random numbers.
    """

    def __init__(
        self,
        recorder: Recorder,
        state: TrainingState,
        update: Update,
        inputs: list[Tensor],
        draws: BufferedDraws,
        accumulate: int,
    ) -> None:
        self.draws = draws
        self._recorder = recorder
        self._name = update.network
        self._network = state.networks[update.network]
        self._inputs = inputs
        self._runs = 0
        self._repeat: list[Work] = []
        weights = list(self._network.parameters())

        def find() -> Results:
            values = find_gradients(state, update, inputs[0], draws, accumulate, *inputs[1:])
            return values, [weight.grad for weight in weights]

        def go() -> Results:
            apply_gradients(state, update)
            return {}, []

        self._work: tuple[Work, Work] = find, go

    def run(self, inputs: list[Tensor], ranks: Ranks) -> Values:
        """Carry out the update on `inputs` and what `draws` was filled with."""
        for buffer, value in zip(self._inputs, inputs, strict=True):
            buffer.copy_(value)
        self._runs += 1
        failure = None
        for half, work in enumerate(self._work):
            if self._runs > WARM_UP and half == len(self._repeat) and failure is None:
                try:
                    self._repeat.append(self._recorder.record(work))
                except RuntimeError as error:
                    failure = error
                    self.draws.rewind()
            repeated = half < len(self._repeat)
            results = self._repeat[half]() if repeated else self._recorder.perform(work)
            if half == 0:
                values, gradients = results
                # A repetition does not go through autograd, which would have put them there.
                for weight, gradient in zip(self._network.parameters(), gradients, strict=True):
                    weight.grad = gradient
                ranks.average_gradients(self._name, self._network)
        values = {name: value.clone() for name, value in values.items()}
        if failure is not None:
            raise _RecordingError(failure, values)
        return values
