"""`fauxley train`: from sounds to a model, stopping and resuming at will."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fauxley.cli.shared.estimate import describe, step_cost
from fauxley.cli.shared.options import Flat, Switch, describe_fit, with_seconds
from fauxley.cli.shared.torchrun import together
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import INFO_FILE
from fauxley.dataset.location import is_url
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import open_or_prepare
from fauxley.errors import UsageError
from fauxley.machine import Device, in_memory, keep_freed_memory, prefer_speed, require_memory
from fauxley.sounds.catalogue import list_sounds
from fauxley.terminal.formatting import waiting_time
from fauxley.terminal.outputs import messages
from fauxley.terminal.progress import SPEAK_EVERY
from fauxley.training.config import TrainingConfig
from fauxley.training.cuda_graphs import CudaGraphs, Recorder
from fauxley.training.data import fingerprint, slicing_for
from fauxley.training.labels import with_labels
from fauxley.training.log import tensorboard_is_installed
from fauxley.training.loop import Trainer
from fauxley.training.presets import PRESETS
from fauxley.training.ranks import ONE, Ranks
from fauxley.training.run import Run
from fauxley.training.watch import standing

# What the live line tells of the numbers, behind the words.
_SHOWN = (("critic", "critic_loss"), ("generator", "generator_loss"), ("bits a sample", "bits_per_sample"))
_RECENT = 5  # lines of the log, over which the critic's lead is averaged


def _command(text: str, preset: TrainingConfig) -> Callable[..., None]:
    """The sub-command of one preset, whose values are the defaults of the flags."""

    def command(
        data: str,
        run: Path,
        config: Annotated[TrainingConfig, Flat] = preset,
        seconds: float | None = None,
        device: Device = "auto",
        tensorboard: Literal["auto", "on", "off"] = "auto",
        cuda_graphs: Literal["auto", "off"] = "auto",
        dry_run: Switch = False,
        quiet: Switch = False,
    ) -> None:
        if not data:
            raise UsageError("--data is empty; give a folder of sounds, or a dataset")
        if tensorboard == "on" and not tensorboard_is_installed():
            raise UsageError("TensorBoard is not installed: pip install 'fauxley[tensorboard]'")
        if seconds is not None:
            config, rate = with_seconds(config, seconds, data)
            if not quiet:
                print(describe_fit(seconds, config.architecture.clip_length, rate))
        board = tensorboard_is_installed() if tensorboard == "auto" else tensorboard == "on"
        keep_freed_memory()
        prefer_speed()
        advice = "lower the size that is unusual, such as --dim or --batch-size, or raise --accumulate"
        with in_memory(advice), together(config, device) as (ranks, chosen):
            require_memory("training this", step_cost(config, ranks.world_size).least_bytes, advice, chosen)
            if dry_run:
                config, on_labels = settle_labels(config, _peek(config, data), Run(run))
                if ranks.leads:
                    print(describe(config, chosen) + f"\nlabels: {on_labels or 'none'}")
                return
            quiet = quiet or not ranks.leads
            recorder = CudaGraphs(chosen) if chosen.type == "cuda" and cuda_graphs == "auto" else None
            finished = train_run(config, data, run, chosen, board, quiet, ranks, recorder)
        if not quiet:
            again = "" if finished else "go on:        run the same command again\n"
            print(f"{again}make sounds:  fauxley generate {run} --out new-sounds --count 20")

    command.__doc__ = f"""Train {text}. Run it again to resume.

    Example: fauxley train {preset.preset} --data my-sounds --run runs/mine

    Example, what it would cost: fauxley train {preset.preset} --data my-sounds --run runs/mine --dry-run

    While it trains, the line says in words how the critic (which tells real from generated sounds) and the generator
    stand; the critic being ahead is normal. Losses need not fall: listen to RUN/samples.

    Args:
        data: Folder of sounds (prepared into a cache), or a dataset made by 'fauxley prepare': its folder or, if it is
            in shards, a URL such as s3://bucket/my-dataset.
        run: Folder for the results: configuration, log, previews, checkpoints. Made, or resumed.
        config: What to train, and how.
        seconds: How long a clip is, instead of --clip-length: takes the shortest length of a model in which that
            fits, and says so.
        device: Where to compute; auto takes a GPU if there is one. Several GPUs: see docs/scaling-training.md.
        tensorboard: Also write files for TensorBoard; auto does so if it is installed.
        cuda_graphs: On a GPU, record the updates once and replay them, which spares the processor's work; auto does so
            where PyTorch can record them.
        dry_run: Show the configuration, sizes, time and memory, and stop.
        quiet: Show only warnings.
    """
    return command


train = {name: _command(text, config) for name, (text, config) in PRESETS.items()}


def train_run(
    config: TrainingConfig,
    data: Path | str,
    path: Path,
    device: torch.device,
    tensorboard: bool,
    quiet: bool,
    ranks: Ranks = ONE,
    recorder: Recorder | None = None,
) -> bool:
    """Begin or resume a run and train it to its end; False if a signal stopped it before."""
    with ranks.in_turn():
        dataset = open_data(config, data)
    run = Run(path)
    config, warning = _settle(config, run, device, ranks)
    config, on_labels = settle_labels(config, dataset.label_counts(slicing_for(config, dataset)), run)
    content = fingerprint(config, dataset)
    ranks.check_agreed("data", content)
    ranks.check_agreed("flags", config)
    resumed = run.exists
    if ranks.leads:
        run.begin(config, content)
    with TerminalReporter(quiet) as reporter:
        if warning and ranks.leads:
            reporter.warn(warning)
        reporter.say(f"computing in {config.precision}")
        if on_labels and ranks.leads:
            reporter.say(on_labels)
        assess = None
        if config.evaluate_every and ranks.leads:
            from fauxley.cli.shared.judging import assessor  # only for those who ask

            assess = assessor(
                path, dataset, config.architecture.clip_length, config.evaluate_count, device, reporter.say
            )
        trainer = Trainer(run, config, dataset, device, reporter, tensorboard, ranks, assess, recorder)
        if resumed:
            reporter.say(f"resuming {path} at step {trainer.state.step}")
        finished = trainer.train()
        step = trainer.state.step
    if not quiet:
        print(f"{'finished' if finished else 'stopped, saved'} at step {step}: {path}")
    return finished


def _settle(config: TrainingConfig, run: Run, device: torch.device, ranks: Ranks) -> tuple[TrainingConfig, str]:
    """The configuration with its precision settled: as the run was begun, or else as rank 0 finds it; and a warning."""
    config = run.settle(config)
    if config.precision != "auto":
        return config.settle(device)
    settled, warning = config.settle(device) if ranks.leads else (replace(config, precision="float32"), "")
    narrow = ranks.any(settled.precision == "bfloat16")
    return replace(config, precision="bfloat16" if narrow else "float32"), warning


def settle_labels(config: TrainingConfig, counts: Mapping[str, int], run: Run) -> tuple[TrainingConfig, str]:
    """The configuration with the labels that are learnt (of the data, or as the run was begun), and a line on them."""
    begun = run.labels()
    settled, words = with_labels(config, counts, begun)
    known = sorted(set(counts) - {""})
    if begun is None and not words and len(known) > 1 and not config.data.labels:
        words = f"the data has {len(known)} labels, which are not learnt; --labels learns them"
    elif begun is None and settled.architecture.known_labels:
        words += "; --no-labels learns none"
    return settled, words


def open_data(config: TrainingConfig, data: Path | str) -> Dataset:
    """The dataset at `data`, or the one prepared from the sounds there, checked to suit the model.

    Raises:
        UsageError: the dataset has another number of channels.
    """
    model = config.architecture
    settings = PackSettings(
        sample_rate=config.data.sample_rate,
        channels=model.channels,
        normalize=config.data.normalize,
        clip_length=model.clip_length,
        slicing=config.data.slicing,
        overlap=config.data.overlap,
    )
    dataset = open_or_prepare(data, settings)
    if dataset.channels != model.channels:
        raise UsageError(
            f"{dataset.name} has {dataset.channels} channel(s) and the model {model.channels}; "
            f"give --channels {dataset.channels}, or prepare the sounds anew"
        )
    if config.data.slicing == "onsets" and dataset.info.slicing.mode != "onsets":
        raise UsageError(
            f"{dataset.name} was not cut at its onsets; prepare the sounds anew with --slicing onsets, "
            "or give their folder"
        )
    if config.data.balance_labels and not dataset.labels:
        raise UsageError(
            f"{dataset.name} has no labels; leave out --balance-labels, or sort the sounds into sub-folders"
        )
    return dataset


def _peek(config: TrainingConfig, data: Path | str) -> dict[str, int]:
    """How many clips of each label are in a dataset, or files in a folder that is yet to be prepared."""
    if is_url(data) or (Path(data) / INFO_FILE).is_file():
        dataset = Dataset.open(data)
        return dataset.label_counts(slicing_for(config, dataset))
    if not Path(data).is_dir():
        return {}
    return dict(Counter(sound.label for sound in list_sounds(Path(data)).sounds))


class TerminalReporter:
    """A live line while there is a terminal; a line every few seconds where there is none.

    What the numbers mean stands in front of them, in words.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console(file=messages())
        self._live = self._console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._progress.add_task("", rate="", numbers="")
        self._begun = self._spoken = time.monotonic()
        self._first = self._steps = 0
        self._numbers = ""
        self._separations: deque[float] = deque(maxlen=_RECENT)

    def __enter__(self) -> "TerminalReporter":
        self._progress.start()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._progress.stop()

    def begin(self, step: int, steps: int) -> None:
        self._progress.reset(self._task, total=steps, completed=step)
        self._begun = self._spoken = time.monotonic()
        self._first, self._steps = step, steps

    def step(self, step: int, steps: int) -> None:
        self._steps = steps
        self._progress.update(self._task, completed=step, total=steps)
        now = time.monotonic()
        if not self._live and now > self._spoken + SPEAK_EVERY:
            self._spoken = now
            each = (now - self._begun) / max(1, step - self._first)
            left = waiting_time(each * max(0, self._steps - step))
            numbers = f": {self._numbers}" if self._numbers else ""
            self.say(f"step {step:,} of {self._steps:,}, {_pace(1 / each)}, {left} left{numbers}")

    def numbers(self, values: dict[str, float]) -> None:
        self._numbers = self._describe(values)
        self._progress.update(self._task, rate=_pace(values["steps_per_second"]), numbers=self._numbers)

    def say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self._console.print(f"warning: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)

    def _describe(self, values: dict[str, float]) -> str:
        """The numbers in words, with the numbers behind."""
        shown = ", ".join(f"{name} {values[key]:.2f}" for name, key in _SHOWN if key in values)
        if "bits_per_sample" in values:
            return f"{shown} (falling is good)"
        if "separation" not in values:
            return shown
        self._separations.append(values["separation"])
        lead = sum(self._separations) / len(self._separations)
        return f"{standing(lead)} (lead {lead:.1f}; {shown})"


def _pace(rate: float) -> str:
    return f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / max(rate, 1e-9):.1f} s/step"
