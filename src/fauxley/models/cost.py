"""The cost of a model, computed from its sizes alone, before anything is built or allocated.

A stranger's model folder, or a mistyped size on a command line, can ask for more than any machine has. No size is too
large by itself; their products are. So every architecture computes what its networks cost for one clip, and models
beyond the limits here are refused. The limits leave room for any model of practical use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fauxley.dataset.format import MOST_CHANNELS, MOST_VALUES, SAMPLE_RATES
from fauxley.errors import UsageError

_MOST_SECONDS = 600
_MOST_RESAMPLED = 1 << 26  # values of a resampled clip
_MOST_WEIGHTS = 1 << 31
_MOST_NUMBERS = 1 << 27  # half a gigabyte
_WORK_A_SECOND = 10**10
_MOST_WORK_A_SAMPLE = 5 * 10**7  # a WaveNet of 64 channels and 40 layers needs 10^7
_OPERATION = 50_000  # multiplications in the time that the smallest operation takes


@dataclass(frozen=True)
class Cost:
    """What networks need for one clip.

    Attributes:
        weights: numbers stored in the model.
        multiply_adds: multiplications of direct convolutions and matrix products.
        operations: sequential operations, each of which takes microseconds however small it is.
        numbers: about how many numbers of signals are in memory at the same time.
        surplus: extra time, counted in multiplications of large matrix products, of `multiply_adds` that run slower
            than those: filters of one channel, and transforms.
    """

    weights: int = 0
    multiply_adds: int = 0
    operations: int = 0
    numbers: int = 0
    surplus: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """The cost of one after the other."""
        return Cost(
            self.weights + other.weights,
            self.multiply_adds + other.multiply_adds,
            self.operations + other.operations,
            max(self.numbers, other.numbers),
            self.surplus + other.surplus,
        )

    @property
    def work(self) -> int:
        """The time of all of it, counted in multiplications; 10^10 take a processor about a second."""
        return self.multiply_adds + self.surplus + _OPERATION * self.operations


@dataclass(frozen=True)
class Pyramid:
    """The sizes of a critic whose layers reduce the number of points and add channels, and of its generator.

    The generator is the critic's mirror image, with a dense layer from the latent in front.

    Args:
        latent_size: numbers in a latent vector.
        points: samples or pixels of the critic's input.
        channels: of the critic's input.
        taps: of each convolution, for each pair of channels.
        widths: output channels of each of the critic's layers.
        factors: the factors by which the critic's layers divide the number of points.
        batch_norm: whether there is batch normalisation.
        num_labels: number of labels, or 0.
    """

    latent_size: int
    points: int
    channels: int
    taps: int
    widths: tuple[int, ...]
    factors: tuple[int, ...]
    batch_norm: bool
    num_labels: int = 0

    @property
    def critic_cost(self) -> Cost:
        """The cost of scoring one clip."""
        before, points, weights, products, signals = self.channels, self.points, 0, 0, 0
        for number, (after, factor) in enumerate(zip(self.widths, self.factors, strict=True)):
            signals += points * before
            points //= factor
            filters = self.taps * before * after
            weights += filters + after + 2 * after * (self.batch_norm and number > 0)
            products += filters * points
            before = after
        dense, of_labels = points * before, self.num_labels * (before + 1)
        return Cost(weights + dense + 1 + of_labels, products + dense + of_labels, numbers=signals + dense)

    def generator_cost(self, used_taps: Callable[[int], int], copies: int = 1, counters: int = 0) -> Cost:
        """The cost of generating one clip.

        Args:
            used_taps: a layer's multiplications for each of its input points and pair of channels, given its factor.
            copies: how many points are convolved for each input point.
            counters: numbers that a batch normalisation stores besides four for each channel.
        """
        width, points = self.widths[-1], self.points
        for factor in self.factors:
            points //= factor
        dense = (self.latent_size + self.num_labels) * points * width
        cost = Cost(dense + points * width, dense, numbers=self.latent_size + points * width)
        for after, factor in zip((*reversed(self.widths[:-1]), self.channels), self.factors, strict=True):
            weights = self.taps * width * after + after + (4 * width + counters) * self.batch_norm
            signals = points * (copies * width + factor * after)
            cost += Cost(weights, points * used_taps(factor) * width * after, numbers=signals)
            width, points = after, points * factor
        return cost


class Costly(Protocol):
    """Anything with a cost: an architecture."""

    @property
    def clip_length(self) -> int:
        """Samples in a clip."""

    @property
    def channels(self) -> int:
        """Audio channels."""

    @property
    def most_seconds(self) -> int:
        """How many seconds one clip may take to generate."""

    def generator_cost(self) -> Cost:
        """The cost of generating the features of one clip."""

    def representation_cost(self) -> Cost:
        """The cost of converting the features of one clip to audio."""


def require_affordable(model: Costly) -> None:
    """Check that a model is not too expensive.

    Raises:
        UsageError: it is; the message says in which respect.
    """
    values = model.clip_length * model.channels
    if model.channels > MOST_CHANNELS:
        raise UsageError(f"channels must be at most {MOST_CHANNELS}; got {model.channels}")
    if values > MOST_VALUES:
        raise UsageError(
            f"clips of {model.clip_length} samples in {model.channels} channels are too long; "
            f"a clip may have {MOST_VALUES} values in all"
        )
    cost = model.generator_cost() + model.representation_cost()
    for what, asked, most in (
        ("weights", cost.weights, _MOST_WEIGHTS),
        ("numbers in memory for one sound", cost.numbers, _MOST_NUMBERS),
        ("seconds of work for one sound", cost.work // _WORK_A_SECOND, model.most_seconds),
        ("multiplications for one sample", cost.work // model.clip_length, _MOST_WORK_A_SAMPLE),
    ):
        if asked > most:
            raise UsageError(f"these sizes need {_short(asked)} {what}; at most {_short(most)} are possible")


def require_playable(clip_length: int, channels: int, sample_rate: int, output_rate: int | None = None) -> None:
    """Check the sample rate, the duration of a clip (C, T), and its size at the sample rate of its file.

    Raises:
        UsageError: a rate is not sensible, or the clip is too long.
    """
    for rate in (sample_rate, sample_rate if output_rate is None else output_rate):
        if rate not in SAMPLE_RATES:
            raise UsageError(f"sample_rate must be from {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]} Hz; got {rate}")
    if clip_length > _MOST_SECONDS * sample_rate:
        raise UsageError(
            f"sounds of {clip_length} samples at {sample_rate} Hz would last {clip_length // sample_rate} seconds; "
            f"at most {_MOST_SECONDS} are possible"
        )
    if output_rate is not None and clip_length * channels * output_rate > _MOST_RESAMPLED * sample_rate:
        raise UsageError(
            f"{clip_length} samples of {channels} channels at {sample_rate} Hz are too many at {output_rate} Hz; "
            "choose a lower rate"
        )


def _short(number: int) -> str:
    return str(number) if number < 10**6 else f"{float(min(number, 10**300)):.2g}"
