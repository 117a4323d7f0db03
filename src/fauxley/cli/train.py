"""`fauxley train`: trains a model on sounds, and resumes.

Without a preset, the recipe chooses everything to suit the sounds; a preset has a flag for each of its fields.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal, TypeVar, cast

import tyro

from fauxley.cli.shared.estimate import describe, step_cost
from fauxley.cli.shared.options import Flat, Switch, describe_fit, with_seconds
from fauxley.cli.shared.plan import plan_words, prospect_words
from fauxley.cli.shared.torchrun import together
from fauxley.cli.shared.train_run import count_sounds, settle_labels, train_run
from fauxley.dataset.facts import gather_facts
from fauxley.errors import UsageError
from fauxley.machine import Device, choose_device, in_memory, keep_freed_memory, prefer_speed, require_memory
from fauxley.models.precision import Precision
from fauxley.models.synthesizer import Synthesizer
from fauxley.terminal.formatting import counted, duration
from fauxley.terminal.progress import file_progress
from fauxley.training.beginning import alike_but_for_length, config_from, require_fitting
from fauxley.training.config import TrainingConfig
from fauxley.training.cuda_graphs import CudaGraphs
from fauxley.training.log import tensorboard_is_installed
from fauxley.training.presets import PRESETS
from fauxley.training.recipe import MINUTES, NAME, clip_length, recipe
from fauxley.training.run import Run


def _command(text: str, preset: TrainingConfig) -> Callable[..., None]:
    """The sub-command of one preset; the preset's values are the defaults of the flags."""

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
        board = _check(data, run, tensorboard)
        if seconds is not None:
            config, rate = with_seconds(config, seconds, data)
            if not quiet:
                print(describe_fit(seconds, config.architecture.clip_length, rate))
        advice = f"{_ADVICE}, or raise --accumulate"
        with in_memory(advice), together(config, device) as (ranks, chosen):
            require_memory("training this", step_cost(config, ranks.world_size).least_bytes, advice, chosen)
            if dry_run:
                config, on_labels = settle_labels(config, count_sounds(config, data), Run(run))
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

    Example, to see time and memory: fauxley train {preset.preset} --data my-sounds --run runs/mine --dry-run

    A status line tells whether the critic (which tells real from generated sounds) or the generator is ahead. It is
    normal that the critic is ahead, and losses need not fall: listen to RUN/samples.

    Args:
        data: Folder of sounds (prepared into a cache), or a dataset made by 'fauxley prepare': its folder or, if it is
            in shards, a URL such as s3://bucket/my-dataset.
        run: Folder for the results: configuration, log, previews, checkpoints. A new one is made, an old one resumed.
        config: What to train, and how.
        seconds: Length of a clip in seconds, instead of --clip-length; the model's shortest possible length that holds
            it is used.
        device: Device to compute on; auto uses a GPU if there is one. Several GPUs: see docs/scaling-training.md.
        tensorboard: Write files for TensorBoard, too; auto does so if it is installed.
        cuda_graphs: On a GPU, record updates once and replay them, which takes load off the CPU; auto does so where
            PyTorch can.
        dry_run: Print the configuration, sizes, time and memory, and stop.
        quiet: Print only warnings.
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
    pitch: float | None = None,
    seed: int | None = None,
    device: Device = "auto",
    dim: int | None = None,
    batch_size: int | None = None,
    from_model: Annotated[Path | None, tyro.conf.arg(name="from", metavar="MODEL")] = None,
    tensorboard: Literal["auto", "on", "off"] = "auto",
    dry_run: Switch = False,
    quiet: Switch = False,
) -> None:
    """Train a model on a folder of sounds with the best known recipe, which chooses model, sizes and schedule to suit.

    Training takes 60 minutes, or --minutes, and resumes when the command is run again. Listen to RUN/samples meanwhile.

    Example: fauxley train --data my-sounds --run runs/mine

    Example, to see what it will do first: fauxley train --data my-sounds --run runs/mine --dry-run

    Example, for another hour: fauxley train --data my-sounds --run runs/mine --minutes 120

    Example, starting from a model that ships: fauxley train --data my-drums --run runs/mine --from drums

    A run keeps the settings with which it was begun. More --minutes continue it; the learning rate, which falls until
    the end, then rises to where it belongs in the longer training.

    For other models or settings name a preset; 'fauxley train PRESET --help' lists a flag for everything:

    {presets}

    Args:
        data: Folder of sounds (prepared into a cache), or a dataset made by 'fauxley prepare'.
        run: Folder for the results: configuration, log, previews, checkpoints. A new one is made, an old one resumed.
        minutes: Training time in all, without pauses; by default 60.
        seconds: Length of a sound in seconds; by default the length that nine of ten sounds do not exceed, at most 4.
        sample_rate: Sample rate in Hz; by default that of most of the sounds.
        channels: 1 for mono, 2 for stereo; by default what most of the sounds have.
        labels: Learn the labels of the sounds (names of sub-folders, or those in manifest.csv), all equally often, so
            that sounds can be generated by label.
        precision: Precision of the signals between layers; auto uses bfloat16 where it is fast.
        pitch: Show each sound at other pitches, too, up to this many semitones from its own; 0 for notes that must stay
            in tune. By default half a semitone if there are fewer than 2000 one-shots.
        seed: Determines the initial weights, the order of the sounds, and every random number; by default 0.
        device: Device to compute on; auto uses a GPU if there is one.
        dim: Model size d; by default 16, or 32 on a GPU. A smaller model is faster and learns less.
        batch_size: Sounds in a step; by default 16, or 32 on a GPU.
        from_model: Start from a model instead of random weights: one that ships (see 'fauxley models'), a run or a
            model folder. Its sizes and sample rate are kept, labels that it shares with the sounds are known from the
            start, and its licences are passed on.
        tensorboard: Write files for TensorBoard, too; auto does so if it is installed.
        dry_run: Print what will be done and how far it will get on this machine, and stop.
        quiet: Print only warnings.
    """
    board = _check(data, run, tensorboard)
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
        data=replace(_changed(config.data, sample_rate=sample_rate, pitch=pitch), labels=labels),
        precision=config.precision if precision == "auto" else precision,
    )
    config = _changed(config, batch_size=batch_size, seed=seed)
    if source is not None:
        require_fitting(config.architecture, source.architecture)
    with in_memory(_ADVICE), together(config, device) as (ranks, chosen):
        if ranks.world_size > 1:
            raise UsageError("several processes cannot train by the clock; name a preset, such as specgan-small")
        require_memory("training this", step_cost(config).least_bytes, _ADVICE, chosen)
        if not quiet or dry_run:
            counts = count_sounds(config, data)
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
    """The sample rate and channels of the model from which a run starts.

    Raises:
        UsageError: others are asked for.
    """
    known = {"sample-rate": source.sample_rate, "channels": source.architecture.channels}
    for (name, value), wish in zip(known.items(), (sample_rate, channels), strict=True):
        if wish not in (None, value):
            raise UsageError(f"--{name} {wish} is not that of the model to begin from, {value}; leave it out")
    return source.sample_rate, source.architecture.channels


