"""What the default training will do and what can be expected of it, in words, before it begins."""

from collections.abc import Mapping

import torch

from fauxley.cli.shared.estimate import arithmetic_pace, step_cost, tried_pace
from fauxley.dataset.facts import facts_of
from fauxley.dataset.folder_report import Advice, on_count
from fauxley.machine import format_bytes
from fauxley.models.specgan import SpecGAN
from fauxley.terminal.formatting import counted, duration
from fauxley.training.config import TrainingConfig
from fauxley.training.expectations import expectations
from fauxley.training.recipe import recipe

_CLIPS = {
    "first": "the beginning of each sound",
    "all": "all of each sound, in successive clips",
    "random": "a random part of a sound",
    "onsets": "one hit, cut out of a recording",
    "auto": "as the dataset was prepared",
}
_WHOLE = ("first", "auto")  # slicings for which each sound is one clip, or counts are counts of clips


def plan_words(config: TrainingConfig, counts: Mapping[str, int]) -> str:
    """The model and the data of a training, in words.

    Args:
        counts: the number of sounds of each label; "" counts those without.
    """
    model, rate = config.architecture, config.data.sample_rate
    kind = " of bands" if isinstance(model, SpecGAN) and model.spectrogram == "bands" else ""
    size = model.training_cost().weights / 1e6
    sounds = sum(counts.values())
    # A recording has many hits, and a long sound many parts; their numbers are not known yet.
    few = "".join(f"; {remark}" for remark in on_count(sounds) if config.data.slicing in _WHOLE)
    return _lines(
        {
            "sounds": f"{sounds:,}, at {rate} Hz, {_channels(model.channels)}{few}",
            "a clip": f"{model.clip_length / rate:.2f} s ({model.clip_length} samples): {_CLIPS[config.data.slicing]}",
            **_pitch_words(config.data.pitch),
            "model": f"a {type(model).__name__}{kind}, d = {model.dim}: {size:.2g} million parameters, "
            f"trained on {config.batch_size} clips a step",
        }
    )


def prospect_words(config: TrainingConfig, counts: Mapping[str, int], device: torch.device) -> str:
    """How far a training will get on this machine in its time, in words; steps are tried if that is quick."""
    config, _ = config.settle(device)
    pace = tried_pace(config, device)
    memory = (
        f"about {pace.megabytes / 1000:.1f} GB"
        if pace.megabytes
        else f"{format_bytes(step_cost(config).least_bytes)} or more"
    )
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    tried = "as tried here" if pace.megabytes else "by arithmetic, right to a factor of about three"
    seen = clips_seen(config, pace.seconds)
    told = {
        "device": f"{where}, computing in {config.precision}; memory: {memory}",
        "pace": f"a step takes about {pace.seconds:.2g} s, {tried}",
        "in all": f"{counted(config.minutes, 'minute')}: about {counted(_rounded(seen / config.batch_size), 'step')}, "
        f"{_clips_words(seen, counts, config)}",
    }
    if reached := expectations(seen):
        told["expect"] = "measured trainings had reached, after as many clips: " + "; ".join(reached)
    return _lines(told)


def rough_plan(advice: Advice, counts: Mapping[str, int]) -> list[str]:
    """What a scan says about the training that it advises, in sentences, by arithmetic alone."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = recipe(facts_of(advice, sum(counts.values())), on_gpu=device.type == "cuda")
    seconds = config.architecture.clip_length / advice.sample_rate
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "this machine, which has no GPU"
    seen = clips_seen(config, arithmetic_pace(config, device))
    pace = f"on {where}, roughly {_clips_words(seen, counts, config)}"
    hint = "previews are worth hearing long before, and Ctrl-C stops and keeps what is learned"
    told = [
        f"a clip is {duration(seconds)} at {advice.sample_rate} Hz, {_channels(advice.channels)}",
        f"it takes {counted(config.minutes, 'minute')}, or --minutes; {pace}; {hint}",
    ]
    if reached := expectations(seen):
        told.append(f"measured trainings had reached, after as many clips: {'; '.join(reached)}")
    return told


def clips_seen(config: TrainingConfig, seconds: float) -> float:
    """The number of clips that a training will see in its time if its steps take `seconds`."""
    return 60 * config.minutes / max(seconds, 1e-9) * config.batch_size * config.objective.num_batches


def _pitch_words(pitch: float) -> dict[str, str]:
    told = f"each sound also up to {pitch:g} semitones lower and higher; --pitch 0 shows it only as it is"
    return {"pitch": told} if pitch else {}


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")


def _clips_words(seen: float, counts: Mapping[str, int], config: TrainingConfig) -> str:
    words = f"{counted(_rounded(seen), 'clip')} seen"
    total = sum(counts.values())
    if config.data.slicing in _WHOLE and 0 < 2 * total < seen:
        words += f", each about {_rounded(seen / total):,} times"
    return words


def _rounded(count: float) -> int:
    """Round a count to two digits, because it is an estimate."""
    return int(float(f"{count:.2g}"))


def _lines(told: Mapping[str, str]) -> str:
    return "\n".join(f"{name + ':':8} {text}" for name, text in told.items())
