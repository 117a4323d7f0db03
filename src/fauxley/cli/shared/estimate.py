"""Estimates of the time and memory that training needs on this machine, by arithmetic or by trying a few steps."""

import dataclasses
import functools
import json
import time
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from fauxley.machine import format_bytes, peak_megabytes
from fauxley.models.conditioning import label_weights
from fauxley.models.draws import Draws
from fauxley.serialization import to_json
from fauxley.terminal.formatting import counted, several, waiting_time
from fauxley.training.config import TrainingConfig
from fauxley.training.objectives import Objective
from fauxley.training.state import TrainingState
from fauxley.training.step import train_step

_TRIAL = 2  # clips in a trial step
_TRIAL_STEPS = 4  # of one or two clips
_PATIENCE = 30  # seconds; trials that would take longer, by arithmetic, are not made
_MATRIX = 512  # rows and columns of the matrices whose product shows the machine's speed
_EFFICIENCY = 0.5  # of a training step's products, relative to a plain product of matrices
_BYTES = 4  # of a float32
# The fewest numbers in memory: 3 for each weight (itself, its gradient, an optimiser's average), 4 for each
# signal (both networks' and their gradients), 2 for each sample of previews. Real use is up to four times as much.
_WEIGHTS, _SIGNALS, _CLIPS = 3, 4, 2
# A critic's update takes about 11 passes through a network, derivatives of the penalty included, and 7 without; a
# generator's 5.
_PASSES, _FREE_PASSES, _LAST_PASSES = 11, 7, 5
_NEVER = 1 << 30  # updates


class StepCost(NamedTuple):
    """The fewest bytes that training needs, and about how many multiply-adds a step takes."""

    least_bytes: int
    multiply_adds: int


