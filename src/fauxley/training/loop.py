"""The training loop: it takes steps and, at fixed intervals, records, previews, checks and saves.

The result depends only on the configuration and the data: batch n and every random number are functions of the seed and
the step. So a run that was killed and resumed ends in the same weights, on a CPU bit for bit.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

import fauxley
from fauxley.dataset.dataset import Dataset
from fauxley.errors import FauxleyError, UsageError
from fauxley.models.draws import Purpose
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.runs import step_name
from fauxley.stopping import stop_signals
from fauxley.training.beginning import joined_licenses, share_beyond, take_over, waits
from fauxley.training.checkpoint import read_state, write_checkpoint
from fauxley.training.config import TrainingConfig
from fauxley.training.cuda_graphs import RecordedUpdater, Recorder
from fauxley.training.data import RealAudio, fingerprint, licenses
from fauxley.training.log import Log, NoLog
from fauxley.training.preview import Previews, preview_size
from fauxley.training.ranks import ONE, Ranks
from fauxley.training.run import Run
from fauxley.training.state import TrainingState, update_average
from fauxley.training.step import Updater, train_step
from fauxley.training.watch import Watch

_LOOKED_AT = 64  # clips; a run that starts from a model checks by them whether its sounds suit the model
_MUCH = 0.005  # share of features beyond what a model can express


class Reporter(Protocol):
    """Shows the user what happens."""

    def begin(self, step: int, steps: int) -> None:
        """Training begins at `step` and will end at `steps`."""

    def step(self, step: int, steps: int) -> None:
        """A step is done."""

    def numbers(self, values: dict[str, float]) -> None:
        """Numbers were logged."""

    def say(self, text: str) -> None:
        """Something happened: a preview, a checkpoint."""

    def warn(self, text: str) -> None:
        """Something seems wrong."""


Assessor = Callable[[int, Synthesizer], dict[str, float]]
"""Judges the model's sounds at a step; the figures that it returns are logged."""


