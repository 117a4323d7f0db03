"""What `fauxley bench` measures of one preset, in a process of its own, so that peaks of memory are its own."""

import dataclasses
import signal
import statistics
import time
from collections.abc import Callable

import torch

from fauxley.cli.shared.estimate import count_parameters, step_seconds
from fauxley.cli.shared.memory import forget_peak, peak_megabytes
from fauxley.devices import in_memory, keep_freed_memory
from fauxley.models.draws import Draws
from fauxley.models.network import AutoregressiveGenerator
from fauxley.models.synthesizer import Synthesizer
from fauxley.training.config import TrainingConfig
from fauxley.training.state import TrainingState

SAMPLE_RATE = 16000  # Hz, that seconds of audio refer to
BATCH = 64  # clips generated at a time, in batches
EXCERPT = 256  # samples that are timed of a clip made sample by sample: all cost the same
NAIVE_EXCERPT = 3
_GENERATIONS = 5


@dataclasses.dataclass(frozen=True)
class Figures:
    """What was measured of one preset. Megabytes: on a CPU of the whole process, on a GPU of tensors."""

    preset: str
    dim: int
    generator_parameters: int
    batch_size: int
    clip_seconds: float
    step_seconds: float
    """Of a training step: all updates."""
    step_clips: int
    """Real clips that a step sees."""
    single_seconds: float
    """From one latent to one clip of audio."""
    clips_per_second: float
    """Generated in batches."""
    narrow_single_seconds: float | None
    """As `single_seconds`, computed in bfloat16; nothing, where that is not for a model."""
    narrow_clips_per_second: float | None
    """As `clips_per_second`, computed in bfloat16."""
    naive_single_seconds: float | None
    """As `single_seconds`, with everything computed anew for each sample; extrapolated from a few samples."""
    idle_megabytes: float
    """Before there was any model."""
    training_megabytes: float
    generating_megabytes: float
    """In batches."""

    @property
    def training_effort(self) -> float:
        """Seconds of training for a second of real audio seen."""
        return self.step_seconds / (self.step_clips * self.clip_seconds)

    @property
    def single_effort(self) -> float:
        """Seconds for a second of generated audio, one clip at a time."""
        return self.single_seconds / self.clip_seconds

    @property
    def naive_effort(self) -> float | None:
        return None if self.naive_single_seconds is None else self.naive_single_seconds / self.clip_seconds

    @property
    def batched_effort(self) -> float:
        """Seconds for a second of generated audio, in batches."""
        return 1 / (self.clips_per_second * self.clip_seconds)


def prepare_process(threads: int) -> None:
    """Set up the process that measures."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # stopping is the parent's to report
    torch.set_num_threads(threads)
    keep_freed_memory()  # as `fauxley generate` and `train` do


def measure(config: TrainingConfig, device: torch.device, steps: int) -> Figures:
    """Measure a preset.

    Raises:
        FauxleyError: out of memory.
    """
    with in_memory(f"{config.preset} needs more than there is: lower --batch-size or --dim, or leave it out"):
        return _measure(config, device, steps)


def _measure(config: TrainingConfig, device: torch.device, steps: int) -> Figures:
    config, _ = config.settle(device)
    architecture = config.architecture
    idle = peak_megabytes(device)
    generator, representation = architecture.generator(Draws(0)), architecture.representation()
    synthesizer = Synthesizer(architecture, generator, representation, SAMPLE_RATE).to(device)
    forget_peak(device)
    single, many, naive = _generation_seconds(synthesizer, 1), _generation_seconds(synthesizer, BATCH), None
    narrow: tuple[float, float] | None = None
    if isinstance(generator, AutoregressiveGenerator):
        naive = _seconds(generator.naive, synthesizer.latents([0])[:, :NAIVE_EXCERPT].to(device), 1)
        naive *= architecture.clip_length / NAIVE_EXCERPT
    else:
        synthesizer.to(precision="bfloat16")
        narrow = _generation_seconds(synthesizer, 1), _generation_seconds(synthesizer, BATCH)
    generating = peak_megabytes(device)
    del generator, representation, synthesizer
    forget_peak(device)
    state = TrainingState.new(
        architecture, config.optimizer, config.averaging.half_life > 0, config.seed, device, config.dtype
    )
    seconds = step_seconds(config, state, config.batch_size, steps + 1)
    return Figures(
        config.preset,
        architecture.dim,
        count_parameters(state.generator),
        config.batch_size,
        architecture.clip_length / SAMPLE_RATE,
        seconds,
        config.batch_size * config.objective.num_batches,
        single,
        BATCH / many,
        narrow[0] if narrow else None,
        BATCH / narrow[1] if narrow else None,
        naive,
        idle,
        peak_megabytes(device),
        generating,
    )


def _generation_seconds(synthesizer: Synthesizer, count: int) -> float:
    """Seconds to make `count` clips from latents, in one batch."""
    latents = synthesizer.latents(range(count))
    if isinstance(synthesizer.generator, AutoregressiveGenerator):
        excerpt = latents[:, :EXCERPT].to(synthesizer.device)
        return _seconds(synthesizer.generator, excerpt, 3) * latents.shape[1] / excerpt.shape[1]
    return _seconds(lambda z: synthesizer.generate(latents=z, batch_size=count), latents, _GENERATIONS)


def _seconds(make: Callable[[torch.Tensor], torch.Tensor], latents: torch.Tensor, trials: int) -> float:
    """The median of several trials, after one that also pays for setting up."""
    times = []
    for _ in range(trials + 1):
        start = time.perf_counter()
        with torch.inference_mode():
            make(latents).cpu()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])