def step_cost(config: TrainingConfig, processes: int = 1) -> StepCost:
    """Compute what training needs in each of several processes that share a batch, before anything is allocated.

    Sizes multiply: a width of 100,000 needs terabytes of weights, and a batch of a million needs terabytes of signals.
    """
    architecture, networks = config.architecture, config.architecture.training_cost()
    share = -(-config.batch_size // processes)
    part = -(-share // config.accumulate)
    updates = len(config.objective.updates())
    clips = share * config.objective.num_batches + _CLIPS * config.preview_count
    numbers = (
        _WEIGHTS * networks.weights
        + _SIGNALS * part * networks.numbers
        + clips * architecture.channels * architecture.clip_length
    )
    every = penalty_every(config)
    passes = (_PASSES + (every - 1) * _FREE_PASSES) * (updates - 1) + every * _LAST_PASSES
    return StepCost(_BYTES * numbers, passes * share * networks.multiply_adds // (2 * every))


def penalty_every(config: TrainingConfig) -> int:
    """One critic update in this many has the penalty, on average."""
    return max(1, int(getattr(config.objective, "penalty_every", 1)))


def describe(config: TrainingConfig, device: torch.device) -> str:
    """The text of `fauxley train --dry-run`: the configuration, the networks' sizes, a step's time and memory."""
    config, _ = config.settle(device)
    cost = step_cost(config)
    seconds = arithmetic_pace(config, device)
    told = [json.dumps(to_json(config), indent=2)]
    if seconds / config.batch_size * _TRIAL * _TRIAL_STEPS < _PATIENCE:
        state = TrainingState.new(
            config.architecture, config.optimizer, config.averaging.half_life > 0, config.seed, device, config.dtype
        )
        sizes = {name: count_parameters(network) for name, network in state.networks.items()}
        told += [f"{name}: {size / 1e6:.2f} million parameters" for name, size in sizes.items()]
        seconds, megabytes = _trial(config, state)
        memory = f"about {megabytes / 1000:.1f} GB"
    else:
        told.append(f"networks: {config.architecture.training_cost().weights / 1e6:.0f} million parameters")
        told.append("too large to try here; these are estimates, right to a factor of about three:")
        memory = f"{format_bytes(cost.least_bytes)} or more"
    told.append(f"device: {torch.cuda.get_device_name(device) if device.type == 'cuda' else 'cpu'}")
    steps = f"{counted(config.steps, 'step')} about {waiting_time(seconds * config.steps)}"
    if config.minutes:
        time = f"{counted(config.minutes, 'minute')} {several(config.minutes, 'is')}"
        steps = f"{time} about {counted(round(60 * config.minutes / seconds), 'step')}"
    told.append(f"a step takes about {seconds:.2g} s; {steps}")
    told.append(f"memory: {memory}")
    return "\n".join(told)


class Pace(NamedTuple):
    """The seconds of a step, and the megabytes that it took if it was tried."""

    seconds: float
    megabytes: float | None = None


def tried_pace(config: TrainingConfig, device: torch.device) -> Pace:
    """The pace of training, measured by trying steps if that is quick, otherwise by arithmetic."""
    seconds = arithmetic_pace(config, device)
    if seconds * _TRIAL_STEPS > _PATIENCE:
        return Pace(seconds)
    state = TrainingState.new(
        config.architecture, config.optimizer, config.averaging.half_life > 0, config.seed, device, config.dtype
    )
    part = config.batch_size // config.accumulate
    return Pace(step_seconds(config, state, part) * config.accumulate, peak_megabytes(device))


def arithmetic_pace(config: TrainingConfig, device: torch.device) -> float:
    """The seconds of a step, by arithmetic, right to a factor of about three."""
    return 2 * step_cost(config).multiply_adds / operations_per_second(device)


def operations_per_second(device: torch.device) -> float:
    """Multiply-adds a second that training can use on this machine, measured by one product of matrices."""
    a, b = (torch.rand(_MATRIX, _MATRIX, device=device) for _ in range(2))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        product = a @ b
        float(product[0, 0])  # waits for a GPU
        times.append(time.perf_counter() - start)
    return 2 * _MATRIX**3 / min(times) * _EFFICIENCY


def count_parameters(network: nn.Module) -> int:
    """The number of trainable parameters in a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def _trial(config: TrainingConfig, state: TrainingState) -> tuple[float, float]:
    """The seconds and megabytes of a step, extrapolated linearly from small batches."""
    part = config.batch_size // config.accumulate
    small, large = max(1, min(_TRIAL, part) // 2), min(_TRIAL, part)
    before = peak_megabytes(state.device)
    measured = [(count, step_seconds(config, state, count), peak_megabytes(state.device)) for count in (small, large)]
    (_, first_seconds, first_peak), (_, last_seconds, last_peak) = measured
    if small == large:
        return last_seconds * config.accumulate, last_peak
    each = max((last_seconds - first_seconds) / (large - small), last_seconds / large / 2)
    seconds = (last_seconds + each * (part - large)) * config.accumulate
    per_clip = max(last_peak - first_peak, (last_peak - before) / large, 0.0)
    return seconds, last_peak + per_clip * (part - large)


def step_seconds(config: TrainingConfig, state: TrainingState, count: int, trials: int = 2) -> float:
    """The seconds of a training step on `count` random clips: the shortest of `trials` steps after a first one.

    If only some steps have the penalty, steps with and without it are timed, and their weighted mean is returned.
    """
    every = penalty_every(config)
    if every == 1:
        return _least_seconds(config.objective, config, state, count, trials)
    always, never = (dataclasses.replace(cast(Any, config.objective), penalty_every=number) for number in (1, _NEVER))
    costly, free = (_least_seconds(objective, config, state, count, trials) for objective in (always, never))
    return (costly + (every - 1) * free) / every


def _least_seconds(
    objective: Objective, config: TrainingConfig, state: TrainingState, count: int, trials: int
) -> float:
    audio = torch.rand(count, config.architecture.channels, config.architecture.clip_length, device=state.device) - 0.5
    batches = [state.representation.to_features(audio)] * objective.num_batches
    known = config.architecture.known_labels
    labels = [label_weights(None, known, count).to(state.device)] * objective.num_batches if known else []
    times = []
    for trial in range(trials):
        start = time.perf_counter()
        draws = functools.partial(Draws, trial)
        train_step(state, objective, batches, draws, labels=labels)
        if state.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])  # the first one includes setup
