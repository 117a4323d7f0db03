"""The default recipe: from facts about the sounds to a complete configuration.

The model is a SpecGAN of bands (`fauxley.models.band_spectrogram`), trained with the relativistic objective for a given
time; learning rate and penalty fall until the time is used up. The choices were measured with spoken words at 16 kHz
and drums at 44.1 kHz on one core of a processor; docs/experiments.md has the numbers. The larger model and batch for
GPUs were not measured.
"""

import math

from fauxley.dataset.facts import Facts
from fauxley.models.specgan import FRAMES, SpecGAN
from fauxley.training.config import Data, TrainingConfig
from fauxley.training.objectives import Relativistic
from fauxley.training.optimizers import Adam
from fauxley.training.state import Averaging

NAME = "default"  # the preset that a run's configuration names
MINUTES = 60.0
_WINDOW_SECONDS = 0.028
_LEAST_WINDOW = 128  # samples
_OVERLAP = 4  # windows over each sample
_TOLERANCE = 0.1  # share of a sound that a clip may lack: mostly the end of its tail
_PITCH, _MANY = 0.5, 2000  # semitones, for fewer one-shots than that: helps drums and foley, not many words
_DIM, _BATCH = 16, 16
_GPU_DIM, _GPU_BATCH = 32, 32
_SAVES = 12  # in the time of a training, at least a minute apart
_LONGEST_WAIT = 5.0  # minutes between saves, at most


def recipe(facts: Facts, minutes: float = MINUTES, on_gpu: bool = False) -> TrainingConfig:
    """The configuration for sounds with these facts.

    Args:
        minutes: training time.
        on_gpu: whether it is trained on a GPU, which is fast enough for more channels and larger batches.
    """
    window = window_length(facts.sample_rate)
    architecture = SpecGAN(
        clip_length=clip_length(facts.seconds, facts.sample_rate),
        channels=facts.channels,
        latent_size=48,
        dim=_GPU_DIM if on_gpu else _DIM,
        spectrogram="bands",
        window_length=window,
        hop_length=window // _OVERLAP,
        griffin_lim_iterations=32,
        griffin_lim_momentum=0.99,
        compensate_windows=True,
    )
    return TrainingConfig(
        NAME,
        architecture,
        Relativistic(penalty_every=4, penalty_decay="cosine"),
        Adam(5e-4, decay="cosine", beta1=0.0, beta2=0.99),
        Averaging(20_000, ramp=0.05),
        Data(
            facts.sample_rate, slicing=facts.slicing, labels=True, pitch=_PITCH if 0 < facts.one_shots < _MANY else 0.0
        ),
        minutes=minutes,
        save_minutes=min(max(minutes / _SAVES, 1.0), _LONGEST_WAIT),
        batch_size=_GPU_BATCH if on_gpu else _BATCH,
    )


def window_length(sample_rate: int) -> int:
    """The samples in a window: the power of two nearest to 28 ms, which resolves both pitch and attacks."""
    return max(_LEAST_WINDOW, 1 << max(0, round(math.log2(_WINDOW_SECONDS * sample_rate))))


def clip_length(seconds: float, sample_rate: int) -> int:
    """The samples of the shortest clip that holds `seconds`, to within a tenth, and fills whole grids of frames.

    The number of frames of such a clip, the first of which begins one window less a hop before it, is a multiple of 32,
    and no frame lies beyond its end.
    """
    window = window_length(sample_rate)
    hop: int = window // _OVERLAP
    lead = window - hop
    grids: int = math.ceil(((1 - _TOLERANCE) * seconds * sample_rate + lead) / (hop * FRAMES))
    length: int = max(1, grids) * FRAMES * hop - lead
    return length