class Trainer:
    """Trains one run on one device, alone or as one of several processes.

    Args:
        run: its folder, which has been begun.
        config: the configuration.
        dataset: real sounds.
        device: to compute on.
        reporter: shows what happens.
        tensorboard: whether to write TensorBoard's files, too.
        ranks: the processes; only rank 0 reads and writes the folder.
        assess: judges the sounds every `evaluate_every` steps, on rank 0 only.
        recorder: records and repeats updates; None computes each update without.
        source: the model that a new run starts from, according to its configuration; not needed for resuming.
    """

    def __init__(
        self,
        run: Run,
        config: TrainingConfig,
        dataset: Dataset,
        device: torch.device,
        reporter: Reporter,
        tensorboard: bool = False,
        ranks: Ranks = ONE,
        assess: Assessor | None = None,
        recorder: Recorder | None = None,
        source: Synthesizer | None = None,
    ) -> None:
        self.run = run
        self._recorder = recorder
        self._source = source
        self.config = config = run.settle(config).settle(device)[0]
        self.reporter = reporter
        self.ranks = ranks
        self._assess = assess if ranks.leads else None
        if config.minutes and ranks.world_size > 1:
            raise UsageError("several processes cannot train by the clock; give steps instead of minutes")
        self.data = RealAudio(dataset, config, device, ranks)
        self.provenance = Provenance(
            preset=config.preset,
            dataset=fingerprint(config, dataset),
            license=joined_licenses(licenses(dataset), config.origin.license),
            fauxley_version=fauxley.__version__,
            begun_from=config.origin.model,
        )
        averaged = config.averaging.half_life > 0
        self.state = TrainingState.new(
            config.architecture, config.optimizer, averaged, config.seed, device, config.dtype
        )
        self._restore()
        if ranks.leads:  # what was recorded after the checkpoint is not true any more
            run.forget_after(self.state.step)
        self.log = Log(run, self.state.step, tensorboard) if ranks.leads else NoLog()
        size = preview_size(config.preview_count, len(config.architecture.known_labels)) or 2
        real = self.data.batch(0, size=size).cpu().numpy()
        self.previews = Previews(run, self.log, real, config.seed, self.data.labels(0, size=size))
        self._watch = Watch(real)
        self._clock = (time.monotonic(), self.state.step)

    def train(self) -> bool:
        """Train until the last step, or until a signal asks to stop, and save; return False in the latter case.

        Raises:
            FauxleyError: training diverged twice.
        """
        config, state = self.config, self.state
        self.reporter.begin(state.step, self._steps())
        began = time.monotonic()
        try:
            with stop_signals(insistent=not self.ranks.supervised) as stop:
                if state.step == 0:
                    self._save()  # so that there always is a checkpoint to go back to, and a full disk shows at once
                while self._progress() < 1 and not self.ranks.any(bool(stop)):
                    metrics = self._step()
                    before, now = state.milliseconds, time.monotonic()
                    if config.minutes:  # otherwise the state must not depend on the clock
                        state.milliseconds += round(1000 * (now - began))
                    began = now
                    self.reporter.step(state.step, self._steps())
                    if self._due(config.log_every) and not self._record(metrics):
                        continue
                    if self._due(config.preview_every, before):
                        self._preview()
                    if self._due(config.checkpoint_every, before):
                        self._save()
                    if self._assess and config.evaluate_every and self._due(config.evaluate_every):
                        self.log.numbers(state.step, self._assess(state.step, self._synthesizer()))
                self._save()
        finally:
            self.data.close()
            self.log.close()
        return self._progress() >= 1

    def _step(self) -> dict[str, Tensor]:
        config, state = self.config, self.state
        updates = config.objective.num_batches
        numbers = [state.step * updates + update for update in range(updates)]
        audio = (self.data.batch(number, state.attempt) for number in numbers)
        batches = [state.representation.to_features(batch) for batch in audio]
        conditional = bool(config.architecture.known_labels)
        labels = [self.data.labels(number, state.attempt) for number in numbers] if conditional else []
        progress = self._progress()
        waiting = "generator" if waits(config.origin, state.step, progress) else ""
        state.set_learning_rate(config.optimizer.rate(state.step, progress), waiting)
        key = (Purpose.UPDATE, config.seed, state.attempt, state.step)
        draws = functools.partial(self.ranks.draws, *key)
        metrics = train_step(
            state, config.objective, batches, draws, config.accumulate, self.ranks, self._updater, labels
        )
        if state.average is not None:
            decay = config.averaging.decay(config.batch_size, state.step)
            update_average(state.average, state.generator, decay)
        return metrics

    def _progress(self) -> float:
        """The share of the training that is done, by time or by steps."""
        minutes = self.config.minutes
        return self.state.milliseconds / (60_000 * minutes) if minutes else self.state.step / self.config.steps

    def _steps(self) -> int:
        """The number of steps at the end; if time decides, extrapolated from the pace so far."""
        if not self.config.minutes:
            return self.config.steps
        return math.ceil(self.state.step / self._progress()) if self.state.step else 0

    def _due(self, every: int, milliseconds_before: int | None = None) -> bool:
        """Whether something is due that happens every so many steps, or, given the time before this step, saving."""
        if self._progress() >= 1:
            return True
        period = 60_000 * self.config.save_minutes
        if milliseconds_before is None or not (self.config.minutes and period):
            return self.state.step % every == 0
        return self.state.milliseconds // period > milliseconds_before // period

    def _record(self, metrics: dict[str, Tensor]) -> bool:
        """Log the numbers; return False if they show that training diverged and it was set back."""
        step = self.state.step
        values = {name: float(value) for name, value in metrics.items()}
        if self.ranks.any(not (all(map(math.isfinite, values.values())) and self.state.is_finite())):
            self._set_back()
            return False
        self.ranks.check_same(self.state)
        then, self._clock = self._clock, (time.monotonic(), step)
        values["learning_rate"] = max(each.learning_rate for each in self.state.optimizers.values())
        values["steps_per_second"] = (step - then[1]) / max(self._clock[0] - then[0], 1e-9)
        if self.state.device.type == "cuda":
            values["peak_megabytes"] = torch.cuda.max_memory_allocated(self.state.device) / 1e6
            torch.cuda.reset_peak_memory_stats(self.state.device)
        self.log.numbers(step, values)
        self.reporter.numbers(values)
        self._warn(self._watch.numbers(values.get("separation", 0.0)))
        return True

    def _preview(self) -> None:
        if self.config.preview_count and self.ranks.leads:
            fake = self.previews.write(self.state.step, self._synthesizer())
            self._warn(self._watch.preview(fake))
            self.reporter.say(f"step {self.state.step}: preview in {self.run.samples / step_name(self.state.step)}")

    def _save(self) -> None:
        if self.ranks.any(not self.state.is_finite()):
            self._set_back()
            return

        def write(folder: Path) -> None:
            write_checkpoint(folder, self.state, self._synthesizer())

        if self.ranks.leads:
            self.run.save(self.state.step, write, self.config.keep_checkpoints, self.config.milestone_every)

    def _set_back(self) -> None:
        """Return to the last good checkpoint, but only once."""
        state, config, at = self.state, self.config, self.state.step
        cause = "the losses are no longer finite numbers; probably the learning rate is too high for this data"
        if state.attempt > 0:
            self.log.event(at, f"diverged again: {cause}")
            lower = f"begin again with a learning rate below {config.optimizer.learning_rate:g}"
            raise FauxleyError(f"training diverged at step {at} for the second time: {cause}; {lower}")
        self._restore()
        if self.ranks.leads:
            self.run.forget_after(state.step)
        self.log.rewind(state.step)
        # The same random numbers would diverge again.
        state.attempt += 1
        self._warn([f"diverged at step {at}: {cause}. Going on from step {state.step} with other random numbers, once"])
        self._clock = (time.monotonic(), state.step)
        self.reporter.begin(state.step, self._steps())

    def _restore(self) -> None:
        """Load the newest checkpoint that can be read, or begin if there is no checkpoint."""
        if self.ranks.leads:
            self._read_or_fit()
        self.ranks.follow(self.state)
        # Recorded updates refer to the optimisers' former tensors.
        self._updater = RecordedUpdater(self._recorder, self._inform) if self._recorder else Updater()

    def _read_or_fit(self) -> None:
        found = self.run.checkpoints()
        for folder in reversed(found):
            try:
                read_state(folder, self.state)
                return
            except FauxleyError as error:
                self.reporter.warn(f"passing over a damaged checkpoint: {error}")
        if found:
            raise FauxleyError(f"{self.run.path}: no checkpoint can be read; move the folder away to begin again")
        if not self.config.origin.model:
            self.state.representation.fit(self.data.once())
        elif self._source is None:
            raise UsageError(f"{self.run.path} has no checkpoint yet; give the model that it begins from again")
        else:
            self._begin_from(self._source)

    def _begin_from(self, source: Synthesizer) -> None:
        """Take over what a model has learned, and warn if its representation cannot express these sounds.

        Raises:
            UsageError: it does not fit.
        """
        if source.sample_rate != self.data.sample_rate:
            raise UsageError(
                f"the model to begin from makes sounds at {source.sample_rate} Hz, and the data has "
                f"{self.data.sample_rate} Hz; prepare it with the model's sample rate"
            )
        take_over(self.state, self.config.architecture, source)
        if (beyond := share_beyond(self.state.representation, self.data.batch(0, size=_LOOKED_AT))) > _MUCH:
            self.reporter.warn(
                f"{beyond:.1%} of these sounds' features lie beyond what {self.config.origin.model} can express, and "
                "will come out quieter; a training from scratch would not have this limit"
            )

    def _synthesizer(self) -> Synthesizer:
        return Synthesizer(
            self.config.architecture,
            self.state.best_generator,
            self.state.representation,
            self.data.sample_rate,
            dataclasses.replace(self.provenance, step=self.state.step),
        )

    def _inform(self, text: str) -> None:
        self.log.event(self.state.step, text)
        self.reporter.say(text)

    def _warn(self, texts: list[str]) -> None:
        for text in texts:
            self.log.event(self.state.step, f"warning: {text}")
            self.reporter.warn(text)
