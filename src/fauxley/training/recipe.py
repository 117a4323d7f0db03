"""The default recipe: from facts about the sounds, a complete configuration.

A SpecGAN of bands (`fauxley.models.band_spectrogram`) for relativistic pairs, trained by the clock: the learning rate
and the penalty fall until the minutes are used up. What is chosen here was measured on spoken words at 16 kHz and drums
at 44.1 kHz, on one core of a processor; docs/experiments.md has the numbers. The larger model and batch on a GPU were
not measured: they only spend what is there.
"""

import math

from fauxley.dataset.facts import Facts
from fauxley.models.specgan import FRAMES, SpecGAN
from fauxley.training.config import Data, TrainingConfig
from fauxley.training.objectives import Relativistic
from fauxley.training.optimizers import Adam
from fauxley.training.state import Averaging

NAME = "default"  # what a run that was begun with it has as its preset
MINUTES = 60.0
_WINDOW_SECONDS = 0.028
_LEAST_WINDOW = 128  # samples
_OVERLAP = 4  # windows over each sample
_TOLERANCE = 0.1  # share of a sound that a clip may lack: mostly the end of a tail
_PITCH, _MANY = 0.5, 2000  # semitones, for fewer one-shots than that: the drums' and foley's, not the words'
_DIM, _BATCH = 16, 16
_GPU_DIM, _GPU_BATCH = 32, 32
_SAVES = 12  # in the minutes of a training, at least a minute apart
_LONGEST_WAIT = 5.0  # minutes between them, at most


def recipe(facts: Facts, minutes: float = MINUTES, on_gpu: bool = False) -> TrainingConfig:
    """The configuration for sounds as `facts` says they are.

    Args:
        minutes: how long it is trained.
        on_gpu: whether it is trained on a GPU, where there is time for more channels and larger batches.
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
    """Samples in a window: the power of two that is nearest to 28 ms, at which pitch and attacks are both kept."""
    return max(_LEAST_WINDOW, 1 << max(0, round(math.log2(_WINDOW_SECONDS * sample_rate))))


def clip_length(seconds: float, sample_rate: int) -> int:
    """Samples of the shortest clip of whole grids of frames that holds `seconds`, give or take a tenth.

    The frames of such a clip, which begin one window less a hop ahead of it, are a multiple of 32, and nothing of them
    lies beyond its end.
    """
    window = window_length(sample_rate)
    hop: int = window // _OVERLAP
    lead = window - hop
    grids: int = math.ceil(((1 - _TOLERANCE) * seconds * sample_rate + lead) / (hop * FRAMES))
    length: int = max(1, grids) * FRAMES * hop - lead
    return length
