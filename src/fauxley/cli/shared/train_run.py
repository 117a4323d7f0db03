"""Carrying out a training for a command: opens its data, settles precision and labels, and shows its progress."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from fauxley.dataset.dataset import Dataset
from fauxley.dataset.format import is_dataset
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import open_or_prepare
from fauxley.errors import UsageError
from fauxley.models.synthesizer import Synthesizer
from fauxley.sounds.catalogue import list_sounds
from fauxley.terminal.formatting import counted, several
from fauxley.terminal.progress import file_progress
from fauxley.terminal.training_line import TerminalReporter
from fauxley.training.config import TrainingConfig
from fauxley.training.cuda_graphs import Recorder
from fauxley.training.data import fingerprint, slicing_for
from fauxley.training.labels import with_labels
from fauxley.training.loop import Trainer
from fauxley.training.ranks import ONE, Ranks
from fauxley.training.run import Run


def train_run(
    config: TrainingConfig,
    data: Path | str,
    path: Path,
    device: torch.device,
    tensorboard: bool,
    quiet: bool,
    ranks: Ranks = ONE,
    recorder: Recorder | None = None,
    source: Synthesizer | None = None,
) -> bool:
    """Begin or resume a run, and train it to its end; return False if a signal stopped it before."""
    with ranks.in_turn():
        dataset = open_data(config, data, quiet)
    run = Run(path)
    config, warning = _settle(config, run, device, ranks)
    config, on_labels = settle_labels(config, dataset.label_counts(slicing_for(config, dataset)), run)
    content = fingerprint(config, dataset)
    ranks.check_agreed("data", content)
    ranks.check_agreed("flags", config)
    resumed = run.exists
    if ranks.leads:
        run.begin(config, content)
    with TerminalReporter(quiet, config.minutes) as reporter:
        if warning and ranks.leads:
            reporter.warn(warning)
        reporter.say(f"computing in {config.precision}")
        if on_labels and ranks.leads:
            reporter.say(on_labels)
        assess = None
        if config.evaluate_every and ranks.leads:
            from fauxley.cli.shared.judging import assessor  # slow to import, and seldom needed

            assess = assessor(
                path, dataset, config.architecture.clip_length, config.evaluate_count, device, reporter.say
            )
        trainer = Trainer(run, config, dataset, device, reporter, tensorboard, ranks, assess, recorder, source)
        first, done = trainer.state.step, trainer.state.milliseconds / 60_000
        if resumed:
            at = f"minute {done:.1f} of {config.minutes:g}, " if config.minutes else ""
            reporter.say(f"resuming {path} at {at}step {first}")
        finished = trainer.train()
        step = trainer.state.step
    if not quiet and config.minutes and finished:
        end = "used up already" if step == first else f"over, {counted(step, 'step')} {several(step, 'was')} taken"
        time = f"{counted(config.minutes, 'minute')} {several(config.minutes, 'is')}"
        print(f"finished, the {time} {end}: {path}")
    elif not quiet:
        print(f"{'finished' if finished else 'stopped, saved'} at step {step}: {path}")
    return finished


def _settle(config: TrainingConfig, run: Run, device: torch.device, ranks: Ranks) -> tuple[TrainingConfig, str]:
    """The configuration with its precision chosen, by the run or else by rank 0; and a warning, or ""."""
    config = run.settle(config)
    if config.precision != "auto":
        return config.settle(device)
    settled, warning = config.settle(device) if ranks.leads else (replace(config, precision="float32"), "")
    narrow = ranks.any(settled.precision == "bfloat16")
    return replace(config, precision="bfloat16" if narrow else "float32"), warning


def settle_labels(config: TrainingConfig, counts: Mapping[str, int], run: Run) -> tuple[TrainingConfig, str]:
    """The configuration with the labels to learn, which are the run's or else the data's; and a line about them."""
    begun = run.labels()
    settled, words = with_labels(config, counts, begun)
    known = sorted(set(counts) - {""})
    if begun is None and not words and len(known) > 1 and not config.data.labels:
        words = f"the data has {len(known)} labels, which are not learned; --labels learns them"
    elif begun is None and settled.architecture.known_labels:
        words += "; --no-labels learns none"
    return settled, words


def open_data(config: TrainingConfig, data: Path | str, quiet: bool) -> Dataset:
    """Open the dataset at `data`, or prepare one from the sounds there, and check that it suits the model.

    Args:
        quiet: show no progress.

    Raises:
        UsageError: the dataset does not suit the model.
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
    with file_progress("preparing the sounds", quiet) as progress:
        dataset = open_or_prepare(data, settings, progress=progress)
    if dataset.channels != model.channels:
        raise UsageError(
            f"{dataset.name} has {dataset.channels} channel(s) and the model {model.channels}; "
            f"give --channels {dataset.channels}, or prepare the sounds again"
        )
    if config.data.slicing == "onsets" and dataset.info.slicing.mode != "onsets":
        raise UsageError(
            f"{dataset.name} was not cut at its onsets; prepare the sounds again with --slicing onsets, "
            "or give their folder"
        )
    if config.data.balance_labels and not dataset.labels:
        raise UsageError(
            f"{dataset.name} has no labels; leave out --balance-labels, or sort the sounds into sub-folders"
        )
    return dataset


def count_sounds(config: TrainingConfig, data: Path | str) -> dict[str, int]:
    """The number of clips of each label in a dataset, or of files in a folder that is not prepared yet."""
    if is_dataset(data):
        dataset = Dataset.open(data)
        return dataset.label_counts(slicing_for(config, dataset))
    if not Path(data).is_dir():
        return {}
    return dict(Counter(sound.label for sound in list_sounds(Path(data)).sounds))
