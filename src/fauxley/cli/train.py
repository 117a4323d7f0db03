"""`fauxley train`: from sounds to a model, stopping and resuming at will.

Without the name of a preset, by the recipe for the sounds that are given; with one, by that, and with a flag for each
of its fields.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal, TypeVar, cast

import torch
import tyro

from fauxley.cli.shared.estimate import describe, step_cost
from fauxley.cli.shared.options import Flat, Switch, describe_fit, with_seconds
from fauxley.cli.shared.plan import plan_words, prospect_words
from fauxley.cli.shared.torchrun import together
from fauxley.dataset.dataset import Dataset
from fauxley.dataset.facts import gather_facts
from fauxley.dataset.format import is_dataset
from fauxley.dataset.pack_settings import PackSettings
from fauxley.dataset.packing import open_or_prepare
from fauxley.errors import UsageError
from fauxley.machine import Device, choose_device, in_memory, keep_freed_memory, prefer_speed, require_memory
from fauxley.models.precision import Precision
from fauxley.models.synthesizer import Synthesizer
from fauxley.sounds.catalogue import list_sounds
from fauxley.terminal.formatting import counted, duration, several
from fauxley.terminal.progress import file_progress
from fauxley.terminal.training_line import TerminalReporter
from fauxley.training.beginning import alike_but_for_length, config_from, require_fitting
from fauxley.training.config import TrainingConfig
from fauxley.training.cuda_graphs import CudaGraphs, Recorder
from fauxley.training.data import fingerprint, slicing_for
from fauxley.training.labels import with_labels
from fauxley.training.log import tensorboard_is_installed
from fauxley.training.loop import Trainer
from fauxley.training.presets import PRESETS
from fauxley.training.ranks import ONE, Ranks
from fauxley.training.recipe import MINUTES, NAME, clip_length, recipe
from fauxley.training.run import Run


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
        board = _check(data, tensorboard)
        if seconds is not None:
            config, rate = with_seconds(config, seconds, data)
            if not quiet:
                print(describe_fit(seconds, config.architecture.clip_length, rate))
        advice = f"{_ADVICE}, or raise --accumulate"
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
            _say_what_is_next(run, finished, config)

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


_ADVICE = "lower the size that is unusual, such as --dim or --batch-size"


def _default(
    data: str,
    run: Path,
    minutes: float | None = None,
    seconds: float | None = None,
    sample_rate: int | None = None,
    channels: int | None = None,
    labels: bool = True,
    precision: Precision = "auto",
    seed: int | None = None,
    device: Device = "auto",
    dim: int | None = None,
    batch_size: int | None = None,
    from_model: Annotated[Path | None, tyro.conf.arg(name="from", metavar="MODEL")] = None,
    tensorboard: Literal["auto", "on", "off"] = "auto",
    dry_run: Switch = False,
    quiet: Switch = False,
) -> None:
    """Learn a folder of sounds with what has proved best: model, sizes and schedule follow from the sounds.

    It takes 60 minutes, or as long as you say, and resumes when it is run again. Listen to RUN/samples meanwhile.

    Example: fauxley train --data my-sounds --run runs/mine

    Example, what it will do and how far it will get here: fauxley train --data my-sounds --run runs/mine --dry-run

    Example, another hour on top: fauxley train --data my-sounds --run runs/mine --minutes 120

    Example, from what a model that ships has learnt: fauxley train --data my-drums --run runs/mine --from drums

    A run keeps what it was begun with. More --minutes make it go on; the learning rate, which falls until the end, then
    goes on from the share of the new minutes that is done, which is higher than where it was.

    For another model, or a certain training, name a preset; 'fauxley train PRESET --help' has a flag for everything:

    {presets}

    Args:
        data: Folder of sounds (prepared into a cache), or a dataset made by 'fauxley prepare'.
        run: Folder for the results: configuration, log, previews, checkpoints. Made, or resumed.
        minutes: How long to train, pauses not counted; 60 if nothing is said. Of a run that was begun, how long in all.
        seconds: How long a sound can be, instead of as long as nine of ten of those given, and 4 s at most.
        sample_rate: Sample rate in Hz, instead of that of most of the sounds.
        channels: 1 for mono, 2 for stereo, instead of what most of the sounds have.
        labels: Learn the labels that the sounds have (names of sub-folders, or those in manifest.csv), all equally
            often, so that each can be asked for.
        precision: How exactly to compute between the layers; auto takes bfloat16 where it is fast.
        seed: Decides the initial weights, the order of the sounds, and every random number; 0 if nothing is said.
        device: Where to compute; auto takes a GPU if there is one.
        dim: Model size d: 16, on a GPU 32, if nothing is said. Less is faster and learns less.
        batch_size: Sounds in a step: 16, on a GPU 32, if nothing is said.
        from_model: Begin from a model instead of random weights: one that ships (see 'fauxley models'), a run or a
            model folder. Its sizes and sample rate are kept; labels that the sounds have too are known from the start;
            its licences are passed on.
        tensorboard: Also write files for TensorBoard; auto does so if it is installed.
        dry_run: Say what will be done and how far it will get on this machine, and stop.
        quiet: Show only warnings.
    """
    board = _check(data, tensorboard)
    begun = Run(run).begun_with()
    wanted = {"dim": dim, "channels": channels}
    source = None
    if begun is None:
        _check_wishes(minutes, seconds)
        if from_model is not None:
            source = Synthesizer.from_pretrained(from_model, choose_device(device))
            sample_rate, channels = _of_the_model(source, sample_rate, channels)
        with file_progress("listening to the sounds", quiet) as progress:
            facts = gather_facts(data, sample_rate, channels, progress)
        config = recipe(
            _changed(facts, seconds=seconds),
            MINUTES if minutes is None else minutes,
            choose_device(device).type == "cuda",
        )
        if source is not None:
            config = _begin_from(config, source, str(from_model), seconds)
    else:
        config = _as_begun(begun, run, data, minutes, from_model)
        if seconds is not None:
            rate = config.data.sample_rate if sample_rate is None else sample_rate
            wanted["clip_length"] = clip_length(seconds, rate)
    config = replace(
        config,
        architecture=_changed(config.architecture, **wanted),
        data=replace(_changed(config.data, sample_rate=sample_rate), labels=labels),
        precision=config.precision if precision == "auto" else precision,
    )
    config = _changed(config, batch_size=batch_size, seed=seed)
    if source is not None:
        require_fitting(config.architecture, source.architecture)
    with in_memory(_ADVICE), together(config, device) as (ranks, chosen):
        if ranks.world_size > 1:
            raise UsageError("several processes cannot go by the clock; name a preset, such as specgan-small")
        require_memory("training this", step_cost(config).least_bytes, _ADVICE, chosen)
        if not quiet or dry_run:
            counts = _peek(config, data)
            planned, on_labels = settle_labels(config, counts, Run(run))
            print(plan_words(planned, counts))
        if dry_run:
            print(f"labels:  {on_labels or 'none'}\n{prospect_words(planned, counts, chosen)}")
            return
        recorder = CudaGraphs(chosen) if chosen.type == "cuda" else None
        finished = train_run(config, data, run, chosen, board, quiet, ranks, recorder, source)
    if not quiet:
        _say_what_is_next(run, finished, config)


def _of_the_model(source: Synthesizer, sample_rate: int | None, channels: int | None) -> tuple[int, int]:
    """The sample rate and channels of the model that a run begins from.

    Raises:
        UsageError: others are asked for.
    """
    known = {"sample-rate": source.sample_rate, "channels": source.architecture.channels}
    for (name, value), wish in zip(known.items(), (sample_rate, channels), strict=True):
        if wish not in (None, value):
            raise UsageError(f"--{name} {wish} is not that of the model to begin from, {value}; leave it out")
    return source.sample_rate, source.architecture.channels


def _begin_from(config: TrainingConfig, source: Synthesizer, name: str, seconds: float | None) -> TrainingConfig:
    """The configuration for a run that begins from a model, with clips as long as the sounds ask for if that can be.

    Raises:
        UsageError: a length is asked for, and the model can have no other than its own.
    """
    model, planned = source.architecture, config.architecture
    if alike_but_for_length(model, planned):
        return config_from(config, source, name, planned.clip_length)
    if seconds is not None:
        length = duration(model.clip_length / source.sample_rate)
        raise UsageError(f"--seconds cannot be chosen: the clips of {name} have {length}, and so will those of the run")
    return config_from(config, source, name)


def _check_wishes(minutes: float | None, seconds: float | None) -> None:
    if minutes is not None and not 0 < minutes < 1e6:
        raise UsageError(f"--minutes is how long to train, such as 60; got {minutes:g}")
    if seconds is not None and not 0 < seconds < 1e6:
        raise UsageError(f"--seconds is how long a sound can be, such as 1.5; got {seconds:g}")


def _as_begun(
    begun: TrainingConfig, run: Path, data: str, minutes: float | None, from_model: Path | None
) -> TrainingConfig:
    """The configuration of a run that goes on, for as long as it was to take or for longer.

    Raises:
        UsageError: it is a preset's run, is to end earlier, or was begun from something else.
    """
    if from_model is not None and str(from_model) != begun.origin.model:
        was = begun.origin.model or "random weights"
        raise UsageError(f"{run} was begun from {was}, not from {from_model}; leave out --from, or begin another run")
    if begun.preset != NAME:
        raise UsageError(
            f"{run} was begun with a preset; go on with: "
            f"fauxley train {begun.preset} --data {quote(data)} --run {quote(str(run))}"
        )
    if minutes is None:
        return begun
    _check_wishes(minutes, None)
    if minutes < begun.minutes:
        raise UsageError(
            f"{run} is to be trained for {begun.minutes:g} minutes, which can be raised, not lowered to {minutes:g}; "
            "leave out --minutes, or begin a run in another folder"
        )
    return replace(begun, minutes=minutes)


_Any = TypeVar("_Any")


def _changed(value: _Any, **wanted: Any) -> _Any:
    """A dataclass with those fields changed for which there is a wish."""
    changed: _Any = replace(cast(Any, value), **{name: wish for name, wish in wanted.items() if wish is not None})
    return changed


def _check(data: str, tensorboard: Literal["auto", "on", "off"]) -> bool:
    """Check what a training needs, make ready for it, and say whether TensorBoard's files are to be written."""
    if not data:
        raise UsageError("--data is empty; give a folder of sounds, or a dataset")
    if tensorboard == "on" and not tensorboard_is_installed():
        raise UsageError("TensorBoard is not installed: pip install 'fauxley[tensorboard]'")
    keep_freed_memory()
    prefer_speed()
    return tensorboard_is_installed() if tensorboard == "auto" else tensorboard == "on"