def _begin_from(config: TrainingConfig, source: Synthesizer, name: str, seconds: float | None) -> TrainingConfig:
    """The configuration for a run that starts from a model, with clips of the length that suits the sounds if possible.

    Raises:
        UsageError: a length is asked for, but the model cannot have another length than its own.
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
        raise UsageError(f"--minutes must be a training time, such as 60; got {minutes:g}")
    if seconds is not None and not 0 < seconds < 1e6:
        raise UsageError(f"--seconds must be the length of a sound, such as 1.5; got {seconds:g}")


def _as_begun(
    begun: TrainingConfig, run: Path, data: str, minutes: float | None, from_model: Path | None
) -> TrainingConfig:
    """The configuration of a run to be resumed, perhaps for a longer time than before.

    Raises:
        UsageError: the run was begun with a preset or from another model, or would be shortened.
    """
    if from_model is not None and str(from_model) != begun.origin.model:
        was = begun.origin.model or "random weights"
        raise UsageError(f"{run} was begun from {was}, not from {from_model}; leave out --from, or begin another run")
    if begun.preset != NAME:
        raise UsageError(
            f"{run} was begun with a preset; resume it with: "
            f"fauxley train {begun.preset} --data {quote(data)} --run {quote(str(run))}"
        )
    if minutes is None:
        return begun
    _check_wishes(minutes, None)
    if minutes < begun.minutes:
        raise UsageError(
            f"{run} was begun for {counted(begun.minutes, 'minute')}, which can be raised, but not lowered to "
            f"{minutes:g}; leave out --minutes, or begin a run in another folder"
        )
    return replace(begun, minutes=minutes)


_Any = TypeVar("_Any")


def _changed(value: _Any, **wanted: Any) -> _Any:
    """A copy of a dataclass with the fields that are not None changed."""
    changed: _Any = replace(cast(Any, value), **{name: wish for name, wish in wanted.items() if wish is not None})
    return changed


def _check(data: str, run: Path, tensorboard: Literal["auto", "on", "off"]) -> bool:
    """Check what a training needs, prepare the process for it, and say whether to write TensorBoard's files."""
    if not data:
        raise UsageError("--data is empty; give a folder of sounds, or a dataset")
    Run(run).check_place()
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
"""The sub-commands by the name of their preset; "" is the command without a preset."""


def _say_what_is_next(run: Path, finished: bool, config: TrainingConfig) -> None:
    words = "" if finished else "go on:        run the same command again\n"
    if finished and config.minutes:
        words = f"train on:     the same command with --minutes {2 * config.minutes:g}\n"
    print(f"{words}make sounds:  fauxley generate {quote(str(run))} --out new-sounds --count 20")
