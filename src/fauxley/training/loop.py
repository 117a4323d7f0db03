"""The training loop: takes steps, and at fixed steps records, previews, checks and saves.

What is learnt depends on the configuration, the data and nothing else: batch n and every random number are functions
of the seed and the step. So a run that was killed and resumed ends in the same weights, bit for bit on a CPU.
"""

import dataclasses
import hashlib
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

import fauxley
from fauxley.audio.dataset import Dataset
from fauxley.audio.files import write_audio
from fauxley.audio.plots import write_curves, write_sheet
from fauxley.audio.slicing import Slicing
from fauxley.errors import FauxleyError
from fauxley.models.draws import Draws
from fauxley.models.synthesizer import Provenance, Synthesizer
from fauxley.training.average import update_average
from fauxley.training.config import TrainingConfig
from fauxley.training.log import Log, read_log
from fauxley.training.run import Run, step_name
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step
from fauxley.training.watch import Watch

# First key of the random numbers: what they are for. Initial weights have 0 and 1.
_UPDATES, _PREVIEW = 2, 3


class Reporter(Protocol):
    """Where the loop tells what happens, for someone to watch."""

    def begin(self, step: int, steps: int) -> None:
        """Training goes from `step` to `steps`."""

    def step(self, step: int) -> None:
        """A step is done."""

    def numbers(self, values: dict[str, float]) -> None:
        """Numbers were logged."""

    def say(self, text: str) -> None:
        """Something happened: a preview, a checkpoint."""

    def warn(self, text: str) -> None:
        """Something seems wrong."""


