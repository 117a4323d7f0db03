"""What training would take, counted before anything is allocated.

Sizes multiply: a width of 100,000 asks for terabytes of weights, a batch of a million for as much of signals. These
counts are arithmetic on the configuration alone and so come at once; what a step really takes is measured by
`fauxley.cli.shared.estimate` where these say that it can be tried.
"""

from typing import NamedTuple

from fauxley.training.config import TrainingConfig

_BYTES = 4  # of a float32
# What is held at the least, in copies: of the weights (they, their gradients, an optimiser's averages), of the signals
# (both networks' and their gradients), of real batches and previews. Real use is up to four times as much.
_WEIGHTS, _SIGNALS, _CLIPS = 3, 4, 2
# A critic's update takes about 11 passes through a network, derivatives of the penalty included; a generator's 5.
_PASSES, _LAST_PASSES = 11, 5


class Cost(NamedTuple):
    """Bytes that training needs at the least, and about how many multiply-adds a step takes."""

    least_bytes: int
    multiply_adds: int


def cost_of(config: TrainingConfig, processes: int = 1) -> Cost:
    """Count the cost of training, on each of several processes that share a batch."""
    architecture, work = config.architecture, config.architecture.work
    share = -(-config.batch_size // processes)
    part = -(-share // config.accumulate)
    updates = len(config.objective.updates())
    clips = share * config.objective.num_batches + _CLIPS * config.preview_count
    numbers = (
        _WEIGHTS * work.weights
        + _SIGNALS * part * work.signals
        + clips * architecture.channels * architecture.clip_length
    )
    passes = _PASSES * (updates - 1) + _LAST_PASSES
    return Cost(_BYTES * numbers, passes * share * work.multiply_adds // 2)