_default.__doc__ = str(_default.__doc__).replace(
    "{presets}", "\n\n    ".join(f"{name}: {text}" for name, (text, _) in PRESETS.items())
)
train: dict[str, Callable[..., None]] = {
    "": _default,
    **{name: _command(text, config) for name, (text, config) in PRESETS.items()},
}
"""By the name of a preset; "" is what is done without one."""


def _say_what_is_next(run: Path, finished: bool, config: TrainingConfig) -> None:
    words = "" if finished else "go on:        run the same command again\n"
    if finished and config.minutes:
        words = f"train on:     the same command with --minutes {2 * config.minutes:g}\n"
    print(f"{words}make sounds:  fauxley generate {quote(str(run))} --out new-sounds --count 20")


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
    with TerminalReporter(quiet, config.minutes) as reporter:
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
        trainer = Trainer(run, config, dataset, device, reporter, tensorboard, ranks, assess, recorder, source)
        first, done = trainer.state.step, trainer.state.milliseconds / 60_000
        if resumed:
            at = f"minute {done:.1f} of {config.minutes:g}, " if config.minutes else ""
            reporter.say(f"resuming {path} at {at}step {first}")
        finished = trainer.train()
        step = trainer.state.step
    if not quiet and config.minutes and finished:
        used_up = (
            "are used up already"
            if step == first
            else f"are over, {counted(step, 'step')} {several(step, 'was')} taken"
        )
        print(f"finished, the {config.minutes:g} minutes {used_up}: {path}")
    elif not quiet:
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
    if is_dataset(data):
        dataset = Dataset.open(data)
        return dataset.label_counts(slicing_for(config, dataset))
    if not Path(data).is_dir():
        return {}
    return dict(Counter(sound.label for sound in list_sounds(Path(data)).sounds))