class Trainer:
    """Trains one run on one device.

    Args:
        run: its folder, begun already.
        config: what to do.
        dataset: real sounds.
        device: where to compute.
        reporter: whom to tell.
        tensorboard: also write TensorBoard's files.
    """

    def __init__(
        self,
        run: Run,
        config: TrainingConfig,
        dataset: Dataset,
        device: torch.device,
        reporter: Reporter,
        tensorboard: bool = False,
    ) -> None:
        self.run = run
        self.config = config
        self.dataset = dataset
        self.device = device
        self.reporter = reporter
        self.slicing = slicing_of(config, dataset)
        self.state = TrainingState.new(
            config.architecture, config.optimizer, config.averaging.half_life > 0, config.seed, device
        )
        self._restore()
        # What lies beyond is of a future that will not happen.
        run.forget_after(self.state.step)
        self.log = Log(run, self.state.step, tensorboard)
        self._real = self._audio(0, config.preview_count or 2).numpy()
        self._watch = Watch(self._real)
        self._clock = (time.monotonic(), self.state.step)

    def train(self) -> bool:
        """Train until the last step; False if stopped before by a signal, with everything saved."""
        config, state = self.config, self.state
        self.reporter.begin(state.step, config.steps)
        try:
            with _stop_signals() as stop:
                if state.step == 0:
                    self._save()  # so that there is always something to go back to, and a full disk shows now
                while state.step < config.steps and not stop:
                    metrics = self._step()
                    self.reporter.step(state.step)
                    if self._due(config.log_every) and not self._record(metrics):
                        continue
                    if self._due(config.preview_every):
                        self._preview()
                    if self._due(config.checkpoint_every):
                        self._save()
                self._save()
        finally:
            self.log.close()
        return state.step >= config.steps

    def _step(self) -> dict[str, Tensor]:
        config, state = self.config, self.state
        first = state.step * config.objective.critic_steps
        batches = [
            state.representation.to_features(self._audio(first + number, config.batch_size).to(self.device))
            for number in range(config.objective.critic_steps)
        ]
        rate = config.optimizer.rate(state.step, config.steps)
        for optimizer in (state.generator_optimizer, state.critic_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = rate
        key = (_UPDATES, config.seed, state.attempt, state.step)
        metrics = train_step(state, config.objective, batches, lambda update: Draws(*key, update), config.accumulate)
        if state.average is not None:
            decay = config.averaging.decay(config.batch_size, state.step)
            update_average(state.average, state.generator, decay)
        return metrics

    def _audio(self, number: int, count: int) -> Tensor:
        """Batch `number` of real audio: (B, C, T) float32 in [-1, 1)."""
        integers = self.dataset.batch(
            number,
            count,
            self.config.seed + self.state.attempt,
            slicing=self.slicing,
            balance_labels=self.config.data.balance_labels,
        )
        return torch.from_numpy(integers).float() / 32768

    def _due(self, every: int) -> bool:
        return self.state.step % every == 0 or self.state.step == self.config.steps

    def _record(self, metrics: dict[str, Tensor]) -> bool:
        """Log the numbers; False if they show that training diverged and it was set back."""
        values = {name: float(value) for name, value in metrics.items()}
        if not (all(map(math.isfinite, values.values())) and self.state.is_finite()):
            self._set_back()
            return False
        now, then = (time.monotonic(), self.state.step), self._clock
        self._clock = now
        values["wasserstein_estimate"] = values["score_real"] - values["score_fake"]
        values["learning_rate"] = self.config.optimizer.rate(self.state.step - 1, self.config.steps)
        values["steps_per_second"] = (now[1] - then[1]) / max(now[0] - then[0], 1e-9)
        self.log.numbers(self.state.step, values)
        self.reporter.numbers(values)
        self._warn(self._watch.numbers(values["separation"]))
        return True

    def _set_back(self) -> None:
        """Go back to the last good checkpoint, once."""
        state, at = self.state, self.state.step
        cause = "the losses are no longer finite numbers: the learning rate is probably too high for this data"
        if state.attempt > 0:
            advice = (
                f"went back once already; begin again with --learning-rate below {self.config.optimizer.learning_rate}"
            )
            self.log.event(at, f"diverged: {cause}")
            raise FauxleyError(f"training diverged at step {at}: {cause}; {advice}")
        self._restore()
        # The same random numbers would lead to the same end.
        state.attempt += 1
        self._warn([f"diverged at step {at}: {cause}; going back to step {state.step} once, with other random numbers"])
        self._clock = (time.monotonic(), state.step)
        self.reporter.begin(state.step, self.config.steps)

    def _restore(self) -> None:
        """Take over the newest checkpoint that can be read; without any, fit the representation."""
        found = self.run.checkpoints()
        for folder in reversed(found):
            try:
                self.state.read(folder)
                return
            except FauxleyError as error:
                self.reporter.warn(f"passing over a damaged checkpoint: {error}")
        if found:
            raise FauxleyError(f"{self.run.path}: no checkpoint can be read; move the folder away to begin again")
        batches = self.dataset.once(self.config.batch_size, self.slicing)
        self.state.representation.fit(torch.from_numpy(batch).float() / 32768 for batch in batches)

    def _synthesizer(self) -> Synthesizer:
        config, state, dataset = self.config, self.state, self.dataset
        return Synthesizer(
            config.architecture,
            state.best_generator,
            state.representation,
            dataset.sample_rate,
            Provenance(config.preset, state.step, fingerprint(dataset), licenses(dataset), fauxley.__version__),
        )

    def _preview(self) -> None:
        """Write sounds from latents that stay the same for the whole run, beside real ones."""
        if not self.config.preview_count:
            return
        step, rate = self.state.step, self.dataset.sample_rate
        latents = Draws(_PREVIEW, self.config.seed).latents(self.config.preview_count, self.state.latent_size)
        fake = self._synthesizer().generate(latents=latents, batch_size=self.config.batch_size).numpy()
        folder = self.run.samples / step_name(step)
        folder.mkdir(exist_ok=True)
        for number, clip in enumerate(fake):
            write_audio(folder / f"{number:02d}.wav", np.nan_to_num(clip), rate)
        write_sheet(folder / "sheet.png", {"real": self._real, f"generated, step {step}": fake}, rate)
        self._draw_curves()
        if step == self.config.preview_every:
            self.log.sounds(step, "real", self._real, rate)
        self.log.sounds(step, "generated", fake, rate)
        self._warn(self._watch.preview(fake))
        self.reporter.say(f"step {step}: preview in {folder}")

    def _draw_curves(self) -> None:
        lines = [line for line in read_log(self.run) if "critic_loss" in line]
        names = ("critic_loss", "generator_loss", "wasserstein_estimate", "separation", "gradient_penalty")
        columns = {name: [float(line.get(name, math.nan)) for line in lines] for name in names}
        if lines:
            write_curves(self.run.path / "curves.png", columns, [line["step"] for line in lines])

    def _save(self) -> None:
        if not self.state.is_finite():
            self._set_back()
            return

        def write(folder: Path) -> None:
            self._synthesizer().write(folder)
            self.state.write(folder)

        self.run.save(self.state.step, write, self.config.keep_checkpoints, self.config.milestone_every)

    def _warn(self, texts: list[str]) -> None:
        for text in texts:
            self.log.event(self.state.step, f"warning: {text}")
            self.reporter.warn(text)


def slicing_of(config: TrainingConfig, dataset: Dataset) -> Slicing:
    """How clips are cut for this model: as the dataset was prepared, unless the configuration says otherwise."""
    prepared = dataset.info.slicing
    return dataclasses.replace(
        prepared,
        clip_length=config.architecture.clip_length,
        mode=prepared.mode if config.data.slicing == "auto" else config.data.slicing,
        overlap=config.data.overlap or prepared.overlap,
    )


def fingerprint(dataset: Dataset) -> str:
    """A short hash of what the dataset holds."""
    content = [(entry.file, entry.label, entry.num_samples, entry.sha256) for entry in dataset.entries]
    settings = (dataset.sample_rate, dataset.channels, dataset.info.normalize)
    return hashlib.sha256(repr((settings, content)).encode()).hexdigest()[:16]


def licenses(dataset: Dataset) -> str:
    """The distinct licences of the data, joined."""
    return "; ".join(sorted({entry.license for entry in dataset.entries if entry.license}))


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one kills as usual."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
