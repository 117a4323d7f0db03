"""CUDA graphs: a GPU records an update once and then repeats it without work for the processor.

A graph repeats the same operations on the same memory. So real batches and random numbers, which are drawn on the host
as always, are first copied to buffers that stay in place (`BufferedDraws`), and optimisers keep their step size in a
tensor. An update becomes two graphs, `find_gradients` and `apply_gradients`; between them, processes that train
together exchange their gradients.

The first updates of a kind are computed without recording, on the stream and in the buffers of the later recording;
that also initialises libraries. Where a random number decides what an update does (a lazy penalty), each outcome has
its own graphs. See docs/decisions/007.
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
        """Do the work now without recording it, on the stream of a later recording."""

    @abstractmethod
    def record(self, work: Work) -> Work:
        """Record the work without doing it; return a function that does it each time, with results in the same memory.

        Raises:
            RuntimeError: the device cannot record it.
        """


class Repetition(Recorder):
    """Repeats work by doing it again: for devices without graphs, and as a reference in tests of graphs."""

    def perform(self, work: Work) -> Results:
        return work()

    def record(self, work: Work) -> Work:
        return work


class CudaGraphs(Recorder):
    """Records work on a GPU. All graphs share memory, because they are replayed one after another."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Autograd remembers the stream on which weights were first used, which must be that of the recording.
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
            torch.cuda.set_stream(now)  # leaving a failed recording fails, too, and does not restore the stream
            raise error if error.__context__ is None else RuntimeError(str(error.__context__)) from error

        def replay() -> Results:
            graph.replay()
            return results

        return replay


class BufferedDraws(Draws):
    """Random numbers in buffers that stay in place, refilled for each update with the same kinds of numbers.

    Args:
        first: the random numbers of the first update.
        device: of the buffers.
    """

    def __init__(self, first: Draws, device: torch.device) -> None:
        self._first = first
        self._device = device
        self._asked: list[tuple[Callable[[Draws], Any], Any]] = []
        self._position = 0

    def rewind(self) -> None:
        """Return the same numbers once more."""
        self._position = 0

    def refill(self, draws: Draws) -> bool:
        """Copy another update's random numbers to the buffers; False if they make the update do something else."""
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
    """Copy values from the host to a buffer. If it is on a GPU, the host does not wait."""
    if buffer.is_cuda:
        # PyTorch reuses a pinned block only after the copies out of it are done.
        return buffer.copy_(values.contiguous().pin_memory(), non_blocking=True)
    return buffer.copy_(values)


class RecordedUpdater(Updater):
    """Repeats recorded updates. It serves one state, until that is loaded from a checkpoint.

    Args:
        recorder: records and repeats.
        say: is called if recording fails; updates are then computed without recording.
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
            self._say(f"continuing without CUDA graphs, which is slower: {error}")
            return error.values


class _RecordingError(Exception):
    """An update could not be recorded, and was computed without recording; `values` are its values."""

    def __init__(self, cause: RuntimeError, values: Values) -> None:
        super().__init__((str(cause).splitlines() or [type(cause).__name__])[0])
        self.values = values


class _Recording:
    """An update of one kind, for one outcome of the random numbers that decide what it does.

    Args:
        inputs: buffers for the real batch and, for conditional networks, its labels.
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
        """Compute the update of `inputs`, with the numbers in `draws`."""
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
                # A replay does not go through autograd, which would have set the gradients.
                for weight, gradient in zip(self._network.parameters(), gradients, strict=True):
                    weight.grad = gradient
                ranks.average_gradients(self._name, self._network)
        values = {name: value.clone() for name, value in values.items()}
        if failure is not None:
            raise _RecordingError(failure, values)
        return values
